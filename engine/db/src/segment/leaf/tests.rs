//! Leaves against a sorted list of rows.

use std::cmp::Ordering;
use std::ops::Bound;

use proptest::prelude::*;

use super::super::leaf_writer::{Row, encode_leaf};
use super::*;
use crate::column::Column;
use crate::datom::Datom;
use crate::range::Key;
use crate::segment::testing::{any_datom, any_range};

fn encode(index: Index, datoms: &[Datom]) -> Leaf {
    let rows: Vec<Row<'_>> = datoms
        .iter()
        .map(|d| Row { e: d.e.0, a: d.a.0, v: d.v.as_ref(), t: d.t.0, ended: d.t.0 + 1 })
        .collect();
    Leaf::read(encode_leaf(index, true, &rows).into()).unwrap()
}

fn sorted(index: Index, mut datoms: Vec<Datom>) -> Vec<Datom> {
    datoms.sort_by(|x, y| index.cmp(&x.as_ref(), &y.as_ref()));
    datoms.dedup_by(|x, y| index.cmp_eav(&x.as_ref(), &y.as_ref()) == Ordering::Equal);
    datoms
}

proptest! {
    #[test]
    fn rows_come_back(datoms in prop::collection::vec(any_datom(), 1..400), at in 0_usize..3) {
        let index = Index::ALL[at];
        let datoms = sorted(index, datoms);
        let leaf = encode(index, &datoms);
        prop_assert_eq!(leaf.len(), datoms.len());
        for (i, datom) in datoms.iter().enumerate() {
            prop_assert_eq!(&leaf.row(i).to_datom(), datom);
            prop_assert_eq!(leaf.ended(i), Some(T(datom.t.0 + 1)));
        }
        let mut batch = Batch::new(None);
        leaf.slice_into(0..leaf.len(), Columns::ALL, &mut batch);
        for (i, datom) in datoms.iter().enumerate() {
            prop_assert_eq!((batch.e[i], batch.a[i], batch.t[i]), (datom.e.0, datom.a.0, datom.t.0));
            prop_assert!(batch.v.get(i).cmp_index(&datom.v.as_ref()).is_eq());
        }
    }

    #[test]
    fn ranges_are_those_of_the_list(
        datoms in prop::collection::vec(any_datom(), 1..300),
        (at, range) in (0_usize..3).prop_flat_map(|at| (Just(at), any_range(Index::ALL[at]))),
    ) {
        let datoms = sorted(Index::ALL[at], datoms);
        let rows = encode(Index::ALL[at], &datoms).rows(&range);
        for (i, datom) in datoms.iter().enumerate() {
            prop_assert_eq!(rows.contains(&i), crate::segment::testing::contains(&range, datom), "row {}", i);
        }
    }

    #[test]
    fn garbage_never_panics(noise in prop::collection::vec((any::<u16>(), any::<u8>()), 1..8)) {
        let datoms: Vec<Datom> = sorted(Index::Eavt, some_datoms());
        let rows: Vec<Row<'_>> =
            datoms.iter().map(|d| Row { e: d.e.0, a: d.a.0, v: d.v.as_ref(), t: d.t.0, ended: 0 }).collect();
        let mut payload = encode_leaf(Index::Eavt, false, &rows);
        for (at, byte) in noise {
            let at = usize::from(at) % payload.len();
            payload[at] = byte;
        }
        if let Ok(leaf) = Leaf::read(payload.into()) {
            assert!((0..leaf.len()).all(|i| leaf.row(i).added));
            let mut batch = Batch::new(None);
            leaf.slice_into(0..leaf.len(), Columns::ALL, &mut batch);
            assert!(leaf.rows(&Range::entity_attr(EntityId(3), AttrId(2))).end <= leaf.len());
        }
    }
}

fn some_datoms() -> Vec<Datom> {
    let text = |i: u64| crate::Value::String(format!("text {}", i % 7).into());
    let datom = |i: u64| Datom {
        e: EntityId(i / 3),
        a: AttrId((i % 3) as u32),
        v: if i.is_multiple_of(3) { text(i) } else { crate::Value::Long(i as i64 * 7919) },
        t: T(i / 10),
        added: true,
    };
    (0..500).map(datom).collect()
}

#[test]
fn typed_columns_are_filled_without_boxing() {
    let datoms = sorted(Index::Aevt, some_datoms());
    let leaf = encode(Index::Aevt, &datoms);
    let rows = leaf.attr_rows(AttrId(0));
    assert_eq!(leaf.value_type(AttrId(0)), Some(ValueType::String));
    let mut batch = Batch::new(leaf.value_type(AttrId(0)));
    leaf.slice_into(rows.clone(), Columns::V, &mut batch);
    assert!(matches!(&batch.v, Column::String(texts) if texts.len() == rows.len()));
    assert!(batch.e.is_empty());
}

#[test]
fn seeking_forward_finds_each_entity() {
    let datoms = sorted(Index::Aevt, some_datoms());
    let leaf = encode(Index::Aevt, &datoms);
    let rows = leaf.attr_rows(AttrId(1));
    let mut from = rows.start;
    for e in 0..=167 {
        from = leaf.seek_e(from..rows.end, EntityId(e));
        let linear = rows.clone().find(|&i| leaf.e(i).0 >= e).unwrap_or(rows.end);
        assert_eq!(from, linear);
    }
}

#[test]
fn a_missing_attribute_has_no_rows_but_a_place() {
    let leaf = encode(Index::Aevt, &sorted(Index::Aevt, some_datoms()));
    let key = Key { a: Some(AttrId(9)), ..Key::default() };
    let range = Range { index: Index::Aevt, start: Bound::Included(key.clone()), end: Bound::Unbounded };
    assert_eq!(leaf.rows(&range), leaf.len()..leaf.len());
    assert!(leaf.attr_rows(AttrId(9)).is_empty());
}
