//! The sorted runs of one index over one layer's arena.
//!
//! A tail of at most [`Tuning::tail`] positions and four runs above it, each [`Tuning::ratio`] times its younger
//! neighbour. Readers extend it to the events they need, once for all readers; writers never do. An event is rewritten
//! about `ratio / 2` times a level.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::Events;
use super::run::Run;
use crate::order::Index;

/// Sizes of the tail and the runs; another choice never changes an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tuning {
    /// positions in the tail
    pub(crate) tail: usize,
    /// how many times larger each run may be than the one before
    pub(crate) ratio: usize,
}

impl Default for Tuning {
    fn default() -> Self {
        Tuning { tail: 1024, ratio: 8 }
    }
}

/// Tail and runs, the youngest first.
const LEVELS: usize = 5;

/// What readers hold: immutable.
#[derive(Debug, Default)]
pub(crate) struct Levels {
    runs: [Option<Arc<Run>>; LEVELS],
}

impl Levels {
    pub(crate) fn runs(&self) -> impl DoubleEndedIterator<Item = &Arc<Run>> {
        self.runs.iter().flatten()
    }
}

/// One index of a layer.
#[derive(Debug)]
pub(crate) struct Sorted {
    index: Index,
    tuning: Tuning,
    levels: ArcSwap<Levels>,
    /// events below this position are in `levels`; raised after `levels` was stored
    upto: AtomicU32,
    extending: Mutex<()>,
}

impl Sorted {
    pub(crate) fn new(index: Index, tuning: Tuning) -> Sorted {
        Sorted {
            index,
            tuning,
            levels: ArcSwap::from_pointee(Levels::default()),
            upto: AtomicU32::new(0),
            extending: Mutex::new(()),
        }
    }

    /// The runs with at least the events below `needed`. Sorts what is missing, up to `published`.
    pub(crate) fn levels(
        &self,
        events: &Events,
        needed: u32,
        published: &AtomicU32,
    ) -> arc_swap::Guard<Arc<Levels>> {
        if self.upto.load(Ordering::Acquire) < needed {
            let _one = self.extending.lock().unwrap_or_else(PoisonError::into_inner);
            if self.upto.load(Ordering::Acquire) < needed {
                self.extend(events, published.load(Ordering::Acquire));
            }
        }
        self.levels.load()
    }

    fn extend(&self, events: &Events, end: u32) {
        let fresh: Vec<u32> = (self.upto.load(Ordering::Acquire)..end)
            .filter(|&at| self.index != Index::Avet || events[at as usize].in_avet())
            .collect();
        if !fresh.is_empty() {
            let mut runs = self.levels.load().runs.clone();
            let run = Run::sorted(events, self.index, fresh);
            self.push_down(events, &mut runs, run);
            self.levels.store(Arc::new(Levels { runs }));
        }
        self.upto.store(end, Ordering::Release);
    }

    /// Merges `run` into the tail, and what grows beyond its level into the next.
    fn push_down(&self, events: &Events, runs: &mut [Option<Arc<Run>>; LEVELS], run: Run) {
        let mut run = Arc::new(run);
        let mut room = self.tuning.tail;
        for slot in &mut runs[..] {
            if let Some(held) = slot.take() {
                run = Arc::new(Run::merged(events, &held, &run));
            }
            if run.len() <= room {
                *slot = Some(run);
                return;
            }
            room = room.saturating_mul(self.tuning.ratio);
        }
        runs[LEVELS - 1] = Some(run);
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::Marks;
    use super::*;
    use crate::datom::Datom;
    use crate::id::{AttrId, EntityId, T};
    use crate::novelty::Event;
    use crate::value::Value;

    #[test]
    fn every_event_is_in_one_run_and_runs_keep_their_sizes() {
        let (events, published) = (Events::new(), AtomicU32::new(0));
        let sorted = Sorted::new(Index::Eavt, Tuning { tail: 4, ratio: 2 });
        for i in 0..500_u32 {
            let e = EntityId(u64::from(i) * 7919 % 100);
            let datom = Datom { e, a: AttrId(1), v: Value::Long(i.into()), t: T(i.into()), added: true };
            events.push(Event::new(&datom, i, Marks::default()));
            published.store(i + 1, Ordering::Release);
            if !i.is_multiple_of(3) {
                continue;
            }
            let levels = sorted.levels(&events, i + 1, &published);
            let mut held: Vec<u32> = levels.runs().flat_map(|run| run.positions.iter().copied()).collect();
            held.sort_unstable();
            assert!(held.into_iter().eq(0..=i));
            let room = (0..LEVELS as u32 - 1).map(|level| 4 << level);
            let sizes = levels.runs.iter().map(|run| run.as_ref().map_or(0, |run| run.len()));
            assert!(sizes.zip(room).all(|(size, room)| size <= room));
        }
    }
}
