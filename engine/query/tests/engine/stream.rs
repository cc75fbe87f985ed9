//! Rows leave before the scan ends, any run goes on where another stopped, and queries stop when told to.

use std::sync::atomic::{AtomicBool, Ordering};

use annals_edn::Code;
use annals_query::{Position, QueryCtx, QueryLimits};

use crate::support::{all, answer, arguments, people, prepared};

#[test]
fn the_first_rows_leave_before_the_scan_ends() {
    let db = people(10_000);
    let args = arguments(&db, "");
    for query in [
        "[:find ?e ?v :where [?e :p/age ?v]]",
        "[:find ?e ?n :where [?e :p/nick ?n]]",
        "[:find ?v :where [_ :p/size ?v]]",
    ] {
        let prepared = prepared(query, &args);
        let mut rows = prepared.run(&args, QueryCtx::default()).expect("it starts");
        let first = rows.next().expect("it runs").expect("there are rows");
        assert!(first.rows > 0);
        let read = rows.counters().datoms;
        assert!(read < 5_000, "{read} rows read before the first batch of {query}");
    }
}

#[test]
fn a_limit_stops_the_scan() {
    let db = people(10_000);
    let args = arguments(&db, "");
    let prepared = prepared("[:find ?e ?v :where [?e :p/age ?v] :limit 3]", &args);
    let mut rows = prepared.run(&args, QueryCtx::default()).expect("it starts");
    assert_eq!(rows.next().expect("it runs").map(|batch| batch.rows), Some(3));
    assert!(rows.next().expect("it runs").is_none());
    assert!(rows.counters().datoms < 5_000);
}

#[test]
fn any_run_goes_on_where_another_stopped() {
    let db = people(3_000);
    let args = arguments(&db, "");
    for query in [
        "[:find ?e ?v :where [?e :p/age ?v]]",
        "[:find ?e ?n :where [?e :p/nick ?n]]",
        "[:find ?v :where [_ :p/size ?v]]",
        "[:find ?n ?e :where [?e :p/nick :a] [?e :p/name ?n] :offset 5 :limit 900]",
        "[:find ?e ?f :where [?e :p/friend ?f] :offset 100 :limit 4000]",
        "[:find ?n (count ?e) :where [?e :p/size ?n]]",
        "[:find ?v ?e :where [?e :p/size ?v] :order-by [[?v :desc]]]",
    ] {
        let prepared = prepared(query, &args);
        let whole = all(prepared.run(&args, QueryCtx::default()).expect("it starts")).expect("it runs");
        let mut pieces = Vec::new();
        let mut position = Position::default();
        loop {
            let mut rows = prepared.run_from(&args, QueryCtx::default(), &position).expect("it starts");
            let Some(batch) = rows.next().expect("it runs") else { break };
            position = rows.position().clone();
            pieces.extend(
                (0..batch.rows).map(|i| batch.columns.iter().map(|col| col.get(i)).collect::<Vec<_>>()),
            );
        }
        assert_eq!(pieces.len(), whole.len(), "{query}");
        assert_eq!(pieces, whole, "{query}");
        let counted = Position { lead: None, ..position.clone() };
        let rest = prepared.run_from(&args, QueryCtx::default(), &counted).expect("it starts");
        assert!(all(rest).expect("it runs").is_empty(), "{query}");
    }
}

#[test]
fn going_on_reads_only_what_is_left() {
    let db = people(10_000);
    let args = arguments(&db, "");
    let prepared = prepared("[:find ?e ?v :where [?e :p/age ?v]]", &args);
    let mut rows = prepared.run(&args, QueryCtx::default()).expect("it starts");
    while rows.position().rows < 9_000 {
        rows.next().expect("it runs").expect("there are rows");
    }
    let position = rows.position().clone();
    let mut rest = prepared.run_from(&args, QueryCtx::default(), &position).expect("it starts");
    let mut count = 0;
    while let Some(batch) = rest.next().expect("it runs") {
        count += batch.rows as u64;
    }
    assert_eq!(count + position.rows, 10_000);
    assert!(rest.counters().datoms <= count + 1);
}

#[test]
fn a_cancelled_query_stops() {
    let db = people(5_000);
    let args = arguments(&db, "");
    let cancel = AtomicBool::new(false);
    let ctx = QueryCtx { cancel: &cancel, ..QueryCtx::default() };
    let prepared = prepared("[:find ?e ?v :where [?e :p/age ?v]]", &args);
    let mut rows = prepared.run(&args, ctx).expect("it starts");
    assert!(rows.next().expect("it runs").is_some());
    cancel.store(true, Ordering::Relaxed);
    assert_eq!(rows.next().expect_err("it stops").code(), Code::Cancelled);
}

#[test]
fn a_step_that_multiplies_is_given_few_rows_at_a_time() {
    let db = people(3_000);
    let args = arguments(&db, "");
    // Nine million pairs, of which a reader takes the first ones.
    let prepared = prepared("[:find ?x ?y :where [?x :p/age _] [?y :p/size _]]", &args);
    let mut rows = prepared.run(&args, QueryCtx::default()).expect("it starts");
    let first = rows.next().expect("it runs").expect("there are rows");
    assert!(first.rows > 0);
    let produced = rows.counters().produced;
    assert!(produced < 1_000_000, "{produced} rows were made before the first were given out");
}

#[test]
fn budgets_name_the_limit() {
    let db = people(2_000);
    let args = arguments(&db, "");
    let small = |rows, bytes| QueryCtx {
        limits: QueryLimits { rows, bytes, ..QueryLimits::default() },
        ..QueryCtx::default()
    };
    let prepared = prepared("[:find ?a ?b :where [?x :p/age ?a] [?y :p/size ?b]]", &args);
    let refused = |ctx| all(prepared.run(&args, ctx).expect("it starts")).expect_err("it is too much");
    let names = |error: &annals_edn::Error, operator: &str| {
        let named = error.details().iter().find(|(name, _)| *name == "operator");
        assert!(named.is_some_and(|(_, value)| value.contains(operator)), "{error:?}");
    };
    let error = refused(small(1_000, 1 << 30));
    assert_eq!(error.code(), Code::RowsBudgetExceeded);
    names(&error, "[?");
    let error = refused(small(1 << 40, 10_000));
    assert_eq!(error.code(), Code::MemoryBudgetExceeded);
    names(&error, "hash join");
    assert!(error.details().iter().any(|(name, value)| *name == "limit" && value == "10000"));
}

#[test]
fn views_of_the_past_answer_as_the_past() {
    let db = people(50);
    let then = db.basis();
    let query = "[:find ?e ?a :where [?e :p/name \"Ann\"] [?e :p/age ?a]]";
    let before = answer(&db, query, "").expect("it runs");
    let mut later = db.clone();
    for i in 0..50 {
        later =
            crate::support::apply(&later, &format!("[{{:p/email \"{i}@x\" :p/age 1000 :p/name \"Zed\"}}]"));
    }
    assert!(answer(&later, query, "").expect("it runs").is_empty());
    assert_eq!(answer(&later.as_of(then), query, "").expect("it runs"), before);
    let ops = "[:find ?a ?op :where [?e :p/email \"3@x\"] [?e :p/age ?a _ ?op]]";
    assert_eq!(answer(&later.history(), ops, "").expect("it runs").len(), 3);
}
