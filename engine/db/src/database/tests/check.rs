//! Every read of a value against the model.

use std::ops::Bound;

use smallvec::SmallVec;

use super::model::{Model, viewed};
use super::random::{Random, attrs, entity, range, value};
use crate::bootstrap::attr;
use crate::{
    AttrId, Batch, Column, Columns, Datom, Db, EntityId, Index, Key, Point, Range, T, Value, ValueType, View,
};

pub(super) fn everything(db: &Db, model: &Model, view: View, random: &mut Random, context: &str) {
    let (db, model) = viewed(db, model, view);
    let visible = model.visible();
    assert_eq!(db.schema().attributes().count(), model.schema().attributes().count(), "{context}");
    scans(&db, &model, &visible, random, context);
    log(&db, &model, context);
    // Reads of one fact are netted, whatever the view shows.
    let model = Model { view: View { history: false, ..view }, ..model };
    let netted = model.visible();
    points(&db, &model, &netted, random, context);
    probes(&db, &netted, random, context);
}

fn scans(db: &Db, model: &Model, visible: &[Datom], random: &mut Random, context: &str) {
    for index in Index::ALL {
        let all = Range::all(index);
        assert_rows(&rows(db, &all), &model.rows(visible, &all), &format!("{context} {index:?}"));
    }
    for _ in 0..12 {
        let range = range(random);
        let expected = model.rows(visible, &range);
        assert_rows(&rows(db, &range), &expected, &format!("{context} {range:?}"));
        narrow(db, &range, &expected, random, context);
        if model.view == View::default() && counts_exactly(db, &range) {
            assert_eq!(db.count(&range).unwrap(), expected.len() as u64, "{context} count {range:?}");
        }
    }
}

/// Not so: ranges over several attributes of AVET, which are counted with the events that AVET happens to hold, and
/// client ids, which count one a transaction. Trees estimate.
fn counts_exactly(db: &Db, range: &Range) -> bool {
    let attr_of = |bound: &Bound<Key>| match bound {
        Bound::Included(key) | Bound::Excluded(key) => key.a,
        Bound::Unbounded => None,
    };
    let (start, end) = (attr_of(&range.start), attr_of(&range.end));
    if db.base().is_some() {
        return false;
    }
    let whole = range.start == range.end && start.is_some_and(|a| db.avet_is_whole(a));
    (start, end) != (Some(attr::TX_ID), Some(attr::TX_ID)) && (range.index != Index::Avet || whole)
}

/// Some columns only.
fn narrow(db: &Db, range: &Range, expected: &[Datom], random: &mut Random, context: &str) {
    let some = [Columns::E, Columns::V, Columns::T, Columns::NONE, Columns::A.with(Columns::ADDED)];
    let columns = *random.pick(&some);
    let mut batch = Batch::new(Some(*random.pick(&[ValueType::Long, ValueType::String, ValueType::Ref])));
    let mut scan = db.scan(range, columns);
    let mut at = 0;
    while scan.next(&mut batch).unwrap() {
        let wanted = &expected[at..at + batch.rows];
        at += batch.rows;
        let ask = |column| if columns.has(column) { wanted } else { &[] };
        assert!(batch.e.iter().copied().eq(ask(Columns::E).iter().map(|d| d.e.0)), "{context} {range:?}");
        assert!(batch.a.iter().copied().eq(ask(Columns::A).iter().map(|d| d.a.0)), "{context} {range:?}");
        assert!(batch.t.iter().copied().eq(ask(Columns::T).iter().map(|d| d.t.0)), "{context} {range:?}");
        assert!(
            batch.added.iter().copied().eq(ask(Columns::ADDED).iter().map(|d| d.added)),
            "{context} {range:?}"
        );
        let values: Vec<Value> = (0..batch.v.len()).map(|i| batch.v.get(i).to_value()).collect();
        assert_eq!(
            values,
            ask(Columns::V).iter().map(|d| d.v.clone()).collect::<Vec<_>>(),
            "{context} {range:?}"
        );
    }
    assert_eq!(at, expected.len(), "{context} {range:?}");
}

fn points(db: &Db, model: &Model, netted: &[Datom], random: &mut Random, context: &str) {
    for _ in 0..8 {
        let (e, a, v) = fact(netted, random);
        let mut held: Vec<&Datom> = netted.iter().filter(|datom| datom.e == e && datom.a == a).collect();
        held.sort_by(|x, y| x.v.cmp_index(&y.v));
        let values: SmallVec<[(Value, T); 1]> = held.iter().map(|datom| (datom.v.clone(), datom.t)).collect();
        assert_eq!(db.values(e, a).unwrap(), values, "{context} values {e} {a:?}");
        let holds = held.iter().find(|datom| datom.v.identical(&v)).map(|datom| datom.t);
        assert_eq!(db.holds(e, a, &v.as_ref()).unwrap(), holds, "{context} holds {e} {a:?} {v:?}");
        let with = netted.iter().filter(|datom| datom.a == a && datom.v.identical(&v));
        let first = with.map(|datom| datom.e).min();
        assert_eq!(db.lookup(a, &v.as_ref()).unwrap(), first, "{context} lookup {a:?} {v:?}");
    }
    let target = entity(random);
    let is_ref = |a: AttrId| model.schema().attribute(a).is_some_and(|a| a.is_ref());
    let refers = netted.iter().filter(|datom| is_ref(datom.a) && datom.v.identical(&Value::Ref(target)));
    let mut expected: Vec<(AttrId, EntityId, T)> = refers.map(|datom| (datom.a, datom.e, datom.t)).collect();
    expected.sort();
    assert_eq!(db.referrers(target).unwrap(), expected, "{context} referrers of {target}");
}

fn fact(netted: &[Datom], random: &mut Random) -> (EntityId, AttrId, Value) {
    if netted.is_empty() || random.one_in(3) {
        let a = AttrId(1000 + random.below(10) as u32);
        return (entity(random), a, value(random, Some(ValueType::Long)));
    }
    let datom = random.pick(netted);
    (datom.e, datom.a, datom.v.clone())
}

fn probes(db: &Db, netted: &[Datom], random: &mut Random, context: &str) {
    for a in attrs().chain([attr::TX_INSTANT, attr::IDENT, attr::TX_ID]) {
        let mut of_attr: Vec<&Datom> = netted.iter().filter(|datom| datom.a == a).collect();
        let mut entities: Vec<u64> = (0..random.below(12)).map(|_| entity(random).0).collect();
        entities.extend(of_attr.iter().map(|datom| datom.e.0).filter(|_| random.one_in(3)));
        entities.sort_unstable();
        let mut expected = Vec::new();
        of_attr.sort_by(|x, y| Index::Aevt.cmp(&x.as_ref(), &y.as_ref()));
        for (i, &e) in entities.iter().enumerate() {
            let rows = of_attr.iter().filter(|datom| datom.e.0 == e);
            expected.extend(rows.map(|datom| (i as u32, datom.v.clone(), datom.t.0)));
        }
        let probe = db.probe_entities(a, &entities, true).unwrap();
        let found = (0..probe.input.len()).map(|i| (probe.input[i], probe.v.get(i).to_value(), probe.t[i]));
        assert_eq!(found.collect::<Vec<_>>(), expected, "{context} probe {a:?} {entities:?}");
        probe_values(db, a, &of_attr, random, context);
    }
}

fn probe_values(db: &Db, a: AttrId, of_attr: &[&Datom], random: &mut Random, context: &str) {
    let mut values: Vec<Value> =
        of_attr.iter().map(|datom| datom.v.clone()).filter(|_| random.one_in(2)).collect();
    values.extend((0..3).map(|_| value(random, Some(ValueType::Long))));
    values.sort_by(Value::cmp_index);
    let mut expected: Vec<(u32, u64, u64)> = Vec::new();
    for (i, v) in values.iter().enumerate() {
        let rows = of_attr.iter().filter(|datom| datom.v.identical(v));
        expected.extend(rows.map(|datom| (i as u32, datom.e.0, datom.t.0)));
    }
    expected.sort_unstable();
    let probe = db.probe_values(a, &Column::Mixed(values.clone()), true).unwrap();
    let found = (0..probe.input.len()).map(|i| (probe.input[i], probe.e[i], probe.t[i]));
    assert_eq!(found.collect::<Vec<_>>(), expected, "{context} probe values {a:?} {values:?}");
}

fn log(db: &Db, model: &Model, context: &str) {
    let bodies = db.log(T(2), T(5), 2).unwrap();
    let expected: Vec<_> = model.line.iter().filter(|body| (2..5).contains(&body.t.0)).take(2).collect();
    assert!(bodies.iter().eq(expected), "{context} log");
    for body in &model.line {
        if let Some(id) = body.client_id {
            let found = db.transaction_by_client_id(id).unwrap().unwrap();
            assert_eq!(found.t, body.t, "{context} client id");
        }
        let last = model.line.iter().rev().find(|other| other.instant <= body.instant).unwrap().t;
        assert_eq!(
            db.point(Point::Instant(body.instant)).unwrap(),
            last,
            "{context} instant {}",
            body.instant
        );
    }
    assert_eq!(db.transaction_by_client_id(3).unwrap(), None);
    assert_eq!(db.point(Point::Instant(0)).unwrap(), T(0));
}

pub(super) fn rows(db: &Db, range: &Range) -> Vec<Datom> {
    let (mut batch, mut rows) = (Batch::new(None), Vec::new());
    let mut scan = db.scan(range, Columns::ALL);
    while scan.next(&mut batch).unwrap() {
        for i in 0..batch.rows {
            let (e, a) = (EntityId(batch.e[i]), AttrId(batch.a[i]));
            rows.push(Datom { e, a, v: batch.v.get(i).to_value(), t: T(batch.t[i]), added: batch.added[i] });
        }
    }
    rows
}

fn assert_rows(found: &[Datom], expected: &[Datom], context: &str) {
    if found == expected {
        return;
    }
    let missing: Vec<&Datom> = expected.iter().filter(|datom| !found.contains(datom)).collect();
    let extra: Vec<&Datom> = found.iter().filter(|datom| !expected.contains(datom)).collect();
    panic!(
        "{context}\nmissing {missing:?}\nextra {extra:?}\n{} rows, {} expected",
        found.len(),
        expected.len()
    );
}
