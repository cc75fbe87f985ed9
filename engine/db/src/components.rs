//! Reading indexes as users ask for them: leading components given as forms, to ranges that are scanned in turn.
//!
//! Called for `datoms`, `seek-datoms` and `index-range`. Owns nothing. An unknown ident, and a value that the attribute
//! cannot have, select nothing; numbers are compared by value, so `1.0` finds the long `1`.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use annals_edn::{Code, Edn, Error, Node};
use bigdecimal::{BigDecimal, RoundingMode, ToPrimitive};

use crate::Result;
use crate::bootstrap::attr;
use crate::database::Db;
use crate::datom::Datom;
use crate::id::{AttrId, EntityId, T};
use crate::identify::{attribute_named, entid, lookup_value, show};
use crate::order::Index;
use crate::range::{Batch, Columns, Key, Range};
use crate::schema::{Attribute, Cardinality};
use crate::value::{Value, ValueType};

/// An index as users name it; VAET is a view over the AVET ranges of ref attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedIndex {
    /// entity, attribute, value
    Eavt,
    /// attribute, entity, value
    Aevt,
    /// attribute, value, entity
    Avet,
    /// value, attribute, entity, of references
    Vaet,
}

impl NamedIndex {
    /// The index of that name, `eavt` and so on.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for any other.
    pub fn from_name(name: &str) -> Result<NamedIndex> {
        match name {
            "eavt" => Ok(NamedIndex::Eavt),
            "aevt" => Ok(NamedIndex::Aevt),
            "avet" => Ok(NamedIndex::Avet),
            "vaet" => Ok(NamedIndex::Vaet),
            _ => Err(Error::new(Code::InvalidArgument, format!("no index is called {name}"))
                .hint("the indexes are eavt, aevt, avet and vaet")),
        }
    }
}

/// The datoms of some ranges, one range after another.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// in the order of the index
    pub ranges: Vec<Range>,
    /// only datoms of this transaction
    pub t: Option<T>,
}

impl Selection {
    /// The first `limit` datoms. O(log n) a range and O(1) a datom.
    ///
    /// # Errors
    /// Only of the store.
    pub fn collect(&self, db: &Db, limit: usize) -> Result<Vec<Datom>> {
        let mut found = Vec::new();
        for range in &self.ranges {
            let mut scan = db.scan(range, Columns::ALL);
            let mut batch = Batch::new(None);
            while found.len() < limit && scan.next(&mut batch)? {
                let datoms = (0..batch.rows).map(|row| datom(&batch, row));
                found.extend(datoms.filter(|datom| self.t.is_none_or(|t| t == datom.t)));
            }
        }
        found.truncate(limit);
        Ok(found)
    }
}

fn datom(batch: &Batch, row: usize) -> Datom {
    let (e, a) = (EntityId(batch.e[row]), AttrId(batch.a[row]));
    Datom { e, a, v: batch.v.get(row).to_value(), t: T(batch.t[row]), added: batch.added[row] }
}

/// The datoms of `index` that begin with `components`, or, with `seek`, all from there to the end of the index.
///
/// # Errors
/// `ATTRIBUTE_NOT_INDEXED` for AVET of an attribute that users do not find there, `INVALID_ARGUMENT` for more than four
/// components, those of [`entid`] for components that identify nothing, and those of the store.
pub fn select(db: &Db, index: NamedIndex, components: &[Edn], seek: bool) -> Result<Selection> {
    if let Some(extra) = components.get(4) {
        return Err(Error::new(Code::InvalidArgument, "an index has four components").at(extra.span));
    }
    let t = components.get(3).filter(|_| !seek).map(|form| transaction(db, form)).transpose()?;
    let parts = &components[..components.len().min(3)];
    let ranges = match index {
        NamedIndex::Eavt => tree(db, Index::Eavt, parts, seek)?,
        NamedIndex::Aevt => tree(db, Index::Aevt, parts, seek)?,
        NamedIndex::Avet => by_value(db, parts, seek)?,
        NamedIndex::Vaet => references(db, parts, seek)?,
    };
    Ok(Selection { ranges: ranges.unwrap_or_default(), t })
}

/// The datoms of `attribute` with `start <= value < end`, in AVET order; a nil end is open.
///
/// # Errors
/// `ATTRIBUTE_NOT_INDEXED`, `NOT_AN_ENTITY` and `NOT_AN_ATTRIBUTE` for what names no attribute, and those of the store.
pub fn select_values(db: &Db, attribute: &Edn, start: &Edn, end: &Edn) -> Result<Selection> {
    let attribute = attribute_named(db, attribute)?;
    check_indexed(&attribute)?;
    let bound = |form: &Edn| {
        if form.is_nil() { Ok(Some(None)) } else { Ok(least_from(db, &attribute, form)?.map(Some)) }
    };
    let (Some(start), Some(end)) = (bound(start)?, bound(end)?) else { return Ok(Selection::default()) };
    if let (Some(start), Some(end)) = (&start, &end)
        && start.cmp_index(end).is_ge()
    {
        return Ok(Selection::default());
    }
    let (start, end) =
        (start.map_or(Bound::Unbounded, Bound::Included), end.map_or(Bound::Unbounded, Bound::Excluded));
    Ok(Selection { ranges: vec![Range::attr_values(attribute.id, start, end)], t: None })
}

fn check_indexed(attribute: &Attribute) -> Result<()> {
    if attribute.in_avet() {
        return Ok(());
    }
    Err(Error::new(Code::AttributeNotIndexed, format!("{} is neither unique nor indexed", attribute.ident))
        .with("attribute", &attribute.ident)
        .hint("read it from aevt, or set :db/index true"))
}

/// A t, or a transaction's entity.
fn transaction(db: &Db, form: &Edn) -> Result<T> {
    const NO_T: T = T(u64::MAX);
    match form.as_long() {
        Some(long) if long >> 42 == 0 => Ok(T(long.unsigned_abs())),
        _ => Ok(entid(db, form)?.and_then(EntityId::as_t).unwrap_or(NO_T)),
    }
}

/// The entity that a value names, nothing for an unknown ident; a lookup ref that finds none is an error.
fn target(db: &Db, form: &Edn) -> Result<Option<EntityId>> {
    let found = entid(db, form)?;
    if found.is_none() && form.as_seq().is_some() {
        return Err(Error::new(Code::NotAnEntity, format!("no entity is {}", show(form))).at(form.span));
    }
    Ok(found)
}

/// The attribute a component names, nothing when it names none.
fn attribute(db: &Db, form: &Edn) -> Result<Option<Arc<Attribute>>> {
    match attribute_named(db, form) {
        // Client ids are never read through an index.
        Ok(attribute) if attribute.id == attr::TX_ID => Ok(None),
        Ok(attribute) => Ok(Some(attribute)),
        Err(error) if error.code() == Code::NotAnEntity => Ok(None),
        Err(error) => Err(error),
    }
}

/// One range of EAVT, AEVT or AVET; `None` when a component can match nothing.
fn tree(db: &Db, index: Index, parts: &[Edn], seek: bool) -> Result<Option<Vec<Range>>> {
    let roles = match index {
        Index::Eavt => "eav",
        Index::Aevt => "aev",
        Index::Avet => "ave",
    };
    let mut key = Key::default();
    let mut named = None;
    for (role, form) in roles.chars().zip(parts) {
        match role {
            'e' => key.e = entid(db, form)?,
            'a' => named = attribute(db, form)?,
            _ => key.v = named.as_deref().map(|a| value(db, a, form, seek)).transpose()?.flatten(),
        }
        key.a = named.as_ref().map(|attribute| attribute.id);
        let found = match role {
            'e' => key.e.is_some(),
            'a' => key.a.is_some(),
            _ => key.v.is_some(),
        };
        if !found {
            return Ok(None);
        }
    }
    Ok(Some(vec![if seek { Range::seek(index, key) } else { Range::prefix(index, key) }]))
}

/// AVET as users see it: unique and indexed attributes only.
fn by_value(db: &Db, parts: &[Edn], seek: bool) -> Result<Option<Vec<Range>>> {
    let Some(first) = parts.first() else { return Ok(Some(indexed_from(db, 0))) };
    let Some(attribute) = attribute(db, first)? else { return Ok(None) };
    check_indexed(&attribute)?;
    let Some(mut ranges) = tree(db, Index::Avet, parts, seek)? else { return Ok(None) };
    if seek {
        let end = Key { a: Some(attribute.id), ..Key::default() };
        ranges.iter_mut().for_each(|range| range.end = Bound::Included(end.clone()));
        ranges.extend(indexed_from(db, attribute.id.0 + 1));
    }
    Ok(Some(ranges))
}

fn indexed_from(db: &Db, least: u32) -> Vec<Range> {
    let indexed = db.schema().attributes().filter(|a| a.in_avet() && a.id.0 >= least && a.id != attr::TX_ID);
    let mut ids: Vec<AttrId> = indexed.map(|a| a.id).collect();
    ids.sort_unstable();
    ids.into_iter().map(Range::attr_by_value).collect()
}

/// VAET: for each target, the AVET ranges of the ref attributes. Without a target, or past one, the targets are
/// collected first: O(references) in time, O(distinct pairs of target and attribute) in memory.
fn references(db: &Db, parts: &[Edn], seek: bool) -> Result<Option<Vec<Range>>> {
    let target = parts.first().map(|form| target(db, form)).transpose()?;
    let wanted = parts.get(1).map(|form| attribute(db, form)).transpose()?;
    let source = parts.get(2).map(|form| entid(db, form)).transpose()?;
    if matches!(target, Some(None)) || matches!(wanted, Some(None)) || matches!(source, Some(None)) {
        return Ok(None);
    }
    let (target, wanted, source) = (target.flatten(), wanted.flatten(), source.flatten());
    let pair = |target: EntityId, a: AttrId, e| {
        Range::prefix(Index::Avet, Key { e, a: Some(a), v: Some(Value::Ref(target)) })
    };
    let Some(target) = target.filter(|_| !seek) else {
        let from = (target.unwrap_or(EntityId(0)), wanted.map_or(AttrId(0), |a| a.id));
        let pairs = pairs_from(db, from)?;
        return Ok(Some(pairs.into_iter().map(|(target, a)| pair(target, a, None)).collect()));
    };
    let attributes = wanted.map_or_else(|| reference_attributes(db), |a| vec![a.id]);
    Ok(Some(attributes.into_iter().map(|a| pair(target, a, source)).collect()))
}

fn reference_attributes(db: &Db) -> Vec<AttrId> {
    let references = db.schema().attributes().filter(|a| a.is_ref());
    let mut ids: Vec<AttrId> = references.map(|a| a.id).collect();
    ids.sort_unstable();
    ids
}

fn pairs_from(db: &Db, from: (EntityId, AttrId)) -> Result<BTreeSet<(EntityId, AttrId)>> {
    let mut pairs = BTreeSet::new();
    for a in reference_attributes(db) {
        let range = Range::attr_values(a, Bound::Included(Value::Ref(from.0)), Bound::Unbounded);
        let mut scan = db.scan(&range, Columns::V);
        let mut batch = Batch::new(Some(ValueType::Ref));
        while scan.next(&mut batch)? {
            let targets = (0..batch.rows).filter_map(|row| batch.v.get(row).as_integer());
            pairs.extend(
                targets.map(|target| (EntityId(target.unsigned_abs()), a)).filter(|pair| *pair >= from),
            );
        }
    }
    Ok(pairs)
}

/// The value a component stands for, or, with `seek`, the least that is not below it.
fn value(db: &Db, attribute: &Attribute, form: &Edn, seek: bool) -> Result<Option<Value>> {
    if seek {
        return least_from(db, attribute, form);
    }
    if attribute.is_ref() {
        return Ok(target(db, form)?.map(Value::Ref));
    }
    let equal =
        || number(form).and_then(|number| rounded_up(attribute.value_type?, &number)).filter(|found| found.1);
    Ok(lookup_value(db, attribute, form).or_else(|| equal().map(|found| found.0)))
}

/// The least value of the attribute's type that is not below `form`.
fn least_from(db: &Db, attribute: &Attribute, form: &Edn) -> Result<Option<Value>> {
    if attribute.is_ref() {
        return Ok(target(db, form)?.map(Value::Ref));
    }
    let near =
        || number(form).and_then(|number| rounded_up(attribute.value_type?, &number)).map(|found| found.0);
    Ok(lookup_value(db, attribute, form).or_else(near))
}

fn number(form: &Edn) -> Option<BigDecimal> {
    match &form.node {
        Node::Long(long) => Some(BigDecimal::from(*long)),
        Node::BigInt(big) => Some(BigDecimal::from(big.as_ref().clone())),
        Node::BigDec(decimal) => Some(decimal.as_ref().clone()),
        Node::Double(double) => BigDecimal::try_from(*double).ok(),
        Node::Tagged(tag, inner) if tag.as_str() == "float" => number(inner),
        _ => None,
    }
}

/// The least value of `ty` that is not below `number`, and whether it is equal.
fn rounded_up(ty: ValueType, number: &BigDecimal) -> Option<(Value, bool)> {
    let up = || number.with_scale_round(0, RoundingMode::Ceiling);
    let value = match ty {
        ValueType::Long => Value::Long(up().to_i64()?),
        ValueType::BigInt => Value::BigInt(Arc::new(up().into_bigint_and_scale().0)),
        ValueType::BigDec => Value::BigDec(Arc::new(number.clone())),
        ValueType::Double => {
            let near = number.to_f64()?;
            let below = BigDecimal::try_from(near).ok()? < *number;
            Value::Double(if below { near.next_up() } else { near })
        }
        ValueType::Float => {
            let near = number.to_f32()?;
            let below = BigDecimal::try_from(near).ok()? < *number;
            Value::Float(if below { near.next_up() } else { near })
        }
        _ => return None,
    };
    let equal = match &value {
        Value::Long(long) => number.cmp(&BigDecimal::from(*long)).is_eq(),
        Value::BigInt(big) => BigDecimal::from(big.as_ref().clone()) == *number,
        Value::Double(double) => BigDecimal::try_from(*double).ok()? == *number,
        Value::Float(float) => BigDecimal::try_from(*float).ok()? == *number,
        _ => true,
    };
    Some((value, equal))
}

/// The entities that index-pull visits, in order: along AVET those that have the attribute, from a value on; along AEVT
/// those that a reference attribute leads to, from an entity on. `reverse` goes the other way, from the end or from
/// `start` down; the start itself is visited. Time and memory O(datoms of the attribute from there).
///
/// # Errors
/// `NOT_AN_ATTRIBUTE` and `NOT_AN_ENTITY` for a start that names none, `ATTRIBUTE_NOT_INDEXED`, `INVALID_PULL` for AEVT
/// of what is no reference, `INVALID_ARGUMENT` for other indexes and for AVET of a cardinality many attribute without a
/// value; those of the store.
pub fn walk(db: &Db, index: NamedIndex, start: &[Edn], reverse: bool) -> Result<Vec<EntityId>> {
    let [first, rest @ ..] = start else {
        return Err(Error::new(Code::InvalidArgument, "index-pull starts at an attribute"));
    };
    let attribute = attribute_named(db, first)?;
    let range = match index {
        NamedIndex::Avet => walk_values(db, &attribute, rest, reverse)?,
        NamedIndex::Aevt => walk_entities(db, &attribute, rest, reverse)?,
        _ => return Err(Error::new(Code::InvalidArgument, "index-pull goes along avet or aevt")),
    };
    let selection = Selection { ranges: range.into_iter().collect(), t: None };
    let visited = |datom: Datom| match (index, datom.v) {
        (NamedIndex::Aevt, Value::Ref(target)) => target,
        _ => datom.e,
    };
    let mut found: Vec<EntityId> = selection.collect(db, usize::MAX)?.into_iter().map(visited).collect();
    if reverse {
        found.reverse();
    }
    Ok(found)
}

fn walk_values(db: &Db, attribute: &Attribute, rest: &[Edn], reverse: bool) -> Result<Option<Range>> {
    check_indexed(attribute)?;
    let Some(form) = rest.first() else {
        if attribute.cardinality == Cardinality::Many {
            let message = format!("{} has cardinality many, so its walk starts at a value", attribute.ident);
            return Err(Error::new(Code::InvalidArgument, message).with("attribute", &attribute.ident));
        }
        return Ok(Some(Range::attr_by_value(attribute.id)));
    };
    let Some(value) = least_from(db, attribute, form)? else { return Ok(None) };
    Ok(Some(match reverse {
        false => Range::attr_values(attribute.id, Bound::Included(value), Bound::Unbounded),
        true => Range::attr_values(attribute.id, Bound::Unbounded, Bound::Included(value)),
    }))
}

fn walk_entities(db: &Db, attribute: &Attribute, rest: &[Edn], reverse: bool) -> Result<Option<Range>> {
    if !attribute.is_ref() {
        let message = format!("{} is no reference, so it leads to no entities", attribute.ident);
        return Err(Error::new(Code::InvalidPull, message).with("attribute", &attribute.ident));
    }
    let mut range = Range::attr(attribute.id);
    if let Some(form) = rest.first() {
        let Some(e) = target(db, form)? else { return Ok(None) };
        let key = Bound::Included(Key { e: Some(e), a: Some(attribute.id), v: None });
        *(if reverse { &mut range.end } else { &mut range.start }) = key;
    }
    Ok(Some(range))
}
