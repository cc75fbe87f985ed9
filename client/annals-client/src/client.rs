//! The calls: queries, pulls, datoms, log, transactions, catalog and status.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use annals_edn::{Code, Edn, Error};
use annals_transport::{TlsFiles, TlsIdentity};
use annals_wire::v1;
use annals_wire::v1::admin_service_client::AdminServiceClient;
use annals_wire::v1::database_service_client::DatabaseServiceClient;
use annals_wire::v1::query_service_client::QueryServiceClient;
use annals_wire::value::to_edn;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use crate::Result;
use crate::pool::Pool;
use crate::profile::Profile;
use crate::results::{Results, Source};
use crate::with::With;

/// How long a call may take when the caller says nothing.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
/// How much longer than the server has a call waits for its answer: the server can say what it was at.
pub(crate) const GRACE: Duration = Duration::from_millis(200);
/// The most bytes of one message a client accepts. Servers cap chunks at 1 MiB.
pub(crate) const MESSAGE_BYTES: usize = 64 << 20;

/// A client of one cluster. Clones share connections.
#[derive(Clone)]
pub struct Client {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) peers: Pool,
    pub(crate) transactors: Pool,
    /// The highest basis seen of each database: later reads ask for at least that, so a session never goes back.
    seen: Mutex<HashMap<String, u64>>,
}

/// How a result is read: view, paging and limits. The default is the newest value, everything, 60 s.
#[derive(Clone, Debug, Default)]
pub struct Read {
    /// what of the database is seen
    pub view: v1::View,
    /// paging, chunk size, statistics; `timeout_ms` 0 means 60 s
    pub options: v1::StreamOptions,
    /// transactions that are taken as if they were committed, before the view
    pub with: With,
    /// predicates of datoms, EDN, all of which must hold for what is shown: `f/open?`, `(f/open? ?e "ana")`
    pub filters: Vec<String>,
}

impl Client {
    /// A client of the cluster that `profile` names. Reads the certificates, connects on first use.
    ///
    /// # Errors
    /// `CONFIG` when a certificate cannot be read.
    pub fn new(profile: &Profile) -> Result<Client> {
        let identity = TlsIdentity::load(TlsFiles {
            ca: profile.ca.clone(),
            cert: profile.cert.clone(),
            key: profile.key.clone(),
        })?;
        let peers = Pool::new("peer server", profile.endpoints.clone(), identity.clone());
        let transactors = Pool::new("transactor", profile.transactors.clone(), identity);
        Ok(Client { shared: Arc::new(Shared { peers, transactors, seen: Mutex::default() }) })
    }

    /// Runs a query. `args` are EDN texts in the order of `:in` without `$`.
    ///
    /// # Errors
    /// The query's own, with the span in its text; `UNREACHABLE` when no peer server answers in time.
    pub async fn query(&self, database: &str, query: &str, args: &[String], read: &Read) -> Result<Results> {
        let request = self.asked(database, query, args, read);
        Results::open(self.clone(), database, Source::Query(request)).await
    }

    pub(crate) fn asked(
        &self,
        database: &str,
        query: &str,
        args: &[String],
        read: &Read,
    ) -> v1::QueryRequest {
        v1::QueryRequest {
            database: Some(self.value(database, read)),
            query: query.to_string(),
            args: args.to_vec(),
            options: Some(read.options.clone()),
        }
    }

    /// Datoms of an index; `components` are EDN texts.
    ///
    /// # Errors
    /// As [`Client::query`].
    pub async fn datoms(
        &self,
        database: &str,
        index: v1::IndexKind,
        mode: v1::DatomsMode,
        components: &[String],
        read: &Read,
    ) -> Result<Results> {
        let request = v1::DatomsRequest {
            database: Some(self.value(database, read)),
            index: index.into(),
            mode: mode.into(),
            components: components.to_vec(),
            options: Some(read.options.clone()),
        };
        Results::open(self.clone(), database, Source::Datoms(request)).await
    }

    /// The log between two points, `from` inclusive, `to` exclusive.
    ///
    /// # Errors
    /// As [`Client::query`].
    pub async fn log(
        &self,
        database: &str,
        from: Option<v1::TimePoint>,
        to: Option<v1::TimePoint>,
        read: &Read,
    ) -> Result<Results> {
        let value = self.value(database, read);
        let request = v1::LogRequest { database: Some(value), from, to, options: Some(read.options.clone()) };
        Results::open(self.clone(), database, Source::Log(request)).await
    }

    /// Pulls `pattern` for each of `entities` (EDN texts); one value an entity, nil where nothing is known.
    ///
    /// # Errors
    /// As [`Client::query`].
    pub async fn pull(
        &self,
        database: &str,
        pattern: &str,
        entities: &[String],
        read: &Read,
    ) -> Result<Vec<Edn>> {
        let timeout = timeout_of(&read.options);
        let request = v1::PullRequest {
            database: Some(self.value(database, read)),
            pattern: pattern.to_string(),
            entities: entities.to_vec(),
            timeout_ms: timeout.as_millis() as u32,
        };
        let response = retry(&self.shared.peers, timeout, &request, |channel, request| async move {
            queries(channel).pull(request).await
        })
        .await?;
        if read.with.is_empty() {
            self.saw(database, response.basis_t);
        }
        response.values.iter().map(to_edn).collect()
    }

    /// Creates a database; with `if_not_exists` an existing one is a success.
    ///
    /// # Errors
    /// `DB_EXISTS`, `DB_NAME`, `UNSUPPORTED` options, `UNREACHABLE`.
    pub async fn create_database(
        &self,
        name: &str,
        options: v1::DatabaseOptions,
        if_not_exists: bool,
    ) -> Result<v1::DatabaseInfo> {
        let request = v1::CreateDatabaseRequest {
            name: name.to_string(),
            options: Some(options),
            timeout_ms: 0,
            if_not_exists,
        };
        let response =
            retry(&self.shared.transactors, DEFAULT_TIMEOUT, &request, |channel, request| async move {
                databases(channel).create_database(request).await
            })
            .await?;
        response.database.ok_or_else(|| Error::new(Code::Internal, "the answer names no database"))
    }

    /// Deletes a database.
    ///
    /// # Errors
    /// `DB_NOT_FOUND`, `UNREACHABLE`.
    pub async fn delete_database(&self, name: &str) -> Result<()> {
        let request = v1::DeleteDatabaseRequest { name: name.to_string(), timeout_ms: 0 };
        retry(&self.shared.transactors, DEFAULT_TIMEOUT, &request, |channel, request| async move {
            databases(channel).delete_database(request).await
        })
        .await?;
        Ok(())
    }

    /// The databases of the group, by name.
    ///
    /// # Errors
    /// `UNREACHABLE`.
    pub async fn list_databases(&self) -> Result<Vec<v1::DatabaseInfo>> {
        let request = v1::ListDatabasesRequest {};
        let response =
            retry(&self.shared.transactors, DEFAULT_TIMEOUT, &request, |channel, request| async move {
                databases(channel).list_databases(request).await
            })
            .await?;
        Ok(response.databases)
    }

    /// Waits until a peer server has `database` at `t`, or at everything acknowledged before the call.
    ///
    /// # Errors
    /// `BASIS_NOT_REACHED` when `timeout` passes first, `DB_NOT_FOUND`.
    pub async fn sync(&self, database: &str, t: Option<u64>, timeout: Duration) -> Result<u64> {
        let request =
            v1::SyncRequest { database: database.to_string(), t, timeout_ms: timeout.as_millis() as u32 };
        let response = retry(&self.shared.peers, timeout, &request, |channel, request| async move {
            databases(channel).sync(request).await
        })
        .await?;
        self.saw(database, response.t);
        Ok(response.t)
    }

    /// Members and peers of the group.
    ///
    /// # Errors
    /// `UNREACHABLE`.
    pub async fn status(&self) -> Result<v1::StatusResponse> {
        let request = v1::StatusRequest { whole_group: true };
        retry(&self.shared.transactors, Duration::from_secs(10), &request, |channel, request| async move {
            AdminServiceClient::new(channel).status(request).await
        })
        .await
    }

    /// The database value that later calls mean: the view, at no less than the highest basis seen, or at the basis of
    /// its speculation.
    pub(crate) fn value(&self, database: &str, read: &Read) -> v1::DatabaseValue {
        let seen = self.shared.seen.lock().expect("no holder panics").get(database).copied();
        let level = match read.with.basis_t {
            Some(t) => Some(v1::read_level::Level::ExactlyT(t)),
            None => seen.map(v1::read_level::Level::AtLeastT),
        };
        v1::DatabaseValue {
            name: database.to_string(),
            incarnation: Vec::new().into(),
            view: Some(read.view),
            read_level: level.map(|level| v1::ReadLevel { level: Some(level) }),
            with: read.with.tx_data.clone(),
            with_instant_ms: (!read.with.is_empty()).then_some(read.with.instant_ms),
            filters: read.filters.clone(),
        }
    }

    /// Remembers that `database` has reached `t`.
    pub(crate) fn saw(&self, database: &str, t: u64) {
        let mut seen = self.shared.seen.lock().expect("no holder panics");
        let highest = seen.entry(database.to_string()).or_default();
        *highest = t.max(*highest);
    }
}

pub(crate) fn timeout_of(options: &v1::StreamOptions) -> Duration {
    match options.timeout_ms {
        0 => DEFAULT_TIMEOUT,
        ms => Duration::from_millis(ms.into()),
    }
}

pub(crate) fn queries(channel: Channel) -> QueryServiceClient<Channel> {
    QueryServiceClient::new(channel).max_decoding_message_size(MESSAGE_BYTES)
}

fn databases(channel: Channel) -> DatabaseServiceClient<Channel> {
    DatabaseServiceClient::new(channel).max_decoding_message_size(MESSAGE_BYTES)
}

/// Sends an idempotent unary call until an endpoint of `pool` answers or `timeout` passes.
pub(crate) async fn retry<Q, A, F, C>(pool: &Pool, timeout: Duration, request: &Q, call: C) -> Result<A>
where
    Q: Clone,
    F: Future<Output = Result<Response<A>, Status>>,
    C: Fn(Channel, Request<Q>) -> F,
{
    let mut attempts = pool.attempts(Instant::now() + timeout);
    loop {
        let mut message = Request::new(request.clone());
        message.set_timeout(attempts.left() + GRACE);
        match call(attempts.channel()?, message).await {
            Ok(answer) => {
                attempts.succeeded();
                return Ok(answer.into_inner());
            }
            Err(status) => attempts.failed(status).await?,
        }
    }
}
