//! Upsert: which tempids are entities of db-before, and which are one.
//!
//! A tempid with an identity value that an entity has *is* that entity; two tempids with the same new identity value are
//! one. Where the value is itself a tempid its standing may change later, so such operations wait for it and are looked
//! at again when it is bound or unites with another: work grows with the operations that wait, never with rounds.

use annals_edn::{Code, Error};
use rustc_hash::FxHashMap;

use crate::Result;
use crate::database::Db;
use crate::id::EntityId;
use crate::tx::op::{NewKeys, Object, Op, Slot, Subject};
use crate::tx::paths::Paths;
use crate::tx::refusal::{Refusals, attribute_name};
use crate::tx::temp::{Temp, Temps};
use crate::value::Value;

/// Marks references to tempids that are no entity yet; no real id has this bit.
const OPEN: u64 = 1 << 63;

/// Unites and binds `temps` by the identity values in `ops`; answers the identity values that db-before does not have.
///
/// # Errors
/// Only of the store; a tempid that would be two entities is noted in `refusals`.
pub(super) fn unify(
    db: &Db,
    ops: &[Op],
    paths: &Paths,
    temps: &mut Temps,
    refusals: &mut Refusals,
) -> Result<NewKeys> {
    let mut queue: Vec<u32> = (0u32..)
        .zip(ops)
        .filter(|(_, op)| op.identity && matches!(op.e, Subject::Temp(_)))
        .map(|(at, _)| at)
        .collect();
    queue.reverse();
    let keys = NewKeys::with_capacity_and_hasher(queue.len(), Default::default());
    let mut unifier = Unifier { db, ops, paths, temps, refusals, queue, waiting: FxHashMap::default(), keys };
    while let Some(at) = unifier.queue.pop() {
        unifier.look(at)?;
    }
    Ok(unifier.keys)
}

struct Unifier<'a> {
    db: &'a Db,
    ops: &'a [Op],
    paths: &'a Paths,
    temps: &'a mut Temps,
    refusals: &'a mut Refusals,
    /// operations to look at, by number
    queue: Vec<u32>,
    /// by root, the operations whose value it is
    waiting: FxHashMap<Temp, Vec<u32>>,
    /// identity values that no entity has yet, and a tempid that has them
    keys: NewKeys,
}

impl Unifier<'_> {
    fn look(&mut self, at: u32) -> Result<()> {
        let op = &self.ops[at as usize];
        let Subject::Temp(temp) = op.e else { return Ok(()) };
        let root = self.temps.root(temp);
        let (value, open) = self.value(&op.v, at);
        let key = (op.a, value);
        if let Some(other) = self.keys.get(&key) {
            let other = *other;
            return if op.added { self.unite(root, other, op) } else { Ok(()) };
        }
        let found = if open { None } else { self.db.lookup(op.a, &key.1.as_ref())? };
        match found {
            Some(e) => self.bind(root, e, op),
            None if op.added => {
                self.keys.insert(key, temp);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// The value as far as it is known, and whether some tempid in it is still open.
    fn value(&mut self, object: &Object, at: u32) -> (Value, bool) {
        match object {
            Object::Value(value) => (value.clone(), false),
            Object::Temp(temp) => {
                let e = self.reference(*temp, at);
                (Value::Ref(e), e.0 & OPEN != 0)
            }
            Object::Tuple(slots) => {
                let mut open = false;
                let slots = slots.iter().map(|slot| match slot {
                    Slot::Value(value) => value.clone(),
                    Slot::Temp(temp) => {
                        let e = self.reference(*temp, at);
                        open |= e.0 & OPEN != 0;
                        Some(Value::Ref(e))
                    }
                });
                (Value::Tuple(slots.collect()), open)
            }
        }
    }

    fn reference(&mut self, temp: Temp, at: u32) -> EntityId {
        let root = self.temps.root(temp);
        self.temps.bound(root).unwrap_or_else(|| {
            self.waiting.entry(root).or_default().push(at);
            EntityId(OPEN | u64::from(root.0))
        })
    }

    fn bind(&mut self, root: Temp, e: EntityId, op: &Op) -> Result<()> {
        match self.temps.bind(root, e) {
            Ok(true) => {
                self.wake(root);
                Ok(())
            }
            Ok(false) => Ok(()),
            Err(other) => self.two_entities(e, other, op),
        }
    }

    fn unite(&mut self, root: Temp, other: Temp, op: &Op) -> Result<()> {
        let other = self.temps.root(other);
        if other == root {
            return Ok(());
        }
        match self.temps.union(root, other) {
            Ok(_) => {
                self.wake(root);
                self.wake(other);
                Ok(())
            }
            Err((one, two)) => self.two_entities(one, two, op),
        }
    }

    fn wake(&mut self, root: Temp) {
        if let Some(waiting) = self.waiting.remove(&root) {
            self.queue.extend(waiting);
        }
    }

    fn two_entities(&mut self, one: EntityId, two: EntityId, op: &Op) -> Result<()> {
        let (one, two) = (one.min(two), one.max(two));
        let attribute = attribute_name(self.db, op.a);
        let message = format!("a tempid would be two entities, {one} and {two}, by its unique values");
        let error = Error::new(Code::UniqueConflict, message)
            .with("attribute", attribute)
            .with("entity", one)
            .with("other", two);
        self.refusals.note(self.paths.placed(self.db, error, op.place, Some(op.a)))
    }
}
