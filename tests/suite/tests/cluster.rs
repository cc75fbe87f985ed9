//! The spine in real processes: `annals dev` and its parts, killed, locked out, cut off and misused.
//!
//! Every test starts its own servers on free ports under the temporary directory and kills what it started.

#[path = "cluster/bad_input.rs"]
mod bad_input;
#[path = "cluster/conformance.rs"]
mod conformance;
#[path = "cluster/durability.rs"]
mod durability;
#[path = "cluster/explaining.rs"]
mod explaining;
#[path = "cluster/failover.rs"]
mod failover;
#[path = "cluster/guides.rs"]
mod guides;
#[path = "cluster/imports.rs"]
mod imports;
#[path = "cluster/limits.rs"]
mod limits;
#[path = "cluster/load.rs"]
mod load;
#[path = "cluster/server.rs"]
mod server;
#[path = "cluster/speculation.rs"]
mod speculation;
#[path = "cluster/streams.rs"]
mod streams;
#[path = "cluster/walks.rs"]
mod walks;
#[path = "cluster/wire.rs"]
mod wire;
#[path = "cluster/writing.rs"]
mod writing;
