//! The feed: committed transactions to whoever follows them, gapless and in order.
//!
//! What it is not: it decides nothing and keeps no account that matters; only applied transactions are in it, so every
//! member's feed is a prefix of the same history and any member may serve it.

mod ring;
pub(crate) mod subscribe;
mod subscribers;

pub use ring::{KEEP_BYTES, Read, Ring, RingFrame};
pub use subscribers::Subscribers;
