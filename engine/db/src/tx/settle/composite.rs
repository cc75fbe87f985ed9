//! Composite tuples: kept equal to their members by every transaction that says something about a member, even something
//! that holds already, which is how a composite is filled over existing data.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::Fresh;
use crate::Result;
use crate::database::Db;
use crate::datom::Datom;
use crate::id::{AttrId, EntityId, T};
use crate::schema::{Schema, TupleKind};
use crate::value::Value;

/// The composites that a transaction touches.
pub(super) struct Touched {
    /// by member
    composites: FxHashMap<AttrId, SmallVec<[AttrId; 2]>>,
    touched: Vec<(EntityId, AttrId)>,
}

impl Touched {
    pub(super) fn new(schema: &Schema) -> Touched {
        let mut composites: FxHashMap<AttrId, SmallVec<[AttrId; 2]>> = FxHashMap::default();
        for composite in schema.composites() {
            for member in members(schema, *composite) {
                composites.entry(*member).or_default().push(*composite);
            }
        }
        Touched { composites, touched: Vec::new() }
    }

    /// A fact about `a` of `e` was given.
    pub(super) fn touch(&mut self, e: EntityId, a: AttrId) {
        if self.composites.is_empty() {
            return;
        }
        if let Some(composites) = self.composites.get(&a) {
            self.touched.extend(composites.iter().map(|composite| (e, *composite)));
        }
    }

    /// Adds what the composites change to `datoms`, which are sorted and stay so.
    pub(super) fn follow(mut self, db: &Db, fresh: &Fresh, datoms: &mut Vec<Datom>) -> Result<()> {
        if self.touched.is_empty() {
            return Ok(());
        }
        self.touched.sort_unstable();
        self.touched.dedup();
        let t = T(db.basis().0 + 1);
        let mut changes = Vec::new();
        for (e, composite) in self.touched {
            let before = if fresh.has(e) { None } else { current(db, e, composite)? };
            let after = after(db, fresh, datoms, e, members(db.schema(), composite))?;
            // A decimal that changes its scale only is the same value, but shown otherwise.
            let same = match (&before, &after) {
                (Some(before), Some(after)) => before.cmp_index(after).is_eq(),
                (before, after) => before.is_none() && after.is_none(),
            };
            if same {
                continue;
            }
            let mut change = |v, added| changes.push(Datom { e, a: composite, v, t, added });
            before.into_iter().for_each(|v| change(v, false));
            after.into_iter().for_each(|v| change(v, true));
        }
        if !changes.is_empty() {
            datoms.extend(changes);
            super::sort(datoms);
        }
        Ok(())
    }
}

fn members(schema: &Schema, composite: AttrId) -> &[AttrId] {
    match schema.attribute(composite).map(|attribute| &attribute.tuple) {
        Some(Some(TupleKind::Composite(members))) => members,
        _ => &[],
    }
}

fn current(db: &Db, e: EntityId, a: AttrId) -> Result<Option<Value>> {
    Ok(db.values(e, a)?.into_iter().next().map(|(value, _)| value))
}

/// The composite that the members' values after the transaction make; none when they are all gone.
fn after(db: &Db, fresh: &Fresh, datoms: &[Datom], e: EntityId, members: &[AttrId]) -> Result<Option<Value>> {
    let mut slots: Vec<Option<Value>> = Vec::with_capacity(members.len());
    for member in members {
        let start = datoms.partition_point(|datom| (datom.e, datom.a) < (e, *member));
        let changes = datoms[start..].iter().take_while(|datom| (datom.e, datom.a) == (e, *member));
        let slot = match changes.last() {
            Some(change) => change.added.then(|| change.v.clone()),
            None if fresh.has(e) => None,
            None => current(db, e, *member)?,
        };
        slots.push(slot);
    }
    Ok(slots.iter().any(Option::is_some).then(|| Value::Tuple(slots.into())))
}
