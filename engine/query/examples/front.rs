//! Figures of the query front on made data: `cargo run --release -p annals-query --example front`.
//!
//! Prints a line a measurement, median and least in microseconds: parsing, checking, pulls of 2,000 entities, a tree.

use std::error::Error as StdError;
use std::time::Instant;

use annals_db::{Context, Db, Incarnation, Limits, NoFunctions, Options, transact};
use annals_edn::{Edn, read_one};
use annals_query::{Argument, Datum, InputShape, Pattern, Prepared, Pull, QueryCtx, check, parse};

type Outcome<T> = Result<T, Box<dyn StdError>>;

const SCHEMA: &str = "[{:db/ident :name :db/valueType :db.type/string :db/cardinality :db.cardinality/one}
 {:db/ident :age :db/valueType :db.type/long :db/cardinality :db.cardinality/one}
 {:db/ident :follows :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}]";

const QUERY: &str =
    "[:find ?e ?l ?a :in $ ?n :where [?e :name ?n] [?f :follows ?e] [?f :name ?l] [?f :age ?a] [(> ?a 18)]
 (not [?f :follows ?f]) (or-join [?f] [?f :age 20] (and [?f :follows ?x] [?x :age 30]))]";

fn commit(db: &Db, forms: &Edn) -> Outcome<(Db, Vec<u64>)> {
    let context = Context {
        now: 1,
        limits: Limits::default(),
        functions: &NoFunctions,
        client_id: None,
        request_hash: 0,
    };
    let body = transact(db, forms, &context)?;
    let mut ids: Vec<u64> = body.datoms.iter().map(|datom| datom.e.0).collect();
    ids.dedup();
    Ok((db.apply(&body)?, ids))
}

fn time<T>(name: &str, mut run: impl FnMut() -> Outcome<T>) -> Outcome<()> {
    let mut runs = Vec::new();
    for _ in 0..400 {
        let start = Instant::now();
        run()?;
        runs.push(start.elapsed().as_nanos() as f64 / 1000.0);
    }
    runs.sort_by(f64::total_cmp);
    println!("{name:30} {:9.1} {:9.1}", runs[runs.len() / 2], runs[0]);
    Ok(())
}

fn main() -> Outcome<()> {
    let db = Db::empty(Incarnation(1), Options::default());
    let (db, _) = commit(&db, &read_one(SCHEMA)?)?;
    let people: Vec<String> = (0..20_000).map(|i| format!("{{:name \"n{i}\" :age {}}}", i % 90)).collect();
    let (db, ids) = commit(&db, &read_one(&format!("[{}]", people.join(" ")))?)?;
    let tree: Vec<String> = (0..1555)
        .map(|i| {
            let children: Vec<String> =
                (1..=6).map(|k| i * 6 + k).filter(|c| *c < 1555).map(|c| format!("\"t{c}\"")).collect();
            format!("{{:db/id \"t{i}\" :name \"t{i}\" :follows [{}]}}", children.join(" "))
        })
        .collect();
    let (db, tree_ids) = commit(&db, &read_one(&format!("[{}]", tree.join(" ")))?)?;
    let form = read_one(QUERY)?;
    time("read", || Ok(read_one(QUERY)?))?;
    time("parse", || Ok(parse(&form)?))?;
    let parsed = parse(&form)?;
    let shapes = [InputShape::Db(db.schema().clone()), InputShape::Data];
    time("check", || Ok(check(&parsed, None, &shapes)?))?;
    let some: Vec<u64> = ids.iter().copied().step_by(10).take(2000).collect();
    let mut one = Pull::new(&db, &Pattern::parse(&read_one("[:name]")?)?)?;
    time("pull-many 2000 [:name]", || Ok(one.run(&some)?))?;
    time("2000 pulls [:name]", || {
        for e in &some {
            one.run(std::slice::from_ref(e))?;
        }
        Ok(())
    })?;
    let mut three = Pull::new(&db, &Pattern::parse(&read_one("[:db/id :name :age]")?)?)?;
    time("pull-many 2000, three", || Ok(three.run(&some)?))?;
    let mut deep = Pull::new(&db, &Pattern::parse(&read_one("[:name {:follows ...}]")?)?)?;
    time("tree of 1555", || Ok(deep.run(&tree_ids[..1])?))?;
    let query = read_one("[:find ?v :in $ ?e :where [?e :name ?v]]")?;
    let arguments = |e: u64| [Argument::Db(db.clone()), Argument::Data(Datum::long(e as i64))];
    let prepared = Prepared::new(&query, &arguments(some[0]))?;
    time("2000 queries by id", || {
        for e in &some {
            let args = arguments(*e);
            let mut rows = prepared.run(&args, QueryCtx::default())?;
            while rows.next()?.is_some() {}
        }
        Ok(())
    })?;
    if std::env::args().any(|arg| arg == "--loop") {
        for _ in 0..20_000 {
            for e in some.iter().take(100) {
                let args = arguments(*e);
                let mut rows = prepared.run(&args, QueryCtx::default())?;
                while rows.next()?.is_some() {}
            }
        }
    }
    let mut all = Pull::new(&db, &Pattern::parse(&read_one("[*]")?)?)?;
    time("pull-many 2000 [*]", || Ok(all.run(&some)?))
}
