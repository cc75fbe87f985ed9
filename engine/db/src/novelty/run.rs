//! A sorted run: positions of events in the order of one index.
//!
//! Searches compare through the arena; `fences` (the leading components of every 32nd event, packed) keep all but the
//! last five steps of a binary search within a small dense array.

use std::cmp::Ordering;

use super::Events;
use super::event::{Event, Seek};
use super::prefix::order_prefix;
use crate::order::Index;

/// An immutable run. Positions are relative to the arena of the layer that owns it.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) index: Index,
    pub(crate) positions: Box<[u32]>,
    /// every event asserts, and no `[e a v]` comes twice
    pub(crate) plain: bool,
    /// retractions among the events before each block of [`BLOCK`], and their sum at the end; empty when plain
    retractions: Box<[u32]>,
    /// the least and greatest t, relative to the layer's base
    pub(crate) t_min: u32,
    pub(crate) t_max: u32,
    fences: Box<[(u64, u64)]>,
}

const BLOCK: usize = 32;

impl Run {
    /// Sorts `positions`.
    pub(crate) fn sorted(events: &Events, index: Index, positions: Vec<u32>) -> Run {
        let mut keyed: Vec<((u64, u64), u32)> =
            positions.iter().map(|&at| (fence(index, &events[at as usize]), at)).collect();
        keyed.sort_unstable_by(|x, y| {
            x.0.cmp(&y.0).then_with(|| whole_order(index, &events[x.1 as usize], &events[y.1 as usize]))
        });
        let positions: Vec<u32> = keyed.into_iter().map(|(_, at)| at).collect();
        let twice =
            positions.windows(2).any(|pair| events[pair[0] as usize].same_fact(&events[pair[1] as usize]));
        Run::finish(events, index, positions, twice)
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
        Run::finish(events, x.index, positions, twice)
    }

    fn finish(events: &Events, index: Index, positions: Vec<u32>, twice: bool) -> Run {
        let (mut t_min, mut t_max) = (u32::MAX, 0);
        let mut retractions = Vec::with_capacity(positions.len() / BLOCK + 2);
        let mut fences = Vec::with_capacity(positions.len() / BLOCK + 1);
        let mut retracted = 0;
        for (i, &at) in positions.iter().enumerate() {
            let event = &events[at as usize];
            if i % BLOCK == 0 {
                retractions.push(retracted);
                fences.push(fence(index, event));
            }
            t_min = t_min.min(event.t);
            t_max = t_max.max(event.t);
            retracted += u32::from(!event.added());
        }
        retractions.push(retracted);
        let plain = !twice && retracted == 0;
        if retracted == 0 {
            retractions.clear();
        }
        Run {
            index,
            positions: positions.into(),
            plain,
            retractions: retractions.into(),
            t_min,
            t_max,
            fences: fences.into(),
        }
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

    /// The first row whose order to `key` is greater than `limit`.
    fn search(&self, events: &Events, key: &Seek<'_>, limit: Ordering) -> usize {
        let (low, high) = fence_range(self.index, key);
        // Blocks whose fence is below `low` start before the key for certain; blocks above `high` after it.
        let first = self.fences.partition_point(|fence| *fence < low).saturating_sub(1) * BLOCK;
        let last = self.fences.partition_point(|fence| *fence <= high) * BLOCK;
        let (first, last) = (first, last.min(self.len()));
        first
            + self.positions[first..last]
                .partition_point(|&at| key.cmp_event(self.index, &events[at as usize]) <= limit)
    }

    /// Retractions among rows `start..end`; reads at most two blocks.
    pub(crate) fn retracted(&self, events: &Events, start: usize, end: usize) -> usize {
        if self.retractions.is_empty() || start >= end {
            return 0;
        }
        let before = |i: usize| {
            let block = i / BLOCK;
            let rest = &self.positions[block * BLOCK..i];
            let inside = rest.iter().filter(|&&at| !events[at as usize].added()).count();
            self.retractions[block] as usize + inside
        };
        before(end) - before(start)
    }
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
