//! One member's copy: the machine, and the database values and rings that its actions call for.
//!
//! Called by the Raft host, in log order, on one thread. What it performs is local and repeatable: replay after a
//! restart performs it again from the newest snapshot. A body that does not apply is damage, and stops the member.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use annals_db::{Incarnation, Options};
use annals_edn::{Code, Error};
use annals_wire::v1;
use bytes::Bytes;

use crate::committed::{Committed, Slot, Tip};
use crate::engine::Engine;
use crate::feed::{Read, RingFrame};
use crate::machine::{Action, CommandResult, Frame, Machine, Position, RootRef, State};
use crate::raft::Replicated;

/// The machine with everything that follows from it. Shared between the Raft host and the indexer.
pub struct Replica<E: Engine> {
    engine: Arc<E>,
    committed: Arc<Committed<E>>,
    inner: Arc<Mutex<Inner>>,
}

/// The databases that an entry moves, and how far.
type Tips<E> = BTreeMap<Incarnation, (Arc<Slot<E>>, Tip<<E as Engine>::Value>)>;

#[derive(Default)]
struct Inner {
    machine: Machine,
    /// The root that each database is read from here; its newest or an older one.
    adopted: BTreeMap<Incarnation, RootRef>,
    actions: Vec<Action>,
}

impl<E: Engine> Clone for Replica<E> {
    fn clone(&self) -> Self {
        let (engine, committed, inner) = (self.engine.clone(), self.committed.clone(), self.inner.clone());
        Self { engine, committed, inner }
    }
}

impl<E: Engine> Replica<E> {
    /// A member that has applied nothing yet.
    #[must_use]
    pub fn new(engine: Arc<E>, committed: Arc<Committed<E>>) -> Self {
        Self { engine, committed, inner: Arc::default() }
    }

    /// The committed databases.
    #[must_use]
    pub fn committed(&self) -> &Arc<Committed<E>> {
        &self.committed
    }

    /// A copy of the replicated state. O(databases).
    #[must_use]
    pub fn state(&self) -> State {
        self.lock().machine.state().clone()
    }

    /// The root that `incarnation` is read from here.
    #[must_use]
    pub fn adopted(&self, incarnation: Incarnation) -> Option<RootRef> {
        self.lock().adopted.get(&incarnation).copied()
    }

    /// Reads `incarnation` from `root` on. The long part happens beside the log; what was committed meanwhile is applied
    /// again while it waits.
    ///
    /// # Errors
    /// The root cannot be read, or not whole; nothing has changed then.
    pub fn adopt(&self, incarnation: Incarnation, root: RootRef) -> Result<(), Error> {
        let Some(slot) = self.committed.get(incarnation) else { return Ok(()) };
        let before = slot.tip();
        let mut value = self.engine.rebase(&before.value, &root)?;
        let mut inner = self.lock();
        let mut tip = slot.tip();
        let missed = slot.ring().read(before.t, before.lineage, (tip.t, tip.lineage), usize::MAX);
        let Read::Frames(missed) = missed else {
            return Err(Error::new(Code::Internal, "the ring lost what no root covers"));
        };
        for frame in missed {
            value = self.engine.apply(&value, &frame.body)?;
        }
        tip.value = value;
        slot.begin_line(tip);
        slot.ring().cover(root.covers_t);
        inner.adopted.insert(incarnation, root);
        self.count_novelty(&inner);
        Ok(())
    }

    /// The bytes of each database's transactions that its adopted root does not cover, most first. O(frames).
    #[must_use]
    pub fn novelty(&self) -> Vec<(Arc<Slot<E>>, u64)> {
        let inner = self.lock();
        let mut all: Vec<_> =
            self.committed.all().into_iter().map(|slot| (self.uncovered(&inner, &slot), slot)).collect();
        all.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        all.into_iter().map(|(bytes, slot)| (slot, bytes)).collect()
    }

    fn uncovered(&self, inner: &Inner, slot: &Slot<E>) -> u64 {
        slot.ring().uncovered_bytes(inner.adopted.get(&slot.incarnation).map_or(0, |root| root.covers_t))
    }

    fn count_novelty(&self, inner: &Inner) {
        self.committed
            .set_novelty_bytes(self.committed.all().iter().map(|slot| self.uncovered(inner, slot)).sum());
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("a replica that panicked stops the member")
    }

    fn perform(&self, inner: &mut Inner) -> Result<(), String> {
        let mut tips: Tips<E> = BTreeMap::new();
        for action in std::mem::take(&mut inner.actions) {
            match action {
                Action::Committed(frame) => self.advance(inner, &mut tips, &frame)?,
                Action::Epoch(epoch) => self.committed.set_epoch(epoch),
                Action::Created(incarnation) => self.create(inner, incarnation),
                Action::Dropped(incarnation) => {
                    tips.remove(&incarnation);
                    inner.adopted.remove(&incarnation);
                    self.committed.remove(incarnation);
                }
                Action::Published(incarnation, root) => {
                    if let Some(slot) = self.committed.get(incarnation) {
                        slot.set_tip(Tip { root: Some(root), ..slot.tip() });
                    }
                }
            }
        }
        for (slot, tip) in tips.into_values() {
            slot.set_tip(tip);
        }
        self.committed.beat();
        Ok(())
    }

    fn advance(&self, inner: &Inner, tips: &mut Tips<E>, frame: &Frame) -> Result<(), String> {
        let entry = match tips.entry(frame.incarnation) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let slot = self.committed.get(frame.incarnation).ok_or("a transaction of no database")?;
                let tip = slot.tip();
                entry.insert((slot, tip))
            }
        };
        let (slot, tip) = (&entry.0, &mut entry.1);
        // After a restart the log may repeat what the root that is read already holds: chained, not applied.
        let covered = inner.adopted.get(&frame.incarnation).is_some_and(|root| frame.t <= root.covers_t);
        if !covered {
            tip.value = match slot.take_expected(frame.lineage) {
                Some(value) => value,
                None => self.engine.apply(&tip.value, &frame.body).map_err(|error| {
                    format!("transaction {} of {} does not apply: {error}", frame.t, slot.name)
                })?,
            };
            slot.ring().push(ring_frame(frame));
            self.committed.add_novelty_bytes(frame.body.len() as u64);
        }
        tip.t = frame.t;
        tip.lineage = frame.lineage;
        tip.instant = frame.instant;
        Ok(())
    }

    fn create(&self, inner: &Inner, incarnation: Incarnation) {
        let Some(database) = inner.machine.state().databases.get(&incarnation) else { return };
        let (name, options) = (database.name.clone(), database.options);
        let value = self.engine.empty(incarnation, options);
        let tip = Tip { value, t: 0, lineage: Default::default(), instant: 0, root: None };
        self.committed.insert(Arc::new(Slot::new(incarnation, name, options, tip)));
    }

    fn reopen(&self, state: &State, adopted: &BTreeMap<Incarnation, RootRef>) -> Result<(), Error> {
        for slot in self.committed.all() {
            self.committed.remove(slot.incarnation);
        }
        for (incarnation, database) in &state.databases {
            let options: Options = database.options;
            let value = match adopted.get(incarnation) {
                Some(root) => self.engine.open(*incarnation, options, root)?,
                None => self.engine.empty(*incarnation, options),
            };
            let (t, lineage, instant) = (database.t, database.lineage, database.last_instant);
            let tip = Tip { value, t, lineage, instant, root: database.root().copied() };
            let slot = Slot::new(*incarnation, database.name.clone(), options, tip);
            slot.ring().cover(adopted.get(incarnation).map_or(0, |root| root.covers_t));
            self.committed.insert(Arc::new(slot));
        }
        self.committed.set_epoch(state.epoch);
        Ok(())
    }
}

impl<E: Engine> Replicated for Replica<E> {
    fn apply(&mut self, position: Position, command: &Bytes) -> Result<CommandResult, String> {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let result = inner.machine.apply(position, command.clone(), &mut inner.actions).map_err(|error| {
            format!("entry {} cannot be applied by this version: {error}", position.index)
        })?;
        if !inner.actions.is_empty() {
            self.perform(inner)?;
        }
        Ok(result)
    }

    fn skip(&mut self, position: Position) {
        self.lock().machine.skip(position);
    }

    fn checkpoint(&mut self) -> Option<(Position, Bytes)> {
        let mut inner = self.lock();
        let inner = &mut *inner;
        inner.machine.checkpoint(&inner.adopted)
    }

    fn install(&mut self, position: Option<Position>, state: &Bytes) -> Result<(), String> {
        let (state, adopted) = Machine::read_checkpoint(state.clone()).map_err(|error| error.to_string())?;
        self.reopen(&state, &adopted).map_err(|error| error.to_string())?;
        let mut inner = self.lock();
        inner.machine.install(position.unwrap_or_default(), state);
        inner.adopted = adopted;
        Ok(())
    }
}

fn ring_frame(frame: &Frame) -> RingFrame {
    let message = v1::Frame {
        incarnation: Bytes::copy_from_slice(&frame.incarnation.0.to_be_bytes()),
        epoch: frame.epoch,
        t: frame.t,
        prev_lineage: Bytes::copy_from_slice(&frame.prev_lineage.0),
        lineage: Bytes::copy_from_slice(&frame.lineage.0),
        tx_body: frame.body.clone(),
    };
    let encoded = annals_wire::feed::encode_frame(&message);
    // The body is the message's last field: sharing it with the encoded frame lets the log entry's memory go.
    let body = encoded.slice(encoded.len() - frame.body.len()..);
    debug_assert_eq!(body, frame.body);
    RingFrame { t: frame.t, prev_lineage: frame.prev_lineage, lineage: frame.lineage, encoded, body }
}
