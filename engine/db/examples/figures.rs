//! Prints what applying, scanning and probing novelty costs on this machine. Minima of several runs.
//!
//! `cargo run --release -p annals-db --example figures`

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use annals_db::bootstrap::{self, attr};
use annals_db::{
    AttrId, Batch, Column, Columns, Datom, Db, EntityId, Incarnation, Index, Keyword, Options, Partition,
    Range, T, TxBody, Value, ValueType,
};

const NAME: AttrId = AttrId(1000);
const AGE: AttrId = AttrId(1001);
const SEX: AttrId = AttrId(1002);
const FRIEND: AttrId = AttrId(1003);
const EMAIL: AttrId = AttrId(1004);

fn main() {
    let people = 20_000;
    println!("one datom a transaction, 100,000 of them");
    applies(100_000);
    println!("{people} people, 5 datoms each");
    let db = populated(people);
    scans(&db, "one bulk load");
    probes(&db, people);
    points(&db, people);
    let updated = updated(&db, people);
    scans(&updated, "after 20,000 updates in one-datom transactions");
    probes(&updated, people);
    let large = populated(200_000);
    scans(&large, "200,000 people");
    probes(&large, 200_000);
    points(&large, 200_000);
}

fn applies(count: u64) {
    let bodies: Vec<Arc<TxBody>> = (0..count)
        .map(|i| body(i + 2, vec![(person(i * 7919 % count), AGE, Value::Long(i as i64), true)]))
        .collect();
    let took = best(3, || {
        let mut db = declared();
        for body in &bodies {
            db = db.apply(body).expect("the line goes on");
        }
        db
    });
    report("apply", took, count);
    let took = best(3, || {
        let mut db = declared();
        for (i, body) in bodies.iter().enumerate() {
            db = db.apply(body).expect("the line goes on");
            black_box(db.values(person(i as u64), AGE).expect("novelty is there"));
        }
        db
    });
    report("apply and read one value after each", took, count);
    let took = best(3, || {
        let mut db = declared();
        for (i, body) in bodies.iter().enumerate() {
            db = db.apply(body).expect("the line goes on");
            black_box(db.values(person(i as u64), AGE).expect("novelty is there"));
            black_box(db.count(&Range::attr(AGE)).expect("novelty is there"));
            black_box(db.lookup(EMAIL, &Value::Long(3).as_ref()).expect("novelty is there"));
        }
        db
    });
    report("apply and read all three indexes after each", took, count);
}

fn scans(db: &Db, what: &str) {
    println!("scans, {what}");
    let all = Columns::E.with(Columns::V);
    for (name, range, columns, ty) in [
        ("EAVT whole, all columns", Range::all(Index::Eavt), Columns::ALL, None),
        ("AEVT name, e v", Range::attr(NAME), all, Some(ValueType::String)),
        ("AEVT age, e v", Range::attr(AGE), all, Some(ValueType::Long)),
        ("AEVT age, e", Range::attr(AGE), Columns::E, Some(ValueType::Long)),
        ("AVET age, e v", Range::attr_by_value(AGE), all, Some(ValueType::Long)),
        ("AVET sex by AEVT sorted", Range::attr_by_value(SEX), all, Some(ValueType::Keyword)),
    ] {
        let mut rows = 0;
        let took = best(7, || {
            rows = 0;
            let mut batch = Batch::new(ty);
            let mut scan = db.scan(&range, columns);
            while scan.next(&mut batch).expect("novelty is there") {
                rows += batch.rows as u64;
            }
        });
        report(name, took, rows);
    }
}

fn probes(db: &Db, people: u64) {
    let mut entities: Vec<u64> = (0..2500).map(|i| person(i * people / 2500).0).collect();
    entities.sort_unstable();
    let took = best(7, || db.probe_entities(AGE, &entities, false).expect("novelty is there"));
    report("probe 2,500 entities, long", took, 2500);
    let took = best(7, || db.probe_entities(NAME, &entities, false).expect("novelty is there"));
    report("probe 2,500 entities, text", took, 2500);
    let ages = Column::Long((0..50).collect());
    let mut rows = 0;
    let took =
        best(7, || rows = db.probe_values(AGE, &ages, false).expect("novelty is there").input.len() as u64);
    report("probe 50 values", took, rows);
}

fn points(db: &Db, people: u64) {
    let keys: Vec<u64> = (0..10_000).map(|i| i * 7919 % people).collect();
    let took = best(5, || {
        for &key in &keys {
            black_box(db.values(person(key), AGE).expect("novelty is there"));
        }
    });
    report("values", took, 10_000);
    let emails: Vec<Value> = keys.iter().map(|key| email(*key)).collect();
    let took = best(5, || {
        for email in &emails {
            black_box(db.lookup(EMAIL, &email.as_ref()).expect("novelty is there"));
        }
    });
    report("lookup", took, 10_000);
    let took = best(5, || {
        for &key in &keys[..1000] {
            let mut batch = Batch::new(None);
            black_box(
                db.scan(&Range::entity(person(key)), Columns::ALL).next(&mut batch).expect("it is there"),
            );
        }
    });
    report("entity (scan)", took, 1000);
}

fn declared() -> Db {
    let db = Db::empty(Incarnation(1), Options::default());
    let mut facts = Vec::new();
    for (a, ident, ty) in [
        (NAME, "name", ValueType::String),
        (AGE, "age", ValueType::Long),
        (SEX, "sex", ValueType::Keyword),
        (FRIEND, "friend", ValueType::Ref),
        (EMAIL, "email", ValueType::String),
    ] {
        facts.push((a.entity(), attr::IDENT, Value::Keyword(Keyword::new(ident)), true));
        facts.push((a.entity(), attr::VALUE_TYPE, Value::Ref(bootstrap::type_entity(ty)), true));
        facts.push((a.entity(), attr::CARDINALITY, Value::Ref(bootstrap::CARDINALITY_ONE), true));
    }
    facts.push((AGE.entity(), attr::INDEX, Value::Boolean(true), true));
    facts.push((EMAIL.entity(), attr::UNIQUE, Value::Ref(bootstrap::UNIQUE_IDENTITY), true));
    db.apply(&body(1, facts)).expect("the first transaction")
}

fn populated(people: u64) -> Db {
    let mut db = declared();
    for start in (0..people).step_by(1000) {
        let mut facts = Vec::new();
        for i in start..start + 1000 {
            let e = person(i);
            let names = ["Ivan", "Petr", "Sergei", "Oleg", "Yuri", "Dmitry", "Fedor", "Denis"];
            facts.push((e, NAME, Value::String(names[(i * 31 % 8) as usize].into()), true));
            facts.push((e, AGE, Value::Long((i * 7919 % 100) as i64), true));
            let sex = if i * 13 % 2 == 0 { "male" } else { "female" };
            facts.push((e, SEX, Value::Keyword(Keyword::new(sex)), true));
            facts.push((e, FRIEND, Value::Ref(person(i * 7919 % people)), true));
            facts.push((e, EMAIL, email(i), true));
        }
        db = db.apply(&body(db.basis().0 + 1, facts)).expect("the line goes on");
    }
    let took = best(1, || db.count(&Range::all(Index::Eavt)).expect("novelty is there"));
    report("sort EAVT", took, people * 5);
    let took = best(1, || db.count(&Range::all(Index::Aevt)).expect("novelty is there"));
    report("sort AEVT", took, people * 5);
    let took = best(1, || db.count(&Range::attr_by_value(AGE)).expect("novelty is there"));
    report("sort AVET", took, people * 3);
    db
}

/// Every person gets a year older, one transaction each.
fn updated(db: &Db, people: u64) -> Db {
    let mut db = db.fork();
    for i in 0..people {
        let age = (i * 7919 % 100) as i64;
        let facts =
            vec![(person(i), AGE, Value::Long(age), false), (person(i), AGE, Value::Long(age + 1), true)];
        db = db.apply(&body(db.basis().0 + 1, facts)).expect("the line goes on");
        if i % 10 == 0 {
            black_box(db.values(person(i), AGE).expect("novelty is there"));
            black_box(db.count(&Range::attr(AGE)).expect("novelty is there"));
        }
    }
    db
}

fn person(i: u64) -> EntityId {
    EntityId::new(Partition::USER, 1000 + i)
}

fn email(i: u64) -> Value {
    Value::String(format!("person{i}@example.org").into())
}

fn body(t: u64, facts: Vec<(EntityId, AttrId, Value, bool)>) -> Arc<TxBody> {
    let datom = |(e, a, v, added)| Datom { e, a, v, t: T(t), added };
    Arc::new(TxBody {
        t: T(t),
        instant: 1_700_000_000_000 + t as i64,
        client_id: None,
        request_hash: 0,
        next_counter: 1_000_000,
        tempids: Vec::new(),
        datoms: facts.into_iter().map(datom).collect(),
    })
}

fn best<X>(runs: usize, mut run: impl FnMut() -> X) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..runs {
        let start = Instant::now();
        black_box(run());
        best = best.min(start.elapsed());
    }
    best
}

fn report(what: &str, took: Duration, count: u64) {
    let each = took.as_nanos() as f64 / count.max(1) as f64;
    println!("  {what:50} {:10.3} ms  {each:9.1} ns each  {:8.2} M/s", took.as_secs_f64() * 1e3, 1e3 / each);
}
