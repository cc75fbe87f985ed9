//! Prints what deciding and applying transactions costs on this machine, on one core. Minima of several runs.
//!
//! `cargo run --release -p annals-db --example writes`; the MusicBrainz rows need `../shared/data/mbrainz`, or
//! `ANNALS_SHARED`, and are skipped without it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use annals_db::{Context, Db, Incarnation, Limits, NoFunctions, Options, transact};
use annals_edn::{Edn, Node, read_all, read_one};

const SCHEMA: &str = "[
  {:db/ident :name :db/valueType :db.type/string :db/cardinality :db.cardinality/one}
  {:db/ident :last-name :db/valueType :db.type/string :db/cardinality :db.cardinality/one}
  {:db/ident :sex :db/valueType :db.type/keyword :db/cardinality :db.cardinality/one}
  {:db/ident :age :db/valueType :db.type/long :db/cardinality :db.cardinality/one}
  {:db/ident :salary :db/valueType :db.type/long :db/cardinality :db.cardinality/one}]";

const MBRAINZ: [&str; 9] = [
    "schema",
    "enums",
    "super-enums",
    "artists",
    "areleases",
    "areleases-artists",
    "labels",
    "releases",
    "releases-artists",
];

fn main() {
    let people = people(20_000);
    let all = vector(people.iter().map(|fields| map(fields)));
    report("add-all: one transaction of 20,000 maps", 100_000, best(5, || add_all(&all)));
    let maps: Vec<Edn> = people.iter().map(|fields| vector([map(fields)])).collect();
    report("add-5: 20,000 transactions of one map", 100_000, best(3, || each(&maps)));
    report("add-1: 100,000 transactions of one datom", 100_000, best(3, || add_one(&people)));
    for steps in [1_000, 4_000, 16_000] {
        let took = best(2, || counter(steps));
        report(&format!("counter: {steps} cas of one value"), 2 * steps as usize, took);
    }
    for count in [2_000, 8_000] {
        report(&format!("idents: {count} transactions of one"), count, best(2, || idents(count)));
    }
    curve(&people);
    mbrainz();
}

fn add_all(all: &Edn) -> Duration {
    let db = declared();
    let start = Instant::now();
    step(&db, all);
    start.elapsed()
}

fn each(transactions: &[Edn]) -> Duration {
    let mut db = declared();
    let start = Instant::now();
    for transaction in transactions {
        db = step(&db, transaction);
    }
    start.elapsed()
}

/// The first fact of a person makes the entity; the other four name it by id.
fn add_one(people: &[Vec<(&'static str, Node)>]) -> Duration {
    let mut db = declared();
    let mut took = Duration::ZERO;
    for fields in people {
        let id = db.next_counter();
        let mut subject = Node::Str("p".into());
        for (attribute, value) in fields {
            let form = vector([vector([
                keyword("db/add"),
                subject.into(),
                keyword(attribute),
                value.clone().into(),
            ])]);
            let start = Instant::now();
            db = step(&db, &form);
            took += start.elapsed();
            subject = Node::Long(annals_db::EntityId::new(annals_db::Partition::USER, id).as_long());
        }
    }
    took
}

/// A counter: every transaction compares and swaps one value of one entity.
fn counter(steps: i64) -> Duration {
    let mut db = step(&declared(), &vector([map(&[("age", Node::Long(0))])]));
    let e = annals_db::EntityId::new(annals_db::Partition::USER, db.next_counter() - 1);
    let cas = |n: i64| {
        let parts = [Node::Long(e.as_long()), Node::Keyword(annals_edn::Keyword::new("age"))];
        let values = [Node::Long(n), Node::Long(n + 1)];
        let head = [keyword("db/cas")];
        vector([vector(head.into_iter().chain(parts.into_iter().chain(values).map(Edn::from)))])
    };
    let transactions: Vec<Edn> = (0..steps).map(cas).collect();
    let start = Instant::now();
    for transaction in &transactions {
        db = step(&db, transaction);
    }
    start.elapsed()
}

/// Named entities, one a transaction: each changes the schema value.
fn idents(count: usize) -> Duration {
    let one = |n: usize| {
        let name = keyword(&format!("name/n{n}"));
        vector([Node::Map(vec![(keyword("db/ident"), name)]).into()])
    };
    let transactions: Vec<Edn> = (0..count).map(one).collect();
    each(&transactions)
}

/// The cost of one small transaction in databases of growing size.
fn curve(people: &[Vec<(&'static str, Node)>]) {
    let transactions: Vec<Edn> = people.iter().take(2_000).map(|fields| vector([map(fields)])).collect();
    for size in [10_000, 100_000, 1_000_000] {
        let mut db = declared();
        while (db.next_counter() as usize) < size / 5 {
            db = step(&db, &vector(people.iter().take(2_000).map(|fields| map(fields))));
        }
        let next_counter = db.next_counter();
        let took = best(3, || {
            let mut db = db.clone();
            let start = Instant::now();
            for transaction in &transactions {
                db = step(&db, transaction);
            }
            let took = start.elapsed();
            assert_eq!(db.next_counter(), next_counter + 2_000, "every map made an entity");
            took
        });
        report(&format!("2,000 maps, one a transaction, over {size} datoms"), 10_000, took);
    }
}

fn mbrainz() {
    let shared = std::env::var_os("ANNALS_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let mut transactions = Vec::new();
    for file in MBRAINZ {
        let Ok(text) = std::fs::read_to_string(shared.join("data/mbrainz").join(file).with_extension("edn"))
        else {
            println!("SKIPPED mbrainz: no {file}.edn under {}", shared.display());
            return;
        };
        let forms = read_all(&text).expect("the data is EDN");
        transactions.extend(forms.chunks(1_000).map(|chunk| vector(chunk.iter().cloned())));
    }
    let mut datoms = 0;
    let took = best(3, || {
        let mut db = Db::empty(Incarnation(1), Options::default());
        datoms = 0;
        let mut took = Duration::ZERO;
        for transaction in &transactions {
            let start = Instant::now();
            let body = transact(&db, transaction, &context()).expect("the data is sound");
            datoms += body.datoms.len();
            db = db.apply(&body).expect("the body continues the value");
            took += start.elapsed();
        }
        took
    });
    report("mbrainz: transactions of 1,000 maps", datoms, took);
}

fn declared() -> Db {
    let schema = read_one(SCHEMA).expect("the schema is EDN");
    step(&Db::empty(Incarnation(1), Options::default()), &schema)
}

fn step(db: &Db, tx_data: &Edn) -> Db {
    let body = transact(db, tx_data, &context()).expect("the data is sound");
    db.apply(&body).expect("the body continues the value")
}

fn context() -> Context<'static> {
    Context {
        now: 1_700_000_000_000,
        limits: Limits { datoms: 1_000_000, bytes: 64 << 20, ..Limits::default() },
        functions: &NoFunctions,
        client_id: None,
        request_hash: 0,
    }
}

/// People like those of the DataScript benchmark, always the same.
fn people(count: usize) -> Vec<Vec<(&'static str, Node)>> {
    let names = ["Ivan", "Petr", "Sergei", "Oleg", "Yuri", "Dmitry", "Fedor", "Denis"];
    let families = ["Ivanov", "Petrov", "Sidorov", "Kovalev", "Kuznetsov", "Voronoi"];
    let mut seed = 42u64;
    let mut roll = |sides: usize| {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) as usize % sides
    };
    let person = |_| {
        vec![
            ("name", Node::Str(names[roll(names.len())].into())),
            ("last-name", Node::Str(families[roll(families.len())].into())),
            ("sex", Node::Keyword(annals_edn::Keyword::new(["male", "female"][roll(2)]))),
            ("age", Node::Long(roll(100) as i64)),
            ("salary", Node::Long(roll(100_000) as i64)),
        ]
    };
    (0..count).map(person).collect()
}

fn map(fields: &[(&'static str, Node)]) -> Edn {
    Node::Map(fields.iter().map(|(key, value)| (keyword(key), value.clone().into())).collect()).into()
}

fn vector(forms: impl IntoIterator<Item = Edn>) -> Edn {
    Node::Vector(forms.into_iter().collect()).into()
}

fn keyword(text: &str) -> Edn {
    Node::Keyword(annals_edn::Keyword::new(text)).into()
}

fn best(runs: usize, mut run: impl FnMut() -> Duration) -> Duration {
    (0..runs).map(|_| run()).min().expect("at least one run")
}

fn report(what: &str, datoms: usize, took: Duration) {
    let rate = datoms as f64 / took.as_secs_f64();
    println!("{what:<55} {:>9.1} ms {rate:>12.0} datoms/s", took.as_secs_f64() * 1e3);
}
