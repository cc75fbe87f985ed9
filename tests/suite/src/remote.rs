//! The thin client as a system under test: the same cases over gRPC, against servers that run already.
//!
//! What the runner needs beside the cases (idents, attributes) is pulled.

use std::collections::HashMap;
use std::future::Future;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use annals_client::{Client, Read, Report, With};
use annals_edn::{Code, Edn, Error, Keyword, read_one};
use annals_wire::v1;
use tokio::runtime::{Handle, Runtime};

use crate::data;
use crate::system::{
    Attribute, Committed, Count, Database, Datom, Datoms, Options, Point, Source, System, View,
};

/// How long a new database may take to be known to the peer servers.
const SYNC_TIMEOUT: Duration = Duration::from_secs(10);

/// Makes databases on the cluster of a client, and deletes them again.
pub struct Remote {
    runtime: Runtime,
    client: Client,
    made: AtomicU64,
    loaded: OnceLock<Result<bool, Error>>,
}

/// A database behind the wire.
pub(crate) struct RemoteDatabase {
    handle: Handle,
    client: Client,
    pub(crate) name: String,
    /// A loaded database outlives the case.
    kept: bool,
    /// Idents that transactions of this case gave; the schema of the present knows them, retracted ones too, and there
    /// is no call that asks it.
    idents: HashMap<i64, Keyword>,
    /// `:db/txInstant` of the last transaction.
    last_instant: i64,
}

impl Remote {
    /// # Errors
    /// `INTERNAL` when no runtime can be made.
    pub fn new(client: Client) -> Result<Remote, Error> {
        let runtime = Runtime::new().map_err(|error| Error::new(Code::Internal, error.to_string()))?;
        Ok(Remote { runtime, client, made: AtomicU64::new(0), loaded: OnceLock::new() })
    }

    /// Where its calls wait.
    pub(crate) fn handle(&self) -> &Handle {
        self.runtime.handle()
    }

    /// A new database of a name that no other has.
    pub(crate) fn fresh(&self, options: Options) -> Result<RemoteDatabase, Error> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        self.make(format!("case-{number}"), options, false)
    }

    /// The loaded database of that name, if its data is at hand.
    pub(crate) fn loaded(&self, name: &str) -> Result<Option<RemoteDatabase>, Error> {
        let loaded = self.loaded.get_or_init(|| {
            if data::files(name).is_none() {
                return Ok(false);
            }
            let mut database = self.make(name.to_owned(), Options::default(), true)?;
            data::load(name, |tx_data| database.transact(tx_data).map(drop))
        });
        Ok(loaded.clone()?.then(|| self.database(name.to_owned(), true)))
    }

    fn make(&self, name: String, options: Options, kept: bool) -> Result<RemoteDatabase, Error> {
        let flexibility = match options.schema_on_write {
            true => v1::SchemaFlexibility::Write,
            false => v1::SchemaFlexibility::Read,
        };
        let keep_history = Some(options.keep_history);
        let options = v1::DatabaseOptions { schema_flexibility: flexibility.into(), keep_history };
        self.runtime.block_on(async {
            self.client.create_database(&name, options, false).await?;
            self.client.sync(&name, None, SYNC_TIMEOUT).await
        })?;
        Ok(self.database(name, kept))
    }

    fn database(&self, name: String, kept: bool) -> RemoteDatabase {
        RemoteDatabase {
            handle: self.runtime.handle().clone(),
            client: self.client.clone(),
            name,
            kept,
            idents: HashMap::new(),
            last_instant: 0,
        }
    }
}

impl System for Remote {
    fn create(&self, options: Options) -> Result<Box<dyn Database>, Error> {
        Ok(Box::new(self.fresh(options)?))
    }

    fn open(&self, name: &str) -> Result<Option<Box<dyn Database>>, Error> {
        Ok(self.loaded(name)?.map(|database| Box::new(database) as Box<dyn Database>))
    }
}

impl Drop for RemoteDatabase {
    fn drop(&mut self) {
        if !self.kept {
            // A database that stays behind harms no other case.
            let _ = self.wait(self.client.delete_database(&self.name));
        }
    }
}

impl RemoteDatabase {
    pub(crate) fn wait<T>(&self, call: impl Future<Output = T>) -> T {
        self.handle.block_on(call)
    }

    /// Cases tell transactions apart by their instants, which two in one millisecond share.
    fn wait_for_next_millisecond(&self) {
        // A later instant is one that the case gave itself.
        let is_now = || {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            since.as_millis() == u128::from(self.last_instant.unsigned_abs())
        };
        while is_now() {
            std::thread::yield_now();
        }
    }

    fn pull_one(&self, source: &Source, pattern: &str, entity: &Edn) -> Result<Edn, Error> {
        // An identifier is looked up in the value itself: there is no pull of a history.
        let view = View { history: false, ..source.view };
        let source = Source { view, ..source.clone() };
        let (entity, read) = ([entity.to_string()], read(&source, None));
        let found = self.wait(self.client.pull(&self.name, pattern, &entity, &read))?;
        Ok(found.into_iter().next().unwrap_or(Edn::nil()))
    }

    fn rows(
        &self,
        call: impl Future<Output = Result<annals_client::Results, Error>>,
    ) -> Result<Vec<Vec<Edn>>, Error> {
        self.wait(async {
            let mut results = call.await?;
            let mut rows = Vec::new();
            while let Some(row) = results.next().await? {
                rows.push(row);
            }
            Ok(rows)
        })
    }
}

fn read(source: &Source, limit: Option<usize>) -> Read {
    let Source { view, with, filters } = source;
    let with = with.iter().fold(With::new(), |with, tx_data| with.and(tx_data.to_string()));
    let view = v1::View { as_of: view.as_of.map(point), since: view.since.map(point), history: view.history };
    let limit = limit.and_then(|limit| i64::try_from(limit).ok());
    let filters = filters.iter().map(Edn::to_string).collect();
    Read { with, view, filters, options: v1::StreamOptions { limit, ..v1::StreamOptions::default() } }
}

fn point(point: Point) -> v1::TimePoint {
    let point = match point {
        Point::T(t) => v1::time_point::Point::TOrTx(t),
        Point::Instant(millis) => v1::time_point::Point::InstantMs(millis),
    };
    v1::TimePoint { point: Some(point) }
}

/// A database argument needs its name on the wire.
fn argument(name: &str, arg: &Edn) -> String {
    match arg.as_tagged() {
        Some(("annals/db", view)) => {
            let mut entries = vec![(Edn::keyword("name"), Edn::string(name))];
            entries.extend(view.as_map().unwrap_or_default().iter().cloned());
            Edn::tagged("annals/db", Edn::map(entries)).to_string()
        }
        _ => arg.to_string(),
    }
}

/// `e a v tx added`
fn datom(row: &[Edn]) -> Result<Datom, Error> {
    let shown = |row: &[Edn]| Error::new(Code::Internal, format!("no datom: {}", Edn::vector(row.to_vec())));
    let [e, a, v, tx, added] = row else { return Err(shown(row)) };
    let parts = (e.as_long(), a.as_keyword(), tx.as_long(), added.as_bool());
    let (Some(e), Some(a), Some(tx), Some(added)) = parts else { return Err(shown(row)) };
    Ok(Datom { e, a: a.clone(), v: v.clone(), tx, added })
}

fn committed(report: Report) -> Result<Committed, Error> {
    let datoms = report.datoms.iter().map(|row| datom(row.as_seq().unwrap_or_default()));
    Ok(Committed {
        t: signed(report.t),
        tx: signed(report.tx),
        instant: report.instant_ms,
        datoms: datoms.collect::<Result<_, Error>>()?,
        tempids: report.tempids.into_iter().map(|(name, e)| (name, signed(e))).collect(),
    })
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

impl Database for RemoteDatabase {
    fn transact(&mut self, tx_data: &Edn) -> Result<Committed, Error> {
        self.wait_for_next_millisecond();
        let report = self.wait(self.client.transact(&self.name, &tx_data.to_string()))?;
        self.last_instant = report.instant_ms;
        let committed = committed(report)?;
        let named = committed.datoms.iter().filter(|datom| datom.added && datom.a.as_str() == "db/ident");
        self.idents.extend(named.filter_map(|datom| Some((datom.e, datom.v.as_keyword()?.clone()))));
        Ok(committed)
    }

    fn with(&self, view: &View, tx_data: &Edn) -> Result<Committed, Error> {
        let source = Source { view: *view, with: Some(tx_data.clone()), filters: Vec::new() };
        let (_, reports) = self.wait(self.client.with(&self.name, &read(&source, None)))?;
        let last = reports.into_iter().next_back();
        committed(last.ok_or_else(|| Error::new(Code::Internal, "one transaction has no report"))?)
    }

    fn query(&self, source: &Source, query: &Edn, args: &[Edn]) -> Result<Edn, Error> {
        let args: Vec<String> = args.iter().map(|arg| argument(&self.name, arg)).collect();
        self.wait(async {
            let read = read(source, None);
            let results = self.client.query(&self.name, &query.to_string(), &args, &read).await?;
            results.answer().await
        })
    }

    fn pull(&self, source: &Source, pattern: &Edn, entities: &[Edn]) -> Result<Vec<Edn>, Error> {
        let entities: Vec<String> = entities.iter().map(Edn::to_string).collect();
        self.wait(self.client.pull(&self.name, &pattern.to_string(), &entities, &read(source, None)))
    }

    fn datoms(&self, source: &Source, request: &Datoms<'_>) -> Result<Vec<Datom>, Error> {
        let index = v1::IndexKind::from_str_name(&format!("INDEX_KIND_{}", request.index.to_uppercase()));
        let index = index.ok_or_else(|| Error::new(Code::InvalidArgument, "no such index"))?;
        let mode = if request.seek { v1::DatomsMode::Seek } else { v1::DatomsMode::Datoms };
        let components: Vec<String> = request.components.iter().map(Edn::to_string).collect();
        let read = read(source, request.limit);
        let rows = self.rows(self.client.datoms(&self.name, index, mode, &components, &read))?;
        rows.iter().map(|row| datom(row)).collect()
    }

    fn index_range(
        &self,
        source: &Source,
        attribute: &Edn,
        start: &Edn,
        end: &Edn,
    ) -> Result<Vec<Datom>, Error> {
        let components = [attribute.to_string(), start.to_string(), end.to_string()];
        let (index, mode) = (v1::IndexKind::Avet, v1::DatomsMode::Range);
        let read = read(source, None);
        let rows = self.rows(self.client.datoms(&self.name, index, mode, &components, &read))?;
        rows.iter().map(|row| datom(row)).collect()
    }

    fn index_pull(&self, source: &Source, request: &Edn) -> Result<Vec<Edn>, Error> {
        let index = match request.get("index").and_then(Edn::as_keyword).map(Keyword::as_str) {
            Some("avet") => v1::IndexKind::Avet,
            Some("aevt") => v1::IndexKind::Aevt,
            _ => v1::IndexKind::Unspecified,
        };
        let start = request.get("start").and_then(Edn::as_seq).unwrap_or_default();
        let mut keys = ["reverse", "reverse?"].iter();
        let walk = annals_client::Walk {
            index,
            selector: request.get("selector").unwrap_or(&Edn::nil()).to_string(),
            start: start.iter().map(Edn::to_string).collect(),
            reverse: keys.any(|key| request.get(key).and_then(Edn::as_bool) == Some(true)),
        };
        let number = |key: &str| request.get(key).and_then(Edn::as_long).filter(|n| *n != -1);
        let mut read = read(source, None);
        (read.options.limit, read.options.offset) = (number("limit"), number("offset").unwrap_or(0));
        let rows = self.rows(self.client.index_pull(&self.name, &walk, &read))?;
        Ok(rows.into_iter().filter_map(|row| row.into_iter().next()).collect())
    }

    fn entity(&self, source: &Source, entity: &Edn, keys: &[Edn]) -> Result<Edn, Error> {
        let (entity, keys) = ([entity.to_string()], keys.iter().map(Edn::to_string).collect::<Vec<_>>());
        let found = self.wait(self.client.entity(&self.name, &entity, &keys, &read(source, None)))?;
        Ok(found.into_iter().next().unwrap_or(Edn::nil()))
    }

    fn stats(&self, source: &Source) -> Result<Vec<Count>, Error> {
        let found = self.wait(self.client.db_stats(&self.name, &read(source, None)))?;
        let count = |held: v1::AttributeStats| Count {
            a: Keyword::new(held.ident),
            datoms: held.datoms,
            current: held.current,
            entities: held.entities,
        };
        Ok(found.attributes.into_iter().map(count).collect())
    }

    fn tx_range(
        &self,
        source: &Source,
        start: Option<Point>,
        end: Option<Point>,
    ) -> Result<Vec<(i64, Vec<Datom>)>, Error> {
        let read = read(source, None);
        let rows = self.rows(self.client.log(&self.name, start.map(point), end.map(point), &read))?;
        let mut transactions: Vec<(i64, Vec<Datom>)> = Vec::new();
        for row in &rows {
            let t = row.first().and_then(Edn::as_long);
            let t = t.ok_or_else(|| Error::new(Code::Internal, "a row of the log without a t"))?;
            let datom = datom(&row[1..])?;
            match transactions.last_mut() {
                Some((last, datoms)) if *last == t => datoms.push(datom),
                _ => transactions.push((t, vec![datom])),
            }
        }
        Ok(transactions)
    }

    fn entid(&self, source: &Source, entity: &Edn) -> Result<Option<i64>, Error> {
        if let Some(id) = entity.as_long() {
            return Ok(Some(id));
        }
        Ok(self.pull_one(source, "[:db/id]", entity)?.get("db/id").and_then(Edn::as_long))
    }

    fn ident(&self, source: &Source, entity: &Edn) -> Result<Option<Keyword>, Error> {
        let known = self.entid(source, entity)?.and_then(|e| self.idents.get(&e));
        if known.is_some() {
            return Ok(known.cloned());
        }
        Ok(self
            .pull_one(&Source::default(), "[:db/ident]", entity)?
            .get("db/ident")
            .and_then(Edn::as_keyword)
            .cloned())
    }

    fn attribute(&self, _source: &Source, ident: &Keyword) -> Result<Option<Attribute>, Error> {
        self.present_attribute(ident)
    }
}

impl RemoteDatabase {
    /// The schema is that of the present, whatever the view.
    fn present_attribute(&self, ident: &Keyword) -> Result<Option<Attribute>, Error> {
        let pattern = "[{:db/valueType [:db/ident] :db/cardinality [:db/ident]} :db/tupleType :db/tupleTypes :db/tupleAttrs]";
        let entity = read_one(&ident.to_string())?;
        let found = self.pull_one(&Source::default(), pattern, &entity)?;
        let name = |form: &Edn| form.as_keyword().map(|ident| ident.name().to_owned());
        let of = |key: &str| found.get(key).and_then(|value| value.get("db/ident")).and_then(name);
        let Some(cardinality) = of("db/cardinality") else { return Ok(None) };
        let (value_type, many) =
            (of("db/valueType").unwrap_or_else(|| "any".to_owned()), cardinality == "many");
        let mut slots: Vec<String> = found.get("db/tupleType").and_then(name).into_iter().collect();
        slots.extend(
            found.get("db/tupleTypes").and_then(Edn::as_seq).unwrap_or_default().iter().filter_map(name),
        );
        for member in found.get("db/tupleAttrs").and_then(Edn::as_seq).unwrap_or_default() {
            let known =
                member.as_keyword().map(|member| self.present_attribute(member)).transpose()?.flatten();
            slots.extend(known.map(|member| member.value_type));
        }
        Ok(Some(Attribute { value_type, many, slots }))
    }
}
