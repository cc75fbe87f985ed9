//! Changes of an installed attribute: which are legal, and what the data must look like for them.

use annals_edn::{Code, Error};
use rustc_hash::{FxHashMap, FxHashSet};

use super::check_flags;
use crate::Result;
use crate::bootstrap::attr;
use crate::database::Db;
use crate::datom::Datom;
use crate::id::EntityId;
use crate::log::TxBody;
use crate::range::{Batch, Columns, Range};
use crate::schema::{Attribute, Cardinality};
use crate::tx::refusal::show_value;
use crate::value::Value;

/// Checks the change of `before` into `after` against the data after `body`.
///
/// # Errors
/// `INVALID_ALTER_ATTRIBUTE`; the detail `error` says which rule: `UNSUPPORTED_ALTER_SCHEMA`, `CARDINALITY_VIOLATION`,
/// `UNIQUE_WITHOUT_INDEX`, `UNIQUE_VIOLATION`.
pub(super) fn check(db: &Db, body: &TxBody, before: &Attribute, after: &Attribute) -> Result<()> {
    let refuse = |code: Code, why: String| Err(invalid(before, code, &why));
    if let Some(what) = fixed_change(body, before, after) {
        return refuse(Code::UnsupportedAlterSchema, format!("its {what} is fixed once it is installed"));
    }
    if let Err(why) = check_flags(after) {
        return refuse(Code::UnsupportedAlterSchema, why.to_owned());
    }
    if (before.cardinality, after.cardinality) == (Cardinality::Many, Cardinality::One)
        && let Some(e) = entity_with_two(db, body, before)?
    {
        let values: Vec<String> = values_after(db, body, before, e)?.iter().map(show_value).collect();
        return refuse(Code::CardinalityViolation, format!("entity {e} has several values"))
            .map_err(|error| error.with("entity", e).with("values", values.join(" ")));
    }
    if before.unique.is_none() && after.unique.is_some() {
        check_index(db, before)?;
        if let Some((value, one, two)) = shared_value(db, body, before)? {
            let value = show_value(&value);
            return refuse(Code::UniqueViolation, format!("entities {one} and {two} both have {value}"))
                .map_err(|error| error.with("value", value).with("entity", one).with("other", two));
        }
    }
    Ok(())
}

/// Uniqueness is looked up in AVET on every write, so AVET must hold what is or was there: not before `:db/index`, and
/// not before an index job has caught up with it.
fn check_index(db: &Db, before: &Attribute) -> Result<()> {
    if db.avet_is_whole(before.id) || !has_or_had_data(db, before)? {
        return Ok(());
    }
    if !before.in_avet() {
        let why = "it has or had data and is not indexed: set :db/index first";
        return Err(invalid(before, Code::UniqueWithoutIndex, why));
    }
    let message = format!("{} is still being indexed, so it cannot become unique yet", before.ident);
    Err(Error::new(Code::Overloaded, message)
        .with("attribute", &before.ident)
        .hint("try again when the index job that is under way has ended"))
}

/// The property that changed although it must not.
fn fixed_change(body: &TxBody, before: &Attribute, after: &Attribute) -> Option<&'static str> {
    let own = |datom: &&Datom| datom.e == before.id.entity();
    let lost = |a| {
        let mut facts = body.datoms.iter().filter(own).filter(|datom| datom.a == a);
        facts.next().is_some_and(|datom| !datom.added) && facts.next().is_none()
    };
    if before.value_type != after.value_type || lost(attr::VALUE_TYPE) {
        return Some("value type");
    }
    if lost(attr::CARDINALITY) {
        return Some("having a cardinality");
    }
    if before.tuple != after.tuple {
        return Some("tuple shape");
    }
    (before.fulltext != after.fulltext).then_some("full text setting")
}

/// What `body` does to the data of one attribute.
struct Overlay<'a> {
    datoms: Vec<&'a Datom>,
}

impl<'a> Overlay<'a> {
    fn new(body: &'a TxBody, attribute: &Attribute) -> Overlay<'a> {
        Overlay { datoms: body.datoms.iter().filter(|datom| datom.a == attribute.id).collect() }
    }

    fn counts(&self) -> FxHashMap<EntityId, i64> {
        let mut counts = FxHashMap::default();
        for datom in &self.datoms {
            *counts.entry(datom.e).or_default() += if datom.added { 1 } else { -1 };
        }
        counts
    }

    fn retracted(&self) -> FxHashSet<(EntityId, &'a Value)> {
        self.datoms.iter().filter(|datom| !datom.added).map(|datom| (datom.e, &datom.v)).collect()
    }

    fn added(&self) -> impl Iterator<Item = &&'a Datom> {
        self.datoms.iter().filter(|datom| datom.added)
    }
}

/// An entity that would have several values of an attribute that is to take one. One scan of the attribute.
fn entity_with_two(db: &Db, body: &TxBody, attribute: &Attribute) -> Result<Option<EntityId>> {
    let mut counts = Overlay::new(body, attribute).counts();
    let mut batch = Batch::new(attribute.value_type);
    let mut scan = db.scan(&Range::attr(attribute.id), Columns::E);
    let mut run = (EntityId(0), 0i64);
    let over = |run: (EntityId, i64), counts: &mut FxHashMap<EntityId, i64>| {
        run.1 + counts.remove(&run.0).unwrap_or_default() > 1
    };
    while scan.next(&mut batch)? {
        for &e in &batch.e[..batch.rows] {
            let e = EntityId(e);
            if run.0 == e {
                run.1 += 1;
                continue;
            }
            if over(run, &mut counts) {
                return Ok(Some(run.0));
            }
            run = (e, 1);
        }
    }
    if over(run, &mut counts) {
        return Ok(Some(run.0));
    }
    Ok(counts.into_iter().filter(|(_, count)| *count > 1).map(|(e, _)| e).min())
}

/// The values that `e` has after `body`.
fn values_after(db: &Db, body: &TxBody, attribute: &Attribute, e: EntityId) -> Result<Vec<Value>> {
    let own = |added| {
        body.datoms.iter().filter(move |datom| (datom.e, datom.a, datom.added) == (e, attribute.id, added))
    };
    let mut values: Vec<Value> = db.values(e, attribute.id)?.into_iter().map(|(value, _)| value).collect();
    values.retain(|value| !own(false).any(|datom| datom.v.identical(value)));
    values.extend(own(true).map(|datom| datom.v.clone()));
    Ok(values)
}

fn has_or_had_data(db: &Db, attribute: &Attribute) -> Result<bool> {
    let history = db.history();
    let mut batch = Batch::new(attribute.value_type);
    Ok(history.scan(&Range::attr(attribute.id), Columns::E).next(&mut batch)? && batch.rows > 0)
}

/// A value that two entities would share, and two of them. One scan of the attribute by value.
fn shared_value(
    db: &Db,
    body: &TxBody,
    attribute: &Attribute,
) -> Result<Option<(Value, EntityId, EntityId)>> {
    let overlay = Overlay::new(body, attribute);
    let retracted = overlay.retracted();
    let mut holders: FxHashMap<&Value, EntityId> = FxHashMap::default();
    for datom in overlay.added() {
        if let Some(other) = holders.insert(&datom.v, datom.e).filter(|other| *other != datom.e) {
            return Ok(Some((datom.v.clone(), other, datom.e)));
        }
    }
    let mut batch = Batch::new(attribute.value_type);
    let range = Range::attr_by_value(attribute.id);
    let mut scan = db.scan(&range, Columns::E.with(Columns::V));
    let mut last: Option<(Value, EntityId)> = None;
    while scan.next(&mut batch)? {
        for row in 0..batch.rows {
            let (e, value) = (EntityId(batch.e[row]), batch.v.get(row).to_value());
            if retracted.contains(&(e, &value)) {
                continue;
            }
            let before = last.as_ref().filter(|(held, _)| held.identical(&value)).map(|(_, holder)| *holder);
            let other = before.or_else(|| holders.get(&value).copied()).filter(|other| *other != e);
            if let Some(other) = other {
                return Ok(Some((value, other, e)));
            }
            last = Some((value, e));
        }
    }
    Ok(None)
}

fn invalid(attribute: &Attribute, code: Code, why: &str) -> Error {
    let message = format!("the attribute {} cannot be changed so: {why}", attribute.ident);
    Error::new(Code::InvalidAlterAttribute, message)
        .with("attribute", &attribute.ident)
        .with("error", code.as_str())
}
