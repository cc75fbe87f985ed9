//! The numbers that mean something: entity ids, attribute ids, partitions and `t`.

use std::fmt;

/// The number of a transaction: dense, strictly increasing per database. Bootstrap is 0, the first transaction 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct T(pub u64);

/// A partition: the 20 bits of an entity id that keep related entities together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(pub u32);

impl Partition {
    /// Ids that users choose themselves.
    pub const EXPLICIT: Partition = Partition(0);
    /// `:db.part/db`, the schema.
    pub const DB: Partition = Partition(1);
    /// `:db.part/tx`, the transactions.
    pub const TX: Partition = Partition(2);
    /// `:db.part/user`, the default.
    pub const USER: Partition = Partition(3);
    /// The first implicit partition.
    pub const IMPLICIT: Partition = Partition(1 << 19);
}

/// An entity id: sign bit 0, one spare bit, partition in 20 bits, counter in 42.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntityId(pub u64);

const COUNTER_BITS: u32 = 42;
const COUNTER_MASK: u64 = (1 << COUNTER_BITS) - 1;
const PARTITION_MASK: u64 = (1 << 20) - 1;

impl EntityId {
    /// The greatest legal id.
    pub const MAX: EntityId = EntityId((1 << 62) - 1);

    /// The greatest counter.
    pub const MAX_COUNTER: u64 = COUNTER_MASK;

    /// From its parts. `counter` must fit 42 bits, `partition` 20.
    #[must_use]
    pub const fn new(partition: Partition, counter: u64) -> Self {
        EntityId(((partition.0 as u64 & PARTITION_MASK) << COUNTER_BITS) | (counter & COUNTER_MASK))
    }

    /// The partition.
    #[must_use]
    pub const fn partition(self) -> Partition {
        Partition(((self.0 >> COUNTER_BITS) & PARTITION_MASK) as u32)
    }

    /// The counter.
    #[must_use]
    pub const fn counter(self) -> u64 {
        self.0 & COUNTER_MASK
    }

    /// The transaction entity of `t`.
    #[must_use]
    pub const fn of_tx(t: T) -> Self {
        EntityId::new(Partition::TX, t.0)
    }

    /// The `t` of a transaction entity, `None` for any other.
    #[must_use]
    pub fn as_t(self) -> Option<T> {
        (self.partition() == Partition::TX).then(|| T(self.counter()))
    }

    /// The attribute of that entity id, `None` outside `:db.part/db`.
    #[must_use]
    pub fn as_attr(self) -> Option<AttrId> {
        (self.partition() == Partition::DB).then(|| AttrId(self.counter() as u32))
    }

    /// From a signed integer as users write it; `None` when negative or beyond 62 bits.
    #[must_use]
    pub fn from_long(long: i64) -> Option<Self> {
        (0..=Self::MAX.0 as i64).contains(&long).then_some(EntityId(long as u64))
    }

    /// As users read it.
    #[must_use]
    pub fn as_long(self) -> i64 {
        self.0 as i64
    }
}

impl fmt::Debug for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// An attribute: the counter of its entity in `:db.part/db` (schema elements are fewer than 2^20).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttrId(pub u32);

impl AttrId {
    /// The attribute's own entity.
    #[must_use]
    pub const fn entity(self) -> EntityId {
        EntityId::new(Partition::DB, self.0 as u64)
    }
}

impl fmt::Debug for AttrId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a{}", self.0)
    }
}
