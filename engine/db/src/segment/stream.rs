//! The values of one attribute in a leaf: one typed stream, in row order.
//!
//! ```text
//! 1  encoding: 0 packed integers, 1 raw 4 bytes, 2 raw 8 bytes, 3 raw 16 bytes, 4 texts, 5 encoded values
//! 1  type tag (0 with encoding 5: each value has its own)
//!    the stream: packed column | 4, 8 or 16 bytes a row | texts | one value after the other
//! ```
//! Booleans, longs, refs and instants are packed; floats 4, doubles 8, uuids 16 bytes; keywords, symbols, strings, uris
//! and bytes are texts; the others, and streams of several types, are encoded and decoded once at load.

use std::sync::Arc;

use super::bytes::{Reader, damaged, put_value};
use super::packed::{Packed, put_packed};
use super::texts::{Texts, put_texts};
use crate::Result;
use crate::column::{Column, TextColumn};
use crate::id::EntityId;
use crate::value::{Value, ValueRef, ValueType};

const PACKED: u8 = 0;
const RAW_4: u8 = 1;
const RAW_8: u8 = 2;
const RAW_16: u8 = 3;
const TEXTS: u8 = 4;
const VALUES: u8 = 5;

/// A stream; what is not decoded stays in the payload.
#[derive(Debug)]
pub(crate) enum Stream {
    Boolean(Packed),
    Long(Packed),
    Ref(Packed),
    Instant(Packed),
    /// offset in the payload
    Float(usize),
    Double(usize),
    Uuid(usize),
    Text(ValueType, Texts),
    Values(Box<[Value]>),
}

fn fixed<const N: usize>(payload: &[u8], start: usize, i: usize) -> [u8; N] {
    payload[start + i * N..start + (i + 1) * N].try_into().expect("a slice of N bytes")
}

fn text<'a>(payload: &'a [u8], texts: &Texts, i: usize) -> &'a str {
    std::str::from_utf8(&payload[texts.range(payload, i)]).expect("checked when the segment was read")
}

impl Stream {
    /// Value `i`. O(1).
    #[inline]
    pub(crate) fn get<'a>(&'a self, payload: &'a [u8], i: usize) -> ValueRef<'a> {
        match self {
            Stream::Boolean(x) => ValueRef::Boolean(x.get(payload, i) != 0),
            Stream::Long(x) => ValueRef::Long(x.get(payload, i)),
            Stream::Ref(x) => ValueRef::Ref(EntityId(x.get(payload, i) as u64)),
            Stream::Instant(x) => ValueRef::Instant(x.get(payload, i)),
            Stream::Float(at) => ValueRef::Float(f32::from_le_bytes(fixed(payload, *at, i))),
            Stream::Double(at) => ValueRef::Double(f64::from_le_bytes(fixed(payload, *at, i))),
            Stream::Uuid(at) => ValueRef::Uuid(u128::from_le_bytes(fixed(payload, *at, i))),
            Stream::Text(ValueType::Bytes, x) => ValueRef::Bytes(&payload[x.range(payload, i)]),
            Stream::Text(ValueType::Keyword, x) => ValueRef::Keyword(text(payload, x, i)),
            Stream::Text(ValueType::Symbol, x) => ValueRef::Symbol(text(payload, x, i)),
            Stream::Text(ValueType::Uri, x) => ValueRef::Uri(text(payload, x, i)),
            Stream::Text(_, x) => ValueRef::String(text(payload, x, i)),
            Stream::Values(x) => x[i].as_ref(),
        }
    }

    /// Appends the values `rows` to `column`: without boxing where the column has the stream's type.
    pub(crate) fn copy_into(&self, payload: &Arc<[u8]>, rows: std::ops::Range<usize>, column: &mut Column) {
        match (self, column) {
            (Stream::Boolean(x), Column::Boolean(out)) => x.each(payload, rows, |n| out.push(n != 0)),
            (Stream::Long(x), Column::Long(out)) => x.each(payload, rows, |n| out.push(n)),
            (Stream::Instant(x), Column::Instant(out)) => x.each(payload, rows, |n| out.push(n)),
            (Stream::Ref(x), Column::Ref(out)) => x.each(payload, rows, |n| out.push(n as u64)),
            (Stream::Double(at), Column::Double(out)) => {
                out.extend(rows.map(|i| f64::from_le_bytes(fixed(payload, *at, i))));
            }
            (Stream::Uuid(at), Column::Uuid(out)) => {
                out.extend(rows.map(|i| u128::from_le_bytes(fixed(payload, *at, i))));
            }
            (Stream::Text(ValueType::Keyword, x), Column::Keyword(out))
            | (Stream::Text(ValueType::String, x), Column::String(out)) => share(x, payload, rows, out),
            (_, out) => rows.for_each(|i| out.push(self.get(payload, i))),
        }
    }

    /// All its values as a column; its texts lie in a buffer of their own, known to be text.
    pub(crate) fn dense(&self, payload: &Arc<[u8]>, rows: usize) -> Column {
        let texts = |texts: &Texts| {
            let (text, start) = texts.text(payload);
            let views = (0..rows).map(|i| {
                let range = texts.range(payload, i);
                (range.start - start) as u32..(range.end - start) as u32
            });
            TextColumn::of_views(text.into(), views)
        };
        match self {
            Stream::Text(ValueType::Keyword, x) => Column::Keyword(texts(x)),
            Stream::Text(ValueType::String, x) => Column::String(texts(x)),
            _ => {
                let mixed = matches!(self, Stream::Values(_));
                let mut column = if mixed { Column::of(None) } else { Column::of(self.value_type()) };
                self.copy_into(payload, 0..rows, &mut column);
                column
            }
        }
    }

    pub(crate) fn value_type(&self) -> Option<ValueType> {
        match self {
            Stream::Boolean(_) => Some(ValueType::Boolean),
            Stream::Long(_) => Some(ValueType::Long),
            Stream::Ref(_) => Some(ValueType::Ref),
            Stream::Instant(_) => Some(ValueType::Instant),
            Stream::Float(_) => Some(ValueType::Float),
            Stream::Double(_) => Some(ValueType::Double),
            Stream::Uuid(_) => Some(ValueType::Uuid),
            Stream::Text(ty, _) => Some(*ty),
            Stream::Values(values) => values.first().map(Value::value_type),
        }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Stream::Boolean(x) | Stream::Long(x) | Stream::Ref(x) | Stream::Instant(x) => x.heap_bytes(),
            Stream::Float(_) | Stream::Double(_) | Stream::Uuid(_) => 0,
            Stream::Text(_, texts) => texts.heap_bytes(),
            // Big numbers and tuples own some more; an estimate serves the cache.
            Stream::Values(values) => values.len() * 64,
        }
    }

    /// Reads a stream of `rows` values.
    pub(crate) fn read(reader: &mut Reader<'_>, payload: &[u8], rows: usize) -> Result<Stream> {
        let (encoding, tag) = (reader.u8()?, reader.u8()?);
        let ty = ValueType::from_tag(tag);
        match (encoding, ty) {
            (PACKED, Some(ty)) => read_packed(reader, ty, rows),
            (RAW_4, Some(ValueType::Float)) => Ok(Stream::Float(raw(reader, rows, 4)?)),
            (RAW_8, Some(ValueType::Double)) => Ok(Stream::Double(raw(reader, rows, 8)?)),
            (RAW_16, Some(ValueType::Uuid)) => Ok(Stream::Uuid(raw(reader, rows, 16)?)),
            (TEXTS, Some(ty)) if is_text(ty) => {
                Ok(Stream::Text(ty, Texts::read(reader, payload, rows, ty != ValueType::Bytes)?))
            }
            (VALUES, None) if tag == 0 => read_values(reader, rows),
            _ => Err(damaged("a value stream has no known encoding")),
        }
    }
}

fn share(texts: &Texts, payload: &Arc<[u8]>, rows: std::ops::Range<usize>, out: &mut TextColumn) {
    let buffer = out.share(payload);
    for i in rows {
        let range = texts.range(payload, i);
        out.push_shared(buffer, range.start as u32, range.len() as u32);
    }
}

fn is_text(ty: ValueType) -> bool {
    use ValueType::{Bytes, Keyword, String, Symbol, Uri};
    matches!(ty, Bytes | Keyword | String | Symbol | Uri)
}

fn read_packed(reader: &mut Reader<'_>, ty: ValueType, rows: usize) -> Result<Stream> {
    let packed = Packed::read(reader, rows)?;
    match ty {
        ValueType::Boolean => Ok(Stream::Boolean(packed)),
        ValueType::Long => Ok(Stream::Long(packed)),
        ValueType::Ref => Ok(Stream::Ref(packed)),
        ValueType::Instant => Ok(Stream::Instant(packed)),
        _ => Err(damaged("a packed stream has a type that is not packed")),
    }
}

fn raw(reader: &mut Reader<'_>, rows: usize, width: usize) -> Result<usize> {
    let start = reader.position();
    reader.take(rows * width)?;
    Ok(start)
}

fn read_values(reader: &mut Reader<'_>, rows: usize) -> Result<Stream> {
    if rows > reader.left() {
        return Err(damaged("a value stream is cut short"));
    }
    Ok(Stream::Values((0..rows).map(|_| reader.value()).collect::<Result<_>>()?))
}

/// Writes what [`Stream::read`] reads.
pub(crate) fn put_stream(out: &mut Vec<u8>, values: &[ValueRef<'_>]) {
    let first = values.first().map_or(ValueType::Tuple, ValueRef::value_type);
    let mixed = values.iter().any(|value| value.value_type() != first);
    let encoding = match first {
        _ if mixed => VALUES,
        ValueType::Boolean | ValueType::Long | ValueType::Ref | ValueType::Instant => PACKED,
        ValueType::Float => RAW_4,
        ValueType::Double => RAW_8,
        ValueType::Uuid => RAW_16,
        ty if is_text(ty) => TEXTS,
        _ => VALUES,
    };
    out.push(encoding);
    out.push(if encoding == VALUES { 0 } else { first as u8 });
    match encoding {
        PACKED => put_packed(out, &values.iter().map(integer).collect::<Vec<_>>()),
        TEXTS => put_texts(out, &values.iter().map(text_bytes).collect::<Vec<_>>()),
        VALUES => values.iter().for_each(|value| put_value(out, *value)),
        _ => values.iter().for_each(|value| put_raw(out, value)),
    }
}

fn integer(value: &ValueRef<'_>) -> i64 {
    match value {
        ValueRef::Boolean(x) => i64::from(*x),
        ValueRef::Long(x) | ValueRef::Instant(x) => *x,
        ValueRef::Ref(x) => x.0 as i64,
        _ => unreachable!("only integers are packed"),
    }
}

fn text_bytes<'a>(value: &ValueRef<'a>) -> &'a [u8] {
    match *value {
        ValueRef::Keyword(x) | ValueRef::Symbol(x) | ValueRef::String(x) | ValueRef::Uri(x) => x.as_bytes(),
        ValueRef::Bytes(x) => x,
        _ => unreachable!("only texts and bytes are texts"),
    }
}

fn put_raw(out: &mut Vec<u8>, value: &ValueRef<'_>) {
    match value {
        ValueRef::Float(x) => out.extend_from_slice(&x.to_le_bytes()),
        ValueRef::Double(x) => out.extend_from_slice(&x.to_le_bytes()),
        ValueRef::Uuid(x) => out.extend_from_slice(&x.to_le_bytes()),
        _ => unreachable!("only floats, doubles and uuids are raw"),
    }
}
