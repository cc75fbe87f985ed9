//! Raft's calls from other members, checked to be meant for this one.

use std::sync::Arc;

use annals_transport::Principal;
use annals_wire::v1;
use annals_wire::v1::raft_service_server::RaftService;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use tonic::{Request, Response, Status, Streaming};

use super::host::RaftHandle;
use super::types::NodeId;
use super::wire;

/// Serves `annals.v1.RaftService`. Cheap to clone.
#[derive(Clone)]
pub struct RaftServer {
    handle: RaftHandle,
}

impl RaftServer {
    /// The service over a running host.
    #[must_use]
    pub fn new(handle: RaftHandle) -> Self {
        Self { handle }
    }

    /// # Errors
    /// The message is for another cluster or member, or not from the member that its connection's certificate names.
    fn check(&self, caller: Option<&Principal>, envelope: Option<&v1::RaftEnvelope>) -> Result<(), Status> {
        let envelope =
            envelope.ok_or_else(|| Status::invalid_argument("raft message without an envelope"))?;
        let caller = caller.and_then(Principal::node_id).unwrap_or_default();
        if !names(caller, envelope.from_node_id) {
            let message =
                format!("a certificate of node {caller} cannot speak for node {}", envelope.from_node_id);
            return Err(Status::permission_denied(message));
        }
        if envelope.cluster_id != self.handle.cluster_id() {
            let message =
                format!("this is cluster {}, not {}", self.handle.cluster_id(), envelope.cluster_id);
            return Err(Status::failed_precondition(message));
        }
        if envelope.to_node_id != self.handle.node_id() {
            let message = format!("this is node {}, not {}", self.handle.node_id(), envelope.to_node_id);
            return Err(Status::failed_precondition(message));
        }
        Ok(())
    }
}

#[tonic::async_trait]
impl RaftService for RaftServer {
    type AppendEntriesStream = BoxStream<'static, Result<v1::AppendEntriesResponse, Status>>;

    async fn append_entries(
        &self,
        request: Request<Streaming<v1::AppendEntriesRequest>>,
    ) -> Result<Response<Self::AppendEntriesStream>, Status> {
        let (this, caller) = (self.clone(), caller(&request));
        // The first message that is damaged or not for this member ends the stream of requests, and with it the answers.
        let requests = request.into_inner().map(move |message| {
            let message = message?;
            this.check(caller.as_deref(), message.envelope.as_ref())?;
            wire::get_append(message).map_err(invalid)
        });
        let requests = requests.take_while(|request| {
            if let Err(status) = request {
                tracing::warn!(%status, "raft append stream refused");
            }
            std::future::ready(request.is_ok())
        });
        let requests = requests.filter_map(|request| std::future::ready(request.ok()));
        let answers = self.handle.raft().stream_append(requests).map(|answer| match answer {
            Ok(result) => Ok(wire::put_append_result(&result)),
            Err(fatal) => Err(Status::unavailable(fatal.to_string())),
        });
        Ok(Response::new(answers.boxed()))
    }

    async fn vote(&self, request: Request<v1::VoteRequest>) -> Result<Response<v1::VoteResponse>, Status> {
        let caller = caller(&request);
        let request = request.into_inner();
        self.check(caller.as_deref(), request.envelope.as_ref())?;
        let pre_vote = request.pre_vote;
        let request = wire::get_vote_request(request).map_err(invalid)?;
        let raft = self.handle.raft();
        let answer = if pre_vote { raft.pre_vote(request).await } else { raft.vote(request).await };
        answer.map(|answer| Response::new(wire::put_vote_response(&answer))).map_err(stopped)
    }

    async fn install_snapshot(
        &self,
        request: Request<v1::InstallSnapshotRequest>,
    ) -> Result<Response<v1::InstallSnapshotResponse>, Status> {
        let caller = caller(&request);
        let request = request.into_inner();
        self.check(caller.as_deref(), request.envelope.as_ref())?;
        let (vote, snapshot) = wire::get_snapshot(request).map_err(invalid)?;
        let answer = self.handle.raft().install_full_snapshot(vote, snapshot).await.map_err(stopped)?;
        Ok(Response::new(v1::InstallSnapshotResponse { vote: Some(wire::put_vote(&answer.vote)) }))
    }

    async fn hand_over(
        &self,
        request: Request<v1::HandOverRequest>,
    ) -> Result<Response<v1::HandOverResponse>, Status> {
        let caller = caller(&request);
        let request = request.into_inner();
        self.check(caller.as_deref(), request.envelope.as_ref())?;
        let request = wire::get_hand_over(request).map_err(invalid)?;
        let answer = self.handle.raft().handle_transfer_leader(request).await.map_err(stopped)?;
        answer.map_err(|refused| Status::failed_precondition(refused.to_string()))?;
        Ok(Response::new(v1::HandOverResponse {}))
    }

    async fn read_index(
        &self,
        request: Request<v1::ReadIndexRequest>,
    ) -> Result<Response<v1::ReadIndexResponse>, Status> {
        let caller = caller(&request);
        self.check(caller.as_deref(), request.into_inner().envelope.as_ref())?;
        let position = self
            .handle
            .read_index_as_leader()
            .await
            .map_err(|error| annals_wire::error::to_status(&error))?;
        let read_log_id = v1::RaftLogId { term: position.term, index: position.index };
        Ok(Response::new(v1::ReadIndexResponse { term: position.term, read_log_id: Some(read_log_id) }))
    }
}

/// Certificates name a transactor by its number, alone or behind what it is: `1`, `node-1`, `transactor-1`.
fn names(certified: &str, id: NodeId) -> bool {
    let number = ["node-", "transactor-"].iter().find_map(|prefix| certified.strip_prefix(prefix));
    number.unwrap_or(certified) == id.to_string()
}

fn caller<T>(request: &Request<T>) -> Option<Arc<Principal>> {
    request.extensions().get::<Arc<Principal>>().cloned()
}

fn invalid(missing: wire::Missing) -> Status {
    Status::invalid_argument(missing.to_string())
}

fn stopped(error: impl std::fmt::Display) -> Status {
    Status::unavailable(error.to_string())
}
