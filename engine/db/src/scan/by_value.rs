//! An attribute by value without AVET: its AEVT range, sorted. What AVET ranges fall back to.

use std::cmp::Ordering;
use std::ops::Bound;

use super::emit;
use crate::datom::{Datom, DatomRef};
use crate::id::{AttrId, EntityId, T};
use crate::novelty::Seek;
use crate::order::Index;
use crate::range::{Batch, Columns, Range};

/// Materialised rows in AVET order. O(n log n) in the attribute's datoms, memory O(rows in range).
#[derive(Default)]
pub(crate) struct ByValue {
    rows: Vec<Datom>,
    at: usize,
}

impl ByValue {
    /// Takes the rows of an AEVT batch of attribute `a` that lie in the AVET range `range`.
    pub(crate) fn take(&mut self, a: AttrId, range: &Range, batch: &Batch) {
        for i in 0..batch.rows {
            let (e, t) = (EntityId(batch.e[i]), T(batch.t[i]));
            let row = DatomRef { e, a, v: batch.v.get(i), t, added: batch.added[i] };
            if contains(range, &row) {
                self.rows.push(row.to_datom());
            }
        }
    }

    pub(crate) fn sort(&mut self) {
        self.rows.sort_unstable_by(|x, y| Index::Avet.cmp(&x.as_ref(), &y.as_ref()));
    }

    pub(crate) fn fill(&mut self, columns: Columns, batch: &mut Batch) {
        while let Some(datom) = self.rows.get(self.at)
            && !emit::is_full(batch)
        {
            emit::row(batch, columns, &datom.as_ref());
            self.at += 1;
        }
    }
}

/// True when `row` lies in `range`.
pub(crate) fn contains(range: &Range, row: &DatomRef<'_>) -> bool {
    let order = |key| Seek::of(key).cmp_row(range.index, row);
    let after_start = match &range.start {
        Bound::Unbounded => true,
        Bound::Included(key) => order(key) != Ordering::Less,
        Bound::Excluded(key) => order(key) == Ordering::Greater,
    };
    after_start
        && match &range.end {
            Bound::Unbounded => true,
            Bound::Included(key) => order(key) != Ordering::Greater,
            Bound::Excluded(key) => order(key) == Ordering::Less,
        }
}
