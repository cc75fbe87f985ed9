//! The first 64 bits of a value in index order: never decides, but mostly spares the look at the value itself.

use crate::value::{ValueRef, ValueType};

/// Monotone: `x < y` in index order gives `order_prefix(x) <= order_prefix(y)`, and identical values have one prefix.
/// Four bits of type rank, then the leading 60 bits of the value.
pub(crate) fn order_prefix(v: &ValueRef<'_>) -> u64 {
    const SIGN: u64 = 1 << 63;
    let bits = match v {
        ValueRef::Boolean(x) => u64::from(*x) << 63,
        ValueRef::Long(x) | ValueRef::Instant(x) => *x as u64 ^ SIGN,
        ValueRef::Ref(e) => e.0 ^ SIGN,
        ValueRef::Float(x) => order_bits(f64::from(*x)),
        ValueRef::Double(x) => order_bits(*x),
        ValueRef::Uuid(x) => (x >> 64) as u64,
        ValueRef::Symbol(x) | ValueRef::String(x) | ValueRef::Uri(x) => leading(x.as_bytes()),
        ValueRef::Bytes(x) => leading(x),
        ValueRef::Keyword(x) => keyword(x),
        ValueRef::BigInt(_) | ValueRef::BigDec(_) | ValueRef::Tuple(_) => 0,
    };
    (u64::from(v.value_type().rank()) << 60) | (bits >> 4)
}

/// Bits of a double that compare as IEEE total order does.
fn order_bits(x: f64) -> u64 {
    let bits = x.to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

fn leading(bytes: &[u8]) -> u64 {
    let mut head = [0; 8];
    let n = bytes.len().min(8);
    head[..n].copy_from_slice(&bytes[..n]);
    u64::from_be_bytes(head)
}

/// Keywords without a namespace come first; of the others the namespace alone counts, since a slash sorts elsewhere
/// than the end of a namespace.
fn keyword(text: &str) -> u64 {
    match text.find('/') {
        Some(at) if at > 0 => 1 << 63 | leading(&text.as_bytes()[..at]) >> 1,
        _ => leading(text.as_bytes()) >> 1,
    }
}

const _: () = assert!((ValueType::Tuple as u8) < 16, "the rank has four bits");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::EntityId;

    #[test]
    fn prefixes_ascend_with_the_values() {
        let values = [
            ValueRef::Boolean(false),
            ValueRef::Boolean(true),
            ValueRef::Long(i64::MIN),
            ValueRef::Long(-1),
            ValueRef::Ref(EntityId(0)),
            ValueRef::Long(1),
            ValueRef::Ref(EntityId::MAX),
            ValueRef::Long(i64::MAX),
            ValueRef::Float(-1.5),
            ValueRef::Float(-0.0),
            ValueRef::Float(0.0),
            ValueRef::Double(f64::NEG_INFINITY),
            ValueRef::Double(-0.0),
            ValueRef::Double(0.0),
            ValueRef::Double(1e-300),
            ValueRef::Double(f64::NAN),
            ValueRef::Instant(-1),
            ValueRef::Uuid(0),
            ValueRef::Uuid(u128::MAX),
            ValueRef::Keyword(""),
            ValueRef::Keyword("z"),
            ValueRef::Keyword("a/z"),
            ValueRef::Keyword("a-b/c"),
            ValueRef::Keyword("aa/a"),
            ValueRef::String(""),
            ValueRef::String("\0"),
            ValueRef::String("abcdefgh"),
            ValueRef::String("abcdefghi"),
            ValueRef::String("ü"),
            ValueRef::Bytes(&[255]),
        ];
        for pair in values.windows(2) {
            assert!(pair[0].cmp_index(&pair[1]).is_le(), "{pair:?}");
            assert!(order_prefix(&pair[0]) <= order_prefix(&pair[1]), "{pair:?}");
        }
        assert_eq!(order_prefix(&ValueRef::Long(7)), order_prefix(&ValueRef::Ref(EntityId(7))));
    }
}
