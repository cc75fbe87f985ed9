//! The feed: committed transactions to whoever follows them.

mod ring;

pub use ring::{KEEP_BYTES, Read, Ring, RingFrame};
