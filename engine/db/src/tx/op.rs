//! What a transaction is between its stages: operations that still name tempids, then facts about entity ids.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::id::{AttrId, EntityId};
use crate::tx::paths::{Paths, Place};
use crate::tx::temp::{Temp, Temps};
use crate::value::Value;

/// Who an operation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// an entity known by now
    Id(EntityId),
    /// a tempid
    Temp(Temp),
}

/// The value of an operation.
#[derive(Clone, Debug)]
pub(super) enum Object {
    /// a value, checked against its attribute's type
    Value(Value),
    /// a reference to a tempid
    Temp(Temp),
    /// a tuple of which some slot is a tempid
    Tuple(Box<[Slot]>),
}

/// One slot of a tuple.
#[derive(Clone, Debug)]
pub(super) enum Slot {
    /// nil or a value
    Value(Option<Value>),
    /// a reference to a tempid
    Temp(Temp),
}

/// One assertion or retraction, after expansion: attribute and value are known, entities may be tempids.
#[derive(Debug)]
pub(super) struct Op {
    pub(super) e: Subject,
    pub(super) a: AttrId,
    pub(super) v: Object,
    pub(super) added: bool,
    /// resolves tempids: the attribute is a unique identity
    pub(super) identity: bool,
    /// about a composite: resolves tempids, then disappears
    pub(super) composite: bool,
    /// where it was said
    pub(super) place: Place,
}

/// A request to check an entity against a spec.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ensure<S> {
    pub(super) subject: S,
    pub(super) spec: EntityId,
    pub(super) place: Place,
}

/// The transaction after expansion.
#[derive(Debug, Default)]
pub(super) struct Expanded {
    pub(super) ops: Vec<Op>,
    pub(super) temps: Temps,
    pub(super) ensures: Vec<Ensure<Subject>>,
    pub(super) paths: Paths,
}

/// One assertion or retraction about an entity id.
#[derive(Debug)]
pub(super) struct Fact {
    pub(super) e: EntityId,
    pub(super) a: AttrId,
    pub(super) v: Value,
    pub(super) added: bool,
    pub(super) place: Place,
}

/// The transaction after all tempids became entities.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) facts: Vec<Fact>,
    pub(super) ensures: Vec<Ensure<EntityId>>,
    /// given in the transaction, by default the clock
    pub(super) instant: i64,
    pub(super) tempids: Vec<(Arc<str>, EntityId)>,
    pub(super) next_counter: u64,
    pub(super) new_keys: NewKeys,
    pub(super) paths: Paths,
}

/// Identity values that no entity of db-before has, and a tempid that gets them.
pub(super) type NewKeys = FxHashMap<(AttrId, Value), Temp>;
