//! A tree as a sorted source: leaves one after the other, their rows judged by the window and copied column-wise.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::ops::{Bound, Range as Rows};
use std::sync::Arc;

use super::by_value::contains;
use super::emit;
use super::window::{Mark, Marks, Window};
use crate::Result;
use crate::datom::DatomRef;
use crate::range::{BATCH_ROWS, Batch, Columns, Key, Range};
use crate::segment::{Leaf, Span, Tree};
use crate::value::{Value, ValueType};

/// What a tree's rows are to a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// live datoms
    Current,
    /// closed intervals
    History,
    /// closed intervals of a younger level, which may end what an older level has as live
    Closing,
}

/// A part of a tree.
pub(crate) struct TreeCursor {
    tree: Tree,
    role: Role,
    window: Window,
    range: Range,
    /// `range` is wider than what was asked for, which is this
    asked: Option<Range>,
    /// leaves not yet read
    leaves: Rows<usize>,
    /// what was read of the range, the head first; no part is empty
    parts: VecDeque<Part>,
}

struct Part {
    leaf: Arc<Leaf>,
    rows: Rows<usize>,
    /// every row is shown as it is
    clear: bool,
}

impl Part {
    /// The first of `rows` that the view shows by itself; their end if there is none.
    fn next_shown(&self, role: Role, window: &Window, mut rows: Rows<usize>) -> usize {
        let end = rows.end;
        let found = match self.leaf.ready() {
            Some(dense) => dense.seen(window, self.clear).and_then(|seen| rows.find(|&row| seen.shows(row))),
            None => rows.find(|&row| is_shown(role, window, &self.leaf, row)),
        };
        found.unwrap_or(end)
    }
}

/// How many leaves a scan announces to the port ahead of reading them.
const PREFETCH_LEAVES: usize = 8;

impl TreeCursor {
    pub(crate) fn open(tree: &Tree, role: Role, window: &Window, range: &Range) -> Option<TreeCursor> {
        let wide = widened(range);
        let asked = wide.is_some().then(|| range.clone());
        let range = wide.unwrap_or_else(|| range.clone());
        let leaves = tree.leaf_range(&range);
        let (tree, window) = (tree.clone(), *window);
        (!leaves.is_empty()).then(|| TreeCursor {
            tree,
            role,
            window,
            range,
            asked,
            leaves,
            parts: VecDeque::new(),
        })
    }

    pub(crate) fn role(&self) -> Role {
        self.role
    }

    pub(crate) fn is_history(&self) -> bool {
        self.role != Role::Current
    }

    /// Rows that are not shown say nothing about those that are, so they may be passed over.
    fn skips(&self) -> bool {
        !self.window.history && !self.window.careful && self.role != Role::Closing
    }

    pub(crate) fn load(&mut self) -> Result<()> {
        loop {
            self.drop_unshown();
            if !self.parts.is_empty() || self.leaves.is_empty() {
                break;
            }
            self.read_leaf()?;
        }
        // Intervals of one fact may go on in the next leaf.
        while self.is_history() && !self.leaves.is_empty() && self.head_fills_parts() {
            self.read_leaf()?;
        }
        Ok(())
    }

    fn drop_unshown(&mut self) {
        let skips = self.skips();
        while let Some(part) = self.parts.front_mut() {
            if skips && !part.clear {
                part.rows.start = part.next_shown(self.role, &self.window, part.rows.clone());
            }
            if !part.rows.is_empty() {
                return;
            }
            self.parts.pop_front();
        }
    }

    fn head_fills_parts(&self) -> bool {
        let (Some(head), Some(last)) = (self.head(), self.parts.back()) else { return false };
        let last = last.leaf.row(last.rows.end - 1);
        self.tree.index().cmp_eav(&head, &last) == Ordering::Equal
    }

    fn read_leaf(&mut self) -> Result<()> {
        let Some(at) = self.leaves.next() else { return Ok(()) };
        if !self.leaves.is_empty() && at % PREFETCH_LEAVES == 0 {
            self.tree.prefetch(self.leaves.start..self.leaves.end.min(self.leaves.start + PREFETCH_LEAVES));
        }
        let span = self.tree.entries()[at].span;
        if self.skips() && shows_nothing(self.role, &self.window, &span) {
            return Ok(());
        }
        let leaf = self.tree.leaf(at)?;
        let mut rows = leaf.rows(&self.range);
        if let Some(asked) = &self.asked {
            let inside = |i: &usize| contains(asked, &leaf.row(*i));
            let start = rows.clone().find(inside).unwrap_or(rows.end);
            rows = start..rows.clone().rev().find(inside).map_or(start, |last| last + 1);
        }
        if !rows.is_empty() {
            let clear = self.role == Role::Current && self.tree.covers(at, &self.window);
            self.tree.dense(at, &leaf, rows.len());
            self.parts.push_back(Part { leaf, rows, clear });
        }
        Ok(())
    }

    pub(crate) fn head(&self) -> Option<DatomRef<'_>> {
        self.parts.front().map(|part| part.leaf.row(part.rows.start))
    }

    /// Emits rows of the first leaf that are shown and come before `bound`, until the batch is full.
    pub(crate) fn emit(&mut self, bound: Option<&DatomRef<'_>>, columns: Columns, batch: &mut Batch) {
        let Some(part) = self.parts.front_mut() else { return };
        let index = self.tree.index();
        let before = |bound: &DatomRef<'_>| {
            gallop(part.rows.clone(), |i| index.cmp_eav(&part.leaf.row(i), bound) == Ordering::Less)
        };
        let to = bound.map_or(part.rows.end, before);
        if let Some(dense) = part.leaf.ready() {
            part.rows.start = match dense.seen(&self.window, part.clear) {
                Some(seen) => emit::lines_shown(seen, dense.base, part.rows.start..to, columns, batch),
                None => to,
            };
            return;
        }
        if part.clear {
            let end = to.min(part.rows.start + BATCH_ROWS - batch.rows);
            part.leaf.slice_into(part.rows.start..end, columns, batch);
            part.rows.start = end;
            return;
        }
        let shown = |i: usize| is_shown(self.role, &self.window, &part.leaf, i);
        while part.rows.start < to && batch.rows < BATCH_ROWS {
            let start = part.rows.start;
            let most = to.min(start + BATCH_ROWS - batch.rows);
            let end = (start..most).find(|&i| !shown(i)).unwrap_or(most);
            part.leaf.slice_into(start..end, columns, batch);
            part.rows.start = (end..to).find(|&i| shown(i)).unwrap_or(to);
        }
    }

    /// The marks of the head's fact; how many rows they come from. All of them are loaded.
    pub(crate) fn peek_fact(&self, marks: &mut Marks) -> usize {
        let Some(head) = self.head() else { return 0 };
        let rows = self.parts.iter().flat_map(|part| part.rows.clone().map(move |i| (&part.leaf, i)));
        let mut count = 0;
        for (leaf, i) in rows {
            if count > 0 && self.tree.index().cmp_eav(&leaf.row(i), &head) != Ordering::Equal {
                break;
            }
            push_marks(leaf, i, marks);
            count += 1;
        }
        count
    }

    pub(crate) fn advance(&mut self, mut rows: usize) {
        while let Some(part) = self.parts.front_mut() {
            let passed = rows.min(part.rows.len());
            part.rows.start += passed;
            rows -= passed;
            if !part.rows.is_empty() {
                return;
            }
            self.parts.pop_front();
        }
    }
}

/// The events that a row stands for.
pub(crate) fn push_marks(leaf: &Leaf, i: usize, marks: &mut Marks) {
    let mark = |t: u64, added: bool| Mark { t, added, unkept: false };
    marks.push(mark(leaf.t(i).0, true));
    marks.extend(leaf.ended(i).map(|t| mark(t.0, false)));
}

/// Row `i` by itself is what the view shows of its fact.
fn is_shown(role: Role, window: &Window, leaf: &Leaf, i: usize) -> bool {
    window.shows(leaf.t(i).0) && (role == Role::Current || leaf.ended(i).is_some_and(|t| t.0 > window.hi))
}

fn shows_nothing(role: Role, window: &Window, span: &Span) -> bool {
    span.added_min.0 > window.hi
        || span.added_max.0 < window.lo
        || (role == Role::History && span.ended_max.0 <= window.hi)
}

/// Trees search by index order, where decimals of one value and several scales stand apart; ranges mean them all. A
/// range with such a bound is read from one component less.
pub(crate) fn widened(range: &Range) -> Option<Range> {
    let scaled = |key: &Key| {
        key.v.as_ref().is_some_and(|v| matches!(v.value_type(), ValueType::BigDec | ValueType::Tuple))
    };
    let wide = |bound: &Bound<Key>| match bound {
        Bound::Included(key) | Bound::Excluded(key) if scaled(key) => {
            let v: Option<Value> = None;
            let e = key.e.filter(|_| range.index != crate::Index::Avet);
            Some(Bound::Included(Key { v, e, a: key.a }))
        }
        _ => None,
    };
    let (start, end) = (wide(&range.start), wide(&range.end));
    if start.is_none() && end.is_none() {
        return None;
    }
    let start = start.unwrap_or_else(|| range.start.clone());
    let end = end.unwrap_or_else(|| range.end.clone());
    Some(Range { index: range.index, start, end })
}

/// The first of `rows` for which `before` fails, looking near the front first.
pub(crate) fn gallop(rows: Rows<usize>, before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut step) = (rows.start, 1);
    while low + step <= rows.end && before(low + step - 1) {
        low += step;
        step *= 2;
    }
    let mut high = (low + step - 1).min(rows.end);
    while low < high {
        let middle = low + (high - low) / 2;
        if before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}
