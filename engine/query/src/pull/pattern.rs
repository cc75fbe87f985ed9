//! The parsed pull pattern.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use annals_edn::{Edn, Keyword};

/// A pull pattern: what is wanted of an entity.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    /// `*`; the key of the id is text when the star was
    pub wildcard: Option<Wildcard>,
    /// `:db/id` is asked for, under this key
    pub id: Option<Edn>,
    /// the attributes, in the order written
    pub specs: Vec<Spec>,
}

/// How the wildcard was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wildcard {
    /// `*`
    Symbol,
    /// `"*"`: keys become text
    Text,
}

/// One attribute wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// the attribute's ident, without the underscore of a reverse one
    pub attr: Keyword,
    /// `:ns/_name`
    pub reverse: bool,
    /// the key in the result
    pub key: Edn,
    /// the most values of a card-many or reverse attribute; `None`: all
    pub limit: Option<i64>,
    /// for entities without a value
    pub default: Option<Edn>,
    /// applied to the value
    pub xform: Option<Xform>,
    /// what is wanted of the entities referred to
    pub sub: Option<Sub>,
}

/// What is wanted of the entities that a reference leads to.
#[derive(Clone, Debug, PartialEq)]
pub enum Sub {
    /// a pattern of their own
    Pattern(Arc<Pattern>),
    /// the pattern that this spec stands in, so many times; `None`: without end
    Recur(Option<u64>),
}

/// The functions that `:xform` may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Xform {
    /// `str`
    Str,
    /// `keyword`
    Keyword,
    /// `symbol`
    Symbol,
    /// `name`
    Name,
    /// `namespace`
    Namespace,
    /// `clojure.edn/read-string`
    ReadString,
}

/// How many values of an attribute are pulled unless the pattern says otherwise.
pub const DEFAULT_LIMIT: i64 = 1000;

impl Xform {
    /// The function of that name, with or without `clojure.core/`.
    #[must_use]
    pub fn resolve(name: &str) -> Option<Xform> {
        Some(match name.strip_prefix("clojure.core/").unwrap_or(name) {
            "str" => Xform::Str,
            "keyword" => Xform::Keyword,
            "symbol" => Xform::Symbol,
            "name" => Xform::Name,
            "namespace" => Xform::Namespace,
            "clojure.edn/read-string" => Xform::ReadString,
            _ => return None,
        })
    }
}

impl Eq for Pattern {}

impl Hash for Pattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.wildcard.is_some().hash(state);
        for spec in &self.specs {
            spec.attr.hash(state);
        }
    }
}
