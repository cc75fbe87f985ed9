//! Raft between processes: one lazily opened channel a peer and purpose, every call with a deadline.
//!
//! The append stream waits for its first request before it opens the call: openraft sleeps its back-off inside that
//! stream, and a call that fails before reading it would be repeated at once, thousands of times a second.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use annals_edn::{Code, Error};
use annals_wire::v1;
use annals_wire::v1::raft_service_client::RaftServiceClient;
use futures_util::stream::{self, BoxStream, Stream, StreamExt};
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use tonic::transport::Channel;

use super::types::{Member, NodeId, Snapshot, Types, Vote};
use super::wire;
use crate::machine::Position;

/// Opens the channel to a member; lazily, so that it never waits and never fails for an absent peer.
pub type Connect = Arc<dyn Fn(NodeId, &Member) -> Channel + Send + Sync>;

/// Both sides accept messages up to this size; an entry is far smaller.
pub(crate) const MAX_MESSAGE_BYTES: usize = 64 << 20;
/// How long a call may take to open, and an outstanding append may stay unanswered.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(30);

/// What a channel is for. Each purpose has a connection of its own, so that a heartbeat never waits behind a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Entries, votes.
    Append,
    /// Heartbeats.
    Heartbeat,
    /// Snapshots.
    Snapshot,
    /// Calls passed on to the leader, questions to other members.
    Forward,
}

/// The open channels of this process to other members. Clones share them.
#[derive(Clone)]
pub struct Channels {
    connect: Connect,
    open: Arc<Mutex<HashMap<Target, Channel>>>,
}

/// Whom, where, what for.
type Target = (NodeId, String, Purpose);

impl Channels {
    /// None open yet; `connect` opens them.
    #[must_use]
    pub fn new(connect: Connect) -> Self {
        Self { connect, open: Arc::default() }
    }

    /// The channel to a member for one purpose.
    #[must_use]
    pub fn get(&self, id: NodeId, member: &Member, purpose: Purpose) -> Channel {
        let mut open = self.open.lock().expect("no holder of the channels panics");
        let key = (id, member.addr.clone(), purpose);
        open.entry(key).or_insert_with(|| (self.connect)(id, member)).clone()
    }
}

/// Makes the links of one member to the others.
pub(crate) struct GrpcNetwork {
    pub(crate) cluster_id: String,
    pub(crate) node_id: NodeId,
    pub(crate) channels: Channels,
}

impl GrpcNetwork {
    fn link(&self, target: NodeId, member: &Member, purpose: Purpose) -> GrpcLink {
        let client = RaftServiceClient::new(self.channels.get(target, member, purpose))
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        GrpcLink { client, cluster_id: self.cluster_id.clone(), from: self.node_id, to: target }
    }
}

impl RaftNetworkFactory<Types> for GrpcNetwork {
    type Network = GrpcLink;

    async fn new_client(&mut self, target: NodeId, member: &Member) -> GrpcLink {
        self.link(target, member, Purpose::Append)
    }

    async fn new_heartbeat_client(&mut self, target: NodeId, member: &Member) -> GrpcLink {
        self.link(target, member, Purpose::Heartbeat)
    }

    async fn new_snapshot_client(&mut self, target: NodeId, member: &Member) -> GrpcLink {
        self.link(target, member, Purpose::Snapshot)
    }
}

/// One member's way to another, for one purpose.
pub(crate) struct GrpcLink {
    client: RaftServiceClient<Channel>,
    cluster_id: String,
    from: NodeId,
    to: NodeId,
}

type RpcResult<T> = Result<T, RPCError<Types>>;

impl GrpcLink {
    fn envelope(&self) -> v1::RaftEnvelope {
        envelope(&self.cluster_id, self.from, self.to)
    }
}

fn envelope(cluster_id: &str, from: NodeId, to: NodeId) -> v1::RaftEnvelope {
    let wall_ms = crate::clock::now_ms();
    v1::RaftEnvelope { cluster_id: cluster_id.to_owned(), from_node_id: from, to_node_id: to, wall_ms }
}

impl RaftNetworkV2<Types> for GrpcLink {
    type SnapshotData = bytes::Bytes;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> RpcResult<AppendEntriesResponse<Types>> {
        let mut answers = self.stream_append(stream::iter([rpc]), option).await?;
        let answer = answers.next().await.ok_or_else(|| network_error("the peer ended the stream"))?;
        answer.map(AppendEntriesResponse::from)
    }

    fn stream_append<'s, S>(
        &'s mut self,
        mut input: S,
        _option: RPCOption,
    ) -> futures_util::future::BoxFuture<'s, RpcResult<BoxStream<'s, RpcResult<StreamAppendResult<Types>>>>>
    where
        S: Stream<Item = AppendEntriesRequest<Types>> + Send + Unpin + 'static,
    {
        Box::pin(async move {
            let Some(first) = input.next().await else { return Ok(stream::empty().boxed()) };
            let sent = Arc::new(AtomicU64::new(0));
            let outgoing = {
                let (sent, envelope) = (Arc::clone(&sent), self.envelope());
                stream::iter([first]).chain(input).map(move |request| {
                    sent.fetch_add(1, Ordering::Relaxed);
                    wire::put_append(request, envelope.clone())
                })
            };
            let answers = within(ANSWER_TIMEOUT, self.client.append_entries(outgoing)).await?.into_inner();
            Ok(watched(answers, sent).boxed())
        })
    }

    async fn vote(&mut self, rpc: VoteRequest<Types>, option: RPCOption) -> RpcResult<VoteResponse<Types>> {
        let request = wire::put_vote_request(&rpc, false, self.envelope());
        let answer = within(option.hard_ttl(), self.client.vote(request)).await?;
        wire::get_vote_response(answer.into_inner()).map_err(network_error)
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<Types>,
        option: RPCOption,
    ) -> RpcResult<VoteResponse<Types>> {
        let request = wire::put_vote_request(&rpc, true, self.envelope());
        let answer = within(option.hard_ttl(), self.client.vote(request)).await?;
        wire::get_vote_response(answer.into_inner()).map_err(network_error)
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let request = wire::put_snapshot(&vote, snapshot, self.envelope());
        let call = within(SNAPSHOT_TIMEOUT, self.client.install_snapshot(request));
        tokio::select! {
            closed = cancel => Err(closed.into()),
            answer = call => {
                let answer = answer?.into_inner();
                wire::get_snapshot_response(answer).map_err(|error| NetworkError::new(&error).into())
            }
        }
    }

    async fn transfer_leader(
        &mut self,
        rpc: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> RpcResult<TransferLeaderResponse<Types>> {
        let request = wire::put_hand_over(&rpc, self.envelope());
        within(option.hard_ttl(), self.client.hand_over(request)).await?;
        Ok(Ok(()))
    }
}

/// The answers of an append stream. While requests are outstanding, silence ends it with an error; an idle stream may
/// stay silent for ever.
fn watched(
    answers: tonic::Streaming<v1::AppendEntriesResponse>,
    sent: Arc<AtomicU64>,
) -> impl Stream<Item = RpcResult<StreamAppendResult<Types>>> {
    stream::unfold(Some((answers, 0_u64)), move |state| {
        let sent = Arc::clone(&sent);
        async move {
            let (mut answers, received) = state?;
            let item = next_answer(&mut answers, received, &sent).await?;
            let goes_on = matches!(item, Ok(Ok(_)));
            Some((item, goes_on.then_some((answers, received + 1))))
        }
    })
}

async fn next_answer(
    answers: &mut tonic::Streaming<v1::AppendEntriesResponse>,
    received: u64,
    sent: &AtomicU64,
) -> Option<RpcResult<StreamAppendResult<Types>>> {
    // A request may be sent just before a tick, so only one that was outstanding a whole tick ago counts as silence.
    let mut outstanding = false;
    loop {
        match tokio::time::timeout(ANSWER_TIMEOUT, answers.message()).await {
            Ok(Ok(Some(message))) => return Some(wire::get_append_result(message).map_err(network_error)),
            Ok(Ok(None)) => return None,
            Ok(Err(status)) => return Some(Err(rpc_error(&status))),
            Err(_) if outstanding => return Some(Err(network_error("the peer stopped answering"))),
            Err(_) => outstanding = sent.load(Ordering::Relaxed) > received,
        }
    }
}

async fn within<T>(limit: Duration, call: impl Future<Output = Result<T, tonic::Status>>) -> RpcResult<T> {
    match tokio::time::timeout(limit, call).await {
        Ok(answer) => answer.map_err(|status| rpc_error(&status)),
        Err(_) => Err(network_error(format!("no answer within {} ms", limit.as_millis()))),
    }
}

/// A peer that is not there is worth a pause before the next attempt; any other failure is not.
fn rpc_error(status: &tonic::Status) -> RPCError<Types> {
    match status.code() {
        tonic::Code::Unavailable => RPCError::Unreachable(Unreachable::from_string(status)),
        _ => network_error(status),
    }
}

fn network_error(what: impl ToString) -> RPCError<Types> {
    RPCError::Network(NetworkError::from_string(what))
}

/// Asks the leader for its read index.
pub(super) async fn ask_read_index(
    channel: Channel,
    cluster_id: &str,
    from: NodeId,
    to: NodeId,
    timeout: Duration,
) -> Result<Position, Error> {
    let mut client = RaftServiceClient::new(channel);
    let request = v1::ReadIndexRequest { envelope: Some(envelope(cluster_id, from, to)) };
    let answer = tokio::time::timeout(timeout, client.read_index(request)).await;
    let answer =
        answer.map_err(|_| Error::new(Code::Unreachable, format!("node {to} did not answer in time")))?;
    let answer = answer.map_err(|status| annals_wire::error::from_status(&status))?.into_inner();
    let id = answer.read_log_id.unwrap_or_default();
    Ok(Position { term: id.term, index: id.index })
}
