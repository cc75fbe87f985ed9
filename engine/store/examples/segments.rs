//! Figures of segments on real data: bytes a datom, and how fast an index is built, opened and scanned.
//!
//! `cargo run --release -p annals-store --example segments -- DIR FILE…` transacts the entity maps of the files (one a
//! line) in memory, indexes them into a new store under DIR, then adds one small transaction and indexes again.

use std::error::Error;
use std::time::Instant;

use annals_db::build::{SegmentSink, build};
use annals_db::segment::{Build, Hash, Tree};
use annals_db::{
    Batch, Columns, Context, Db, Incarnation, Index, Limits, Lineage, NoFunctions, Options, Range, transact,
};
use annals_edn::read_one;
use annals_store::Store;

const INCARNATION: Incarnation = Incarnation(1);
const LINES_A_TRANSACTION: usize = 200;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let dir = args.next().ok_or("usage: segments DIR FILE…")?;
    let dir = std::path::absolute(dir)?;
    let mut db = Db::empty(INCARNATION, Options::default());
    let started = Instant::now();
    for file in args {
        for lines in std::fs::read_to_string(&file)?.lines().collect::<Vec<_>>().chunks(LINES_A_TRANSACTION) {
            db = with(&db, &format!("[{}]", lines.join("\n")))?;
        }
    }
    println!("transacted to t {} in {:.2?}", db.basis().0, started.elapsed());
    let store = Store::open(&format!("file://{}", dir.display()))?;
    let first = job(&store, &db, 1)?;
    let second = with(&first, "[[:db/add \"new\" :db/doc \"one more\"]]")?;
    let last = job(&store, &second, 2)?;
    sizes(&last)?;
    scans(&last)
}

fn with(db: &Db, text: &str) -> Result<Db, Box<dyn Error>> {
    let context = Context {
        now: 0,
        limits: Limits::default(),
        functions: &NoFunctions,
        client_id: Some(u128::from(db.basis().0 + 1)),
        request_hash: 0,
    };
    Ok(db.apply(&transact(db, &read_one(text)?, &context)?)?)
}

/// Takes segments and keeps none: what is left is the work of building.
struct Nowhere;

impl SegmentSink for Nowhere {
    fn put(&mut self, _: Hash, _: &[u8]) -> annals_db::Result<()> {
        Ok(())
    }
}

/// Indexes a value; answers what a reader finds who has only the store.
fn job(store: &Store, db: &Db, number: u64) -> Result<Db, Box<dyn Error>> {
    let job = Build { incarnation: INCARNATION, raft_index: number };
    let started = Instant::now();
    build(db, job, Lineage::default(), &mut Nowhere)?;
    println!("root {number}: built in {:.2?} without storing", started.elapsed());
    let started = Instant::now();
    let root = build(db, job, Lineage::default(), &mut store.sink())?;
    store.put_root(INCARNATION, number, &root)?;
    let built = started.elapsed();
    let (base, _) = store.open_root(INCARNATION, root)?;
    println!("root {number}: built and stored in {built:.2?}, opened in {:.2?}", started.elapsed() - built);
    Ok(Db::open(base))
}

fn sizes(db: &Db) -> Result<(), Box<dyn Error>> {
    let base = db.base().ok_or("an indexed value has a base")?;
    let report = |name: &str, tree: &Tree| {
        let (rows, bytes) = (tree.len(), tree.stored_bytes());
        let each = bytes as f64 / rows.max(1) as f64;
        println!(
            "{name}: {rows} datoms, {} leaves, {bytes} bytes, {each:.2} bytes a datom",
            tree.entries().len()
        );
    };
    for index in Index::ALL {
        report(&format!("{index:?} current"), base.base_level().current(index));
        report(&format!("{index:?} history"), base.base_level().history(index));
    }
    let log: u64 = base.log.entries().iter().map(|entry| entry.stored).sum();
    println!("log: {} transactions, {} leaves, {log} bytes", base.log.end().0 - 1, base.log.entries().len());
    Ok(())
}

fn scans(db: &Db) -> Result<(), Box<dyn Error>> {
    for index in Index::ALL {
        for pass in ["cold", "resident"] {
            let (mut rows, mut batch) = (0_usize, Batch::new(None));
            let started = Instant::now();
            let range = Range::all(index);
            let mut scan = db.scan(&range, Columns::E.with(Columns::A).with(Columns::T));
            while scan.next(&mut batch)? {
                rows += batch.rows;
            }
            let rate = rows as f64 / started.elapsed().as_secs_f64() / 1e6;
            println!("{index:?} scan of e a t, {pass}: {rows} rows, {rate:.1} million a second");
        }
    }
    let (mut rows, started) = (0_usize, Instant::now());
    for attribute in db.schema().attributes() {
        let (mut batch, range) = (Batch::new(attribute.value_type), Range::attr(attribute.id));
        let mut scan = db.scan(&range, Columns::E.with(Columns::V));
        while scan.next(&mut batch)? {
            rows += batch.rows;
        }
    }
    let rate = rows as f64 / started.elapsed().as_secs_f64() / 1e6;
    println!("typed scan of e v, attribute by attribute: {rows} rows, {rate:.1} million a second");
    Ok(())
}
