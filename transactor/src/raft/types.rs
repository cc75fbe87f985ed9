//! openraft's types as this product uses them. The only file that spells its generics; the rest of the crate says
//! `Types`, `LogId`, `Vote`, `Entry`.

use std::fmt;

use bytes::Bytes;

use crate::machine::CommandResult;

/// A Raft member's number. Never given to another member, ever.
pub type NodeId = u64;

/// What the membership says of a member besides its number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// `host:port` of its one listener: Raft, clients and health alike.
    pub addr: String,
    /// A name for people: status lists and logs.
    pub name: String,
}

/// An encoded [`Command`](crate::machine::Command) as it lies in the log.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct CommandBytes(pub(crate) Bytes);

impl fmt::Debug for CommandBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "command of {} bytes", self.0.len())
    }
}

impl fmt::Display for CommandBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

openraft::declare_raft_types!(
    pub(crate) Types:
        D = CommandBytes,
        R = CommandResult,
        NodeId = NodeId,
        Node = Member,
        Term = u64,
        LeaderId = openraft::impls::leader_id_std::LeaderId<u64, u64>,
        AsyncRuntime = openraft_rt_tokio::TokioRuntime,
);

pub(crate) type Term = openraft::alias::CommittedLeaderIdOf<Types>;
pub(crate) type Vote = openraft::alias::VoteOf<Types>;
pub(crate) type LogId = openraft::alias::LogIdOf<Types>;
pub(crate) type Entry = openraft::alias::EntryOf<Types>;
pub(crate) type Payload = openraft::alias::PayloadOf<Types>;
pub(crate) type Membership = openraft::Membership<NodeId, Member>;
pub(crate) type StoredMembership = openraft::alias::StoredMembershipOf<Types>;
pub(crate) type SnapshotMeta = openraft::alias::SnapshotMetaOf<Types>;
pub(crate) type Snapshot = openraft::alias::SnapshotOf<Types, Bytes>;
pub(crate) type IoFlushed = openraft::storage::IOFlushed<Types>;
pub(crate) type Raft = openraft::Raft<Types, super::state_machine::Adapter>;

/// The log id of `index` in the term of the leader that wrote it.
pub(crate) fn log_id(term: u64, index: u64) -> LogId {
    LogId::new(Term::from(term), index)
}
