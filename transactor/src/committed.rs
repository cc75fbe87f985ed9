//! The committed databases as this process reads them: the newest value of each, its feed ring, and the catalog.
//!
//! Written by the replica alone, after each applied entry; read by the intake, the feed and the services. Readers never
//! block the replica for longer than a pointer copy.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard};

use annals_db::{Incarnation, Options};
use tokio::sync::watch;

use crate::engine::Engine;
use crate::feed::Ring;
use crate::machine::{Lineage, RootRef};

/// Where a database stands.
#[derive(Clone)]
pub struct Tip<V> {
    /// The newest committed value.
    pub value: V,
    /// Its basis.
    pub t: u64,
    /// The chain up to `t`.
    pub lineage: Lineage,
    /// `:db/txInstant` of `t`, milliseconds.
    pub instant: i64,
    /// The newest published root.
    pub root: Option<RootRef>,
}

/// One database of this process.
pub struct Slot<E: Engine> {
    /// Its identity.
    pub incarnation: Incarnation,
    /// Its name.
    pub name: String,
    /// Fixed at creation.
    pub options: Options,
    tip: RwLock<Tip<E::Value>>,
    ring: Mutex<Ring>,
    /// Values that the writer expects to become committed, by chain. The replica takes them instead of applying the
    /// same body a second time.
    expected: Mutex<VecDeque<Expected<E::Value>>>,
    /// Which root the values are read from here, counted. Values of an older line keep what adoption let go.
    line: AtomicU64,
    reached: watch::Sender<u64>,
}

struct Expected<V> {
    line: u64,
    lineage: Lineage,
    value: V,
}

impl<E: Engine> Slot<E> {
    pub(crate) fn new(incarnation: Incarnation, name: String, options: Options, tip: Tip<E::Value>) -> Self {
        let reached = watch::channel(tip.t).0;
        let (ring, expected, line) = (Mutex::default(), Mutex::default(), AtomicU64::new(0));
        Self { incarnation, name, options, tip: RwLock::new(tip), ring, expected, line, reached }
    }

    /// The newest committed state. O(1).
    pub fn tip(&self) -> Tip<E::Value> {
        self.read_tip().clone()
    }

    /// The newest committed t.
    pub fn t(&self) -> u64 {
        self.read_tip().t
    }

    /// The newest committed t as it grows.
    pub fn reached(&self) -> watch::Receiver<u64> {
        self.reached.subscribe()
    }

    /// The feed's frames. Held for a copy of some pointers at most.
    pub(crate) fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().expect("no holder of the ring panics")
    }

    pub(crate) fn set_tip(&self, tip: Tip<E::Value>) {
        let t = tip.t;
        *self.tip.write().expect("no holder of the tip panics") = tip;
        self.reached.send_if_modified(|known| std::mem::replace(known, t) != t);
    }

    /// The line that new values should be of.
    pub(crate) fn line(&self) -> u64 {
        self.line.load(Ordering::Acquire)
    }

    /// Replaces the newest value by the same one over another root; older lines end.
    pub(crate) fn begin_line(&self, tip: Tip<E::Value>) {
        self.set_tip(tip);
        self.line.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn expect(&self, line: u64, lineage: Lineage, value: E::Value) {
        self.lock_expected().push_back(Expected { line, lineage, value });
    }

    pub(crate) fn expect_nothing(&self) {
        self.lock_expected().clear();
    }

    /// The value expected at this point of the chain if it is of the present line; drops older expectations.
    pub(crate) fn take_expected(&self, lineage: Lineage) -> Option<E::Value> {
        let mut expected = self.lock_expected();
        let found = expected.iter().position(|expected| expected.lineage == lineage)?;
        let taken = expected.drain(..=found).next_back()?;
        (taken.line == self.line()).then_some(taken.value)
    }

    fn read_tip(&self) -> RwLockReadGuard<'_, Tip<E::Value>> {
        self.tip.read().expect("no holder of the tip panics")
    }

    fn lock_expected(&self) -> MutexGuard<'_, VecDeque<Expected<E::Value>>> {
        self.expected.lock().expect("no holder of the expectations panics")
    }
}

/// All databases of this process.
pub struct Committed<E: Engine> {
    slots: RwLock<BTreeMap<Incarnation, Arc<Slot<E>>>>,
    epoch: AtomicU64,
    /// Counts applied entries that readers care about: transactions, catalog changes, roots, epochs.
    pulse: watch::Sender<u64>,
    /// Counts catalog changes.
    catalog: watch::Sender<u64>,
    /// Bytes of committed bodies that no adopted root covers yet, over all databases.
    novelty_bytes: AtomicU64,
}

impl<E: Engine> Default for Committed<E> {
    fn default() -> Self {
        let (pulse, catalog) = (watch::channel(0).0, watch::channel(0).0);
        Self {
            slots: RwLock::default(),
            epoch: AtomicU64::new(0),
            pulse,
            catalog,
            novelty_bytes: AtomicU64::new(0),
        }
    }
}

impl<E: Engine> Committed<E> {
    /// The database of that incarnation.
    pub fn get(&self, incarnation: Incarnation) -> Option<Arc<Slot<E>>> {
        self.read().get(&incarnation).cloned()
    }

    /// The database of that name. O(databases).
    pub fn named(&self, name: &str) -> Option<Arc<Slot<E>>> {
        self.read().values().find(|slot| slot.name == name).cloned()
    }

    /// All databases, by incarnation.
    pub fn all(&self) -> Vec<Arc<Slot<E>>> {
        self.read().values().cloned().collect()
    }

    /// The newest epoch applied here.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Changes with every applied entry that readers care about.
    pub fn pulse(&self) -> watch::Receiver<u64> {
        self.pulse.subscribe()
    }

    /// Changes when a database comes or goes.
    pub fn catalog(&self) -> watch::Receiver<u64> {
        self.catalog.subscribe()
    }

    /// Bytes of committed bodies that no adopted root covers.
    pub fn novelty_bytes(&self) -> u64 {
        self.novelty_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn add_novelty_bytes(&self, bytes: u64) {
        self.novelty_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn set_novelty_bytes(&self, bytes: u64) {
        self.novelty_bytes.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn set_epoch(&self, epoch: u64) {
        self.epoch.store(epoch, Ordering::Release);
    }

    pub(crate) fn insert(&self, slot: Arc<Slot<E>>) {
        self.slots.write().expect("no holder of the catalog panics").insert(slot.incarnation, slot);
        self.catalog.send_modify(|count| *count += 1);
    }

    pub(crate) fn remove(&self, incarnation: Incarnation) {
        self.slots.write().expect("no holder of the catalog panics").remove(&incarnation);
        self.catalog.send_modify(|count| *count += 1);
    }

    pub(crate) fn beat(&self) {
        self.pulse.send_modify(|count| *count += 1);
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<Incarnation, Arc<Slot<E>>>> {
        self.slots.read().expect("no holder of the catalog panics")
    }
}
