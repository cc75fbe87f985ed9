//! What part of an index a scan reads, and the batches it yields.

use std::ops::Bound;

use crate::column::Column;
use crate::id::{AttrId, EntityId};
use crate::order::Index;
use crate::value::{Value, ValueType};

/// A prefix of an index's components: in EAVT e, a, v; in AEVT a, e, v; in AVET a, v, e. Components after the first
/// missing one are ignored. As a start, missing components are the least; as an inclusive end, the greatest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Key {
    /// entity
    pub e: Option<EntityId>,
    /// attribute
    pub a: Option<AttrId>,
    /// value
    pub v: Option<Value>,
}

/// A contiguous part of an index, in index order.
#[derive(Clone, Debug)]
pub struct Range {
    /// which index
    pub index: Index,
    /// where it starts
    pub start: Bound<Key>,
    /// where it ends
    pub end: Bound<Key>,
}

impl Range {
    /// The whole index.
    #[must_use]
    pub fn all(index: Index) -> Range {
        Range { index, start: Bound::Unbounded, end: Bound::Unbounded }
    }

    /// Everything under one prefix.
    #[must_use]
    pub fn prefix(index: Index, key: Key) -> Range {
        Range { index, start: Bound::Included(key.clone()), end: Bound::Included(key) }
    }

    /// From a prefix to the end of the index.
    #[must_use]
    pub fn seek(index: Index, key: Key) -> Range {
        Range { index, start: Bound::Included(key), end: Bound::Unbounded }
    }

    /// All datoms of an entity (EAVT).
    #[must_use]
    pub fn entity(e: EntityId) -> Range {
        Range::prefix(Index::Eavt, Key { e: Some(e), ..Key::default() })
    }

    /// The values of one attribute of one entity (EAVT).
    #[must_use]
    pub fn entity_attr(e: EntityId, a: AttrId) -> Range {
        Range::prefix(Index::Eavt, Key { e: Some(e), a: Some(a), v: None })
    }

    /// All datoms of an attribute by entity (AEVT).
    #[must_use]
    pub fn attr(a: AttrId) -> Range {
        Range::prefix(Index::Aevt, Key { a: Some(a), ..Key::default() })
    }

    /// All datoms of an attribute by value (AVET).
    #[must_use]
    pub fn attr_by_value(a: AttrId) -> Range {
        Range::prefix(Index::Avet, Key { a: Some(a), ..Key::default() })
    }

    /// The entities with one value of an attribute (AVET).
    #[must_use]
    pub fn attr_value(a: AttrId, v: Value) -> Range {
        Range::prefix(Index::Avet, Key { e: None, a: Some(a), v: Some(v) })
    }

    /// The datoms of an attribute whose value lies between two bounds (AVET).
    #[must_use]
    pub fn attr_values(a: AttrId, start: Bound<Value>, end: Bound<Value>) -> Range {
        let key = |v: Value| Key { e: None, a: Some(a), v: Some(v) };
        let attr = Key { a: Some(a), ..Key::default() };
        let bound = |bound: Bound<Value>| match bound {
            Bound::Included(v) => Bound::Included(key(v)),
            Bound::Excluded(v) => Bound::Excluded(key(v)),
            Bound::Unbounded => Bound::Included(attr.clone()),
        };
        Range { index: Index::Avet, start: bound(start), end: bound(end) }
    }
}

/// Which columns a scan fills; the rest stay empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Columns(u8);

impl Columns {
    /// entities
    pub const E: Columns = Columns(1);
    /// attributes
    pub const A: Columns = Columns(2);
    /// values
    pub const V: Columns = Columns(4);
    /// transactions
    pub const T: Columns = Columns(8);
    /// asserted or retracted
    pub const ADDED: Columns = Columns(16);
    /// all five
    pub const ALL: Columns = Columns(31);
    /// none: only the number of rows counts
    pub const NONE: Columns = Columns(0);

    /// Both.
    #[must_use]
    pub const fn with(self, other: Columns) -> Columns {
        Columns(self.0 | other.0)
    }

    /// True when all of `other` are asked for.
    #[must_use]
    pub const fn has(self, other: Columns) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Rows of a scan, column-wise. Columns that were not asked for are empty; `rows` counts.
#[derive(Clone, Debug)]
pub struct Batch {
    /// rows in this batch
    pub rows: usize,
    /// entities
    pub e: Vec<u64>,
    /// attributes
    pub a: Vec<u32>,
    /// values
    pub v: Column,
    /// transaction numbers
    pub t: Vec<u64>,
    /// asserted or retracted
    pub added: Vec<bool>,
}

/// The most rows a scan puts in one batch.
pub const BATCH_ROWS: usize = 2048;

impl Batch {
    /// An empty batch whose value column is fit for `ty` (`None`: mixed).
    #[must_use]
    pub fn new(ty: Option<ValueType>) -> Batch {
        let v = Column::of(ty);
        Batch { rows: 0, e: Vec::new(), a: Vec::new(), v, t: Vec::new(), added: Vec::new() }
    }

    /// Drops some rows, given ascending.
    pub(crate) fn drop_rows(&mut self, dropped: &[u32]) {
        let kept = kept(self.rows, dropped);
        self.rows = kept.len();
        pick(&mut self.e, &kept);
        pick(&mut self.a, &kept);
        pick(&mut self.t, &kept);
        pick(&mut self.added, &kept);
        if !self.v.is_empty() {
            self.v = self.v.gather(&kept);
        }
    }

    /// Drops the rows; keeps the type of the value column and what was allocated.
    pub fn clear(&mut self) {
        self.rows = 0;
        self.e.clear();
        self.a.clear();
        self.v.clear();
        self.t.clear();
        self.added.clear();
    }
}

/// The rows but some.
fn kept(rows: usize, dropped: &[u32]) -> Vec<u32> {
    let mut dropped = dropped.iter().copied().peekable();
    (0..rows as u32).filter(|row| dropped.next_if_eq(row).is_none()).collect()
}

/// Leaves some rows of a column that is filled.
fn pick<T: Copy>(column: &mut Vec<T>, rows: &[u32]) {
    if !column.is_empty() {
        *column = rows.iter().map(|&row| column[row as usize]).collect();
    }
}

/// What a batched look-up found: row `i` says that input number `input[i]` has this row. Inputs in order; an input
/// may have no row or several.
#[derive(Clone, Debug)]
pub struct Probe {
    /// position in the probed keys
    pub input: Vec<u32>,
    /// entities (look-up by value)
    pub e: Vec<u64>,
    /// values (look-up by entity)
    pub v: Column,
    /// transaction numbers, if asked for
    pub t: Vec<u64>,
}

impl Probe {
    /// Drops some rows, given ascending.
    pub(crate) fn drop_rows(&mut self, dropped: &[u32]) {
        let kept = kept(self.input.len(), dropped);
        pick(&mut self.input, &kept);
        pick(&mut self.e, &kept);
        pick(&mut self.t, &kept);
        if !self.v.is_empty() {
            self.v = self.v.gather(&kept);
        }
    }
}
