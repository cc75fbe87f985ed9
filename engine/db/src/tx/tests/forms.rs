//! Shapes of tx-data: lists, maps, nested maps, reverse keys, functions, tempids, explicit ids, partitions.

use annals_edn::Code;

use super::{World, refused};
use crate::id::{EntityId, Partition, T};

#[test]
fn maps_lists_and_reverse_keys_say_the_same() {
    let mut world = World::people();
    let datoms = world.commit(
        r#"[{:db/id "a" :p/name "A" :p/nick [:x :y]} [:db/add "a" :p/age 1] {:db/id "b" :p/name "B" :p/_friend "a"}]"#,
    );
    assert_eq!(
        datoms,
        [
            "+a :p/age 1",
            "+a :p/friend b",
            "+a :p/name \"A\"",
            "+a :p/nick :x",
            "+a :p/nick :y",
            "+b :p/name \"B\""
        ]
    );
}

#[test]
fn the_shape_of_an_operation_is_checked() {
    let world = World::people();
    for text in [
        "5",
        "#{}",
        "{:p/name \"x\"}",
        "[5]",
        "[[]]",
        "[nil]",
        "[[:db/add \"e\" :p/age]]",
        "[[:db/add \"e\" :p/age 1 2]]",
        "[[:db/retract \"e\"]]",
        "[[:db/cas 1 :p/age 1]]",
        "[[:db/retractEntity]]",
        "[{:db/force-partition 5}]",
    ] {
        refused(&world, text, Code::NotTransactionData);
    }
    refused(&world, "[[:p/age 1]]", Code::NotADataFunction);
    refused(&world, "[[clojure.core/inc 1]]", Code::NotADataFunction);
    refused(&world, "[[\"db/add\" \"e\" :p/age 1]]", Code::NotAKeyword);
}

#[test]
fn nil_is_the_empty_transaction() {
    let mut world = World::people();
    assert!(world.commit("nil").is_empty());
    assert_eq!(world.db.basis(), T(2));
}

#[test]
fn nested_maps_need_a_reason_to_exist() {
    let mut world = World::people();
    refused(&world, r#"[{:p/friend {:p/number "1"}}]"#, Code::InvalidNestedEntity);
    refused(&world, r#"[{:p/phones [{}]}]"#, Code::TempidNotAnEntity);
    let datoms =
        world.commit(r#"[{:db/id "e" :p/phones [{:db/id "x" :p/number "1"}] :p/friend {:p/email "m"}}]"#);
    assert_eq!(datoms, ["+? :p/email \"m\"", "+e :p/friend ?", "+e :p/phones x", "+x :p/number \"1\""]);
}

#[test]
fn a_map_that_nests_too_deep_is_refused() {
    let mut text = r#"{:p/number "1"}"#.to_owned();
    for _ in 0..60 {
        text = format!("{{:p/phones {text}}}");
    }
    let world = World::people();
    assert_eq!(world.decide(&format!("[{text}]")).expect("60 levels are fine").datoms.len(), 61);
    let mut form = annals_edn::read_one(r#"{:p/number "1"}"#).expect("it is EDN");
    for _ in 0..200 {
        form = annals_edn::Node::Map(vec![(annals_edn::Edn::keyword("p/phones"), form)]).into();
    }
    let tx_data = annals_edn::Edn::vector(vec![form]);
    assert_eq!(world.decide_form(&tx_data).expect_err("too deep").code(), Code::TransactionTooLarge);
}

#[test]
fn tempids_are_reported_by_name_and_in_order() {
    let world = World::people();
    let body = world
        .decide(r#"[{:db/id "b" :p/age 1} {:db/id "a" :p/age 2} {:db/id -5 :p/age 3} [:db/add "annals.tx" :p/name "t"]
                    {:db/id "unused"}]"#)
        .expect("it commits");
    let names: Vec<&str> = body.tempids.iter().map(|(name, _)| name.as_ref()).collect();
    assert_eq!(names, ["-5", "a", "annals.tx", "b"]);
    assert_eq!(body.tempids[2].1, EntityId::of_tx(T(2)));
    assert_eq!(body.next_counter, world.db.next_counter() + 3);
}

#[test]
fn explicit_ids_are_free_in_partition_0_only() {
    let mut world = World::people();
    world.commit("[[:db/add 123456789 :p/age 1] {:db/id 0 :p/age 2}]");
    let used = EntityId::new(Partition::USER, world.db.next_counter() - 1).as_long();
    let unused = EntityId::new(Partition::USER, world.db.next_counter()).as_long();
    world.commit(&format!("[[:db/add {used} :p/age 1]]"));
    refused(&world, &format!("[[:db/add {unused} :p/age 1]]"), Code::InvalidEntityId);
    refused(&world, &format!("[{{:db/id {unused} :p/age 1}}]"), Code::InvalidEntityId);
    refused(&world, &format!("[[:db/add {} :p/age 1]]", 1i64 << 62), Code::InvalidEntityId);
    refused(&world, "[[:db/add #tx 99 :p/name \"later\"]]", Code::InvalidEntityId);
    let element = EntityId::new(Partition::DB, u64::from(world.db.schema().next_element())).as_long();
    refused(&world, &format!("[[:db/add {element} :p/name \"x\"]]"), Code::InvalidEntityId);
    world.commit(&format!("[{{:db/id \"e\" :p/friend {unused}}}]"));
}

#[test]
fn new_entities_go_where_they_are_told() {
    let mut world = World::people();
    world.commit(r#"[{:db/id "part" :db/ident :part/x :db.install/_partition :db.part/db}]"#);
    let part = world.names["part"];
    world.commit(
        r#"[{:db/force-partition {"f" :part/x, "i" 524290}} {:db/id "f" :p/name "f" :p/phones {:db/id "kid" :p/number "1"}}
            {:db/id "i" :p/name "i"} {:db/match-partition {"g" "f"}} {:db/id "g" :p/name "g" :p/phones [{:p/number "2"}]}]"#,
    );
    let partition = |name: &str| world.names[name].partition();
    assert_eq!(part.partition(), Partition::DB);
    assert_eq!(u64::from(partition("f").0), part.counter());
    assert_eq!((partition("g"), partition("i")), (partition("f"), Partition(524_290)));
    assert_eq!(partition("kid"), partition("f"), "a part goes where the whole goes");
    refused(
        &world,
        r#"[{:db/force-partition {"h" :part/nope}} {:db/id "h" :p/name "h"}]"#,
        Code::NotAnEntity,
    );
    refused(
        &world,
        r#"[{:db/force-partition {"h" :db.part/tx}} {:db/id "h" :p/name "h"}]"#,
        Code::NotAnEntity,
    );
    let cycle =
        r#"[{:db/match-partition {"h" "i", "i" "h"}} {:db/id "h" :p/name "h"} {:db/id "i" :p/name "i"}]"#;
    refused(&world, cycle, Code::CycleInAffinity);
    let own_part = r#"[{:db/id "h" :p/name "h" :p/phones {:db/id "h" :p/number "3"}}]"#;
    refused(&world, own_part, Code::CycleInAffinity);
}

#[test]
fn a_part_of_the_transaction_entity_is_no_transaction() {
    let mut world = World::people();
    let datoms = world.commit(r#"[{:db/id "datomic.tx" :p/phones [{:p/number "1"}]}]"#);
    assert_eq!(datoms, ["+? :p/number \"1\"", "+tx2 :p/phones ?"]);
}

#[test]
fn retracting_an_entity_takes_its_parts_and_references() {
    let mut world = World::people();
    world.commit(
        r#"[{:db/id "e" :p/name "e" :p/phones {:db/id "x" :p/number "1"}} {:db/id "f" :p/friend "e"}]"#,
    );
    assert_eq!(
        world.commit(r#"[[:db/retractEntity #e "e"]]"#),
        ["-e :p/name \"e\"", "-e :p/phones x", "-f :p/friend e", "-x :p/number \"1\""]
    );
    assert!(world.commit(r#"[[:db/retractEntity #e "e"] [:db/retractEntity :no/such]]"#).is_empty());
    refused(&world, r#"[[:db/retractEntity "tempid"]]"#, Code::NotAKeyword);
}

#[test]
fn functions_see_the_database_before() {
    let mut world = World::people();
    world.commit(r#"[{:db/id "e" :p/age 0}]"#);
    refused(&world, r#"[[:db/cas #e "e" :p/age 0 1] [:db/cas #e "e" :p/age 1 2]]"#, Code::CasFailed);
    refused(&world, r#"[[:db/cas #e "e" :p/age 0 1] [:db/cas #e "e" :p/age 0 2]]"#, Code::DatomsConflict);
    let datoms = world.commit(r#"[[:db/cas #e "e" :p/age 0 1] [:db.fn/cas #e "e" :p/age 0 1]]"#);
    assert_eq!(datoms, ["+e :p/age 1", "-e :p/age 0"]);
    refused(&world, r#"[[:db/cas #e "e" :p/age 1 nil]]"#, Code::InvalidCas);
    refused(&world, r#"[[:db/cas #e "e" :p/nick :a :b]]"#, Code::InvalidCasMany);
    refused(&world, r#"[[:db/cas "e" :p/age nil 5]]"#, Code::NotAKeyword);
}
