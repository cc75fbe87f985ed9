//! The last stage: entity specs, asked for with `:db/ensure`, against db-after.

use annals_edn::{Code, Error};

use crate::Result;
use crate::bootstrap::attr;
use crate::database::Db;
use crate::datom::Datom;
use crate::id::{AttrId, EntityId};
use crate::tx::op::Ensure;
use crate::tx::refusal::Refusals;
use crate::value::Value;

/// Checks that every entity has what its specs require, after `datoms` (sorted).
///
/// # Errors
/// `ENTITY_ATTR`, naming spec, entity and attribute, and those of the store.
pub(super) fn ensure(db: &Db, datoms: &[Datom], ensures: &[Ensure<EntityId>]) -> Result<()> {
    let mut refusals = Refusals::default();
    for request in ensures {
        for (required, _) in db.values(request.spec, attr::ENTITY_ATTRS)? {
            let Value::Keyword(ident) = &required else { continue };
            let attribute = db.schema().attribute_of(ident);
            let present = match attribute {
                Some(attribute) => has_after(db, datoms, request.subject, attribute.id)?,
                None => false,
            };
            if !present {
                refusals.note(missing(db, request, ident))?;
            }
        }
    }
    refusals.finish()
}

fn has_after(db: &Db, datoms: &[Datom], e: EntityId, a: AttrId) -> Result<bool> {
    let start = datoms.partition_point(|datom| (datom.e, datom.a) < (e, a));
    let own = || datoms[start..].iter().take_while(|datom| (datom.e, datom.a) == (e, a));
    if own().any(|datom| datom.added) {
        return Ok(true);
    }
    let retracted = own().count();
    Ok(db.values(e, a)?.len() > retracted)
}

fn missing(db: &Db, request: &Ensure<EntityId>, ident: &crate::Keyword) -> Error {
    let spec = db.schema().ident(request.spec).map_or_else(|| request.spec.to_string(), ToString::to_string);
    let message = format!("entity {} lacks {ident}, which {spec} requires", request.subject);
    Error::new(Code::EntityAttr, message)
        .with("entity", request.subject)
        .with("attribute", ident)
        .with("spec", spec)
        .with("form", request.form)
}
