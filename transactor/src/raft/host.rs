//! One member's Raft: started, asked and stopped through [`RaftHandle`]; no openraft type leaves it.
//!
//! It runs on a runtime of its own, so that no evaluation or query ever delays a heartbeat. It owns the data directory.
//! It stops by [`RaftHandle::shutdown`]; a fault in the log or in the machine stops it for good, and every proposal then
//! answers [`Outcome::Unknown`].

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use annals_edn::{Code, Error};
use bytes::Bytes;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ClientWriteError, Fatal, LinearizableReadError, RaftError};
use openraft::impls::ProgressResponder;
use openraft::network::{NetSnapshot, RaftNetworkFactory};
use openraft::{ReadPolicy, ServerState, SnapshotPolicy};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::grpc::{Channels, GrpcNetwork, Purpose};
use super::identity::{DataDir, storage};
use super::log_store::DiskLog;
use super::memory_log::MemoryLog;
use super::state_machine::{Adapter, Replicated, SnapshotPlace};
use super::types::{CommandBytes, Member, NodeId, Raft, Types};
use crate::machine::{CommandResult, Position};

/// Worker threads of the Raft runtime.
const RAFT_THREADS: usize = 2;
/// How long a snapshot of a few kilobytes may take.
const SNAPSHOT_WAIT: Duration = Duration::from_secs(2);
/// Entries kept behind a snapshot, so that a member that lags a little needs no snapshot.
const KEEP_BEHIND_SNAPSHOT: u64 = 20_000;
const MAX_PAYLOAD_ENTRIES: u64 = 256;
const BACKOFF: &str = "100ms 200ms 400ms ...2s";

/// What a member needs to know to run Raft.
#[derive(Clone, Debug)]
pub struct RaftConfig {
    /// The cluster; members of another refuse it.
    pub cluster_id: String,
    /// This member.
    pub node_id: NodeId,
    /// Where it keeps log and snapshot; `None` keeps nothing.
    pub data_dir: Option<PathBuf>,
    /// How often a leader reassures its followers, milliseconds.
    pub heartbeat_ms: u64,
    /// The least silence after which a follower stands for election, milliseconds.
    pub election_min_ms: u64,
    /// The most, milliseconds; also the leader's lease.
    pub election_max_ms: u64,
}

impl RaftConfig {
    /// The defaults for a local network.
    #[must_use]
    pub fn new(cluster_id: impl Into<String>, node_id: NodeId, data_dir: Option<PathBuf>) -> Self {
        let cluster_id = cluster_id.into();
        Self { cluster_id, node_id, data_dir, heartbeat_ms: 75, election_min_ms: 225, election_max_ms: 450 }
    }

    #[allow(deprecated)]
    fn to_openraft(&self) -> Result<Arc<openraft::Config>, Error> {
        let config = openraft::Config {
            cluster_name: self.cluster_id.clone(),
            heartbeat_interval: self.heartbeat_ms,
            election_timeout_min: self.election_min_ms,
            election_timeout_max: self.election_max_ms,
            install_snapshot_timeout: 30_000,
            max_payload_entries: MAX_PAYLOAD_ENTRIES,
            replication_lag_threshold: KEEP_BEHIND_SNAPSHOT,
            snapshot_policy: SnapshotPolicy::Never,
            max_in_snapshot_log_to_keep: KEEP_BEHIND_SNAPSHOT,
            api_batch_linger_ms: 0,
            backoff: BACKOFF.to_owned(),
            enable_pre_vote: Some(true),
            enable_leader_restore: Some(false),
            ..openraft::Config::default()
        };
        let config = config.validate().map_err(|error| Error::new(Code::Config, format!("raft: {error}")))?;
        Ok(Arc::new(config))
    }
}

/// A member's part at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Leads.
    Leader,
    /// Votes and follows, or stands for election.
    Follower,
    /// Follows without a vote.
    Learner,
    /// Stopped.
    Stopped,
}

/// What a member knows of its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaftStatus {
    /// The newest term it has seen.
    pub term: u64,
    /// The leader it follows or is.
    pub leader: Option<NodeId>,
    /// Its own part.
    pub role: Role,
    /// All members: what they are and whether they vote.
    pub members: BTreeMap<NodeId, (Member, bool)>,
    /// Why it has stopped although nobody asked it to: a disk that is full or failing, damage.
    pub fault: Option<String>,
}

/// What became of a proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Committed and applied here.
    Applied {
        /// Its index.
        index: u64,
        /// What the machine answered.
        result: CommandResult,
    },
    /// Never entered the log. The leader to ask, if known; none while this one has lost touch with its quorum.
    NotAppended {
        /// Who leads now.
        leader: Option<NodeId>,
    },
    /// In some log, or was: it may be committed, or may still come to be.
    Unknown,
}

/// A running member. Clones share it.
#[derive(Clone)]
pub struct RaftHandle {
    inner: Arc<Inner>,
}

struct Inner {
    raft: Raft,
    config: RaftConfig,
    channels: Option<Channels>,
    leadership: watch::Receiver<Option<u64>>,
    status: watch::Receiver<RaftStatus>,
    runtime: Mutex<Option<Runtime>>,
    /// Until the member has stopped.
    data_dir: Mutex<Option<DataDir>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.lock().ok().and_then(|mut runtime| runtime.take()) {
            runtime.shutdown_background();
        }
    }
}

impl RaftHandle {
    /// Starts a member over gRPC. It takes part once it is initialised or another member speaks to it.
    ///
    /// # Errors
    /// The data directory is another's, locked or damaged; the configuration is not one.
    pub async fn start(
        config: RaftConfig,
        machine: Box<dyn Replicated>,
        channels: Channels,
    ) -> Result<Self, Error> {
        let (cluster_id, node_id) = (config.cluster_id.clone(), config.node_id);
        let network = GrpcNetwork { cluster_id, node_id, channels: channels.clone() };
        Self::start_with(config, machine, network, Some(channels)).await
    }

    pub(super) async fn start_with<N>(
        config: RaftConfig,
        machine: Box<dyn Replicated>,
        network: N,
        channels: Option<Channels>,
    ) -> Result<Self, Error>
    where
        N: RaftNetworkFactory<Types>,
        N::Network: NetSnapshot<Types, SnapshotData = Bytes>,
    {
        let openraft_config = config.to_openraft()?;
        let (store, data_dir, place) = open_store(&config)?;
        let adapter = Adapter::new(machine, place).map_err(|error| damaged(&config, &error))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(RAFT_THREADS)
            .thread_name("raft")
            .enable_all()
            .build()
            .map_err(|error| Error::new(Code::Internal, format!("raft runtime: {error}")))?;
        let id = config.node_id;
        let started = runtime.spawn(async move {
            match store {
                Store::Disk(log) => Raft::new(id, openraft_config, network, log, adapter).await,
                Store::Memory(log) => Raft::new(id, openraft_config, network, log, adapter).await,
            }
        });
        let raft = match started.await {
            Ok(Ok(raft)) => raft,
            failed => {
                runtime.shutdown_background();
                let reason = failed.map(|outcome| outcome.err().map(|fatal| fatal.to_string()));
                return Err(Error::new(Code::DamagedLog, format!("node {id} cannot recover: {reason:?}")));
            }
        };
        let (leadership, status) = watch_status(&runtime, &raft, id);
        let inner = Inner {
            raft,
            config,
            channels,
            leadership,
            status,
            runtime: Mutex::new(Some(runtime)),
            data_dir: Mutex::new(data_dir),
        };
        let this = Self { inner: Arc::new(inner) };
        this.stand_if_alone().await?;
        Ok(this)
    }

    /// A sole voter needs nobody's consent and no timeout to pass.
    async fn stand_if_alone(&self) -> Result<(), Error> {
        if self.inner.raft.voter_ids().eq([self.node_id()]) {
            self.inner.raft.trigger().elect(false).await.map_err(stopped)?;
        }
        Ok(())
    }

    /// The cluster.
    #[must_use]
    pub fn cluster_id(&self) -> &str {
        &self.inner.config.cluster_id
    }

    /// This member.
    #[must_use]
    pub fn node_id(&self) -> NodeId {
        self.inner.config.node_id
    }

    /// Runs a task beside Raft, on its threads: short steps only. It ends when the member stops.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = self.inner.runtime.lock().ok().as_deref().and_then(Option::as_ref) {
            runtime.spawn(task);
        }
    }

    pub(super) fn raft(&self) -> &Raft {
        &self.inner.raft
    }

    /// The term in which this member leads; `None` while it does not.
    #[must_use]
    pub fn leadership(&self) -> watch::Receiver<Option<u64>> {
        self.inner.leadership.clone()
    }

    /// Term, leader, role and members, as they change.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<RaftStatus> {
        self.inner.status.clone()
    }

    /// The index of the last entry applied here.
    #[must_use]
    pub fn applied_index(&self) -> u64 {
        let metrics = self.inner.raft.data_metrics();
        metrics.borrow_watched().last_applied.map_or(0, |id| id.index())
    }

    /// Founds the group with these members. Idempotent.
    ///
    /// # Errors
    /// This member is not among them, or has stopped.
    pub async fn initialize(&self, members: BTreeMap<NodeId, Member>) -> Result<(), Error> {
        if self.inner.raft.is_initialized().await.map_err(stopped)? {
            return Ok(());
        }
        match self.inner.raft.initialize(members).await {
            Ok(()) => Ok(()),
            Err(RaftError::APIError(openraft::errors::InitializeError::NotAllowed(_))) => Ok(()),
            Err(error) => Err(Error::new(Code::Config, format!("cannot found the group: {error}"))),
        }
    }

    /// Adds a member without a vote and waits until it has caught up.
    ///
    /// # Errors
    /// This member does not lead.
    pub async fn add_learner(&self, id: NodeId, member: Member) -> Result<(), Error> {
        self.inner.raft.add_learner(id, member, true).await.map(drop).map_err(stopped)
    }

    /// Makes exactly these members the voters.
    ///
    /// # Errors
    /// This member does not lead, one of them is no member, or another change is under way.
    pub async fn change_voters(&self, voters: BTreeSet<NodeId>) -> Result<(), Error> {
        self.inner.raft.change_membership(voters, false).await.map(drop).map_err(stopped)
    }

    /// Hands the lead to another voter.
    ///
    /// # Errors
    /// Stopped.
    pub async fn transfer_leader(&self, to: NodeId) -> Result<(), Error> {
        self.inner.raft.trigger().transfer_leader(to).await.map_err(stopped)
    }

    /// Enters `command` into the log if this member still leads in `term`. Proposals enter in the order of the calls;
    /// the returned future resolves when the fate is known.
    pub async fn propose(&self, command: Bytes, term: u64) -> impl Future<Output = Outcome> + Send + 'static {
        let (responder, answer) = ProgressResponder::complete_only();
        let write = self.inner.raft.write(CommandBytes(command)).with_leader(term).responder(responder);
        let entered = write.await.is_ok();
        async move {
            if !entered {
                return Outcome::Unknown;
            }
            match answer.await {
                Ok(Ok(done)) => Outcome::Applied { index: done.log_id.index(), result: done.data },
                Ok(Err(ClientWriteError::ForwardToLeader(forward))) => {
                    Outcome::NotAppended { leader: forward.leader_id }
                }
                _ => Outcome::Unknown,
            }
        }
    }

    /// The position up to which everything acknowledged before this call lies, confirmed by a quorum; waits until it
    /// is applied here. Calls that come together share one round.
    ///
    /// # Errors
    /// `NOT_LEADER`, `UNREACHABLE`, or no quorum within the deadline.
    pub async fn read_index(&self, timeout: Duration) -> Result<Position, Error> {
        let position = match self.leading_elsewhere() {
            None => self.read_index_as_leader().await?,
            Some((leader, member)) => self.ask_leader(leader, &member, timeout).await?,
        };
        self.wait_applied(position.index, timeout).await?;
        Ok(position)
    }

    /// The same, asked of this member as the leader.
    ///
    /// # Errors
    /// `NOT_LEADER` with the leader's id where known; `UNREACHABLE` without a quorum.
    pub async fn read_index_as_leader(&self) -> Result<Position, Error> {
        match self.inner.raft.get_read_linearizer(ReadPolicy::ReadIndex).await {
            Ok(linearizer) => {
                let id = linearizer.read_log_id();
                Ok(Position { term: id.log_id().committed_leader_id().term, index: id.index() })
            }
            Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(forward))) => {
                Err(not_leader(forward.leader_id))
            }
            Err(error) => {
                Err(Error::new(Code::Unreachable, format!("no quorum confirmed the lead: {error}")))
            }
        }
    }

    /// Waits until the entry at `index` is applied here.
    ///
    /// # Errors
    /// `BASIS_NOT_REACHED` when it is not in time.
    pub async fn wait_applied(&self, index: u64, timeout: Duration) -> Result<(), Error> {
        let wait =
            self.inner.raft.wait(Some(timeout)).applied_index_at_least(Some(index), "read index").await;
        wait.map(drop).map_err(|_| {
            Error::new(Code::BasisNotReached, format!("log index {index} is not applied in time"))
        })
    }

    /// Takes a snapshot at the newest covered index and lets the log before it go. Returns when it is taken, or after
    /// a while if there is nothing new to take.
    pub async fn snapshot(&self) {
        let mut metrics = self.inner.raft.data_metrics();
        let before = metrics.borrow_watched().snapshot;
        if let Err(error) = self.inner.raft.trigger().snapshot().await {
            tracing::warn!(%error, "snapshot not taken: raft has stopped");
            return;
        }
        let taken =
            async { while metrics.borrow_watched().snapshot <= before && metrics.changed().await.is_ok() {} };
        if tokio::time::timeout(SNAPSHOT_WAIT, taken).await.is_err() {
            tracing::debug!("no newer index is covered");
        }
    }

    /// Stops taking part. Durable state stays behind, whole.
    pub async fn shutdown(&self) {
        if let Err(error) = self.inner.raft.shutdown().await {
            tracing::warn!(?error, "raft stopped badly");
        }
        let runtime = self.inner.runtime.lock().ok().and_then(|mut runtime| runtime.take());
        if let Some(runtime) = runtime {
            runtime.shutdown_background();
        }
        drop(self.inner.data_dir.lock().ok().and_then(|mut data_dir| data_dir.take()));
    }

    fn leading_elsewhere(&self) -> Option<(NodeId, Member)> {
        let status = self.inner.status.borrow();
        let leader = status.leader.filter(|leader| *leader != self.node_id())?;
        Some((leader, status.members.get(&leader)?.0.clone()))
    }

    async fn ask_leader(
        &self,
        leader: NodeId,
        member: &Member,
        timeout: Duration,
    ) -> Result<Position, Error> {
        let channels = self.inner.channels.as_ref().ok_or_else(|| not_leader(Some(leader)))?;
        let channel = channels.get(leader, member, Purpose::Forward);
        super::grpc::ask_read_index(channel, self.cluster_id(), self.node_id(), leader, timeout).await
    }
}

pub(crate) fn not_leader(leader: Option<NodeId>) -> Error {
    let error = Error::new(Code::NotLeader, "this member does not lead");
    match leader {
        Some(leader) => error.with("leader", leader),
        None => error,
    }
}

fn stopped(error: impl std::fmt::Display) -> Error {
    Error::new(Code::Unreachable, format!("raft: {error}"))
}

enum Store {
    Disk(DiskLog),
    Memory(MemoryLog),
}

fn open_store(config: &RaftConfig) -> Result<(Store, Option<DataDir>, SnapshotPlace), Error> {
    let Some(dir) = &config.data_dir else {
        return Ok((Store::Memory(MemoryLog::default()), None, SnapshotPlace::Memory));
    };
    let mut data_dir = DataDir::open(dir, &config.cluster_id, config.node_id)?;
    let log_dir = data_dir.log_dir();
    std::fs::create_dir_all(&log_dir).map_err(|error| storage(&log_dir, &error))?;
    let log = DiskLog::open(&log_dir).map_err(|error| damaged(config, &error))?;
    let place = SnapshotPlace::File(data_dir.snapshot_path());
    data_dir.admit(log.is_empty() && !data_dir.snapshot_path().exists())?;
    Ok((Store::Disk(log), Some(data_dir), place))
}

fn damaged(config: &RaftConfig, error: &io::Error) -> Error {
    let dir = config.data_dir.as_deref().unwrap_or(std::path::Path::new("memory"));
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound => {
            storage(dir, error)
        }
        _ => Error::new(
            Code::DamagedLog,
            format!("the raft log in {} cannot be read: {error}", dir.display()),
        )
        .hint("never cut it by hand: wipe the directory and let the node join again under a new node id"),
    }
}

/// Follows openraft's own account of itself. The saved vote alone would not do: after a restart it still names this
/// member as the leader of a term that is over.
fn watch_status(
    runtime: &Runtime,
    raft: &Raft,
    id: NodeId,
) -> (watch::Receiver<Option<u64>>, watch::Receiver<RaftStatus>) {
    let (mut metrics, whole) = (raft.server_metrics(), raft.metrics());
    let initial = status_of(&metrics.borrow_watched());
    let (leadership, leadership_rx) = watch::channel(None);
    let (status, status_rx) = watch::channel(initial);
    runtime.spawn(async move {
        loop {
            let current = status_of(&metrics.borrow_watched());
            let leads = current.role == Role::Leader && current.leader == Some(id);
            let term = leads.then_some(current.term);
            leadership.send_if_modified(|known| std::mem::replace(known, term) != term);
            status.send_if_modified(|known| {
                *known != current && {
                    *known = current;
                    true
                }
            });
            if metrics.changed().await.is_err() {
                break;
            }
        }
        let fault = match &whole.borrow_watched().running_state {
            Ok(()) | Err(Fatal::Stopped) => None,
            Err(fatal) => Some(fatal.to_string()),
        };
        if let Some(fault) = &fault {
            tracing::error!(
                fault,
                "raft has stopped; this member takes no more part until it is started again"
            );
        }
        leadership.send_replace(None);
        status.send_modify(|known| {
            known.role = Role::Stopped;
            known.leader = None;
            known.fault = fault;
        });
        // Kept, so that those who watch see a member that has stopped and not a watch that has ended.
        std::future::pending::<()>().await;
    });
    (leadership_rx, status_rx)
}

fn status_of(metrics: &openraft::metrics::RaftServerMetrics<Types>) -> RaftStatus {
    let stored = &metrics.membership_config;
    let voters: BTreeSet<NodeId> = stored.voter_ids().collect();
    RaftStatus {
        term: metrics.vote.leader_id.term,
        leader: metrics.current_leader,
        role: match metrics.state {
            ServerState::Leader => Role::Leader,
            ServerState::Follower | ServerState::Candidate => Role::Follower,
            ServerState::Learner => Role::Learner,
            ServerState::Shutdown => Role::Stopped,
        },
        members: stored.nodes().map(|(id, member)| (*id, (member.clone(), voters.contains(id)))).collect(),
        fault: None,
    }
}

#[cfg(test)]
mod tests;
