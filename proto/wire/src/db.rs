//! Values, columns and datoms of a database as values and chunks, and back.
//!
//! A column travels in the cheapest kind that holds it. Nothing is boxed per row unless the rows mix types.

mod column;
mod datoms;
mod limits;

pub use column::{column_from_wire, column_to_wire};
pub use datoms::{DatomChunk, datoms_of};
pub use limits::{limits_from_wire, limits_to_wire};

use std::sync::Arc;

use annals_db::{EntityId, Keyword, Symbol, Value, ValueRef};
use annals_edn::Error;
use bytes::Bytes;

use crate::v1;
use crate::v1::value::Kind;
use crate::value::{bigdec, bigdec_text, bigint, invalid, uuid, uuid_bytes};

/// A value as a message.
#[must_use]
pub fn value_to_wire(value: ValueRef<'_>) -> v1::Value {
    v1::Value {
        kind: Some(match value {
            ValueRef::Boolean(value) => Kind::BooleanValue(value),
            ValueRef::Long(value) => Kind::LongValue(value),
            ValueRef::Ref(id) => Kind::RefValue(id.0),
            ValueRef::BigInt(value) => Kind::BigintValue(value.to_string()),
            ValueRef::Float(value) => Kind::FloatValue(value),
            ValueRef::Double(value) => Kind::DoubleValue(value),
            ValueRef::BigDec(value) => Kind::BigdecValue(bigdec_text(value)),
            ValueRef::Instant(millis) => Kind::InstantValue(millis),
            ValueRef::Uuid(bits) => Kind::UuidValue(uuid_bytes(bits)),
            ValueRef::Keyword(text) => Kind::KeywordValue(text.to_owned()),
            ValueRef::Symbol(text) => Kind::SymbolValue(text.to_owned()),
            ValueRef::String(text) => Kind::StringValue(text.to_owned()),
            ValueRef::Uri(text) => Kind::UriValue(text.to_owned()),
            ValueRef::Bytes(bytes) => Kind::BytesValue(Bytes::copy_from_slice(bytes)),
            ValueRef::Tuple(slots) => Kind::TupleValue(v1::ValueList {
                values: slots.iter().map(|slot| slot_to_wire(slot.as_ref())).collect(),
            }),
        }),
    }
}

fn slot_to_wire(slot: Option<&Value>) -> v1::Value {
    slot.map_or(v1::Value { kind: None }, |value| value_to_wire(value.as_ref()))
}

/// A message as a value; `None` is nil.
///
/// # Errors
/// [`annals_edn::Code::InvalidArgument`] for what no attribute can hold.
pub fn value_from_wire(value: &v1::Value) -> Result<Option<Value>, Error> {
    let Some(kind) = &value.kind else { return Ok(None) };
    Ok(Some(match kind {
        Kind::StringValue(text) => Value::String(text.as_str().into()),
        Kind::KeywordValue(text) => Value::Keyword(Keyword::new(text.as_str())),
        Kind::SymbolValue(text) => Value::Symbol(Symbol::new(text.as_str())),
        Kind::BooleanValue(value) => Value::Boolean(*value),
        Kind::LongValue(value) => Value::Long(*value),
        Kind::BigintValue(text) => Value::BigInt(Arc::new(bigint(text)?)),
        Kind::DoubleValue(value) => Value::Double(*value),
        Kind::FloatValue(value) => Value::Float(*value),
        Kind::BigdecValue(text) => Value::BigDec(Arc::new(bigdec(text)?)),
        Kind::InstantValue(millis) => Value::Instant(*millis),
        Kind::UuidValue(bytes) => Value::Uuid(uuid(bytes)?),
        Kind::UriValue(text) => Value::Uri(text.as_str().into()),
        Kind::BytesValue(bytes) => Value::Bytes(bytes.as_ref().into()),
        Kind::RefValue(id) if *id <= EntityId::MAX.0 => Value::Ref(EntityId(*id)),
        Kind::TupleValue(list) | Kind::VectorValue(list) => {
            Value::Tuple(list.values.iter().map(value_from_wire).collect::<Result<Arc<[_]>, _>>()?)
        }
        other => return Err(invalid("value of an attribute", format!("{other:?}"))),
    }))
}

#[cfg(test)]
mod tests;
