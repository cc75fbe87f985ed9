//! What a value knows about its attributes, now and at every earlier t of its line.

use std::sync::Arc;

use rustc_hash::FxHashSet;

use crate::bootstrap;
use crate::id::{AttrId, T};
use crate::schema::Schema;
use crate::segment::Base;

/// Schema at the basis, and its history. Shared by all values between two changes of the schema.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) schema: Arc<Schema>,
    /// the attributes whose every event is in the AVET runs (and AVET trees) of this value
    pub(crate) avet: Arc<FxHashSet<AttrId>>,
    /// oldest first; the last one is the present
    versions: Versions,
}

/// Values of a line share the versions that they have in common.
type Versions = rpds::VectorSync<Version>;

#[derive(Clone, Debug)]
struct Version {
    since: T,
    schema: Arc<Schema>,
    avet: Arc<FxHashSet<AttrId>>,
}

impl Known {
    pub(crate) fn bootstrap() -> Known {
        let schema = Schema::bootstrap();
        let kept = schema.attributes().filter(|attribute| attribute.kept_in_avet());
        // Client ids are in the transaction table, which is not in their order.
        let avet = kept.map(|attribute| attribute.id).filter(|&a| a != bootstrap::attr::TX_ID);
        Known::default_at(T(0), schema.clone(), Arc::new(avet.collect()))
    }

    fn default_at(since: T, schema: Arc<Schema>, avet: Arc<FxHashSet<AttrId>>) -> Known {
        let version = Version { since, schema: schema.clone(), avet: avet.clone() };
        Known { schema, avet, versions: Versions::new_sync().push_back(version) }
    }

    /// After the schema became `schema` at `t`. An attribute enters AVET whole only if it `is_virgin`: without a datom,
    /// ever. One that leaves AVET and comes back is whole no more.
    pub(crate) fn changed(&self, t: T, schema: Schema, is_virgin: impl Fn(AttrId) -> bool) -> Known {
        let avet = if schema.has_attributes_of(&self.schema) {
            self.avet.clone()
        } else {
            let kept = schema.attributes().filter(|attribute| attribute.kept_in_avet());
            let whole = |a: &AttrId| self.avet.contains(a) || (*a != bootstrap::attr::TX_ID && is_virgin(*a));
            Arc::new(kept.map(|attribute| attribute.id).filter(whole).collect())
        };
        let schema = Arc::new(schema);
        let version = Version { since: t, schema: schema.clone(), avet: avet.clone() };
        let versions = self.versions.push_back(version);
        Known { schema, avet, versions }
    }

    /// The same with another schema at the basis.
    pub(crate) fn with_schema(&self, schema: Schema) -> Known {
        Known { schema: Arc::new(schema), ..self.clone() }
    }

    /// What a root says, at its t.
    pub(crate) fn of_base(base: &Base) -> Known {
        Known::default_at(base.t(), base.schema.clone(), base.avet.clone())
    }

    /// The same line on another root: up to its t AVET is what the root lists, and later what entered it since, as long
    /// as it never left.
    pub(crate) fn rebased(&self, base: &Base) -> Known {
        let mut versions: Vec<Version> = Vec::with_capacity(self.versions.len() + 1);
        let n = self.count_to(base.t());
        let (old, new) = (self.versions.iter().take(n), self.versions.iter().skip(n));
        versions.extend(old.map(|version| Version { avet: base.avet.clone(), ..version.clone() }));
        if versions.is_empty() {
            versions.push(Version { since: base.t(), schema: base.schema.clone(), avet: base.avet.clone() });
        }
        for version in new {
            let last = versions.last().expect("a version was pushed");
            let was_kept = |a| last.schema.attribute(a).is_some_and(|attribute| attribute.kept_in_avet());
            let whole = |a: &AttrId| last.avet.contains(a) || (version.avet.contains(a) && !was_kept(*a));
            let kept = version.schema.attributes().filter(|attribute| attribute.kept_in_avet());
            let avet = kept.map(|attribute| attribute.id).filter(whole).collect();
            versions.push(Version { avet: Arc::new(avet), ..version.clone() });
        }
        let last = versions.last().expect("a version was pushed").clone();
        Known { schema: last.schema, avet: last.avet, versions: versions.into_iter().collect() }
    }

    /// A schema that was put together anew for one old t.
    pub(crate) fn rebuilt(t: T, schema: Arc<Schema>, avet: Arc<FxHashSet<AttrId>>) -> Known {
        Known::default_at(t, schema, avet)
    }

    /// Schema and AVET at `t`; `None` before the oldest version kept.
    pub(crate) fn version_at(&self, t: T) -> Option<(&Schema, &FxHashSet<AttrId>)> {
        let version = self.versions.get(self.count_to(t).checked_sub(1)?)?;
        Some((&*version.schema, &*version.avet))
    }

    /// As it stood at `t`; `None` before the oldest version kept.
    pub(crate) fn at(&self, t: T) -> Option<Known> {
        let n = self.count_to(t);
        let version = self.versions.get(n.checked_sub(1)?)?;
        Some(Known {
            schema: version.schema.clone(),
            avet: version.avet.clone(),
            versions: self.versions.iter().take(n).cloned().collect(),
        })
    }

    /// How many versions began at `t` or before. O(log versions).
    fn count_to(&self, t: T) -> usize {
        let (mut low, mut high) = (0, self.versions.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.versions.get(middle) {
                Some(version) if version.since <= t => low = middle + 1,
                _ => high = middle,
            }
        }
        low
    }
}
