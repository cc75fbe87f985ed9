//! Members over a network in memory: election, replication, loss of the leader, restart.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};

use super::super::types::{Snapshot, Vote};
use super::*;

const DEADLINE: Duration = Duration::from_secs(10);

/// Who can be reached. A member that is not listed is unreachable.
#[derive(Clone, Default)]
struct Wires(Arc<RwLock<HashMap<NodeId, Raft>>>);

impl Wires {
    fn get(&self, id: NodeId) -> Result<Raft, RPCError<Types>> {
        let found = self.0.read().unwrap().get(&id).cloned();
        found.ok_or_else(|| RPCError::Unreachable(Unreachable::from_string("no such wire")))
    }
}

struct Wire {
    wires: Wires,
    from: NodeId,
    to: NodeId,
}

#[derive(Clone)]
struct WireFactory {
    wires: Wires,
    from: NodeId,
}

impl RaftNetworkFactory<Types> for WireFactory {
    type Network = Wire;

    async fn new_client(&mut self, to: NodeId, _: &Member) -> Wire {
        Wire { wires: self.wires.clone(), from: self.from, to }
    }
}

impl Wire {
    fn peer(&self) -> Result<Raft, RPCError<Types>> {
        self.wires.get(self.from)?;
        self.wires.get(self.to)
    }
}

fn broken(error: impl std::fmt::Display) -> RPCError<Types> {
    RPCError::Network(NetworkError::from_string(error))
}

impl RaftNetworkV2<Types> for Wire {
    type SnapshotData = Bytes;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        self.peer()?.append_entries(rpc).await.map_err(broken)
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<Types>,
        _: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.peer()?.vote(rpc).await.map_err(broken)
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<Types>,
        _: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.peer()?.pre_vote(rpc).await.map_err(broken)
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        _: impl Future<Output = ReplicationClosed> + Send + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let peer = self.peer()?;
        peer.install_full_snapshot(vote, snapshot).await.map_err(|error| broken(error).into())
    }
}

/// A machine that counts what it applies.
struct Counter(Arc<AtomicU64>);

impl Replicated for Counter {
    fn apply(&mut self, _: Position, _: &Bytes) -> Result<CommandResult, String> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(CommandResult::Done)
    }

    fn skip(&mut self, _: Position) {}

    fn checkpoint(&mut self) -> Option<(Position, Bytes)> {
        None
    }

    fn install(&mut self, _: Option<Position>, _: &Bytes) -> Result<(), String> {
        Ok(())
    }
}

struct Node {
    handle: RaftHandle,
    applied: Arc<AtomicU64>,
}

async fn start(id: NodeId, wires: &Wires, data_dir: Option<PathBuf>) -> Node {
    let applied = Arc::new(AtomicU64::new(0));
    let network = WireFactory { wires: wires.clone(), from: id };
    let machine = Box::new(Counter(Arc::clone(&applied)));
    let config = RaftConfig::new("test", id, data_dir);
    let handle = RaftHandle::start_with(config, machine, network, None).await.unwrap();
    wires.0.write().unwrap().insert(id, handle.raft().clone());
    Node { handle, applied }
}

fn members(ids: &[NodeId]) -> BTreeMap<NodeId, Member> {
    ids.iter().map(|id| (*id, Member { addr: format!("n{id}:1"), name: format!("n{id}") })).collect()
}

async fn leading(handle: &RaftHandle) -> u64 {
    let mut leadership = handle.leadership();
    let term = tokio::time::timeout(DEADLINE, leadership.wait_for(Option::is_some)).await.unwrap().unwrap();
    term.unwrap()
}

async fn applied_here(handle: &RaftHandle, term: u64, command: &'static [u8]) -> u64 {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    loop {
        // A new leader has no lease before its first quorum answers.
        match handle.propose(Bytes::from_static(command), term).await.await {
            Outcome::Applied { index, .. } => return index,
            Outcome::NotAppended { .. } if tokio::time::Instant::now() < deadline => {
                tokio::task::yield_now().await
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sole_voter_leads_at_once_and_again_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let wires = Wires::default();
    let node = start(1, &wires, Some(dir.path().to_owned())).await;
    node.handle.initialize(members(&[1])).await.unwrap();
    let term = leading(&node.handle).await;
    for _ in 0..10 {
        applied_here(&node.handle, term, b"x").await;
    }
    node.handle.shutdown().await;
    wires.0.write().unwrap().clear();
    drop(node);

    let started = std::time::Instant::now();
    let again = start(1, &wires, Some(dir.path().to_owned())).await;
    assert!(leading(&again.handle).await > term, "a restarted leader needs a new term");
    assert!(
        started.elapsed() < Duration::from_millis(400),
        "no election timeout passes: {:?}",
        started.elapsed()
    );
    applied_here(&again.handle, leading(&again.handle).await, b"y").await;
    assert_eq!(again.applied.load(Ordering::SeqCst), 11);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_members_replicate_and_survive_their_leader() {
    let wires = Wires::default();
    let mut nodes = Vec::new();
    for id in 1..=3 {
        nodes.push(start(id, &wires, None).await);
    }
    nodes[0].handle.initialize(members(&[1, 2, 3])).await.unwrap();
    let term = leading(&nodes[0].handle).await;
    let index = applied_here(&nodes[0].handle, term, b"x").await;
    for node in &nodes {
        node.handle.wait_applied(index, DEADLINE).await.unwrap();
        assert_eq!(node.applied.load(Ordering::SeqCst), 1);
    }
    wires.0.write().unwrap().remove(&1);
    let (second, third) = (nodes[1].handle.clone(), nodes[2].handle.clone());
    let (leader, term) = tokio::select! {
        term = leading(&second) => (second, term),
        term = leading(&third) => (third, term),
    };
    applied_here(&leader, term, b"y").await;
    leader.read_index(DEADLINE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proposal_of_another_term_is_not_appended() {
    let node = start(1, &Wires::default(), None).await;
    node.handle.initialize(members(&[1])).await.unwrap();
    let term = leading(&node.handle).await;
    let outcome = node.handle.propose(Bytes::from_static(b"x"), term + 1).await.await;
    assert_eq!(outcome, Outcome::NotAppended { leader: Some(1) });
    assert_eq!(node.applied.load(Ordering::SeqCst), 0);
}
