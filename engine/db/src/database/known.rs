//! What a value knows about its attributes, now and at every earlier t of its line.

use std::sync::Arc;

use rustc_hash::FxHashSet;

use crate::bootstrap;
use crate::id::{AttrId, T};
use crate::schema::Schema;

/// Schema at the basis, and its history. Shared by all values between two changes of the schema.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) schema: Arc<Schema>,
    /// the attributes whose every event is in the AVET runs (and AVET trees) of this value
    pub(crate) avet: Arc<FxHashSet<AttrId>>,
    /// oldest first; the last one is the present
    versions: Vec<Version>,
}

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
        Known { schema, avet, versions: vec![version] }
    }

    /// After the schema became `schema` at `t`. An attribute enters AVET whole only if it `is_virgin`: without a datom,
    /// ever. One that leaves AVET and comes back is whole no more.
    pub(crate) fn changed(&self, t: T, schema: Schema, is_virgin: impl Fn(AttrId) -> bool) -> Known {
        let kept = schema.attributes().filter(|attribute| attribute.kept_in_avet());
        let whole = |a: &AttrId| self.avet.contains(a) || (*a != bootstrap::attr::TX_ID && is_virgin(*a));
        let avet: Arc<FxHashSet<AttrId>> =
            Arc::new(kept.map(|attribute| attribute.id).filter(whole).collect());
        let schema = Arc::new(schema);
        let mut versions = self.versions.clone();
        versions.push(Version { since: t, schema: schema.clone(), avet: avet.clone() });
        Known { schema, avet, versions }
    }

    /// As it stood at `t`; `None` before the oldest version kept.
    pub(crate) fn at(&self, t: T) -> Option<Known> {
        let n = self.versions.partition_point(|version| version.since <= t);
        let version = self.versions[..n].last()?;
        Some(Known {
            schema: version.schema.clone(),
            avet: version.avet.clone(),
            versions: self.versions[..n].to_vec(),
        })
    }
}
