//! The suite of growth: what one small transaction costs as the database grows, all in novelty and all in an index.

use std::sync::Arc;
use std::time::Instant;

use annals_db::build::{SegmentSink, build};
use annals_db::segment::{Base, Build, Hash, MemoryPort, SegmentPort};
use annals_db::{Batch, Columns, Incarnation, Index, Lineage, Range};
use annals_edn::{Edn, read_one};
use anyhow::{Result, ensure};

use crate::measure::Figure;
use crate::report::Report;
use crate::store::Store;

const SUITE: &str = "growth";
/// Datoms of an entity of the load.
const DATOMS: u64 = 6;
/// Entities of a transaction of the load.
const BATCH: u64 = 2_000;
/// Transactions of a batch that is timed.
const STEPS: u64 = 150;
/// Batches a row.
const BATCHES: u64 = 9;

const SCHEMA: &str = "[
  {:db/ident :g/key :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/unique :db.unique/identity}
  {:db/ident :g/code :db/valueType :db.type/long :db/cardinality :db.cardinality/one :db/unique :db.unique/value}
  {:db/ident :g/name :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/index true}
  {:db/ident :g/size :db/valueType :db.type/long :db/cardinality :db.cardinality/one}
  {:db/ident :g/next :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}]";
const COMPOSITE: &str =
    "[{:db/ident :g/name+size :db/valueType :db.type/tuple :db/cardinality :db.cardinality/one
                           :db/tupleAttrs [:g/name :g/size]}]";

/// One kind of transaction: its row, and its forms for a number that no other step has and an entity that is there.
type Step = (&'static str, fn(u64, u64) -> String);

const ALL: [Step; 7] = [
    ("new", |n, _| format!("{{:g/key \"new-{n}\" :g/code {} :g/name \"n{n}\" :g/size {n}}}", 1 << 40 | n)),
    ("replace", |n, key| format!("{{:db/id [:g/key \"k{key}\"] :g/size {}}}", 1_000_000 + n)),
    ("upsert", |n, key| format!("{{:g/key \"k{key}\" :g/name \"m{n}\"}}")),
    ("cas", |n, key| format!("[:db/cas [:g/key \"k{key}\"] :g/code {key} {}]", 1 << 41 | n)),
    ("refused", |_, key| format!("{{:g/key \"other\" :g/code {key}}}")),
    ("redundant", |_, key| format!("[:db/add [:g/key \"k{key}\"] :g/key \"k{key}\"]")),
    ("retract-entity", |_, key| format!("[:db/retractEntity [:g/key \"k{key}\"]]")),
];

struct Sink(Arc<MemoryPort>);

impl SegmentSink for Sink {
    fn put(&mut self, hash: Hash, stored: &[u8]) -> annals_db::Result<()> {
        self.0.put(hash, stored);
        Ok(())
    }
}

/// Every kind of transaction at 10,000 datoms and each power of ten up to `largest`; microseconds a transaction.
pub fn growth(report: &mut Report, largest: u64) -> Result<()> {
    report
        .note(SUITE, &format!("microseconds a transaction, {STEPS} of a kind in a batch, {BATCHES} batches"));
    let mut store = Store::new(SCHEMA)?;
    store.transact(&read_one(COMPOSITE)?)?;
    let mut entities = 0;
    let mut size = 10_000;
    while size <= largest {
        load(&mut store, &mut entities, size / DATOMS)?;
        rows(report, &store, "novelty", size, entities)?;
        let indexed = indexed(&store)?;
        rows(report, &indexed, "index", size, entities)?;
        size *= 10;
    }
    Ok(())
}

/// Entities up to number `until`; each refers to the one before.
fn load(store: &mut Store, entities: &mut u64, until: u64) -> Result<()> {
    while *entities < until {
        let end = until.min(*entities + BATCH);
        let first = *entities;
        let map = |n: u64| {
            let key = scattered(n);
            let next = if n == first { String::new() } else { format!(":g/next \"{}\"", n - 1) };
            format!(
                "{{:db/id \"{n}\" :g/key \"k{key}\" :g/code {key} :g/name \"name {}\" :g/size {n} {next}}}",
                key % 1000
            )
        };
        let maps: Vec<String> = (*entities..end).map(map).collect();
        store.transact(&read_one(&format!("[{}]", maps.join(" ")))?)?;
        *entities = end;
    }
    Ok(())
}

/// Another number for each number, far from those of its neighbours.
fn scattered(n: u64) -> u64 {
    n.wrapping_mul(0x9e37_79b1) & 0xffff_ffff
}

/// The same database on an index that holds all of it.
fn indexed(store: &Store) -> Result<Store> {
    let port = Arc::new(MemoryPort::default());
    let job = Build { incarnation: Incarnation(1), raft_index: 1 };
    let root = build(&store.db, job, Lineage::default(), &mut Sink(port.clone()))?;
    let port: Arc<dyn SegmentPort> = port;
    let db = store.db.adopt(Base::open(root, port)?)?;
    // Every leaf is decoded once beforehand: what is measured is the search, not the store.
    for index in Index::ALL {
        let (mut scan, mut batch) = (db.scan(&Range::all(index), Columns::ALL), Batch::new(None));
        while scan.next(&mut batch)? {}
    }
    Ok(store.on(db))
}

fn rows(report: &mut Report, store: &Store, place: &str, size: u64, entities: u64) -> Result<()> {
    for (at, (name, form)) in (0u64..).zip(ALL) {
        let mut times = Vec::new();
        let mut branch = store.on(store.db.fork());
        for batch in 0..=BATCHES {
            let forms = (0..STEPS).map(|step| {
                let n = (at * (BATCHES + 1) + batch) * STEPS + step;
                // Entities all over the database, none twice for one kind while there are enough.
                let key = scattered(
                    (batch * STEPS + step) * (entities / (STEPS * (BATCHES + 1))).max(1) % entities,
                );
                Ok(read_one(&format!("[{}]", form(n, key)))?)
            });
            let forms = forms.collect::<Result<Vec<Edn>>>()?;
            let started = Instant::now();
            let committed = forms.iter().filter(|tx| branch.transact(tx).is_ok()).count();
            let time = started.elapsed().as_secs_f64() * 1e6 / STEPS as f64;
            let expected = if name == "refused" { 0 } else { forms.len() };
            ensure!(committed == expected, "{name}: {committed} of {STEPS} committed");
            // The first batch warms up.
            if batch > 0 {
                times.push(time);
            }
        }
        report.figure(SUITE, &format!("{name} {place} {size}"), Figure::of(times), "us");
    }
    Ok(())
}
