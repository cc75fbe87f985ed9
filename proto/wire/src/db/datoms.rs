//! Datoms as a chunk: columns e, a, v, tx, added, where a is the attribute's ident.

use std::collections::HashMap;

use annals_db::bootstrap::attr;
use annals_db::{AttrId, Column, DatomRef, EntityId, T, TxBody, ValueRef};

use super::column::{column_to_wire, text_column};
use crate::v1;
use crate::v1::TextKind;
use crate::v1::column::Kind;

/// What a transaction did, its `:db/txInstant` first, which stands in the transaction table and not among the datoms of
/// its body. `ident` names an attribute, once.
#[must_use]
pub fn datoms_of(body: &TxBody, ident: impl Fn(AttrId) -> String) -> v1::Chunk {
    let (e, v) = (EntityId::of_tx(body.t), ValueRef::Instant(body.instant));
    let instant = DatomRef { e, a: attr::TX_INSTANT, v, t: body.t, added: true };
    let mut chunk = DatomChunk::new();
    chunk.push(instant, |_| "db/txInstant".to_owned());
    body.datoms.iter().for_each(|datom| chunk.push(datom.as_ref(), &ident));
    chunk.finish()
}

/// A chunk of datoms under construction.
#[derive(Default)]
pub struct DatomChunk {
    with_t: bool,
    t: Vec<i64>,
    e: Vec<u64>,
    a: Vec<u32>,
    idents: Vec<String>,
    codes: HashMap<AttrId, u32>,
    v: Option<Column>,
    tx: Vec<u64>,
    added: Vec<bool>,
    bytes: usize,
}

impl DatomChunk {
    /// Columns e, a, v, tx, added.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Columns t, e, a, v, tx, added: the log's.
    #[must_use]
    pub fn with_t() -> Self {
        Self { with_t: true, ..Self::default() }
    }

    /// Appends a datom; `ident` names its attribute where that is not yet known to the chunk.
    pub fn push(&mut self, datom: DatomRef<'_>, ident: impl FnOnce(AttrId) -> String) {
        self.e.push(datom.e.0);
        let idents = &mut self.idents;
        let code = *self.codes.entry(datom.a).or_insert_with(|| {
            idents.push(ident(datom.a));
            idents.len() as u32 - 1
        });
        self.a.push(code);
        self.v.get_or_insert_with(|| Column::of(datom.v.value_type())).push(datom.v);
        let T(t) = datom.t;
        if self.with_t {
            self.t.push(t.cast_signed());
        }
        self.tx.push(EntityId::of_tx(datom.t).0);
        self.added.push(datom.added);
        self.bytes += 20 + weight(&datom);
    }

    /// Datoms so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.e.len()
    }

    /// True before the first.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.e.is_empty()
    }

    /// About how many bytes the chunk will take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The chunk; tokens and counts are the caller's to fill in. Empties the builder.
    #[must_use]
    pub fn finish(&mut self) -> v1::Chunk {
        let done = std::mem::replace(self, Self { with_t: self.with_t, ..Self::default() });
        let rows = done.e.len();
        let values = done.v.unwrap_or(Column::Mixed(Vec::new()));
        let entries = text_column(TextKind::Keyword, done.idents.iter().map(String::as_bytes));
        let column = |kind| v1::Column { kind: Some(kind) };
        let mut columns = Vec::with_capacity(6);
        if done.with_t {
            columns.push(column(Kind::Longs(v1::LongColumn { values: done.t })));
        }
        columns.extend([
            column(Kind::Refs(v1::RefColumn { ids: done.e })),
            column(Kind::Dictionary(v1::DictionaryColumn { entries: Some(entries), codes: done.a })),
            column_to_wire(&values, 0..rows),
            column(Kind::Refs(v1::RefColumn { ids: done.tx })),
            column(Kind::Bools(v1::BoolColumn { values: done.added })),
        ]);
        v1::Chunk { row_count: rows as u32, columns, ..Default::default() }
    }
}

/// About how many bytes the value takes.
fn weight(datom: &DatomRef<'_>) -> usize {
    match datom.v {
        ValueRef::String(text) | ValueRef::Symbol(text) | ValueRef::Uri(text) | ValueRef::Keyword(text) => {
            text.len() + 2
        }
        ValueRef::Bytes(bytes) => bytes.len() + 4,
        ValueRef::Uuid(_) => 16,
        ValueRef::Tuple(slots) => slots.len() * 16,
        _ => 8,
    }
}
