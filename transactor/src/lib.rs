//! The transactors: the Raft group that decides transactions, and the feed that tells peers of them.

mod clock;
mod encoding;
pub mod machine;
pub mod raft;
