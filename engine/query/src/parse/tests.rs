//! Queries read from text, legal and not.

use annals_edn::Code;

use super::parse_text;
use crate::ast::{Binding, Clause, FindShape, Input, OrderKey, Query, Term};

fn query(text: &str) -> Query {
    parse_text(text).unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

#[test]
fn list_map_and_text_are_one_query() {
    let list = query("[:find ?e :in $ ?n :where [?e :name ?n]]");
    assert_eq!(list, query("{:find [?e] :in [$ ?n] :where [[?e :name ?n]]}"));
    assert_eq!(list.find.shape, FindShape::Relation);
    assert!(matches!(list.inputs[..], [Input::Source(..), Input::Binding(Binding::Scalar(_), _)]));
}

#[test]
fn the_shapes_of_find() {
    for (find, shape) in [
        ("?e ?n", FindShape::Relation),
        ("[?e ...]", FindShape::Collection),
        ("[?e ?n]", FindShape::Tuple),
        ("?e .", FindShape::Scalar),
    ] {
        assert_eq!(query(&format!("[:find {find} :where [?e :name ?n]]")).find.shape, shape, "{find}");
    }
}

#[test]
fn queries_that_differ_in_values_are_one_shape_and_in_attributes_two() {
    let one = query("[:find ?e :where [?e :age 1]]");
    assert_eq!(one, query("[:find ?e :where   [?e :age 2]]"));
    assert_ne!(one, query("[:find ?e :where [?e :size 1]]"));
}

#[test]
fn a_name_that_is_not_joined_is_another_variable() {
    let query = query("[:find ?e :where [?e :a ?x] (not-join [?e] [?e :b ?x])]");
    let (Clause::Pattern(outer), Clause::Not(not)) = (&query.clauses[0], &query.clauses[1]) else {
        panic!("a pattern and a not");
    };
    let Clause::Pattern(inner) = &not.clauses[0] else { panic!("a pattern") };
    assert_eq!(outer.e(), inner.e());
    assert_ne!(outer.v(), inner.v());
    assert_eq!(outer.tx(), Term::Blank);
}

#[test]
fn order_by_takes_columns_with_directions_in_any_brackets() {
    let keys = |text: &str| query(text).order_by;
    let wanted = [OrderKey { column: 1, descending: true }, OrderKey { column: 0, descending: false }];
    assert_eq!(keys("[:find ?a (sum ?b) :in [[?a ?b]] :order-by (sum ?b) :desc ?a]"), wanted);
    assert_eq!(keys("[:find ?a (sum ?b) :in [[?a ?b]] :order-by [[(sum ?b) :desc] [?a :asc]]]"), wanted);
    assert_eq!(query("[:find ?a :in [?a ...] :limit 5 :offset 2]").limit, Some(5));
}

#[test]
fn what_is_malformed_is_refused_where_it_stands() {
    for (text, code, at) in [
        ("[:find ?e :whre [?e :a]]", Code::InvalidQuery, ":whre"),
        ("[:find 1 :where [?e :a]]", Code::InvalidQuery, "1"),
        ("[:find ?x :where [?e :a]]", Code::UnboundQueryVariables, "?x"),
        ("[:find ?e :where [?e :a nil]]", Code::InvalidClause, "nil"),
        ("[:find ?e :where [?e :a ?v] [(grond 1) ?e]]", Code::UnknownFunction, "grond"),
        ("[:find ?e :where [?e :a ?v] [(< 1 ?v 3)]]", Code::ArgsMismatch, "(< 1 ?v 3)"),
        ("[:find (smu ?e) :where [?e :a]]", Code::InvalidAggregate, "(smu ?e)"),
        ("[:find ?e :where (or [?e :a] [?x :b])]", Code::InvalidClause, "[?x :b]"),
        ("[:find ?e :where (and [?e :a])]", Code::InvalidClause, "(and [?e :a])"),
        ("[:find ?e :in $ [] :where [?e :a]]", Code::NotABindingForm, "[]"),
        ("[:find ?e :where [$x ?e :a]]", Code::InvalidDataSource, "$x"),
        ("[:find ?e ?f :keys a a :where [?e :a ?f]]", Code::InvalidQuery, "a"),
        ("[:find (pull ?e ?p) :in $ ?p :where [?e :a]]", Code::InvalidPull, "?p"),
    ] {
        let error = parse_text(text).expect_err(text);
        assert_eq!(error.code(), code, "{text}");
        let span = error.span().unwrap_or_else(|| panic!("{text} has a span"));
        assert_eq!(&text[span.start as usize..span.end as usize], at, "{text}");
    }
    let hint = |text: &str| parse_text(text).expect_err(text).hint_text().map(str::to_owned);
    assert_eq!(hint("[:find ?e :where [(strr 1) ?e]]").as_deref(), Some("did you mean str?"));
    assert_eq!(hint("[:find ?e :whre [?e :a]]").as_deref(), Some("did you mean :where?"));
}

#[test]
fn a_query_without_a_form_is_empty() {
    for text in ["", "  \n", "; only a comment", "#_[:find ?e]"] {
        assert_eq!(parse_text(text).expect_err(text).code(), Code::QueryEmpty, "{text:?}");
    }
    assert_eq!(parse_text("[:find").expect_err("cut").code(), Code::EdnUnexpectedEof);
}
