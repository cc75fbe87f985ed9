//! The functions that `:xform` may name.

use annals_edn::{Edn, Error, Keyword, Node, Symbol};

use super::pattern::Xform;
use crate::datum::Datum;
use crate::functions::plain_text;

impl Xform {
    /// Applies it to a value, or to nil where there is none.
    ///
    /// # Errors
    /// `EDN_…` from `read-string`; `FUNCTION_FAILED` for a value it does not take.
    pub(super) fn apply(self, value: &Edn) -> Result<Edn, Error> {
        let keyword = value.as_keyword().map(|name| (name.namespace(), name.name()));
        let name = keyword.or(value.as_symbol().map(|name| (name.namespace(), name.name())));
        Ok(match self {
            Xform::Str => Edn::string(plain_text(&Datum::from_edn(value)?)),
            Xform::Keyword => {
                text(value).map_or_else(Edn::nil, |text| Edn::new(Node::Keyword(Keyword::new(text))))
            }
            Xform::Symbol => {
                text(value).map_or_else(Edn::nil, |text| Edn::new(Node::Symbol(Symbol::new(text))))
            }
            Xform::Name => match (name, value.as_str()) {
                (Some((_, name)), _) => Edn::string(name),
                (None, Some(text)) => Edn::string(text),
                (None, None) => refuse_unless_nil("name", value)?,
            },
            Xform::Namespace => match name {
                Some((namespace, _)) => namespace.map_or_else(Edn::nil, Edn::string),
                None => refuse_unless_nil("namespace", value)?,
            },
            Xform::ReadString => match value.as_str() {
                Some(text) => annals_edn::read_one(text)?,
                None => refuse_unless_nil("read-string", value)?,
            },
        })
    }
}

fn text(value: &Edn) -> Option<String> {
    match &value.node {
        Node::Str(text) => Some(text.to_string()),
        Node::Keyword(name) => Some(name.as_str().to_owned()),
        Node::Symbol(name) => Some(name.as_str().to_owned()),
        _ => None,
    }
}

fn refuse_unless_nil(function: &str, value: &Edn) -> Result<Edn, Error> {
    match value.node {
        Node::Nil => Ok(Edn::nil()),
        _ => Err(Error::new(
            annals_edn::Code::FunctionFailed,
            format!("{function} does not take {}", value.kind_name()),
        )),
    }
}
