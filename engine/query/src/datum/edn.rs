//! Between data and EDN. Lists become vectors; `#float`, `#uri` and `#bytes` are stored types; other tags are refused.

use std::sync::Arc;

use annals_db::{Value, ValueRef};
use annals_edn::{Code, Edn, Error, Keyword, Node, Symbol};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Datum;

impl Datum {
    /// A form as a datum.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a tagged form of another tag.
    pub fn from_edn(form: &Edn) -> Result<Datum, Error> {
        Ok(Datum::Value(match &form.node {
            Node::Nil => return Ok(Datum::Nil),
            Node::Char(char) => return Ok(Datum::Char(*char)),
            Node::List(items) | Node::Vector(items) => return Ok(Datum::vector(all(items)?)),
            Node::Set(items) => return Ok(Datum::set(all(items)?)),
            Node::Map(entries) => return map(entries),
            Node::Bool(x) => Value::Boolean(*x),
            Node::Long(x) => Value::Long(*x),
            Node::BigInt(x) => Value::BigInt(x.clone()),
            Node::Double(x) => Value::Double(*x),
            Node::BigDec(x) => Value::BigDec(x.clone()),
            Node::Str(x) => Value::String(x.clone()),
            Node::Keyword(x) => Value::Keyword(x.clone()),
            Node::Symbol(x) => Value::Symbol(x.clone()),
            Node::Instant(x) => Value::Instant(*x),
            Node::Uuid(x) => Value::Uuid(*x),
            Node::Tagged(tag, inner) => tagged(tag.as_str(), inner).ok_or_else(|| {
                let message = format!("#{tag} is no value of a query");
                Error::new(Code::InvalidArgument, message).at(form.span)
            })?,
        }))
    }

    /// The form of a datum.
    #[must_use]
    pub fn to_edn(&self) -> Edn {
        let seq = |items: &[Datum]| items.iter().map(Datum::to_edn).collect();
        match self {
            Datum::Nil => Edn::nil(),
            Datum::Value(value) => value_to_edn(&value.as_ref()),
            Datum::Char(char) => Edn::new(Node::Char(*char)),
            Datum::Vector(items) => Edn::vector(seq(items)),
            Datum::Set(items) => Edn::set(seq(items)),
            Datum::Map(entries) => {
                Edn::map(entries.iter().map(|(key, value)| (key.to_edn(), value.to_edn())).collect())
            }
        }
    }
}

fn all(items: &[Edn]) -> Result<Vec<Datum>, Error> {
    items.iter().map(Datum::from_edn).collect()
}

fn map(entries: &[(Edn, Edn)]) -> Result<Datum, Error> {
    let pair = |(key, value): &(Edn, Edn)| Ok((Datum::from_edn(key)?, Datum::from_edn(value)?));
    Ok(Datum::map(entries.iter().map(pair).collect::<Result<_, Error>>()?))
}

fn tagged(tag: &str, inner: &Edn) -> Option<Value> {
    Some(match (tag, &inner.node) {
        ("float", Node::Double(x)) => Value::Float(*x as f32),
        ("float", Node::Long(x)) => Value::Float(*x as f32),
        ("uri", Node::Str(text)) => Value::Uri(text.clone()),
        ("bytes", Node::Str(text)) => Value::Bytes(STANDARD.decode(text.as_bytes()).ok()?.into()),
        _ => return None,
    })
}

/// The form of a stored value; a ref is its id.
#[must_use]
pub fn value_to_edn(value: &ValueRef<'_>) -> Edn {
    Edn::new(match *value {
        ValueRef::Boolean(x) => Node::Bool(x),
        ValueRef::Long(x) => Node::Long(x),
        ValueRef::Ref(e) => Node::Long(e.as_long()),
        ValueRef::BigInt(x) => Node::BigInt(x.clone()),
        ValueRef::Float(x) => return Edn::tagged("float", Edn::double(shortest(x))),
        ValueRef::Double(x) => Node::Double(x),
        ValueRef::BigDec(x) => Node::BigDec(x.clone()),
        ValueRef::Instant(x) => Node::Instant(x),
        ValueRef::Uuid(x) => Node::Uuid(x),
        ValueRef::Keyword(x) => Node::Keyword(Keyword::new(x)),
        ValueRef::Symbol(x) => Node::Symbol(Symbol::new(x)),
        ValueRef::String(x) => Node::Str(Arc::from(x)),
        ValueRef::Uri(x) => return Edn::tagged("uri", Edn::string(x)),
        ValueRef::Bytes(x) => return Edn::tagged("bytes", Edn::string(STANDARD.encode(x))),
        ValueRef::Tuple(slots) => {
            let slot =
                |slot: &Option<Value>| slot.as_ref().map_or_else(Edn::nil, |v| value_to_edn(&v.as_ref()));
            Node::Vector(slots.iter().map(slot).collect())
        }
    })
}

/// The double that prints as the float does: 0.1 rather than 0.10000000149011612.
fn shortest(x: f32) -> f64 {
    match x.is_finite() {
        true => x.to_string().parse().expect("a float prints as a number"),
        false => f64::from(x),
    }
}

/// A datum for a message, cut to a bearable length.
#[must_use]
pub fn show(datum: &Datum) -> String {
    const MAX_CHARS: usize = 80;
    let text = datum.to_edn().to_string();
    match text.char_indices().nth(MAX_CHARS) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}
