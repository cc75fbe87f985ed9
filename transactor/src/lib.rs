//! The transactors: the Raft group that decides transactions, and the feed that tells peers of them.
//!
//! Reading order: [`machine`] the rules of what is committed, [`raft`] how entries get there, [`engine`] what evaluates,
//! [`replica`] one member's copy, [`committed`] what it reads, [`intake`] the writer, [`feed`] what peers hear,
//! [`group`] what a member offers, [`service`] its gRPC face,
//! [`indexer`] novelty into segments, [`node`] the whole in a process, [`process`] the process by itself.

pub mod committed;
pub mod config;
pub mod engine;
pub mod engine_db;
pub mod feed;
pub mod group;
pub mod indexer;
pub mod intake;
pub mod machine;
pub mod node;
pub mod process;
pub mod raft;
pub mod replica;
pub mod service;

mod clock;
mod encoding;

#[cfg(test)]
mod testing;
