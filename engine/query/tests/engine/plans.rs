//! The same bytes by every plan, and by the naive order of clauses.

use annals_db::T;
use annals_query::{Argument, QueryCtx};

use crate::support::{all, answer, arguments, people, prepared};

const QUERIES: &[(&str, &str)] = &[
    ("[:find ?e ?a :where [?e :p/name \"Ann\"] [?e :p/age ?a]]", ""),
    ("[:find ?a ?e :where [?e :p/age ?a] [?e :p/name \"Bob\"] [(> ?a 40)]]", ""),
    ("[:find ?n ?m :where [?e :p/friend ?f] [?e :p/name ?n] [?f :p/name ?m]]", ""),
    ("[:find ?e1 ?n :where [?e :p/name \"Eve\"] [?e :p/size ?s] [?e1 :p/size ?s] [?e1 :p/name ?n]]", ""),
    ("[:find ?e ?x :where [?e :p/nick ?k] [?e :p/friend ?f] [?f :p/nick ?k] [?f :p/age ?x]]", ""),
    ("[:find ?e :where [?e :p/size ?s] [(< ?s 5)] (not [?e :p/nick :a])]", ""),
    ("[:find ?e ?v :where (or [?e :p/age ?v] [?e :p/size ?v]) [?e :p/nick :b]]", ""),
    (
        "[:find ?e ?f :where (or-join [?e ?f] [?e :p/boss ?f] (and [?e :p/friend ?g] [?g :p/boss ?f])) [?f :p/size 3]]",
        "",
    ),
    ("[:find ?s (count ?e) (sum ?a) (max ?n) :where [?e :p/size ?s] [?e :p/age ?a] [?e :p/name ?n]]", ""),
    ("[:find ?n (count ?e) :with ?f :where [?e :p/name ?n] [?e :p/friend ?f]]", ""),
    ("[:find ?e ?b :in $ [?n ...] :where [?e :p/name ?n] [?e :p/boss ?b]]", "[\"Ann\" \"Dan\" \"Zoe\"]"),
    (
        "[:find ?e ?w :in $ [[?n ?w]] :where [?e :p/name ?n] [?e :p/age 31]]",
        "[[\"Ann\" 1] [\"Bob\" 2] [\"Bob\" 3]]",
    ),
    ("[:find ?e ?a ?v :in $ ?m :where [?e :p/email ?m] [?e ?a ?v]]", "\"3@x\""),
    ("[:find ?e ?y :where [?e :p/age ?a] [(* ?a 2) ?y] [?e :p/size ?y]]", ""),
    ("[:find ?e ?tx :where [?e :p/size 7 ?tx] [?e :p/nick _]]", ""),
    ("[:find ?x ?y :where [?x :p/boss ?y] [?y :p/boss ?x]]", ""),
    ("[:find ?e :where [?e :p/boss ?e]]", ""),
    ("[:find ?n ?e :where [?e :p/name ?n] :order-by [[?n :desc]] :limit 7 :offset 3]", ""),
];

#[test]
fn every_plan_gives_the_same_rows_in_the_same_order() {
    let db = people(120);
    for (query, args) in QUERIES {
        let args = arguments(&db, args);
        let prepared = prepared(query, &args);
        let expected = all(prepared.run(&args, QueryCtx::default()).expect("it starts")).expect("it runs");
        for seed in 0..25 {
            let rows = prepared.run_any_plan(&args, QueryCtx::default(), seed).expect("it starts");
            assert_eq!(all(rows).expect("it runs"), expected, "seed {seed} of {query}");
        }
    }
}

#[test]
fn the_order_of_clauses_changes_nothing() {
    let db = people(150);
    let clauses = ["[?e :p/name \"Ann\"]", "[?e :p/friend ?f]", "[?f :p/age ?a]", "[(< ?a 50)]"];
    let query = |order: [usize; 4]| {
        let clauses: Vec<&str> = order.iter().map(|i| clauses[*i]).collect();
        answer(&db, &format!("[:find ?e ?a :where {}]", clauses.join(" ")), "").expect("it runs")
    };
    let expected = query([0, 1, 2, 3]);
    assert!(expected.len() > 10);
    for order in [[3, 2, 1, 0], [1, 0, 3, 2], [2, 3, 0, 1], [1, 2, 3, 0]] {
        assert_eq!(query(order), expected);
    }
}

#[test]
fn the_number_of_rows_read_does_not_depend_on_the_written_order() {
    let db = people(2000);
    let read = |query: &str| {
        let args = arguments(&db, "");
        let prepared = prepared(query, &args);
        let mut rows = prepared.run(&args, QueryCtx::default()).expect("it starts");
        while rows.next().expect("it runs").is_some() {}
        rows.counters().datoms
    };
    let good = read("[:find ?e ?f :where [?e :p/email \"4@x\"] [?e :p/friend ?f] [?f :p/age ?a]]");
    let bad = read("[:find ?e ?f :where [?f :p/age ?a] [?e :p/friend ?f] [?e :p/email \"4@x\"]]");
    assert_eq!(good, bad);
    assert!(good < 10, "{good} rows read for one entity");
}

#[test]
fn the_log_is_a_source_like_any_other() {
    let db = people(20);
    let end = T(db.basis().0 + 1);
    let rows = |argument: Argument, query: &str| {
        let args = [Argument::Db(db.clone()), argument];
        all(prepared(query, &args).run(&args, QueryCtx::default()).expect("it starts")).expect("it runs")
    };
    let query = "[:find (count ?e) . :in $ $log :where [$log ?e _ _ ?tx true] [?e :p/name \"Ann\"]]";
    let counted = rows(Argument::Events(db.clone(), T(2), end), query);
    let events = answer(&db, "[:find (count ?e) . :where [?e :p/name \"Ann\"]]", "").expect("it runs");
    assert_eq!(counted, events);
    let query = "[:find ?tx ?at :in $ $txs :where [$txs ?tx ?at] [?tx :db/txInstant ?at]]";
    let transactions = rows(Argument::Transactions(db.clone(), T(1), end), query);
    assert_eq!(transactions.len() as u64, db.basis().0);
}
