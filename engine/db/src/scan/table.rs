//! The transaction table as a sorted source: one column of it, in t order.

use std::cell::Cell;
use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::Arc;

use super::emit;
use super::window::Window;
use crate::Result;
use crate::bootstrap::attr;
use crate::database::{Db, Held};
use crate::datom::DatomRef;
use crate::id::{AttrId, EntityId, T};
use crate::novelty::Seek;
use crate::order::Index;
use crate::range::{Batch, Columns, Key, Range};
use crate::segment::log_leaf::LogLeaf;
use crate::segment::log_tree::LogTree;
use crate::value::ValueRef;

/// An attribute of transaction entities that lives in the transaction table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TableColumn {
    Instant,
    ClientId,
}

impl TableColumn {
    /// Both.
    pub(crate) const ALL: [TableColumn; 2] = [TableColumn::Instant, TableColumn::ClientId];

    pub(crate) fn attr(self) -> AttrId {
        match self {
            TableColumn::Instant => attr::TX_INSTANT,
            TableColumn::ClientId => attr::TX_ID,
        }
    }

    /// The column that an attribute's facts about transactions are in.
    pub(crate) fn of_attr(a: AttrId) -> Option<TableColumn> {
        TableColumn::ALL.into_iter().find(|column| column.attr() == a)
    }
}

/// One column of the transaction table in t order, which is the order of all indexes (of AVET for instants only).
pub(crate) struct TableCursor {
    layers: Vec<Held>,
    log: Option<LogTree>,
    /// the leaf of the log read last
    leaf: Option<Arc<LogLeaf>>,
    index: Index,
    column: TableColumn,
    at: u64,
    end: u64,
    /// the value at `at`, once loaded
    value: Option<ValueRef<'static>>,
}

impl TableCursor {
    /// The rows of `column` in `range` that `window` shows; `None` when there are none. At most O(log n) leaves of the
    /// log are read, and only when the range asks for instants by value.
    pub(crate) fn open(db: &Db, column: TableColumn, window: &Window, range: &Range) -> Result<Option<Self>> {
        let first = window.lo.max(1);
        let last = window.hi.min(db.basis().0);
        if first > last || !may_hold(range, column, first, last) {
            return Ok(None);
        }
        let mut cursor = TableCursor {
            layers: db.layers().to_vec(),
            log: db.base().map(|base| base.log.clone()),
            leaf: None,
            index: range.index,
            column,
            at: first,
            end: last + 1,
            value: None,
        };
        let at = match &range.start {
            Bound::Unbounded => first,
            Bound::Included(key) => cursor.search(key, Ordering::Less)?,
            Bound::Excluded(key) => cursor.search(key, Ordering::Equal)?,
        };
        let end = match &range.end {
            Bound::Unbounded => last + 1,
            Bound::Included(key) => cursor.search(key, Ordering::Equal)?,
            Bound::Excluded(key) => cursor.search(key, Ordering::Less)?,
        };
        (cursor.at, cursor.end) = (at, end);
        Ok((cursor.at < cursor.end).then_some(cursor))
    }

    /// Rows at most.
    pub(crate) fn len(&self) -> u64 {
        self.end - self.at
    }

    /// The first t whose row's order to `key` is greater than `limit`.
    fn search(&mut self, key: &Key, limit: Ordering) -> Result<u64> {
        let key = Seek::of(key);
        let (mut low, mut high) = (self.at, self.end);
        while low < high {
            let middle = low + (high - low) / 2;
            let failed = Cell::new(None);
            let (e, a, index) = (EntityId::of_tx(T(middle)).0, self.column.attr().0, self.index);
            let this = Cell::new(Some(&mut *self));
            let value = || {
                let cursor = this.take().expect("an order looks at the value once");
                // A transaction without a client id stands where its entity stands.
                let value = cursor.value_at(middle).map(|value| value.unwrap_or(ValueRef::Uuid(0)));
                value.unwrap_or_else(|error| {
                    failed.set(Some(error));
                    ValueRef::Uuid(0)
                })
            };
            let order = key.cmp_parts(index, e, a, value);
            if let Some(error) = failed.take() {
                return Err(error);
            }
            if order <= limit {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    fn value_at(&mut self, t: u64) -> Result<Option<ValueRef<'static>>> {
        let (instant, client_id) =
            match self.layers.iter().rev().find(|held| held.layer.base < t && t <= held.upto) {
                Some(held) => {
                    let row = held.layer.row(t);
                    (row.instant, row.client_id)
                }
                None => {
                    let Some(leaf) = self.leaf_of(t)? else { return Ok(None) };
                    let Some(row) = leaf.row_of(T(t)) else { return Ok(None) };
                    (leaf.instant(row), leaf.client_id(row))
                }
            };
        Ok(match self.column {
            TableColumn::Instant => Some(ValueRef::Instant(instant)),
            TableColumn::ClientId => client_id.map(ValueRef::Uuid),
        })
    }

    fn leaf_of(&mut self, t: u64) -> Result<Option<&LogLeaf>> {
        if self.leaf.as_ref().is_none_or(|leaf| leaf.row_of(T(t)).is_none()) {
            let Some(log) = &self.log else { return Ok(None) };
            self.leaf = log.row(T(t))?.map(|(leaf, _)| leaf);
        }
        Ok(self.leaf.as_deref())
    }

    pub(crate) fn load(&mut self) -> Result<()> {
        while self.value.is_none() && self.at < self.end {
            self.value = self.value_at(self.at)?;
            if self.value.is_none() {
                self.at += 1;
            }
        }
        Ok(())
    }

    pub(crate) fn head(&self) -> Option<DatomRef<'_>> {
        let t = T(self.at);
        self.value.map(|v| DatomRef { e: EntityId::of_tx(t), a: self.column.attr(), v, t, added: true })
    }

    pub(crate) fn advance(&mut self) {
        self.at += 1;
        self.value = None;
    }

    pub(crate) fn emit(
        &mut self,
        bound: Option<&DatomRef<'_>>,
        columns: Columns,
        batch: &mut Batch,
    ) -> Result<()> {
        while !emit::is_full(batch)
            && let Some(row) = self.head()
        {
            if bound.is_some_and(|bound| self.index.cmp_eav(&row, bound) != Ordering::Less) {
                return Ok(());
            }
            emit::row(batch, columns, &row);
            self.advance();
            self.load()?;
        }
        Ok(())
    }
}

/// A cheap look at the bounds. Client ids are shown to ranges that name their attribute only.
fn may_hold(range: &Range, column: TableColumn, first: u64, last: u64) -> bool {
    let key = |bound: &Bound<Key>| match bound {
        Bound::Included(key) | Bound::Excluded(key) => (key.e, key.a),
        Bound::Unbounded => (None, None),
    };
    let ((e_start, a_start), (e_end, a_end)) = (key(&range.start), key(&range.end));
    let a = column.attr();
    let named = a_start == Some(a) && a_end == Some(a);
    if range.index != Index::Eavt {
        let inside = a_start.is_none_or(|start| start <= a) && a_end.is_none_or(|end| a <= end);
        return inside && (named || column == TableColumn::Instant);
    }
    let t = |t: u64| EntityId::of_tx(T(t));
    let inside = e_start.is_none_or(|start| start <= t(last)) && e_end.is_none_or(|end| t(first) <= end);
    inside && (column == TableColumn::Instant || (named && e_start.is_some() && e_start == e_end))
}
