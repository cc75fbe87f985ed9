//! The root: the small record that names a database's trees at one t. With it and a port a reader has the database.
//!
//! ```text
//!    varint t
//! 16 lineage
//!    varint next entity counter, zigzag last instant, varint exact_from
//! 1  options: 1 schema on write, 2 keep history
//! 1  parts: 1 previous root, 2 log, 4 ids
//! 32 hash of the previous root (part 1)
//! 32 hash of the schema segment
//! 32 hash of the statistics segment
//!    tree of the log (part 2), tree of client ids (part 4)
//!    varint levels, the youngest first; for each: for EAVT, AEVT, AVET: 1 parts (1 current, 2 history), their trees
//!    tree: 32 hash, 1 height, varint rows, bounds of t, varint stored bytes of the topmost node
//! ```
//! With one level it is about 400 bytes; it never exceeds 16 KiB, which leaves room for some 30 levels.

use super::bytes::{Reader, damaged, put_varint, put_zigzag};
use super::hash::Hash;
use super::tree::TreeRef;
use crate::Result;
use crate::database::Options;
use crate::id::T;
use crate::order::Index;

/// The most bytes a root may have.
pub const MAX_ROOT_BYTES: usize = 16 << 10;

/// A decoded root.
#[derive(Clone, Debug, PartialEq)]
pub struct Root {
    /// the last t it covers
    pub t: T,
    /// the chain of digests at t
    pub lineage: [u8; 16],
    /// the counter that the next new entity gets
    pub next_counter: u64,
    /// `:db/txInstant` of t
    pub last_instant: i64,
    /// every basis from here on is exact in these trees
    pub exact_from: T,
    /// what was chosen at creation
    pub options: Options,
    /// the root before
    pub previous: Option<Hash>,
    /// the schema segment
    pub schema: Hash,
    /// the statistics segment
    pub stats: Hash,
    /// t -> transaction
    pub log: Option<TreeRef>,
    /// client id -> t
    pub ids: Option<TreeRef>,
    /// the levels, the youngest first; the last is the base
    pub levels: Vec<LevelRef>,
}

/// The trees of one level, by index in the order of [`Index::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LevelRef {
    /// live datoms
    pub current: [Option<TreeRef>; 3],
    /// closed intervals
    pub history: [Option<TreeRef>; 3],
}

impl Root {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        put_varint(&mut out, self.t.0);
        out.extend_from_slice(&self.lineage);
        put_varint(&mut out, self.next_counter);
        put_zigzag(&mut out, self.last_instant);
        put_varint(&mut out, self.exact_from.0);
        out.push(u8::from(self.options.schema_on_write) | u8::from(self.options.keep_history) << 1);
        let parts = [self.previous.is_some(), self.log.is_some(), self.ids.is_some()];
        out.push(parts.iter().enumerate().map(|(bit, &part)| u8::from(part) << bit).sum());
        if let Some(previous) = &self.previous {
            out.extend_from_slice(&previous.0);
        }
        out.extend_from_slice(&self.schema.0);
        out.extend_from_slice(&self.stats.0);
        self.log.iter().chain(&self.ids).for_each(|tree| tree.put(&mut out));
        put_varint(&mut out, self.levels.len() as u64);
        for level in &self.levels {
            for (current, history) in level.current.iter().zip(&level.history) {
                out.push(u8::from(current.is_some()) | u8::from(history.is_some()) << 1);
                current.iter().chain(history).for_each(|tree| tree.put(&mut out));
            }
        }
        out
    }

    pub(crate) fn read(payload: &[u8]) -> Result<Root> {
        if payload.len() > MAX_ROOT_BYTES {
            return Err(damaged("a root is too long"));
        }
        let mut reader = Reader::new(payload);
        let reader = &mut reader;
        let t = T(reader.varint()?);
        let lineage = reader.array()?;
        let (next_counter, last_instant) = (reader.varint()?, reader.zigzag()?);
        let exact_from = T(reader.varint()?);
        let options = flags(reader, 3)?;
        let options = Options { schema_on_write: options & 1 != 0, keep_history: options & 2 != 0 };
        let parts = flags(reader, 7)?;
        let previous = (parts & 1 != 0).then(|| reader.array().map(Hash)).transpose()?;
        let (schema, stats) = (Hash(reader.array()?), Hash(reader.array()?));
        let log = tree(reader, parts & 2 != 0)?;
        let ids = tree(reader, parts & 4 != 0)?;
        let levels = (0..reader.count(3)?).map(|_| level(reader)).collect::<Result<Vec<_>>>()?;
        if levels.is_empty() || reader.left() > 0 {
            return Err(damaged("a root has a wrong length"));
        }
        Ok(Root {
            t,
            lineage,
            next_counter,
            last_instant,
            exact_from,
            options,
            previous,
            schema,
            stats,
            log,
            ids,
            levels,
        })
    }
}

fn flags(reader: &mut Reader<'_>, known: u8) -> Result<u8> {
    match reader.u8()? {
        flags if flags <= known => Ok(flags),
        _ => Err(damaged("a root has unknown flags")),
    }
}

fn tree(reader: &mut Reader<'_>, there: bool) -> Result<Option<TreeRef>> {
    there.then(|| TreeRef::read(reader)).transpose()
}

fn level(reader: &mut Reader<'_>) -> Result<LevelRef> {
    let mut level = LevelRef::default();
    for at in 0..Index::ALL.len() {
        let parts = flags(reader, 3)?;
        level.current[at] = tree(reader, parts & 1 != 0)?;
        level.history[at] = tree(reader, parts & 2 != 0)?;
    }
    Ok(level)
}
