//! What a refusal says, and which of several is told.

use annals_edn::{Code, Error};

use super::{Limits, World, detail, refused};

fn at<'t>(error: &Error, text: &'t str) -> &'t str {
    let span = error.span().expect("there is source text");
    &text[span.start as usize..span.end as usize]
}

#[test]
fn a_refusal_says_where_and_what() {
    let world = World::people();
    let text = r#"[{:p/name "a"} {:db/id "e" :p/phones [{:p/number 5}]}]"#;
    let error = world.refuse(text);
    assert_eq!(error.code(), Code::WrongTypeForAttribute);
    assert_eq!(at(&error, text), "5");
    assert_eq!(detail(&error, "form").as_deref(), Some("1"));
    assert_eq!(detail(&error, "path").as_deref(), Some("[1 :p/phones 0 :p/number]"));
    assert_eq!(detail(&error, "attribute").as_deref(), Some(":p/number"));
    assert_eq!(detail(&error, "value").as_deref(), Some("5"));
    assert_eq!(error.message(), ":p/number takes a string, not 5");
}

#[test]
fn a_path_leads_through_lists_maps_and_tuples() {
    let mut world = World::people();
    world.commit(
        "[{:db/ident :v/pair :db/valueType :db.type/tuple :db/cardinality :db.cardinality/one
           :db/tupleTypes [:db.type/string :db.type/long]}]",
    );
    world.commit(r#"[{:p/ssn "1"} {:db/id "a" :p/age 1}]"#);
    for (text, code, path) in [
        (
            r#"[{} {:p/phones [{:p/number "1"} {:p/number 5}]}]"#,
            "WRONG_TYPE_FOR_ATTRIBUTE",
            "[1 :p/phones 1 :p/number]",
        ),
        (
            r#"[{:p/phones [{:p/phones [{:p/number "1"} {:p/number nil}]}]}]"#,
            "NIL_VALUE",
            "[0 :p/phones 0 :p/phones 1 :p/number]",
        ),
        (r#"[{:p/phones {:p/nick [:a 5]}}]"#, "WRONG_TYPE_FOR_ATTRIBUTE", "[0 :p/phones :p/nick 1]"),
        (r#"[{:p/phones [{:v/pair ["a" "b"]}]}]"#, "INVALID_TUPLE_VALUE", "[0 :p/phones 0 :v/pair 1]"),
        (r#"[[:db/add #e "a" :v/pair [1 1]]]"#, "INVALID_TUPLE_VALUE", "[0 :v/pair 0]"),
        (
            r#"[{} {} {:p/friend ["b" "ghost"]} [:db/add "b" :p/age 2]]"#,
            "TEMPID_NOT_AN_ENTITY",
            "[2 :p/friend 1]",
        ),
        (r#"[{:p/phones [{:p/age 1} {:p/ssn "1"}]}]"#, "UNIQUE_CONFLICT", "[0 :p/phones 1 :p/ssn]"),
        (
            r#"[{:p/phones [{:db/id #e "a" :p/age 7}]} {:p/phones {:db/id #e "a" :p/age 8}}]"#,
            "DATOMS_CONFLICT",
            "[1 :p/phones :p/age]",
        ),
        (r#"[{:p/phones [{:p/_phones [:p/email "x"]}]}]"#, "NOT_AN_ENTITY", "[0 :p/phones 0 :p/phones]"),
    ] {
        let error = world.refuse(text);
        let said = (error.code().as_str(), detail(&error, "path"));
        assert_eq!(said, (code, Some(path.to_owned())), "{text}: {error:?}");
    }
}

#[test]
fn an_unknown_attribute_is_named() {
    let world = World::people();
    let text = "[{:p/nope 1}]";
    let error = world.refuse(text);
    assert_eq!((error.code(), at(&error, text)), (Code::NotAnEntity, ":p/nope"));
    assert_eq!(detail(&error, "attribute").as_deref(), Some(":p/nope"));
}

#[test]
fn conflicts_name_both_sides() {
    let mut world = World::people();
    world.commit(r#"[{:db/id "a" :p/ssn "1"}]"#);
    let holder = world.names["a"].to_string();
    let error = world.refuse(r#"[{:db/id "b" :p/ssn "1"}]"#);
    assert_eq!(detail(&error, "holder"), Some(holder.clone()));
    assert_eq!(detail(&error, "value").as_deref(), Some("\"1\""));
    let error = world.refuse(r#"[[:db/add #e "a" :p/age 1] [:db/add #e "a" :p/age 2]]"#);
    assert_eq!(detail(&error, "d1"), Some(format!("[{holder} :p/age 1 true]")));
    assert_eq!(detail(&error, "d2"), Some(format!("[{holder} :p/age 2 true]")));
    let error = world.refuse(r#"[[:db/cas #e "a" :p/age 1 2]]"#);
    assert_eq!((error.code(), detail(&error, "value").as_deref()), (Code::CasFailed, Some("nil")));
}

#[test]
fn the_order_of_the_forms_does_not_choose_the_refusal() {
    let mut world = World::people();
    world.commit(r#"[{:db/id "e" :p/age 1}]"#);
    let forms = [
        r#"[:db/cas #e "e" :p/age 5 6]"#,
        r#"{:p/nope 1}"#,
        r#"{:p/name 5}"#,
        r#"[:db/add "x" :p/friend "ghost"]"#,
        r#"{:p/name nil}"#,
    ];
    let expected = world.refuse(&format!("[{}]", forms.join(" "))).code();
    for turn in 0..forms.len() {
        let mut turned = forms;
        turned.rotate_left(turn);
        refused(&world, &format!("[{}]", turned.join(" ")), expected);
        turned.reverse();
        refused(&world, &format!("[{}]", turned.join(" ")), expected);
    }
}

#[test]
fn limits_hold_for_the_expanded_transaction() {
    let mut world = World::people();
    world.limits = Limits { datoms: 3, bytes: 1_000, ..Limits::default() };
    world.commit(r#"[{:db/id "e" :p/nick [:a :b :c]}]"#);
    let error = world.refuse(r#"[{:p/nick [:a :b :c :d]}]"#);
    assert_eq!(error.code(), Code::TransactionTooLarge);
    assert_eq!(detail(&error, "limit").as_deref(), Some("3 datoms"));
    let text = format!(r#"[{{:p/name "{}"}} {{:p/nope 1}}]"#, "x".repeat(2_000));
    refused(&world, &text, Code::TransactionTooLarge);
    let error = world.refuse(&format!(r#"[{{:p/nope 1}} {{:p/name "{}"}}]"#, "x".repeat(2_000)));
    assert_eq!(detail(&error, "limit").as_deref(), Some("1000 bytes"));
}

#[test]
fn every_limit_says_itself_and_the_size_seen() {
    let mut world = World::people();
    world.commit(
        "[{:db/ident :v/bytes :db/valueType :db.type/bytes :db/cardinality :db.cardinality/one}
          {:db/ident :v/pair :db/valueType :db.type/tuple :db/cardinality :db.cardinality/one
           :db/tupleTypes [:db.type/string :db.type/long]}]",
    );
    world.limits =
        Limits { datoms: 4, bytes: 500, string_bytes: 8, blob_bytes: 3, nesting: 3, ..Limits::default() };
    let refusals = [
        ("[{:p/nick [:a :b :c :d :e]}]", Code::TransactionTooLarge, "4 datoms", "5 datoms"),
        (r#"[{:p/name "123456789"}]"#, Code::ValueOutOfRange, "8 bytes", "9 bytes"),
        (r#"[{:p/nick :too-long-a/keyword}]"#, Code::ValueOutOfRange, "8 bytes", "18 bytes"),
        (r#"[{:v/pair ["123456789" 1]}]"#, Code::ValueOutOfRange, "8 bytes", "9 bytes"),
        (r#"[{:v/bytes #bytes "AQIDBA=="}]"#, Code::ValueOutOfRange, "3 bytes", "4 bytes"),
        (
            r#"[{:p/phones {:p/phones {:p/phones {:p/number "1"}}}}]"#,
            Code::TransactionTooLarge,
            "3 levels",
            "4 levels",
        ),
    ];
    for (text, code, limit, seen) in refusals {
        let error = world.refuse(text);
        assert_eq!(error.code(), code, "{text}");
        assert_eq!(detail(&error, "limit").as_deref(), Some(limit), "{text}");
        assert_eq!(detail(&error, "seen").as_deref(), Some(seen), "{text}");
        assert_eq!(detail(&error, "form").as_deref(), Some("0"), "{text}");
    }
    world.commit(r#"[{:p/name "12345678"} {:p/phones {:p/phones {:p/number "1"}}}]"#);
}

#[test]
fn a_basis_that_is_not_there_yet_is_not_reached() {
    let error = World::people().db.at(crate::T(99)).err().expect("t 99 is not there");
    assert_eq!(error.code(), Code::BasisNotReached);
}

#[test]
fn a_view_of_the_past_takes_no_transaction() {
    let mut world = World::people();
    world.db = world.db.as_of(crate::T(1));
    refused(&world, "[]", Code::InvalidView);
    world.db = World::people().db.history();
    refused(&world, "[]", Code::InvalidView);
}
