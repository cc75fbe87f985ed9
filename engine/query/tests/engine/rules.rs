//! Recursive rules, however they are written and whichever end is bound, by closure and by fixpoint.

use annals_db::Db;
use annals_query::{Datum, QueryCtx};

use crate::support::{all, answer, arguments, people, prepared};

const RIGHT: &str = "[[(r ?x ?y) [?x :p/friend ?y]] [(r ?x ?y) [?x :p/friend ?t] (r ?t ?y)]]";
const LEFT: &str = "[[(r ?x ?y) [?x :p/friend ?y]] [(r ?x ?y) (r ?x ?t) [?t :p/friend ?y]]]";
const DOUBLE: &str = "[[(r ?x ?y) [?x :p/friend ?y]] [(r ?x ?y) (r ?x ?t) (r ?t ?y)]]";
const MUTUAL: &str = "[[(r ?x ?y) [?x :p/friend ?y]] [(r ?x ?y) (s ?x ?y)]
 [(s ?x ?y) [?x :p/friend ?t] (r ?t ?y)]]";
const BODY: &str = "[[(r ?x ?y) (e ?x ?y)] [(r ?x ?y) (e ?x ?t) (r ?t ?y)]
 [(e ?x ?y) [?x :p/friend ?y] [?x :p/name _]]]";

/// Everything that can be reached, by hand.
fn reachable(db: &Db) -> Vec<Vec<Datum>> {
    let edges = answer(db, "[:find ?x ?y :where [?x :p/friend ?y]]", "").expect("it runs");
    let mut pairs: std::collections::BTreeSet<(i64, i64)> = Default::default();
    let id = |datum: &Datum| datum.value().and_then(|value| value.as_ref().as_integer()).expect("an id");
    let edges: Vec<(i64, i64)> = edges.iter().map(|row| (id(&row[0]), id(&row[1]))).collect();
    pairs.extend(&edges);
    loop {
        let more: Vec<(i64, i64)> = pairs
            .iter()
            .flat_map(|(x, t)| edges.iter().filter(move |(from, _)| from == t).map(move |(_, y)| (*x, *y)))
            .filter(|pair| !pairs.contains(pair))
            .collect();
        if more.is_empty() {
            break;
        }
        pairs.extend(more);
    }
    pairs.into_iter().map(|(x, y)| vec![Datum::long(x), Datum::long(y)]).collect()
}

#[test]
fn every_way_of_writing_a_closure_gives_the_closure() {
    let db = people(30);
    let expected = reachable(&db);
    assert!(expected.len() > 200);
    let bound = |column: usize, id: &Datum| -> Vec<Vec<Datum>> {
        expected.iter().filter(|row| row[column] == *id).cloned().collect()
    };
    let id = expected[40][0].clone();
    let text = id.to_edn().to_string();
    for rules in [RIGHT, LEFT, DOUBLE, MUTUAL, BODY] {
        let cases = [
            ("[:find ?x ?y :in $ % :where (r ?x ?y)]", rules.to_owned(), expected.clone()),
            ("[:find ?x ?y :in $ % ?x :where (r ?x ?y)]", format!("{rules} {text}"), bound(0, &id)),
            ("[:find ?x ?y :in $ % ?y :where (r ?x ?y)]", format!("{rules} {text}"), bound(1, &id)),
        ];
        for (query, args, expected) in cases {
            let args = arguments(&db, &args);
            let prepared = prepared(query, &args);
            let rows = prepared.run(&args, QueryCtx::default()).expect("it starts");
            assert_eq!(all(rows).expect("it runs"), expected, "{query} with {rules}");
            for seed in 0..8 {
                let rows = prepared.run_any_plan(&args, QueryCtx::default(), seed).expect("it starts");
                assert_eq!(all(rows).expect("it runs"), expected, "seed {seed} of {query} with {rules}");
            }
        }
    }
}

#[test]
fn a_bound_start_reads_only_what_it_reaches() {
    let db = people(4_000);
    let query = "[:find ?y :in $ % ?m :where [?x :p/email ?m] (up ?x ?y)]";
    for rules in [
        "[[(up ?x ?y) [?x :p/boss ?y]] [(up ?x ?y) [?x :p/boss ?t] (up ?t ?y)]]",
        "[[(up ?x ?y) [?x :p/boss ?y]] [(up ?x ?y) (up ?x ?t) [?t :p/boss ?y]]]",
        "[[(up ?x ?y) [?x :p/boss ?y] [?y :p/age _]] [(up ?x ?y) [?x :p/boss ?t] [?t :p/size _] (up ?t ?y)]]",
        "[[(up ?x ?y) [?x :p/boss ?y] [?y :p/age _]] [(up ?x ?y) (up ?x ?t) [?t :p/size _] [?t :p/boss ?y]]]",
    ] {
        let args = arguments(&db, &format!("{rules} \"3999@x\""));
        let prepared = prepared(query, &args);
        let mut rows = prepared.run(&args, QueryCtx::default()).expect("it starts");
        let mut count = 0;
        while let Some(batch) = rows.next().expect("it runs") {
            count += batch.rows;
        }
        assert_eq!(count, 12, "{rules}");
        let read = rows.counters().datoms;
        assert!(read < 400, "{read} rows read with {rules}");
    }
}

#[test]
fn recursion_through_new_values_works_from_bound_arguments() {
    let db = people(3);
    let rules =
        "[[(down ?x ?y) [(= ?x 0)] [(identity ?x) ?y]] [(down ?x ?y) [(> ?x 0)] [(- ?x 1) ?t] (down ?t ?y)]]";
    let rows = answer(&db, "[:find ?y :in $ % ?n :where (down ?n ?y)]", &format!("{rules} 500"));
    assert_eq!(rows.expect("it runs"), [[Datum::long(0)]]);
}

#[test]
fn negation_of_a_recursive_rule_is_evaluated_after_it() {
    let db = people(60);
    let rules = format!("{RIGHT} \"1@x\"");
    let all = answer(&db, "[:find ?y :where [?y :p/name _]]", "").expect("it runs").len();
    let reached = "[:find ?y :in $ % ?m :where [?x :p/email ?m] (r ?x ?y)]";
    let missed = "[:find ?y :in $ % ?m :where [?x :p/email ?m] [?y :p/name _] (not (r ?x ?y))]";
    let reached = answer(&db, reached, &rules).expect("it runs").len();
    let missed = answer(&db, missed, &rules).expect("it runs").len();
    assert_eq!(reached + missed, all);
}

#[test]
fn a_long_chain_costs_its_length_from_either_end() {
    const LENGTH: usize = 2_000;
    let links: Vec<String> = (0..LENGTH)
        .map(|i| format!("{{:db/id \"n{i}\" :p/email \"n{i}@x\" :p/boss \"n{}\"}}", i + 1))
        .collect();
    let end = format!("{{:db/id \"n{LENGTH}\" :p/email \"n{LENGTH}@x\"}}");
    let db = crate::support::apply(&people(1), &format!("[{} {end}]", links.join(" ")));
    let chains = [RIGHT, LEFT, DOUBLE, MUTUAL].map(|rules| rules.replace(":p/friend", ":p/boss"));
    for rules in chains {
        let queries = [
            ("[:find ?y :in $ % ?m :where [?x :p/email ?m] (r ?x ?y)]", "n0@x".to_owned()),
            ("[:find ?x :in $ % ?m :where [?y :p/email ?m] (r ?x ?y)]", format!("n{LENGTH}@x")),
        ];
        for (query, email) in queries {
            let args = arguments(&db, &format!("{rules} {email:?}"));
            let mut rows = prepared(query, &args).run(&args, QueryCtx::default()).expect("it starts");
            let mut found = 0;
            while let Some(batch) = rows.next().expect("it runs") {
                found += batch.rows;
            }
            assert_eq!(found, LENGTH, "{rules}");
            let work = rows.counters().datoms + rows.counters().produced;
            assert!(work < 20 * LENGTH as u64, "{work} rows of work: {query} {rules}");
        }
    }
}
