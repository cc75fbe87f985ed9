//! Where segments and roots are kept, and the cache before them.
//!
//! What it is: a write-once store named by a URL, `file:///dir` so far, and a [`SegmentPort`] over it that verifies,
//! decodes and caches. What it is not: it builds no index and retires no root. Called by the indexer of a transactor
//! (writing) and by every database value that stands on a root (reading), on threads that may block: reads are
//! synchronous and must not run on the workers of an async runtime. It owns files and a cache of bounded weight. It
//! fails with `SEGMENT_UNAVAILABLE`, `DATA_LOSS`, `DISK_FULL` or `STORAGE`, and holds nothing that must be closed.
//!
//! ```text
//! seg/<2 hex>/<64 hex>        a segment under its hash
//! roots/<32 hex>/<n>          root number n of an incarnation, from 1, dense: the hash of the root segment
//! format                      "annals store 1"
//! ```
//! Everything is written once: to a temporary name, made durable, then linked to its own name, so that a reader sees a
//! whole file or none.
//!
//! Layout: [`files`] the directory, [`cache`] the port, [`sink`] where jobs write, [`store`] the whole.

pub mod cache;
pub mod files;
pub mod sink;
pub mod store;

#[cfg(test)]
mod tests;

pub use annals_db::segment::{Hash, SegmentPort};
pub use sink::Sink;
pub use store::Store;

/// What every call answers.
pub type Result<T, E = annals_edn::Error> = std::result::Result<T, E>;
