//! The database value: immutable, cheap to clone, readable at any point in time.

use std::sync::Arc;

use crate::Result;
use crate::column::Column;
use crate::id::{AttrId, EntityId, T};
use crate::log::TxBody;
use crate::range::{Batch, Columns, Probe, Range};
use crate::schema::Schema;
use crate::value::{Value, ValueRef};

/// 128 random bits that name a database inside the system; its name is only for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Incarnation(pub u128);

/// What was chosen when the database was created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Options {
    /// attributes are declared before use
    pub schema_on_write: bool,
    /// superseded facts stay readable
    pub keep_history: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { schema_on_write: true, keep_history: true }
    }
}

/// How a value looks at its datoms. `as_of` is inclusive, `since` exclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct View {
    /// only what was known at this t
    pub as_of: Option<T>,
    /// only what came after this t
    pub since: Option<T>,
    /// assertions and retractions, nothing netted
    pub history: bool,
}

/// A point in time as users give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// a transaction number
    T(T),
    /// milliseconds since 1970: the last transaction not after it
    Instant(i64),
}

/// A database value. Clones share everything; no method blocks on a writer.
#[derive(Clone)]
pub struct Db {
    pub(crate) schema: Arc<Schema>,
    pub(crate) view: View,
    pub(crate) basis: T,
}

/// Rows of a range, a batch at a time.
pub struct Scan<'a> {
    pub(crate) db: &'a Db,
}

impl Scan<'_> {
    /// Refills `batch` (cleared first) with at most [`crate::range::BATCH_ROWS`] rows; false at the end.
    ///
    /// # Errors
    /// `SEGMENT_UNAVAILABLE` or `DATA_LOSS` from the store.
    pub fn next(&mut self, _batch: &mut Batch) -> Result<bool> {
        unimplemented!()
    }
}

#[allow(unused_variables)]
impl Db {
    /// A database without transactions, at t 0.
    #[must_use]
    pub fn empty(incarnation: Incarnation, options: Options) -> Db {
        unimplemented!()
    }

    /// This value after one decided transaction, which must continue it (`t == basis + 1`). O(datoms log n); shares the
    /// novelty when this value is the newest of its line, branches otherwise.
    ///
    /// # Errors
    /// `DIVERGED` when the body does not continue this value.
    pub fn apply(&self, body: &Arc<TxBody>) -> Result<Db> {
        unimplemented!()
    }

    /// The newest t this value knows.
    #[must_use]
    pub fn basis(&self) -> T {
        self.basis
    }

    /// The schema at the basis.
    #[must_use]
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// The incarnation.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        unimplemented!()
    }

    /// The options.
    #[must_use]
    pub fn options(&self) -> Options {
        unimplemented!()
    }

    /// The counter the next new entity gets.
    #[must_use]
    pub fn next_counter(&self) -> u64 {
        unimplemented!()
    }

    /// `:db/txInstant` of the basis, `i64::MIN` at t 0.
    #[must_use]
    pub fn last_instant(&self) -> i64 {
        unimplemented!()
    }

    /// How it looks at its datoms.
    #[must_use]
    pub fn view(&self) -> View {
        self.view
    }

    /// The same value seen as of `t`, inclusive, with today's schema.
    #[must_use]
    pub fn as_of(&self, t: T) -> Db {
        unimplemented!()
    }

    /// The same value without what was known at `t`.
    #[must_use]
    pub fn since(&self, t: T) -> Db {
        unimplemented!()
    }

    /// The same value with every assertion and retraction.
    #[must_use]
    pub fn history(&self) -> Db {
        unimplemented!()
    }

    /// This database as it stood at `t`, schema included.
    ///
    /// # Errors
    /// `BASIS_NOT_REACHED` in the future, `BASIS_COLLECTED` when the rows for it are gone.
    pub fn at(&self, t: T) -> Result<Db> {
        unimplemented!()
    }

    /// The t a point in time means: a t itself, or the last transaction not after an instant.
    ///
    /// # Errors
    /// Only of the store.
    pub fn point(&self, point: Point) -> Result<T> {
        unimplemented!()
    }

    /// The rows of `range` under this value's view, in index order (see [`crate::order`]). An AVET range of an
    /// attribute that AVET does not hold is answered all the same, from AEVT sorted by value.
    #[must_use]
    pub fn scan(&self, range: &Range, columns: Columns) -> Scan<'_> {
        unimplemented!()
    }

    /// About how many rows `range` has under the present view: exact on whole index entries and on novelty, an
    /// estimate at the edges. Reads no leaf.
    ///
    /// # Errors
    /// Only of the store.
    pub fn count(&self, range: &Range) -> Result<u64> {
        unimplemented!()
    }

    /// For each of `entities` (ascending), its values of `a`. One forward pass.
    ///
    /// # Errors
    /// Only of the store.
    pub fn probe_entities(&self, a: AttrId, entities: &[u64], with_t: bool) -> Result<Probe> {
        unimplemented!()
    }

    /// For each of `values` (ascending in index order), the entities that have it for `a`, ascending.
    ///
    /// # Errors
    /// Only of the store.
    pub fn probe_values(&self, a: AttrId, values: &Column, with_t: bool) -> Result<Probe> {
        unimplemented!()
    }

    /// The values of `a` of one entity with their t, in value order.
    ///
    /// # Errors
    /// Only of the store.
    pub fn values(&self, e: EntityId, a: AttrId) -> Result<smallvec::SmallVec<[(Value, T); 1]>> {
        unimplemented!()
    }

    /// The t of the datom `[e a v]` if it holds.
    ///
    /// # Errors
    /// Only of the store.
    pub fn holds(&self, e: EntityId, a: AttrId, v: &ValueRef<'_>) -> Result<Option<T>> {
        unimplemented!()
    }

    /// The first entity with that value of `a`: what a lookup ref finds.
    ///
    /// # Errors
    /// Only of the store.
    pub fn lookup(&self, a: AttrId, v: &ValueRef<'_>) -> Result<Option<EntityId>> {
        unimplemented!()
    }

    /// The datoms whose value is a reference to `target`, by attribute, then entity.
    ///
    /// # Errors
    /// Only of the store.
    pub fn referrers(&self, target: EntityId) -> Result<Vec<(AttrId, EntityId, T)>> {
        unimplemented!()
    }

    /// The decided transactions `start..end`, oldest first; at most `limit`.
    ///
    /// # Errors
    /// Only of the store.
    pub fn log(&self, start: T, end: T, limit: usize) -> Result<Vec<Arc<TxBody>>> {
        unimplemented!()
    }

    /// The transaction that a client's transaction id became.
    ///
    /// # Errors
    /// Only of the store.
    pub fn transaction_by_client_id(&self, id: u128) -> Result<Option<Arc<TxBody>>> {
        unimplemented!()
    }
}
