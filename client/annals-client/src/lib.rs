//! The thin client: queries, transactions and the catalog over gRPC, with no engine inside.
//!
//! What it is: connections to peer servers and transactors by a [`Profile`], results that carry on elsewhere when
//! their peer dies, transactions that are sent again under the same id until their outcome is known. What it is not:
//! it caches nothing and evaluates nothing. Called by the `annals` command and by applications. It owns one HTTP/2
//! connection an endpoint, opened on first use. Every call has a deadline; dropping a [`Results`] cancels its query.
//!
//! Layout: [`profile`] where to connect and as whom, [`pool`] connections with failover, [`client`] and [`entities`] the calls,
//! [`results`] result streams, [`answer`] rows in the shape of the find spec, [`mod@transact`] transactions one by one,
//! [`stream`] transactions in order, many under way, [`with`] speculation, [`mod@explain`] plans.

pub mod answer;
pub mod client;
pub mod entities;
pub mod explain;
pub mod pool;
pub mod profile;
pub mod results;
pub mod stream;
pub mod transact;
pub mod with;

pub use annals_edn::{Code, Edn, Error, Kind};
pub use client::{Client, DEFAULT_TIMEOUT, Read};
pub use entities::Walk;
pub use explain::Explanation;
pub use profile::Profile;
pub use results::{Results, Row};
pub use stream::{Outcome, StreamOptions, TransactStream};
pub use transact::{Report, TxId};
pub use with::With;

/// What every call answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;
