//! Where batched look-ups look: the rows of one attribute in one run or one tree, passed forward.

use std::cmp::Ordering;
use std::ops::Range as Rows;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::Result;
use crate::database::Held;
use crate::database::trees::Row;
use crate::id::{AttrId, EntityId};
use crate::novelty::event::cmp_class;
use crate::novelty::run::gallop;
use crate::novelty::{Event, Layer, Run, Seek};
use crate::range::Key;
use crate::scan::cursor::Span;
use crate::scan::tree::{self, Role, push_marks};
use crate::scan::window::{Mark, Marks, Window};
use crate::segment::{Leaf, Tree};
use crate::value::{ValueRef, ValueType};

/// One key of a look-up: an entity (AEVT) or a value (AVET) of the attribute.
pub(super) struct Wanted<'k> {
    pub(super) e: Option<u64>,
    pub(super) v: Option<ValueRef<'k>>,
}

/// A source that was sought up to some key.
pub(super) enum Source<'a> {
    Run(RunSource<'a>),
    Tree(TreeSource<'a>),
}

impl<'a> Source<'a> {
    /// Goes forward to the rows of `key`; how many they are.
    pub(super) fn seek(&mut self, key: &Wanted<'_>) -> Result<usize> {
        match self {
            Source::Run(run) => Ok(run.seek(key)),
            Source::Tree(tree) => tree.seek(key),
        }
    }

    /// Every row is shown as it is.
    pub(super) fn is_clear(&self) -> bool {
        match self {
            Source::Run(run) => run.clear,
            Source::Tree(tree) => tree.clear,
        }
    }

    /// Hands out row `i` of those sought.
    pub(super) fn show(&self, i: usize, found: &mut impl FnMut(u64, ValueRef<'_>, u64)) {
        match self {
            Source::Run(run) => {
                let event = run.event(run.at + i);
                found(event.e, event.v(), run.t(event));
            }
            Source::Tree(tree) => {
                let (leaf, i) = tree.row(i);
                found(leaf.e(i).0, leaf.v(i), leaf.t(i).0);
            }
        }
    }

    /// The events of the rows sought.
    pub(super) fn marks<'s>(&'s self, rows: usize, events: &mut SmallVec<[(Row<'s>, Mark); 8]>) {
        match self {
            Source::Run(run) => events.extend(run.marks(rows)),
            Source::Tree(tree) => {
                let mut marks = Marks::new();
                for (leaf, i) in (0..rows).map(|i| tree.row(i)) {
                    marks.clear();
                    push_marks(leaf, i, &mut marks);
                    events.extend(marks.iter().map(|mark| (Row::Leaf(leaf, i), *mark)));
                }
            }
        }
    }
}

/// The rows of one attribute in one run, from the newest key on.
pub(super) struct RunSource<'a> {
    layer: &'a Layer,
    run: Arc<Run>,
    at: usize,
    end: usize,
    span: Span,
    clear: bool,
}

impl<'a> RunSource<'a> {
    pub(super) fn open(
        held: &'a Held,
        run: &Arc<Run>,
        span: Span,
        seek: &Seek<'_>,
        window: &Window,
    ) -> Option<RunSource<'a>> {
        let layer = &*held.layer;
        let (at, end) = (run.lower(layer.events(), seek), run.upper(layer.events(), seek));
        let clear = run.plain && span.covers(run) && !window.careful;
        (at < end).then(|| RunSource { layer, run: run.clone(), at, end, span, clear })
    }

    fn event(&self, i: usize) -> &'a Event {
        &self.layer.events()[self.run.positions[i] as usize]
    }

    fn seek(&mut self, key: &Wanted<'_>) -> usize {
        match (key.e, key.v) {
            (Some(e), _) => self.pass(|event| event.e.cmp(&e)),
            (None, Some(v)) => self.pass(|event| cmp_class(&event.v(), &v)),
            (None, None) => 0,
        }
    }

    /// Goes to the first row that is not less; how many are equal.
    fn pass(&mut self, order: impl Fn(&Event) -> Ordering) -> usize {
        let events = self.layer.events();
        let below = |&at: &u32| order(&events[at as usize]) == Ordering::Less;
        self.at = gallop(&self.run.positions[..self.end], self.at, below);
        (self.at..self.end).take_while(|&i| order(self.event(i)) == Ordering::Equal).count()
    }

    fn t(&self, event: &Event) -> u64 {
        self.layer.base + u64::from(event.t)
    }

    fn marks(&self, rows: usize) -> impl Iterator<Item = (Row<'a>, Mark)> {
        let events = (self.at..self.at + rows).map(|i| self.event(i));
        events.filter(|event| event.t <= self.span.read).map(|event| {
            (Row::Event(event), Mark { t: self.t(event), added: event.added(), unkept: event.unkept() })
        })
    }
}

/// The rows of one attribute in one tree. Only the leaves of the key sought last are held.
pub(super) struct TreeSource<'a> {
    tree: &'a Tree,
    a: AttrId,
    /// the position of the first leaf held among the tree's
    first: usize,
    /// the leaf of the key, and those after it that go on with the key; each with its rows of the attribute
    leaves: SmallVec<[(Arc<Leaf>, Rows<usize>); 1]>,
    /// the rows of the key, leaf by leaf
    hits: SmallVec<[Rows<usize>; 1]>,
    /// there is no row at or after the key
    ended: bool,
    clear: bool,
}

impl<'a> TreeSource<'a> {
    pub(super) fn open(tree: &'a Tree, role: Role, a: AttrId, window: &Window) -> TreeSource<'a> {
        let spans = || tree.entries().iter().map(|entry| entry.span);
        let shown = || spans().all(|span| window.lo <= span.added_min.0 && span.added_max.0 <= window.hi);
        let clear = role == Role::Current && !window.careful && shown();
        TreeSource { tree, a, first: 0, leaves: SmallVec::new(), hits: SmallVec::new(), ended: false, clear }
    }

    fn seek(&mut self, key: &Wanted<'_>) -> Result<usize> {
        self.hits.clear();
        if self.ended {
            return Ok(0);
        }
        // The last leaf held is the only one that can have rows of this key if the key goes beyond it.
        let order = |leaf: &Leaf, i: usize| order(leaf, i, key);
        let within =
            |(leaf, rows): &(Arc<Leaf>, Rows<usize>)| !rows.is_empty() && order(leaf, rows.end - 1).is_ge();
        match self.leaves.iter().position(within) {
            Some(at) => {
                self.leaves.drain(..at);
                self.first += at;
            }
            None => self.descend(key)?,
        }
        let mut count = 0;
        for at in 0.. {
            if at == self.leaves.len() && !self.go_on(key)? {
                break;
            }
            let (leaf, rows) = &mut self.leaves[at];
            rows.start = tree::gallop(rows.clone(), |i| order(leaf, i) == Ordering::Less);
            let same = tree::gallop(rows.clone(), |i| order(leaf, i) != Ordering::Greater);
            self.hits.push(rows.start..same);
            count += same - rows.start;
            if same < rows.end {
                break;
            }
        }
        Ok(count)
    }

    /// Finds the leaf where the key starts.
    fn descend(&mut self, key: &Wanted<'_>) -> Result<()> {
        self.leaves.clear();
        let key = Key { a: Some(self.a), e: key.e.map(EntityId), v: search_value(key) };
        match self.tree.leaf_for(&key)? {
            Some((at, leaf)) => {
                self.first = at;
                let rows = leaf.attr_rows(self.a);
                self.leaves.push((leaf, rows));
            }
            None => self.ended = true,
        }
        Ok(())
    }

    /// Holds the next leaf too, if it can go on with the key; false at the end of the attribute.
    fn go_on(&mut self, key: &Wanted<'_>) -> Result<bool> {
        let next = self.first + self.leaves.len();
        if self.leaves.is_empty() || next >= self.tree.entries().len() {
            return Ok(false);
        }
        let leaf = self.tree.leaf(next)?;
        let rows = leaf.attr_rows(self.a);
        let goes_on = !rows.is_empty() && order(&leaf, rows.start, key).is_le();
        // A leaf that starts beyond the key is still where a later key may lie.
        if !rows.is_empty() || self.leaves.iter().all(|(_, rows)| rows.is_empty()) {
            self.leaves.push((leaf, rows));
        }
        Ok(goes_on)
    }

    fn row(&self, mut i: usize) -> (&Leaf, usize) {
        for ((leaf, _), hits) in self.leaves.iter().zip(&self.hits) {
            if i < hits.len() {
                return (leaf, hits.start + i);
            }
            i -= hits.len();
        }
        unreachable!("only rows that were counted are asked for")
    }
}

/// The order of row `i` against the key.
fn order(leaf: &Leaf, i: usize, key: &Wanted<'_>) -> Ordering {
    match (key.e, key.v) {
        (Some(e), _) => leaf.e(i).0.cmp(&e),
        (None, Some(v)) => cmp_class(&leaf.v(i), &v),
        (None, None) => Ordering::Equal,
    }
}

/// The value to descend by: none for decimals, of which several scales may stand before the one asked for.
fn search_value(key: &Wanted<'_>) -> Option<crate::Value> {
    let v = key.v.filter(|v| !matches!(v.value_type(), ValueType::BigDec | ValueType::Tuple))?;
    Some(v.to_value())
}
