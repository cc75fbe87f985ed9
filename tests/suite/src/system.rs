//! What the runner asks of a system under test: EDN in, EDN out, errors as the product's own.
//!
//! In answers an entity id is a long, `#float`, `#uri` and `#bytes` are tagged forms, a relation is a set or vector of
//! rows, a collection a vector, nothing found is `#{}`, `[]` or `nil`.

use annals_edn::{Edn, Error, Keyword};

/// Makes databases.
pub trait System: Send + Sync {
    /// A new database without transactions, dropped when the answer is.
    ///
    /// # Errors
    /// Whatever keeps the system from making one; it fails the case.
    fn create(&self, options: Options) -> Result<Box<dyn Database>, Error>;

    /// Whether cases that need `feature` can be run.
    fn offers(&self, feature: Feature) -> bool {
        let _ = feature;
        true
    }

    /// The database of that name with its data in it (see [`crate::data`]), nothing where the data is not at hand.
    /// Cases that change it take their changes back.
    ///
    /// # Errors
    /// Whatever keeps the system from loading it; it fails the case.
    fn open(&self, name: &str) -> Result<Option<Box<dyn Database>>, Error> {
        let _ = name;
        Ok(None)
    }
}

/// How a database is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// What not every door of the product offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// no index is written while a case runs
    Unindexed,
}

/// One database. Reads are of the newest value unless the [`Source`] says otherwise.
pub trait Database {
    /// Commits a transaction.
    ///
    /// # Errors
    /// The refusal.
    fn transact(&mut self, tx_data: &Edn) -> Result<Committed, Error>;

    /// What [`Database::transact`] would answer on the value of `source.view`; keeps nothing.
    ///
    /// # Errors
    /// The refusal.
    fn with(&self, view: &View, tx_data: &Edn) -> Result<Committed, Error>;

    /// Runs `query`, whose input `$` is the database; `args` are the other inputs in the order of `:in`. An argument
    /// `#annals/db {:as-of t :since t :history true}` is another view of the same database.
    ///
    /// # Errors
    /// The refusal.
    fn query(&self, source: &Source, query: &Edn, args: &[Edn]) -> Result<Edn, Error>;

    /// One map an entity, `nil` where there is none.
    ///
    /// # Errors
    /// The refusal.
    fn pull(&self, source: &Source, pattern: &Edn, entities: &[Edn]) -> Result<Vec<Edn>, Error>;

    /// The datoms of `index` (`eavt` …) that begin with `components`, or with `seek` all from there on.
    ///
    /// # Errors
    /// The refusal.
    fn datoms(&self, source: &Source, request: &Datoms<'_>) -> Result<Vec<Datom>, Error>;

    /// The datoms of an attribute with `start <= value < end`, either end `nil` where open.
    ///
    /// # Errors
    /// The refusal.
    fn index_range(
        &self,
        source: &Source,
        attribute: &Edn,
        start: &Edn,
        end: &Edn,
    ) -> Result<Vec<Datom>, Error>;

    /// Pulls along an index: `request` is the map `{:index … :selector … :start …}`.
    ///
    /// # Errors
    /// The refusal.
    fn index_pull(&self, source: &Source, request: &Edn) -> Result<Vec<Edn>, Error>;

    /// The transactions from `start` to before `end`, each with its t and its datoms; an instant stands for the first
    /// transaction not before it.
    ///
    /// # Errors
    /// The refusal.
    fn tx_range(
        &self,
        source: &Source,
        start: Option<Point>,
        end: Option<Point>,
    ) -> Result<Vec<(i64, Vec<Datom>)>, Error>;

    /// An entity as a map: everything about it, or what it has under `keys`; `nil` where nothing is identified.
    ///
    /// # Errors
    /// The refusal.
    fn entity(&self, source: &Source, entity: &Edn, keys: &[Edn]) -> Result<Edn, Error>;

    /// The datoms of each attribute that has any.
    ///
    /// # Errors
    /// The refusal.
    fn stats(&self, source: &Source) -> Result<Vec<Count>, Error>;

    /// The entity id that an id, ident or lookup ref names.
    ///
    /// # Errors
    /// The refusal.
    fn entid(&self, source: &Source, entity: &Edn) -> Result<Option<i64>, Error>;

    /// The ident of an entity.
    ///
    /// # Errors
    /// The refusal.
    fn ident(&self, source: &Source, entity: &Edn) -> Result<Option<Keyword>, Error>;

    /// The attribute of that ident, nothing for an ident of something else.
    ///
    /// # Errors
    /// The refusal.
    fn attribute(&self, source: &Source, ident: &Keyword) -> Result<Option<Attribute>, Error>;
}

/// Which value of the database a read is of: a view, then tx-data applied to it and not kept, then filters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Source {
    /// how it looks at its datoms
    pub view: View,
    /// tx-data applied to the view
    pub with: Option<Edn>,
    /// predicates of datoms, all of which must hold
    pub filters: Vec<Edn>,
}

/// The datoms of one attribute.
#[derive(Clone, Debug, PartialEq)]
pub struct Count {
    /// which
    pub a: Keyword,
    /// assertions and retractions
    pub datoms: u64,
    /// datoms that hold
    pub current: u64,
    /// entities that have it
    pub entities: u64,
}

/// A view, its parts applied in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct View {
    /// inclusive
    pub as_of: Option<Point>,
    /// exclusive
    pub since: Option<Point>,
    /// assertions and retractions
    pub history: bool,
}

/// A point in time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Point {
    /// the number of a transaction
    T(i64),
    /// milliseconds since 1970
    Instant(i64),
}

/// A transaction that was committed, or would be.
#[derive(Clone, Debug, Default)]
pub struct Committed {
    /// its number
    pub t: i64,
    /// its entity
    pub tx: i64,
    /// its `:db/txInstant`, milliseconds since 1970
    pub instant: i64,
    /// what the string tempids resolved to
    pub tempids: Vec<(String, i64)>,
    /// its datoms
    pub datoms: Vec<Datom>,
}

/// A datom as users see it.
#[derive(Clone, Debug)]
pub struct Datom {
    /// entity
    pub e: i64,
    /// attribute, by its ident
    pub a: Keyword,
    /// value
    pub v: Edn,
    /// transaction entity
    pub tx: i64,
    /// asserted or retracted
    pub added: bool,
}

/// A range of an index.
#[derive(Clone, Copy, Debug)]
pub struct Datoms<'a> {
    /// `eavt`, `aevt`, `avet`, `vaet`
    pub index: &'a str,
    /// leading components
    pub components: &'a [Edn],
    /// run on past the components
    pub seek: bool,
    /// at most so many
    pub limit: Option<usize>,
}

/// What the runner must know of an attribute to tell ids from numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attribute {
    /// the name after `db.type/`
    pub value_type: String,
    /// cardinality many
    pub many: bool,
    /// of a tuple: the types of its slots, or one that stands for all of them
    pub slots: Vec<String>,
}
