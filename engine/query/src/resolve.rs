//! Constants and inputs against a database: identifiers of entities and attributes, values of an attribute's type.

use std::sync::Arc;

use annals_db::{Attribute, Db, EntityId, Keyword, Value, ValueType};
use annals_edn::{Code, Error};
use bigdecimal::ToPrimitive;

use crate::datum::{Datum, show};

/// The entity that an id, ident or lookup ref names. `None`: nothing is named so.
///
/// # Errors
/// `NOT_A_KEYWORD` for what cannot identify, `INVALID_LOOKUP_REF`, `LOOKUP_REF_ATTR_NOT_UNIQUE`, `NOT_AN_ENTITY` for a
/// lookup ref of an unknown attribute.
pub fn entity(db: &Db, datum: &Datum) -> Result<Option<EntityId>, Error> {
    match datum {
        Datum::Value(Value::Ref(e)) => Ok(Some(*e)),
        Datum::Value(Value::Long(n)) => Ok(EntityId::from_long(*n)),
        Datum::Value(Value::BigInt(n)) => Ok(n.to_i64().and_then(EntityId::from_long)),
        Datum::Value(Value::Keyword(ident)) => Ok(db.schema().entid(ident)),
        Datum::Value(Value::String(text)) => match text.strip_prefix(':') {
            Some(ident) => Ok(db.schema().entid(&Keyword::new(ident))),
            None => Err(no_identifier(datum)),
        },
        Datum::Value(Value::Tuple(slots)) => lookup(db, slots, datum),
        Datum::Nil => Ok(None),
        Datum::Value(_) | Datum::Char(_) => Err(no_identifier(datum)),
        Datum::Vector(_) | Datum::Set(_) | Datum::Map(_) => Err(no_identifier(datum)),
    }
}

fn no_identifier(datum: &Datum) -> Error {
    Error::new(Code::NotAKeyword, format!("{} identifies no entity", show(datum)))
        .hint("entities are identified by id, ident or lookup ref")
}

fn lookup(db: &Db, slots: &[Option<Value>], datum: &Datum) -> Result<Option<EntityId>, Error> {
    let [Some(attr), value] = slots else {
        let message = format!("{} is no lookup ref", show(datum));
        return Err(Error::new(Code::InvalidLookupRef, message).hint("a lookup ref is [attribute value]"));
    };
    let attribute = attribute(db, &Datum::Value(attr.clone()))?;
    if attribute.unique.is_none() {
        let message = format!("{} is not unique", attribute.ident);
        return Err(Error::new(Code::LookupRefAttrNotUnique, message).with("attribute", &attribute.ident));
    }
    let Some(value) = value else { return Ok(None) };
    let wanted = match (attribute.value_type, value) {
        (Some(ValueType::Ref), Value::Keyword(ident)) => db.schema().entid(ident).map(Value::Ref),
        (Some(ValueType::Ref), Value::Long(n)) => EntityId::from_long(*n).map(Value::Ref),
        (Some(ty), value) => convert(ty, value),
        (None, value) => Some(value.clone()),
    };
    match wanted {
        Some(Value::Uuid(id)) if attribute.id == annals_db::bootstrap::attr::TX_ID => {
            Ok(db.transaction_by_client_id(id)?.map(|body| EntityId::of_tx(body.t)))
        }
        Some(value) => db.lookup(attribute.id, &value.as_ref()),
        None => Ok(None),
    }
}

/// The attribute that an ident or id names.
///
/// # Errors
/// `NOT_AN_ENTITY` for an unknown one where attributes are declared, `NOT_AN_ATTRIBUTE` for something else, `NOT_A_KEYWORD` for what cannot name
/// one.
pub fn attribute(db: &Db, datum: &Datum) -> Result<Arc<Attribute>, Error> {
    let entity = match datum {
        Datum::Value(Value::Keyword(ident)) => db.schema().entid(ident),
        Datum::Value(Value::Ref(e)) => Some(*e),
        Datum::Value(Value::Long(n)) => EntityId::from_long(*n),
        Datum::Value(Value::String(text)) if text.starts_with(':') => {
            db.schema().entid(&Keyword::new(&text[1..]))
        }
        _ => {
            let error = Error::new(Code::NotAKeyword, format!("{} names no attribute", show(datum)));
            return Err(error.hint("attributes are named by keywords"));
        }
    };
    let Some(entity) = entity else {
        return match datum {
            // Where attributes need not be declared, one that nobody used yet has no facts.
            Datum::Value(Value::Keyword(ident)) if !db.options().schema_on_write => {
                Ok(Arc::new(Attribute::unused(ident.clone())))
            }
            _ => Err(unknown_attribute(db, datum)),
        };
    };
    let found = entity.as_attr().and_then(|a| db.schema().attribute(a));
    found.cloned().ok_or_else(|| {
        Error::new(Code::NotAnAttribute, format!("{} is no attribute", show(datum)))
            .with("attribute", show(datum))
    })
}

fn unknown_attribute(db: &Db, datum: &Datum) -> Error {
    let error = Error::new(Code::NotAnEntity, format!("no attribute is named {}", show(datum)));
    let error = error.with("attribute", show(datum));
    let Datum::Value(Value::Keyword(ident)) = datum else { return error };
    let attributes = db.schema().attributes().map(|attribute| attribute.ident.as_str());
    match crate::functions::nearest(ident.as_str(), attributes) {
        Some(near) => error.hint(format!("did you mean :{near}?")),
        None => error,
    }
}

/// Whether an error says that something identifies no entity or attribute.
#[must_use]
pub fn is_unidentified(code: Code) -> bool {
    matches!(
        code,
        Code::NotAnEntity
            | Code::NotAnAttribute
            | Code::NotAKeyword
            | Code::InvalidLookupRef
            | Code::LookupRefAttrNotUnique
    )
}

/// `datum` as a value of `attribute`, to look up or compare with: entity identifiers for references, `8N` for longs.
/// `None`: no value of the attribute can be equal to it.
///
/// # Errors
/// As [`entity`] for references; an unresolvable identifier is `NOT_AN_ENTITY`.
pub fn value(db: &Db, attribute: &Attribute, datum: &Datum) -> Result<Option<Value>, Error> {
    let Datum::Value(value) = datum else { return Ok(None) };
    let Some(ty) = attribute.value_type else {
        return Ok(Some(value.clone()).filter(|value| !matches!(value, Value::Bytes(_))));
    };
    match (ty, value) {
        (ValueType::Ref, Value::Long(n)) => Ok(EntityId::from_long(*n).map(Value::Ref)),
        (ValueType::Ref, _) => match entity(db, datum)? {
            Some(e) => Ok(Some(Value::Ref(e))),
            None => Err(Error::new(Code::NotAnEntity, format!("{} names no entity", show(datum)))
                .with("attribute", &attribute.ident)
                .hint("entities are named by id, by an ident that is there, or by a lookup ref")),
        },
        (ValueType::Keyword, Value::String(text)) => match text.strip_prefix(':') {
            Some(name) => Ok(Some(Value::Keyword(Keyword::new(name)))),
            None => Err(Error::new(Code::NotAKeyword, format!("{} is no keyword", show(datum)))
                .hint(format!("write :{text}"))
                .with("attribute", &attribute.ident)),
        },
        // Bytes are no keys: they are found by what else is known of their entity.
        (ValueType::Bytes, _) => Ok(None),
        (ty, value) => Ok(convert(ty, value)),
    }
}

/// `value` as one of type `ty` that is identical to it or the same integer.
fn convert(ty: ValueType, value: &Value) -> Option<Value> {
    match (ty, value) {
        (ValueType::Long, Value::BigInt(n)) => n.to_i64().map(Value::Long),
        (ValueType::Long, Value::Ref(e)) => Some(Value::Long(e.as_long())),
        (ValueType::BigInt, Value::Long(n)) => Some(Value::BigInt(Arc::new((*n).into()))),
        (ValueType::Float, Value::Double(x)) if f64::from(*x as f32) == *x => Some(Value::Float(*x as f32)),
        (ty, value) => (value.value_type() == ty).then(|| value.clone()),
    }
}
