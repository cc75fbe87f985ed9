//! Raft's messages between openraft's types and `annals.v1`'s.

use annals_wire::v1;
use openraft::EntryPayload;
use openraft::raft::{
    AppendEntriesRequest, SnapshotResponse, StreamAppendError, TransferLeaderRequest, VoteRequest,
    VoteResponse,
};

use super::types::{
    CommandBytes, Entry, LogId, Member, Membership, NodeId, Payload, Snapshot, SnapshotMeta,
    StoredMembership, Types, Vote, log_id,
};

/// What an append answers: the last log id that matches, or why there is none.
pub(super) type AppendResult = Result<Option<LogId>, StreamAppendError<Types>>;

/// A message lacks a field that its sender always sets.
#[derive(Debug, thiserror::Error)]
#[error("raft message without {0}")]
pub(super) struct Missing(&'static str);

pub(super) fn put_log_id(id: &LogId) -> v1::RaftLogId {
    v1::RaftLogId { term: id.committed_leader_id().term, index: id.index() }
}

pub(super) fn get_log_id(id: &v1::RaftLogId) -> LogId {
    log_id(id.term, id.index)
}

pub(super) fn put_vote(vote: &Vote) -> v1::RaftVote {
    v1::RaftVote { term: vote.leader_id.term, node_id: vote.leader_id.voted_for, committed: vote.committed }
}

pub(super) fn get_vote(vote: Option<v1::RaftVote>) -> Result<Vote, Missing> {
    let vote = vote.ok_or(Missing("a vote"))?;
    let make = if vote.committed { Vote::new_committed } else { Vote::new };
    Ok(make(vote.term, vote.node_id))
}

pub(super) fn put_append(
    request: AppendEntriesRequest<Types>,
    envelope: v1::RaftEnvelope,
) -> v1::AppendEntriesRequest {
    v1::AppendEntriesRequest {
        envelope: Some(envelope),
        vote: Some(put_vote(&request.vote)),
        prev_log_id: request.prev_log_id.as_ref().map(put_log_id),
        entries: request.entries.into_iter().map(put_entry).collect(),
        leader_commit: request.leader_commit.as_ref().map(put_log_id),
    }
}

pub(super) fn get_append(request: v1::AppendEntriesRequest) -> Result<AppendEntriesRequest<Types>, Missing> {
    Ok(AppendEntriesRequest {
        vote: get_vote(request.vote)?,
        prev_log_id: request.prev_log_id.as_ref().map(get_log_id),
        entries: request.entries.into_iter().map(get_entry).collect::<Result<_, _>>()?,
        leader_commit: request.leader_commit.as_ref().map(get_log_id),
    })
}

pub(super) fn put_append_result(result: &AppendResult) -> v1::AppendEntriesResponse {
    use v1::append_entries_response::Result as Wire;
    let result = match result {
        Ok(matching) => Wire::Success(v1::AppendSuccess { matching: matching.as_ref().map(put_log_id) }),
        Err(StreamAppendError::Conflict(id)) => Wire::Conflict(put_log_id(id)),
        Err(StreamAppendError::HigherVote(vote)) => Wire::HigherVote(put_vote(vote)),
    };
    v1::AppendEntriesResponse { result: Some(result) }
}

pub(super) fn get_append_result(response: v1::AppendEntriesResponse) -> Result<AppendResult, Missing> {
    use v1::append_entries_response::Result as Wire;
    Ok(match response.result.ok_or(Missing("a result"))? {
        Wire::Success(success) => Ok(success.matching.as_ref().map(get_log_id)),
        Wire::Conflict(id) => Err(StreamAppendError::Conflict(get_log_id(&id))),
        Wire::HigherVote(vote) => Err(StreamAppendError::HigherVote(get_vote(Some(vote))?)),
    })
}

pub(super) fn put_vote_request(
    request: &VoteRequest<Types>,
    pre_vote: bool,
    envelope: v1::RaftEnvelope,
) -> v1::VoteRequest {
    v1::VoteRequest {
        envelope: Some(envelope),
        vote: Some(put_vote(&request.vote)),
        last_log_id: request.last_log_id.as_ref().map(put_log_id),
        leadership_transfer: request.leadership_transfer,
        pre_vote,
    }
}

pub(super) fn get_vote_request(request: v1::VoteRequest) -> Result<VoteRequest<Types>, Missing> {
    Ok(VoteRequest {
        vote: get_vote(request.vote)?,
        last_log_id: request.last_log_id.as_ref().map(get_log_id),
        leadership_transfer: request.leadership_transfer,
    })
}

pub(super) fn put_vote_response(response: &VoteResponse<Types>) -> v1::VoteResponse {
    v1::VoteResponse {
        vote: Some(put_vote(&response.vote)),
        vote_granted: response.vote_granted,
        last_log_id: response.last_log_id.as_ref().map(put_log_id),
    }
}

pub(super) fn get_vote_response(response: v1::VoteResponse) -> Result<VoteResponse<Types>, Missing> {
    Ok(VoteResponse {
        vote: get_vote(response.vote)?,
        vote_granted: response.vote_granted,
        last_log_id: response.last_log_id.as_ref().map(get_log_id),
    })
}

pub(super) fn put_snapshot(
    vote: &Vote,
    snapshot: Snapshot,
    envelope: v1::RaftEnvelope,
) -> v1::InstallSnapshotRequest {
    v1::InstallSnapshotRequest {
        envelope: Some(envelope),
        vote: Some(put_vote(vote)),
        last_log_id: snapshot.meta.last_log_id.as_ref().map(put_log_id),
        last_membership: Some(put_stored_membership(&snapshot.meta.last_membership)),
        data: snapshot.snapshot,
    }
}

pub(super) fn get_snapshot(request: v1::InstallSnapshotRequest) -> Result<(Vote, Snapshot), Missing> {
    let last_membership = get_stored_membership(request.last_membership.ok_or(Missing("a membership"))?)?;
    let last_log_id = request.last_log_id.as_ref().map(get_log_id);
    let meta = SnapshotMeta { last_log_id, last_membership };
    Ok((get_vote(request.vote)?, Snapshot { meta, snapshot: request.data }))
}

pub(super) fn get_snapshot_response(
    response: v1::InstallSnapshotResponse,
) -> Result<SnapshotResponse<Types>, Missing> {
    Ok(SnapshotResponse::new(get_vote(response.vote)?))
}

pub(super) fn put_hand_over(
    request: &TransferLeaderRequest<Types>,
    envelope: v1::RaftEnvelope,
) -> v1::HandOverRequest {
    v1::HandOverRequest {
        envelope: Some(envelope),
        from_leader: Some(put_vote(request.from_leader())),
        to_node_id: *request.to_node_id(),
        last_log_id: request.last_log_id().map(put_log_id),
    }
}

pub(super) fn get_hand_over(request: v1::HandOverRequest) -> Result<TransferLeaderRequest<Types>, Missing> {
    let last_log_id = request.last_log_id.as_ref().map(get_log_id);
    Ok(TransferLeaderRequest::new(get_vote(request.from_leader)?, request.to_node_id, last_log_id))
}

fn put_entry(entry: Entry) -> v1::RaftEntry {
    use v1::raft_entry::Payload as Wire;
    let payload = match entry.payload {
        EntryPayload::Blank => Wire::Blank(v1::RaftBlank {}),
        EntryPayload::Normal(command) => Wire::Normal(command.0),
        EntryPayload::Membership(membership) => Wire::Membership(put_membership(&membership)),
    };
    v1::RaftEntry { log_id: Some(put_log_id(&entry.log_id)), payload: Some(payload) }
}

fn get_entry(entry: v1::RaftEntry) -> Result<Entry, Missing> {
    use v1::raft_entry::Payload as Wire;
    let payload: Payload = match entry.payload.ok_or(Missing("a payload"))? {
        Wire::Blank(v1::RaftBlank {}) => EntryPayload::Blank,
        Wire::Normal(command) => EntryPayload::Normal(CommandBytes(command)),
        Wire::Membership(membership) => EntryPayload::Membership(get_membership(membership)?),
    };
    Ok(Entry { log_id: get_log_id(&entry.log_id.ok_or(Missing("a log id"))?), payload })
}

fn put_stored_membership(stored: &StoredMembership) -> v1::RaftStoredMembership {
    let log_id = stored.log_id().as_ref().map(put_log_id);
    v1::RaftStoredMembership { log_id, membership: Some(put_membership(stored.membership())) }
}

fn get_stored_membership(stored: v1::RaftStoredMembership) -> Result<StoredMembership, Missing> {
    let membership = get_membership(stored.membership.ok_or(Missing("a membership"))?)?;
    Ok(StoredMembership::new(stored.log_id.as_ref().map(get_log_id), membership))
}

fn put_membership(membership: &Membership) -> v1::RaftMembership {
    let set = |ids: &std::collections::BTreeSet<NodeId>| v1::RaftNodeSet {
        node_ids: ids.iter().copied().collect(),
    };
    let node = |(id, member): (&NodeId, &Member)| v1::RaftNode {
        node_id: *id,
        addr: member.addr.clone(),
        name: member.name.clone(),
        ..v1::RaftNode::default()
    };
    v1::RaftMembership {
        configs: membership.get_joint_config().iter().map(set).collect(),
        nodes: membership.nodes().map(node).collect(),
    }
}

fn get_membership(membership: v1::RaftMembership) -> Result<Membership, Missing> {
    let configs = membership.configs.into_iter().map(|set| set.node_ids.into_iter().collect()).collect();
    let member = |node: v1::RaftNode| (node.node_id, Member { addr: node.addr, name: node.name });
    let nodes: std::collections::BTreeMap<_, _> = membership.nodes.into_iter().map(member).collect();
    Membership::new(configs, nodes).map_err(|_| Missing("a node of its membership"))
}
