//! Sorted sources of a scan: runs of novelty, trees, the transaction table.

use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::Arc;

use super::emit;
use super::table::TableCursor;
use super::tree::{Role, TreeCursor};
use super::window::{Mark, Marks, Window};
use crate::Result;
use crate::database::Held;
use crate::datom::DatomRef;
use crate::novelty::run::gallop;
use crate::novelty::{Closings, Event, Layer, Run, Seek};
use crate::range::{Batch, Columns, Range};

/// A sorted source, positioned at a row.
pub(crate) enum Cursor {
    Run(RunCursor),
    Tree(TreeCursor),
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
    /// rows that the view does not show may be passed over
    skips: bool,
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
    /// Makes sure that the head, and the whole of its fact, is in memory. Before anything else, and after every move.
    pub(crate) fn load(&mut self) -> Result<()> {
        match self {
            Cursor::Run(_) => Ok(()),
            Cursor::Tree(tree) => tree.load(),
            Cursor::Table(table) => table.load(),
        }
    }

    pub(crate) fn head(&self) -> Option<DatomRef<'_>> {
        match self {
            Cursor::Run(run) => run.row(run.at),
            Cursor::Tree(tree) => tree.head(),
            Cursor::Table(table) => table.head(),
        }
    }

    /// What it emits holds unless another source ends it, and what it ends itself it can tell.
    pub(crate) fn nets_alone(&self) -> bool {
        match self {
            Cursor::Run(_) => true,
            Cursor::Tree(tree) => tree.role() != Role::Closing,
            Cursor::Table(_) => false,
        }
    }

    /// The facts of older sources that it ends.
    pub(crate) fn closings(&self, closings: &mut Closings) {
        if let Cursor::Run(run) = self {
            run.closings(closings);
        }
    }

    /// Its rows are intervals whose two ends a history view shows apart.
    pub(crate) fn shows_facts_only(&self, window: &Window) -> bool {
        matches!(self, Cursor::Tree(tree) if tree.is_history() && window.history)
    }

    /// Emits rows from the head on that come before `bound` (`None`: all), until the batch is full or more must be
    /// loaded.
    pub(crate) fn emit(
        &mut self,
        bound: Option<&DatomRef<'_>>,
        columns: Columns,
        window: &Window,
        batch: &mut Batch,
    ) -> Result<()> {
        match self {
            Cursor::Run(run) => {
                let to = bound.map_or(run.end, |bound| run.before(bound));
                emit::run(run, to, columns, window, batch);
                run.go_to(run.at);
                Ok(())
            }
            Cursor::Tree(tree) => {
                tree.emit(bound, columns, batch);
                Ok(())
            }
            Cursor::Table(table) => table.emit(bound, columns, batch),
        }
    }

    /// The marks of the head's own fact; how many rows they are.
    pub(crate) fn peek_fact(&self, marks: &mut Marks) -> usize {
        match self {
            Cursor::Run(run) => run.peek_fact(marks),
            Cursor::Tree(tree) => tree.peek_fact(marks),
            Cursor::Table(table) => {
                marks.extend(table.head().map(|row| Mark { t: row.t.0, added: true, unkept: false }));
                1
            }
        }
    }

    pub(crate) fn advance(&mut self, rows: usize) {
        match self {
            Cursor::Run(run) => run.go_to(run.at + rows),
            Cursor::Tree(tree) => tree.advance(rows),
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
        if run.t_min > span.read {
            return None;
        }
        let events = layer.events();
        let at = match &range.start {
            Bound::Unbounded => 0,
            Bound::Included(key) => run.lower(events, &Seek::of(key)),
            Bound::Excluded(key) => run.upper(events, &Seek::of(key)),
        };
        let end = match &range.end {
            end if *end == range.start && *end != Bound::Unbounded => match end {
                Bound::Included(key) => run.upper_near(events, &Seek::of(key), at),
                _ => at,
            },
            Bound::Unbounded => run.len(),
            Bound::Included(key) => run.upper(events, &Seek::of(key)),
            Bound::Excluded(key) => run.lower(events, &Seek::of(key)),
        };
        let clear = (run.plain || history) && span.covers(run);
        let (layer, run) = (layer.clone(), run.clone());
        (at < end).then_some(RunCursor { layer, run, at, end, span, clear, skips: false })
    }

    /// Says that the rows are going to be read by a view that nets: a run that is read often becomes columns, and what
    /// the view does not show of it is passed over, unless facts have to be judged one by one.
    pub(crate) fn warm(&mut self, careful: bool) {
        self.run.seen(self.layer.events(), &self.span, self.layer.tuning.tail, self.end - self.at);
        self.skips = !careful && !self.span.covers(&self.run);
        self.go_to(self.at);
    }

    fn closings(&self, closings: &mut Closings) {
        if self.run.plain {
            return;
        }
        let mut close = |event: &Event, t: u32| {
            if t <= self.span.hi {
                closings.push(event.e, event.v(), self.layer.base + u64::from(t));
            }
        };
        match self.run.ready(&self.span) {
            Some(seen) => {
                let Some(lines) = seen.lines.closings.as_deref() else { return };
                for line in lines.line_at(self.at)..lines.line_at(self.end) {
                    close(self.event(lines.row_of(line)), lines.t[line]);
                }
            }
            None => self.run.closings(self.layer.events(), self.at..self.end, close),
        }
    }

    /// Puts the head at row `at`, or at the next one that is shown.
    fn go_to(&mut self, at: usize) {
        self.at = at;
        if self.skips && self.at < self.end {
            let next = self.run.ready(&self.span).and_then(|seen| seen.next_shown(self.at, self.end));
            self.at = next.unwrap_or(at);
        }
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
