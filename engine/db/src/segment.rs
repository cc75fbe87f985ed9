//! Segments: the immutable, content-addressed blocks that trees, log and roots are made of, and the port they come
//! through.
//!
//! What it is: the formats (docs/format.md draws them), their decoded-light resident forms, and trees over them. What it
//! is not: it stores and caches nothing, and it does not decide when to index ([`crate::build`] does the merging).
//! Called by scans of a database value and by index jobs. Everything read is checked: bytes against their hash, fields
//! against the bytes there are; damage is `DATA_LOSS`, never a panic.
//!
//! Reading order: [`envelope`] what every segment starts with, [`leaf`] datoms as columns (over `packed`, `texts`,
//! `stream`), [`inner`] directories, [`tree`] a tree opened for reading, [`port`] where segments come from.

pub mod base;
pub(crate) mod bytes;
pub mod envelope;
pub mod hash;
pub mod inner;
pub mod leaf;
pub(crate) mod leaf_writer;
pub mod log_leaf;
pub mod log_tree;
pub(crate) mod packed;
pub mod port;
pub mod root;
pub mod schema_segment;
pub mod sep;
pub(crate) mod sketch;
pub mod stats;
pub(crate) mod stream;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod texts;
pub mod tree;

use std::sync::Arc;

pub use base::{Base, Level};
pub use envelope::{Build, FORMAT_VERSION, Kind};
pub use hash::Hash;
pub use inner::{Entry, Inner, Span};
pub use leaf::{Leaf, MAX_LEAF_ROWS};
pub use log_leaf::LogLeaf;
pub use log_tree::LogTree;
pub(crate) use port::CountingPort;
pub use port::{MemoryPort, Reads, SegmentPort};
pub use root::{LevelRef, Root};
pub use schema_segment::SchemaSegment;
pub use sep::Edge;
pub use stats::{AttrStats, Stats};
pub use tree::{Leaves, Tree, TreeRef};

use crate::Result;

/// A segment as it lies in memory.
#[derive(Debug)]
pub enum Segment {
    /// datoms of one index
    Leaf(Arc<Leaf>),
    /// directory of a tree
    Inner(Inner),
    /// transactions
    LogLeaf(Arc<LogLeaf>),
    /// attributes and idents
    Schema(SchemaSegment),
    /// statistics per attribute
    Stats(Arc<Stats>),
    /// names everything else
    Root(Build, Root),
}

impl Segment {
    /// Verifies that `stored` are the bytes called `hash` and decodes them.
    ///
    /// # Errors
    /// `DATA_LOSS` when they are not or do not follow the format, `FORMAT_UNSUPPORTED` for another format version.
    pub fn decode(hash: &Hash, stored: &[u8]) -> Result<Segment> {
        let opened = envelope::open(hash, stored)?;
        let segment = match opened.kind {
            Kind::Leaf => Leaf::read(opened.payload).map(|leaf| Segment::Leaf(Arc::new(leaf))),
            Kind::Inner => Inner::read(&opened.payload).map(Segment::Inner),
            Kind::LogLeaf => LogLeaf::read(opened.payload).map(|leaf| Segment::LogLeaf(Arc::new(leaf))),
            Kind::Schema => SchemaSegment::read(&opened.payload).map(Segment::Schema),
            Kind::Stats => Stats::read(&opened.payload).map(|stats| Segment::Stats(Arc::new(stats))),
            Kind::Root => Root::read(&opened.payload).map(|root| Segment::Root(opened.build, root)),
        };
        segment.map_err(|error| error.with("segment", hash))
    }

    /// Bytes it occupies in memory, about: what a cache should weigh it by.
    #[must_use]
    pub fn weight(&self) -> usize {
        match self {
            Segment::Leaf(leaf) => leaf.weight(),
            Segment::Inner(inner) => inner.weight(),
            Segment::LogLeaf(leaf) => leaf.weight(),
            Segment::Schema(schema) => schema.weight(),
            Segment::Stats(stats) => stats.weight(),
            Segment::Root(_, root) => size_of::<Root>() + root.levels.len() * size_of::<LevelRef>(),
        }
    }

    pub(crate) fn as_inner(&self) -> Result<&Inner> {
        match self {
            Segment::Inner(inner) => Ok(inner),
            _ => Err(bytes::damaged("a tree names another kind of segment")),
        }
    }
}
