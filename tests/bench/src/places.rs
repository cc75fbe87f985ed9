//! Where the data of a suite lie: in novelty, in the segments of a store, or in both; and what a cold cache costs.
//!
//! A suite loads its data once. Further places hold the same facts: *indexed* all in segments of a store in files, behind
//! the cache that peers have; *mixed* a tenth in novelty, half of which replaces a value that the segments hold; *cold*
//! as indexed, with nothing cached. Every query must find the same rows everywhere.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use annals_db::build::build;
use annals_db::segment::{Base, Build, Hash, Segment, SegmentPort};
use annals_db::{
    AttrId, Batch, Cardinality, Columns, Datom, Db, EntityId, Index, Lineage, Partition, Range, T, Value,
};
use annals_edn::{Edn, Node, read_one};
use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::data::Scratch;
use crate::measure::Figure;
use crate::report::Report;
use crate::store::{BATCH, Store};

/// A place of the data beside novelty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Place {
    /// all in segments, decoded before it is measured
    Indexed,
    /// nine tenths in segments; half of the rest replaces values
    Mixed,
    /// all in segments, of which none is cached; one run
    Cold,
}

/// One fact of so many is put into novelty anew.
const MIXED: usize = 10;

/// The same facts in several places.
pub struct Places {
    warm: Vec<(&'static str, Db)>,
    cold: Option<Ground>,
    // Segments that are not cached any more are read from the files of these.
    grounds: Vec<Ground>,
}

/// A store in files and the root of a database in it.
struct Ground {
    scratch: Scratch,
    root: Hash,
    base: Base,
}

impl Ground {
    /// Indexes all of `db` into a new store; the same value on it.
    fn of(db: &Db) -> Result<(Ground, Db)> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let scratch = Scratch::new(&format!("store-{}", NUMBER.fetch_add(1, Ordering::Relaxed)))?;
        let store = open(&scratch)?;
        let job = Build { incarnation: db.incarnation(), raft_index: 1 };
        let root = build(db, job, Lineage::default(), &mut store.sink())?;
        let base = Base::open(root, store.port())?;
        let adopted = db.adopt(base.clone())?;
        Ok((Ground { scratch, root, base }, adopted))
    }
}

fn open(scratch: &Scratch) -> Result<annals_store::Store> {
    Ok(annals_store::Store::open(&format!("file://{}", scratch.path().display()))?)
}

/// What one query read of a cold store.
pub struct ColdRun {
    /// to open the database, milliseconds
    pub opening: f64,
    /// for the query, milliseconds
    pub query: f64,
    /// that the query read
    pub segments: usize,
    /// of those segments, at rest
    pub bytes: u64,
}

impl Places {
    /// The facts of `store` in novelty and in `places`.
    ///
    /// # Errors
    /// Of the store's directory.
    pub fn of(store: &Store, places: &[Place]) -> Result<Places> {
        let mut made = Places::novelty(&store.db);
        if places.contains(&Place::Indexed) {
            made.hold("-indexed", Ground::of(&store.db)?)?;
        }
        if places.contains(&Place::Mixed) {
            made.hold("-mixed", mixed(store)?)?;
        }
        if places.contains(&Place::Cold) {
            made.cold = Some(Ground::of(&store.db)?.0);
        }
        Ok(made)
    }

    /// Novelty alone.
    pub fn novelty(db: &Db) -> Places {
        Places { warm: vec![("", db.clone())], cold: None, grounds: Vec::new() }
    }

    /// What stands behind the rows of a place, and the value there; novelty first.
    pub fn warm(&self) -> &[(&'static str, Db)] {
        &self.warm
    }

    /// The same places as of `t`.
    pub fn as_of(&self, t: T) -> Places {
        let warm = self.warm.iter().map(|(suffix, db)| (*suffix, db.as_of(t))).collect();
        Places { warm, cold: None, grounds: Vec::new() }
    }

    fn hold(&mut self, suffix: &'static str, (ground, db): (Ground, Db)) -> Result<()> {
        // Every leaf is decoded once beforehand.
        for index in Index::ALL {
            let (mut scan, mut batch) = (db.scan(&Range::all(index), Columns::E), Batch::new(None));
            while scan.next(&mut batch)? {}
        }
        self.warm.push((suffix, db));
        self.grounds.push(ground);
        Ok(())
    }

    /// Opens the cold store with nothing cached and runs `query` on it; `None` without a cold place.
    ///
    /// # Errors
    /// Of the store and of `query`.
    pub fn run_cold(&self, query: impl FnOnce(&Db) -> Result<()>) -> Result<Option<ColdRun>> {
        let Some(ground) = &self.cold else { return Ok(None) };
        let counting = Arc::new(Counting { port: open(&ground.scratch)?.port(), asked: Mutex::default() });
        let started = Instant::now();
        let db = Db::open(Base::open(ground.root, counting.clone())?);
        let opened = started.elapsed();
        counting.take();
        query(&db)?;
        let all = started.elapsed();
        let read = counting.take();
        let bytes = read.iter().map(|hash| stored_bytes(&ground.scratch, hash)).sum::<Result<_>>()?;
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let (opening, query) = (ms(opened), ms(all - opened));
        Ok(Some(ColdRun { opening, query, segments: read.len(), bytes }))
    }

    /// What a fact takes at rest and decoded in the trees of the present of the first place but novelty.
    ///
    /// # Errors
    /// Of the store.
    pub fn sizes(&self, report: &mut Report, suite: &str) -> Result<()> {
        let Some(ground) = self.grounds.first() else { return Ok(()) };
        let (mut rows, mut stored, mut held) = (0, 0, 0);
        for index in Index::ALL {
            let tree = ground.base.base_level().current(index);
            stored += tree.stored_bytes();
            for at in 0..tree.entries().len() {
                held += tree.leaf(at)?.weight() as u64;
            }
            rows = rows.max(tree.len());
        }
        let bytes = |all: u64| Figure::of(vec![all as f64 / rows as f64]);
        report.figure(suite, "a datom at rest", bytes(stored), "bytes");
        report.figure(suite, "a datom in the cache", bytes(held), "bytes");
        Ok(())
    }
}

/// The facts of `store`, of which every tenth was retracted or replaced before the index job and put back after it.
fn mixed(store: &Store) -> Result<(Ground, Db)> {
    let facts = some_facts(&store.db)?;
    let mut branch = store.on(store.db.fork());
    let mut others: Vec<Edn> = Vec::new();
    for (i, fact) in facts.iter().enumerate() {
        let attribute = store.db.schema().attribute(fact.a).context("facts have attributes")?;
        let other = facts.get(i + 1).filter(|other| other.a == fact.a && other.v != fact.v);
        let replaces = i % 2 == 0 && attribute.cardinality == Cardinality::One && attribute.unique.is_none();
        others.push(match other {
            Some(other) if replaces => form("db/add", fact, &other.v)?,
            _ => form("db/retract", fact, &fact.v)?,
        });
    }
    for some in others.chunks(BATCH) {
        branch.transact(&Edn::vector(some.to_vec()))?;
    }
    let (ground, db) = Ground::of(&branch.db)?;
    let mut back = branch.on(db);
    let forms: Vec<Edn> = facts.iter().map(|fact| form("db/add", fact, &fact.v)).collect::<Result<_>>()?;
    for some in forms.chunks(BATCH) {
        back.transact(&Edn::vector(some.to_vec()))?;
    }
    Ok((ground, back.db))
}

/// Every tenth fact about entities of users.
fn some_facts(db: &Db) -> Result<Vec<Datom>> {
    let (mut scan, mut batch) = (db.scan(&Range::all(Index::Aevt), Columns::ALL), Batch::new(None));
    let mut facts = Vec::new();
    while scan.next(&mut batch)? {
        for row in 0..batch.rows {
            let (e, a, t) = (EntityId(batch.e[row]), AttrId(batch.a[row]), T(batch.t[row]));
            if e.partition() == Partition::USER {
                facts.push(Datom { e, a, v: batch.v.get(row).to_value(), t, added: true });
            }
        }
    }
    Ok(facts.into_iter().step_by(MIXED).collect())
}

fn form(op: &str, fact: &Datom, v: &Value) -> Result<Edn> {
    let number = |n: u64| Edn::new(Node::Long(n as i64));
    let op = read_one(&format!(":{op}"))?;
    Ok(Edn::vector(vec![op, number(fact.e.0), number(fact.a.entity().0), annals_db::form::form(v)]))
}

/// Notes what is asked of another port.
struct Counting {
    port: Arc<dyn SegmentPort>,
    asked: Mutex<BTreeSet<Hash>>,
}

impl Counting {
    fn take(&self) -> BTreeSet<Hash> {
        std::mem::take(&mut *self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl SegmentPort for Counting {
    fn get(&self, hashes: &[Hash]) -> annals_db::Result<Vec<Arc<Segment>>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).extend(hashes);
        self.port.get(hashes)
    }
}

fn stored_bytes(scratch: &Scratch, hash: &Hash) -> Result<u64> {
    let name = hash.to_string();
    let path = scratch.path().join("seg").join(&name[..2]).join(&name);
    Ok(std::fs::metadata(path)?.len())
}
