//! What must hold after any sequence of transactions, read off a list of datoms by nested loops: nothing here asks an
//! index. Composites, components, decimals and attributes without a type are in it, which the model of deciding leaves out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use annals_edn::{Error, Keyword};
use proptest::prelude::*;

use super::World;
use crate::bootstrap::attr;
use crate::database::{Incarnation, Options};
use crate::datom::Datom;
use crate::id::{AttrId, EntityId};
use crate::log::TxBody;
use crate::schema::{Cardinality, Schema, TupleKind};
use crate::value::Value;
use crate::{Batch, Columns, Db, Index, Range, T};

const SCHEMA: &str = "[
  {:db/ident :k/x :db/valueType :db.type/long :db/cardinality :db.cardinality/one}
  {:db/ident :k/y :db/valueType :db.type/string :db/cardinality :db.cardinality/one}
  {:db/ident :k/z :db/valueType :db.type/ref :db/cardinality :db.cardinality/one}
  {:db/ident :k/name :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/unique :db.unique/identity}
  {:db/ident :k/code :db/valueType :db.type/bigdec :db/cardinality :db.cardinality/one :db/unique :db.unique/value}
  {:db/ident :k/nick :db/valueType :db.type/keyword :db/cardinality :db.cardinality/many}
  {:db/ident :k/part :db/valueType :db.type/ref :db/cardinality :db.cardinality/one :db/isComponent true}
  {:db/ident :k/parts :db/valueType :db.type/ref :db/cardinality :db.cardinality/many :db/isComponent true}
  {:db/ident :k/friend :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}
  {:db/ident :k/note :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/noHistory true}]";
const COMPOSITES: &str = "[
  {:db/ident :k/x+y :db/valueType :db.type/tuple :db/cardinality :db.cardinality/one :db/tupleAttrs [:k/x :k/y]
   :db/unique :db.unique/identity}
  {:db/ident :k/y+z+code :db/valueType :db.type/tuple :db/cardinality :db.cardinality/one :db/tupleAttrs [:k/y :k/z :k/code]}]";

fn world(options: Options) -> World {
    let mut world = World::people();
    world.db = Db::empty(Incarnation(7), options);
    world.commit(SCHEMA);
    world.commit(COMPOSITES);
    world
}

/// Numbers to draw a form by.
type Draft = (u8, u8, u8, u8);

fn transactions() -> impl Strategy<Value = Vec<Vec<Draft>>> {
    prop::collection::vec(prop::collection::vec(any::<Draft>(), 1..7), 1..12)
}

/// An entity that is there, or a tempid.
fn who(draw: u8, known: &[EntityId]) -> String {
    match known.len() {
        len if len > 0 && draw.is_multiple_of(2) => known[draw as usize / 2 % len].to_string(),
        _ => format!("\"t{}\"", draw / 2 % 4),
    }
}

/// An attribute and a value; references are to what a form of the transaction is about, mostly.
fn fact(a: u8, v: u8, known: &[EntityId], free: bool) -> (&'static str, String) {
    let small = v % 3;
    match a % if free { 13 } else { 11 } {
        0 | 1 => (":k/x", small.to_string()),
        2 => (":k/y", format!("\"y{small}\"")),
        3 => (":k/z", who(v, known)),
        4 => (":k/name", format!("\"n{}\"", v % 5)),
        5 => (":k/code", format!("{}.{}M", v % 4, "0".repeat(v as usize / 4 % 3 + 1))),
        6 => (":k/nick", format!(":a{small}")),
        7 => (":k/part", who(v, known)),
        8 => (":k/parts", who(v, known)),
        9 => (":k/friend", who(v, known)),
        10 => (":k/note", format!("\"{small}\"")),
        11 => (":f/one", ["1", "1N", "1.0", "\"1\"", "[1 nil]", "true"][v as usize % 6].to_owned()),
        _ => (":f/two", ["{:f/one 7}", "#inst \"2001-01-01\"", ":k", "1.50M"][v as usize % 4].to_owned()),
    }
}

fn form(&(kind, e, a, v): &Draft, known: &[EntityId], free: bool) -> String {
    let (ident, value) = fact(a, v, known, free);
    let there = known.get(e as usize % known.len().max(1));
    match (kind % 16, there) {
        (0, Some(e)) => format!("[:db/retractEntity {e}]"),
        (1, Some(e)) => format!("[:db/retract {e} {ident}]"),
        (2, Some(there)) if !value.starts_with('{') => format!("[:db/retract {there} {ident} {value}]"),
        (3, Some(e)) => format!("[:db/cas {e} :k/x {} {}]", ["nil", "0", "1"][v as usize % 3], v % 2),
        (4, _) => {
            format!("{{:db/id {} :k/parts [{{:k/x {}}} {{:k/name \"n{}\"}}]}}", who(e, known), v % 3, v % 5)
        }
        (5, _) => {
            let (x, y) = (v % 2, a % 2);
            format!("{{:db/id \"c{x}{y}\" :k/x+y [{x} \"y{y}\"] :k/x {x} :k/y \"y{y}\"}}")
        }
        (6, _) => {
            format!("{{:db/id {} :k/x {} :k/y \"y{}\" :k/name \"n{}\"}}", who(e, known), v % 3, a % 3, v % 5)
        }
        _ => format!("{{:db/id {} {ident} {value}}}", who(e, known)),
    }
}

/// Names of what a transaction makes, so that two orders of its forms compare.
fn by_name(body: &TxBody) -> BTreeSet<String> {
    let mut names: BTreeMap<EntityId, String> = BTreeMap::new();
    for (name, e) in body.tempids.iter().rev() {
        names.insert(*e, name.to_string());
    }
    for datom in body.datoms.iter().filter(|datom| datom.a == attr::IDENT) {
        names.insert(datom.e, format!("{:?}", datom.v));
    }
    let e = |e: EntityId| names.get(&e).cloned().unwrap_or_else(|| e.to_string());
    let slot = |v: &Value| match v {
        Value::Ref(target) => e(*target),
        other => format!("{other:?}"),
    };
    let value = |v: &Value| match v {
        Value::Tuple(slots) => slots.iter().map(|v| v.as_ref().map_or("nil".into(), slot) + " ").collect(),
        other => slot(other),
    };
    let row =
        |datom: &Datom| format!("{} {} {} {}", e(datom.e), e(datom.a.entity()), value(&datom.v), datom.added);
    body.datoms.iter().map(row).collect()
}

/// Any order of the forms gives the same datoms, or a refusal with the same code.
fn check_orders(world: &World, forms: &[String], decided: &Result<Arc<TxBody>, Error>) {
    // Entities of nested maps have no name to compare them by.
    let nested = forms.iter().any(|form| form.contains("[{") || form.contains(" {"));
    let mut turned = forms.to_vec();
    for turn in 0..3 {
        if turn % 2 == 0 {
            turned.reverse();
        }
        turned.rotate_left(forms.len() / 2);
        match (decided, world.decide(&format!("[{}]", turned.join(" ")))) {
            (Ok(body), Ok(other)) if nested => {
                assert_eq!(body.datoms.len(), other.datoms.len(), "{turned:?}")
            }
            (Ok(body), Ok(other)) => assert_eq!(by_name(body), by_name(&other), "{turned:?}"),
            (Err(error), Err(other)) => assert_eq!(error.code(), other.code(), "{turned:?}"),
            (one, other) => panic!("the order decides: {one:?} but {other:?} for {turned:?}"),
        }
    }
}

/// The present, from the log alone.
fn present(log: &[Arc<TxBody>]) -> Vec<Datom> {
    let mut present: Vec<Datom> = Vec::new();
    for datom in log.iter().flat_map(|body| &body.datoms) {
        let same =
            |other: &Datom| other.e == datom.e && other.a == datom.a && other.v.cmp_index(&datom.v).is_eq();
        let held = present.iter().position(same);
        match (datom.added, held) {
            (true, None) => present.push(datom.clone()),
            (false, Some(at)) => drop(present.remove(at)),
            (added, _) => panic!("a datom that changes nothing: {datom:?} {added}"),
        }
    }
    present
}

fn check_invariants(schema: &Schema, present: &[Datom]) {
    for x in present {
        let attribute = schema.attribute(x.a).expect("facts are about attributes");
        if attribute.cardinality == Cardinality::One {
            assert!(
                !present.iter().any(|y| x.e == y.e && x.a == y.a && !std::ptr::eq(x, y)),
                "two values: {x:?}"
            );
        }
        if attribute.unique.is_some() {
            let shared = present.iter().any(|y| x.a == y.a && x.e != y.e && x.v.identical(&y.v));
            assert!(!shared, "a unique value of two entities: {x:?}");
        }
        let wrong = attribute.value_type.is_some_and(|ty| ty != x.v.value_type());
        assert!(!wrong, "a value of another type: {x:?}");
    }
    for composite in schema.composites() {
        let attribute = schema.attribute(*composite).expect("it is one");
        let Some(TupleKind::Composite(members)) = &attribute.tuple else { panic!("no composite") };
        let entities: BTreeSet<EntityId> = present.iter().map(|datom| datom.e).collect();
        for e in entities {
            let value = |a: AttrId| present.iter().find(|x| (x.e, x.a) == (e, a)).map(|x| x.v.clone());
            let slots: Vec<Option<Value>> = members.iter().map(|member| value(*member)).collect();
            let expected = slots.iter().any(Option::is_some).then(|| Value::Tuple(slots.into()));
            let held = value(*composite);
            let same = match (&held, &expected) {
                (Some(held), Some(expected)) => held.cmp_index(expected).is_eq(),
                (held, expected) => held.is_none() && expected.is_none(),
            };
            assert!(
                same,
                "the composite {} of {e} is {held:?}, its members say {expected:?}",
                attribute.ident
            );
        }
    }
}

/// Of a retracted entity and its parts nothing is left but what the same transaction says.
fn check_retracted(schema: &Schema, before: &[Datom], after: &[Datom], body: &TxBody, forms: &[String]) {
    let root = |form: &String| form.strip_prefix("[:db/retractEntity ")?.strip_suffix(']')?.parse().ok();
    let mut gone: Vec<EntityId> = forms.iter().filter_map(root).map(EntityId).collect();
    let mut at = 0;
    while let Some(&e) = gone.get(at) {
        let part = |x: &&Datom| x.e == e && schema.attribute(x.a).is_some_and(|a| a.component);
        for x in before.iter().filter(part) {
            if let Value::Ref(part) = x.v
                && !gone.contains(&part)
            {
                gone.push(part);
            }
        }
        at += 1;
    }
    for x in after {
        let about =
            gone.contains(&x.e) || matches!(x.v, Value::Ref(e) if gone.contains(&e) && is_ref(schema, x.a));
        let composite =
            matches!(schema.attribute(x.a).and_then(|a| a.tuple.as_ref()), Some(TupleKind::Composite(_)));
        assert!(!about || composite || body.datoms.contains(x), "left behind: {x:?}");
    }
}

fn is_ref(schema: &Schema, a: AttrId) -> bool {
    schema.attribute(a).is_some_and(|attribute| attribute.is_ref())
}

fn scanned(db: &Db) -> Vec<Datom> {
    let (mut batch, mut rows) = (Batch::new(None), Vec::new());
    let mut scan = db.scan(&Range::all(Index::Eavt), Columns::ALL);
    while scan.next(&mut batch).expect("novelty is there") {
        rows.extend((0..batch.rows).map(|i| Datom {
            e: EntityId(batch.e[i]),
            a: AttrId(batch.a[i]),
            v: batch.v.get(i).to_value(),
            t: T(batch.t[i]),
            added: batch.added[i],
        }));
    }
    rows.retain(|datom| datom.t.0 > 0 && datom.a != attr::TX_INSTANT);
    rows
}

fn run(options: Options, transactions: &[Vec<Draft>]) {
    let mut world = world(options);
    let friend = world.db.schema().attribute_of(&Keyword::new("k/friend")).expect("installed").id;
    for drafts in transactions {
        let log = world.db.log(T(1), T(u64::MAX), usize::MAX).expect("the log is there");
        let before = present(&log);
        let mut known: Vec<EntityId> = before.iter().map(|x| x.e).filter(|e| e.as_attr().is_none()).collect();
        known.sort_unstable();
        known.dedup();
        let mut forms: Vec<String> =
            drafts.iter().map(|draft| form(draft, &known, !options.schema_on_write)).collect();
        let named: BTreeSet<String> =
            (0..4).map(|n| format!("\"t{n}\"")).filter(|t| forms.iter().any(|f| f.contains(t))).collect();
        // Something is said about every tempid, or most transactions would be refused for that.
        forms.extend(named.iter().map(|temp| format!("[:db/add {temp} :k/nick :seen]")));
        let decided = world.decide(&format!("[{}]", forms.join(" ")));
        check_orders(&world, &forms, &decided);
        let Ok(body) = decided else { continue };
        world.apply(&body);
        let after = present(&world.db.log(T(1), T(u64::MAX), usize::MAX).expect("the log is there"));
        check_invariants(world.db.schema(), &after);
        check_retracted(world.db.schema(), &before, &after, &body, &forms);
        let count = |e: EntityId| after.iter().filter(|x| x.a == friend && x.v == Value::Ref(e)).count();
        known.iter().for_each(|e| {
            assert_eq!(
                world.db.referrers(*e).expect("novelty").iter().filter(|r| r.0 == friend).count(),
                count(*e)
            )
        });
    }
    let log = world.db.log(T(1), T(u64::MAX), usize::MAX).expect("the log is there");
    let sorted = |mut datoms: Vec<Datom>| {
        datoms.sort_by(|x, y| Index::Eavt.cmp(&x.as_ref(), &y.as_ref()));
        datoms
    };
    assert_eq!(scanned(&world.db), sorted(present(&log)), "the log replays to the present");
    for t in 0..=world.db.basis().0 {
        let then = sorted(present(&log[..t as usize]));
        let at = world.db.at(T(t)).expect("novelty keeps every basis");
        assert_eq!(scanned(&at), then, "at {t}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn invariants_hold_after_any_transactions(transactions in transactions()) {
        run(Options::default(), &transactions);
    }

    #[test]
    fn invariants_hold_without_declared_attributes_and_history(transactions in transactions()) {
        run(Options { schema_on_write: false, keep_history: false }, &transactions);
    }
}
