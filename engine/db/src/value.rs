//! Values: an owned form, a borrowed form, and their one index order.
//!
//! *Index order* is by type tag (the order of [`ValueType`]), then by value: integers signed, doubles by IEEE total
//! order, decimals by value then scale, strings by code point, uuids unsigned, tuples slot by slot with nil lowest.
//! *Identity* (joins, sets, uniqueness): ref, long and entity id are one 64-bit integer; decimals are equal by value.
//! [`ValueRef::cmp_index`] is the former, [`ValueRef::identical`] the latter.

use std::cmp::Ordering;
use std::sync::Arc;

use annals_edn::{Keyword, Symbol};
use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;

use crate::id::EntityId;

/// The type of a value, in index order. The discriminant is the type tag of the formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ValueType {
    /// `:db.type/boolean`
    Boolean = 1,
    /// `:db.type/long`
    Long = 2,
    /// `:db.type/ref`; same place in the order as long
    Ref = 3,
    /// `:db.type/bigint`
    BigInt = 4,
    /// `:db.type/float`
    Float = 5,
    /// `:db.type/double`
    Double = 6,
    /// `:db.type/bigdec`
    BigDec = 7,
    /// `:db.type/instant`
    Instant = 8,
    /// `:db.type/uuid`
    Uuid = 9,
    /// `:db.type/keyword`
    Keyword = 10,
    /// `:db.type/symbol`
    Symbol = 11,
    /// `:db.type/string`
    String = 12,
    /// `:db.type/uri`
    Uri = 13,
    /// `:db.type/bytes`
    Bytes = 14,
    /// `:db.type/tuple`
    Tuple = 15,
}

impl ValueType {
    /// Every type.
    pub const ALL: [ValueType; 15] = [
        ValueType::Boolean,
        ValueType::Long,
        ValueType::Ref,
        ValueType::BigInt,
        ValueType::Float,
        ValueType::Double,
        ValueType::BigDec,
        ValueType::Instant,
        ValueType::Uuid,
        ValueType::Keyword,
        ValueType::Symbol,
        ValueType::String,
        ValueType::Uri,
        ValueType::Bytes,
        ValueType::Tuple,
    ];

    /// The name after `db.type/`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ValueType::Boolean => "boolean",
            ValueType::Long => "long",
            ValueType::Ref => "ref",
            ValueType::BigInt => "bigint",
            ValueType::Float => "float",
            ValueType::Double => "double",
            ValueType::BigDec => "bigdec",
            ValueType::Instant => "instant",
            ValueType::Uuid => "uuid",
            ValueType::Keyword => "keyword",
            ValueType::Symbol => "symbol",
            ValueType::String => "string",
            ValueType::Uri => "uri",
            ValueType::Bytes => "bytes",
            ValueType::Tuple => "tuple",
        }
    }

    /// The type of that `:db.type/…` name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<ValueType> {
        ValueType::ALL.into_iter().find(|ty| ty.name() == name)
    }

    /// The type of that tag.
    #[must_use]
    pub fn from_tag(tag: u8) -> Option<ValueType> {
        ValueType::ALL.into_iter().find(|ty| *ty as u8 == tag)
    }

    /// Its rank in index order: long and ref share one.
    #[must_use]
    pub fn rank(self) -> u8 {
        match self {
            ValueType::Ref => ValueType::Long as u8,
            other => other as u8,
        }
    }
}

/// An owned value. 24 bytes; clones share what is on the heap.
#[derive(Clone, Debug)]
pub enum Value {
    /// boolean
    Boolean(bool),
    /// long
    Long(i64),
    /// ref
    Ref(EntityId),
    /// bigint
    BigInt(Arc<BigInt>),
    /// float
    Float(f32),
    /// double
    Double(f64),
    /// bigdec, scale kept as written
    BigDec(Arc<BigDecimal>),
    /// instant, milliseconds since 1970
    Instant(i64),
    /// uuid
    Uuid(u128),
    /// keyword
    Keyword(Keyword),
    /// symbol
    Symbol(Symbol),
    /// string
    String(Arc<str>),
    /// uri
    Uri(Arc<str>),
    /// bytes
    Bytes(Arc<[u8]>),
    /// tuple of 2–8 slots, `None` is nil
    Tuple(Arc<[Option<Value>]>),
}

/// A borrowed value, as segments and novelty hand it out.
#[derive(Clone, Copy, Debug)]
pub enum ValueRef<'a> {
    /// boolean
    Boolean(bool),
    /// long
    Long(i64),
    /// ref
    Ref(EntityId),
    /// bigint
    BigInt(&'a Arc<BigInt>),
    /// float
    Float(f32),
    /// double
    Double(f64),
    /// bigdec
    BigDec(&'a Arc<BigDecimal>),
    /// instant
    Instant(i64),
    /// uuid
    Uuid(u128),
    /// keyword, without the colon
    Keyword(&'a str),
    /// symbol
    Symbol(&'a str),
    /// string
    String(&'a str),
    /// uri
    Uri(&'a str),
    /// bytes
    Bytes(&'a [u8]),
    /// tuple
    Tuple(&'a [Option<Value>]),
}

impl Value {
    /// The borrowed form.
    #[must_use]
    pub fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Value::Boolean(x) => ValueRef::Boolean(*x),
            Value::Long(x) => ValueRef::Long(*x),
            Value::Ref(x) => ValueRef::Ref(*x),
            Value::BigInt(x) => ValueRef::BigInt(x),
            Value::Float(x) => ValueRef::Float(*x),
            Value::Double(x) => ValueRef::Double(*x),
            Value::BigDec(x) => ValueRef::BigDec(x),
            Value::Instant(x) => ValueRef::Instant(*x),
            Value::Uuid(x) => ValueRef::Uuid(*x),
            Value::Keyword(x) => ValueRef::Keyword(x.as_str()),
            Value::Symbol(x) => ValueRef::Symbol(x.as_str()),
            Value::String(x) => ValueRef::String(x),
            Value::Uri(x) => ValueRef::Uri(x),
            Value::Bytes(x) => ValueRef::Bytes(x),
            Value::Tuple(x) => ValueRef::Tuple(x),
        }
    }

    /// Its type.
    #[must_use]
    pub fn value_type(&self) -> ValueType {
        self.as_ref().value_type()
    }

    /// Index order, see the module.
    #[must_use]
    pub fn cmp_index(&self, other: &Value) -> Ordering {
        self.as_ref().cmp_index(&other.as_ref())
    }

    /// Identity, see the module.
    #[must_use]
    pub fn identical(&self, other: &Value) -> bool {
        self.as_ref().identical(&other.as_ref())
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.identical(other)
    }
}

impl Eq for Value {}

impl std::hash::Hash for Value {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_ref().hash_identity(state);
    }
}

impl<'a> ValueRef<'a> {
    /// The owned form; allocates for text and bytes.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match *self {
            ValueRef::Boolean(x) => Value::Boolean(x),
            ValueRef::Long(x) => Value::Long(x),
            ValueRef::Ref(x) => Value::Ref(x),
            ValueRef::BigInt(x) => Value::BigInt(x.clone()),
            ValueRef::Float(x) => Value::Float(x),
            ValueRef::Double(x) => Value::Double(x),
            ValueRef::BigDec(x) => Value::BigDec(x.clone()),
            ValueRef::Instant(x) => Value::Instant(x),
            ValueRef::Uuid(x) => Value::Uuid(x),
            ValueRef::Keyword(x) => Value::Keyword(Keyword::new(x)),
            ValueRef::Symbol(x) => Value::Symbol(Symbol::new(x)),
            ValueRef::String(x) => Value::String(x.into()),
            ValueRef::Uri(x) => Value::Uri(x.into()),
            ValueRef::Bytes(x) => Value::Bytes(x.into()),
            ValueRef::Tuple(x) => Value::Tuple(x.into()),
        }
    }

    /// Its type.
    #[must_use]
    pub fn value_type(&self) -> ValueType {
        match self {
            ValueRef::Boolean(_) => ValueType::Boolean,
            ValueRef::Long(_) => ValueType::Long,
            ValueRef::Ref(_) => ValueType::Ref,
            ValueRef::BigInt(_) => ValueType::BigInt,
            ValueRef::Float(_) => ValueType::Float,
            ValueRef::Double(_) => ValueType::Double,
            ValueRef::BigDec(_) => ValueType::BigDec,
            ValueRef::Instant(_) => ValueType::Instant,
            ValueRef::Uuid(_) => ValueType::Uuid,
            ValueRef::Keyword(_) => ValueType::Keyword,
            ValueRef::Symbol(_) => ValueType::Symbol,
            ValueRef::String(_) => ValueType::String,
            ValueRef::Uri(_) => ValueType::Uri,
            ValueRef::Bytes(_) => ValueType::Bytes,
            ValueRef::Tuple(_) => ValueType::Tuple,
        }
    }

    /// The 64-bit integer of a long or a ref.
    #[must_use]
    pub fn as_integer(&self) -> Option<i64> {
        match *self {
            ValueRef::Long(x) => Some(x),
            ValueRef::Ref(e) => Some(e.as_long()),
            _ => None,
        }
    }

    /// Index order: by type rank, then by value.
    #[must_use]
    pub fn cmp_index(&self, other: &ValueRef<'_>) -> Ordering {
        match (self, other) {
            (ValueRef::Long(x), ValueRef::Long(y)) | (ValueRef::Instant(x), ValueRef::Instant(y)) => x.cmp(y),
            (ValueRef::Ref(x), ValueRef::Ref(y)) => x.cmp(y),
            (ValueRef::String(x), ValueRef::String(y))
            | (ValueRef::Symbol(x), ValueRef::Symbol(y))
            | (ValueRef::Uri(x), ValueRef::Uri(y)) => x.cmp(y),
            (ValueRef::Keyword(x), ValueRef::Keyword(y)) => cmp_keyword(x, y),
            (ValueRef::Uuid(x), ValueRef::Uuid(y)) => x.cmp(y),
            (ValueRef::Boolean(x), ValueRef::Boolean(y)) => x.cmp(y),
            (ValueRef::Double(x), ValueRef::Double(y)) => x.total_cmp(y),
            (ValueRef::Float(x), ValueRef::Float(y)) => x.total_cmp(y),
            (ValueRef::BigInt(x), ValueRef::BigInt(y)) => x.cmp(y),
            (ValueRef::BigDec(x), ValueRef::BigDec(y)) => cmp_decimal(x, y),
            (ValueRef::Bytes(x), ValueRef::Bytes(y)) => x.cmp(y),
            (ValueRef::Tuple(x), ValueRef::Tuple(y)) => cmp_tuple(x, y),
            _ => match (self.as_integer(), other.as_integer()) {
                (Some(x), Some(y)) => x.cmp(&y),
                _ => self.value_type().rank().cmp(&other.value_type().rank()),
            },
        }
    }

    /// Identity: what joins, sets and uniqueness compare by. Index order but for the scale of decimals.
    #[must_use]
    pub fn identical(&self, other: &ValueRef<'_>) -> bool {
        match (self, other) {
            (ValueRef::BigDec(x), ValueRef::BigDec(y)) => x == y,
            (ValueRef::Tuple(x), ValueRef::Tuple(y)) => x == y,
            _ => self.cmp_index(other) == Ordering::Equal,
        }
    }

    /// Hashes what [`ValueRef::identical`] compares.
    pub fn hash_identity<H: std::hash::Hasher>(&self, state: &mut H) {
        use std::hash::Hash;
        self.value_type().rank().hash(state);
        match self {
            ValueRef::Boolean(x) => x.hash(state),
            ValueRef::Long(x) | ValueRef::Instant(x) => x.hash(state),
            ValueRef::Ref(x) => x.as_long().hash(state),
            ValueRef::BigInt(x) => x.hash(state),
            ValueRef::Float(x) => x.to_bits().hash(state),
            ValueRef::Double(x) => x.to_bits().hash(state),
            ValueRef::BigDec(x) => x.normalized().hash(state),
            ValueRef::Uuid(x) => x.hash(state),
            ValueRef::Keyword(x) | ValueRef::Symbol(x) | ValueRef::String(x) | ValueRef::Uri(x) => {
                x.hash(state)
            }
            ValueRef::Bytes(x) => x.hash(state),
            ValueRef::Tuple(x) => x.hash(state),
        }
    }
}

/// Keywords without a namespace first, then by namespace, then by name.
fn cmp_keyword(x: &str, y: &str) -> Ordering {
    fn parts(text: &str) -> (Option<&str>, &str) {
        match text.find('/') {
            Some(at) if at > 0 => (Some(&text[..at]), &text[at + 1..]),
            _ => (None, text),
        }
    }
    parts(x).cmp(&parts(y))
}

fn cmp_decimal(x: &BigDecimal, y: &BigDecimal) -> Ordering {
    x.cmp(y).then_with(|| x.fractional_digit_count().cmp(&y.fractional_digit_count()))
}

fn cmp_tuple(x: &[Option<Value>], y: &[Option<Value>]) -> Ordering {
    for (left, right) in x.iter().zip(y) {
        let order = match (left, right) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(left), Some(right)) => left.cmp_index(right),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    x.len().cmp(&y.len())
}
