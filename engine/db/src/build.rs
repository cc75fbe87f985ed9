//! An index job: the novelty of a value merged into the trees below a new root.
//!
//! What it is: a pure function from a committed value to segments and a root; only the leaves that novelty touches are
//! written anew, every other one is named again. What it is not: it decides neither when to run nor who publishes the
//! root. Called by the indexer of a transactor, on a thread that may block. It owns nothing; it fails when a segment
//! cannot be read or written, and what was written until then is garbage that no root names.
//!
//! The same value, previous root and [`Build`] give the same bytes on any node. One level is written: the base.
//! O(novelty log novelty + rows of the leaves touched + leaves).
//!
//! Layout: [`changes`] what became of each fact, [`merge`] a tree with changes, [`writer`] leaves,
//! [`directory`] what stands above them, [`log`] the transactions.

mod changes;
mod directory;
mod log;
mod merge;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod writer;

use std::sync::Arc;

use annals_edn::{Code, Error};
use rustc_hash::FxHashSet;

use crate::bootstrap;
use crate::database::Db;
use crate::id::{AttrId, T};
use crate::lineage::Lineage;
use crate::log::TxBody;
use crate::order::Index;
use crate::range::{Batch, Columns, Range};
use crate::segment::{Base, Build, Hash, Kind, LevelRef, Root, SchemaSegment, SegmentPort, Stats, TreeRef};
use crate::value::Value;
use crate::{Result, Schema};
use changes::{Change, Changes};
use merge::Old;
use writer::{Limits, Writer};

/// Where a job's segments go.
pub trait SegmentSink {
    /// Takes the stored bytes of a segment under their name.
    ///
    /// # Errors
    /// Of the store.
    fn put(&mut self, hash: Hash, stored: &[u8]) -> Result<()>;

    /// Makes everything put so far durable. A job calls it before it puts the root and once more after that.
    ///
    /// # Errors
    /// Of the store.
    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Writes the index of `db`, an unviewed value whose line is committed up to its basis, where the chain is `lineage`.
/// Answers with the name of the root, which is the last segment put; all are durable then.
///
/// # Errors
/// `INVALID_VIEW` for a viewed value, `UNSUPPORTED` on a root of several levels (which this version only reads), those of reading segments, those of `sink`.
pub fn build(db: &Db, build: Build, lineage: Lineage, sink: &mut dyn SegmentSink) -> Result<Hash> {
    build_within(Limits::FORMAT, db, build, lineage, sink)
}

/// The same with nodes of another size.
pub(crate) fn build_within(
    limits: Limits,
    db: &Db,
    build: Build,
    lineage: Lineage,
    sink: &mut dyn SegmentSink,
) -> Result<Hash> {
    if db.view() != crate::View::default() || db.is_filtered() {
        return Err(Error::new(Code::InvalidView, "only a whole value can be indexed"));
    }
    let base = db.base();
    if base.is_some_and(|base| base.levels.len() > 1) {
        return Err(Error::new(Code::Unsupported, "this version merges into roots of one level only"));
    }
    let bodies = db.log(T(db.base_t().0 + 1), T(db.basis().0 + 1), usize::MAX)?;
    let mut job = Job { db, base, writer: Writer::new(build, limits, sink) };
    let changes = Changes::of(db, base, &bodies)?;
    let avet = Arc::new(kept_in_avet(db.schema()));
    let level = job.level(&changes, &avet)?;
    let root = job.root(lineage, &changes, level, &avet, &bodies)?;
    job.writer.flush()?;
    let root = job.writer.seal(Kind::Root, &root.encode())?.hash;
    job.writer.flush()?;
    Ok(root)
}

/// The attributes of which AVET will hold every row. Client ids have a tree of their own.
fn kept_in_avet(schema: &Schema) -> FxHashSet<AttrId> {
    let kept = schema.attributes().filter(|attribute| attribute.kept_in_avet());
    kept.map(|attribute| attribute.id).filter(|&a| a != bootstrap::attr::TX_ID).collect()
}

struct Job<'a> {
    db: &'a Db,
    base: Option<&'a Base>,
    writer: Writer<'a>,
}

impl Job<'_> {
    fn level(&mut self, changes: &Changes, avet: &FxHashSet<AttrId>) -> Result<LevelRef> {
        let mut level = LevelRef::default();
        for index in Index::ALL {
            let (mut current, mut history) = (changes.current.clone(), changes.ended.clone());
            let dropped = if index == Index::Avet {
                self.settle_avet(avet, &mut current, &mut history)?
            } else {
                FxHashSet::default()
            };
            let at = index as usize;
            let old = self.base.map(|base| (base.base_level(), base.root.levels.last()));
            let trees =
                old.map(|(level, named)| (level.current(index), named.and_then(|x| x.current[at].as_ref())));
            level.current[at] = self.tree(index, false, trees, current, &dropped)?;
            let trees =
                old.map(|(level, named)| (level.history(index), named.and_then(|x| x.history[at].as_ref())));
            level.history[at] = self.tree(index, true, trees, history, &dropped)?;
        }
        Ok(level)
    }

    fn tree(
        &mut self,
        index: Index,
        history: bool,
        old: Option<Old<'_>>,
        mut changes: Vec<Change>,
        dropped: &FxHashSet<AttrId>,
    ) -> Result<Option<TreeRef>> {
        changes.sort_by(|x, y| x.cmp(y, index));
        merge::merge(&mut self.writer, index, history, old, &changes, dropped)
    }

    /// Fits changes to AVET: attributes it no longer holds are dropped, those it did not hold before come in whole.
    fn settle_avet(
        &self,
        avet: &FxHashSet<AttrId>,
        current: &mut Vec<Change>,
        history: &mut Vec<Change>,
    ) -> Result<FxHashSet<AttrId>> {
        let empty = FxHashSet::default();
        let before = self.base.map_or(&empty, |base| &*base.avet);
        let continued =
            |change: &Change| avet.contains(&change.a) && (before.contains(&change.a) || self.base.is_none());
        current.retain(continued);
        // What novelty ended of an attribute that enters is known already; only older intervals are missing.
        history.retain(|change| avet.contains(&change.a));
        if let Some(base) = self.base {
            let mut entered: Vec<AttrId> = avet.difference(before).copied().collect();
            entered.sort_unstable();
            for a in entered {
                self.whole(base, a, current, history)?;
            }
        }
        Ok(before.difference(avet).copied().collect())
    }

    /// The rows of an attribute that enters: its live facts, and the intervals closed up to the previous root.
    fn whole(
        &self,
        base: &Base,
        a: AttrId,
        current: &mut Vec<Change>,
        history: &mut Vec<Change>,
    ) -> Result<()> {
        let mut batch = Batch::new(None);
        let mut scan = self.db.scan(&Range::attr(a), Columns::ALL);
        while scan.next(&mut batch)? {
            current.extend((0..batch.rows).map(|row| Change {
                e: batch.e[row],
                a,
                v: batch.v.get(row).to_value(),
                live: Some(batch.t[row]),
                ended: 0,
                known: false,
            }));
        }
        for found in base.base_level().history(Index::Aevt).leaves(&Range::attr(a)) {
            let (leaf, rows) = found?;
            history.extend(rows.map(|row| Change::interval(&leaf, row)));
        }
        Ok(())
    }

    fn root(
        &mut self,
        lineage: Lineage,
        changes: &Changes,
        level: LevelRef,
        avet: &FxHashSet<AttrId>,
        bodies: &[Arc<TxBody>],
    ) -> Result<Root> {
        let schema = SchemaSegment::encode(self.db.schema(), avet);
        let stats = self.stats(changes).encode();
        let ids = self.ids(bodies)?;
        Ok(Root {
            t: self.db.basis(),
            lineage: lineage.0,
            next_counter: self.db.next_counter(),
            last_instant: self.db.last_instant(),
            exact_from: self.base.map_or(T(0), |base| base.root.exact_from).max(changes.exact_from),
            options: self.db.options(),
            previous: self.base.map(|base| base.hash),
            schema: self.writer.seal(Kind::Schema, &schema)?.hash,
            stats: self.writer.seal(Kind::Stats, &stats)?.hash,
            log: log::append(
                &mut self.writer,
                self.base.map(|base| (&base.log, base.root.log.as_ref())),
                bodies,
            )?,
            ids,
            levels: vec![level],
        })
    }

    fn stats(&self, changes: &Changes) -> Stats {
        let mut stats = self.base.map_or_else(Stats::default, |base| (*base.stats).clone());
        for change in &changes.current {
            match change.live {
                Some(_) if change.known => {}
                Some(_) => stats.add(crate::EntityId(change.e), change.a, &change.v.as_ref()),
                None => stats.remove(change.a),
            }
        }
        stats
    }

    /// The tree of client ids.
    fn ids(&mut self, bodies: &[Arc<TxBody>]) -> Result<Option<TreeRef>> {
        let change = |body: &Arc<TxBody>| {
            let v = Value::Uuid(body.client_id?);
            let e = crate::EntityId::of_tx(body.t).0;
            Some(Change {
                e,
                a: crate::segment::base::CLIENT_ID,
                v,
                live: Some(body.t.0),
                ended: 0,
                known: false,
            })
        };
        let changes = bodies.iter().filter_map(change).collect();
        let old = self.base.map(|base| (base.ids(), base.root.ids.as_ref()));
        self.tree(Index::Avet, false, old, changes, &FxHashSet::default())
    }
}

/// Opens the database that a job wrote.
///
/// # Errors
/// Those of the port.
pub fn open(root: Hash, port: Arc<dyn SegmentPort>) -> Result<Db> {
    Ok(Db::open(Base::open(root, port)?))
}
