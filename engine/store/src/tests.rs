//! The store on a real directory.

use std::sync::Arc;

use annals_db::build::build;
use annals_db::segment::Build;
use annals_db::{Context, Db, Incarnation, Limits, Lineage, NoFunctions, Options, T, transact};
use annals_edn::{Code, read_one};

use crate::Store;

const INCARNATION: Incarnation = Incarnation(7);
const SCHEMA: &str = "[{:db/ident :n/text :db/valueType :db.type/string :db/cardinality :db.cardinality/one
                        :db/unique :db.unique/identity}]";

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&format!("file://{}", dir.path().display())).unwrap();
    (dir, store)
}

fn with(db: &Db, text: &str) -> Db {
    let context = Context {
        now: 5,
        limits: Limits::default(),
        functions: &NoFunctions,
        client_id: None,
        request_hash: 0,
    };
    db.apply(&transact(db, &read_one(text).unwrap(), &context).unwrap()).unwrap()
}

fn indexed(store: &Store, db: &Db, number: u64) -> annals_db::segment::Hash {
    let job = Build { incarnation: INCARNATION, raft_index: number };
    let root = build(db, job, Lineage([3; 16]), &mut store.sink()).unwrap();
    store.put_root(INCARNATION, number, &root).unwrap();
    root
}

#[test]
fn a_database_is_opened_from_the_store_alone() {
    let (dir, store) = store();
    let mut db = with(&Db::empty(INCARNATION, Options::default()), SCHEMA);
    for n in 0..3 {
        db = with(&db, &format!("[{{:n/text \"text {n}\"}}]"));
        indexed(&store, &db, n + 1);
    }
    let reader = Store::open(&format!("file://{}", dir.path().display())).unwrap();
    let (number, root) = reader.newest_root(INCARNATION, 1).unwrap().unwrap();
    assert_eq!(number, 3);
    let (base, lineage) = reader.open_root(INCARNATION, root).unwrap();
    let opened = Db::open(base);
    assert_eq!((opened.basis(), lineage), (db.basis(), Lineage([3; 16])));
    let a = opened.schema().attribute_of(&annals_edn::Keyword::new("n/text")).unwrap().id;
    let found = opened.lookup(a, &annals_db::ValueRef::String("text 1")).unwrap();
    assert!(found.is_some() && found == db.lookup(a, &annals_db::ValueRef::String("text 1")).unwrap());
    assert_eq!(opened.log(T(1), T(9), 99).unwrap().len(), 4);
}

#[test]
fn a_leaf_that_is_read_often_weighs_more_in_the_cache() {
    let (_dir, store) = store();
    let mut db = with(&Db::empty(INCARNATION, Options::default()), SCHEMA);
    for n in 0..100 {
        db = with(&db, &format!("[{{:n/text \"text {n}\"}}]"));
    }
    let root = indexed(&store, &db, 1);
    let opened = Db::open(store.open_root(INCARNATION, root).unwrap().0);
    let a = opened.schema().attribute_of(&annals_edn::Keyword::new("n/text")).unwrap().id;
    let mut weights = Vec::new();
    for _ in 0..6 {
        let mut rows = annals_db::Batch::new(Some(annals_db::ValueType::String));
        assert!(opened.scan(&annals_db::Range::attr(a), annals_db::Columns::ALL).next(&mut rows).unwrap());
        assert_eq!(rows.rows, 100);
        weights.push(store.cache_weight());
    }
    assert!(weights[5] > weights[0] + 100 * 20, "columns of a hundred rows were made: {weights:?}");
}

#[test]
fn a_damaged_segment_is_data_loss_and_a_lost_one_unavailable() {
    let (dir, store) = store();
    let db = with(&Db::empty(INCARNATION, Options::default()), SCHEMA);
    let root = indexed(&store, &db, 1);
    let hex = root.to_hex();
    let file = dir.path().join("seg").join(&hex[..2]).join(&hex);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[50] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    assert_eq!(store.open_root(INCARNATION, root).err().unwrap().code(), Code::DataLoss);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(store.open_root(INCARNATION, root).err().unwrap().code(), Code::SegmentUnavailable);
}

#[test]
fn one_number_has_one_root() {
    let (_dir, store) = store();
    let db = with(&Db::empty(INCARNATION, Options::default()), SCHEMA);
    let first = indexed(&store, &db, 1);
    store.put_root(INCARNATION, 1, &first).unwrap();
    let other =
        build(&db, Build { incarnation: INCARNATION, raft_index: 2 }, Lineage::default(), &mut store.sink());
    let error = store.put_root(INCARNATION, 1, &other.unwrap()).unwrap_err();
    assert_eq!(error.code(), Code::Diverged);
}

#[test]
fn eight_writers_of_one_segment_leave_it_whole() {
    let (_dir, store) = store();
    let db = Arc::new(with(&Db::empty(INCARNATION, Options::default()), SCHEMA));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| indexed(&store, &db, 1));
        }
    });
    let (_, root) = store.newest_root(INCARNATION, 1).unwrap().unwrap();
    assert!(store.open_root(INCARNATION, root).is_ok());
}

#[test]
fn another_format_and_other_urls_are_refused() {
    let (dir, _) = store();
    std::fs::write(dir.path().join("format"), "annals store 9\n").unwrap();
    let error = Store::open(&format!("file://{}", dir.path().display())).err().unwrap();
    assert_eq!(error.code(), Code::FormatUnsupported);
    assert!(error.message().contains("annals store 9"));
    assert_eq!(Store::open("s3://bucket").err().unwrap().code(), Code::Config);
}

#[test]
fn drafts_of_another_process_are_left_alone() {
    let (dir, store) = store();
    let taken = (0..5).map(|n| dir.path().join(format!("draft-{}-{n}", std::process::id())));
    let taken: Vec<_> = taken.collect();
    taken.iter().for_each(|path| std::fs::write(path, "another's").unwrap());
    let db = with(&Db::empty(INCARNATION, Options::default()), SCHEMA);
    let root = indexed(&store, &db, 1);
    assert!(store.open_root(INCARNATION, root).is_ok());
    assert!(taken.iter().all(|path| std::fs::read_to_string(path).unwrap() == "another's"));
}

#[test]
fn an_abandoned_job_leaves_no_drafts() {
    use annals_db::build::SegmentSink;
    let (dir, store) = store();
    let mut sink = store.sink();
    sink.put(annals_db::segment::Hash::of(b"x"), b"x").unwrap();
    drop(sink);
    let names = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.collect::<Vec<_>>(), ["format"]);
}

#[test]
fn a_directory_that_cannot_be_made_is_a_fault_of_storage() {
    let error = Store::open("file:///dev/null/segments").err().expect("a file is no folder");
    assert_eq!(error.code(), Code::Storage);
}
