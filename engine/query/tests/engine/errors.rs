//! Which error a query reports does not depend on its plan.

use annals_edn::Code;
use annals_query::QueryCtx;

use crate::support::{all, answer, arguments, people, prepared};

#[test]
fn a_row_that_is_not_delivered_may_fail() {
    let db = people(40);
    // Size 0 would divide by zero, but nobody of that size is asked for.
    let rows = answer(&db, "[:find ?e ?x :where [?e :p/size ?s] [(/ 100 ?s) ?x] [(> ?s 0)]]", "");
    assert_eq!(rows.expect("it runs").len(), 39);
    let rows = answer(
        &db,
        "[:find ?e ?x :where [?e :p/size ?s] [(/ 100 ?s) ?x] [?e :p/name \"Bob\"] [(> ?s 0)]]",
        "",
    );
    assert!(!rows.expect("it runs").is_empty());
}

#[test]
fn a_delivered_row_that_failed_fails_the_query_by_every_plan() {
    let db = people(40);
    let args = arguments(&db, "");
    for query in [
        "[:find ?e ?x :where [?e :p/size ?s] [(/ 100 ?s) ?x] [?e :p/age ?a]]",
        "[:find (sum ?x) :where [?e :p/size ?s] [(/ 100 ?s) ?x] [?e :p/age ?a]]",
        "[:find ?e :where [?e :p/size ?s] [(/ 100 ?s) ?x] [(< ?x 1000)]]",
    ] {
        let prepared = prepared(query, &args);
        for seed in 0..12 {
            let rows = prepared.run_any_plan(&args, QueryCtx::default(), seed).expect("it starts");
            assert_eq!(all(rows).expect_err("a row failed").code(), Code::DivisionByZero, "{query}");
        }
    }
}
