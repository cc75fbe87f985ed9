//! What a request means: which database values it reads, and what its arguments are.

use std::time::{Duration, Instant};

use annals_edn::{Code, Edn, Error, Keyword, Node, read_one};
use annals_peer::databases::incarnation_of;
use annals_peer::db::{Db, EntityId, Incarnation, Partition, Point, T};
use annals_wire::v1;
use annals_wire::v1::database_service_client::DatabaseServiceClient;
use annals_wire::v1::read_level::Level;
use annals_wire::v1::time_point::Point as WirePoint;

use crate::Result;
use crate::services::Shared;
use crate::speculate::{Speculation, speculate};
use crate::stream::{CHUNK_BYTES, CHUNK_BYTES_MAX};

/// How long a result may take when the client says nothing, and at most.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(3600);
/// The most predicates that one database value is filtered by.
const MAX_FILTERS: usize = 16;
/// How long a read waits for a basis that this peer has not reached.
const BASIS_TIMEOUT: Duration = Duration::from_secs(5);

/// One input of a query, as it came.
pub enum Argument {
    /// a database value
    Database(Db),
    /// anything else
    Form(Edn),
}

/// The options of a stream with defaults and caps applied.
pub struct Options {
    /// when to give up
    pub deadline: Instant,
    /// how long that is from the start
    pub timeout: Duration,
    /// target size of a chunk
    pub chunk_bytes: usize,
    /// rows to leave out
    pub offset: u64,
    /// rows at most
    pub limit: Option<u64>,
    /// what the run cost is asked for
    pub want_stats: bool,
    /// where to go on, empty at the start
    pub token: Vec<u8>,
}

impl Options {
    /// Reads the options of a request.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a negative offset or limit.
    pub fn of(options: Option<&v1::StreamOptions>) -> Result<Options> {
        let options = options.cloned().unwrap_or_default();
        let count = |what: &'static str, n: i64| {
            u64::try_from(n).map_err(|_| {
                Error::new(Code::InvalidArgument, format!("{what} is {n}, it must not be negative"))
                    .with("value", n)
            })
        };
        let timeout = timeout(options.timeout_ms);
        Ok(Options {
            deadline: Instant::now() + timeout,
            timeout,
            chunk_bytes: match options.chunk_bytes as usize {
                0 => CHUNK_BYTES,
                bytes => bytes.min(CHUNK_BYTES_MAX),
            },
            offset: count("offset", options.offset)?,
            limit: options.limit.map(|limit| count("limit", limit)).transpose()?,
            want_stats: options.want_stats,
            token: options.resume_token.to_vec(),
        })
    }
}

/// The deadline of a call that names `timeout_ms`, 0 for the default.
#[must_use]
pub fn deadline(timeout_ms: u32) -> Instant {
    Instant::now() + timeout(timeout_ms)
}

fn timeout(timeout_ms: u32) -> Duration {
    match timeout_ms {
        0 => DEFAULT_TIMEOUT,
        ms => Duration::from_millis(ms.into()).min(LONGEST_TIMEOUT),
    }
}

/// Finds database values. With a token, each is the one that the result began with, at its basis then.
pub struct Resolver<'a> {
    shared: &'a Shared,
    deadline: Instant,
    fixed: Option<std::vec::IntoIter<(Incarnation, T)>>,
    read: Vec<(Incarnation, T)>,
    speculates: bool,
}

impl<'a> Resolver<'a> {
    /// Resolves for one request; `fixed` are the databases of its token.
    #[must_use]
    pub fn new(shared: &'a Shared, deadline: Instant, fixed: Option<Vec<(Incarnation, T)>>) -> Resolver<'a> {
        Resolver {
            shared,
            deadline,
            fixed: fixed.map(IntoIterator::into_iter),
            read: Vec::new(),
            speculates: false,
        }
    }

    /// Every database read so far and at which basis, for the next token.
    #[must_use]
    pub fn into_read(self) -> Vec<(Incarnation, T)> {
        self.read
    }

    /// Whether some value read so far is a speculation.
    #[must_use]
    pub fn speculates(&self) -> bool {
        self.speculates
    }

    /// The value that `wanted` names.
    ///
    /// # Errors
    /// `DB_NOT_FOUND`, `BASIS_NOT_REACHED`, `BASIS_COLLECTED`, `INVALID_ARGUMENT`, `CURSOR_EXPIRED`; of speculation.
    pub async fn database(&mut self, wanted: Option<&v1::DatabaseValue>) -> Result<Db> {
        let wanted = wanted.cloned().unwrap_or_default();
        let (database, db) = self.committed(&wanted).await?;
        let db = match wanted.with.is_empty() {
            true => db,
            false => self.speculation(db, &wanted).await?.db,
        };
        let db = self.viewed(&database, db, wanted.view.as_ref()).await?;
        filtered(db, &wanted.filters)
    }

    /// What the transactions of `wanted` would do, and the basis that they follow.
    ///
    /// # Errors
    /// As [`Resolver::database`]; `INVALID_VIEW` for a view of the past, which no transaction is about.
    pub async fn with(&mut self, wanted: Option<&v1::DatabaseValue>) -> Result<(T, Speculation)> {
        let wanted = wanted.cloned().unwrap_or_default();
        if wanted.view.as_ref().is_some_and(|view| view.history) {
            return Err(Error::new(Code::InvalidView, "a history takes no transaction"));
        }
        let (_, db) = self.committed(&wanted).await?;
        Ok((db.basis(), self.speculation(db, &wanted).await?))
    }

    async fn speculation(&mut self, db: Db, wanted: &v1::DatabaseValue) -> Result<Speculation> {
        self.speculates = true;
        let (texts, now) = (wanted.with.clone(), wanted.with_instant_ms);
        let (functions, limits) = (self.shared.functions.clone(), self.shared.peer.limits());
        let run = tokio::task::spawn_blocking(move || speculate(&db, &texts, now, limits, &functions));
        let left = self.deadline.saturating_duration_since(Instant::now());
        tokio::time::timeout(left, run)
            .await
            .map_err(|_| Error::new(Code::DeadlineExceeded, "the time for this speculation has passed"))?
            .map_err(|_| Error::new(Code::Internal, "the speculation ended without an answer"))?
    }

    /// The database and the committed value that `wanted` names.
    async fn committed(
        &mut self,
        wanted: &v1::DatabaseValue,
    ) -> Result<(std::sync::Arc<annals_peer::Database>, Db)> {
        let database = self.known(&wanted.name).await?;
        if !wanted.incarnation.is_empty() && incarnation_of(&wanted.incarnation) != Some(database.incarnation)
        {
            return Err(Error::new(Code::DbNotFound, format!("'{}' is another database now", wanted.name)));
        }
        let db = match self.fixed.as_mut() {
            None => self.fresh(&database, wanted.read_level.as_ref()).await?,
            Some(fixed) => match fixed.next() {
                Some((incarnation, t)) if incarnation == database.incarnation => {
                    database.reached(t.0, self.wait()).await?.at(t)?
                }
                _ => {
                    let message =
                        format!("'{}' is not the database that this result began with", wanted.name);
                    return Err(
                        Error::new(Code::CursorExpired, message).hint("send the request without a token")
                    );
                }
            },
        };
        self.read.push((database.incarnation, db.basis()));
        Ok((database, db))
    }

    /// An argument: `#annals/db {…}` is a database, everything else stands for itself.
    ///
    /// # Errors
    /// Of the text, with its span; of the database.
    pub async fn argument(&mut self, text: &str) -> Result<Argument> {
        let form = read_one(text)?;
        let Node::Tagged(tag, map) = &form.node else { return Ok(Argument::Form(form)) };
        if tag.as_str() != "annals/db" {
            return Ok(Argument::Form(form));
        }
        let wanted = database_value(map)?;
        Ok(Argument::Database(self.database(Some(&wanted)).await?))
    }

    fn wait(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now()).min(BASIS_TIMEOUT)
    }

    /// The database of that name; one that the group knows and this peer does not yet is waited for.
    async fn known(&self, name: &str) -> Result<std::sync::Arc<annals_peer::Database>> {
        let unknown = match self.shared.peer.database(name) {
            Ok(database) => return Ok(database),
            Err(error) => error,
        };
        let message = v1::BasisRequest { database: name.to_string() };
        let there = self
            .shared
            .forward
            .call(&message, Instant::now() + self.wait(), |channel, request| async move {
                DatabaseServiceClient::new(channel).basis(request).await
            })
            .await;
        if there.is_err() {
            return Err(unknown);
        }
        self.shared.peer.databases().arrived(name, self.wait()).await
    }

    async fn fresh(&self, database: &annals_peer::Database, level: Option<&v1::ReadLevel>) -> Result<Db> {
        match level.and_then(|level| level.level.as_ref()) {
            None | Some(Level::MaxStalenessMs(_)) => Ok(database.db()),
            Some(Level::AtLeastT(t)) => database.reached(*t, self.wait()).await,
            Some(Level::ExactlyT(t)) => database.reached(*t, self.wait()).await?.at(T(*t)),
            Some(Level::Linearizable(_)) => self.shared.peer.sync(&database.name, self.wait()).await,
        }
    }

    async fn viewed(&self, database: &annals_peer::Database, db: Db, view: Option<&v1::View>) -> Result<Db> {
        let Some(view) = view else { return Ok(db) };
        let mut db = db;
        if let Some(point) = &view.as_of {
            let t = point_of(&db, point)?;
            if t > db.basis() {
                return Err(Error::new(
                    Code::BasisNotReached,
                    format!("as-of {} is in the future: {} is at t {}", t.0, database.name, db.basis().0),
                )
                .with("basis", db.basis().0));
            }
            db = db.as_of(t);
        }
        if let Some(point) = &view.since {
            let t = point_of(&db, point)?;
            db = db.since(t);
        }
        Ok(if view.history { db.history() } else { db })
    }
}

/// The value as far as the predicates of a request show it.
fn filtered(db: Db, filters: &[String]) -> Result<Db> {
    if filters.len() > MAX_FILTERS {
        let message = format!("{} filters, and at most {MAX_FILTERS} may be given", filters.len());
        return Err(Error::new(Code::InvalidView, message));
    }
    let one = |db: Db, text: &String| {
        let found = read_one(text).and_then(|form| annals_peer::query::filter(&db, &form));
        // A filter is a text of its own, which a span does not tell from the query.
        found.map_err(|error| error.without_span().with("filter", text))
    };
    filters.iter().try_fold(db, one)
}

/// The t that a point in time means in `db`.
///
/// # Errors
/// `INVALID_ARGUMENT` for a number that is neither a t nor a transaction.
pub fn point_of(db: &Db, point: &v1::TimePoint) -> Result<T> {
    let point = match point.point {
        Some(WirePoint::InstantMs(ms)) => Point::Instant(ms),
        Some(WirePoint::TOrTx(number)) => Point::T(t_of(number)?),
        None => return Err(Error::new(Code::InvalidArgument, "a point in time is empty")),
    };
    db.point(point)
}

fn t_of(number: i64) -> Result<T> {
    let wrong = || {
        Error::new(Code::InvalidArgument, format!("{number} is neither a t nor a transaction's entity id"))
    };
    let id = EntityId::from_long(number).ok_or_else(wrong)?;
    match id.partition() {
        Partition::EXPLICIT => Ok(T(id.counter())),
        _ => id.as_t().ok_or_else(wrong),
    }
}

/// Reads `{:name "x" :with [[…]] :as-of 5 :since 2 :history true :filter f/open?}`; `:filter` may be a vector of several.
fn database_value(map: &Edn) -> Result<v1::DatabaseValue> {
    let wrong = |form: &Edn, what: &str| {
        Error::new(Code::InvalidArgument, format!("{what} in #annals/db"))
            .at(form.span)
            .hint("write #annals/db {:name \"x\"}, and :with [tx-data …], :as-of, :since, :history true or :filter where wanted")
    };
    let Node::Map(entries) = &map.node else { return Err(wrong(map, "not a map")) };
    let (mut value, mut view) = (v1::DatabaseValue::default(), v1::View::default());
    for (key, form) in entries {
        let name = match &key.node {
            Node::Keyword(keyword) => keyword.clone(),
            _ => Keyword::new(""),
        };
        match (name.as_str(), &form.node) {
            ("name", Node::Str(text)) => value.name = text.to_string(),
            ("as-of", _) => {
                view.as_of = Some(wire_point(form).ok_or_else(|| wrong(form, "no point in time"))?)
            }
            ("since", _) => {
                view.since = Some(wire_point(form).ok_or_else(|| wrong(form, "no point in time"))?)
            }
            ("history", Node::Bool(history)) => view.history = *history,
            ("with", Node::Vector(transactions)) => {
                value.with = transactions.iter().map(Edn::to_string).collect();
            }
            ("filter", Node::Vector(filters)) => value.filters = filters.iter().map(Edn::to_string).collect(),
            ("filter", Node::Symbol(_) | Node::Keyword(_) | Node::List(_)) => {
                value.filters = vec![form.to_string()];
            }
            ("with-instant", Node::Instant(ms)) => value.with_instant_ms = Some(*ms),
            _ => return Err(wrong(key, "an unknown entry")),
        }
    }
    value.view = Some(view);
    Ok(value)
}

fn wire_point(form: &Edn) -> Option<v1::TimePoint> {
    let point = match form.node {
        Node::Long(number) => WirePoint::TOrTx(number),
        Node::Instant(ms) => WirePoint::InstantMs(ms),
        _ => return None,
    };
    Some(v1::TimePoint { point: Some(point) })
}
