//! What the property tests of segments and builds draw from: datoms over few entities and attributes, so that they meet,
//! and ranges, with a naive test of membership.

use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::Arc;

use bigdecimal::BigDecimal;
use proptest::prelude::*;

use crate::datom::Datom;
use crate::id::{AttrId, EntityId, T};
use crate::order::Index;
use crate::range::{Key, Range};
use crate::value::Value;

pub(crate) fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::Boolean),
        (-50_i64..50).prop_map(Value::Long),
        any::<i64>().prop_map(Value::Long),
        (0_u64..20).prop_map(|e| Value::Ref(EntityId(e))),
        any::<i64>().prop_map(Value::Instant),
        (0_i64..9).prop_map(|x| Value::Double(x as f64 / 2.0 - 2.0)),
        (0_i64..9).prop_map(|x| Value::Float(x as f32 / 2.0)),
        any::<u128>().prop_map(Value::Uuid),
        "[a-c]{0,3}(/[a-c]{1,2})?".prop_map(|x| Value::Keyword(crate::Keyword::new(x))),
        "[a-cé😀]{0,4}".prop_map(|x| Value::String(x.into())),
        "[a-c]{0,4}".prop_map(|x| Value::Uri(x.into())),
        prop::collection::vec(0_u8..3, 0..4).prop_map(|x| Value::Bytes(x.into())),
        any::<i64>().prop_map(|x| Value::BigInt(Arc::new(x.into()))),
        (-9_i64..9, 0_i64..3)
            .prop_map(|(n, scale)| Value::BigDec(Arc::new(BigDecimal::new(n.into(), scale)))),
        (-5_i64..5).prop_map(|x| Value::Tuple([None, Some(Value::Long(x))].as_slice().into())),
    ]
}

/// Attributes 0–5 have one type each, 6 mixes them.
fn value_of(a: u32) -> BoxedStrategy<Value> {
    match a {
        0 => (-50_i64..50).prop_map(Value::Long).boxed(),
        1 => "[a-cé]{0,4}".prop_map(|x| Value::String(x.into())).boxed(),
        2 => (0_u64..20).prop_map(|e| Value::Ref(EntityId(e))).boxed(),
        3 => "[a-c]{1,2}/[a-c]".prop_map(|x| Value::Keyword(crate::Keyword::new(x))).boxed(),
        4 => (0_i64..9).prop_map(|x| Value::Double(x as f64 / 2.0 - 2.0)).boxed(),
        5 => any::<u128>().prop_map(Value::Uuid).boxed(),
        _ => any_value().boxed(),
    }
}

pub(crate) fn any_datom() -> impl Strategy<Value = Datom> {
    (0_u64..20, 0_u32..7).prop_flat_map(|(e, a)| {
        (value_of(a), 1_u64..50).prop_map(move |(v, t)| Datom {
            e: EntityId(e),
            a: AttrId(a),
            v,
            t: T(t),
            added: true,
        })
    })
}

fn any_key(index: Index) -> impl Strategy<Value = Key> {
    (any_datom(), 1_usize..4).prop_map(move |(datom, depth)| {
        let (e, a, v) = match index {
            Index::Eavt => (1, 2, 3),
            Index::Aevt => (2, 1, 3),
            Index::Avet => (3, 1, 2),
        };
        Key {
            e: (depth >= e).then_some(datom.e),
            a: (depth >= a).then_some(datom.a),
            v: (depth >= v).then_some(datom.v),
        }
    })
}

pub(crate) fn any_range(index: Index) -> impl Strategy<Value = Range> {
    let bound = || {
        prop_oneof![
            1 => Just(Bound::Unbounded),
            4 => any_key(index).prop_map(Bound::Included),
            4 => any_key(index).prop_map(Bound::Excluded),
        ]
    };
    prop_oneof![
        any_key(index).prop_map(move |key| Range::prefix(index, key)),
        (bound(), bound()).prop_map(move |(start, end)| Range { index, start, end }),
    ]
}

fn cmp(index: Index, datom: &Datom, key: &Key) -> Ordering {
    let e = || key.e.map(|e| datom.e.cmp(&e));
    let a = || key.a.map(|a| datom.a.cmp(&a));
    let v = || key.v.as_ref().map(|v| datom.v.cmp_index(v));
    let order: [Option<Ordering>; 3] = match index {
        Index::Eavt => [e(), a(), v()],
        Index::Aevt => [a(), e(), v()],
        Index::Avet => [a(), v(), e()],
    };
    let known = order.into_iter().map_while(|x| x);
    known.fold(Ordering::Equal, Ordering::then)
}

/// Whether a datom lies in a range, by the definition.
pub(crate) fn contains(range: &Range, datom: &Datom) -> bool {
    let starts = match &range.start {
        Bound::Included(key) => cmp(range.index, datom, key).is_ge(),
        Bound::Excluded(key) => cmp(range.index, datom, key).is_gt(),
        Bound::Unbounded => true,
    };
    let ends = match &range.end {
        Bound::Included(key) => cmp(range.index, datom, key).is_le(),
        Bound::Excluded(key) => cmp(range.index, datom, key).is_lt(),
        Bound::Unbounded => true,
    };
    starts && ends
}
