//! The directory of a tree: for each child its border, name, size and bounds, so that ranges are counted and skipped
//! without reading it.
//!
//! ```text
//! 1  flags: 1 delta tree (assertions and retractions counted apart)
//!    varint entries; for each:
//!    separator: 1 flags (1 e, 2 a, 4 v, 8 shared), varint e, varint a, value
//! 32 hash of the child
//!    varint rows below it, or with flag 1 varint assertions and varint retractions
//!    varint least t added, varint span to the greatest; varint least t ended, varint span
//!    varint stored bytes of the child
//! ```

use super::bytes::{Reader, damaged, put_varint};
use super::hash::Hash;
use super::sep::Sep;
use crate::Result;
use crate::id::T;

/// The most entries of one inner node.
pub const MAX_INNER_ENTRIES: usize = 512;

/// Bounds of the t in a subtree. Hints for skipping, never answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// least t added
    pub added_min: T,
    /// greatest t added
    pub added_max: T,
    /// least t ended (0 in current trees)
    pub ended_min: T,
    /// greatest t ended (0 in current trees)
    pub ended_max: T,
}

impl Span {
    /// Of no rows: any row widens it.
    pub const EMPTY: Span =
        Span { added_min: T(u64::MAX), added_max: T(0), ended_min: T(u64::MAX), ended_max: T(0) };

    pub(crate) fn add(&mut self, added: u64, ended: u64) {
        self.merge(&Span {
            added_min: T(added),
            added_max: T(added),
            ended_min: T(ended),
            ended_max: T(ended),
        });
    }

    pub(crate) fn merge(&mut self, other: &Span) {
        self.added_min = self.added_min.min(other.added_min);
        self.added_max = self.added_max.max(other.added_max);
        self.ended_min = self.ended_min.min(other.ended_min);
        self.ended_max = self.ended_max.max(other.ended_max);
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        for (min, max) in [(self.added_min, self.added_max), (self.ended_min, self.ended_max)] {
            put_varint(out, min.0.min(max.0));
            put_varint(out, max.0.saturating_sub(min.0));
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Span> {
        let mut pair = || -> Result<(T, T)> {
            let (min, width) = (reader.varint()?, reader.varint()?);
            Ok((T(min), T(min.saturating_add(width))))
        };
        let ((added_min, added_max), (ended_min, ended_max)) = (pair()?, pair()?);
        Ok(Span { added_min, added_max, ended_min, ended_max })
    }
}

/// One child.
#[derive(Clone, Debug)]
pub struct Entry {
    pub(crate) sep: Sep,
    /// its name
    pub hash: Hash,
    /// rows below it; in delta trees assertions
    pub count: u64,
    /// retractions below it; 0 but in delta trees
    pub retractions: u64,
    /// bounds of its t
    pub span: Span,
    /// its stored bytes
    pub stored: u64,
}

/// A node of a tree above the leaves.
#[derive(Debug)]
pub struct Inner {
    /// assertions and retractions are counted apart
    pub delta: bool,
    /// the children, in index order
    pub entries: Vec<Entry>,
}

/// A child takes at least its flags, hash and six small numbers.
const MIN_ENTRY_BYTES: usize = 39;

impl Inner {
    pub(crate) fn encode(delta: bool, entries: &[Entry]) -> Vec<u8> {
        let mut out = vec![u8::from(delta)];
        put_varint(&mut out, entries.len() as u64);
        for entry in entries {
            entry.sep.put(&mut out);
            out.extend_from_slice(&entry.hash.0);
            put_varint(&mut out, entry.count);
            if delta {
                put_varint(&mut out, entry.retractions);
            }
            entry.span.put(&mut out);
            put_varint(&mut out, entry.stored);
        }
        out
    }

    pub(crate) fn read(payload: &[u8]) -> Result<Inner> {
        let mut reader = Reader::new(payload);
        let flags = reader.u8()?;
        if flags > 1 {
            return Err(damaged("an inner node has unknown flags"));
        }
        let delta = flags == 1;
        let count = reader.count(MIN_ENTRY_BYTES)?;
        let entries = (0..count).map(|_| read_entry(&mut reader, delta)).collect::<Result<Vec<_>>>()?;
        if entries.is_empty() || reader.left() > 0 {
            return Err(damaged("an inner node has a wrong length"));
        }
        Ok(Inner { delta, entries })
    }

    /// Bytes it occupies in memory, about.
    #[must_use]
    pub fn weight(&self) -> usize {
        size_of::<Inner>() + self.entries.len() * (size_of::<Entry>() + 32)
    }
}

fn read_entry(reader: &mut Reader<'_>, delta: bool) -> Result<Entry> {
    Ok(Entry {
        sep: Sep::read(reader)?,
        hash: Hash(reader.array()?),
        count: reader.varint()?,
        retractions: if delta { reader.varint()? } else { 0 },
        span: Span::read(reader)?,
        stored: reader.varint()?,
    })
}
