//! Values, columns and datoms there and back.

use annals_db::{AttrId, Column, Datom, EntityId, T, Value, ValueRef, ValueType};
use prost::Message;

use super::*;
use crate::rows::Rows;

fn samples() -> Vec<Value> {
    vec![
        Value::Boolean(true),
        Value::Long(i64::MIN),
        Value::Ref(EntityId::MAX),
        Value::BigInt(Arc::new("-123456789012345678901234567890".parse().expect("a bigint"))),
        Value::Float(1.1),
        Value::Double(f64::NAN),
        Value::BigDec(Arc::new("1.500".parse().expect("a bigdec"))),
        Value::Instant(-1),
        Value::Uuid(u128::MAX),
        Value::Keyword(Keyword::new("a/b")),
        Value::Symbol(Symbol::new("x")),
        Value::String("é".into()),
        Value::Uri("https://example.com".into()),
        Value::Bytes([0, 255].as_slice().into()),
        Value::Tuple([None, Some(Value::Long(1))].as_slice().into()),
    ]
}

#[test]
fn there_is_a_sample_of_every_type() {
    let types: Vec<ValueType> = samples().iter().map(Value::value_type).collect();
    assert_eq!(types, ValueType::ALL);
}

#[test]
fn every_value_survives_alone_and_in_a_column() {
    for value in samples() {
        let message = value_to_wire(value.as_ref());
        let decoded = v1::Value::decode(message.encode_to_vec().as_slice()).expect("it decodes");
        assert_eq!(value_from_wire(&decoded).expect("a value"), Some(value.clone()));

        let mut column = Column::of(value.value_type());
        column.push(value.as_ref());
        column.push(value.as_ref());
        column.push(value.as_ref());
        let wire = column_to_wire(&column, 1..3);
        let back = column_from_wire(&wire, 2).expect("a column");
        assert_eq!((back.len(), back.get(1).to_value()), (2, value.clone()), "{value:?}");
        assert_eq!(back.get(0).value_type(), value.value_type());
        assert!(column_from_wire(&wire, 3).is_err(), "a row is missing: {value:?}");
    }
}

#[test]
fn mixed_columns_keep_every_type() {
    let mut column = Column::of(ValueType::Long);
    for value in samples() {
        column.push(value.as_ref());
    }
    let back = column_from_wire(&column_to_wire(&column, 0..15), 15).expect("a column");
    for (row, value) in samples().into_iter().enumerate() {
        assert_eq!(back.get(row).to_value(), value);
    }
}

#[test]
fn many_keywords_are_not_a_dictionary() {
    let mut column = Column::of(ValueType::Keyword);
    for n in 0..1000 {
        column.push(ValueRef::Keyword(&format!("k/{n}")));
    }
    let wire = column_to_wire(&column, 0..1000);
    assert!(matches!(wire.kind, Some(v1::column::Kind::Texts(_))));
    let back = column_from_wire(&wire, 1000).expect("a column");
    assert!(matches!(back.get(999), ValueRef::Keyword("k/999")));
    let wire = column_to_wire(&column, 0..100);
    assert!(matches!(wire.kind, Some(v1::column::Kind::Dictionary(_))));
}

#[test]
fn ids_beyond_the_greatest_are_refused() {
    let kind = Some(v1::column::Kind::Refs(v1::RefColumn { ids: vec![u64::MAX] }));
    assert!(column_from_wire(&v1::Column { kind }, 1).is_err());
    assert!(value_from_wire(&v1::Value { kind: Some(Kind::RefValue(u64::MAX)) }).is_err());
}

#[test]
fn datoms_read_back_as_rows() {
    let datom = |e, a, v, added| Datom { e: EntityId(e), a: AttrId(a), v, t: T(7), added };
    let datoms = [
        datom(1, 20, Value::String("x".into()), true),
        datom(2, 21, Value::Long(5), false),
        datom(3, 20, Value::String("y".into()), true),
    ];
    let mut chunk = DatomChunk::with_t();
    for datom in &datoms {
        chunk.push(datom.as_ref(), |attr| format!("a/{}", attr.0));
    }
    assert_eq!(chunk.len(), 3);
    let wire = chunk.finish();
    assert!(chunk.is_empty());
    let rows = Rows::new(&wire).expect("a sound chunk");
    let shown: Vec<String> = (0..3)
        .map(|row| {
            let cells = rows.row(row).expect("EDN");
            cells.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        })
        .collect();
    let tx = EntityId::of_tx(T(7));
    assert_eq!(
        shown,
        [
            format!("7 1 :a/20 \"x\" {tx} true"),
            format!("7 2 :a/21 5 {tx} false"),
            format!("7 3 :a/20 \"y\" {tx} true"),
        ]
    );
}
