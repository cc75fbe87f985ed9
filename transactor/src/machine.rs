//! The deterministic machine: what the log's entries mean. Same entries, same state, same bytes, on every member.
//!
//! What it is not: it reads no clock, opens no file, evaluates no transaction. It performs nothing either: it returns
//! the [`Action`]s that an entry calls for, and the member's replica performs them. Called by the replica only, in log
//! order. It owns scalars: a few hundred bytes a database.
//!
//! Reading order: [`Command`] what is in the log, [`State`] what is replicated, `apply` the rules, `checkpoint` which
//! of its pasts may become a snapshot.

mod apply;
mod checkpoint;
mod command;
mod result;
mod state;

pub use apply::{Action, Frame, Machine};
pub use command::{BuildStart, Command, CreateDb, OpenEpoch, PublishRoot, RetireRoots, Section, Tx};
pub use result::{CommandResult, Refusal, SectionResult};
pub use state::{Build, Database, Lineage, RootHash, RootRef, State};

/// Where an entry lies in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The term of the leader that wrote it.
    pub term: u64,
    /// Its index.
    pub index: u64,
}
