//! The handle of a running peer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use annals_db::{Db, Limits};
use annals_edn::{Code, Error};
use annals_transport::{ConnectOptions, TlsIdentity};
use annals_wire::from_status;
use annals_wire::v1;
use annals_wire::v1::database_service_client::DatabaseServiceClient;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::Request;

use crate::Result;
use crate::databases::{Database, Databases, Roots};
use crate::feed::{Feed, Group};

/// Which databases a peer keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// every database of the group, present and future
    All,
    /// only these
    Names(Vec<String>),
}

/// What a peer is started with.
#[derive(Clone, Debug)]
pub struct Config {
    /// transactors, `host:port`, at least one
    pub transactors: Vec<String>,
    /// which databases to keep
    pub selection: Selection,
    /// who we are, for the status of the group
    pub subscriber: v1::SubscriberInfo,
}

impl Config {
    /// Where to begin: peers spread over the transactors by their process id.
    pub(crate) fn first_transactor(&self) -> usize {
        self.subscriber.pid as usize % self.transactors.len()
    }
}

/// A running peer. Clones share it.
#[derive(Clone)]
pub struct Peer {
    databases: Arc<Databases>,
    group: watch::Receiver<Group>,
    transactors: Arc<[String]>,
    identity: TlsIdentity,
    stop: CancellationToken,
    task: Arc<tokio::sync::Mutex<Option<JoinHandle<()>>>>,
}

impl Peer {
    /// Starts the feed. Published roots are opened by `roots`. Returns at once; await [`Peer::ready`].
    ///
    /// # Errors
    /// `CONFIG` without a transactor.
    pub fn start(config: Config, identity: TlsIdentity, roots: Arc<dyn Roots>) -> Result<Peer> {
        if config.transactors.is_empty() {
            return Err(Error::new(Code::Config, "a peer needs at least one transactor"));
        }
        let databases = Arc::new(Databases::new(roots));
        let (sender, group) = watch::channel(Group::default());
        let stop = CancellationToken::new();
        let transactors = config.transactors.clone().into();
        let feed = Feed {
            config,
            identity: identity.clone(),
            databases: databases.clone(),
            group: sender,
            stop: stop.clone(),
        };
        let task = Arc::new(tokio::sync::Mutex::new(Some(tokio::spawn(feed.run()))));
        Ok(Peer { databases, group, transactors, identity, stop, task })
    }

    /// The databases.
    #[must_use]
    pub fn databases(&self) -> &Databases {
        &self.databases
    }

    /// What is known of the group.
    #[must_use]
    pub fn group(&self) -> watch::Receiver<Group> {
        self.group.clone()
    }

    /// What one transaction may be, as the group decides: for speculation.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.group.borrow().limits
    }

    /// Waits until the catalog has been seen and every database has reached what the group had committed by then.
    ///
    /// # Errors
    /// `NOT_READY` when the peer is stopped first.
    pub async fn ready(&self) -> Result<()> {
        let stopped = |_| Error::new(Code::NotReady, "the peer was stopped");
        self.group.clone().wait_for(|group| group.catalog_seen).await.map_err(stopped)?;
        for database in self.databases.all() {
            let committed = database.basis() + database.lag();
            database.reached(committed, Duration::MAX).await?;
        }
        Ok(())
    }

    /// The newest value of a database. Never waits.
    ///
    /// # Errors
    /// `DB_NOT_FOUND`.
    pub fn db(&self, name: &str) -> Result<Db> {
        Ok(self.databases.get(name)?.db())
    }

    /// The database of that name; waits a little for one that the group knows and this peer does not yet.
    ///
    /// # Errors
    /// `DB_NOT_FOUND`.
    pub fn database(&self, name: &str) -> Result<Arc<Database>> {
        self.databases.get(name)
    }

    /// A value that holds everything acknowledged before the call: asks the group, then waits for the feed.
    ///
    /// # Errors
    /// `UNREACHABLE`, `BASIS_NOT_REACHED`, `DB_NOT_FOUND`.
    pub async fn sync(&self, name: &str, timeout: Duration) -> Result<Db> {
        let deadline = Instant::now() + timeout;
        let mut last = Error::new(Code::Unreachable, "no transactor answered");
        for endpoint in self.by_likelihood() {
            let left = deadline.saturating_duration_since(Instant::now());
            let channel = annals_transport::connect(&endpoint, &self.identity, &ConnectOptions::node())?;
            let mut request = Request::new(v1::SyncRequest {
                database: name.to_string(),
                t: None,
                timeout_ms: left.as_millis() as u32,
            });
            request.set_timeout(left);
            match DatabaseServiceClient::new(channel).sync(request).await {
                Ok(answer) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    let database = self.databases.arrived(name, left).await?;
                    let left = deadline.saturating_duration_since(Instant::now());
                    return database.reached(answer.into_inner().t, left).await;
                }
                Err(status) => last = from_status(&status),
            }
        }
        Err(last)
    }

    /// Transactors, the leader first.
    #[must_use]
    pub fn by_likelihood(&self) -> Vec<String> {
        let leader = self.group.borrow().leader_endpoint.clone();
        let mut endpoints: Vec<String> = self.transactors.to_vec();
        endpoints.sort_by_key(|endpoint| *endpoint != leader);
        endpoints
    }

    /// Ends the feed and waits for it.
    pub async fn stop(&self) {
        self.stop.cancel();
        if let Some(task) = self.task.lock().await.take() {
            let _ = task.await;
        }
    }
}
