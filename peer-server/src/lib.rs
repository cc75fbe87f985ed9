//! The peer server: lends a peer's database values to thin clients over gRPC.
//!
//! What it is: queries, pulls, datoms and the log as resumable streams; transactions passed on to the writer; health.
//! What it is not: it owns no database, cannot create or delete one, and keeps nothing that a client needs elsewhere: a
//! resume token holds all it takes to go on with another server. Called by clients. It owns the listener, a peer, and
//! a bounded number of worker threads, one a running result. Every answer has a deadline; a client that stops reading
//! stops its worker, and is cut off after a while. [`PeerServer::stop`] drains, then ends.
//!
//! Layout: [`config`] the file, [`server`] start and stop, [`services`] one module a gRPC service, [`request`] what a
//! request means, [`stream`] from a producer to a client, [`cursor`] tokens and producers, [`forward`] to the writer,
//! `clock` what the engine is lent.

mod clock;
pub mod config;
pub mod cursor;
pub mod forward;
pub mod plans;
pub mod request;
pub mod server;
pub mod services;
mod speculate;
pub mod stream;

pub use config::Config;
pub use server::{PeerServer, run};

/// What every call inside answers.
pub type Result<T, E = annals_edn::Error> = std::result::Result<T, E>;
