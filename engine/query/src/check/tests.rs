//! Checks on queries written out, on one database with a ref and a long attribute or none.

use annals_db::{Db, Incarnation, Options};
use annals_edn::{Code, Error, read_one};

use super::{CheckedQuery, InputShape, check};
use crate::parse::parse_text;

fn checked(text: &str, rules: &str, data: usize) -> Result<CheckedQuery, Error> {
    let db = Db::empty(Incarnation(1), Options::default());
    let mut shapes = vec![InputShape::Db(db.schema().clone())];
    shapes.extend((0..data).map(|_| InputShape::Data));
    let rules = read_one(rules).expect("the rules read");
    check(&parse_text(text)?, Some(&rules), &shapes)
}

fn code(text: &str, rules: &str, data: usize) -> Option<Code> {
    checked(text, rules, data).err().map(|error| error.code())
}

#[test]
fn the_order_of_clauses_does_not_matter() {
    for text in [
        "[:find ?y :where [(inc ?a) ?y] [_ :age ?a]]",
        "[:find ?e :where (not [?e :age 8]) [?e :name]]",
        "[:find ?e ?n :where (or-join [[?e] ?n] [?e :name ?n]) [?e :age 8]]",
        "[:find ?e :where [?e] [?e :name]]",
        "[:find ?n :where [?e :name ?n] [?e :age ?a] (or [(< ?a 10)] [(> ?a 40)])]",
    ] {
        assert_eq!(code(text, "[]", 0), None, "{text}");
    }
}

#[test]
fn what_nothing_binds_is_refused() {
    for (text, wanted) in [
        ("[:find ?x :where [(< ?x 5)]]", Code::InsufficientBinding),
        ("[:find ?e :where (not [?e :age 5])]", Code::InsufficientBinding),
        ("[:find ?n :where [?e :name ?n] (not [?x :age 8])]", Code::InsufficientBinding),
        ("[:find ?x :where [?x ?x ?x]]", Code::InsufficientBinding),
        ("[:find ?e :where [?e _ _] [?e :age 8]]", Code::InsufficientBinding),
        ("[:find ?e ?x :where (or-join [?e ?x] [?e :age 8] [?x :name \"b\"])]", Code::InsufficientBinding),
        ("[:find ?e ?n :where (or-join [[?e] ?n] [?e :name ?n])]", Code::InsufficientBinding),
        ("[:find ?e :where [?e :age 8 _ true 7]]", Code::InvalidClause),
    ] {
        let error = checked(text, "[]", 0).expect_err(text);
        assert_eq!(error.code(), wanted, "{text}");
        assert!(error.span().is_some() && error.hint_text().is_some(), "{text}");
    }
}

#[test]
fn rules_are_safe_for_what_they_are_called_with() {
    let recursion = "[[(up ?n) [(ground 0) ?n]] [(up ?n) (up ?m) [(< ?m 5)] [(inc ?m) ?n]]]";
    assert_eq!(code("[:find ?n :in $ % :where (up ?n)]", recursion, 1), Some(Code::InsufficientBinding));
    let bound = "[[(up ?s ?n) [(identity ?s) ?n]] [(up ?s ?n) (up ?s ?m) [(< ?m 5)] [(inc ?m) ?n]]]";
    assert_eq!(code("[:find ?n :in $ % :where (up 2 ?n)]", bound, 1), None);
    assert_eq!(code("[:find ?n :in $ % :where (up ?s ?n)]", bound, 1), Some(Code::InsufficientBinding));
    let idle = "[[(idle ?x) (idle ?x)]]";
    assert_eq!(code("[:find ?x :in $ % :where (idle ?x)]", idle, 1), Some(Code::InsufficientBinding));
    assert_eq!(code("[:find ?x :in $ % :where [?x :name] (idle ?x)]", idle, 1), None);
    let mutual = "[[(odd ?x) [?x :a ?y] (even ?y)] [(odd ?x) [?x :b]] [(even ?x) [?x :a ?y] (odd ?y)]]";
    assert_eq!(code("[:find ?x :in $ % :where (even ?x)]", mutual, 1), None);
}

#[test]
fn rules_that_are_wrong_are_refused() {
    for (text, rules, wanted) in [
        ("(f ?x)", "[[(f ?x) [?x :a]] [(f ?x ?y) [?x :b ?y]]]", Code::InvalidRule),
        ("(f ?x 1)", "[[(f ?x) [?x :a]]]", Code::ArgsMismatch),
        ("(g ?x)", "[[(f ?x) [?x :a]]]", Code::UnknownRule),
        ("(f ?x)", "[[(f ?x)]]", Code::InvalidRule),
        ("(f ?x)", "[[(f ?x 1) [?x :a]]]", Code::InvalidRule),
        ("[?x :a] (win ?x)", "[[(win ?x) [?x :a ?y] (not (win ?y))]]", Code::Unstratifiable),
    ] {
        assert_eq!(
            code(&format!("[:find ?x :in $ % :where {text}]"), rules, 1),
            Some(wanted),
            "{text} {rules}"
        );
    }
}

#[test]
fn there_is_one_argument_for_each_input() {
    let text = "[:find ?e :in $ ?n :where [?e :name ?n]]";
    assert_eq!(code(text, "[]", 0), Some(Code::TooFewInputs));
    assert_eq!(code(text, "[]", 1), None);
    assert_eq!(code(text, "[]", 2), Some(Code::ArgsMismatch));
}

#[test]
fn entities_lead_the_canonical_order() {
    let checked = checked("[:find ?n ?e ?tx :with ?a :where [?e :name ?n ?tx] [?e :age ?a]]", "[]", 0);
    let columns: Vec<usize> =
        checked.expect("a legal query").canonical.iter().map(|key| key.column).collect();
    assert_eq!(columns, [1, 2, 0, 3]);
}

#[test]
fn a_query_of_too_many_clauses_is_refused_at_once() {
    let clauses: Vec<String> = (0..5000).rev().map(|i| format!("[(inc ?v{i}) ?v{}]", i + 1)).collect();
    let text = format!("[:find ?v1 :where {} [?e :age ?v0]]", clauses.join(" "));
    assert_eq!(code(&text, "[]", 0), Some(Code::QueryTooComplex));
    let chain: Vec<String> = (0..500).map(|i| format!("[(r{i} ?x) (r{} ?x)]", i + 1)).collect();
    let rules = format!("[{} [(r500 ?x) [?x :age]]]", chain.join(" "));
    assert_eq!(code("[:find ?x :in $ % :where (r0 ?x)]", &rules, 1), Some(Code::QueryTooComplex));
}
