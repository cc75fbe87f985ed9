//! Sorted sources of a scan: runs of novelty, the transaction table.

use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::Arc;

use super::emit;
use super::window::{Mark, Marks, Window};
use crate::bootstrap::attr;
use crate::database::Held;
use crate::datom::DatomRef;
use crate::id::{AttrId, EntityId, T};
use crate::novelty::run::gallop;
use crate::novelty::{Event, Layer, Run, Seek};
use crate::order::Index;
use crate::range::{Batch, Columns, Key, Range};
use crate::value::ValueRef;

/// A sorted source, positioned at a row.
pub(crate) enum Cursor {
    Run(RunCursor),
    Table(TableCursor),
}

/// A part of a run.
pub(crate) struct RunCursor {
    pub(crate) layer: Arc<Layer>,
    pub(crate) run: Arc<Run>,
    pub(crate) at: usize,
    pub(crate) end: usize,
    /// the events shown, relative to the layer's base
    pub(crate) span: Span,
    /// every row of the run is shown as it is
    pub(crate) clear: bool,
}

/// The t that a view shows of a layer, relative to its base, both inclusive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) lo: u32,
    pub(crate) hi: u32,
    /// up to where events are read
    pub(crate) read: u32,
}

impl Span {
    /// `None` when no event of the layer is read.
    pub(crate) fn of(window: &Window, held: &Held) -> Option<Span> {
        let relative = |t: u64| u32::try_from(t.min(held.upto) - held.layer.base).unwrap_or(u32::MAX);
        if window.read < held.layer.base || window.lo > held.upto {
            return None;
        }
        let lo = u32::try_from(window.lo.saturating_sub(held.layer.base)).unwrap_or(u32::MAX);
        let hi = if window.hi < held.layer.base { 0 } else { relative(window.hi) };
        Some(Span { lo, hi, read: relative(window.read) })
    }

    pub(crate) fn shows(&self, event: &Event) -> bool {
        self.lo <= event.t && event.t <= self.hi
    }

    /// Every event of `run` is shown.
    pub(crate) fn covers(&self, run: &Run) -> bool {
        self.lo <= run.t_min && run.t_max <= self.hi
    }
}

impl Cursor {
    pub(crate) fn head(&self) -> Option<DatomRef<'_>> {
        match self {
            Cursor::Run(run) => run.row(run.at),
            Cursor::Table(table) => table.head(),
        }
    }

    /// Emits rows from the head on that come before `bound` (`None`: all), until the batch is full.
    pub(crate) fn emit(
        &mut self,
        bound: Option<&DatomRef<'_>>,
        columns: Columns,
        window: &Window,
        batch: &mut Batch,
    ) {
        match self {
            Cursor::Run(run) => {
                let to = bound.map_or(run.end, |bound| run.before(bound));
                emit::run(run, to, columns, window, batch);
            }
            Cursor::Table(table) => table.emit(bound, columns, batch),
        }
    }

    /// The marks of the head's own fact; how many rows they are.
    pub(crate) fn peek_fact(&self, marks: &mut Marks) -> usize {
        match self {
            Cursor::Run(run) => run.peek_fact(marks),
            Cursor::Table(table) => {
                marks.extend(table.head().map(|row| Mark { t: row.t.0, added: true, unkept: false }));
                1
            }
        }
    }

    pub(crate) fn advance(&mut self, rows: usize) {
        match self {
            Cursor::Run(run) => run.at += rows,
            Cursor::Table(table) => table.advance(),
        }
    }
}

impl RunCursor {
    /// The rows of `run` in `range`; `None` when there are none.
    pub(crate) fn open(
        layer: &Arc<Layer>,
        run: &Arc<Run>,
        span: Span,
        range: &Range,
        history: bool,
    ) -> Option<Self> {
        let events = layer.events();
        let at = match &range.start {
            Bound::Unbounded => 0,
            Bound::Included(key) => run.lower(events, &Seek::of(key)),
            Bound::Excluded(key) => run.upper(events, &Seek::of(key)),
        };
        let end = match &range.end {
            Bound::Unbounded => run.len(),
            Bound::Included(key) => run.upper(events, &Seek::of(key)),
            Bound::Excluded(key) => run.lower(events, &Seek::of(key)),
        };
        let clear = (run.plain || history) && span.covers(run);
        (at < end).then(|| RunCursor { layer: layer.clone(), run: run.clone(), at, end, span, clear })
    }

    pub(crate) fn event(&self, i: usize) -> &Event {
        &self.layer.events()[self.run.positions[i] as usize]
    }

    fn row(&self, i: usize) -> Option<DatomRef<'_>> {
        (i < self.end).then(|| self.event(i).datom(self.layer.base))
    }

    /// The first row not before `bound`'s fact.
    fn before(&self, bound: &DatomRef<'_>) -> usize {
        let events = self.layer.events();
        gallop(&self.run.positions[..self.end], self.at, |&at| {
            let row = events[at as usize].datom(self.layer.base);
            self.run.index.cmp_eav(&row, bound) == Ordering::Less
        })
    }

    fn peek_fact(&self, marks: &mut Marks) -> usize {
        let head = self.event(self.at);
        let mut rows = 0;
        while self.at + rows < self.end {
            let event = self.event(self.at + rows);
            if rows > 0 && !event.same_fact(head) {
                break;
            }
            if event.t <= self.span.read {
                let t = self.layer.base + u64::from(event.t);
                marks.push(Mark { t, added: event.added(), unkept: event.unkept() });
            }
            rows += 1;
        }
        rows
    }
}

/// An attribute of transaction entities that lives in the transaction table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TableColumn {
    Instant,
    ClientId,
}

impl TableColumn {
    pub(crate) fn attr(self) -> AttrId {
        match self {
            TableColumn::Instant => attr::TX_INSTANT,
            TableColumn::ClientId => attr::TX_ID,
        }
    }

    /// The column that a range reads: the instants with everything, the client ids only when asked for by name.
    pub(crate) fn of_attr(a: AttrId) -> Option<TableColumn> {
        [TableColumn::Instant, TableColumn::ClientId].into_iter().find(|column| column.attr() == a)
    }
}

/// One column of the transaction table, in t order, which is the order of all indexes (of AVET for instants only).
pub(crate) struct TableCursor {
    layers: Vec<Held>,
    index: Index,
    column: TableColumn,
    at: u64,
    end: u64,
}

impl TableCursor {
    /// The rows of `column` in `range` that `window` shows; `None` when there are none.
    pub(crate) fn open(layers: &[Held], column: TableColumn, window: &Window, range: &Range) -> Option<Self> {
        let newest = layers.last().map_or(0, |held| held.upto);
        let first = window.lo.max(1);
        let last = window.hi.min(newest);
        if first > last || !may_hold(range, column) {
            return None;
        }
        let mut cursor =
            TableCursor { layers: layers.to_vec(), index: range.index, column, at: first, end: last + 1 };
        let at = match &range.start {
            Bound::Unbounded => first,
            Bound::Included(key) => cursor.search(key, Ordering::Less),
            Bound::Excluded(key) => cursor.search(key, Ordering::Equal),
        };
        let end = match &range.end {
            Bound::Unbounded => last + 1,
            Bound::Included(key) => cursor.search(key, Ordering::Equal),
            Bound::Excluded(key) => cursor.search(key, Ordering::Less),
        };
        (cursor.at, cursor.end) = (at, end);
        cursor.skip_gaps();
        (cursor.at < cursor.end).then_some(cursor)
    }

    /// The first t whose row's order to `key` is greater than `limit`.
    fn search(&self, key: &Key, limit: Ordering) -> u64 {
        let key = Seek::of(key);
        let (mut low, mut high) = (self.at, self.end);
        while low < high {
            let middle = low + (high - low) / 2;
            // A transaction without a client id stands where its entity stands.
            let row = self.row(middle).unwrap_or(self.with_value(middle, ValueRef::Uuid(0)));
            if key.cmp_row(self.index, &row) <= limit {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    fn row(&self, t: u64) -> Option<DatomRef<'_>> {
        let held = self.layers.iter().rev().find(|held| held.layer.base < t)?;
        let row = held.layer.row(t);
        match self.column {
            TableColumn::Instant => Some(self.with_value(t, ValueRef::Instant(row.instant))),
            TableColumn::ClientId => row.client_id.map(|id| self.with_value(t, ValueRef::Uuid(id))),
        }
    }

    fn with_value<'v>(&self, t: u64, v: ValueRef<'v>) -> DatomRef<'v> {
        DatomRef { e: EntityId::of_tx(T(t)), a: self.column.attr(), v, t: T(t), added: true }
    }

    /// Rows at most.
    pub(crate) fn len(&self) -> u64 {
        self.end - self.at
    }

    fn head(&self) -> Option<DatomRef<'_>> {
        if self.at < self.end { self.row(self.at) } else { None }
    }

    fn advance(&mut self) {
        self.at += 1;
        self.skip_gaps();
    }

    fn skip_gaps(&mut self) {
        while self.at < self.end && self.row(self.at).is_none() {
            self.at += 1;
        }
    }

    fn emit(&mut self, bound: Option<&DatomRef<'_>>, columns: Columns, batch: &mut Batch) {
        while !emit::is_full(batch)
            && let Some(row) = self.head()
        {
            if bound.is_some_and(|bound| self.index.cmp_eav(&row, bound) != Ordering::Less) {
                return;
            }
            emit::row(batch, columns, &row);
            self.advance();
        }
    }
}

/// Client ids are shown to ranges that name their attribute only.
fn may_hold(range: &Range, column: TableColumn) -> bool {
    if column == TableColumn::Instant {
        return true;
    }
    let names = |bound: &Bound<Key>| match bound {
        Bound::Included(key) | Bound::Excluded(key) => key.a == Some(column.attr()),
        Bound::Unbounded => false,
    };
    names(&range.start) && names(&range.end) && (range.index != Index::Eavt || same_entity(range))
}

fn same_entity(range: &Range) -> bool {
    let e = |bound: &Bound<Key>| match bound {
        Bound::Included(key) | Bound::Excluded(key) => key.e,
        Bound::Unbounded => None,
    };
    e(&range.start).is_some() && e(&range.start) == e(&range.end)
}
