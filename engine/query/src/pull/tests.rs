//! Pulls from a small database: a family with a cycle, components, more values than are shown.

use annals_db::{Context, Db, Incarnation, Limits, NoFunctions, Options, transact};
use annals_edn::{Code, Edn, read_one};

use super::{Pattern, index_pull, pull, pull_many};

const SCHEMA: &str = "[
 {:db/ident :u :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/unique :db.unique/identity}
 {:db/ident :n :db/valueType :db.type/long :db/cardinality :db.cardinality/many}
 {:db/ident :to :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}
 {:db/ident :part :db/valueType :db.type/ref :db/cardinality :db.cardinality/one :db/isComponent true}]";

fn commit(db: &Db, text: &str) -> Db {
    let context = Context {
        now: 1,
        limits: Limits::default(),
        functions: &NoFunctions,
        client_id: None,
        request_hash: 0,
    };
    let body = transact(db, &read_one(text).unwrap(), &context).unwrap();
    db.apply(&body).unwrap()
}

fn database(data: &str) -> Db {
    commit(&commit(&Db::empty(Incarnation(1), Options::default()), SCHEMA), data)
}

fn show(db: &Db, pattern: &str, entity: &str) -> String {
    let pattern = Pattern::parse(&read_one(pattern).unwrap()).unwrap();
    pull(db, &pattern, &read_one(entity).unwrap()).unwrap().to_string()
}

#[test]
fn recursion_ends_at_what_it_has_seen_and_at_its_depth() {
    let db = database("[{:db/id \"a\" :u \"a\" :to [\"b\"]} {:db/id \"b\" :u \"b\" :to [\"a\"]}]");
    assert_eq!(show(&db, "[:u {:to ...}]", "[:u \"a\"]"), r#"{:u "a" :to [{:u "b" :to [{:u "a"}]}]}"#);
    assert_eq!(show(&db, "[:u {:to 1}]", "[:u \"a\"]"), r#"{:u "a" :to [{:u "b"}]}"#);
    assert_eq!(show(&db, "[{:_to [:u]}]", "[:u \"a\"]"), r#"{:_to [{:u "b"}]}"#);
}

#[test]
fn a_cycle_of_components_is_cut() {
    let db = database("[{:db/id \"a\" :u \"a\" :part \"b\"} {:db/id \"b\" :u \"b\" :part \"a\"}]");
    let shown = show(&db, "[*]", "[:u \"a\"]");
    assert_eq!(shown.matches(":u ").count(), 2, "{shown}");
}

#[test]
fn limits_hold_for_values_and_for_what_refers() {
    let numbers: Vec<String> = (0..1500).map(|n| n.to_string()).collect();
    let db = database(&format!("[{{:u \"a\" :n [{}]}}]", numbers.join(" ")));
    let count = |pattern: &str| {
        let pattern = Pattern::parse(&read_one(pattern).unwrap()).unwrap();
        let form = pull(&db, &pattern, &read_one("[:u \"a\"]").unwrap()).unwrap();
        form.get("n").and_then(Edn::as_vector).map(<[Edn]>::len)
    };
    assert_eq!(count("[:n]"), Some(1000));
    assert_eq!(count("[[:n :limit nil]]"), Some(1500));
    assert_eq!(count("[(limit :n 3)]"), Some(3));
    assert_eq!(count("[[:n :limit 0]]"), None);
}

#[test]
fn a_chain_that_is_too_deep_is_refused_and_not_the_end_of_the_process() {
    let links: Vec<String> =
        (0..3000).map(|i| format!("{{:db/id \"{i}\" :u \"{i}\" :to \"{}\"}}", i + 1)).collect();
    let db = database(&format!("[{} {{:db/id \"3000\" :u \"end\"}}]", links.join(" ")));
    let pattern = Pattern::parse(&read_one("[:u {:to ...}]").unwrap()).unwrap();
    let error = pull(&db, &pattern, &read_one("[:u \"0\"]").unwrap()).expect_err("too deep");
    assert_eq!(error.code(), Code::PullTooDeep);
    assert!(show(&db, "[:u {:to 3}]", "[:u \"2999\"]").contains("end"));
}

#[test]
fn many_entities_come_in_the_order_asked_for_as_often_as_asked_for() {
    let db = database("[{:u \"a\"} {:u \"b\"}]");
    let pattern = Pattern::parse(&read_one("[:u]").unwrap()).unwrap();
    let entities = read_one("[[:u \"b\"] [:u \"x\"] [:u \"a\"] [:u \"b\"] nil]").unwrap();
    let forms = pull_many(&db, &pattern, entities.as_vector().unwrap()).unwrap();
    assert_eq!(Edn::vector(forms).to_string(), r#"[{:u "b"} nil {:u "a"} {:u "b"} nil]"#);
}

#[test]
fn patterns_that_are_malformed_are_refused() {
    for (text, code) in [
        ("5", Code::InvalidPull),
        ("[x]", Code::InvalidAttrSpec),
        ("[:u :u]", Code::PullDuplicateAttribute),
        ("[{:to 0}]", Code::InvalidRecurLimit),
        ("[[:u :xform nope]]", Code::XformNotAllowed),
        ("[[:u :limit \"x\"]]", Code::InvalidAttrSpec),
    ] {
        let error = Pattern::parse(&read_one(text).unwrap()).expect_err(text);
        assert_eq!(error.code(), code, "{text}");
        assert!(error.span().is_some(), "{text}");
    }
    let db = database("[{:u \"a\"}]");
    let pattern = Pattern::parse(&read_one("[:u]").unwrap()).unwrap();
    let error = pull(&db.history(), &pattern, &read_one("[:u \"a\"]").unwrap()).expect_err("a history");
    assert_eq!(error.code(), Code::InvalidView);
}

#[test]
fn an_index_is_walked_in_either_direction() {
    let db = database("[{:u \"a\"} {:u \"b\"} {:u \"c\"}]");
    let walk = |request: &str| Edn::vector(index_pull(&db, &read_one(request).unwrap()).unwrap()).to_string();
    assert_eq!(walk("{:index :avet :selector [:u] :start [:u \"b\"]}"), r#"[{:u "b"} {:u "c"}]"#);
    let back = "{:index :avet :selector [:u] :start [:u] :reverse true :offset 1 :limit 1}";
    assert_eq!(walk(back), r#"[{:u "b"}]"#);
    let error = index_pull(&db, &read_one("{:index :avet :selector [:u] :start [:n]}").unwrap());
    assert_eq!(error.expect_err("not indexed").code(), Code::AttributeNotIndexed);
}
