//! The Raft host: openraft behind a small interface of its own.
//!
//! What it is not: it knows no transaction and no database; commands are bytes that a [`Replicated`] machine applies.
//! It owns the member's data directory (log, snapshot, identity), its connections to the other members and its
//! runtime. It fails as a whole: a log that cannot be written or a command that cannot be applied stops the member.

mod codec;
mod grpc;
mod host;
mod identity;
mod log_store;
mod memory_log;
mod server;
mod state_machine;
mod types;
mod wire;

pub use grpc::{Channels, Connect, Purpose};
pub(crate) use host::not_leader;
pub use host::{Outcome, RaftConfig, RaftHandle, RaftStatus, Role};
pub use identity::DATA_FORMAT;
pub use server::RaftServer;
pub use state_machine::Replicated;
pub use types::{Member, NodeId};
