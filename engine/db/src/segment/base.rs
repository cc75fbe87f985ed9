//! A root opened for reading: everything below it but leaves is in memory.

use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::bytes::damaged;
use super::envelope::Build;
use super::log_tree::LogTree;
use super::port::SegmentPort;
use super::root::{LevelRef, Root};
use super::stats::Stats;
use super::tree::Tree;
use super::{Hash, Segment};
use crate::Result;
use crate::database::Incarnation;
use crate::id::{AttrId, T};
use crate::log::TxBody;
use crate::order::Index;
use crate::range::Range;
use crate::schema::Schema;
use crate::value::Value;

/// The attribute under which the tree of client ids files them; no attribute of the schema has it.
pub const CLIENT_ID: AttrId = AttrId(0);

/// A database as one root has it. Clones share everything.
#[derive(Clone)]
pub struct Base {
    /// the name of the root segment
    pub hash: Hash,
    /// which build wrote it; names the incarnation
    pub build: Build,
    /// the record
    pub root: Arc<Root>,
    /// the schema at the root's t
    pub schema: Arc<Schema>,
    /// the attributes of which AVET holds every row
    pub avet: Arc<FxHashSet<AttrId>>,
    /// statistics per attribute
    pub stats: Arc<Stats>,
    /// the levels, the youngest first; the last is the base
    pub levels: Arc<[Level]>,
    /// t -> transaction
    pub log: LogTree,
    ids: Tree,
    port: Arc<dyn SegmentPort>,
}

/// The trees of one level, by index in the order of [`Index::ALL`].
#[derive(Clone)]
pub struct Level {
    current: [Tree; 3],
    history: [Tree; 3],
}

impl Level {
    fn open(level: &LevelRef, port: &Arc<dyn SegmentPort>) -> Result<Level> {
        let open = |at: usize, trees: &[Option<_>; 3]| Tree::open(Index::ALL[at], trees[at].as_ref(), port);
        let all = |trees: &[Option<_>; 3]| Ok([open(0, trees)?, open(1, trees)?, open(2, trees)?]);
        Ok(Level { current: all(&level.current)?, history: all(&level.history)? })
    }

    /// The live datoms.
    #[must_use]
    pub fn current(&self, index: Index) -> &Tree {
        &self.current[index as usize]
    }

    /// The closed intervals.
    #[must_use]
    pub fn history(&self, index: Index) -> &Tree {
        &self.history[index as usize]
    }
}

impl Base {
    /// Opens the database at a root, with nothing but its name and a port. Reads the root, the schema, the statistics and
    /// every inner node.
    ///
    /// # Errors
    /// `SEGMENT_UNAVAILABLE`, `DATA_LOSS`, `FORMAT_UNSUPPORTED` from the port.
    pub fn open(hash: Hash, port: Arc<dyn SegmentPort>) -> Result<Base> {
        let segment = one(&*port, &hash)?;
        let Segment::Root(build, root) = &*segment else { return Err(wrong(&hash)) };
        let [schema, stats] = [one(&*port, &root.schema)?, one(&*port, &root.stats)?];
        let Segment::Schema(schema) = &*schema else { return Err(wrong(&root.schema)) };
        let Segment::Stats(stats) = &*stats else { return Err(wrong(&root.stats)) };
        let levels = root.levels.iter().map(|level| Level::open(level, &port)).collect::<Result<_>>()?;
        Ok(Base {
            hash,
            build: *build,
            root: Arc::new(root.clone()),
            schema: schema.schema.clone(),
            avet: schema.avet.clone(),
            stats: stats.clone(),
            levels,
            log: LogTree::open(root.log.as_ref(), &port)?,
            ids: Tree::open(Index::Avet, root.ids.as_ref(), &port)?,
            port,
        })
    }

    /// The incarnation.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.build.incarnation
    }

    /// The last t it covers.
    #[must_use]
    pub fn t(&self) -> T {
        self.root.t
    }

    /// The oldest level.
    #[must_use]
    pub fn base_level(&self) -> &Level {
        self.levels.last().expect("a root without levels does not decode")
    }

    /// The tree of client ids.
    pub(crate) fn ids(&self) -> &Tree {
        &self.ids
    }

    /// Where its segments come from.
    #[must_use]
    pub fn port(&self) -> &Arc<dyn SegmentPort> {
        &self.port
    }

    /// The t of the transaction that a client gave this id. O(log n), at most one leaf.
    ///
    /// # Errors
    /// `SEGMENT_UNAVAILABLE`, `DATA_LOSS` from the port.
    pub fn t_of_client_id(&self, id: u128) -> Result<Option<T>> {
        let range = Range::attr_value(CLIENT_ID, Value::Uuid(id));
        let Some(found) = self.ids.leaves(&range).next() else { return Ok(None) };
        let (leaf, rows) = found?;
        Ok(Some(leaf.t(rows.start)))
    }

    /// The transaction that a client gave this id.
    ///
    /// # Errors
    /// `SEGMENT_UNAVAILABLE`, `DATA_LOSS` from the port.
    pub fn transaction_by_client_id(&self, id: u128) -> Result<Option<TxBody>> {
        let Some(t) = self.t_of_client_id(id)? else { return Ok(None) };
        let Some((leaf, row)) = self.log.row(t)? else {
            return Err(damaged("a client id names no transaction"));
        };
        leaf.body(row).map(Some)
    }

    /// The name of every segment below the root, itself included: what a copy, a check or a collection walks. Each once,
    /// in no order.
    ///
    /// # Errors
    /// `SEGMENT_UNAVAILABLE`, `DATA_LOSS` from the port.
    pub fn reachable(&self) -> Result<Vec<Hash>> {
        let mut found = vec![self.hash, self.root.schema, self.root.stats];
        let levels = self.root.levels.iter();
        let trees = levels.flat_map(|level| level.current.iter().chain(&level.history).flatten());
        for tree in trees.chain(&self.root.log).chain(&self.root.ids) {
            for level in super::tree::read_levels(&*self.port, tree)? {
                found.extend(level.entries.iter().map(|entry| entry.hash));
            }
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }
}

fn one(port: &dyn SegmentPort, hash: &Hash) -> Result<Arc<Segment>> {
    port.get(&[*hash])?.pop().ok_or_else(|| damaged("the port answered nothing"))
}

fn wrong(hash: &Hash) -> annals_edn::Error {
    damaged("a root names another kind of segment").with("segment", hash)
}
