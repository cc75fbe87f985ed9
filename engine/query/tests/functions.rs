//! Stored functions in transactions: determinism, fuel, and work that must end.

use annals_db::{Call, Code, Context, Db, Fuel, Function, Functions, Incarnation, Keyword, Limits, Options};
use annals_edn::{Edn, Error, read_one};
use annals_query::Datalog;
use proptest::prelude::*;

const SCHEMA: &str = "[
 {:db/ident :p/age :db/valueType :db.type/long :db/cardinality :db.cardinality/one}
 {:db/ident :p/friend :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}
 {:db/ident :p/name :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/unique :db.unique/identity}
 {:db/ident :f/older :db/fn {:params [?e] :where [[(get-else $ ?e :p/age 0) ?n] [(inc ?n) ?m]] :tx [[:db/add ?e :p/age ?m]]}}
 {:db/ident :f/friends :db/fn {:params [?e ?by] :where [[?e :p/friend ?f] [?f :p/age ?a] [(+ ?a ?by) ?b]]
   :tx [[:db/add ?f :p/age ?b]] :else [[:f/older ?e]]}}
 {:db/ident :f/meet :db/fn {:params [?e] :where [[?o :p/age ?a] [(even? ?a)]] :new [?n]
   :tx [[:db/add ?e :p/friend ?o] {:db/id ?n :p/friend ?e}]}}
 {:db/ident :f/all :db/fn {:where [[?e :p/name ?n]] :tx [[:f/older ?e]]}}]";

fn decide(db: &Db, tx_data: &Edn, fuel: u64, functions: &Datalog) -> Result<Vec<String>, Error> {
    let context = Context {
        now: 1_700_000_000_000 + db.basis().0 as i64,
        limits: Limits { fuel, ..Limits::default() },
        functions,
        client_id: None,
        request_hash: 0,
    };
    let body = annals_db::transact(db, tx_data, &context)?;
    let mut shown: Vec<String> = body
        .datoms
        .iter()
        .map(|datom| format!("{} {:?} {:?} {}", datom.e, datom.a, datom.v, datom.added))
        .collect();
    shown.sort();
    Ok(shown)
}

fn commit(db: &Db, text: &str, functions: &Datalog) -> Result<Db, Error> {
    let context = Context {
        now: 1_700_000_000_000 + db.basis().0 as i64,
        limits: Limits::default(),
        functions,
        client_id: None,
        request_hash: 0,
    };
    let body = annals_db::transact(db, &read_one(text)?, &context)?;
    db.apply(&body)
}

/// People `0..ages.len()` with their ages, and friends by number.
fn people(ages: &[i64], friends: &[(usize, usize)], functions: &Datalog) -> Db {
    let db = Db::empty(Incarnation(3), Options::default());
    let mut db = commit(&db, SCHEMA, functions).expect("the schema is sound");
    let person = |(i, age): (usize, &i64)| format!("{{:p/name \"{i}\" :p/age {age}}}");
    let all: Vec<String> = ages.iter().enumerate().map(person).collect();
    db = commit(&db, &format!("[{}]", all.join(" ")), functions).expect("people are sound");
    let n = ages.len();
    let bond = |(x, y): &(usize, usize)| {
        format!("[:db/add [:p/name \"{}\"] :p/friend [:p/name \"{}\"]]", x % n, y % n)
    };
    let all: Vec<String> = friends.iter().map(bond).collect();
    commit(&db, &format!("[{}]", all.join(" ")), functions).expect("friends are sound")
}

fn call(kind: usize, who: usize, n: usize) -> String {
    let who = format!("[:p/name \"{}\"]", who % n);
    match kind % 5 {
        0 => format!("[:f/older {who}]"),
        1 => format!("[:f/friends {who} {kind}]"),
        2 => format!("[:f/meet {who}]"),
        3 => "[:f/all]".to_owned(),
        _ => format!("[:db/add {who} :p/age {kind}]"),
    }
}

/// Ids of new entities follow the order of forms, so they are left out of what is compared.
fn shape(decided: &Result<Vec<String>, Error>, db: &Db) -> Result<Vec<String>, Code> {
    let fresh = |line: &&String| {
        let id = line.split(' ').next().and_then(|id| id.parse::<u64>().ok()).unwrap_or(0);
        id & ((1 << 42) - 1) < db.next_counter()
    };
    match decided {
        Ok(lines) => Ok(lines.iter().filter(fresh).cloned().collect()),
        Err(error) => Err(error.code()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn calls_are_deterministic_and_fuel_is_exact(
        ages in prop::collection::vec(0i64..40, 1..12),
        friends in prop::collection::vec((0usize..12, 0usize..12), 1..20),
        calls in prop::collection::vec((0usize..50, 0usize..12), 1..6),
        turn in 0usize..6,
    ) {
        let functions = Datalog::default();
        let db = people(&ages, &friends, &functions);
        let mut forms: Vec<String> = calls.iter().map(|(kind, who)| call(*kind, *who, ages.len())).collect();
        let text = |forms: &[String]| read_one(&format!("[{}]", forms.join(" "))).expect("calls are EDN");
        let tx_data = text(&forms);
        let first = decide(&db, &tx_data, 1_000_000, &functions);
        // The same again, with what was compiled, without it, and on a branch.
        for (db, functions) in [(&db, &functions), (&db.fork(), &Datalog::default())] {
            let again = decide(db, &tx_data, 1_000_000, functions);
            prop_assert_eq!(first.as_ref().ok(), again.as_ref().ok());
            prop_assert_eq!(first.as_ref().err().map(Error::code), again.as_ref().err().map(Error::code));
        }
        let shift = turn % forms.len();
        forms.rotate_left(shift);
        let turned = decide(&db, &text(&forms), 1_000_000, &functions);
        prop_assert_eq!(shape(&first, &db), shape(&turned, &db));
        if first.is_ok() {
            let (mut low, mut high) = (0, 1_000_000);
            while low < high {
                let middle = (low + high) / 2;
                match decide(&db, &tx_data, middle, &functions) {
                    Ok(datoms) => {
                        prop_assert_eq!(Some(&datoms), first.as_ref().ok());
                        high = middle;
                    }
                    Err(error) => {
                        prop_assert_eq!(error.code(), Code::FuelExhausted);
                        low = middle + 1;
                    }
                }
            }
            // No form needs more than the sum of all, whatever stands first.
            prop_assert!(decide(&db, &text(&forms), low, &functions).is_ok());
        }
    }
}

#[test]
fn work_without_end_ends() {
    let functions = Datalog::default();
    let db = people(&[1, 2, 3], &[(0, 1)], &functions);
    let doubling = |first: &str, step: &str| {
        let steps: Vec<String> = (0..60)
            .map(|i| step.replace("?x", &format!("?v{i}")).replace("?y", &format!("?v{}", i + 1)))
            .collect();
        format!("{{:where [{first} {}] :tx [[:db/add \"e\" :p/name ?v60]]}}", steps.join(" "))
    };
    let bodies = [
        doubling("[(bigint 7) ?v0]", "[(* ?x ?x) ?y]"),
        doubling("[(ground \"ab\") ?v0]", "[(str ?x ?x) ?y]"),
        doubling("[(ground 1) ?v0]", "[(tuple ?x ?x) ?y]"),
        doubling("[(ground [1]) ?v0]", "[(concat ?x ?x) ?y]"),
        "{:where [[(range 1000000) [?x ...]] [(range 1000000) [?y ...]] [(= ?x -1)]] :tx [[:db/add ?x :p/age ?y]]}".to_owned(),
        "{:rules [[(up ?n) [(ground 0) ?n]] [(up ?n) (up ?m) [(inc ?m) ?n]]] :where [(up ?n) [(< ?n 0)]] :tx [[:db/add \"e\" :p/age ?n]]}".to_owned(),
        "{:where [[?a] [?b] [?c] [?d] [?e] [?f] [?g] [(= ?a -1)]] :tx [[:db/add ?b :p/age 1]]}".to_owned(),
        "{:where [[?a :db/ident] [?b :db/ident] [?c :db/ident] [?d :db/ident] [?e :db/ident]] :tx [[:db/add ?a :p/friend ?e] [:db/add ?b :p/friend ?c] [:db/add ?c :p/friend ?d]]}".to_owned(),
    ];
    for body in bodies {
        let function = Function { name: Keyword::new("f/bomb"), body: body.as_str().into() };
        let (fuel, tempids) = (Fuel::new(300_000), std::cell::Cell::new(0));
        let call = Call { db: &db, args: &[], fuel: &fuel, tempids: &tempids };
        let answer = functions.call(&function, &call);
        assert!(answer.is_err(), "{body}: {answer:?}");
    }
}

#[test]
fn a_function_that_calls_itself_for_every_row_runs_out_of_fuel() {
    let functions = Datalog::default();
    let db = people(&[1; 12], &[(0, 1)], &functions);
    let text =
        "[{:db/ident :f/burst :db/fn {:where [[?e :p/age _]] :tx [[:f/burst] [:db/add ?e :p/age 3]]}}]";
    let db = commit(&db, text, &functions).expect("it may be written");
    let error =
        decide(&db, &read_one("[[:f/burst]]").expect("EDN"), 1_000_000, &functions).expect_err("ends");
    assert!(matches!(error.code(), Code::FuelExhausted | Code::TransactionTooLarge), "{error:?}");
}

#[test]
fn bodies_that_stand_for_nothing_are_refused_with_their_part() {
    let functions = Datalog::default();
    let db = people(&[1], &[(0, 0)], &functions);
    let refusals = [
        ("{:params [?e] :where [[?e :p/age ?a]] :tx [[:db/add ?e :p/age ?b]]}", ":where"),
        ("{:tx [[:db/add ?e :p/age 1]]}", ":tx"),
        ("{:tx [] :require [{:where [[(< ?x 1)]]}]}", ":require"),
        ("{:where [[(nope? 1)]]}", ":where"),
        ("{:tx [] :else {:mesage \"x\"}}", ":else"),
        ("{:tx [] :parms []}", ":parms"),
    ];
    for (body, part) in refusals {
        let error = functions.check(&db, &read_one(body).expect("EDN")).expect_err(body);
        assert_eq!(error.code(), Code::InvalidFunction, "{body}");
        let told = error.details().iter().find(|(name, _)| name == "part").map(|(_, value)| value.as_str());
        assert_eq!(told, Some(part), "{body}: {error:?}");
    }
}
