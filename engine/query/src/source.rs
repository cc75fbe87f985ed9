//! What patterns read. One trait, four kinds: a database value, a range of events, the transaction table, a relation.
//!
//! A pattern is asked in two ways: a *scan* of everything that its fixed positions leave, and a *look-up* for a sorted
//! set of keys in one position. Both work with any subset of the positions fixed; a source that has no look-up of a
//! kind says so and the engine hashes a scan instead. Sources keep no state between calls.

use std::ops::Bound;
use std::sync::Arc;

use annals_db::{Attribute, Db, Index, Value};
use annals_edn::Error;

use crate::ast::SourceId;
use crate::datum::{Datum, DatumColumn};

pub(crate) mod database;
pub(crate) mod log;
pub(crate) mod relation;

pub(crate) use relation::Relation;

/// Positions of a database pattern.
pub(crate) const E: usize = 0;
/// attribute
pub(crate) const A: usize = 1;
/// value
pub(crate) const V: usize = 2;
/// transaction entity
pub(crate) const TX: usize = 3;
/// asserted or retracted
pub(crate) const OP: usize = 4;

/// What is read.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// the attribute, where it is known
    pub attribute: Option<Arc<Attribute>>,
    /// positions with one value for the whole scan, as the query gives it
    pub fixed: Vec<Option<Datum>>,
    /// positions whose values are wanted
    pub wanted: Vec<bool>,
    /// which index
    pub index: Index,
    /// bounds of the value
    pub bounds: (Bound<Value>, Bound<Value>),
    /// the fixed value is what a variable holds: it is compared, not read as an identifier
    pub identity: bool,
    /// rows before this value of the index's leading free component may be left out
    pub start: Option<Datum>,
}

/// Rows by position; positions that were not wanted are `None`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields {
    /// how many rows
    pub rows: usize,
    /// by position
    pub cols: Vec<Option<DatumColumn>>,
}

/// What a look-up found: row `i` belongs to key number `input[i]`, ascending.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// numbers of keys
    pub input: Vec<u32>,
    /// the rows
    pub fields: Fields,
}

/// Batches of a scan.
pub(crate) trait Cursor {
    /// The next rows; `None` at the end. A batch may be empty.
    fn next(&mut self) -> Result<Option<Fields>, Error>;
}

/// A source of patterns.
pub(crate) trait Source<'a> {
    /// Everything that `request` leaves, in the order of its index.
    fn scan(&self, request: &Request) -> Result<Box<dyn Cursor + Send + 'a>, Error>;

    /// The rows with each of `keys` (distinct, ascending in index order) in position `by`; `None` when this source
    /// has no such look-up.
    fn lookup(&self, request: &Request, by: usize, keys: &DatumColumn) -> Result<Option<Found>, Error>;

    /// At most how many rows a look-up would find, if they can be many; for few keys.
    fn weight(&self, _: &Request, _: usize, _: &DatumColumn) -> Result<u64, Error> {
        Ok(0)
    }
}

/// The sources of one run, by number.
pub(crate) struct Sources<'a> {
    /// a database or a relation each
    pub kinds: Vec<SourceKind<'a>>,
}

/// One source of a run.
pub(crate) enum SourceKind<'a> {
    /// a database value
    Database(&'a Db),
    /// a relation
    Relation(Arc<Relation>),
    /// a range of events
    Events(log::Events<'a>),
    /// a range of the transaction table
    Transactions(log::Transactions<'a>),
}

impl<'a> Sources<'a> {
    /// The database, if it is one.
    pub(crate) fn database(&self, source: SourceId) -> Option<&'a Db> {
        match self.kinds.get(source.0 as usize) {
            Some(SourceKind::Database(db)) => Some(db),
            _ => None,
        }
    }

    /// About how many rows a source other than a database has.
    pub(crate) fn rows(&self, source: SourceId) -> f64 {
        match self.kinds.get(source.0 as usize) {
            Some(SourceKind::Relation(relation)) => relation.rows as f64,
            Some(SourceKind::Events(events)) => events.end.0.saturating_sub(events.start.0) as f64 * 10.0,
            Some(SourceKind::Transactions(table)) => table.end.0.saturating_sub(table.start.0) as f64,
            _ => 0.0,
        }
    }

    /// The relation, if it is one.
    pub(crate) fn relation(&self, source: SourceId) -> Option<&Arc<Relation>> {
        match self.kinds.get(source.0 as usize) {
            Some(SourceKind::Relation(relation)) => Some(relation),
            _ => None,
        }
    }
}
