//! Values by type, redundancy, and the instants of transactions.

use annals_edn::Code;

use super::{World, refused};

const TYPES: &str = r#"[
  {:db/ident :v/long :db/valueType :db.type/long :db/cardinality :db.cardinality/one}
  {:db/ident :v/big :db/valueType :db.type/bigint :db/cardinality :db.cardinality/one}
  {:db/ident :v/dec :db/valueType :db.type/bigdec :db/cardinality :db.cardinality/one}
  {:db/ident :v/decs :db/valueType :db.type/bigdec :db/cardinality :db.cardinality/many}
  {:db/ident :v/decid :db/valueType :db.type/bigdec :db/cardinality :db.cardinality/one :db/unique :db.unique/identity}
  {:db/ident :v/float :db/valueType :db.type/float :db/cardinality :db.cardinality/one}
  {:db/ident :v/double :db/valueType :db.type/double :db/cardinality :db.cardinality/one}
  {:db/ident :v/kw :db/valueType :db.type/keyword :db/cardinality :db.cardinality/one}
  {:db/ident :v/sym :db/valueType :db.type/symbol :db/cardinality :db.cardinality/one}
  {:db/ident :v/str :db/valueType :db.type/string :db/cardinality :db.cardinality/one}
  {:db/ident :v/uri :db/valueType :db.type/uri :db/cardinality :db.cardinality/one}
  {:db/ident :v/bytes :db/valueType :db.type/bytes :db/cardinality :db.cardinality/one}
  {:db/ident :v/ref :db/valueType :db.type/ref :db/cardinality :db.cardinality/one}
  {:db/ident :v/uuid :db/valueType :db.type/uuid :db/cardinality :db.cardinality/one}
  {:db/ident :v/pair :db/valueType :db.type/tuple :db/cardinality :db.cardinality/one :db/tupleTypes [:db.type/long :db.type/bigdec]}]"#;

#[test]
fn each_type_takes_its_own_literals_only() {
    let world = World::new(TYPES);
    let takes = |attribute: &str, value: &str| {
        world.decide(&format!("[[:db/add \"e\" {attribute} {value}]]")).map(|body| body.datoms.len())
    };
    for (attribute, value) in [
        (":v/float", "1.5"),
        (":v/float", "#float 1.5"),
        (":v/float", "1e300"),
        (":v/double", "##NaN"),
        (":v/kw", "\":x/y\""),
        (":v/kw", "x"),
        (":v/uri", "#uri \"http://x\""),
        (":v/bytes", "#bytes \"AAEC\""),
        (":v/ref", ":v/ref"),
        (":v/ref", "[:db/ident :v/ref]"),
        (":v/ref", "99999999999999"),
        (":v/pair", "[1 nil]"),
    ] {
        assert_eq!(takes(attribute, value).expect(value), 1, "{attribute} {value}");
    }
    for (attribute, value) in [
        (":v/long", "1N"),
        (":v/long", "1.0"),
        (":v/big", "1"),
        (":v/dec", "1"),
        (":v/dec", "1.5"),
        (":v/float", "1"),
        (":v/double", "1"),
        (":v/double", "#float 1.5"),
        (":v/sym", ":x"),
        (":v/str", ":x"),
        (":v/uri", "\"http://x\""),
        (":v/bytes", "#bytes \"not base64\""),
        (":v/uuid", "\"x\""),
        (":v/str", "[\"a\"]"),
    ] {
        let error = takes(attribute, value).expect_err(value);
        assert_eq!(error.code(), Code::WrongTypeForAttribute, "{attribute} {value}");
    }
    for (attribute, value, code) in [
        (":v/kw", "\"k\"", Code::NotAKeyword),
        (":v/ref", "1.5", Code::NotAnEntity),
        (":v/ref", ":no/such", Code::NotAnEntity),
        (":v/ref", "[:v/str \"x\"]", Code::LookupRefAttrNotUnique),
        (":v/ref", "[:v/decid]", Code::InvalidLookupRef),
        (":v/str", "#unknown \"a\"", Code::EdnUnknownTag),
        (":v/str", "nil", Code::NilValue),
        (":v/pair", "[1 2 3]", Code::InvalidTupleValue),
        (":v/pair", "[\"a\" 1M]", Code::InvalidTupleValue),
    ] {
        assert_eq!(takes(attribute, value).expect_err(value).code(), code, "{attribute} {value}");
    }
}

#[test]
fn what_holds_already_leaves_no_datom() {
    let mut world = World::people();
    world.commit(r#"[{:db/id "e" :p/age 1 :p/nick [:a]}]"#);
    assert!(world.commit(r#"[{:db/id #e "e" :p/age 1 :p/nick [:a :a]}]"#).is_empty());
    assert!(world.commit(r#"[[:db/retract #e "e" :p/age 2] [:db/retract #e "e" :p/name]]"#).is_empty());
    assert_eq!(
        world.commit(r#"[[:db/retract #e "e" :p/nick] [:db/add #e "e" :p/nick :b]]"#),
        ["+e :p/nick :b", "-e :p/nick :a"]
    );
}

#[test]
fn one_thing_cannot_be_said_and_unsaid() {
    let mut world = World::people();
    world.commit(r#"[{:db/id "e" :p/age 1 :p/nick [:a]}]"#);
    for text in [
        r#"[[:db/add #e "e" :p/age 1] [:db/add #e "e" :p/age 2]]"#,
        r#"[[:db/add "n" :p/age 1] [:db/add "n" :p/age 2]]"#,
        r#"[[:db/add #e "e" :p/age 2] [:db/retract #e "e" :p/age 2]]"#,
        r#"[[:db/retract #e "e" :p/age 1] [:db/add #e "e" :p/age 1]]"#,
        r#"[[:db/retractEntity #e "e"] [:db/add #e "e" :p/nick :a]]"#,
    ] {
        refused(&world, text, Code::DatomsConflict);
    }
    assert_eq!(
        world.commit(r#"[[:db/retract #e "e" :p/age] [:db/add #e "e" :p/age 2]]"#),
        ["+e :p/age 2", "-e :p/age 1"]
    );
}

#[test]
fn a_nan_is_replaced_like_any_value() {
    let mut world = World::new(TYPES);
    world.commit(r#"[{:db/id "e" :v/double ##NaN}]"#);
    assert!(world.commit(r#"[{:db/id #e "e" :v/double ##NaN}]"#).is_empty());
    let datoms = world.commit(r#"[[:db/cas #e "e" :v/double ##NaN -0.0]]"#);
    assert_eq!(datoms, ["+e :v/double -0.0", "-e :v/double ##NaN"]);
    assert_eq!(world.commit(r#"[{:db/id #e "e" :v/double 0.0}]"#).len(), 2);
}

#[test]
fn decimals_are_one_value_whatever_their_scale() {
    let mut world = World::new(TYPES);
    world.commit(r#"[{:db/id "e" :v/dec 1.0M :v/decs [2M 2.00M] :v/decid 3.0M}]"#);
    assert_eq!(world.facts("e"), ["+e :v/dec 1.0M", "+e :v/decs 2M", "+e :v/decid 3.0M"]);
    assert_eq!(world.commit(r#"[{:db/id #e "e" :v/dec 1.00M}]"#), ["+e :v/dec 1.00M", "-e :v/dec 1.0M"]);
    assert!(world.commit(r#"[{:db/id #e "e" :v/decs 2.0M}]"#).is_empty());
    assert_eq!(
        world.commit(r#"[{:v/decid 3M :v/long 1}]"#),
        ["+e :v/decid 3M", "+e :v/long 1", "-e :v/decid 3.0M"]
    );
    assert_eq!(world.commit(r#"[[:db/retract #e "e" :v/dec 1M]]"#), ["-e :v/dec 1.00M"]);
}

#[test]
fn numbers_have_bounds() {
    let world = World::new(TYPES);
    let digits = "7".repeat(5_000);
    let big = std::sync::Arc::new(digits.parse().expect("it is a number"));
    let form = annals_edn::Edn::from(annals_edn::Node::BigInt(big));
    let add = |value| {
        let parts = vec![
            annals_edn::Edn::keyword("db/add"),
            annals_edn::Edn::string("e"),
            annals_edn::Edn::keyword("v/big"),
            value,
        ];
        annals_edn::Edn::vector(vec![annals_edn::Edn::vector(parts)])
    };
    assert_eq!(world.decide_form(&add(form)).expect_err("too many bits").code(), Code::ValueOutOfRange);
}

#[test]
fn instants_never_go_back_nor_ahead() {
    let mut world = World::people();
    let now = world.now;
    assert_eq!(world.db.last_instant(), now);
    world.now -= 1_000;
    assert_eq!(
        world.decide("[]").expect("it commits").instant,
        now,
        "a clock that steps back is not followed"
    );
    world.now = now + 5_000;
    refused(&world, r#"[[:db/add "datomic.tx" :db/txInstant #inst "2001-01-01"]]"#, Code::PastTxInstant);
    refused(&world, r#"[[:db/add "datomic.tx" :db/txInstant #inst "2999-01-01"]]"#, Code::FutureTxInstant);
    refused(&world, "[[:db/add #tx 1 :db/txInstant #inst \"2020-09-13T12:26:41Z\"]]", Code::ResetTxInstant);
    refused(&world, "[[:db/retract #tx 1 :db/txInstant]]", Code::ResetTxInstant);
    refused(&world, "[[:db/retractEntity #tx 1]]", Code::ResetTxInstant);
    let body = world
        .decide(r#"[[:db/add "annals.tx" :db/txInstant #inst "2020-09-13T12:26:41Z"]]"#)
        .expect("between the last one and the clock");
    assert_eq!((body.instant, body.datoms.len()), (1_600_000_001_000, 0));
    let two = r#"[[:db/add "datomic.tx" :db/txInstant #inst "2020-09-13T12:26:41Z"]
                  [:db/add "datomic.tx" :db/txInstant #inst "2020-09-13T12:26:42Z"]]"#;
    refused(&world, two, Code::DatomsConflict);
    assert_eq!(world.commit(r#"[{:db/id "e" :db/txInstant #inst "2001-01-01"}]"#).len(), 1);
}

#[test]
fn the_client_id_of_a_transaction_is_not_tx_data() {
    let world = World::people();
    let text = r#"[{:db/id "datomic.tx" :annals.tx/id #uuid "00000000-0000-0000-0000-000000000001"}]"#;
    refused(&world, text, Code::TransactionIdInvalid);
    refused(&world, r#"[{:db/id "x" :db/excise :p/age}]"#, Code::Unsupported);
}

#[test]
fn a_counter_reads_its_newest_value_in_every_view() {
    let mut world = World::people();
    world.commit(r#"[{:db/id "e" :p/age 0}]"#);
    let mut values = vec![world.db.clone()];
    for n in 0..40 {
        world.commit(&format!(r#"[[:db/cas #e "e" :p/age {n} {}]]"#, n + 1));
        values.push(world.db.clone());
    }
    world.commit(r#"[[:db/retract #e "e" :p/age]]"#);
    assert!(world.facts("e").is_empty());
    refused(&world, r#"[[:db/cas #e "e" :p/age 40 41]]"#, Code::CasFailed);
    world.commit(r#"[[:db/cas #e "e" :p/age nil 7]]"#);
    let (e, age) = (world.names["e"], values[0].schema().attribute_of(&crate::Keyword::new("p/age")));
    let age = age.expect("installed").id;
    let read =
        |db: &crate::Db| db.values(e, age).expect("novelty is there").into_iter().next().map(|(v, _)| v);
    for (n, db) in (0..).zip(&values) {
        assert_eq!(read(db), Some(crate::Value::Long(n)), "an older value keeps its answer");
        assert_eq!(read(&world.db.as_of(db.basis())), Some(crate::Value::Long(n)));
    }
    assert_eq!(read(&world.db), Some(crate::Value::Long(7)));
}

#[test]
fn a_value_replaced_in_speculation_stays_there() {
    let mut world = World::people();
    world.commit(r#"[{:db/id "e" :p/age 0}]"#);
    world.commit(r#"[{:db/id #e "e" :p/age 1}]"#);
    let (mut one, mut two) = (world.clone(), world.clone());
    one.commit(r#"[{:db/id #e "e" :p/age 2}]"#);
    two.commit(r#"[{:db/id #e "e" :p/age 3 :p/name "x"}]"#);
    two.commit(r#"[[:db/cas #e "e" :p/age 3 4]]"#);
    assert_eq!(world.facts("e"), ["+e :p/age 1"]);
    refused(&world, r#"[[:db/cas #e "e" :p/age 2 5]]"#, Code::CasFailed);
    assert_eq!(one.commit(r#"[[:db/cas #e "e" :p/age 2 5]]"#), ["+e :p/age 5", "-e :p/age 2"]);
    assert_eq!(two.commit(r#"[[:db/retract #e "e" :p/age]]"#), ["-e :p/age 4"]);
}
