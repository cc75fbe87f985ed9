//! Where the newest event of an often replaced value lies.
//!
//! A counter leaves two events a step, and a point read would walk all of them to find the one that holds. So the
//! entities and attributes whose one value was ever replaced here know their newest event. Facts that are only asserted,
//! as in an import, cost nothing. Readers never wait for more than a few hundred insertions.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use rustc_hash::FxHashMap;

use crate::datom::Datom;
use crate::id::{AttrId, EntityId};

/// Entities and attributes that had a value replaced, and the position of their newest event.
#[derive(Debug, Default)]
pub(crate) struct Newest {
    positions: RwLock<FxHashMap<(u64, u32), u32>>,
    any: AtomicBool,
}

/// Positions written under one lock.
const CHUNK: usize = 256;

impl Newest {
    /// The position of the newest event, if a value was ever replaced; it may lie beyond what the caller sees. O(1).
    pub(crate) fn get(&self, e: EntityId, a: AttrId) -> Option<u32> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        self.positions.read().unwrap_or_else(PoisonError::into_inner).get(&(e.0, a.0)).copied()
    }

    /// Takes note of events from position `start` on, before they are published. `one` tells the retractions of
    /// attributes that take one value.
    pub(crate) fn follow(&self, datoms: &[Datom], start: u32, one: impl Fn(&Datom) -> bool) {
        if !self.any.load(Ordering::Acquire) && datoms.iter().all(|datom| datom.added) {
            return;
        }
        let mut changes: Vec<((u64, u32), u32)> = Vec::new();
        {
            let held = self.positions.read().unwrap_or_else(PoisonError::into_inner);
            for (at, datom) in (start..).zip(datoms) {
                let key = (datom.e.0, datom.a.0);
                let again = changes.last().is_some_and(|(last, _)| *last == key);
                if again || held.contains_key(&key) || (!datom.added && one(datom)) {
                    changes.push((key, at));
                }
            }
        }
        for chunk in changes.chunks(CHUNK) {
            self.positions.write().unwrap_or_else(PoisonError::into_inner).extend(chunk.iter().copied());
        }
        if !changes.is_empty() {
            self.any.store(true, Ordering::Release);
        }
    }
}
