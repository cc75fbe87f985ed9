//! The second stage: tempids become entities. Identity values of db-before say which are old (upsert), identity values
//! they share say which are one; both to a fixpoint, since a value may itself be a tempid. The rest get new ids.

mod upsert;

use std::sync::Arc;

use annals_edn::{Code, Error};
use rustc_hash::FxHashMap;

use crate::Result;
use crate::bootstrap::{self, attr};
use crate::database::Db;
use crate::id::{AttrId, EntityId, Partition, T};
use crate::tx::Context;
use crate::tx::op::{Ensure, Expanded, Fact, NewKeys, Object, Op, Resolved, Slot, Subject};
use crate::tx::paths::Paths;
use crate::tx::refusal::{Refusals, attribute_name, cycle};
use crate::tx::temp::{Affinity, Temp, Temps};
use crate::value::Value;

/// Resolves every tempid of `expanded`.
///
/// # Errors
/// `UNIQUE_CONFLICT` for a tempid that is two entities, `TEMPID_NOT_AN_ENTITY` for one that nothing is said about,
/// `CYCLE_IN_AFFINITY`, the `…_TX_INSTANT` codes, and those of the store.
pub(super) fn resolve(db: &Db, mut expanded: Expanded, context: &Context<'_>) -> Result<Resolved> {
    let mut refusals = Refusals::default();
    let new_keys = if expanded.temps.len() == 0 {
        NewKeys::default()
    } else {
        {
            let Expanded { ops, temps, paths, .. } = &mut expanded;
            upsert::unify(db, ops, paths, temps, &mut refusals)?
        }
    };
    check_known(db, &mut expanded, &mut refusals)?;
    let next_counter = next_counter(db, &expanded.ops);
    let mut minter = Minter::new(db, &mut expanded.temps, next_counter);
    minter.mint(&mut refusals)?;
    refusals.finish()?;
    let (ids, next_counter) = (minter.ids, minter.next_counter);
    let own = EntityId::of_tx(T(db.basis().0 + 1));
    let tempids = named(&expanded.temps, &ids, own);
    let known = Known { ids: &ids };
    let Expanded { ops, ensures, paths, .. } = expanded;
    let mut instants = Instants::new(db, context, &paths);
    let facts = facts(ops, &known, &mut instants)?;
    let ensures = ensures.into_iter().map(|ensure| known.ensure(ensure)).collect();
    let instant = instants.finish()?;
    Ok(Resolved { facts, ensures, instant, tempids, next_counter, new_keys, paths })
}

/// The counter of the first new entity. Where entities are counted in the partition of explicit ids, past those that the
/// transaction names itself.
fn next_counter(db: &Db, ops: &[Op]) -> u64 {
    let mut next = db.next_counter();
    if db.options().schema_on_write {
        return next;
    }
    let mut past = |e: EntityId| {
        if e.partition() == Partition::EXPLICIT {
            next = next.max(e.counter() + 1);
        }
    };
    for op in ops {
        if let Subject::Id(e) = op.e {
            past(e);
        }
        if let Object::Value(Value::Ref(e)) = op.v {
            past(e);
        }
    }
    next
}

/// A tempid that is only a value, or only in a tuple, names nothing.
fn check_known(db: &Db, expanded: &mut Expanded, refusals: &mut Refusals) -> Result<()> {
    let Expanded { ops, temps, paths, .. } = expanded;
    // One is told, so one is named: finding a name passes all of them.
    let mut told = false;
    let mut check = |temp: Temp, op: &Op| {
        let root = temps.root(temp);
        if told || temps.is_subject(root) {
            return Ok(());
        }
        told = true;
        let name = temps.name(temp).map_or_else(|| "a nested map".to_owned(), |name| format!("\"{name}\""));
        let message = format!("the tempid {name} is used as a value, but no form says anything about it");
        let error = Error::new(Code::TempidNotAnEntity, message)
            .with("attribute", attribute_name(db, op.a))
            .with("value", name);
        refusals.note(paths.placed(db, error, op.place, Some(op.a)))
    };
    for op in ops.iter() {
        match &op.v {
            Object::Value(_) => {}
            Object::Temp(temp) => check(*temp, op)?,
            Object::Tuple(slots) => {
                for slot in slots.iter() {
                    if let Slot::Temp(temp) = slot {
                        check(*temp, op)?;
                    }
                }
            }
        }
    }
    Ok(())
}

/// Gives ids to the tempids that are no entity yet, in order of first appearance.
struct Minter<'a> {
    temps: &'a mut Temps,
    next_counter: u64,
    next_element: u32,
    /// where entities go that have no wish
    default: Partition,
    /// by tempid number
    ids: Vec<Option<EntityId>>,
    /// where tempids go that want to be near another; none for those whose wishes lead round in a circle
    near: FxHashMap<Temp, Option<Partition>>,
}

impl<'a> Minter<'a> {
    fn new(db: &Db, temps: &'a mut Temps, next_counter: u64) -> Self {
        let ids = Vec::with_capacity(temps.len());
        let default = if db.options().schema_on_write { Partition::USER } else { Partition::EXPLICIT };
        let next_element = db.schema().next_element();
        Minter { temps, next_counter, next_element, default, ids, near: FxHashMap::default() }
    }

    fn mint(&mut self, refusals: &mut Refusals) -> Result<()> {
        for temp in self.temps.all() {
            let root = self.temps.root(temp);
            let known = if root < temp { self.ids[root.0 as usize] } else { self.temps.bound(root) };
            let id = match known {
                None if self.temps.is_subject(root) => match self.new_id(root) {
                    Ok(id) => Some(id),
                    Err(error) => {
                        refusals.note(error)?;
                        None
                    }
                },
                known => known,
            };
            self.ids.push(id);
        }
        Ok(())
    }

    fn new_id(&mut self, root: Temp) -> Result<EntityId> {
        let partition = self.partition(root)?;
        if partition == Partition::DB {
            if self.next_element >= bootstrap::MAX_ELEMENTS {
                return Err(bootstrap::no_more_elements());
            }
            self.next_element += 1;
            return Ok(AttrId(self.next_element - 1).entity());
        }
        if self.next_counter > EntityId::MAX_COUNTER {
            return Err(Error::new(
                Code::InvalidEntityId,
                "no entity ids are left: the greatest was given away",
            ));
        }
        self.next_counter += 1;
        Ok(EntityId::new(partition, self.next_counter - 1))
    }

    /// The partition a new entity goes to: its own wish, or that of the entity it wants to be near. Every tempid is passed
    /// once, however long the chains of wishes are.
    fn partition(&mut self, root: Temp) -> Result<Partition> {
        let (mut at, mut way) = (root, Vec::new());
        let found = loop {
            if let Some(known) = self.near.get(&at) {
                break *known;
            }
            match self.temps.affinity(at) {
                Affinity::Schema => break Some(if at == root { Partition::DB } else { self.default }),
                Affinity::Partition(partition) => break Some(partition),
                Affinity::Default => break Some(self.default),
                Affinity::Like(Subject::Id(e)) => break Some(self.beside(e)),
                Affinity::Like(Subject::Temp(other)) => {
                    let near_to = self.temps.root(other);
                    if near_to == at {
                        // An entity that turned out to be the one it wanted to be near.
                        break Some(self.default);
                    }
                    // Met again on this way, it wants to be near itself.
                    self.near.insert(at, None);
                    way.push(at);
                    at = near_to;
                    if let Some(e) = self.temps.bound(at) {
                        break Some(self.beside(e));
                    }
                }
            }
        };
        self.near.extend(way.into_iter().map(|temp| (temp, found)));
        found.ok_or_else(cycle)
    }

    /// Where a new entity near `e` goes: partitions whose counters mean something else take none.
    fn beside(&self, e: EntityId) -> Partition {
        match e.partition() {
            Partition::EXPLICIT | Partition::DB | Partition::TX => self.default,
            partition => partition,
        }
    }
}

/// What the report says of tempids: each name and its entity, by name.
fn named(temps: &Temps, ids: &[Option<EntityId>], own: EntityId) -> Vec<(Arc<str>, EntityId)> {
    let names = temps.names().into_iter();
    let mut tempids: Vec<_> = names.filter_map(|(name, temp)| Some((name, ids[temp.0 as usize]?))).collect();
    tempids.extend(temps.own_names().iter().map(|name| (name.clone(), own)));
    tempids.sort_unstable_by(|x, y| x.0.cmp(&y.0));
    tempids.dedup_by(|x, y| x.0 == y.0);
    tempids
}

/// The entity of every tempid.
struct Known<'a> {
    ids: &'a [Option<EntityId>],
}

impl Known<'_> {
    fn temp(&self, temp: Temp) -> EntityId {
        self.ids[temp.0 as usize].expect("every tempid in use was checked and minted")
    }

    fn subject(&self, subject: Subject) -> EntityId {
        match subject {
            Subject::Id(e) => e,
            Subject::Temp(temp) => self.temp(temp),
        }
    }

    fn value(&self, object: Object) -> Value {
        match object {
            Object::Value(value) => value,
            Object::Temp(temp) => Value::Ref(self.temp(temp)),
            Object::Tuple(slots) => {
                let slots = slots.into_iter().map(|slot| match slot {
                    Slot::Value(value) => value,
                    Slot::Temp(temp) => Some(Value::Ref(self.temp(temp))),
                });
                Value::Tuple(slots.collect())
            }
        }
    }

    fn ensure(&self, ensure: Ensure<Subject>) -> Ensure<EntityId> {
        Ensure { subject: self.subject(ensure.subject), spec: ensure.spec, place: ensure.place }
    }
}

fn facts(ops: Vec<Op>, known: &Known<'_>, instants: &mut Instants<'_>) -> Result<Vec<Fact>> {
    let mut facts = Vec::with_capacity(ops.len());
    for op in ops {
        if op.composite {
            continue;
        }
        let e = known.subject(op.e);
        let fact = Fact { e, a: op.a, v: known.value(op.v), added: op.added, place: op.place };
        if op.a == attr::TX_INSTANT && e.partition() == Partition::TX {
            instants.take(&fact)?;
        } else {
            facts.push(fact);
        }
    }
    Ok(facts)
}

/// What the transaction says about `:db/txInstant` of transactions.
struct Instants<'a> {
    db: &'a Db,
    context: &'a Context<'a>,
    paths: &'a Paths,
    given: Option<i64>,
    refusals: Refusals,
}

impl<'a> Instants<'a> {
    fn new(db: &'a Db, context: &'a Context<'a>, paths: &'a Paths) -> Self {
        Instants { db, context, paths, given: None, refusals: Refusals::default() }
    }

    fn clock(&self) -> i64 {
        self.context.now.max(self.db.last_instant())
    }

    fn take(&mut self, fact: &Fact) -> Result<()> {
        let Value::Instant(instant) = fact.v else { return Ok(()) };
        let own = fact.e == EntityId::of_tx(T(self.db.basis().0 + 1));
        let refused = if !own || !fact.added {
            Some((Code::ResetTxInstant, "the instant of a transaction stays as it is"))
        } else if instant < self.db.last_instant() {
            Some((Code::PastTxInstant, "the instant is before that of the last transaction"))
        } else if instant > self.clock() {
            Some((Code::FutureTxInstant, "the instant is in the future"))
        } else if self.given.is_some_and(|given| given != instant) {
            Some((Code::DatomsConflict, "the transaction is given two instants"))
        } else {
            self.given = Some(instant);
            None
        };
        match refused {
            Some((code, message)) => {
                let error = Error::new(code, message).with("attribute", ":db/txInstant");
                self.refusals.note(self.paths.placed(self.db, error, fact.place, Some(fact.a)))
            }
            None => Ok(()),
        }
    }

    fn finish(self) -> Result<i64> {
        let instant = self.given.unwrap_or_else(|| self.clock());
        self.refusals.finish()?;
        Ok(instant)
    }
}
