//! Where batched look-ups look: the rows of one attribute in one run or one tree, passed forward.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range as Rows;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::Result;
use crate::column::Column;
use crate::database::Held;
use crate::database::trees::Row;
use crate::id::{AttrId, EntityId};
use crate::novelty::event::cmp_class;
use crate::novelty::run::gallop;
use crate::novelty::{Event, Layer, Run, Seek, Seen};
use crate::range::{Key, Probe};
use crate::scan::cursor::Span;
use crate::scan::tree::{self, Role, push_marks};
use crate::scan::window::{Mark, Marks, Window};
use crate::segment::{Leaf, Tree};
use crate::value::{Value, ValueRef, ValueType};

/// One key of a look-up: an entity (AEVT) or a value (AVET) of the attribute.
pub(super) struct Wanted<'k> {
    pub(super) e: Option<u64>,
    pub(super) v: Option<ValueRef<'k>>,
}

/// The keys of a look-up, ascending.
pub(super) enum Keys<'k> {
    Entities(Cow<'k, [u64]>),
    Values(Cow<'k, Column>),
}

impl Keys<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            Keys::Entities(entities) => entities.len(),
            Keys::Values(values) => values.len(),
        }
    }

    pub(super) fn wanted(&self, i: usize) -> Wanted<'_> {
        match self {
            Keys::Entities(entities) => Wanted { e: Some(entities[i]), v: None },
            Keys::Values(values) => Wanted { e: None, v: Some(values.get(i)) },
        }
    }

    /// Values of which one may stand in several places of the index: decimals, whatever their scale.
    pub(super) fn have_scales(&self) -> bool {
        let scaled = |v: &Value| matches!(v.value_type(), ValueType::BigDec | ValueType::Tuple);
        match self {
            Keys::Values(values) => matches!(&**values, Column::Mixed(values) if values.iter().any(scaled)),
            Keys::Entities(_) => false,
        }
    }

    /// Some of the keys.
    pub(super) fn select(&self, numbers: &[u32]) -> Keys<'static> {
        match self {
            Keys::Entities(entities) => {
                Keys::Entities(numbers.iter().map(|&i| entities[i as usize]).collect())
            }
            Keys::Values(values) => Keys::Values(Cow::Owned(values.gather(numbers))),
        }
    }

    /// All keys but some (ascending), and the numbers of those left where any is left out.
    pub(super) fn without(&self, numbers: &[u32]) -> (Keys<'_>, Option<Vec<u32>>) {
        if numbers.is_empty() {
            let all = match self {
                Keys::Entities(entities) => Keys::Entities(Cow::Borrowed(&**entities)),
                Keys::Values(values) => Keys::Values(Cow::Borrowed(&**values)),
            };
            return (all, None);
        }
        let left = |number: &u32| numbers.binary_search(number).is_err();
        let left: Vec<u32> = (0..self.len() as u32).filter(left).collect();
        (self.select(&left), Some(left))
    }
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

    /// Every row is a fact of its own that nothing here ends: what the source finds holds, if no other source ends it.
    pub(super) fn is_simple(&self) -> bool {
        match self {
            Source::Run(run) => run.simple,
            Source::Tree(tree) => tree.clear,
        }
    }

    /// What a simple source, not sought yet, has of all keys.
    pub(super) fn seek_all(&mut self, keys: &Keys<'_>, with_t: bool, probe: &mut Probe) -> Result<()> {
        if let Source::Run(run) = self
            && let Some(seen) = run.run.ready(&run.span)
        {
            run.find_lines(seen, keys, with_t, probe);
            return Ok(());
        }
        for i in 0..keys.len() {
            let key = keys.wanted(i);
            let rows = self.seek(&key)?;
            for row in 0..rows {
                if let Source::Run(run) = self
                    && !run.span.shows(run.event(run.at + row))
                {
                    continue;
                }
                self.show(row, &mut |e, v, t| match key.v {
                    None => probe.push_value(i, v, t, with_t),
                    Some(_) => probe.push_entity(i, e, t, with_t),
                });
            }
        }
        Ok(())
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
    simple: bool,
    a: u32,
}

impl<'a> RunSource<'a> {
    pub(super) fn open(
        held: &'a Held,
        run: &Arc<Run>,
        span: Span,
        seek: &Seek<'_>,
        window: &Window,
        keys: usize,
    ) -> Option<RunSource<'a>> {
        if run.t_min > span.read {
            return None;
        }
        let layer = &*held.layer;
        let (at, end) = (run.lower(layer.events(), seek), run.upper(layer.events(), seek));
        if at == end {
            return None;
        }
        let a = seek.a.unwrap_or_default();
        let clear = run.plain && span.covers(run) && !window.careful;
        let seen = run.seen(layer.events(), &span, layer.tuning.tail, keys.min(end - at));
        let ends_nothing = run.plain || seen.is_some_and(|seen| seen.ends_nothing(a, &span));
        let simple = !window.careful && ends_nothing;
        Some(RunSource { layer, run: run.clone(), at, end, span, clear, simple, a })
    }

    /// The same, whose facts another source may have too.
    pub(super) fn or_twice(self, twice: bool) -> RunSource<'a> {
        RunSource { simple: self.simple && !twice, ..self }
    }

    /// What the run's lines have of all keys.
    fn find_lines(&self, seen: Seen<'_>, keys: &Keys<'_>, with_t: bool, probe: &mut Probe) {
        let lines = seen.lines;
        let Some(of) = lines.of(self.a) else { return };
        let first = of.at.start;
        let mut hits: Vec<u32> = Vec::with_capacity(keys.len());
        probe.input.reserve(keys.len());
        let mut hit = |key: u32, line: u32| {
            if seen.shows(first + line as usize) {
                probe.input.push(key);
                hits.push(line);
            }
        };
        match keys {
            Keys::Entities(keys) => of.find_entities(&lines.e, keys, &mut hit),
            Keys::Values(keys) => of.find_values(keys, &mut hit),
        }
        match keys {
            Keys::Entities(_) => probe.v.extend_rows(&of.values, &hits),
            Keys::Values(_) => probe.e.extend(hits.iter().map(|&line| lines.e[first + line as usize])),
        }
        if with_t {
            let t = |line: &u32| self.layer.base + u64::from(lines.t[first + *line as usize]);
            probe.t.extend(hits.iter().map(t));
        }
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
