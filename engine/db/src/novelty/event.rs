//! One event of novelty, packed: 40 bytes, so that a million of them and their positions stay near 50 MB.

use std::cmp::Ordering;
use std::sync::Arc;

use annals_edn::{Keyword, Symbol};
use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;

use crate::datom::{Datom, DatomRef};
use crate::id::{AttrId, EntityId, T};
use crate::order::Index;
use crate::range::Key;
use crate::value::{Value, ValueRef};

/// A datom as the arena keeps it. `t` counts from the base of the layer that holds it.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) e: u64,
    v: Slot,
    pub(crate) t: u32,
    bits: u32,
}

const ADDED: u32 = 1 << 31;
const IN_AVET: u32 = 1 << 30;
const UNKEPT: u32 = 1 << 29;
const ATTR: u32 = UNKEPT - 1;

/// What the writer of an event knows about it beside the datom.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Marks {
    /// AVET holds every event of its attribute
    pub(crate) in_avet: bool,
    /// it ends an interval that no later basis may show
    pub(crate) unkept: bool,
    /// it retracts from an attribute that takes one value
    pub(crate) one: bool,
}

impl Event {
    pub(crate) fn new(datom: &Datom, t: u32, marks: Marks) -> Event {
        let flag = |on: bool, bit: u32| if on { bit } else { 0 };
        let bits = (datom.a.0 & ATTR)
            | flag(datom.added, ADDED)
            | flag(marks.in_avet, IN_AVET)
            | flag(marks.unkept, UNKEPT);
        Event { e: datom.e.0, v: Slot::from_value(&datom.v), t, bits }
    }

    pub(crate) fn a(&self) -> u32 {
        self.bits & ATTR
    }

    pub(crate) fn added(&self) -> bool {
        self.bits & ADDED != 0
    }

    pub(crate) fn in_avet(&self) -> bool {
        self.bits & IN_AVET != 0
    }

    pub(crate) fn unkept(&self) -> bool {
        self.bits & UNKEPT != 0
    }

    pub(crate) fn v(&self) -> ValueRef<'_> {
        self.v.as_ref()
    }

    pub(crate) fn value(&self) -> Value {
        self.v.to_value()
    }

    pub(crate) fn datom(&self, base: u64) -> DatomRef<'_> {
        DatomRef {
            e: EntityId(self.e),
            a: AttrId(self.a()),
            v: self.v(),
            t: T(base + u64::from(self.t)),
            added: self.added(),
        }
    }

    /// The same `[e a v]`. Cheapest difference first.
    pub(crate) fn same_fact(&self, other: &Event) -> bool {
        self.e == other.e && self.a() == other.a() && self.v().cmp_index(&other.v()) == Ordering::Equal
    }

    /// By components only.
    pub(crate) fn cmp_eav(&self, other: &Event, index: Index) -> Ordering {
        let e = || self.e.cmp(&other.e);
        let a = || self.a().cmp(&other.a());
        let v = || self.v().cmp_index(&other.v());
        match index {
            Index::Eavt => e().then_with(a).then_with(v),
            Index::Aevt => a().then_with(e).then_with(v),
            Index::Avet => a().then_with(v).then_with(e),
        }
    }

    /// The whole order of [`crate::order`].
    pub(crate) fn cmp_within(&self, other: &Event) -> Ordering {
        other.t.cmp(&self.t).then_with(|| self.added().cmp(&other.added()))
    }
}

/// A borrowed [`Key`]: where to seek in an index.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seek<'a> {
    pub(crate) e: Option<u64>,
    pub(crate) a: Option<u32>,
    pub(crate) v: Option<ValueRef<'a>>,
}

impl<'a> Seek<'a> {
    pub(crate) fn of(key: &'a Key) -> Seek<'a> {
        Seek { e: key.e.map(|e| e.0), a: key.a.map(|a| a.0), v: key.v.as_ref().map(Value::as_ref) }
    }

    /// Where a row stands to this prefix: equal when it lies under it. Decimals of one value are under one prefix
    /// whatever their scale, because look-ups are by identity.
    pub(crate) fn cmp_row(&self, index: Index, row: &DatomRef<'_>) -> Ordering {
        self.cmp_parts(index, row.e.0, row.a.0, || row.v)
    }

    pub(crate) fn cmp_event(&self, index: Index, event: &Event) -> Ordering {
        self.cmp_parts(index, event.e, event.a(), || event.v())
    }

    /// The order of the *row* against this key; looks at the value once, and only when it decides.
    pub(crate) fn cmp_parts<'v>(
        &self,
        index: Index,
        e: u64,
        a: u32,
        v: impl Fn() -> ValueRef<'v>,
    ) -> Ordering {
        let by_e = |ask: Option<u64>| ask.map(|ask| e.cmp(&ask));
        let by_a = |ask: Option<u32>| ask.map(|ask| a.cmp(&ask));
        // An entity can follow one exact value only.
        let exact = index == Index::Avet && self.e.is_some();
        let cmp_v = |ask: ValueRef<'_>| if exact { v().cmp_index(&ask) } else { cmp_class(&v(), &ask) };
        let by_v = |ask: Option<ValueRef<'_>>| ask.map(cmp_v);
        let chain = |first: Option<Ordering>,
                     second: &dyn Fn() -> Option<Ordering>,
                     third: &dyn Fn() -> Option<Ordering>| {
            let Some(order) = first else { return Ordering::Equal };
            if order != Ordering::Equal {
                return order;
            }
            let Some(order) = second() else { return Ordering::Equal };
            if order != Ordering::Equal {
                return order;
            }
            third().unwrap_or(Ordering::Equal)
        };
        match index {
            Index::Eavt => chain(by_e(self.e), &|| by_a(self.a), &|| by_v(self.v)),
            Index::Aevt => chain(by_a(self.a), &|| by_e(self.e), &|| by_v(self.v)),
            Index::Avet => chain(by_a(self.a), &|| by_v(self.v), &|| by_e(self.e)),
        }
    }
}

/// Index order without the scale of decimals: equal means identical.
pub(crate) fn cmp_class(x: &ValueRef<'_>, y: &ValueRef<'_>) -> Ordering {
    match (x, y) {
        (ValueRef::BigDec(x), ValueRef::BigDec(y)) => x.cmp(y),
        (ValueRef::Tuple(x), ValueRef::Tuple(y)) => {
            let slots = x.iter().zip(y.iter()).map(|(x, y)| match (x, y) {
                (Some(x), Some(y)) => cmp_class(&x.as_ref(), &y.as_ref()),
                (x, y) => x.is_some().cmp(&y.is_some()),
            });
            slots.fold(Ordering::Equal, Ordering::then).then(x.len().cmp(&y.len()))
        }
        _ => x.cmp_index(y),
    }
}

/// [`Value`] in 24 bytes: a uuid as bytes, so that nothing asks for 16-byte alignment.
#[derive(Debug)]
enum Slot {
    Boolean(bool),
    Long(i64),
    Ref(u64),
    BigInt(Arc<BigInt>),
    Float(f32),
    Double(f64),
    BigDec(Arc<BigDecimal>),
    Instant(i64),
    Uuid([u8; 16]),
    Keyword(Keyword),
    Symbol(Symbol),
    String(Arc<str>),
    Uri(Arc<str>),
    Bytes(Arc<[u8]>),
    Tuple(Arc<[Option<Value>]>),
}

impl Slot {
    fn from_value(value: &Value) -> Slot {
        match value {
            Value::Boolean(x) => Slot::Boolean(*x),
            Value::Long(x) => Slot::Long(*x),
            Value::Ref(x) => Slot::Ref(x.0),
            Value::BigInt(x) => Slot::BigInt(x.clone()),
            Value::Float(x) => Slot::Float(*x),
            Value::Double(x) => Slot::Double(*x),
            Value::BigDec(x) => Slot::BigDec(x.clone()),
            Value::Instant(x) => Slot::Instant(*x),
            Value::Uuid(x) => Slot::Uuid(x.to_ne_bytes()),
            Value::Keyword(x) => Slot::Keyword(x.clone()),
            Value::Symbol(x) => Slot::Symbol(x.clone()),
            Value::String(x) => Slot::String(x.clone()),
            Value::Uri(x) => Slot::Uri(x.clone()),
            Value::Bytes(x) => Slot::Bytes(x.clone()),
            Value::Tuple(x) => Slot::Tuple(x.clone()),
        }
    }

    fn to_value(&self) -> Value {
        match self {
            Slot::Boolean(x) => Value::Boolean(*x),
            Slot::Long(x) => Value::Long(*x),
            Slot::Ref(x) => Value::Ref(EntityId(*x)),
            Slot::BigInt(x) => Value::BigInt(x.clone()),
            Slot::Float(x) => Value::Float(*x),
            Slot::Double(x) => Value::Double(*x),
            Slot::BigDec(x) => Value::BigDec(x.clone()),
            Slot::Instant(x) => Value::Instant(*x),
            Slot::Uuid(x) => Value::Uuid(u128::from_ne_bytes(*x)),
            Slot::Keyword(x) => Value::Keyword(x.clone()),
            Slot::Symbol(x) => Value::Symbol(x.clone()),
            Slot::String(x) => Value::String(x.clone()),
            Slot::Uri(x) => Value::Uri(x.clone()),
            Slot::Bytes(x) => Value::Bytes(x.clone()),
            Slot::Tuple(x) => Value::Tuple(x.clone()),
        }
    }

    #[inline]
    fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Slot::Boolean(x) => ValueRef::Boolean(*x),
            Slot::Long(x) => ValueRef::Long(*x),
            Slot::Ref(x) => ValueRef::Ref(EntityId(*x)),
            Slot::BigInt(x) => ValueRef::BigInt(x),
            Slot::Float(x) => ValueRef::Float(*x),
            Slot::Double(x) => ValueRef::Double(*x),
            Slot::BigDec(x) => ValueRef::BigDec(x),
            Slot::Instant(x) => ValueRef::Instant(*x),
            Slot::Uuid(x) => ValueRef::Uuid(u128::from_ne_bytes(*x)),
            Slot::Keyword(x) => ValueRef::Keyword(x.as_str()),
            Slot::Symbol(x) => ValueRef::Symbol(x.as_str()),
            Slot::String(x) => ValueRef::String(x),
            Slot::Uri(x) => ValueRef::Uri(x),
            Slot::Bytes(x) => ValueRef::Bytes(x),
            Slot::Tuple(x) => ValueRef::Tuple(x),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_takes_forty_bytes() {
        assert_eq!(std::mem::size_of::<Event>(), 40);
    }
}
