//! How forms name things outside of transactions: literals of a type, and the entity an identifier finds.
//!
//! Called by the transaction stages, by pull and by queries. Owns nothing. What an identifier finds depends only on the
//! database value: an entity id is itself, an ident goes by the schema, a lookup ref by the index.

use std::sync::Arc;

use annals_edn::{Code, Edn, Error, Keyword, Node};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::Result;
use crate::bootstrap::attr;
use crate::database::Db;
use crate::id::EntityId;
use crate::schema::{Attribute, TupleKind};
use crate::value::{Value, ValueType};

/// The most digits of a bigdec, and the most its scale may be either way.
pub const MAX_DECIMAL_DIGITS: u64 = 1024;

/// The most bits of a bigint.
pub const MAX_INTEGER_BITS: u64 = 8192;

/// The form as a value of `ty`, `None` when it is none. Numbers are not converted, but that a float takes a double.
/// A ref takes an entity id only, a tuple nothing: see [`lookup_value`] and the transaction stages.
#[must_use]
pub fn literal(ty: ValueType, form: &Edn) -> Option<Value> {
    Some(match (ty, &form.node) {
        (ValueType::String, Node::Str(text)) => Value::String(text.clone()),
        (ValueType::Long, Node::Long(n)) => Value::Long(*n),
        (ValueType::Boolean, Node::Bool(b)) => Value::Boolean(*b),
        (ValueType::Double, Node::Double(x)) => Value::Double(*x),
        (ValueType::Instant, Node::Instant(ms)) => Value::Instant(*ms),
        (ValueType::Uuid, Node::Uuid(bits)) => Value::Uuid(*bits),
        (ValueType::Keyword, _) => Value::Keyword(keyword(form)?),
        (ValueType::Symbol, Node::Symbol(symbol)) => Value::Symbol(symbol.clone()),
        (ValueType::BigInt, Node::BigInt(n)) => Value::BigInt(n.clone()),
        (ValueType::BigDec, Node::BigDec(x)) => Value::BigDec(x.clone()),
        (ValueType::Float, Node::Double(x)) => Value::Float(*x as f32),
        (ValueType::Ref, Node::Long(n)) => Value::Ref(EntityId::from_long(*n)?),
        (_, Node::Tagged(tag, inner)) => return tagged(ty, tag.as_str(), inner),
        _ => return None,
    })
}

/// `#float 1.5`, `#uri "…"`, `#bytes "base64"`.
fn tagged(ty: ValueType, tag: &str, inner: &Edn) -> Option<Value> {
    match (ty, tag, &inner.node) {
        (ValueType::Float, "float", Node::Double(x)) => Some(Value::Float(*x as f32)),
        (ValueType::Uri, "uri", Node::Str(text)) => Some(Value::Uri(text.clone())),
        (ValueType::Bytes, "bytes", Node::Str(text)) => {
            STANDARD.decode(text.as_bytes()).ok().map(|bytes| Value::Bytes(bytes.into()))
        }
        _ => None,
    }
}

/// The form as a value of the type that it is written in; a vector of 2 to 8 such values is a tuple, in which nil is an
/// empty slot. `None` when it is no value.
#[must_use]
pub fn free_literal(form: &Edn) -> Option<Value> {
    let ty = match &form.node {
        Node::Vector(slots) | Node::List(slots) => {
            let slot = |form: &Edn| match &form.node {
                Node::Nil => Some(None),
                Node::Vector(_) | Node::List(_) => None,
                _ => free_literal(form).map(Some),
            };
            let slots: Option<Vec<Option<Value>>> = slots.iter().map(slot).collect();
            return slots
                .filter(|slots| (2..=8).contains(&slots.len()))
                .map(|slots| Value::Tuple(slots.into()));
        }
        Node::Str(_) => ValueType::String,
        Node::Long(_) => ValueType::Long,
        Node::Bool(_) => ValueType::Boolean,
        Node::Double(_) => ValueType::Double,
        Node::Instant(_) => ValueType::Instant,
        Node::Uuid(_) => ValueType::Uuid,
        Node::Keyword(_) => ValueType::Keyword,
        Node::Symbol(_) => ValueType::Symbol,
        Node::BigInt(_) => ValueType::BigInt,
        Node::BigDec(_) => ValueType::BigDec,
        Node::Tagged(tag, _) => match tag.as_str() {
            "float" => ValueType::Float,
            "uri" => ValueType::Uri,
            "bytes" => ValueType::Bytes,
            _ => return None,
        },
        _ => return None,
    };
    literal(ty, form)
}

/// A keyword, or what stands for one: text with its colon, a symbol.
#[must_use]
pub fn keyword(form: &Edn) -> Option<Keyword> {
    match &form.node {
        Node::Keyword(keyword) => Some(keyword.clone()),
        Node::Symbol(symbol) => Some(Keyword::new(symbol.shared().clone())),
        Node::Str(text) => ident_text(text),
        _ => None,
    }
}

/// The keyword that text with a leading colon spells.
#[must_use]
pub fn ident_text(text: &str) -> Option<Keyword> {
    text.strip_prefix(':').filter(|rest| !rest.is_empty()).map(Keyword::new)
}

/// The entity that an identifier finds in `db`: an id finds itself, an ident or a lookup ref its entity or nothing.
///
/// # Errors
/// `NOT_AN_ENTITY` when the form is no identifier or names an unknown attribute, `INVALID_LOOKUP_REF`,
/// `LOOKUP_REF_ATTR_NOT_UNIQUE`, and those of the store.
pub fn entid(db: &Db, form: &Edn) -> Result<Option<EntityId>> {
    match &form.node {
        Node::Long(n) => EntityId::from_long(*n).map(Some).ok_or_else(|| no_identifier(form)),
        Node::Keyword(ident) => Ok(db.schema().entid(ident)),
        Node::Str(text) => {
            let ident = ident_text(text).ok_or_else(|| no_identifier(form))?;
            Ok(db.schema().entid(&ident))
        }
        Node::Vector(parts) | Node::List(parts) => lookup_ref(db, parts).map_err(|error| error.at(form.span)),
        _ => Err(no_identifier(form)),
    }
}

fn no_identifier(form: &Edn) -> Error {
    Error::new(Code::NotAnEntity, format!("{} names no entity", show(form)))
        .at(form.span)
        .hint("an entity is named by its id, its ident, or a lookup ref [unique-attribute value]")
}

/// The entity that `[attribute value]` finds.
///
/// # Errors
/// As [`entid`].
pub fn lookup_ref(db: &Db, parts: &[Edn]) -> Result<Option<EntityId>> {
    let [attribute, value] = parts else {
        return Err(Error::new(Code::InvalidLookupRef, "a lookup ref is a unique attribute and a value"));
    };
    let attribute = attribute_named(db, attribute)?;
    if attribute.unique.is_none() {
        let message = format!("{} is not unique, so it finds no entity", attribute.ident);
        return Err(Error::new(Code::LookupRefAttrNotUnique, message).with("attribute", &attribute.ident));
    }
    let Some(value) = lookup_value(db, &attribute, value) else { return Ok(None) };
    lookup(db, &attribute, &value)
}

/// The entity with `value` of a unique attribute.
///
/// # Errors
/// Only of the store.
pub fn lookup(db: &Db, attribute: &Attribute, value: &Value) -> Result<Option<EntityId>> {
    if attribute.id == attr::TX_ID
        && let Value::Uuid(id) = value
    {
        return Ok(db.transaction_by_client_id(*id)?.map(|body| EntityId::of_tx(body.t)));
    }
    db.lookup(attribute.id, &value.as_ref())
}

/// The attribute that a form in attribute position names.
///
/// # Errors
/// `NOT_AN_ENTITY` when unknown, `NOT_AN_ATTRIBUTE` when it is something else, `NOT_A_KEYWORD` when it is no name.
pub fn attribute_named(db: &Db, form: &Edn) -> Result<Arc<Attribute>> {
    let entity = match &form.node {
        Node::Keyword(ident) => db.schema().entid(ident),
        Node::Long(n) => EntityId::from_long(*n),
        Node::Str(text) => match ident_text(text) {
            Some(ident) => db.schema().entid(&ident),
            None => return Err(not_a_keyword(form)),
        },
        Node::Vector(parts) | Node::List(parts) => lookup_ref(db, parts)?,
        _ => return Err(not_a_keyword(form)),
    };
    let entity = entity.ok_or_else(|| unknown_attribute(form))?;
    let attribute = entity.as_attr().and_then(|a| db.schema().attribute(a));
    attribute.cloned().ok_or_else(|| {
        Error::new(Code::NotAnAttribute, format!("{} is no attribute", show(form)))
            .at(form.span)
            .with("attribute", show(form))
    })
}

fn not_a_keyword(form: &Edn) -> Error {
    Error::new(Code::NotAKeyword, format!("{} names no attribute", show(form)))
        .at(form.span)
        .hint("an attribute is named by its ident, :like/this")
}

fn unknown_attribute(form: &Edn) -> Error {
    Error::new(Code::NotAnEntity, format!("unknown attribute {}", show(form)))
        .at(form.span)
        .with("attribute", show(form))
        .hint("install the attribute in an earlier transaction")
}

/// The value of a lookup ref, `None` when no entity can have it. Integers are one kind here, idents stand for refs.
#[must_use]
pub fn lookup_value(db: &Db, attribute: &Attribute, form: &Edn) -> Option<Value> {
    let Some(ty) = attribute.value_type else { return free_literal(form) };
    match (ty, &form.node) {
        (ValueType::Long, Node::BigInt(n)) => i64::try_from(n.as_ref()).ok().map(Value::Long),
        (ValueType::BigInt, Node::Long(n)) => Some(Value::BigInt(Arc::new((*n).into()))),
        (ValueType::Ref, Node::Keyword(ident)) => db.schema().entid(ident).map(Value::Ref),
        (ValueType::Keyword, Node::Symbol(_)) => None,
        (ValueType::Tuple, Node::Vector(slots) | Node::List(slots)) => {
            let types = slot_types(db, attribute, slots.len())?;
            let slots: Option<Vec<Option<Value>>> =
                types.into_iter().zip(slots).map(|(ty, slot)| lookup_slot(db, ty, slot)).collect();
            slots.map(|slots| Value::Tuple(slots.into()))
        }
        (ty, _) => literal(ty, form),
    }
}

fn lookup_slot(db: &Db, ty: ValueType, form: &Edn) -> Option<Option<Value>> {
    match (ty, &form.node) {
        (_, Node::Nil) => Some(None),
        (ValueType::Ref, Node::Keyword(ident)) => db.schema().entid(ident).map(|e| Some(Value::Ref(e))),
        _ => literal(ty, form).map(Some),
    }
}

/// The types of the slots of a tuple of `len` slots, `None` when the attribute takes no such tuple.
#[must_use]
pub fn slot_types(db: &Db, attribute: &Attribute, len: usize) -> Option<Vec<ValueType>> {
    match attribute.tuple.as_ref()? {
        TupleKind::Homogeneous(ty) => (2..=8).contains(&len).then(|| vec![*ty; len]),
        TupleKind::Heterogeneous(types) => (types.len() == len).then(|| types.to_vec()),
        TupleKind::Composite(members) => {
            let types = members.iter().map(|a| db.schema().attribute(*a)?.value_type);
            types.collect::<Option<Vec<_>>>().filter(|types| types.len() == len)
        }
    }
}

/// A form for a message, cut to a bearable length.
#[must_use]
pub fn show(form: &Edn) -> String {
    const MAX_CHARS: usize = 80;
    let text = form.to_string();
    match text.char_indices().nth(MAX_CHARS) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}
