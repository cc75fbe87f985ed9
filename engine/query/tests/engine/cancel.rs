//! How much is done after the cancel flag is set, in rows: no step, sort or copy is long without a look at it.
//!
//! The clock that a run is lent is read at every look, so a clock that sets the flag sets it at a look of one's choice. A
//! run is deterministic: what lies between two looks is the difference of two runs stopped at them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use annals_db::{Db, Incarnation, Options};
use annals_edn::{Code, Edn};
use annals_query::{Argument, Pattern, Prepared, QueryCtx, QueryLimits, Timer, pull_many_until};

use crate::support::{SCHEMA, apply, arguments, people, prepared};

/// Rows read, made or moved between two looks: some milliseconds.
const MOST: u64 = 600_000;

/// How a run ended, what it did, and how often it looked.
struct Ended {
    code: Option<Code>,
    work: u64,
    looks: u64,
}

/// Runs to the end, or until the flag is seen that is set at look number `at`.
fn stopped_at(query: &Prepared, args: &[Argument], at: u64) -> Ended {
    let (cancel, looks) = (AtomicBool::new(false), AtomicU64::new(0));
    let clock = || {
        if looks.fetch_add(1, Ordering::Relaxed) + 1 == at {
            cancel.store(true, Ordering::Relaxed);
        }
        0
    };
    let limits = QueryLimits { time: 1, bytes: 4 << 30, ..QueryLimits::default() };
    let ctx = QueryCtx { cancel: &cancel, limits, timer: Some(Timer::since(&clock, 0)), reads: None };
    let mut rows = query.run(args, ctx).expect("it starts");
    let code = loop {
        match rows.next() {
            Ok(Some(_)) => {}
            Ok(None) => break None,
            Err(error) => break Some(error.code()),
        }
    };
    let counters = rows.counters();
    let work = counters.datoms + counters.produced + counters.moved;
    Ended { code, work, looks: looks.load(Ordering::Relaxed) }
}

/// Stops the query at looks spread over its run.
fn is_never_long_without_a_look(name: &str, query: &str, args: &[Argument], samples: u64) {
    let query = prepared(query, args);
    let whole = stopped_at(&query, args, u64::MAX);
    assert_eq!(whole.code, None, "{name}");
    assert!(whole.work > 2 * MOST, "{name} does {} rows of work only", whole.work);
    let spread = (whole.looks / samples).max(1) as usize;
    for at in (1..whole.looks - 1).step_by(spread) {
        let (first, second) = (stopped_at(&query, args, at), stopped_at(&query, args, at + 1));
        assert_eq!(first.code, Some(Code::Cancelled), "{name}, look {at} of {}", whole.looks);
        assert!(first.looks == at, "{name} went on after look {at}");
        let between = second.work - first.work;
        assert!(between <= MOST, "{name} does {between} rows of work after look {at} of {}", whole.looks);
    }
    assert!(whole.work / whole.looks <= MOST, "{name} looks {} times", whole.looks);
}

#[test]
fn products_and_their_sorts() {
    let db = people(1_300);
    let args = arguments(&db, "");
    for (name, query) in [
        ("product", "[:find ?a ?b :where [?x :p/email ?a] [?y :p/email ?b] :order-by [[?b :desc]]]"),
        ("numbers", "[:find ?x ?y ?b :where [?x :p/age _] [?y :p/size ?b] :order-by [[?b :desc]]]"),
        ("groups", "[:find ?a (count ?y) :with ?x :where [?x :p/age ?a] [?y :p/size _]]"),
    ] {
        is_never_long_without_a_look(name, query, &args, 12);
    }
}

#[test]
fn recursion_from_everywhere() {
    let db = people(1_100);
    let args =
        arguments(&db, "[[(knows ?x ?y) [?x :p/friend ?y]] [(knows ?x ?y) [?x :p/friend ?t] (knows ?t ?y)]]");
    is_never_long_without_a_look(
        "closure",
        "[:find (count ?x) . :with ?y :in $ % :where (knows ?x ?y)]",
        &args,
        12,
    );
}

#[test]
fn large_inputs() {
    let db = people(50);
    let numbers = (0..500_000).map(|n| Edn::new(annals_edn::Node::Long(n))).collect();
    let args = [Argument::Db(db), Argument::Form(Edn::vector(numbers))];
    is_never_long_without_a_look("input", "[:find ?n ?m :in $ [?n ...] :where [(+ ?n 1) ?m]]", &args, 3);
}

#[test]
fn a_value_that_very_many_have() {
    let mut db = apply(&Db::empty(Incarnation(7), Options::default()), SCHEMA);
    db = apply(&db, "[{:p/email \"k\" :p/size 3}]");
    for _ in 0..70 {
        db = apply(&db, &format!("[{}]", "{:p/size 3}".repeat(10_000)));
    }
    let args = arguments(&db, "");
    let query = "[:find ?e ?x :where [?x :p/email \"k\"] [?x :p/size ?s] [?e :p/size ?s]]";
    is_never_long_without_a_look("look-up", query, &args, 12);
}

#[test]
fn pulls_of_many_entities() {
    let db = people(20);
    let pattern = Pattern::parse(&annals_edn::read_one("[:p/name]").expect("it reads")).expect("a pattern");
    let entities = vec![annals_edn::read_one("[:p/email \"3@x\"]").expect("it reads"); 5_000];
    let cancel = AtomicBool::new(true);
    let refused = pull_many_until(&db, &pattern, &entities, &cancel).expect_err("it is stopped");
    assert_eq!(refused.code(), Code::Cancelled);
    cancel.store(false, Ordering::Relaxed);
    assert_eq!(pull_many_until(&db, &pattern, &entities, &cancel).expect("it runs").len(), 5_000);
}

#[test]
fn time_that_has_passed_names_limit_and_step() {
    let db = people(300);
    let args = arguments(&db, "");
    let prepared = prepared("[:find ?a ?b :where [?x :p/age ?a] [?y :p/size ?b]]", &args);
    let now = AtomicU64::new(0);
    let clock = || now.fetch_add(1_000_000, Ordering::Relaxed);
    let limits = QueryLimits { time: 2_000_000, ..QueryLimits::default() };
    let ctx = QueryCtx { limits, timer: Some(Timer::new(&clock)), ..QueryCtx::default() };
    let error =
        crate::support::all(prepared.run(&args, ctx).expect("it starts")).expect_err("it takes longer");
    assert_eq!(error.code(), Code::DeadlineExceeded);
    assert!(error.message().contains("2 ms"), "{error:?}");
    let detail =
        |name: &str| error.details().iter().find(|(known, _)| *known == name).map(|(_, v)| v.clone());
    assert!(detail("operator").is_some_and(|operator| !operator.is_empty()), "{error:?}");
    assert!(detail("clause").is_some_and(|clause| clause.contains(":p/")), "{error:?}");
    assert!(error.span().is_some() && error.hint_text().is_some(), "{error:?}");
}
