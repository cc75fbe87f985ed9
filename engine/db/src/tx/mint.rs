//! Attributes that a transaction is the first to use, where attributes need not be declared (`schema-flexibility read`).
//!
//! An unknown ident in the attribute position becomes an attribute of cardinality one whose values each have the type
//! they are written in. It exists from this transaction on: later stages read a value of the database whose schema has
//! it, functions do not. Which attributes come to be does not depend on the order of the forms, only their ids do.

use annals_edn::{Code, Error, Keyword};
use rustc_hash::FxHashMap;

use crate::Result;
use crate::bootstrap::{self, attr};
use crate::database::Db;
use crate::datom::Datom;
use crate::id::{AttrId, T};
use crate::schema::Attribute;
use crate::tx::refusal::Refusals;
use crate::tx::settle;
use crate::value::Value;

/// Where new attributes lie while a transaction is decided.
pub(super) type Attributes = boxcar::Vec<Attribute>;

/// The attributes that expansion made so far.
pub(super) struct Mint<'a> {
    db: &'a Db,
    made: &'a Attributes,
    by_ident: FxHashMap<Keyword, &'a Attribute>,
}

impl<'a> Mint<'a> {
    pub(super) fn new(db: &'a Db, made: &'a Attributes) -> Mint<'a> {
        Mint { db, made, by_ident: FxHashMap::default() }
    }

    /// The attribute of an ident that names nothing yet; `None` where attributes are declared, for names that the
    /// database keeps for itself, and for idents of something else.
    ///
    /// # Errors
    /// `INVALID_INSTALL_ATTRIBUTE` when no more schema elements fit.
    pub(super) fn attribute(&mut self, ident: &Keyword) -> Result<Option<&'a Attribute>> {
        let schema = self.db.schema();
        if self.db.options().schema_on_write || bootstrap::is_reserved(ident) || schema.entid(ident).is_some()
        {
            return Ok(None);
        }
        if let Some(made) = self.by_ident.get(ident) {
            return Ok(Some(made));
        }
        let id = schema.next_element() + self.made.count() as u32;
        if id >= bootstrap::MAX_ELEMENTS {
            return Err(bootstrap::no_more_elements().with("attribute", ident));
        }
        let at = self.made.push(Attribute::free(AttrId(id), ident.clone()));
        self.by_ident.insert(ident.clone(), &self.made[at]);
        Ok(Some(&self.made[at]))
    }

    /// The attribute of that id, if it was made here.
    pub(super) fn made(&self, a: AttrId) -> Option<&'a Attribute> {
        made_as(self.db, self.made, a)
    }
}

/// Adds the facts of the attributes that `datoms` (sorted) use to them, which stay sorted.
///
/// # Errors
/// `UNIQUE_CONFLICT` when the same transaction gives the ident of such an attribute to something else.
pub(super) fn install(db: &Db, made: &Attributes, datoms: &mut Vec<Datom>) -> Result<()> {
    if made.is_empty() {
        return Ok(());
    }
    let mut used: FxHashMap<AttrId, &Attribute> = FxHashMap::default();
    for datom in datoms.iter().filter(|datom| datom.added) {
        if let Some(attribute) = made_as(db, made, datom.a) {
            used.insert(datom.a, attribute);
        }
    }
    check_idents(&used, datoms)?;
    let t = T(db.basis().0 + 1);
    for attribute in used.into_values() {
        let e = attribute.id.entity();
        let ident = Value::Keyword(attribute.ident.clone());
        let mut fact = |a, v| datoms.push(Datom { e, a, v, t, added: true });
        fact(attr::IDENT, ident);
        fact(attr::CARDINALITY, Value::Ref(bootstrap::CARDINALITY_ONE));
    }
    settle::sort(datoms);
    Ok(())
}

fn made_as<'m>(db: &Db, made: &'m Attributes, a: AttrId) -> Option<&'m Attribute> {
    made.get(a.0.checked_sub(db.schema().next_element())? as usize)
}

fn check_idents(used: &FxHashMap<AttrId, &Attribute>, datoms: &[Datom]) -> Result<()> {
    let mut refusals = Refusals::default();
    for datom in datoms.iter().filter(|datom| datom.added && datom.a == attr::IDENT) {
        let Value::Keyword(ident) = &datom.v else { continue };
        if used.values().any(|attribute| attribute.ident == *ident) {
            let message =
                format!("{ident} is used as an attribute and given to an entity in one transaction");
            refusals.note(
                Error::new(Code::UniqueConflict, message)
                    .with("attribute", ":db/ident")
                    .with("value", ident)
                    .with("entity", datom.e)
                    .hint("declare an attribute in a transaction before the first that uses it"),
            )?;
        }
    }
    refusals.finish()
}
