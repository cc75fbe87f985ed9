//! A run as columns: its facts laid out for scans and batched look-ups.
//!
//! Made once a run has been read about as often as it is long (see [`Run::seen`]); from then on a scan copies slices
//! and a search stays within a dense array instead of jumping into the arena for every row. About 20 bytes a row.
//! There are two kinds. The *live* lines are what the run nets to by itself, a line for each fact that its newest event
//! asserts: for views that see the whole run. The *past* lines are every interval that begins in the run, with the t
//! that ends it: for views that see a part. A run that only asserts needs no past lines.

use std::cmp::Ordering;
use std::ops::Range;

use super::Events;
use super::event::Event;
use super::run::{Run, gallop};
use crate::column::{Column, TextColumn};
use crate::scan::cursor::Span;
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
    /// of past lines: what ends them, `u32::MAX` for nothing in the run
    ended: Option<Box<[u32]>>,
    attributes: Box<[AttrLines]>,
    /// the least of the attributes
    closes_from: u32,
    /// the facts of older sources that the run ends, and when
    pub(crate) closings: Option<Box<Lines>>,
}

/// The lines of one attribute.
#[derive(Debug)]
pub(crate) struct AttrLines {
    a: u32,
    /// which lines they are
    pub(crate) at: Range<usize>,
    /// their values, from 0
    pub(crate) values: Column,
    /// from this t on the run ends facts that older sources have; `u32::MAX` for never
    pub(crate) closes_from: u32,
}

/// Lines as a view sees them.
#[derive(Clone, Copy)]
pub(crate) struct Seen<'a> {
    /// all of them
    pub(crate) lines: &'a Lines,
    /// those that it does not show must be passed over
    pub(crate) part: Option<Span>,
}

impl<'a> Seen<'a> {
    /// The closings of an attribute, if the run has some.
    pub(crate) fn closings(&self, a: u32) -> Option<(&'a Lines, &'a AttrLines)> {
        let closings = self.lines.closings.as_deref()?;
        Some((closings, closings.of(a)?))
    }

    /// True when the view shows line number `line`.
    #[inline]
    pub(crate) fn shows(&self, line: usize) -> bool {
        let Some(span) = self.part else { return true };
        let ended = self.lines.ended.as_ref().map_or(u32::MAX, |ended| ended[line]);
        span.lo <= self.lines.t[line] && self.lines.t[line] <= span.hi && span.hi < ended
    }

    /// How many of some lines the view shows. A pass over two dense arrays.
    pub(crate) fn count(&self, lines: Range<usize>) -> usize {
        let Some(Span { lo, hi, .. }) = self.part else { return lines.len() };
        let ts = &self.lines.t[lines.clone()];
        match &self.lines.ended {
            None => ts.iter().map(|&t| usize::from((lo <= t) & (t <= hi))).sum(),
            Some(ended) => {
                let rows = ts.iter().zip(&ended[lines]);
                rows.map(|(&t, &end)| usize::from((lo <= t) & (t <= hi) & (hi < end))).sum()
            }
        }
    }

    /// True when nothing in the run ends what older sources show to the view of this attribute.
    pub(crate) fn ends_nothing(&self, a: u32, span: &Span) -> bool {
        self.lines.of(a).is_none_or(|of| span.hi < of.closes_from)
    }

    /// The first row at or after `row` (before `end`) that the view shows, where it shows a part and all of it by itself:
    /// the rows between matter to nobody.
    pub(crate) fn next_shown(&self, row: usize, end: usize) -> Option<usize> {
        self.part.filter(|span| span.hi < self.lines.closes_from)?;
        let line = (self.lines.line_at(row)..self.lines.e.len())
            .find(|line| self.shows(*line) || self.lines.row_of(*line) >= end);
        Some(line.map_or(end, |line| self.lines.row_of(line).min(end)))
    }
}

impl Lines {
    /// Live or past lines; `None` when the texts are too long for one buffer.
    pub(crate) fn new(events: &Events, run: &Run, past: bool) -> Option<Lines> {
        let event = |row: usize| &events[run.positions[row] as usize];
        let mut kept: Vec<u32> = Vec::with_capacity(run.len());
        let mut ended: Vec<u32> = Vec::new();
        let mut spans: Vec<(u32, usize, u32)> = Vec::new();
        let mut closed: Vec<(u32, u32)> = Vec::new();
        let mut row = 0;
        while row < run.len() {
            let first = event(row);
            if spans.last().is_none_or(|(a, ..)| *a != first.a()) {
                spans.push((first.a(), kept.len(), u32::MAX));
            }
            let mut end = row + 1;
            while !run.plain && end < run.len() && event(end).same_fact(first) {
                end += 1;
            }
            let fact = Fact { rows: row..end, event: &event };
            match past {
                true => fact.intervals(&mut kept, &mut ended),
                false => kept.extend(fact.live()),
            }
            let closes = fact.closes();
            if let Some(span) = spans.last_mut().filter(|_| closes < u32::MAX) {
                span.2 = span.2.min(closes);
                closed.push((row as u32, closes));
            }
            row = end;
        }
        let mut attributes = Vec::with_capacity(spans.len());
        for (i, &(a, start, closes_from)) in spans.iter().enumerate() {
            let at = start..spans.get(i + 1).map_or(kept.len(), |next| next.1);
            let values = column(kept[at.clone()].iter().map(|&row| event(row as usize)))?;
            attributes.push(AttrLines { a, at, values, closes_from });
        }
        let lines = || kept.iter().map(|&row| event(row as usize));
        let (e, t) = (lines().map(|event| event.e).collect(), lines().map(|event| event.t).collect());
        let rows = (kept.len() < run.len()).then(|| kept.into());
        let ended = past.then(|| ended.into());
        let closes_from = attributes.iter().map(|of| of.closes_from).min().unwrap_or(u32::MAX);
        let closings = match closed.is_empty() {
            true => None,
            false => Some(Box::new(Lines::closing(&event, &closed)?)),
        };
        Some(Lines { rows, e, t, ended, attributes: attributes.into(), closes_from, closings })
    }

    /// Rows of a run and when they end what older sources have.
    fn closing<'e>(event: &impl Fn(usize) -> &'e Event, closed: &[(u32, u32)]) -> Option<Lines> {
        let of = |(row, _): &(u32, u32)| event(*row as usize);
        let (mut attributes, mut start) = (Vec::new(), 0);
        for part in closed.chunk_by(|x, y| of(x).a() == of(y).a()) {
            let at = start..start + part.len();
            start = at.end;
            attributes.push(AttrLines::new(of(&part[0]).a(), at, column(part.iter().map(of))?));
        }
        Some(Lines {
            rows: Some(closed.iter().map(|(row, _)| *row).collect()),
            e: closed.iter().map(|row| of(row).e).collect(),
            t: closed.iter().map(|(_, t)| *t).collect(),
            ended: None,
            attributes: attributes.into(),
            closes_from: u32::MAX,
            closings: None,
        })
    }

    /// Lines of rows that end nothing elsewhere, all of them: what a leaf has.
    pub(crate) fn of_columns(
        e: Box<[u64]>,
        t: Box<[u32]>,
        ended: Option<Box<[u32]>>,
        attributes: Box<[AttrLines]>,
    ) -> Lines {
        Lines { rows: None, e, t, ended, attributes, closes_from: u32::MAX, closings: None }
    }

    /// Bytes they occupy in memory, about.
    pub(crate) fn weight(&self) -> usize {
        let rows = self.rows.as_ref().map_or(0, |rows| rows.len() * 4);
        let ended = self.ended.as_ref().map_or(0, |ended| ended.len() * 4);
        let values: usize = self.attributes.iter().map(|of| of.values.weight()).sum();
        rows + ended + self.e.len() * 12 + values
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

/// The events of one `[e a v]` in a run, the newest first; of one t the assertion stands second and is the later.
struct Fact<'f, F> {
    rows: Range<usize>,
    event: &'f F,
}

impl<'e, F: Fn(usize) -> &'e Event> Fact<'_, F> {
    /// From the newest to the oldest.
    fn in_time(&self) -> impl Iterator<Item = usize> {
        let mut next = self.rows.start;
        let mut held = None;
        std::iter::from_fn(move || {
            if let Some(row) = held.take() {
                return Some(row);
            }
            let row = next;
            if row >= self.rows.end {
                return None;
            }
            next += 1;
            if next < self.rows.end && (self.event)(next).t == (self.event)(row).t {
                (held, next) = (Some(row), next + 1);
                return Some(row + 1);
            }
            Some(row)
        })
    }

    /// The newest event, if it asserts.
    fn live(&self) -> Option<u32> {
        self.in_time().next().filter(|row| (self.event)(*row).added()).map(|row| row as u32)
    }

    /// When it is over what an older source has of it.
    fn closes(&self) -> u32 {
        if self.rows.len() == 1 && (self.event)(self.rows.start).added() {
            return u32::MAX;
        }
        let oldest = self.in_time().last().map(|row| (self.event)(row));
        oldest.filter(|event| !event.added()).map_or(u32::MAX, |event| event.t)
    }

    /// Every assertion, in the order of rows, and what ends it.
    fn intervals(&self, rows: &mut Vec<u32>, ended: &mut Vec<u32>) {
        let first = rows.len();
        let mut end = u32::MAX;
        for row in self.in_time() {
            let event = (self.event)(row);
            if event.added() {
                rows.push(row as u32);
                ended.push(end);
            }
            end = event.t;
        }
        debug_assert!(rows[first..].is_sorted(), "assertions stand in the order of time");
    }
}

impl AttrLines {
    /// The lines `at` of an attribute that ends nothing elsewhere.
    pub(crate) fn new(a: u32, at: Range<usize>, values: Column) -> AttrLines {
        AttrLines { a, at, values, closes_from: u32::MAX }
    }

    /// Calls `hit` with the number of each key and each of its lines (from the attribute's first). `keys` ascend; the
    /// attribute's lines must be in the order of entities.
    pub(crate) fn find_entities(&self, e: &[u64], keys: &[u64], mut hit: impl FnMut(u32, u32)) {
        find(&e[self.at.clone()], keys.iter(), |line, key| line.cmp(key), &mut hit);
    }

    /// The same for values, ascending in index order, of which only `some` are sought; the attribute's lines must be in
    /// the order of values. Keys are numbered from the first of `some`.
    pub(crate) fn find_values(&self, keys: &Column, some: Range<usize>, mut hit: impl FnMut(u32, u32)) {
        match (&self.values, keys) {
            (Column::Ref(values), Column::Ref(keys)) => {
                find(values, keys[some].iter(), |x, y| x.cmp(y), &mut hit);
            }
            (Column::Long(values), Column::Long(keys)) | (Column::Instant(values), Column::Instant(keys)) => {
                find(values, keys[some].iter(), |x, y| x.cmp(y), &mut hit);
            }
            (values, keys) => {
                let (mut at, first) = (0, some.start);
                for key in some {
                    let wanted = keys.get(key);
                    at = gallop_lines(values.len(), at, |line| values.get(line).cmp_index(&wanted).is_lt());
                    let same = |line: &usize| values.get(*line).cmp_index(&wanted).is_eq();
                    (at..values.len())
                        .take_while(same)
                        .for_each(|line| hit((key - first) as u32, line as u32));
                }
            }
        }
    }
}

impl Run {
    /// Each fact among `rows` whose oldest event retracts it: an event of it, and when.
    pub(crate) fn closings(&self, events: &Events, rows: Range<usize>, mut close: impl FnMut(&Event, u32)) {
        let event = |row: usize| &events[self.positions[row] as usize];
        let mut row = rows.start;
        while row < rows.end {
            let first = event(row);
            let end = (row + 1..rows.end).find(|&row| !event(row).same_fact(first)).unwrap_or(rows.end);
            let closes = Fact { rows: row..end, event: &event }.closes();
            if closes < u32::MAX {
                close(first, closes);
            }
            row = end;
        }
    }
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
        let lines = Lines::new(&events, &run, false).expect("there is no text");
        assert_eq!((&*lines.e, &*lines.t), (&[1, 2][..], &[2, 1][..]));
        let of = lines.of(9).expect("it has lines");
        assert_eq!(of.closes_from, 3, "entity 3 held its value before");
        assert_eq!((lines.line_at(0), lines.row_of(0)), (0, 2));
        let mut hits = Vec::new();
        of.find_entities(&lines.e, &[0, 1, 2, 3], |key, line| hits.push((key, line)));
        assert_eq!(hits, [(1, 0), (2, 1)]);
    }

    #[test]
    fn what_is_retracted_and_asserted_at_once_holds_and_closes() {
        let (events, run) = run(&[(1, 5, 4, false), (1, 5, 4, true)]);
        let lines = Lines::new(&events, &run, false).expect("there is no text");
        assert_eq!(lines.e.len(), 1);
        assert_eq!(lines.of(9).expect("it has lines").closes_from, 4);
    }

    #[test]
    fn past_lines_are_intervals() {
        let facts = [(1, 5, 1, true), (1, 5, 4, false), (1, 5, 4, true), (1, 5, 6, false), (2, 5, 3, true)];
        let (events, run) = run(&facts);
        let lines = Lines::new(&events, &run, true).expect("there is no text");
        assert_eq!((&*lines.e, &*lines.t), (&[1, 1, 2][..], &[4, 1, 3][..]));
        assert_eq!(lines.ended.as_deref(), Some(&[6, 4, u32::MAX][..]));
        let shown = |hi| {
            let seen = Seen { lines: &lines, part: Some(Span { lo: 0, hi, read: hi }) };
            (0..3).filter(|line| seen.shows(*line)).collect::<Vec<_>>()
        };
        assert_eq!([shown(0), shown(1), shown(4), shown(6)], [vec![], vec![1], vec![0, 2], vec![2]]);
    }
}
