//! Encodes rows as a leaf, see [`super::leaf`] for the bytes.

use super::inner::Span;
use super::packed::{PADDING, put_packed};
use super::stream::put_stream;
use crate::order::Index;
use crate::value::ValueRef;

/// One row on its way into a leaf. `ended` counts only in history leaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    /// entity
    pub(crate) e: u64,
    /// attribute
    pub(crate) a: u32,
    /// value
    pub(crate) v: ValueRef<'a>,
    /// t added
    pub(crate) t: u64,
    /// t ended
    pub(crate) ended: u64,
}

/// The payload of a leaf of `rows`, which are in index order and at most [`super::MAX_LEAF_ROWS`].
pub(crate) fn encode_leaf(index: Index, history: bool, rows: &[Row<'_>]) -> Vec<u8> {
    debug_assert!(rows.len() <= super::MAX_LEAF_ROWS);
    let mut attributes: Vec<u32> = rows.iter().map(|row| row.a).collect();
    if index == Index::Eavt {
        attributes.sort_unstable();
    }
    attributes.dedup();
    let streams = streams(&attributes, rows);
    let mut out = Vec::with_capacity(rows.len() * 16);
    out.extend_from_slice(&(rows.len() as u32).to_le_bytes());
    out.push(Index::ALL.iter().position(|&x| x == index).expect("every index is listed") as u8);
    out.push(u8::from(history));
    out.extend_from_slice(&(attributes.len() as u16).to_le_bytes());
    for (a, values) in attributes.iter().zip(&streams) {
        out.extend_from_slice(&a.to_le_bytes());
        out.extend_from_slice(&(values.len() as u32).to_le_bytes());
    }
    put_column(&mut out, rows, |row| row.e);
    put_column(&mut out, rows, |row| row.t);
    if history {
        put_column(&mut out, rows, |row| row.ended);
    }
    if index == Index::Eavt && attributes.len() > 1 {
        put_column(&mut out, rows, |row| code(&attributes, row.a) as u64);
    }
    streams.iter().for_each(|values| put_stream(&mut out, values));
    out.extend_from_slice(&[0; PADDING]);
    out
}

fn code(attributes: &[u32], a: u32) -> usize {
    attributes.binary_search(&a).expect("every attribute of the rows is listed")
}

fn put_column(out: &mut Vec<u8>, rows: &[Row<'_>], field: impl Fn(&Row<'_>) -> u64) {
    put_packed(out, &rows.iter().map(|row| field(row) as i64).collect::<Vec<_>>());
}

fn streams<'a>(attributes: &[u32], rows: &[Row<'a>]) -> Vec<Vec<ValueRef<'a>>> {
    let mut streams = vec![Vec::new(); attributes.len()];
    for row in rows {
        streams[code(attributes, row.a)].push(row.v);
    }
    streams
}

/// The t bounds of rows.
pub(crate) fn span(rows: &[Row<'_>], history: bool) -> Span {
    let mut span = Span::EMPTY;
    for row in rows {
        span.add(row.t, if history { row.ended } else { 0 });
    }
    span
}

/// What a row weighs towards the limit of a leaf, in bytes: 32, or 16 and its text.
pub(crate) fn weight(v: &ValueRef<'_>) -> usize {
    let len = match v {
        ValueRef::Keyword(x) | ValueRef::Symbol(x) | ValueRef::String(x) | ValueRef::Uri(x) => x.len(),
        ValueRef::Bytes(x) => x.len(),
        ValueRef::BigInt(x) => x.bits() as usize / 8,
        ValueRef::BigDec(x) => x.digits() as usize,
        ValueRef::Tuple(slots) => slots.iter().flatten().map(|slot| weight(&slot.as_ref())).sum(),
        _ => 0,
    };
    (16 + len).max(32)
}
