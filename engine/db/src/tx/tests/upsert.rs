//! Tempids and unique values: upsert to a fixpoint, unification, moves, conflicts.

use annals_edn::Code;

use super::{World, refused};

#[test]
fn an_identity_value_finds_its_entity() {
    let mut world = World::people();
    world.commit(r#"[{:db/id "e" :p/email "a" :p/age 1}]"#);
    assert_eq!(world.commit(r#"[{:db/id "x" :p/email "a" :p/age 2}]"#), ["+e :p/age 2", "-e :p/age 1"]);
    assert_eq!(world.names["x"], world.names["e"]);
}

#[test]
fn tempids_unite_along_chains_of_values() {
    let mut world = World::people();
    let datoms = world.commit(r#"[{:db/id "x" :p/email "a" :p/code 7} {:db/id "y" :p/code 7 :p/name "n"} {:db/id "z" :p/email "a"}]"#);
    assert_eq!(datoms.len(), 3);
    assert_eq!(world.names["x"], world.names["y"]);
    assert_eq!(world.names["y"], world.names["z"]);
}

#[test]
fn references_to_tempids_resolve_in_chains() {
    let mut world = World::people();
    world.commit(r#"[{:db/id "a" :p/email "a"} {:db/id "b" :p/boss "a" :p/name "b"} {:db/id "c" :p/boss "b" :p/name "c"}]"#);
    let datoms = world.commit(
        r#"[{:db/id "z" :p/boss "y" :p/age 3} {:db/id "y" :p/boss "x" :p/age 2} {:db/id "x" :p/email "a" :p/age 1}]"#,
    );
    assert_eq!(datoms, ["+a :p/age 1", "+b :p/age 2", "+c :p/age 3"]);
}

#[test]
fn tempids_with_one_new_reference_unite() {
    let mut world = World::people();
    let datoms = world.commit(
        r#"[{:db/id "x" :p/boss "t" :p/name "v"} {:db/id "t" :p/email "b"} {:db/id "u" :p/email "b"}
            {:db/id "y" :p/boss "u" :p/age 1}]"#,
    );
    assert_eq!(datoms, ["+t :p/email \"b\"", "+x :p/age 1", "+x :p/boss t", "+x :p/name \"v\""]);
}

#[test]
fn a_long_chain_in_the_worst_order_stays_cheap() {
    let mut world = World::people();
    let length = 3_000;
    let link = |n: usize| format!(r#"{{:db/id "n{n}" :p/boss "n{}"}}"#, n - 1);
    let ascending: Vec<String> = (1..length).map(link).collect();
    world.commit(&format!(r#"[{{:db/id "n0" :p/email "root"}} {}]"#, ascending.join(" ")));
    let links: Vec<String> = (1..length).rev().map(link).collect();
    let again = world.commit(&format!(r#"[{} {{:db/id "n0" :p/email "root"}}]"#, links.join(" ")));
    assert!(again.is_empty(), "every link is the one that is there");
}

#[test]
fn a_tempid_cannot_be_two_entities() {
    let mut world = World::people();
    world.commit(r#"[{:db/id "a" :p/email "a"} {:db/id "b" :p/code 1} {:db/id "c" :p/ssn "1"}]"#);
    refused(&world, r#"[{:p/email "a" :p/code 1}]"#, Code::UniqueConflict);
    refused(&world, r#"[{:db/id "x" :p/email "a"} {:db/id "x" :p/code 1}]"#, Code::UniqueConflict);
    refused(&world, r#"[{:p/email "a" :p/ssn "1"}]"#, Code::UniqueConflict);
    refused(&world, r#"[[:db/add #e "b" :p/email "a"]]"#, Code::UniqueConflict);
    refused(&world, r#"[{:p/ssn "2"} {:p/ssn "2"}]"#, Code::UniqueConflict);
}

#[test]
fn unique_values_move_within_a_transaction() {
    let mut world = World::people();
    world.commit(r#"[{:db/id "a" :p/ssn "1" :p/email "a"} {:db/id "b" :p/ssn "2" :p/email "b"}]"#);
    let datoms = world.commit(r#"[[:db/add #e "a" :p/ssn "2"] [:db/add #e "b" :p/ssn "1"]]"#);
    assert_eq!(datoms.len(), 4);
    world.commit(r#"[[:db/retract #e "a" :p/email "a"] [:db/add #e "b" :p/email "a"]]"#);
    assert_eq!(world.facts("b"), ["+b :p/email \"a\"", "+b :p/ssn \"1\""]);
}

#[test]
fn a_retract_resolves_its_tempid_by_what_it_retracts() {
    let mut world = World::people();
    world.commit(r#"[{:db/id "e" :p/email "a" :p/age 1}]"#);
    let datoms = world.commit(r#"[[:db/retract "x" :p/email "a"] [:db/add "x" :p/age 2]]"#);
    assert_eq!(datoms, ["+e :p/age 2", "-e :p/age 1", "-e :p/email \"a\""]);
}

#[test]
fn a_tempid_that_nothing_is_said_about_is_refused() {
    let mut world = World::people();
    world.commit(r#"[{:db/id "e" :p/age 1}]"#);
    refused(&world, r#"[{:db/id "x" :p/friend "ghost"}]"#, Code::TempidNotAnEntity);
    refused(&world, r#"[[:db/retract #e "e" :p/friend "ghost"]]"#, Code::TempidNotAnEntity);
    assert!(world.commit(r#"[[:db/retract "ghost" :p/age 1]]"#).is_empty());
    assert_eq!(world.commit(r#"[{:db/id "x" :p/friend "datomic.tx"}]"#), ["+x :p/friend tx4"]);
}

#[test]
fn wishes_and_ghosts_by_the_thousand_cost_their_number() {
    let world = World::people();
    let near = |n: usize, next: usize| {
        format!("{{:db/match-partition {{\"t{n}\" \"t{next}\"}}}} [:db/add \"t{n}\" :p/age 1]")
    };
    let n = 50_000;
    let line: Vec<String> = (0..n).map(|i| near(i, i + 1)).collect();
    let text = format!("[{} [:db/add \"t{n}\" :p/age 1]]", line.join(" "));
    assert_eq!(world.decide(&text).expect("a chain ends").datoms.len(), n + 1);
    let circle: Vec<String> = (0..n).map(|i| near(i, (i + 1) % n)).collect();
    refused(&world, &format!("[{}]", circle.join(" ")), Code::CycleInAffinity);
    let ghosts: Vec<String> = (0..n).map(|i| format!("[:db/add \"e\" :p/friend \"g{i}\"]")).collect();
    refused(&world, &format!("[{}]", ghosts.join(" ")), Code::TempidNotAnEntity);
}
