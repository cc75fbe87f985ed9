//! A small population, and what tests do with queries.

use annals_db::{Context, Db, Incarnation, Limits, NoFunctions, Options, transact};
use annals_edn::{Edn, Error, Forms, read_one};
use annals_query::{Argument, Datum, Prepared, QueryCtx, Rows};

/// What people have.
pub(crate) const SCHEMA: &str = "[
 {:db/ident :p/name :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/index true}
 {:db/ident :p/age :db/valueType :db.type/long :db/cardinality :db.cardinality/one}
 {:db/ident :p/size :db/valueType :db.type/long :db/cardinality :db.cardinality/one :db/index true}
 {:db/ident :p/email :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/unique :db.unique/identity}
 {:db/ident :p/nick :db/valueType :db.type/keyword :db/cardinality :db.cardinality/many}
 {:db/ident :p/friend :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}
 {:db/ident :p/boss :db/valueType :db.type/ref :db/cardinality :db.cardinality/one}]";

/// Applies one transaction.
pub(crate) fn apply(db: &Db, text: &str) -> Db {
    let context = Context {
        now: 1_700_000_000_000 + db.basis().0 as i64,
        limits: Limits::default(),
        functions: &NoFunctions,
        client_id: None,
        request_hash: 0,
    };
    let form = read_one(text).expect("tx-data reads");
    let body = transact(db, &form, &context).expect("the transaction is accepted");
    db.apply(&body).expect("it continues the database")
}

/// `count` people with names, ages, sizes, friends and bosses that follow from their number.
pub(crate) fn people(count: usize) -> Db {
    let mut db = apply(&Db::empty(Incarnation(7), Options::default()), SCHEMA);
    for first in (0..count).step_by(500) {
        let some: Vec<String> = (first..count.min(first + 500)).map(person).collect();
        db = apply(&db, &format!("[{}]", some.join(" ")));
    }
    for first in (0..count).step_by(500) {
        let some: Vec<String> = (first..count.min(first + 500)).map(|i| bonds(i, count)).collect();
        db = apply(&db, &format!("[{}]", some.join(" ")));
    }
    db
}

fn person(i: usize) -> String {
    let names = ["Ann", "Bob", "Cid", "Dan", "Eve"];
    let nicks = if i.is_multiple_of(3) { ":p/nick [:a :b]" } else { ":p/nick :c" };
    let (name, age, size) = (names[i * 7 % 5], i * 31 % 90, i * 17 % 40);
    format!("{{:p/email \"{i}@x\" :p/name \"{name}\" :p/age {age} :p/size {size} {nicks}}}")
}

fn bonds(i: usize, count: usize) -> String {
    let id = |j: usize| format!("[:p/email \"{}@x\"]", j % count);
    let (f1, f2, boss) = (id(i * 13 + 1), id(i * 5 + 3), id(i / 2));
    format!("{{:p/email \"{i}@x\" :p/friend [{f1} {f2}] :p/boss {boss}}}")
}

/// The database, then the forms of `args`.
pub(crate) fn arguments(db: &Db, args: &str) -> Vec<Argument> {
    let mut all = vec![Argument::Db(db.clone())];
    all.extend(Forms::new(args).map(|form| Argument::Form(form.expect("an argument reads"))));
    all
}

/// A query of text.
pub(crate) fn prepared(query: &str, args: &[Argument]) -> Prepared {
    Prepared::new(&Edn::string(query), args).expect("the query is sound")
}

/// All rows that are left.
pub(crate) fn all(mut rows: Rows<'_>) -> Result<Vec<Vec<Datum>>, Error> {
    let mut found = Vec::new();
    while let Some(batch) = rows.next()? {
        found.extend((0..batch.rows).map(|i| batch.columns.iter().map(|col| col.get(i)).collect()));
    }
    Ok(found)
}

/// The rows of a query.
pub(crate) fn answer(db: &Db, query: &str, args: &str) -> Result<Vec<Vec<Datum>>, Error> {
    let args = arguments(db, args);
    all(Prepared::new(&Edn::string(query), &args)?.run(&args, QueryCtx::default())?)
}
