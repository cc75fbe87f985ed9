//! How many rows a pattern has: counted ranges, which cost O(log n) and read no leaf, and distinct entities and values
//! of an attribute, from the root's statistics and evenly spread places of novelty.
//!
//! Every range that was asked for is remembered, so that the next run of the same query can count them again and take
//! another plan only when an order of magnitude changed.

use std::ops::Bound;
use std::sync::Arc;

use annals_db::range::{BATCH_ROWS, Batch};
use annals_db::{Attribute, Columns, Db, Range, Unique, Value, ValueType};
use annals_edn::Error;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::ast::{SourceId, VarId};
use crate::datum::Datum;
use crate::resolve;
use crate::source::Sources;

use super::logic::Attr;

/// A range that the planner counted, in terms of the query: no literal in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CountKey {
    source: SourceId,
    attribute: Option<u32>,
    e: Option<VarId>,
    v: Option<VarId>,
    bounds: (Bound<VarId>, Bound<VarId>),
}

/// What one run knows of its sources and constants.
pub(crate) struct Statistics<'a> {
    sources: &'a Sources<'a>,
    fixed: &'a FxHashMap<VarId, Datum>,
    counts: FxHashMap<CountKey, f64>,
    asked: Vec<CountKey>,
    /// by attribute: entities, values
    samples: FxHashMap<(SourceId, u32, bool), f64>,
}

impl<'a> Statistics<'a> {
    /// Over these sources, with these values of fixed variables.
    pub(crate) fn new(sources: &'a Sources<'a>, fixed: &'a FxHashMap<VarId, Datum>) -> Self {
        Statistics {
            sources,
            fixed,
            counts: FxHashMap::default(),
            asked: Vec::new(),
            samples: FxHashMap::default(),
        }
    }

    /// The ranges that were counted, in the order asked.
    pub(crate) fn asked(self) -> Vec<CountKey> {
        self.asked
    }

    /// The order of magnitude of each range: powers of four.
    pub(crate) fn magnitudes(&mut self, keys: &[CountKey]) -> Result<Vec<u8>, Error> {
        let mut magnitudes = Vec::with_capacity(keys.len());
        for key in keys {
            let count = self.count(key.clone())?;
            magnitudes.push(((count + 1.0).log2() / 2.0) as u8);
        }
        Ok(magnitudes)
    }

    /// The database of a source.
    pub(crate) fn db(&self, source: SourceId) -> Option<&'a Db> {
        self.sources.database(source)
    }

    /// Rows of a relation.
    pub(crate) fn relation_rows(&self, source: SourceId) -> f64 {
        self.sources.rows(source)
    }

    /// The value of a fixed variable.
    pub(crate) fn fixed(&self, var: VarId) -> Option<&Datum> {
        self.fixed.get(&var)
    }

    /// True when the fixed variable can bound a scan of the attribute's values as it is.
    pub(crate) fn bounds_values(&self, attribute: &Attribute, var: VarId) -> bool {
        use ValueType::{Instant, Long, String};
        let ty = self.fixed(var).and_then(Datum::value).map(Value::value_type);
        ty == attribute.value_type && matches!(ty, Some(Long | Instant | String))
    }

    /// Distinct entities of an attribute, at least one.
    pub(crate) fn entities(&mut self, source: SourceId, attribute: &Arc<Attribute>) -> Result<f64, Error> {
        let datoms = self.attribute(source, attribute)?;
        if attribute.cardinality == annals_db::Cardinality::One {
            return Ok(datoms.max(1.0));
        }
        self.sampled((source, attribute.id.0, false), datoms, |db| {
            Ok(db.distinct_entities(attribute.id) as f64)
        })
    }

    /// Distinct values of an attribute, at least one.
    pub(crate) fn values(&mut self, source: SourceId, attribute: &Arc<Attribute>) -> Result<f64, Error> {
        let datoms = self.attribute(source, attribute)?;
        if matches!(attribute.unique, Some(Unique::Identity | Unique::Value)) {
            return Ok(datoms.max(1.0));
        }
        self.sampled((source, attribute.id.0, true), datoms, |db| match db.distinct_values(attribute.id) {
            Some(values) => Ok(values as f64),
            None => sample_values(db, attribute, datoms),
        })
    }

    /// What a sample tells, which is taken once.
    fn sampled(
        &mut self,
        key: (SourceId, u32, bool),
        datoms: f64,
        sample: impl FnOnce(&Db) -> Result<f64, Error>,
    ) -> Result<f64, Error> {
        if let Some(known) = self.samples.get(&key) {
            return Ok(*known);
        }
        let found = match self.db(key.0) {
            Some(db) => sample(db)?.clamp(1.0, datoms.max(1.0)),
            None => 1.0,
        };
        self.samples.insert(key, found);
        Ok(found)
    }

    /// Datoms of an attribute.
    pub(crate) fn attribute(&mut self, source: SourceId, attribute: &Attribute) -> Result<f64, Error> {
        self.count(CountKey {
            source,
            attribute: Some(attribute.id.0),
            e: None,
            v: None,
            bounds: (Bound::Unbounded, Bound::Unbounded),
        })
    }

    /// Datoms with a fixed entity, value, or bounds of the value.
    pub(crate) fn restricted(
        &mut self,
        source: SourceId,
        a: &Attr,
        e: Option<VarId>,
        v: Option<VarId>,
        bounds: (Bound<VarId>, Bound<VarId>),
    ) -> Result<f64, Error> {
        let attribute = match a {
            Attr::Known(attribute) => Some(attribute.id.0),
            _ => None,
        };
        self.count(CountKey { source, attribute, e, v, bounds })
    }

    fn count(&mut self, key: CountKey) -> Result<f64, Error> {
        if let Some(count) = self.counts.get(&key) {
            return Ok(*count);
        }
        let count = match self.db(key.source) {
            Some(db) => self.measure(db, &key)?,
            None => 0.0,
        };
        self.asked.push(key.clone());
        self.counts.insert(key, count);
        Ok(count)
    }

    fn measure(&self, db: &Db, key: &CountKey) -> Result<f64, Error> {
        let entity = match key.e.and_then(|var| self.fixed(var)) {
            Some(datum) => match resolve::entity(db, datum)? {
                Some(entity) => Some(entity),
                None => return Ok(0.0),
            },
            None => None,
        };
        let attribute = key.attribute.and_then(|a| db.schema().attribute(annals_db::AttrId(a))).cloned();
        let range = match (entity, &attribute) {
            (Some(e), Some(a)) => Range::entity_attr(e, a.id),
            (Some(e), None) => Range::entity(e),
            (None, Some(a)) => match self.value_range(db, a, key)? {
                Some(range) => range,
                None => return Ok(0.0),
            },
            (None, None) => Range::all(annals_db::Index::Eavt),
        };
        let count = db.count(&range)? as f64;
        Ok(attribute.map_or(count, |a| self.share(db, &a, key, count)))
    }

    /// What of `count` datoms one entity or one value has on average, where explaining does not know which.
    fn share(&self, db: &Db, a: &Attribute, key: &CountKey, count: f64) -> f64 {
        let unknown = |var: Option<VarId>| var.is_some_and(|var| self.fixed(var).is_none());
        let parts = match (unknown(key.e), unknown(key.v)) {
            (true, _) => db.distinct_entities(a.id).max(1) as f64,
            (false, true) => db.distinct_values(a.id).unwrap_or(10).max(1) as f64,
            (false, false) => return count,
        };
        (count / parts).max(1.0)
    }

    /// The range of an attribute that value or bounds leave; `None` when no value can match.
    fn value_range(&self, db: &Db, a: &Attribute, key: &CountKey) -> Result<Option<Range>, Error> {
        if let Some(datum) = key.v.and_then(|var| self.fixed(var)) {
            let value = resolve::value(db, a, datum)?;
            return Ok(value.map(|value| Range::attr_value(a.id, value)));
        }
        let bound = |bound: Bound<VarId>| {
            bound.map(|var| self.fixed(var).and_then(Datum::value).cloned()).transpose()
        };
        Ok(Some(match (bound(key.bounds.0), bound(key.bounds.1)) {
            (Bound::Unbounded, Bound::Unbounded) => Range::attr(a.id),
            (start, end) => Range::attr_values(a.id, start, end),
        }))
    }
}

/// Missing values bound nothing.
trait Transpose {
    fn transpose(self) -> Bound<Value>;
}

impl Transpose for Bound<Option<Value>> {
    fn transpose(self) -> Bound<Value> {
        match self {
            Bound::Included(Some(value)) => Bound::Included(value),
            Bound::Excluded(Some(value)) => Bound::Excluded(value),
            _ => Bound::Unbounded,
        }
    }
}

/// Distinct values where they are not indexed: the share of them in the first batch by entity.
fn sample_values(db: &Db, attribute: &Attribute, datoms: f64) -> Result<f64, Error> {
    let mut batch = Batch::new(attribute.value_type);
    if !db.scan(&Range::attr(attribute.id), Columns::V).next(&mut batch)? {
        return Ok(0.0);
    }
    let seen: FxHashSet<Value> = (0..batch.rows).map(|i| batch.v.get(i).to_value()).collect();
    // In order of entities values come mixed: few of many rows are nearly all there are.
    if seen.len() * 8 < batch.rows {
        return Ok(seen.len() as f64 * 1.5);
    }
    Ok(if batch.rows < BATCH_ROWS {
        seen.len() as f64
    } else {
        (seen.len() as f64 * datoms / batch.rows as f64).max(seen.len() as f64)
    })
}
