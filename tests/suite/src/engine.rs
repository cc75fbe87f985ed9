//! The engine in this process as a system under test: its values read from novelty, or, where it indexes, from an index
//! that is written after every transaction.

mod queries;

use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use annals_db::build::{SegmentSink, build};
use annals_db::components::{NamedIndex, Selection, select, select_values};
use annals_db::form::form;
use annals_db::identify::entid;
use annals_db::schema::TupleKind;
use annals_db::segment::{Base, Build, Hash, MemoryPort};
use annals_db::{
    Cardinality, Context, Db, EntityId, Incarnation, Limits, Lineage, Options, T, TxBody, ValueType,
};
use annals_edn::{Edn, Error, Keyword};

use crate::data;
use crate::system::{
    self, Attribute, Committed, Count, Database, Datom, Datoms, Feature, Point, Source, System, View,
};

/// Makes databases in memory.
#[derive(Default)]
pub struct Engine {
    /// An index job runs after every transaction.
    indexes: bool,
    /// Loaded once, then shared: a database value never changes.
    mbrainz: OnceLock<Result<Option<Db>, Error>>,
}

impl Engine {
    /// One whose values are read from an index, written anew after every transaction.
    #[must_use]
    pub fn that_indexes() -> Engine {
        Engine { indexes: true, ..Engine::default() }
    }
}

/// A database value, and how it goes on.
pub(crate) struct EngineDatabase {
    pub(crate) db: Db,
    /// The clock of the next transaction; two are never in one millisecond.
    now: i64,
    /// Where its index is, if it has one.
    index: Option<Arc<MemoryPort>>,
}

impl System for Engine {
    fn create(&self, options: system::Options) -> Result<Box<dyn Database>, Error> {
        let system::Options { schema_on_write, keep_history } = options;
        let db = Db::empty(Incarnation(1), Options { schema_on_write, keep_history });
        let index = self.indexes.then(Arc::default);
        Ok(Box::new(EngineDatabase { index, ..EngineDatabase::of(db) }))
    }

    fn open(&self, name: &str) -> Result<Option<Box<dyn Database>>, Error> {
        let loaded = self.mbrainz.get_or_init(|| {
            let mut database = EngineDatabase::of(Db::empty(Incarnation(1), Options::default()));
            let found = data::load(name, |tx_data| database.transact(tx_data).map(drop))?;
            Ok(found.then_some(database.db))
        });
        let database = |db: Db| {
            let database = EngineDatabase { now: db.last_instant(), db, index: None };
            Box::new(database) as Box<dyn Database>
        };
        Ok(loaded.clone()?.map(database))
    }

    fn offers(&self, feature: Feature) -> bool {
        !(self.indexes && feature == Feature::Unindexed)
    }
}

impl EngineDatabase {
    /// Goes on from `db`.
    pub(crate) fn of(db: Db) -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX / 2);
        EngineDatabase { db, now, index: None }
    }

    fn decide(&self, db: &Db, tx_data: &Edn) -> Result<(Db, Arc<TxBody>), Error> {
        let context = Context {
            now: self.now,
            limits: Limits::default(),
            functions: functions(),
            client_id: None,
            request_hash: 0,
        };
        let body = annals_db::transact(db, tx_data, &context)?;
        Ok((db.apply(&body)?, body))
    }

    fn seen(&self, view: &View) -> Result<Db, Error> {
        view_of(&self.db, view)
    }

    fn source(&self, source: &Source) -> Result<Db, Error> {
        let db = match &source.with {
            None => self.seen(&source.view)?,
            Some(tx_data) => view_of(&self.decide(&self.db.fork(), tx_data)?.0, &source.view)?,
        };
        source.filters.iter().try_fold(db, |db, filter| annals_query::filter(&db, filter))
    }

    /// The first t not before a point.
    fn from(&self, point: Point) -> Result<T, Error> {
        match point {
            Point::T(t) => Ok(t_of(t)),
            Point::Instant(millis) => {
                let before = self.db.point(annals_db::Point::Instant(millis.saturating_sub(1)))?;
                Ok(T(before.0 + 1))
            }
        }
    }
}

/// The value read from an index of all that it holds.
fn indexed(db: &Db, port: &Arc<MemoryPort>) -> Result<Db, Error> {
    let job = Build { incarnation: db.incarnation(), raft_index: db.basis().0 };
    let root = build(db, job, Lineage::default(), &mut Sink(port))?;
    Ok(Db::open(Base::open(root, port.clone())?))
}

struct Sink<'a>(&'a MemoryPort);

impl SegmentSink for Sink<'_> {
    fn put(&mut self, hash: Hash, stored: &[u8]) -> Result<(), Error> {
        self.0.put(hash, stored);
        Ok(())
    }
}

/// Compiled once for all databases.
fn functions() -> &'static annals_query::Datalog {
    static FUNCTIONS: OnceLock<annals_query::Datalog> = OnceLock::new();
    FUNCTIONS.get_or_init(annals_query::Datalog::default)
}

fn t_of(t: i64) -> T {
    T(u64::try_from(t).unwrap_or(0))
}

fn view_of(db: &Db, view: &View) -> Result<Db, Error> {
    let t = |point: Point| match point {
        Point::T(t) => Ok(t_of(t)),
        Point::Instant(millis) => db.point(annals_db::Point::Instant(millis)),
    };
    let mut seen = db.clone();
    if let Some(point) = view.as_of {
        seen = seen.as_of(t(point)?);
    }
    if let Some(point) = view.since {
        seen = seen.since(t(point)?);
    }
    Ok(if view.history { seen.history() } else { seen })
}

fn committed(after: &Db, body: &TxBody) -> Committed {
    Committed {
        t: signed(body.t.0),
        tx: EntityId::of_tx(body.t).as_long(),
        instant: body.instant,
        tempids: body.tempids.iter().map(|(name, e)| (name.to_string(), e.as_long())).collect(),
        datoms: shown(after, &body.datoms),
    }
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn shown(db: &Db, datoms: &[annals_db::Datom]) -> Vec<Datom> {
    let one = |datom: &annals_db::Datom| Datom {
        e: datom.e.as_long(),
        a: db.schema().attribute(datom.a).map_or_else(|| Keyword::new("unknown"), |a| a.ident.clone()),
        v: form(&datom.v),
        tx: EntityId::of_tx(datom.t).as_long(),
        added: datom.added,
    };
    datoms.iter().map(one).collect()
}

fn collect(db: &Db, selection: &Selection, limit: Option<usize>) -> Result<Vec<Datom>, Error> {
    Ok(shown(db, &selection.collect(db, limit.unwrap_or(usize::MAX))?))
}

impl Database for EngineDatabase {
    fn transact(&mut self, tx_data: &Edn) -> Result<Committed, Error> {
        self.now += 2;
        let (after, body) = self.decide(&self.db, tx_data)?;
        let committed = committed(&after, &body);
        self.db = match &self.index {
            Some(port) => indexed(&after, port)?,
            None => after,
        };
        Ok(committed)
    }

    fn with(&self, view: &View, tx_data: &Edn) -> Result<Committed, Error> {
        // Speculation is about the present, whatever the view; only a history takes none.
        let before = if view.history { self.db.history() } else { self.db.fork() };
        let (after, body) = self.decide(&before, tx_data)?;
        Ok(committed(&after, &body))
    }

    fn query(&self, source: &Source, query: &Edn, args: &[Edn]) -> Result<Edn, Error> {
        let base = Source { view: View::default(), with: source.with.clone(), filters: Vec::new() };
        queries::answer(&self.source(source)?, &self.source(&base)?, query, args)
    }

    fn pull(&self, source: &Source, pattern: &Edn, entities: &[Edn]) -> Result<Vec<Edn>, Error> {
        annals_query::pull_many(&self.source(source)?, &annals_query::Pattern::parse(pattern)?, entities)
    }

    fn datoms(&self, source: &Source, request: &Datoms<'_>) -> Result<Vec<Datom>, Error> {
        let db = self.source(source)?;
        let index = NamedIndex::from_name(request.index)?;
        collect(&db, &select(&db, index, request.components, request.seek)?, request.limit)
    }

    fn index_range(
        &self,
        source: &Source,
        attribute: &Edn,
        start: &Edn,
        end: &Edn,
    ) -> Result<Vec<Datom>, Error> {
        let db = self.source(source)?;
        collect(&db, &select_values(&db, attribute, start, end)?, None)
    }

    fn index_pull(&self, source: &Source, request: &Edn) -> Result<Vec<Edn>, Error> {
        annals_query::index_pull(&self.source(source)?, request)
    }

    fn tx_range(
        &self,
        source: &Source,
        start: Option<Point>,
        end: Option<Point>,
    ) -> Result<Vec<(i64, Vec<Datom>)>, Error> {
        let db = self.source(source)?;
        let start = start.map(|point| self.from(point)).transpose()?.unwrap_or(T(1));
        let end = end.map(|point| self.from(point)).transpose()?.unwrap_or(T(u64::MAX));
        let (start, end) = db.log_range(start, end);
        let bodies = db.log(start, end, usize::MAX)?;
        bodies.iter().map(|body| Ok((signed(body.t.0), shown(&db, &db.log_datoms(body)?)))).collect()
    }

    fn entity(&self, source: &Source, entity: &Edn, keys: &[Edn]) -> Result<Edn, Error> {
        let keys: Vec<Keyword> = keys.iter().filter_map(Edn::as_keyword).cloned().collect();
        let found = annals_query::entities(&self.source(source)?, std::slice::from_ref(entity), &keys)?;
        Ok(found.into_iter().next().unwrap_or(Edn::nil()))
    }

    fn stats(&self, source: &Source) -> Result<Vec<Count>, Error> {
        let db = self.source(source)?;
        let tally = db.tally(&|| true)?.expect("nothing stops it");
        let count = |held: &annals_db::database::AttributeTally| {
            let a = db.schema().attribute(held.a)?.ident.clone();
            Some(Count { a, datoms: held.datoms, current: held.current, entities: held.entities })
        };
        Ok(tally.attributes.iter().filter_map(count).collect())
    }

    fn entid(&self, source: &Source, entity: &Edn) -> Result<Option<i64>, Error> {
        Ok(entid(&self.source(source)?, entity)?.map(EntityId::as_long))
    }

    fn ident(&self, source: &Source, entity: &Edn) -> Result<Option<Keyword>, Error> {
        let db = self.source(source)?;
        Ok(entid(&db, entity)?.and_then(|e| db.schema().ident(e).cloned()))
    }

    fn attribute(&self, source: &Source, ident: &Keyword) -> Result<Option<Attribute>, Error> {
        let db = self.source(source)?;
        let Some(attribute) = db.schema().attribute_of(ident) else { return Ok(None) };
        let name = |ty: ValueType| ty.name().to_owned();
        let slots = match &attribute.tuple {
            None => Vec::new(),
            Some(TupleKind::Homogeneous(ty)) => vec![name(*ty)],
            Some(TupleKind::Heterogeneous(types)) => types.iter().copied().map(name).collect(),
            Some(TupleKind::Composite(members)) => members
                .iter()
                .filter_map(|a| db.schema().attribute(*a))
                .filter_map(|a| a.value_type.map(name))
                .collect(),
        };
        let many = attribute.cardinality == Cardinality::Many;
        Ok(Some(Attribute {
            value_type: attribute.value_type.map_or_else(|| "any".to_owned(), name),
            many,
            slots,
        }))
    }
}
