//! A sorted run: positions of events in the order of one index.
//!
//! Searches compare through the arena; `fences` (the leading components of every 32nd event, packed) keep all but the
//! last five steps of a binary search within a small dense array.

use std::cmp::Ordering;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering as Memory};

use super::Events;
use super::event::{Event, Seek};
use super::lines::{Lines, Seen};
use super::prefix::order_prefix;
use crate::order::Index;
use crate::scan::cursor::Span;

/// An immutable run. Positions are relative to the arena of the layer that owns it.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) index: Index,
    pub(crate) positions: Box<[u32]>,
    /// every event asserts, and no `[e a v]` comes twice
    pub(crate) plain: bool,
    retracted: u32,
    /// retractions among the events before each block of [`BLOCK`], and their sum at the end; empty in short runs
    retractions: Box<[u32]>,
    /// the least and greatest t, relative to the layer's base
    pub(crate) t_min: u32,
    pub(crate) t_max: u32,
    fences: Box<[(u64, u64)]>,
    live: Columns,
    past: Columns,
}

/// Columns of one kind, made when they are worth it.
#[derive(Debug, Default)]
struct Columns {
    /// rows read so far by scans and batched look-ups
    heat: AtomicUsize,
    lines: OnceLock<Option<Lines>>,
}

const BLOCK: usize = 32;

/// Rows that are looked at before the end of a prefix is searched for.
const NEAR: usize = 4;

/// A run so short is made anew by every transaction: no fences, no sums.
const UNFENCED: usize = 1024;

/// What is known of a run's events without looking at them again.
struct Facts {
    /// an `[e a v]` may come twice
    twice: bool,
    retracted: u32,
    t_min: u32,
    t_max: u32,
}

impl Run {
    /// Sorts `positions`.
    pub(crate) fn sorted(events: &Events, index: Index, positions: Vec<u32>) -> Run {
        let mut keyed: Vec<((u64, u64), u32)> =
            positions.iter().map(|&at| (fence(index, &events[at as usize]), at)).collect();
        keyed.sort_unstable_by(|x, y| {
            x.0.cmp(&y.0).then_with(|| whole_order(index, &events[x.1 as usize], &events[y.1 as usize]))
        });
        let positions: Vec<u32> = keyed.into_iter().map(|(_, at)| at).collect();
        let same = |pair: &[u32]| events[pair[0] as usize].same_fact(&events[pair[1] as usize]);
        let mut facts =
            Facts { twice: positions.windows(2).any(same), retracted: 0, t_min: u32::MAX, t_max: 0 };
        for &at in &positions {
            let event = &events[at as usize];
            facts.t_min = facts.t_min.min(event.t);
            facts.t_max = facts.t_max.max(event.t);
            facts.retracted += u32::from(!event.added());
        }
        Run::finish(events, index, positions, facts)
    }

    /// The events of both.
    pub(crate) fn merged(events: &Events, x: &Run, y: &Run) -> Run {
        let (large, small) = if x.len() >= y.len() { (x, y) } else { (y, x) };
        let mut positions = Vec::with_capacity(large.len() + small.len());
        let mut from = 0;
        let mut twice = !large.plain || !small.plain;
        for &at in &small.positions {
            let event = &events[at as usize];
            let to = gallop(&large.positions, from, |&other| {
                whole_order(large.index, &events[other as usize], event) == Ordering::Less
            });
            positions.extend_from_slice(&large.positions[from..to]);
            if !twice {
                let near = [to.checked_sub(1), Some(to)].into_iter().flatten();
                let mut near = near.filter_map(|i| large.positions.get(i));
                twice = near.any(|&other| events[other as usize].same_fact(event));
            }
            positions.push(at);
            from = to;
        }
        positions.extend_from_slice(&large.positions[from..]);
        let facts = Facts {
            twice,
            retracted: x.retracted + y.retracted,
            t_min: x.t_min.min(y.t_min),
            t_max: x.t_max.max(y.t_max),
        };
        Run::finish(events, x.index, positions, facts)
    }

    fn finish(events: &Events, index: Index, positions: Vec<u32>, facts: Facts) -> Run {
        let Facts { twice, retracted, t_min, t_max } = facts;
        let blocks = || positions.chunks(BLOCK);
        let (mut fences, mut retractions) = (Vec::new(), Vec::new());
        if positions.len() > UNFENCED {
            fences.extend(blocks().map(|block| fence(index, &events[block[0] as usize])));
        }
        if positions.len() > UNFENCED && retracted > 0 {
            retractions.push(0);
            retractions.extend(blocks().scan(0, |sum, block| {
                *sum += count_retracted(events, block) as u32;
                Some(*sum)
            }));
        }
        Run {
            index,
            positions: positions.into(),
            plain: !twice && retracted == 0,
            retracted,
            retractions: retractions.into(),
            t_min,
            t_max,
            fences: fences.into(),
            live: Columns::default(),
            past: Columns::default(),
        }
    }

    /// The run as columns, as a view sees them that shows `span` of it, if it was read often enough to be worth them;
    /// `reading` more rows are read now. A run of at most `tail` rows is made anew too often. EAVT has no columns: its
    /// readers want one entity.
    pub(crate) fn seen(&self, events: &Events, span: &Span, tail: usize, reading: usize) -> Option<Seen<'_>> {
        if self.index == Index::Eavt || self.len() <= tail {
            return None;
        }
        let kind = self.kind(span);
        if kind.lines.get().is_none() {
            if kind.heat.fetch_add(reading, Memory::Relaxed) + reading < self.len() {
                return None;
            }
            kind.lines.get_or_init(|| Lines::new(events, self, std::ptr::eq(kind, &self.past)));
        }
        self.ready(span)
    }

    /// The same, if the columns are there.
    pub(crate) fn ready(&self, span: &Span) -> Option<Seen<'_>> {
        let lines = self.kind(span).lines.get()?.as_ref()?;
        let part = (!span.covers(self)).then_some(*span);
        Some(Seen { lines, part })
    }

    fn kind(&self, span: &Span) -> &Columns {
        if self.plain || span.covers(self) { &self.live } else { &self.past }
    }

    pub(crate) fn len(&self) -> usize {
        self.positions.len()
    }

    /// The first row not before `key`'s prefix. O(log n).
    pub(crate) fn lower(&self, events: &Events, key: &Seek<'_>) -> usize {
        self.search(events, key, Ordering::Less)
    }

    /// The first row after `key`'s prefix. O(log n).
    pub(crate) fn upper(&self, events: &Events, key: &Seek<'_>) -> usize {
        self.search(events, key, Ordering::Equal)
    }

    /// The same, where `lower` is the first row not before the prefix: most prefixes have few rows.
    pub(crate) fn upper_near(&self, events: &Events, key: &Seek<'_>, lower: usize) -> usize {
        let near = lower..self.len().min(lower + NEAR);
        let after = |&row: &usize| {
            key.cmp_event(self.index, &events[self.positions[row] as usize]) != Ordering::Equal
        };
        match near.clone().find(after) {
            Some(row) => row,
            None if near.end == self.len() => near.end,
            None => self.upper(events, key),
        }
    }

    /// The first row whose order to `key` is greater than `limit`.
    fn search(&self, events: &Events, key: &Seek<'_>, limit: Ordering) -> usize {
        if self.fences.is_empty() {
            let up_to = |&at: &u32| key.cmp_event(self.index, &events[at as usize]) <= limit;
            return self.positions.partition_point(up_to);
        }
        let (low, high) = fence_range(self.index, key);
        // Blocks whose fence is below `low` start before the key for certain; blocks above `high` after it.
        let first = self.fences.partition_point(|fence| *fence < low).saturating_sub(1) * BLOCK;
        let last = self.fences.partition_point(|fence| *fence <= high) * BLOCK;
        let (first, last) = (first, last.min(self.len()));
        first
            + self.positions[first..last]
                .partition_point(|&at| key.cmp_event(self.index, &events[at as usize]) <= limit)
    }

    /// Retractions among rows `start..end`; of a long run it reads at most two blocks.
    pub(crate) fn retracted(&self, events: &Events, start: usize, end: usize) -> usize {
        if self.retracted == 0 || start >= end {
            return 0;
        }
        if self.retractions.is_empty() {
            return count_retracted(events, &self.positions[start..end]);
        }
        let before = |i: usize| {
            let block = i / BLOCK;
            self.retractions[block] as usize + count_retracted(events, &self.positions[block * BLOCK..i])
        };
        before(end) - before(start)
    }
}

fn count_retracted(events: &Events, positions: &[u32]) -> usize {
    positions.iter().filter(|&&at| !events[at as usize].added()).count()
}

/// The first index at or after `from` for which `below` fails, by doubling steps: O(log distance).
pub(crate) fn gallop<X>(rows: &[X], from: usize, below: impl Fn(&X) -> bool) -> usize {
    let (mut low, mut step) = (from, 1);
    while low + step <= rows.len() && below(&rows[low + step - 1]) {
        low += step;
        step *= 2;
    }
    let high = (low + step - 1).min(rows.len());
    low + rows[low..high].partition_point(below)
}

/// The order of an index, in full.
pub(crate) fn whole_order(index: Index, x: &Event, y: &Event) -> Ordering {
    x.cmp_eav(y, index).then_with(|| x.cmp_within(y))
}

/// The leading components as two integers, in index order as far as they go.
fn fence(index: Index, event: &Event) -> (u64, u64) {
    let (e, a) = (event.e, u64::from(event.a()));
    match index {
        Index::Eavt => (e, a),
        Index::Aevt => (a, e),
        Index::Avet => (a, order_prefix(&event.v())),
    }
}

/// The least and the greatest fence of rows under a prefix.
fn fence_range(index: Index, key: &Seek<'_>) -> ((u64, u64), (u64, u64)) {
    let (first, second) = match index {
        Index::Eavt => (key.e, key.a.map(u64::from)),
        Index::Aevt => (key.a.map(u64::from), key.e),
        Index::Avet => (key.a.map(u64::from), key.v.map(|v| order_prefix(&v))),
    };
    match (first, second) {
        (None, _) => ((0, 0), (u64::MAX, u64::MAX)),
        (Some(first), None) => ((first, 0), (first, u64::MAX)),
        (Some(first), Some(second)) => ((first, second), (first, second)),
    }
}

#[cfg(test)]
mod tests;
