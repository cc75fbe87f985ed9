//! Tx-data that nobody would write: refused or taken, but never a panic, and the same answer every time.

use annals_edn::{Edn, Node, Symbol};
use proptest::prelude::*;

use super::World;
use crate::bootstrap;

/// Names that mean something, in every position.
const IDENTS: [&str; 30] = [
    "db/add",
    "db/retract",
    "db/cas",
    "db/retractEntity",
    "db/id",
    "db/ident",
    "db/valueType",
    "db/cardinality",
    "db/unique",
    "db/index",
    "db/txInstant",
    "db/ensure",
    "db/tupleAttrs",
    "db/tupleType",
    "db.type/tuple",
    "db.type/ref",
    "db.type/string",
    "db.cardinality/one",
    "db.cardinality/many",
    "db.unique/identity",
    "db.part/db",
    "db.install/_partition",
    "db/force-partition",
    "db/match-partition",
    "p/email",
    "p/age",
    "p/nick",
    "p/_friend",
    "p/phones",
    "new/attr",
];

fn atom() -> impl Strategy<Value = Edn> {
    let ident = || prop::sample::select(IDENTS.to_vec());
    prop_oneof![
        6 => ident().prop_map(Edn::keyword),
        1 => ident().prop_map(|name| Edn::string(format!(":{name}"))),
        1 => Just(Edn::nil()),
        2 => prop::sample::select(vec!["a", "b", "datomic.tx", "", ":"]).prop_map(Edn::string),
        1 => any::<i64>().prop_map(Edn::long),
        2 => (-3i64..40).prop_map(Edn::long),
        1 => (0u32..1100).prop_map(|n| Edn::long(crate::AttrId(n).entity().as_long())),
        1 => Just(Edn::long(bootstrap::PART_DB.as_long())),
        1 => any::<f64>().prop_map(Edn::double),
        1 => Just(Edn::bool(true)),
        1 => Just(Edn::new(Node::Symbol(Symbol::new("f")))),
        1 => Just(Edn::tagged("bytes", Edn::string("AA=="))),
    ]
}

fn form() -> impl Strategy<Value = Edn> {
    atom().prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            3 => prop::collection::vec(inner.clone(), 0..5).prop_map(Edn::vector),
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(|forms| Edn::new(Node::Set(forms))),
            3 => prop::collection::vec((inner.clone(), inner), 0..4).prop_map(|entries| Edn::new(Node::Map(entries))),
        ]
    })
}

/// Something like an operation or a map, so that most of it gets past the first look.
fn likely() -> impl Strategy<Value = Edn> {
    let head = prop::sample::select(vec!["db/add", "db/retract", "db/cas", "db/retractEntity"]);
    prop_oneof![
        (head, prop::collection::vec(form(), 1..5)).prop_map(|(head, rest)| {
            Edn::vector(std::iter::once(Edn::keyword(head)).chain(rest).collect())
        }),
        prop::collection::vec((atom(), form()), 0..4).prop_map(|entries| Edn::new(Node::Map(entries))),
        form(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn garbage_is_answered(forms in prop::collection::vec(likely(), 0..5)) {
        let mut world = World::people();
        world.commit(r#"[{:db/id "a" :p/email "a" :p/age 1 :p/phones [{:p/number "1"}]}]"#);
        let tx_data = Edn::vector(forms);
        let (first, second) = (world.decide_form(&tx_data), world.decide_form(&tx_data));
        match (first, second) {
            (Ok(one), Ok(two)) => {
                prop_assert_eq!(&one, &two);
                world.apply(&one);
            }
            (Err(one), Err(two)) => {
                prop_assert_eq!(one.code(), two.code());
                prop_assert!(one.kind() != annals_edn::Kind::Fault, "{:?}", one);
            }
            (one, two) => prop_assert!(false, "{:?} and then {:?}", one, two),
        }
    }
}
