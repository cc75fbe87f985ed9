//! Datoms, owned and borrowed.

use crate::id::{AttrId, EntityId, T};
use crate::value::{Value, ValueRef};

/// One fact: entity `e` has value `v` for attribute `a`, asserted or retracted by transaction `t`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Datom {
    /// entity
    pub e: EntityId,
    /// attribute
    pub a: AttrId,
    /// value
    pub v: Value,
    /// transaction number
    pub t: T,
    /// asserted (true) or retracted
    pub added: bool,
}

/// A datom borrowed from where it lies.
#[derive(Clone, Copy, Debug)]
pub struct DatomRef<'a> {
    /// entity
    pub e: EntityId,
    /// attribute
    pub a: AttrId,
    /// value
    pub v: ValueRef<'a>,
    /// transaction number
    pub t: T,
    /// asserted (true) or retracted
    pub added: bool,
}

impl Datom {
    /// The borrowed form.
    #[must_use]
    pub fn as_ref(&self) -> DatomRef<'_> {
        DatomRef { e: self.e, a: self.a, v: self.v.as_ref(), t: self.t, added: self.added }
    }
}

impl DatomRef<'_> {
    /// The owned form.
    #[must_use]
    pub fn to_datom(&self) -> Datom {
        Datom { e: self.e, a: self.a, v: self.v.to_value(), t: self.t, added: self.added }
    }
}
