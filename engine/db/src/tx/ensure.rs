//! The last stage: entity specs against db-after, those asked for with `:db/ensure` and those that are always on.
//!
//! The specs themselves, their predicates and whether they are always on are those of db-before.

use std::sync::Arc;

use annals_edn::{Code, Edn, Error, Keyword, Symbol};
use rustc_hash::FxHashSet;

use crate::Result;
use crate::bootstrap::attr;
use crate::database::Db;
use crate::datom::Datom;
use crate::id::{AttrId, EntityId};
use crate::identify::show;
use crate::log::TxBody;
use crate::schema::Schema;
use crate::tx::functions::{Caller, Function, ident_of};
use crate::tx::op::Ensure;
use crate::tx::paths::Place;
use crate::tx::places::Places;
use crate::tx::predicates::passes;
use crate::tx::refusal::Refusals;
use crate::value::Value;

/// Checks that every entity is as its specs say, after `body`. Costs nothing per entity unless specs are always on.
///
/// # Errors
/// `ENTITY_ATTR` and `ENTITY_PRED`, naming spec, entity and attribute or predicate; what fails in a predicate; those of
/// the store.
pub(super) fn ensure(
    db: &Db,
    schema: &Schema,
    body: &Arc<TxBody>,
    (ensures, places): (&[Ensure<EntityId>], &Places),
    caller: &Caller<'_>,
) -> Result<()> {
    let mut ensurer = Ensurer {
        db,
        schema,
        body,
        places,
        caller,
        after: None,
        refusals: Refusals::default(),
        done: FxHashSet::default(),
    };
    for request in ensures {
        ensurer.entity(request.subject, request.spec, Some(request.place))?;
    }
    ensurer.always()?;
    ensurer.refusals.finish()
}

struct Ensurer<'a> {
    db: &'a Db,
    /// with the attributes that the transaction made by using them
    schema: &'a Schema,
    body: &'a Arc<TxBody>,
    places: &'a Places,
    caller: &'a Caller<'a>,
    /// made for the first predicate
    after: Option<Db>,
    refusals: Refusals,
    /// entities and specs that were looked at
    done: FxHashSet<(EntityId, EntityId)>,
}

impl Ensurer<'_> {
    /// Every entity that the transaction changes, under every spec that is always on of it.
    fn always(&mut self) -> Result<()> {
        let schema = self.schema;
        let mut last = None;
        for (ident, spec) in schema.checks.always() {
            let Some(attribute) = schema.attribute_of(ident) else { continue };
            for datom in &self.body.datoms {
                if last.replace(datom.e) != Some(datom.e) && self.has(datom.e, attribute.id)? {
                    self.entity(datom.e, *spec, None)?;
                }
            }
            last = None;
        }
        Ok(())
    }

    fn entity(&mut self, e: EntityId, spec: EntityId, place: Option<Place>) -> Result<()> {
        if !self.done.insert((e, spec)) {
            return Ok(());
        }
        for (required, _) in self.db.values(spec, attr::ENTITY_ATTRS)? {
            let Value::Keyword(ident) = &required else { continue };
            let attribute = self.schema.attribute_of(ident);
            let present = match attribute {
                Some(attribute) => self.has(e, attribute.id)?,
                None => false,
            };
            if !present {
                let message = format!("entity {e} lacks {ident}, which {} requires", self.name(spec));
                let error = Error::new(Code::EntityAttr, message).with("attribute", ident);
                self.note(error, e, spec, place)?;
            }
        }
        for (predicate, _) in self.db.values(spec, attr::ENTITY_PREDS)? {
            let Value::Symbol(name) = &predicate else { continue };
            if let Err(error) = self.predicate(e, spec, name) {
                self.note(error.with("predicate", name), e, spec, place)?;
            }
        }
        Ok(())
    }

    fn predicate(&mut self, e: EntityId, spec: EntityId, name: &Symbol) -> Result<()> {
        let after = match self.after.take() {
            Some(after) => after,
            None => self.db.fork().apply(self.body)?,
        };
        let function = Function::find(self.db, &ident_of(name))?;
        let answer = self.caller.ask(&after, name, function.as_ref(), &[Edn::long(e.as_long())]);
        self.after = Some(after);
        let answer = answer?;
        if passes(&answer) {
            return Ok(());
        }
        let message = format!("entity {e} is not as {} requires: {name} does not hold", self.name(spec));
        Err(Error::new(Code::EntityPred, message).with("pred-return", show(&answer)))
    }

    /// A spec that is always on is at the last form about its entity, another where it was asked for.
    fn note(&mut self, error: Error, e: EntityId, spec: EntityId, place: Option<Place>) -> Result<()> {
        let error = error.with("entity", e).with("spec", self.name(spec));
        self.refusals.note(match place {
            Some(place) => self.places.at(self.db, error, place),
            None => self.places.of_entity(self.db, error, e),
        })
    }

    fn name(&self, spec: EntityId) -> String {
        self.db.schema().ident(spec).map_or_else(|| spec.to_string(), Keyword::to_string)
    }

    fn has(&self, e: EntityId, a: AttrId) -> Result<bool> {
        has_after(self.db, &self.body.datoms, e, a)
    }
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
