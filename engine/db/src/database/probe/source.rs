//! Where batched look-ups look: the rows of one attribute in one run or one tree, passed forward.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range as Rows;
use std::sync::Arc;

use smallvec::SmallVec;

use super::tree::TreeSource;
use crate::Result;
use crate::column::Column;
use crate::database::Held;
use crate::database::trees::Row;
use crate::novelty::event::cmp_class;
use crate::novelty::run::gallop;
use crate::novelty::{AttrLines, Closings, Event, Layer, Run, Seek, Seen};
use crate::range::Probe;
use crate::scan::cursor::Span;
use crate::scan::tree::push_marks;
use crate::scan::window::{Mark, Marks, Window};
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

    /// What the source finds by itself holds, if no other source ends it.
    pub(super) fn is_simple(&self) -> bool {
        match self {
            Source::Run(run) => run.simple,
            Source::Tree(tree) => tree.simple,
        }
    }

    /// A simple source that ends facts of others.
    pub(super) fn closes(&self) -> bool {
        matches!(self, Source::Run(run) if run.simple && run.closes)
    }

    /// Which of the keys' facts, in older sources, a simple source ends: the key of each, ascending.
    pub(super) fn closings(&self, keys: &Keys<'_>, closings: &mut Closings) -> Vec<u32> {
        let mut found = Vec::new();
        let Source::Run(run) = self else { return found };
        let Some((lines, of)) = run.run.ready(&run.span).and_then(|seen| seen.closings(run.a)) else {
            return found;
        };
        let first = of.at.start;
        let mut hit = |key: u32, line: u32| {
            let t = lines.t[first + line as usize];
            if t <= run.span.hi {
                let (e, v) = (lines.e[first + line as usize], of.values.get(line as usize));
                closings.push(e, v, run.layer.base + u64::from(t));
                found.push(key);
            }
        };
        match keys {
            Keys::Entities(keys) => of.find_entities(&lines.e, keys, &mut hit),
            Keys::Values(keys) => of.find_values(keys, 0..keys.len(), &mut hit),
        }
        found
    }

    /// What a simple source, not sought yet, has of all keys.
    pub(super) fn seek_all(&mut self, keys: &Keys<'_>, with_t: bool, probe: &mut Probe) -> Result<()> {
        let run = match self {
            Source::Tree(tree) => return tree.find_all(keys, with_t, probe),
            Source::Run(run) => run,
        };
        if let Some(seen) = run.run.ready(&run.span) {
            run.find_lines(seen, keys, with_t, probe);
            return Ok(());
        }
        for i in 0..keys.len() {
            let key = keys.wanted(i);
            let rows = run.seek(&key);
            for event in (run.at..run.at + rows).map(|row| run.event(row)) {
                match key.v {
                    _ if !run.span.shows(event) => {}
                    None => probe.push_value(i, event.v(), run.t(event), with_t),
                    Some(_) => probe.push_entity(i, event.e, run.t(event), with_t),
                }
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

/// What the lines of an attribute have of some keys.
pub(super) fn find_lines(
    seen: Seen<'_>,
    of: &AttrLines,
    base: u64,
    keys: &Keys<'_>,
    some: Rows<usize>,
    with_t: bool,
    probe: &mut Probe,
) {
    let (lines, first, from) = (seen.lines, of.at.start, some.start as u32);
    let mut hits: Vec<u32> = Vec::with_capacity(some.len());
    probe.input.reserve(some.len());
    let mut hit = |key: u32, line: u32| {
        if seen.shows(first + line as usize) {
            probe.input.push(from + key);
            hits.push(line);
        }
    };
    match keys {
        Keys::Entities(keys) => of.find_entities(&lines.e, &keys[some], &mut hit),
        Keys::Values(keys) => of.find_values(keys, some, &mut hit),
    }
    match keys {
        Keys::Entities(_) => probe.v.extend_rows(&of.values, &hits),
        Keys::Values(_) => probe.e.extend(hits.iter().map(|&line| lines.e[first + line as usize])),
    }
    if with_t {
        probe.t.extend(hits.iter().map(|line| base + u64::from(lines.t[first + *line as usize])));
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
    /// simple, but it ends facts that older sources have
    closes: bool,
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
        let closes = !ends_nothing && seen.is_some();
        let simple = !window.careful && (ends_nothing || closes);
        Some(RunSource { layer, run: run.clone(), at, end, span, clear, simple, closes, a })
    }

    /// The same, whose facts another source may have too.
    pub(super) fn or_twice(self, twice: bool) -> RunSource<'a> {
        RunSource { simple: self.simple && !twice, ..self }
    }

    /// What the run's lines have of all keys.
    fn find_lines(&self, seen: Seen<'_>, keys: &Keys<'_>, with_t: bool, probe: &mut Probe) {
        if let Some(of) = seen.lines.of(self.a) {
            find_lines(seen, of, self.layer.base, keys, 0..keys.len(), with_t, probe);
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
