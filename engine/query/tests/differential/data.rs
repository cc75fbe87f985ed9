//! Small random databases with a past.

use annals_db::{Context, Db, Incarnation, Limits, NoFunctions, Options, T, transact};
use annals_edn::read_one;

use super::random::Random;

/// Names of entities, as tempids and as values of the unique `:u`.
pub const ENTITIES: usize = 9;

const SCHEMA: &str = "[
 {:db/ident :u :db/valueType :db.type/long :db/cardinality :db.cardinality/one :db/unique :db.unique/identity}
 {:db/ident :l :db/valueType :db.type/long :db/cardinality :db.cardinality/one}
 {:db/ident :i :db/valueType :db.type/long :db/cardinality :db.cardinality/many :db/index true}
 {:db/ident :s :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/index true}
 {:db/ident :k :db/valueType :db.type/keyword :db/cardinality :db.cardinality/many}
 {:db/ident :r :db/valueType :db.type/ref :db/cardinality :db.cardinality/one}
 {:db/ident :m :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}]";

fn commit(db: &Db, text: &str, now: i64) -> Db {
    let context =
        Context { now, limits: Limits::default(), functions: &NoFunctions, client_id: None, request_hash: 0 };
    let forms = read_one(text).expect("generated tx-data are EDN");
    match transact(db, &forms, &context) {
        Ok(body) => db.apply(&body).expect("a decided transaction applies"),
        Err(error) => panic!("{text}: {error}"),
    }
}

/// A database of nine entities after some transactions that add, replace and retract.
pub fn database(random: &mut Random) -> Db {
    let mut db = commit(&Db::empty(Incarnation(7), Options::default()), SCHEMA, 1);
    let all: Vec<String> = (0..ENTITIES).map(|u| format!("{{:u {u}}}")).collect();
    db = commit(&db, &format!("[{}]", all.join(" ")), 2);
    for now in 3..3 + 2 + random.below(4) as i64 {
        let mut forms: Vec<String> = Vec::new();
        for u in 0..ENTITIES {
            for attribute in ["l", "i", "s", "k", "r", "m"] {
                if random.chance(35) {
                    forms.push(format!("[:db/add [:u {u}] :{attribute} {}]", value(attribute, random)));
                }
            }
        }
        db = commit(&db, &format!("[{}]", forms.join(" ")), now);
        let gone: Vec<String> = (0..3)
            .map(|_| {
                format!(
                    "[:db/retract [:u {}] :{}]",
                    random.below(ENTITIES),
                    random.pick(&["l", "i", "s", "m"])
                )
            })
            .collect();
        db = commit(&db, &format!("[{}]", gone.join(" ")), now);
    }
    db
}

/// A value of an attribute, from so few that joins find something.
pub fn value(attribute: &str, random: &mut Random) -> String {
    match attribute {
        "u" => random.below(ENTITIES).to_string(),
        "l" | "i" => random.below(5).to_string(),
        "s" => format!("\"{}\"", random.pick(&["a", "b", "c"])),
        "k" => format!(":{}", random.pick(&["x", "y"])),
        _ => format!("[:u {}]", random.below(ENTITIES)),
    }
}

/// The present, a past and a history of it.
pub fn views(db: &Db, random: &mut Random) -> [Db; 3] {
    let past = T(2 + random.below(db.basis().0 as usize - 2) as u64);
    [db.clone(), if random.chance(50) { db.as_of(past) } else { db.since(past) }, db.history()]
}
