//! What explaining shows. The texts are golden: a change of plan, order or cost is seen here.
//!
//! `ANNALS_REGENERATE=1 cargo test -p annals-query --test engine explain` writes them anew.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use annals_edn::read_one;
use annals_query::{Explanation, Position, QueryCtx, Timer};

use crate::support::{arguments, people, prepared};

/// A name, a query, and its arguments after the database.
const CASES: &[(&str, &str, &str)] = &[
    ("q1", "[:find ?e :where [?e :p/name \"Ann\"]]", ""),
    ("q2", "[:find ?e ?a :where [?e :p/name \"Ann\"] [?e :p/age ?a]]", ""),
    ("q3", "[:find ?e ?a :where [?e :p/name \"Ann\"] [?e :p/age ?a] [?e :p/size 3]]", ""),
    ("q4", "[:find ?e ?n ?a ?s :where [?e :p/name ?n] [?e :p/age ?a] [?e :p/size ?s] [?e :p/nick :a]]", ""),
    ("point", "[:find ?e ?a :where [?e :p/age ?a] [?e :p/email \"4@x\"]]", ""),
    ("input", "[:find ?e ?n :in $ [?n ...] :where [?e :p/name ?n]]", "[\"Ann\" \"Dan\"]"),
    (
        "range",
        "[:find ?e ?s :where [?e :p/size ?s] [(> ?s 37)] :order-by [[?s :desc]] :limit 5 :offset 2]",
        "",
    ),
    ("links", "[:find ?n ?m :where [?e :p/friend ?f] [?e :p/name ?n] [?f :p/name ?m]]", ""),
    ("product", "[:find ?n ?s :where [?x :p/name ?n] [?y :p/size ?s]]", ""),
    ("groups", "[:find ?s (count ?e) :where [?e :p/size ?s] [?e :p/age ?a]]", ""),
    ("pulled", "[:find (pull ?e [:p/name]) :where [?e :p/size 7]]", ""),
    (
        "branches",
        "[:find ?e ?v :where (or-join [?e ?v] [?e :p/age ?v] (and [?e :p/boss ?b] [?b :p/size ?v])) (not [?e :p/nick :b])]",
        "",
    ),
    (
        "closure",
        "[:find ?y :in $ % :where (above ?x ?y) [?x :p/email \"9@x\"]]",
        "[[(above ?x ?y) [?x :p/boss ?y]] [(above ?x ?y) [?x :p/boss ?t] (above ?t ?y)]]",
    ),
    (
        "fixpoint",
        "[:find ?y :in $ % :where [?x :p/email \"9@x\"] (odd ?x ?y)]",
        "[[(odd ?x ?y) [?x :p/boss ?y]] [(odd ?x ?y) [?x :p/boss ?t] (even ?t ?y)]
          [(even ?x ?y) [?x :p/boss ?t] (odd ?t ?y)]]",
    ),
    (
        "rule",
        "[:find ?e ?x :in $ % :where (sized ?e ?x) [?e :p/name \"Bob\"]]",
        "[[(sized ?p ?x) [?p :p/size ?x] [(< ?x 9)]]]",
    ),
    (
        "nested",
        "[:find ?s ?most :where [?x :p/email \"8@x\"] [?x :p/size ?s]
          [(q [:find (max ?a) . :in $ ?s :where [?e :p/size ?s] [?e :p/age ?a]] $ ?s) ?most]]",
        "",
    ),
];

/// A clock that goes on by a microsecond whenever it is looked at.
fn ticks() -> impl Fn() -> u64 + Sync {
    let now = AtomicU64::new(0);
    move || now.fetch_add(1_000, Ordering::Relaxed)
}

fn explained(query: &str, args: &str, analyze: bool) -> Explanation {
    let db = people(400);
    let args = arguments(&db, args);
    let prepared = prepared(query, &args);
    if !analyze {
        return prepared.explain(&args, None).expect("it is planned");
    }
    let clock = ticks();
    let all = (&Position::default(), u64::MAX);
    prepared.analyze(&args, QueryCtx::default(), Timer::new(&clock), all).expect("it runs")
}

fn golden() -> String {
    let mut text = String::new();
    for (name, query, args) in CASES {
        text += &format!("==== {name}\n{}\n", explained(query, args, false));
        text += &format!("---- {name}, run\n{}\n", explained(query, args, true));
    }
    text
}

#[test]
fn explanations_are_as_they_were() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/engine/explain.txt");
    let found = golden();
    if std::env::var_os("ANNALS_REGENERATE").is_some() {
        std::fs::write(&file, &found).expect("the file can be written");
    }
    let known = std::fs::read_to_string(&file).expect("the file is there");
    for (number, (found, known)) in found.lines().zip(known.lines()).enumerate() {
        assert_eq!(found, known, "line {} of {}", number + 1, file.display());
    }
    assert_eq!(found.lines().count(), known.lines().count());
}

#[test]
fn data_says_what_text_says() {
    for (name, query, args) in CASES {
        for analyze in [false, true] {
            let explanation = explained(query, args, analyze);
            let edn = explanation.to_edn();
            assert_eq!(read_one(&edn.to_string()).expect("it is EDN"), edn, "{name}");
            let text = edn.to_string();
            assert!(text.contains(":operators"), "{name}: {text}");
            assert_eq!(text.contains(":actual"), analyze, "{name}: {text}");
            for operator in &explanation.operators {
                assert!(text.contains(operator.kind), "{name}: {text}");
            }
        }
    }
}

#[test]
fn a_known_plan_is_said_to_be_known() {
    let db = people(100);
    let args = arguments(&db, "");
    let prepared = prepared("[:find ?e ?a :where [?e :p/age ?a] [?e :p/name \"Bob\"]]", &args);
    let clock = ticks();
    let timer = Timer::new(&clock);
    let cached = || prepared.explain(&args, Some(timer)).expect("it is planned").planned.map(|p| p.cached);
    assert_eq!(cached(), Some(false));
    assert_eq!(cached(), Some(true));
}
