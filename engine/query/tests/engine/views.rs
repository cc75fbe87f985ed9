//! Filtered values, entities and walks, on values in memory and in every composition of views.

use annals_db::{Code, Context, Db, Function, Incarnation, Index, Keyword, Limits, Options, T, transact};
use annals_edn::{Edn, read_one};
use annals_query::{
    Argument, Datalog, Entity, IndexPull, Navigated, Pattern, Prepared, QueryCtx, answer, filter, index_pull,
    pull,
};

const PEOPLE: &str = "[
 {:db/ident :p/name :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/unique :db.unique/identity}
 {:db/ident :p/age :db/valueType :db.type/long :db/cardinality :db.cardinality/one :db/index true}
 {:db/ident :p/friend :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}
 {:db/ident :p/status :db/valueType :db.type/ref :db/cardinality :db.cardinality/one}
 {:db/ident :p/addr :db/valueType :db.type/ref :db/cardinality :db.cardinality/one :db/isComponent true}
 {:db/ident :a/city :db/valueType :db.type/string :db/cardinality :db.cardinality/one}
 {:db/ident :p/secret :db/valueType :db.type/boolean :db/cardinality :db.cardinality/one}
 {:db/ident :st/on}]";

fn then(db: &Db, text: &str) -> Db {
    let context = Context {
        now: 1_700_000_000_000 + db.basis().0 as i64,
        limits: Limits::default(),
        functions: &Datalog::default(),
        client_id: None,
        request_hash: 0,
    };
    let body =
        transact(db, &read_one(text).expect("tx-data reads"), &context).expect("the transaction is accepted");
    db.apply(&body).expect("it continues the value")
}

fn answer_on(db: &Db, query: &str) -> String {
    let args = [Argument::Db(db.clone())];
    let prepared =
        Prepared::new(&read_one(query).expect("a query reads"), &args).expect("the query is sound");
    answer(&prepared, &args, QueryCtx::default()).expect("it is answered").to_string()
}

/// t 2: ana is 1, bob 2; t 3: ana is 10, bob has no age; t 4: ana is 11, predicates come.
fn people() -> Db {
    let db = then(&Db::empty(Incarnation(7), Options::default()), PEOPLE);
    let db = then(
        &db,
        "[{:db/id \"a\" :p/name \"ana\" :p/age 1 :p/friend [\"b\"] :p/status :st/on :p/addr {:a/city \"X\"}}
          {:db/id \"b\" :p/name \"bob\" :p/age 2 :p/secret true}]",
    );
    let db = then(&db, "[[:db/add [:p/name \"ana\"] :p/age 10] [:db/retract [:p/name \"bob\"] :p/age 2]]");
    then(
        &db,
        "[[:db/add [:p/name \"ana\"] :p/age 11]
          {:db/ident :f/open? :db/fn {:params [?e] :where [(not [?e :p/secret true])]}}
          {:db/ident :f/young? :db/fn {:params [?a ?v ?limit]
                                       :where [(or-join [?a ?v ?limit]
                                                 (and [?x :db/ident :p/age] [(!= ?x ?a)])
                                                 (and [?a :db/ident :p/age] [(< ?v ?limit)]))]}}
          {:db/ident :f/added? :db/fn {:params [?e ?a ?v ?tx ?added] :where [[(= ?added true)]]}}
          {:db/ident :f/total :db/fn {:params [?e] :find [(count ?v) .] :where [[?e :p/age ?v]]}}]",
    )
}

fn with(db: &Db, predicate: &str) -> Db {
    filter(db, &read_one(predicate).expect("a predicate reads")).expect("it filters")
}

fn refused(db: &Db, predicate: &str) -> Code {
    filter(db, &read_one(predicate).expect("a predicate reads")).err().expect("it is refused").code()
}

fn ages(db: &Db) -> String {
    answer_on(db, "[:find [?v ...] :where [_ :p/age ?v]]")
}

#[test]
fn a_filter_hides_datoms_from_every_kind_of_read() {
    let db = people();
    let open = with(&db, "f/open?");
    assert_eq!(answer_on(&open, "[:find [?n ...] :where [_ :p/name ?n]]"), "[\"ana\"]");
    assert_eq!(answer_on(&open, "[:find ?v . :where [[:p/name \"ana\"] :p/age ?v]]"), "11");
    // By entity, by value, unknown attribute, lookup ref, pull, index.
    assert_eq!(answer_on(&open, "[:find ?e . :where [?e :p/name \"bob\"]]"), "nil");
    assert_eq!(answer_on(&open, "[:find (count ?a) . :where [_ ?a \"bob\"]]"), "nil");
    let bob = read_one("[:p/name \"bob\"]").unwrap();
    let pattern = Pattern::parse(&read_one("[* {:p/_friend [:p/name]}]").unwrap()).unwrap();
    assert!(pull(&open, &pattern, &bob).unwrap().is_nil());
    assert!(!pull(&db, &pattern, &bob).unwrap().is_nil());
    let request = "{:index :avet :selector [:p/name] :start [:p/name]}";
    let walked = index_pull(&open, &read_one(request).unwrap()).unwrap();
    assert_eq!(Edn::vector(walked).to_string(), "[{:p/name \"ana\"}]");
}

#[test]
fn a_call_takes_parts_of_the_datom_and_constants() {
    let db = people();
    let young = |limit: u32| with(&db, &format!("(f/young? ?a ?v {limit})"));
    assert_eq!(ages(&young(12)), "[11]");
    assert_eq!(ages(&young(11)), "[]");
    assert_eq!(ages(&with(&db, "(not= ?v 11)")), "[]");
    assert_eq!(answer_on(&young(11), "[:find [?n ...] :where [_ :p/name ?n]]"), "[\"ana\" \"bob\"]");
    assert_eq!(refused(&db, "f/none?"), Code::UnknownFunction);
    assert_eq!(refused(&db, "(f/none? ?v)"), Code::UnknownFunction);
    assert_eq!(refused(&db, "(f/young? ?v)"), Code::ArgsMismatch);
    assert_eq!(refused(&db, "(f/young? ?a ?v ?w)"), Code::InvalidView);
    assert_eq!(refused(&db, "f/total"), Code::NotADataFunction);
    assert_eq!(refused(&db, "7"), Code::InvalidView);
}

#[test]
fn views_and_filters_compose_in_any_order() {
    let db = people();
    let past = db.as_of(T(3));
    assert_eq!(ages(&with(&past, "(f/young? ?a ?v 11)")), "[10]");
    assert_eq!(ages(&with(&db, "(f/young? ?a ?v 11)").as_of(T(3))), "[10]");
    // A filter sees what a view shows: what was replaced does not come back.
    assert_eq!(ages(&with(&db, "f/added?").as_of(T(3))), "[10]");
    assert_eq!(ages(&with(&db, "(f/young? ?a ?v 11)").since(T(2))), "[]");
    let history = "[:find ?v ?op :where [_ :p/age ?v _ ?op]]";
    let all = answer_on(&db.history(), history);
    let added = answer_on(&with(&db, "f/added?").history(), history);
    assert_eq!(added, answer_on(&with(&db.history(), "f/added?"), history));
    assert_eq!((all.matches("false").count(), added.matches("false").count()), (3, 0));
    assert_eq!(added.matches("true").count(), all.matches("true").count());
    let both = with(&with(&db, "(f/young? ?a ?v 12)"), "f/open?");
    assert_eq!(answer_on(&both, "[:find ?n ?v :where [?e :p/name ?n] [?e :p/age ?v]]"), "#{[\"ana\" 11]}");
    assert_eq!(ages(&with(&both, "(f/young? ?a ?v 2)")), "[]");
}

#[test]
fn stored_functions_are_called_on_a_filtered_value_and_ids_stay() {
    let db = people();
    let hidden = with(&db, "(not= ?e -1)");
    let nothing = with(&db, "(= ?e -1)");
    assert_eq!(answer_on(&hidden, "[:find ?n . :where [?e :p/name \"ana\"] [(f/total ?e) ?n]]"), "1");
    assert!(Function::find(&nothing, &Keyword::new("f/total")).unwrap().is_some());
    assert_eq!(answer_on(&nothing, "[:find ?v . :where [_ :p/age ?v]]"), "nil");
    assert_eq!(nothing.schema().entid(&Keyword::new("p/age")), db.schema().entid(&Keyword::new("p/age")));
}

#[test]
fn an_entity_is_read_key_by_key() {
    let db = people();
    let find = |db: &Db, text: &str| Entity::find(db, &read_one(text).unwrap()).unwrap();
    let get = |entity: &Entity, key: &str| {
        entity
            .get(&Keyword::new(key))
            .unwrap()
            .map_or_else(|| "nil".to_owned(), |held| held.to_edn().to_string())
    };
    let ana = find(&db, "[:p/name \"ana\"]").expect("she is there");
    let bob = find(&db, "[:p/name \"bob\"]").expect("he is there");
    assert_eq!(get(&ana, "p/status"), ":st/on");
    assert_eq!(get(&ana, "p/age"), "11");
    assert_eq!(get(&ana, "p/none"), "nil");
    assert_eq!(get(&bob, "p/age"), "nil");
    assert_eq!(get(&bob, "p/_friend"), format!("#{{{{:db/id {}}}}}", ana.id()));
    let Some(Navigated::Entity(home)) = ana.get(&Keyword::new("p/addr")).unwrap() else {
        panic!("the address is an entity")
    };
    assert_eq!(get(&home, "p/_addr"), format!("{{:db/id {}}}", ana.id()));
    assert!(home.get(&Keyword::new("p/_addr")).unwrap() == Some(Navigated::Entity(ana.clone())));
    let keys: Vec<String> = ana.keys().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(keys, [":p/name", ":p/age", ":p/friend", ":p/status", ":p/addr"]);
    let touched = format!(
        "{{:db/id {} :p/name \"ana\" :p/age 11 :p/friend #{{{{:db/id {}}}}} :p/status :st/on :p/addr {{:db/id {} :a/city \"X\"}}}}",
        ana.id(),
        bob.id(),
        home.id()
    );
    assert_eq!(ana.touch().unwrap(), read_one(&touched).unwrap());
    assert!(find(&db, "[:p/name \"eve\"]").is_none());
    assert_eq!(find(&db, "123456").unwrap().touch().unwrap().to_string(), "{:db/id 123456}");
    assert_eq!(get(&find(&db.as_of(T(2)), "[:p/name \"ana\"]").unwrap(), "p/age"), "1");
    let history = Entity::find(&db.history(), &read_one("[:p/name \"ana\"]").unwrap());
    assert_eq!(history.err().map(|error| error.code()), Some(Code::InvalidView));
}

#[test]
fn the_log_in_queries_ends_where_the_view_does() {
    let db = people();
    let ids = "[:find (count ?tx) . :where [(tx-ids $ nil nil) [?tx ...]]]";
    assert_eq!(answer_on(&db, ids), "4");
    assert_eq!(answer_on(&db.as_of(T(3)), ids), "3");
    assert_eq!(answer_on(&db.as_of(T(3)).since(T(1)), ids), "2");
    let data = "[:find ?v ?op :in $ :where [(tx-data $ 3) [[?e ?a ?v _ ?op]]] [?a :db/ident :p/age]]";
    assert_eq!(answer_on(&db, data), "#{[1 false] [2 false] [10 true]}");
    assert_eq!(answer_on(&with(&db, "f/added?"), data), "#{[10 true]}");
    assert_eq!(answer_on(&db.as_of(T(2)), data), "#{}");
}

#[test]
fn a_tally_counts_what_the_view_shows() {
    let db = people();
    let count = |db: &Db| {
        let a = db.schema().attribute_of(&Keyword::new("p/age")).unwrap().id;
        let tally = db.tally(&|| true).unwrap().unwrap();
        assert_eq!(tally.datoms, tally.attributes.iter().map(|held| held.datoms).sum::<u64>());
        assert_eq!(tally.current, tally.attributes.iter().map(|held| held.current).sum::<u64>());
        let held = tally.attributes.iter().find(|held| held.a == a).cloned();
        held.map(|held| (held.datoms, held.current, held.entities))
    };
    assert_eq!(count(&db), Some((7, 1, 1)));
    assert_eq!(count(&db.as_of(T(2))), Some((2, 2, 2)));
    assert_eq!(count(&db.history()), Some((7, 1, 1)));
    assert_eq!(count(&with(&db, "f/added?")), Some((4, 1, 1)));
    assert!(db.tally(&|| false).unwrap().is_none());
}

#[test]
fn a_walk_in_parts_is_the_walk() {
    let db = then(&Db::empty(Incarnation(7), Options::default()), PEOPLE);
    let maps: String = (0..5000).map(|n| format!("{{:p/age {}}}", n * 7919 % 5000)).collect();
    let db = then(&db, &format!("[{maps}]"));
    let [selector, start] = ["[:p/age]", "[:p/age 100]"].map(|text| read_one(text).unwrap());
    let asked = IndexPull::new(&db, Index::Avet, &selector, start.as_seq().unwrap()).unwrap();
    for (reverse, offset, limit) in [
        (false, 0, None),
        (false, 3000, Some(1000)),
        (true, 0, None),
        (true, 37, Some(50)),
        (false, 6000, None),
    ] {
        let asked = IndexPull { reverse, offset, limit, ..asked.clone() };
        let whole = asked.walk(&db).unwrap().next(usize::MAX).unwrap();
        let from = if reverse { 101 } else { 4900_usize };
        assert_eq!(whole.len(), from.saturating_sub(offset).min(limit.unwrap_or(usize::MAX)));
        for most in [1, 7, 256, 4096] {
            let (mut walk, mut parts) = (asked.walk(&db).unwrap(), Vec::new());
            loop {
                match walk.next(most).unwrap() {
                    part if part.is_empty() => break,
                    part => parts.extend(part),
                }
            }
            assert!(parts == whole, "{most} at a time, reverse {reverse}, offset {offset}, limit {limit:?}");
        }
    }
}
