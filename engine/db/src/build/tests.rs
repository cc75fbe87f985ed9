//! What an index job keeps and what it writes.

use std::sync::Arc;

use annals_edn::{Keyword, read_one};
use proptest::prelude::*;

use super::writer::Limits;
use super::*;
use crate::segment::{Entry, MemoryPort, Segment, Tree};
use crate::{Context, Datom, EntityId, Incarnation, NoFunctions, Options, Partition, transact};

const INCARNATION: Incarnation = Incarnation(9);
const SMALL: Limits = Limits { rows: 8, weight: 256, children: 4 };
const SCHEMA: &str = "[{:db/ident :n/name :db/valueType :db.type/string :db/cardinality :db.cardinality/one
                        :db/index true}
                       {:db/ident :n/size :db/valueType :db.type/long :db/cardinality :db.cardinality/one}
                       {:db/ident :n/link :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}]";

/// Counts what a job writes.
struct Counting<'a> {
    port: &'a MemoryPort,
    written: usize,
}

impl SegmentSink for Counting<'_> {
    fn put(&mut self, hash: Hash, stored: &[u8]) -> Result<()> {
        self.written += 1;
        self.port.put(hash, stored);
        Ok(())
    }
}

fn start() -> Db {
    let context = Context {
        now: 5,
        limits: crate::Limits::default(),
        functions: &NoFunctions,
        client_id: Some(1),
        request_hash: 0,
    };
    let db = Db::empty(INCARNATION, Options::default());
    db.apply(&transact(&db, &read_one(SCHEMA).unwrap(), &context).unwrap()).unwrap()
}

/// A value after one more transaction of these facts: entity, attribute, value, asserted.
fn with(db: &Db, facts: Vec<(u64, &str, Value, bool)>) -> Db {
    let t = T(db.basis().0 + 1);
    let datom = |(e, a, v, added): (u64, &str, Value, bool)| Datom {
        e: EntityId::new(Partition::USER, 1000 + e),
        a: db.schema().attribute_of(&Keyword::new(format!("n/{a}"))).unwrap().id,
        v,
        t,
        added,
    };
    let datoms = facts.into_iter().map(datom).collect();
    let (instant, next_counter) = (t.0 as i64 * 10, 5_000_000);
    let client_id = Some(u128::from(t.0));
    let tempids = Vec::new();
    db.apply(&Arc::new(TxBody { t, instant, client_id, request_hash: 7, next_counter, tempids, datoms }))
        .unwrap()
}

/// Builds within `limits` and adopts; answers the value and the number of segments written.
fn indexed(db: &Db, limits: Limits, port: &Arc<MemoryPort>) -> (Db, usize) {
    let build = Build { incarnation: INCARNATION, raft_index: db.basis().0 };
    let mut sink = Counting { port, written: 0 };
    let root = build_within(limits, db, build, Lineage::default(), &mut sink).unwrap();
    let written = sink.written;
    let base = Base::open(root, port.clone()).unwrap();
    check(&base, limits);
    (db.adopt(base).unwrap(), written)
}

fn trees(base: &Base) -> impl Iterator<Item = &Tree> {
    let level = base.base_level();
    Index::ALL.into_iter().flat_map(|index| [level.current(index), level.history(index)])
}

fn rows(tree: &Tree) -> Vec<(Datom, Option<T>)> {
    let leaves = (0..tree.entries().len()).map(|at| tree.leaf(at).unwrap());
    leaves
        .flat_map(|leaf| (0..leaf.len()).map(|i| (leaf.row(i).to_datom(), leaf.ended(i))).collect::<Vec<_>>())
        .collect()
}

/// The invariants of every tree below a root: order, borders, counts, bounds, sizes.
pub(crate) fn check(base: &Base, limits: Limits) {
    for tree in trees(base) {
        let index = tree.index();
        let mut last: Option<Datom> = None;
        for (at, entry) in tree.entries().iter().enumerate() {
            let leaf = tree.leaf(at).unwrap();
            assert!((1..=limits.rows).contains(&leaf.len()));
            assert_eq!(entry.sep.is_start(), at == 0, "{index:?} {:?}", entry.sep);
            for i in 0..leaf.len() {
                check_row(entry, &leaf.row(i), leaf.ended(i));
                let row = leaf.row(i).to_datom();
                if let Some(last) = &last {
                    assert!(index.cmp(&last.as_ref(), &row.as_ref()).is_lt(), "{last:?} {row:?}");
                    assert!(i > 0 || !entry.sep.admits(index, &last.as_ref()), "{last:?} {:?}", entry.sep);
                    assert!(
                        entry.sep.shared || entry.sep.admits(index, &row.as_ref()),
                        "{row:?} {:?}",
                        entry.sep
                    );
                }
                last = Some(row);
            }
        }
    }
}

fn check_row(entry: &Entry, row: &crate::DatomRef<'_>, ended: Option<T>) {
    let span = entry.span;
    assert!((span.added_min..=span.added_max).contains(&row.t));
    assert!(ended.is_none_or(|t| t > row.t && (span.ended_min..=span.ended_max).contains(&t)));
}

fn text(text: impl Into<Arc<str>>) -> Value {
    Value::String(text.into())
}

/// `count` entities, each with a name, a size and a link, in one transaction.
fn many(db: &Db, first: u64, count: u64) -> Db {
    let facts = (first..first + count).flat_map(|e| {
        let link = Value::Ref(EntityId::new(Partition::USER, 1000 + e / 2));
        [
            (e, "name", text(format!("name {e:06}")), true),
            (e, "size", Value::Long(e as i64 % 100), true),
            (e, "link", link, true),
        ]
    });
    with(db, facts.collect())
}

#[test]
fn a_small_change_names_what_it_does_not_touch_again() {
    let port = Arc::default();
    let (db, all) = indexed(&many(&start(), 0, 30_000), Limits::FORMAT, &port);
    let (same, rest) = indexed(&db, Limits::FORMAT, &port);
    assert_eq!(rest, 3, "schema, statistics and root");
    let one = with(&same, vec![(1_000_000, "size", Value::Long(1), true)]);
    let (_, few) = indexed(&one, Limits::FORMAT, &port);
    assert!(all > 30 && few <= 12, "{all} segments, then {few}");
}

#[test]
fn inner_nodes_are_named_again_with_their_leaves() {
    let port = Arc::default();
    let (db, all) = indexed(&many(&start(), 0, 4_000), SMALL, &port);
    let (_, few) = indexed(&with(&db, vec![(2_000, "size", Value::Long(-1), true)]), SMALL, &port);
    // Two trees change by one leaf and the nodes above it; beside them ids, log, schema, statistics, root.
    assert!(all > 4_000 && few < 60, "{all} segments, then {few}");
}

#[test]
fn jobs_in_steps_leave_the_rows_of_one_job() {
    let (stepwise, at_once) = (Arc::default(), Arc::default());
    let mut step = start();
    let mut whole = start();
    for round in 0..12 {
        let change = |db: &Db| {
            let size = |e: u64, n: i64| Value::Long((e as i64 * 7 + n) % 50);
            let facts = (0..40).flat_map(|i| {
                let e = (round * 13 + i * 3) % 90;
                let held = db.values(
                    EntityId::new(Partition::USER, 1000 + e),
                    db.schema().attribute_of(&Keyword::new("n/size")).unwrap().id,
                );
                let held = held.unwrap().into_iter().map(move |(v, _)| (e, "size", v, false));
                let next = size(e, round as i64);
                held.chain([(e, "size", next, true)])
            });
            let mut facts: Vec<_> = facts.collect();
            facts.dedup();
            // A value that stays is neither retracted nor asserted again.
            let stays: Vec<_> =
                facts.windows(2).filter(|w| w[0].0 == w[1].0 && w[0].2 == w[1].2).map(|w| w[0].0).collect();
            facts.retain(|fact| !stays.contains(&fact.0));
            with(db, facts)
        };
        step = indexed(&change(&step), SMALL, &stepwise).0;
        whole = change(&whole);
    }
    whole = indexed(&whole, SMALL, &at_once).0;
    let (step, whole) = (step.base().unwrap(), whole.base().unwrap());
    for (stepwise, at_once) in trees(step).zip(trees(whole)) {
        assert_eq!(rows(stepwise), rows(at_once));
    }
    assert!(!step.base_level().history(Index::Eavt).is_empty());
    for t in 1..step.log.end().0 {
        assert_eq!(step.transaction_by_client_id(u128::from(t)).unwrap().unwrap().t, T(t));
    }
}

#[test]
fn the_same_job_writes_the_same_bytes() {
    let db = many(&start(), 0, 500);
    let names = |_| {
        let port = Arc::new(MemoryPort::default());
        indexed(&db, SMALL, &port);
        let mut names: Vec<Hash> = port.all().into_iter().map(|(hash, _)| hash).collect();
        names.sort_unstable();
        names
    };
    assert_eq!(names(1), names(2));
}

#[test]
fn rows_before_an_emptied_first_leaf_are_found() {
    let port = Arc::default();
    let facts = |range: std::ops::Range<u64>, added| {
        range.map(|e| (e, "size", Value::Long(e as i64), added)).collect::<Vec<_>>()
    };
    let (db, _) = indexed(&with(&start(), facts(10..100, true)), SMALL, &port);
    let (db, _) = indexed(&with(&db, facts(10..60, false)), SMALL, &port);
    let (db, _) = indexed(&with(&db, facts(0..5, true)), SMALL, &port);
    let a = db.schema().attribute_of(&Keyword::new("n/size")).unwrap().id;
    for e in (0..5).chain(60..100) {
        let e = EntityId::new(Partition::USER, 1000 + e);
        assert_eq!(db.values(e, a).unwrap().len(), 1);
    }
}

#[test]
fn a_row_greater_than_a_leaf_keeps_its_borders() {
    let port = Arc::default();
    let long = "long ".repeat(1 << 18);
    let facts = (0..6).map(|e| (e, "name", text(format!("{e} {long}")), true)).collect();
    let (db, _) = indexed(&with(&start(), facts), Limits::FORMAT, &port);
    let a = db.schema().attribute_of(&Keyword::new("n/name")).unwrap().id;
    let found = db.lookup(a, &text(format!("4 {long}")).as_ref()).unwrap();
    assert_eq!(found, Some(EntityId::new(Partition::USER, 1004)));
}

#[test]
fn long_texts_do_not_make_every_leaf_too_small_to_keep() {
    let port = Arc::default();
    let long = "x".repeat(2_000);
    let facts = (0..3_000).map(|e| (e, "name", text(format!("{e:05} {long}")), true)).collect();
    let (db, all) = indexed(&with(&start(), facts), Limits::FORMAT, &port);
    let (_, few) = indexed(&with(&db, vec![(5, "size", Value::Long(1), true)]), Limits::FORMAT, &port);
    assert!(all > 60 && few <= 12, "{all} segments, then {few}");
}

#[test]
fn statistics_count_live_datoms() {
    let port = Arc::default();
    let (db, _) = indexed(&many(&start(), 0, 50), SMALL, &port);
    let size = |e, n, added| (e, "size", Value::Long(n), added);
    let db = with(&db, vec![size(1, 1, false), size(2, 2, false)]);
    let (db, _) = indexed(&with(&db, vec![size(1, 1, true)]), SMALL, &port);
    let a = db.schema().attribute_of(&Keyword::new("n/size")).unwrap().id;
    assert_eq!(db.base().unwrap().stats.attribute(a).unwrap().datoms, 49);
}

/// A store that is full after some segments.
struct Full(usize);

impl SegmentSink for Full {
    fn put(&mut self, _: Hash, _: &[u8]) -> Result<()> {
        self.0 = self.0.checked_sub(1).ok_or_else(|| Error::new(Code::DiskFull, "the store is full"))?;
        Ok(())
    }
}

#[test]
fn a_job_that_cannot_write_fails_and_leaves_its_value_as_it_was() {
    let port = Arc::default();
    let (db, _) = indexed(&many(&start(), 0, 40), SMALL, &port);
    let db = many(&db, 40, 40);
    let build = Build { incarnation: INCARNATION, raft_index: 99 };
    for room in [0, 1, 5, 20] {
        let error = build_within(SMALL, &db, build, Lineage::default(), &mut Full(room)).unwrap_err();
        assert_eq!(error.code(), Code::DiskFull);
    }
    let (db, _) = indexed(&db, SMALL, &port);
    assert_eq!(
        db.count(&Range::all(Index::Aevt)).unwrap(),
        start().count(&Range::all(Index::Aevt)).unwrap() + 240 + 2
    );
}

fn segments() -> Vec<(Hash, Arc<[u8]>)> {
    let port = Arc::new(MemoryPort::default());
    let (db, _) = indexed(&many(&start(), 0, 60), SMALL, &port);
    let gone = (0..20).map(|e| (e, "size", Value::Long(e as i64), false)).collect();
    indexed(&with(&db, gone), SMALL, &port);
    let mut all = port.all();
    all.sort_unstable_by_key(|(hash, _)| *hash);
    all
}

#[test]
fn every_bit_flip_in_every_segment_is_damage() {
    for (hash, stored) in segments() {
        for bit in (0..stored.len() * 8).step_by(5) {
            let mut bad = stored.to_vec();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Segment::decode(&hash, &bad).unwrap_err().code(), Code::DataLoss);
        }
    }
}

proptest! {
    /// Bytes that lie about themselves under their own hash: whatever decodes can be read, nothing panics.
    #[test]
    fn forged_segments_never_panic(at in any::<usize>(), noise in prop::collection::vec((any::<usize>(), any::<u8>()), 1..6)) {
        thread_local! { static SEGMENTS: Vec<(Hash, Arc<[u8]>)> = segments(); }
        let mut bad = SEGMENTS.with(|all| all[at % all.len()].1.to_vec());
        for (at, byte) in noise {
            let at = 36 + at % (bad.len() - 36);
            bad[at] = byte;
        }
        match Segment::decode(&Hash::of(&bad), &bad) {
            Ok(Segment::Leaf(leaf)) => (0..leaf.len()).for_each(|i| { let _ = (leaf.row(i), leaf.ended(i)); }),
            Ok(Segment::LogLeaf(leaf)) => (0..leaf.len()).for_each(|i| { let _ = leaf.body(i); }),
            Ok(other) => prop_assert!(other.weight() > 0),
            Err(error) => prop_assert_eq!(error.code(), Code::DataLoss),
        }
    }
}
