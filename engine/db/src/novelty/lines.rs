//! A run as columns: what its events net to among themselves, laid out for scans and batched look-ups.
//!
//! Made once a run has been read about as often as it is long (see [`Run::lines`]); from then on a scan copies slices
//! and a search stays within a dense array instead of jumping into the arena for every row. About 20 bytes a row.
//! A line is a fact whose newest event in the run asserts it. That is the present of the run, for views that see all of
//! it; views of a part may use the lines of runs without a retraction, and judge each by its t.

use std::cmp::Ordering;
use std::ops::Range;

use super::Events;
use super::event::Event;
use super::run::{Run, gallop};
use crate::column::{Column, TextColumn};
use crate::value::{ValueRef, ValueType};

/// The lines of one run of AEVT or AVET, in its order.
#[derive(Debug)]
pub(crate) struct Lines {
    /// the row of the run that each line is; `None`: line `i` is row `i`
    rows: Option<Box<[u32]>>,
    /// entities
    pub(crate) e: Box<[u64]>,
    /// relative to the base of the layer
    pub(crate) t: Box<[u32]>,
    attributes: Box<[AttrLines]>,
}

/// The lines of one attribute.
#[derive(Debug)]
pub(crate) struct AttrLines {
    a: u32,
    /// which lines they are
    pub(crate) at: Range<usize>,
    /// their values, from 0
    pub(crate) values: Column,
    /// some fact of it was held before the run: what older sources say of it may be over
    pub(crate) closes: bool,
}

impl Lines {
    /// `None` when the texts are too long for one buffer.
    pub(crate) fn new(events: &Events, run: &Run) -> Option<Lines> {
        let event = |row: usize| &events[run.positions[row] as usize];
        let mut kept: Vec<u32> = Vec::with_capacity(run.len());
        let mut spans: Vec<(u32, usize, bool)> = Vec::new();
        let mut row = 0;
        while row < run.len() {
            let first = event(row);
            if spans.last().is_none_or(|(a, ..)| *a != first.a()) {
                spans.push((first.a(), kept.len(), false));
            }
            let mut end = row + 1;
            while !run.plain && end < run.len() && event(end).same_fact(first) {
                end += 1;
            }
            let (newest, closes) = net(row..end, event);
            kept.extend(newest);
            if let Some(span) = spans.last_mut() {
                span.2 |= closes;
            }
            row = end;
        }
        let mut attributes = Vec::with_capacity(spans.len());
        for (i, &(a, start, closes)) in spans.iter().enumerate() {
            let at = start..spans.get(i + 1).map_or(kept.len(), |next| next.1);
            let values = column(kept[at.clone()].iter().map(|&row| event(row as usize)))?;
            attributes.push(AttrLines { a, at, values, closes });
        }
        let lines = || kept.iter().map(|&row| event(row as usize));
        let (e, t) = (lines().map(|event| event.e).collect(), lines().map(|event| event.t).collect());
        let rows = (kept.len() < run.len()).then(|| kept.into());
        Some(Lines { rows, e, t, attributes: attributes.into() })
    }

    /// The lines of an attribute.
    pub(crate) fn of(&self, a: u32) -> Option<&AttrLines> {
        let at = self.attributes.binary_search_by_key(&a, |lines| lines.a).ok()?;
        Some(&self.attributes[at])
    }

    /// Parts of `lines`, one an attribute.
    pub(crate) fn parts(&self, lines: Range<usize>) -> impl Iterator<Item = (u32, &Column, Range<usize>)> {
        let first = self.attributes.partition_point(|part| part.at.end <= lines.start);
        let parts = self.attributes[first..].iter().take_while(move |part| part.at.start < lines.end);
        parts.filter(|part| !part.at.is_empty()).map(move |part| {
            let (start, end) = (lines.start.max(part.at.start), lines.end.min(part.at.end));
            (part.a, &part.values, start - part.at.start..end - part.at.start)
        })
    }

    /// The first line at or after row `row` of the run.
    pub(crate) fn line_at(&self, row: usize) -> usize {
        match &self.rows {
            None => row,
            Some(rows) => rows.partition_point(|&at| (at as usize) < row),
        }
    }

    /// The row of the run that a line is.
    pub(crate) fn row_of(&self, line: usize) -> usize {
        self.rows.as_ref().map_or(line, |rows| rows[line] as usize)
    }
}

impl AttrLines {
    /// Calls `hit` with the number of each key and each of its lines (from the attribute's first). `keys` ascend; the
    /// attribute's lines must be in the order of entities.
    pub(crate) fn find_entities(&self, e: &[u64], keys: &[u64], mut hit: impl FnMut(u32, u32)) {
        find(&e[self.at.clone()], keys.iter(), |line, key| line.cmp(key), &mut hit);
    }

    /// The same for values, ascending in index order; the attribute's lines must be in the order of values.
    pub(crate) fn find_values(&self, keys: &Column, mut hit: impl FnMut(u32, u32)) {
        match (&self.values, keys) {
            (Column::Ref(values), Column::Ref(keys)) => find(values, keys.iter(), |x, y| x.cmp(y), &mut hit),
            (Column::Long(values), Column::Long(keys)) | (Column::Instant(values), Column::Instant(keys)) => {
                find(values, keys.iter(), |x, y| x.cmp(y), &mut hit);
            }
            (values, keys) => {
                let mut at = 0;
                for key in 0..keys.len() {
                    let wanted = keys.get(key);
                    at = gallop_lines(values.len(), at, |line| values.get(line).cmp_index(&wanted).is_lt());
                    let same = |line: &usize| values.get(*line).cmp_index(&wanted).is_eq();
                    (at..values.len()).take_while(same).for_each(|line| hit(key as u32, line as u32));
                }
            }
        }
    }
}

/// The newest event of a fact, if it asserts, and whether the oldest does not. Rows are the newest first.
fn net<'e>(fact: Range<usize>, event: impl Fn(usize) -> &'e Event) -> (Option<u32>, bool) {
    // Of one t the assertion stands second and is the later of the two.
    let paired = fact.len() > 1 && event(fact.start).t == event(fact.start + 1).t;
    let newest = fact.start + usize::from(paired);
    let last = fact.end - 1;
    let oldest = last - usize::from(fact.len() > 1 && event(last).t == event(last - 1).t);
    (event(newest).added().then_some(newest as u32), !event(oldest).added())
}

/// Values of one attribute as a column.
fn column<'e>(events: impl Iterator<Item = &'e Event> + Clone) -> Option<Column> {
    let Some(first) = events.clone().next() else { return Some(Column::Mixed(Vec::new())) };
    let ty = first.v().value_type();
    let text = |event: &'e Event| match event.v() {
        ValueRef::Keyword(text) | ValueRef::String(text) => text,
        _ => "",
    };
    let of_one_type = events.clone().all(|event| event.v().value_type() == ty);
    Some(match ty {
        ValueType::Keyword if of_one_type => Column::Keyword(TextColumn::interned(events.map(text))?),
        ValueType::String if of_one_type => Column::String(TextColumn::interned(events.map(text))?),
        _ => {
            let mut column = if of_one_type { Column::of(Some(ty)) } else { Column::Mixed(Vec::new()) };
            events.for_each(|event| column.push(event.v()));
            column
        }
    })
}

/// Passes forward through `lines` for each key in turn.
fn find<'k, X, K: 'k>(
    lines: &[X],
    keys: impl Iterator<Item = &'k K>,
    order: impl Fn(&X, &K) -> Ordering,
    hit: &mut impl FnMut(u32, u32),
) {
    let mut at = 0;
    for (number, key) in keys.enumerate() {
        at = gallop(lines, at, |line| order(line, key) == Ordering::Less);
        if at == lines.len() {
            return;
        }
        let mut line = at;
        while line < lines.len() && order(&lines[line], key) == Ordering::Equal {
            hit(number as u32, line as u32);
            line += 1;
        }
    }
}

fn gallop_lines(len: usize, from: usize, below: impl Fn(usize) -> bool) -> usize {
    crate::scan::tree::gallop(from..len, below)
}

#[cfg(test)]
mod tests {
    use super::super::event::Marks;
    use super::*;
    use crate::datom::Datom;
    use crate::id::{AttrId, EntityId, T};
    use crate::order::Index;
    use crate::value::Value;

    fn run(facts: &[(u64, i64, u32, bool)]) -> (Events, Run) {
        let events = Events::new();
        for &(e, v, t, added) in facts {
            let (e, v) = (EntityId(e), Value::Long(v));
            let datom = Datom { e, a: AttrId(9), v, t: T(t.into()), added };
            events.push(Event::new(&datom, t, Marks::default()));
        }
        let run = Run::sorted(&events, Index::Aevt, (0..facts.len() as u32).collect());
        (events, run)
    }

    #[test]
    fn lines_are_what_a_run_nets_to() {
        let facts = [(1, 5, 1, true), (1, 5, 2, false), (1, 6, 2, true), (2, 7, 1, true), (3, 8, 3, false)];
        let (events, run) = run(&facts);
        let lines = Lines::new(&events, &run).expect("there is no text");
        assert_eq!((&*lines.e, &*lines.t), (&[1, 2][..], &[2, 1][..]));
        let of = lines.of(9).expect("it has lines");
        assert!(of.closes, "entity 3 held its value before");
        assert_eq!((lines.line_at(0), lines.row_of(0)), (0, 2));
        let mut hits = Vec::new();
        of.find_entities(&lines.e, &[0, 1, 2, 3], |key, line| hits.push((key, line)));
        assert_eq!(hits, [(1, 0), (2, 1)]);
    }

    #[test]
    fn what_is_retracted_and_asserted_at_once_holds_and_closes() {
        let (events, run) = run(&[(1, 5, 4, false), (1, 5, 4, true)]);
        let lines = Lines::new(&events, &run).expect("there is no text");
        assert_eq!(lines.e.len(), 1);
        assert!(lines.of(9).expect("it has lines").closes);
    }
}
