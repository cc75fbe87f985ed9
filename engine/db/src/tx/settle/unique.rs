//! Uniqueness over the whole set: a unique value has one holder after the transaction. It may move within one.

use annals_edn::{Code, Error};
use rustc_hash::FxHashMap;

use crate::Result;
use crate::database::Db;
use crate::datom::Datom;
use crate::id::{AttrId, EntityId};
use crate::tx::op::NewKeys;
use crate::tx::places::Places;
use crate::tx::refusal::{Refusals, attribute_name, show_value};
use crate::value::Value;

/// Checks every assertion of a unique attribute in `datoms` (sorted) against the others and against db-before.
///
/// # Errors
/// `UNIQUE_CONFLICT`, naming the value and its holder, and those of the store.
pub(super) fn check(db: &Db, datoms: &[Datom], new_keys: &NewKeys, places: &Places) -> Result<()> {
    let mut refusals = Refusals::default();
    let mut holders: FxHashMap<(AttrId, &Value), EntityId> = FxHashMap::default();
    let mut last = (AttrId(u32::MAX), false);
    for datom in datoms.iter().filter(|datom| datom.added) {
        if datom.a != last.0 {
            let unique = db.schema().attribute(datom.a).is_some_and(|attribute| attribute.unique.is_some());
            last = (datom.a, unique);
        }
        if !last.1 {
            continue;
        }
        if let Some(holder) = holders.insert((datom.a, &datom.v), datom.e) {
            refusals.note(places.of_datom(db, conflict(db, datom, holder), datom))?;
            continue;
        }
        if let Some(holder) = holder_before(db, datom, new_keys)?
            && holder != datom.e
            && !is_retracted(datoms, holder, datom)
        {
            refusals.note(places.of_datom(db, conflict(db, datom, holder), datom))?;
        }
    }
    refusals.finish()
}

/// Upsert has looked for the identity values of tempids already.
fn holder_before(db: &Db, datom: &Datom, new_keys: &NewKeys) -> Result<Option<EntityId>> {
    if !new_keys.is_empty() && new_keys.contains_key(&(datom.a, datom.v.clone())) {
        return Ok(None);
    }
    db.lookup(datom.a, &datom.v.as_ref())
}

/// Whether the transaction takes the value from its holder.
fn is_retracted(datoms: &[Datom], holder: EntityId, datom: &Datom) -> bool {
    let start = datoms.partition_point(|other| (other.e, other.a) < (holder, datom.a));
    let mut own = datoms[start..].iter().take_while(|other| (other.e, other.a) == (holder, datom.a));
    own.any(|other| !other.added && other.v.identical(&datom.v))
}

fn conflict(db: &Db, datom: &Datom, holder: EntityId) -> Error {
    let (attribute, value) = (attribute_name(db, datom.a), show_value(&datom.v));
    let message = format!("{attribute} is unique, and {value} belongs to another entity, {holder}");
    Error::new(Code::UniqueConflict, message)
        .with("attribute", attribute)
        .with("value", value)
        .with("entity", datom.e)
        .with("holder", holder)
}
