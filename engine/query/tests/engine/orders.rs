//! Whatever order the clauses are written in: the same rows in the same order, and about the same work.

use annals_db::Db;
use annals_query::{Argument, Datum, QueryCtx};

use crate::support::{arguments, people, prepared};

/// Orders tried of a query whose orders are too many to try all.
const SHUFFLES: usize = 200;
/// The most clauses of which every order is tried.
const ALL_ORDERS: usize = 5;
/// How many times the least work of any order another may take.
const FACTOR: u64 = 3;
/// Rows that nobody counts: so much work is small whatever the ratio.
const SMALL: u64 = 64;

/// A query in parts: what is found, the inputs after `$`, the clauses, the arguments.
struct Case(&'static str, &'static str, &'static [&'static str], &'static str);

const RULES: &str = "[[(above ?x ?y) [?x :p/boss ?y]] [(above ?x ?y) [?x :p/boss ?z] (above ?z ?y)]
  [(knows ?x ?y) [?x :p/friend ?y]] [(knows ?x ?y) (knows ?x ?z) (knows ?z ?y)]]";

const CASES: &[Case] = &[
    Case("?e ?a", "", &["[?e :p/name \"Ann\"]", "[?e :p/age ?a]", "[?e :p/nick :a]"], ""),
    Case(
        "?f ?a",
        "?m",
        &["[?e :p/email ?m]", "[?e :p/friend ?f]", "[?f :p/age ?a]", "[(< ?a 60)]"],
        "\"4@x\"",
    ),
    Case(
        "?n ?m",
        "?n",
        &["[?e :p/name ?n]", "[?e :p/friend ?f]", "[?f :p/boss ?b]", "[?b :p/name ?m]", "[?b :p/size 7]"],
        "\"Bob\"",
    ),
    Case(
        "?e1 ?l ?a",
        "",
        &["[?e :p/email \"9@x\"]", "[?e :p/age ?a]", "[?e1 :p/age ?a]", "[?e1 :p/name ?l]"],
        "",
    ),
    Case("?x ?y", "", &["[?x :p/friend ?y]", "[?y :p/friend ?x]", "[?x :p/size ?s]", "[?y :p/size ?s]"], ""),
    Case(
        "?e ?k",
        "",
        &[
            "[?e :p/size 3]",
            "(or [?e :p/nick :a] [?e :p/nick :b])",
            "[?e :p/nick ?k]",
            "(not [?e :p/boss ?e])",
        ],
        "",
    ),
    Case("?s (count ?e)", "", &["[?e :p/size ?s]", "[?e :p/name ?n]", "[(= ?n \"Eve\")]", "[(< ?s 20)]"], ""),
    Case("?e ?d", "", &["[?e :p/age ?a]", "[(* ?a 2) ?d]", "[?f :p/size ?d]", "[?e :p/friend ?f]"], ""),
    Case("?n", "% ?m", &["[?e :p/email ?m]", "(above ?e ?b)", "[?b :p/name ?n]"], "RULES \"1999@x\""),
    Case("?e", "% ?m", &["[?b :p/email ?m]", "(above ?e ?b)", "[?e :p/size 5]"], "RULES \"40@x\""),
    Case(
        "?a",
        "% ?m",
        &["[?e :p/email ?m]", "(knows ?e ?f)", "[?f :p/age ?a]", "[?f :p/size 11]"],
        "RULES \"7@x\"",
    ),
    Case(
        "?e ?w",
        "[[?n ?w] ...]",
        &["[?e :p/name ?n]", "[?e :p/size 4]", "[?e :p/boss ?b]"],
        "[[\"Ann\" 1] [\"Eve\" 2]]",
    ),
    Case(
        "?n1 ?n2",
        "?m",
        &[
            "[?a :p/email ?m]",
            "[?r :p/friend ?a]",
            "[?r :p/size ?s]",
            "[?q :p/size ?s]",
            "[?q :p/friend ?b]",
            "[?b :p/name ?n2]",
            "[?r :p/name ?n1]",
            "[(!= ?a ?b)]",
        ],
        "\"12@x\"",
    ),
    Case(
        "?en ?fn ?bn",
        "",
        &[
            "[?e :p/friend ?f]",
            "[?e :p/name ?en]",
            "[?f :p/name ?fn]",
            "[?f :p/boss ?b]",
            "[?b :p/name ?bn]",
            "[?e :p/age ?y]",
            "[(< ?y 9)]",
        ],
        "",
    ),
];

fn permutations(count: usize) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    for next in 0..count {
        let longer = |order: &Vec<usize>| {
            (0..=order.len())
                .map(|at| {
                    let mut order = order.clone();
                    order.insert(at, next);
                    order
                })
                .collect::<Vec<_>>()
        };
        all = all.iter().flat_map(longer).collect();
    }
    all
}

fn shuffles(count: usize) -> Vec<Vec<usize>> {
    let mut seed = 0x1234_5678_9ABC_DEF1_u64;
    let mut below = |bound: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % bound
    };
    let mut shuffled = || {
        let mut order: Vec<usize> = (0..count).collect();
        (1..count).rev().for_each(|i| order.swap(i, below(i + 1)));
        order
    };
    (0..SHUFFLES).map(|_| shuffled()).collect()
}

/// Rows and work of one order.
fn run(db: &Db, case: &Case, order: &[usize]) -> (Vec<Vec<Datum>>, u64) {
    let Case(find, inputs, clauses, args) = case;
    let clauses: Vec<&str> = order.iter().map(|i| clauses[*i]).collect();
    let inputs = inputs.replace("[[?n ?w] ...]", "[[?n ?w]]");
    let query = format!("[:find {find} :in $ {inputs} :where {}]", clauses.join(" "));
    let args: Vec<Argument> = arguments(db, &args.replace("RULES", RULES));
    let prepared = prepared(&query, &args);
    let mut rows = prepared.run(&args, QueryCtx::default()).expect("it starts");
    let mut found = Vec::new();
    while let Some(batch) = rows.next().unwrap_or_else(|error| panic!("{error}: {query}")) {
        found.extend((0..batch.rows).map(|i| batch.columns.iter().map(|col| col.get(i)).collect()));
    }
    let counters = rows.counters();
    (found, counters.datoms + counters.produced)
}

#[test]
fn no_order_of_clauses_is_much_worse_than_another() {
    let db = people(2000);
    let mut found = 0;
    for case in CASES {
        let count = case.2.len();
        let orders = if count <= ALL_ORDERS { permutations(count) } else { shuffles(count) };
        let (expected, first) = run(&db, case, &orders[0]);
        let (mut least, mut most) = (first, first);
        for order in &orders[1..] {
            let (rows, work) = run(&db, case, order);
            assert_eq!(rows, expected, "{order:?} of {:?}", case.2);
            (least, most) = (least.min(work), most.max(work));
        }
        found += usize::from(!expected.is_empty());
        assert!(most <= least * FACTOR + SMALL, "{least} to {most} rows of work: {:?}", case.2);
    }
    assert!(found * 4 > CASES.len() * 3, "only {found} of the queries find something");
}
