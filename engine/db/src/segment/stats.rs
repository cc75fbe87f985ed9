//! Statistics per attribute, for the planner: how many datoms, how many entities and values, least and greatest value.
//!
//! ```text
//! varint attributes, by id; for each:
//!   varint attribute, varint datoms, 1 flags (1 least, 2 greatest), values, sketch of entities, sketch of values
//!   sketch: 1 form: 0 nothing, 1 varint registers and for each 1 place 1 rank, 2 all 256 ranks
//! ```
//! Datoms are exact. Entities and values are estimates (HyperLogLog of 256 registers, ±7 %, never above the datoms);
//! retractions do not lower them, nor narrow the bounds: hints for plans, never answers.

use rustc_hash::FxHashMap;

use super::bytes::{Reader, damaged, put_value, put_varint};
use super::sketch::{Sketch, hash_number, hash_value};
use crate::Result;
use crate::id::{AttrId, EntityId};
use crate::value::{Value, ValueRef};

/// Longer texts and bytes are no bounds: they would make the segment grow.
const MAX_BOUND_BYTES: usize = 64;

/// What is known about one attribute in the current trees.
#[derive(Clone, Debug, Default)]
pub struct AttrStats {
    /// live datoms, exact at the root
    pub datoms: u64,
    /// not greater than any live value, if known
    pub min: Option<Value>,
    /// not less than any live value, if known
    pub max: Option<Value>,
    entities: Sketch,
    values: Sketch,
}

impl AttrStats {
    /// About how many entities have it.
    #[must_use]
    pub fn distinct_entities(&self) -> u64 {
        self.entities.estimate().clamp(self.datoms.min(1), self.datoms)
    }

    /// About how many values it has.
    #[must_use]
    pub fn distinct_values(&self) -> u64 {
        self.values.estimate().clamp(self.datoms.min(1), self.datoms)
    }

    fn widen(&mut self, v: &ValueRef<'_>) {
        let fresh = self.min.is_none() && self.max.is_none() && self.values.is_empty();
        let low = self.min.as_ref().is_some_and(|min| v.cmp_index(&min.as_ref()).is_lt());
        let high = self.max.as_ref().is_some_and(|max| v.cmp_index(&max.as_ref()).is_gt());
        if fresh || low {
            self.min = bound(v);
        }
        if fresh || high {
            self.max = bound(v);
        }
    }
}

/// A value short enough to keep; a bound that is not kept stays unknown for good.
fn bound(v: &ValueRef<'_>) -> Option<Value> {
    let short = match v {
        ValueRef::String(x) | ValueRef::Uri(x) | ValueRef::Keyword(x) | ValueRef::Symbol(x) => {
            x.len() <= MAX_BOUND_BYTES
        }
        ValueRef::Bytes(x) => x.len() <= MAX_BOUND_BYTES,
        ValueRef::Tuple(_) | ValueRef::BigInt(_) | ValueRef::BigDec(_) => false,
        _ => true,
    };
    short.then(|| v.to_value())
}

/// The statistics at a root.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    attributes: FxHashMap<AttrId, AttrStats>,
}

impl Stats {
    /// Of one attribute; `None` when it never had a datom.
    #[must_use]
    pub fn attribute(&self, a: AttrId) -> Option<&AttrStats> {
        self.attributes.get(&a)
    }

    /// The attribute with the most datoms. O(attributes).
    pub(crate) fn largest(&self) -> Option<&AttrStats> {
        self.attributes.values().max_by_key(|of| of.datoms)
    }

    pub(crate) fn add(&mut self, e: EntityId, a: AttrId, v: &ValueRef<'_>) {
        let stats = self.attributes.entry(a).or_default();
        stats.datoms += 1;
        stats.widen(v);
        stats.entities.add(hash_number(e.0));
        stats.values.add(hash_value(v));
    }

    pub(crate) fn remove(&mut self, a: AttrId) {
        let stats = self.attributes.entry(a).or_default();
        stats.datoms = stats.datoms.saturating_sub(1);
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut attributes: Vec<_> = self.attributes.iter().collect();
        attributes.sort_unstable_by_key(|(a, _)| **a);
        let mut out = Vec::new();
        put_varint(&mut out, attributes.len() as u64);
        for (a, stats) in attributes {
            put_varint(&mut out, u64::from(a.0));
            put_varint(&mut out, stats.datoms);
            out.push(u8::from(stats.min.is_some()) | u8::from(stats.max.is_some()) << 1);
            stats.min.iter().chain(&stats.max).for_each(|value| put_value(&mut out, value.as_ref()));
            stats.entities.put(&mut out);
            stats.values.put(&mut out);
        }
        out
    }

    pub(crate) fn read(payload: &[u8]) -> Result<Stats> {
        let mut reader = Reader::new(payload);
        let mut stats = Stats::default();
        for _ in 0..reader.count(5)? {
            let a = u32::try_from(reader.varint()?).map_err(|_| damaged("an attribute is too great"))?;
            let datoms = reader.varint()?;
            let flags = reader.u8()?;
            let min = (flags & 1 != 0).then(|| reader.value()).transpose()?;
            let max = (flags & 2 != 0).then(|| reader.value()).transpose()?;
            let (entities, values) = (Sketch::read(&mut reader)?, Sketch::read(&mut reader)?);
            stats.attributes.insert(AttrId(a), AttrStats { datoms, min, max, entities, values });
        }
        if reader.left() > 0 { Err(damaged("statistics are longer than their fields")) } else { Ok(stats) }
    }

    /// Bytes it occupies in memory, about.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.attributes.len() * 700
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_are_near_and_come_back() {
        let mut stats = Stats::default();
        for i in 0..10_000_u64 {
            stats.add(EntityId(i / 2), AttrId(5), &ValueRef::Long(i as i64 % 100));
        }
        stats.remove(AttrId(5));
        let stats = Stats::read(&stats.encode()).unwrap();
        let five = stats.attribute(AttrId(5)).unwrap();
        assert_eq!(five.datoms, 9_999);
        assert!((4_000..6_000).contains(&five.distinct_entities()), "{}", five.distinct_entities());
        assert!((80..120).contains(&five.distinct_values()), "{}", five.distinct_values());
        assert_eq!((five.min.clone(), five.max.clone()), (Some(Value::Long(0)), Some(Value::Long(99))));
        assert!(stats.attribute(AttrId(6)).is_none());
    }

    #[test]
    fn a_long_text_leaves_its_bound_unknown() {
        let mut stats = Stats::default();
        let long = "z".repeat(100);
        for text in ["m", long.as_str(), "zz"] {
            stats.add(EntityId(1), AttrId(5), &ValueRef::String(text));
        }
        let five = stats.attribute(AttrId(5)).unwrap();
        assert_eq!((five.min.clone(), five.max.clone()), (Some(Value::String("m".into())), None));
    }
}
