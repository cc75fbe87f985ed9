//! The peer library: database values in your process, kept current by the novelty feed.
//!
//! What it is: a subscription to the feed of any transactor, and the databases it keeps: immutable values that queries
//! read without asking anybody. What it is not: it serves nobody (that is the peer server) and decides nothing (that
//! are the transactors). Called by the peer server and by applications that embed it. It owns one task, the feed, and
//! per database one value that is swapped as transactions arrive; it keeps answering at its basis while every
//! transactor is down. [`Peer::stop`] ends the task.
//!
//! Layout: [`peer`] the handle, [`databases`] what is known and the values, [`feed`] the subscription,
//! [`roots`] where published roots are read.

pub mod databases;
pub mod feed;
pub mod peer;
pub mod roots;

pub use annals_db as db;
pub use annals_query as query;
pub use databases::{Database, Databases, Roots};
pub use peer::{Config, Peer, Selection};

/// What every call answers.
pub type Result<T, E = annals_edn::Error> = std::result::Result<T, E>;
