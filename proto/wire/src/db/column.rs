//! Columns.

use std::collections::HashMap;
use std::ops::Range;

use annals_db::column::TextColumn;
use annals_db::{Column, EntityId, ValueRef};
use annals_edn::Error;
use bytes::Bytes;

use super::{value_from_wire, value_to_wire};
use crate::rows::{Cell, Rows};
use crate::v1;
use crate::v1::TextKind;
use crate::v1::column::Kind;
use crate::value::{bigdec, bigint, invalid};

/// Distinct keywords up to which a column of them travels as a dictionary.
const DICTIONARY_MAX: usize = 256;

/// Rows `rows` of a column. Linear in the rows.
#[must_use]
pub fn column_to_wire(column: &Column, rows: Range<usize>) -> v1::Column {
    let kind = match column {
        Column::Boolean(values) => Kind::Bools(v1::BoolColumn { values: values[rows].to_vec() }),
        Column::Long(values) => Kind::Longs(v1::LongColumn { values: values[rows].to_vec() }),
        Column::Ref(ids) => Kind::Refs(v1::RefColumn { ids: ids[rows].to_vec() }),
        Column::Double(values) => Kind::Doubles(v1::DoubleColumn { values: values[rows].to_vec() }),
        Column::Instant(millis) => Kind::Instants(v1::InstantColumn { millis: millis[rows].to_vec() }),
        Column::Uuid(values) => Kind::Uuids(uuids(&values[rows])),
        Column::Keyword(texts) => keywords(texts, rows),
        Column::String(texts) => Kind::Texts(text_column(TextKind::String, rows.map(|row| texts.bytes(row)))),
        Column::Mixed(values) => {
            let values = values[rows].iter().map(|value| value_to_wire(value.as_ref())).collect();
            Kind::Values(v1::ValueList { values })
        }
    };
    v1::Column { kind: Some(kind) }
}

fn uuids(values: &[u128]) -> Bytes {
    let mut bytes = Vec::with_capacity(values.len() * 16);
    for value in values {
        bytes.extend_from_slice(&value.to_be_bytes());
    }
    bytes.into()
}

pub(super) fn text_column<'a>(
    kind: TextKind,
    texts: impl ExactSizeIterator<Item = &'a [u8]>,
) -> v1::TextColumn {
    let mut lengths = Vec::with_capacity(texts.len());
    let mut data = Vec::new();
    for text in texts {
        lengths.push(text.len() as u32);
        data.extend_from_slice(text);
    }
    v1::TextColumn { kind: kind as i32, data: data.into(), lengths }
}

/// Keywords repeat: as a dictionary where few are distinct.
fn keywords(texts: &TextColumn, rows: Range<usize>) -> Kind {
    let mut known: HashMap<&[u8], u32> = HashMap::new();
    let mut entries: Vec<&[u8]> = Vec::new();
    let mut codes = Vec::with_capacity(rows.len());
    for row in rows.clone() {
        let text = texts.bytes(row);
        let code = *known.entry(text).or_insert_with(|| {
            entries.push(text);
            entries.len() as u32 - 1
        });
        codes.push(code);
        if entries.len() > DICTIONARY_MAX {
            return Kind::Texts(text_column(TextKind::Keyword, rows.map(|row| texts.bytes(row))));
        }
    }
    let entries = Some(text_column(TextKind::Keyword, entries.into_iter()));
    Kind::Dictionary(v1::DictionaryColumn { entries, codes })
}

/// A received column, `rows` long.
///
/// # Errors
/// [`annals_edn::Code::InvalidArgument`] if it is unsound or holds what no attribute can.
pub fn column_from_wire(column: &v1::Column, rows: usize) -> Result<Column, Error> {
    match &column.kind {
        Some(Kind::Refs(refs)) if refs.ids.iter().all(|&id| id <= EntityId::MAX.0) => {
            same_length(rows, Column::Ref(refs.ids.clone()))
        }
        Some(Kind::Longs(longs)) => same_length(rows, Column::Long(longs.values.clone())),
        Some(Kind::Instants(instants)) => same_length(rows, Column::Instant(instants.millis.clone())),
        Some(Kind::Doubles(doubles)) => same_length(rows, Column::Double(doubles.values.clone())),
        Some(Kind::Bools(bools)) => same_length(rows, Column::Boolean(bools.values.clone())),
        _ => by_cells(column, rows),
    }
}

fn same_length(rows: usize, column: Column) -> Result<Column, Error> {
    match column.len() == rows {
        true => Ok(column),
        false => Err(invalid("column", format!("{} rows of {rows}", column.len()))),
    }
}

fn by_cells(column: &v1::Column, rows: usize) -> Result<Column, Error> {
    let row_count = u32::try_from(rows).map_err(|_| invalid("column", format!("{rows} rows")))?;
    let chunk = v1::Chunk { row_count, columns: vec![column.clone()], ..Default::default() };
    let cells = Rows::new(&chunk)?;
    let mut out: Option<Column> = None;
    for row in 0..rows {
        push(&mut out, &cells.cell(row, 0))?;
    }
    Ok(out.unwrap_or(Column::Mixed(Vec::new())))
}

fn push(out: &mut Option<Column>, cell: &Cell<'_>) -> Result<(), Error> {
    let mut put = |value: ValueRef<'_>| out.get_or_insert_with(|| Column::of(value.value_type())).push(value);
    match *cell {
        Cell::Ref(id) if id <= EntityId::MAX.0 => put(ValueRef::Ref(EntityId(id))),
        Cell::Ref(id) => return Err(invalid("entity id", id)),
        Cell::Long(value) => put(ValueRef::Long(value)),
        Cell::Instant(millis) => put(ValueRef::Instant(millis)),
        Cell::Double(value) => put(ValueRef::Double(value)),
        Cell::Float(value) => put(ValueRef::Float(value)),
        Cell::Bool(value) => put(ValueRef::Boolean(value)),
        Cell::Uuid(bits) => put(ValueRef::Uuid(bits)),
        Cell::String(text) => put(ValueRef::String(text)),
        Cell::Keyword(text) => put(ValueRef::Keyword(text)),
        Cell::Symbol(text) => put(ValueRef::Symbol(text)),
        Cell::Uri(text) => put(ValueRef::Uri(text)),
        Cell::BigInt(text) => put(ValueRef::BigInt(&bigint(text)?.into())),
        Cell::BigDec(text) => put(ValueRef::BigDec(&bigdec(text)?.into())),
        Cell::Bytes(bytes) => put(ValueRef::Bytes(bytes)),
        Cell::Value(value) => match value_from_wire(value)? {
            Some(value) => put(value.as_ref()),
            None => return Err(invalid("stored value", "nil")),
        },
    }
    Ok(())
}
