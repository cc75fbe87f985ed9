//! Installing and altering attributes, composites, specs, idents.

use annals_edn::Code;

use super::{World, detail, refused};
use crate::id::Partition;
use crate::schema::Cardinality;

fn attribute(ident: &str, rest: &str) -> String {
    format!("[{{:db/ident {ident} :db/cardinality :db.cardinality/one {rest}}}]")
}

#[test]
fn an_attribute_is_installed_whole() {
    let mut world = World::new(&attribute(":p/x", ":db/valueType :db.type/long :db/fulltext true"));
    let installed = world.db.schema().attribute_of(&crate::Keyword::new("p/x")).expect("installed").clone();
    assert_eq!((installed.id.0, installed.fulltext), (crate::bootstrap::FIRST_ELEMENT, true));
    let datoms = world.commit(&attribute(":p/y", ":db/valueType :db.type/ref"));
    assert!(datoms.contains(&"+:db.part/db :db.install/attribute :p/y".to_owned()), "{datoms:?}");
    assert!(world.commit(&attribute(":p/y", ":db/valueType :db.type/ref")).is_empty());
    for (text, code) in [
        ("[{:db/ident :p/a :db/valueType :db.type/long}]", Code::InvalidInstallAttribute),
        ("[{:db/ident :p/a :db/index true}]", Code::InvalidInstallAttribute),
        ("[{:db/valueType :db.type/long :db/cardinality :db.cardinality/one}]", Code::AttributeIdentMissing),
        (
            "[{:db/ident :db/mine :db/valueType :db.type/long :db/cardinality :db.cardinality/one}]",
            Code::ReservedNamespace,
        ),
        ("[{:db/ident :db.my/mine}]", Code::ReservedNamespace),
        ("[{:db/ident :annals.x/mine}]", Code::ReservedNamespace),
        (
            "[{:db/ident :p/a :db/valueType :db.cardinality/one :db/cardinality :db.cardinality/one}]",
            Code::InvalidInstallAttribute,
        ),
        (
            "[{:db/id \"n\" :db/ident :p/a :db/valueType :db.type/long :db/cardinality :db.cardinality/one} [:db/add \"e\" :p/a 1]]",
            Code::NotAnEntity,
        ),
        ("[{:db/force-partition {\"x\" :db.part/db}} {:db/id \"x\" :p/x 1}]", Code::SchemaWithoutInstall),
    ] {
        refused(&world, text, code);
    }
    for flaw in [
        ":db/valueType :db.type/long :db/isComponent true",
        ":db/valueType :db.type/bytes :db/unique :db.unique/value",
        ":db/valueType :db.type/tuple",
        ":db/valueType :db.type/tuple :db/tupleType :db.type/bytes",
        ":db/valueType :db.type/tuple :db/tupleAttrs [:p/x :p/nope]",
        ":db/valueType :db.type/long :db/tupleType :db.type/long",
    ] {
        refused(&world, &attribute(":p/a", flaw), Code::InvalidInstallAttribute);
    }
}

#[test]
fn what_is_built_in_stays() {
    let world = World::people();
    for text in [
        "[{:db/id :db/doc :db/cardinality :db.cardinality/many}]",
        "[{:db/id :db/doc :db/ident :my/doc}]",
        "[[:db/retract :db/doc :db/ident :db/doc]]",
        "[[:db/retractEntity :db/add]]",
        "[[:db/retractEntity :db.part/user]]",
        "[{:db/id :db/add :db/valueType :db.type/long}]",
    ] {
        let error = world.refuse(text);
        let codes = [Code::InvalidAlterAttribute, Code::InvalidInstallAttribute];
        assert!(codes.contains(&error.code()), "{text}: {error:?}");
    }
    refused(&world, "[[:db/add :st/on :db.install/attribute :p/age]]", Code::InvalidInstallAttribute);
    refused(
        &world,
        "[[:db/retract :db.part/db :db.install/attribute :p/age]]",
        Code::InvalidInstallAttribute,
    );
    refused(&world, "[[:db/add :db.part/db :db.install/attribute :st/on]]", Code::InvalidInstallAttribute);
}

#[test]
fn legal_alterations_take_effect_in_the_next_transaction() {
    let mut world = World::people();
    world.commit(r#"[{:db/id "e" :p/age 1}]"#);
    world.commit(r#"[{:db/id :p/age :db/cardinality :db.cardinality/many} {:db/id #e "e" :p/age 2}]"#);
    assert_eq!(world.facts("e"), ["+e :p/age 2"]);
    world.commit(r#"[{:db/id #e "e" :p/age 3}]"#);
    assert_eq!(world.facts("e"), ["+e :p/age 2", "+e :p/age 3"]);
    let error = world.refuse("[{:db/id :p/age :db/cardinality :db.cardinality/one}]");
    assert_eq!(error.code(), Code::InvalidAlterAttribute);
    assert_eq!(detail(&error, "error").as_deref(), Some("CARDINALITY_VIOLATION"));
    world.commit(r#"[[:db/retract #e "e" :p/age 2] {:db/id :p/age :db/cardinality :db.cardinality/one}]"#);
    let age = world.db.schema().attribute_of(&crate::Keyword::new("p/age")).expect("installed").cardinality;
    assert_eq!(age, Cardinality::One);
}

#[test]
fn illegal_alterations_say_which_rule() {
    let mut world = World::people();
    world.commit(r#"[{:db/id "a" :p/name "x" :p/age 1} {:db/id "b" :p/name "x"}]"#);
    for (text, rule) in [
        ("[{:db/id :p/age :db/valueType :db.type/string}]", "UNSUPPORTED_ALTER_SCHEMA"),
        ("[{:db/id :p/age :db/fulltext true}]", "UNSUPPORTED_ALTER_SCHEMA"),
        ("[{:db/id :p/age :db/tupleType :db.type/long}]", "UNSUPPORTED_ALTER_SCHEMA"),
        ("[{:db/id :p/age :db/isComponent true}]", "UNSUPPORTED_ALTER_SCHEMA"),
        ("[[:db/retract :p/age :db/valueType :db.type/long]]", "UNSUPPORTED_ALTER_SCHEMA"),
        ("[[:db/retract :p/age :db/cardinality :db.cardinality/one]]", "UNSUPPORTED_ALTER_SCHEMA"),
        ("[{:db/id :p/age :db/unique :db.unique/value}]", "UNIQUE_WITHOUT_INDEX"),
        ("[{:db/id :p/name :db/unique :db.unique/value}]", "UNIQUE_VIOLATION"),
    ] {
        let error = world.refuse(text);
        assert_eq!(error.code(), Code::InvalidAlterAttribute, "{text}: {error:?}");
        assert_eq!(detail(&error, "error").as_deref(), Some(rule), "{text}");
    }
    refused(
        &world,
        "[{:db/id :st/on :db/valueType :db.type/long :db/cardinality :db.cardinality/one}]",
        Code::NotInSystemPartition,
    );
    world.commit(r#"[[:db/add #e "b" :p/name "y"] {:db/id :p/name :db/unique :db.unique/identity}]"#);
    assert_eq!(world.commit(r#"[{:p/name "y" :p/age 5}]"#), ["+b :p/age 5"]);
}

#[test]
fn uniqueness_waits_for_the_index() {
    let mut world = World::people();
    world.commit(r#"[{:db/id "a" :p/age 1}]"#);
    world.commit("[{:db/id :p/age :db/index true}]");
    let error = world.refuse("[{:db/id :p/age :db/unique :db.unique/value}]");
    assert_eq!(error.kind(), annals_edn::Kind::Busy, "{error:?}");
}

#[test]
fn former_idents_resolve_until_they_are_given_away() {
    let mut world = World::people();
    world.commit("[{:db/id :p/name :db/ident :p/label}]");
    world.commit(r#"[{:db/id "e" :p/name "x"}]"#);
    assert_eq!(world.facts("e"), ["+e :p/label \"x\""]);
    world.commit(&attribute(":p/name", ":db/valueType :db.type/long"));
    world.commit(r#"[{:db/id #e "e" :p/name 5}]"#);
    assert_eq!(world.facts("e").len(), 2);
    world.commit("[[:db/retract :st/on :db/ident :st/on]]");
    world.commit(r#"[{:db/id "f" :p/friend :st/on}]"#);
    let on = world.db.schema().entid(&crate::Keyword::new("st/on")).expect("it keeps resolving");
    assert_eq!(on.partition(), Partition::USER);
}

#[test]
fn composites_follow_their_members() {
    let mut world = World::people();
    world.commit(
        r#"[{:db/ident :p/both :db/valueType :db.type/tuple :db/cardinality :db.cardinality/one
                      :db/tupleAttrs [:p/name :p/age] :db/unique :db.unique/identity}]"#,
    );
    assert_eq!(world.commit(r#"[{:db/id "e" :p/name "a"}]"#), ["+e :p/both [\"a\" nil]", "+e :p/name \"a\""]);
    world.commit(r#"[{:db/id #e "e" :p/age 1}]"#);
    assert_eq!(world.facts("e"), ["+e :p/name \"a\"", "+e :p/age 1", "+e :p/both [\"a\" 1]"]);
    refused(&world, r#"[{:p/name "a" :p/age 1}]"#, Code::UniqueConflict);
    assert!(world.commit(r#"[[:db/add #e "e" :p/both ["z" 9]] [:db/retract #e "e" :p/both]]"#).is_empty());
    assert_eq!(world.commit(r#"[{:p/both ["a" 1] :p/nick :n}]"#), ["+e :p/nick :n"]);
    let gone = world.commit(r#"[[:db/retract #e "e" :p/name] [:db/retract #e "e" :p/age]]"#);
    assert_eq!(gone, ["-e :p/age 1", "-e :p/both [\"a\" 1]", "-e :p/name \"a\""]);
}

#[test]
fn specs_require_attributes_of_the_database_after() {
    let mut world = World::people();
    world.commit("[{:db/ident :spec/a :db.entity/attrs [:p/name :p/age]}]");
    refused(&world, r#"[{:db/id "e" :p/name "n" :db/ensure :spec/a}]"#, Code::EntityAttr);
    world.commit(r#"[{:db/id "e" :p/name "n" :db/ensure :spec/a} [:db/add "e" :p/age 1]]"#);
    refused(&world, r#"[[:db/retract #e "e" :p/age] {:db/id #e "e" :db/ensure :spec/a}]"#, Code::EntityAttr);
    let swap = r#"[[:db/add #e "e" :p/age 2] {:db/id #e "e" :db/ensure :spec/a}]"#;
    assert_eq!(world.commit(swap), ["+e :p/age 2", "-e :p/age 1"]);
    // A predicate cannot be asked here, so nothing passes it.
    world.commit("[{:db/ident :spec/b :db.entity/preds my/pred} {:db/id :p/code :db.attr/preds my/pred}]");
    refused(&world, r#"[{:db/id #e "e" :db/ensure :spec/b}]"#, Code::Unsupported);
    refused(&world, r#"[{:db/id #e "e" :p/code 1}]"#, Code::Unsupported);
    refused(&world, "[{:db/ident :f/x :db/fn {:tx []}}]", Code::Unsupported);
}

#[test]
fn a_schema_made_from_the_log_is_the_schema() {
    let mut world = World::people();
    world.commit("[{:db/id :p/name :db/ident :p/label} {:db/id :p/age :db/index true}]");
    world.commit("[[:db/retract :p/ssn :db/unique :db.unique/value] {:db/ident :st/off}]");
    world.commit(
        "[{:db/id :p/age :db.attr/preds [a? b?]} {:db/ident :spec/a :db.entity/always [:p/age :p/code]}]",
    );
    world.commit("[[:db/retract :p/age :db.attr/preds a?] [:db/retract :spec/a :db.entity/always :p/code]]");
    let mut schema = crate::Schema::bootstrap().as_ref().clone();
    let log = world.db.log(crate::T(1), crate::T(u64::MAX), usize::MAX).expect("the log is there");
    for body in &log {
        if let Some(next) = schema.apply(body).expect("the log makes sense") {
            schema = next;
        }
    }
    let mut attributes: Vec<_> = schema.attributes().cloned().collect();
    let mut expected: Vec<_> = world.db.schema().attributes().cloned().collect();
    attributes.sort_by_key(|attribute| attribute.id);
    expected.sort_by_key(|attribute| attribute.id);
    assert_eq!(attributes, expected);
    assert_eq!(schema.next_element(), world.db.schema().next_element());
    assert_eq!(schema.checks, world.db.schema().checks);
    assert_eq!((schema.checks.predicates().len(), schema.checks.always().len()), (1, 1));
}
