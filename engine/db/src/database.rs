//! The database value: immutable, cheap to clone, readable at any point in time.
//!
//! What it is: schema at basis, index root, layers of novelty, basis, and a view. What it is not: a connection; it never
//! changes, and whoever holds one sees the same facts for ever. Called by everybody. It owns shares of the arenas it
//! reads. Reads fail when the store does; a value over novelty alone cannot fail.

mod count;
mod distinct;
mod filter;
mod known;
mod line;
mod open;
mod point;
mod probe;
mod tally;
#[cfg(test)]
mod tests;
pub(crate) mod trees;

use std::sync::{Arc, LazyLock};

use rustc_hash::FxHashSet;
use smallvec::SmallVec;

use crate::bootstrap;
use crate::datom::Datom;
use crate::id::{AttrId, T};
use crate::novelty::{Layer, Marks, Tuning};
use crate::range::{Columns, Range};
pub use crate::scan::Scan;
use crate::scan::window::Window;
use crate::schema::{Attribute, Cardinality, Schema};
use crate::segment::Base;
pub use filter::Filter;
use filter::Filters;
use known::Known;
pub use line::Transaction;
pub use tally::{AttributeTally, Tally};

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

impl Options {
    /// The entity counter at t 0.
    #[must_use]
    pub fn first_counter(self) -> u64 {
        if self.schema_on_write { bootstrap::FIRST_COUNTER } else { bootstrap::FIRST_FREE_COUNTER }
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
    origin: Arc<Origin>,
    known: Arc<Known>,
    /// the bootstrap, the line's novelty, then private overlays; each ends where the next begins
    layers: SmallVec<[Held; 2]>,
    view: View,
    filters: Option<Filters>,
    basis: T,
    next_counter: u64,
    last_instant: i64,
}

/// What changes only with the index root.
struct Origin {
    incarnation: Incarnation,
    options: Options,
    base: Option<Base>,
}

impl Origin {
    /// What the writer of a datom knows about it, given schema and AVET after its transaction.
    fn marks(&self, schema: &Schema, avet: &FxHashSet<AttrId>, datom: &Datom) -> Marks {
        let attribute = || schema.attribute(datom.a);
        let no_history = || attribute().is_some_and(|attribute| attribute.no_history);
        let one = || attribute().is_some_and(|attribute| attribute.cardinality == Cardinality::One);
        Marks {
            in_avet: avet.contains(&datom.a),
            unkept: !datom.added && (!self.options.keep_history || no_history()),
            one: !datom.added && one(),
        }
    }
}

/// A layer as one value sees it.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) layer: Arc<Layer>,
    /// one past the last event seen
    pub(crate) end: u32,
    /// the last t seen
    pub(crate) upto: u64,
}

impl Db {
    /// A database without transactions, at t 0.
    #[must_use]
    pub fn empty(incarnation: Incarnation, options: Options) -> Db {
        Db::empty_tuned(incarnation, options, Tuning::default())
    }

    pub(crate) fn empty_tuned(incarnation: Incarnation, options: Options, tuning: Tuning) -> Db {
        Db {
            origin: Arc::new(Origin { incarnation, options, base: None }),
            known: Arc::new(Known::bootstrap()),
            layers: fresh_layers(T(0), tuning),
            view: View::default(),
            filters: None,
            basis: T(0),
            next_counter: options.first_counter(),
            last_instant: i64::MIN,
        }
    }

    /// The newest t this value knows.
    #[must_use]
    pub fn basis(&self) -> T {
        self.basis
    }

    /// The schema at the basis.
    #[must_use]
    pub fn schema(&self) -> &Arc<Schema> {
        &self.known.schema
    }

    /// The incarnation.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.origin.incarnation
    }

    /// The options.
    #[must_use]
    pub fn options(&self) -> Options {
        self.origin.options
    }

    /// The counter the next new entity gets.
    #[must_use]
    pub fn next_counter(&self) -> u64 {
        self.next_counter
    }

    /// `:db/txInstant` of the basis, `i64::MIN` at t 0.
    #[must_use]
    pub fn last_instant(&self) -> i64 {
        self.last_instant
    }

    /// How it looks at its datoms.
    #[must_use]
    pub fn view(&self) -> View {
        self.view
    }

    /// The same value seen as of `t`, inclusive, with today's schema. Of two calls the earlier t counts.
    #[must_use]
    pub fn as_of(&self, t: T) -> Db {
        let as_of = self.view.as_of.map_or(t, |held| held.min(t));
        Db { view: View { as_of: Some(as_of), ..self.view }, ..self.clone() }
    }

    /// The same value without what was known at `t`. Of two calls the later t counts.
    #[must_use]
    pub fn since(&self, t: T) -> Db {
        let since = self.view.since.map_or(t, |held| held.max(t));
        Db { view: View { since: Some(since), ..self.view }, ..self.clone() }
    }

    /// The same value with every assertion and retraction.
    #[must_use]
    pub fn history(&self) -> Db {
        Db { view: View { history: true, ..self.view }, ..self.clone() }
    }

    /// The rows of `range` under this value's view, in index order (see [`crate::order`]). An AVET range of an
    /// attribute that AVET does not hold is answered all the same, from AEVT sorted by value; an AVET range over
    /// several attributes covers those that [`crate::Attribute::kept_in_avet`]. The client ids of transactions
    /// (`:annals.tx/id`) are in a range only if it names that attribute.
    #[must_use]
    pub fn scan(&self, range: &Range, columns: Columns) -> Scan<'_> {
        Scan::new(self, range, columns)
    }

    /// The same value with further attributes in its schema, as if they had always been there.
    pub(crate) fn with_attributes(&self, made: &boxcar::Vec<Attribute>) -> Db {
        let schema = self.known.schema.with(made.iter().map(|(_, attribute)| attribute));
        Db { known: Arc::new(self.known.with_schema(schema)), ..self.clone() }
    }

    pub(crate) fn layers(&self) -> &[Held] {
        &self.layers
    }

    /// What this view shows.
    pub(crate) fn window(&self) -> Window {
        let basis = self.basis.0;
        let hi = self.view.as_of.map_or(basis, |t| t.0.min(basis));
        let lo = self.view.since.map_or(0, |t| t.0.saturating_add(1));
        let history = self.view.history;
        let careful = (history || hi < basis) && self.layers.iter().any(|held| held.layer.hides_history());
        Window { lo, hi, history, read: if careful { basis } else { hi }, careful }
    }
}

/// The bootstrap, and a new generation of the line from `base` on.
fn fresh_layers(base: T, tuning: Tuning) -> SmallVec<[Held; 2]> {
    let end = bootstrap::datoms().len() as u32;
    let bootstrap = Held { layer: bootstrap_layer().clone(), end, upto: 0 };
    let line = Held { layer: Arc::new(Layer::new(base.0, tuning)), end: 0, upto: base.0 };
    SmallVec::from_buf([bootstrap, line])
}

/// The datoms of t 0, which all databases share.
fn bootstrap_layer() -> &'static Arc<Layer> {
    static LAYER: LazyLock<Arc<Layer>> = LazyLock::new(|| {
        let schema = Schema::bootstrap();
        let kept = |a| schema.attribute(a).is_some_and(|attribute| attribute.kept_in_avet());
        let marks = |datom: &crate::Datom| Marks { in_avet: kept(datom.a), ..Marks::default() };
        Arc::new(Layer::of_datoms(bootstrap::datoms(), marks))
    });
    &LAYER
}
