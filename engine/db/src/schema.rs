//! The schema of a database value: attributes by id, idents both ways. It follows from the datoms and is never
//! time-travelled: views of the past use the present schema.

mod checks;
mod names;

use std::sync::Arc;

use annals_edn::{Code, Error, Keyword};
use rustc_hash::FxHashMap;

use crate::Result;
use crate::bootstrap::{self, attr};
use crate::id::{AttrId, EntityId, Partition};
use crate::log::TxBody;
use crate::value::{Value, ValueType};
pub(crate) use checks::Checks;
pub(crate) use names::Names;

/// How many values an entity may have for an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cardinality {
    /// At most one.
    One,
    /// A set.
    Many,
}

/// What a value that is already there means for a new entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unique {
    /// The entity is that one: upsert.
    Identity,
    /// The transaction is refused.
    Value,
}

/// What a tuple attribute's slots are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TupleKind {
    /// Kept by the transactor from these attributes.
    Composite(Arc<[AttrId]>),
    /// These types, slot by slot.
    Heterogeneous(Arc<[ValueType]>),
    /// One type, 2–8 slots.
    Homogeneous(ValueType),
}

/// One attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// its id
    pub id: AttrId,
    /// its newest ident
    pub ident: Keyword,
    /// the type of its values; none where every value has its own, which only databases without declared schema allow
    pub value_type: Option<ValueType>,
    /// one or many
    pub cardinality: Cardinality,
    /// identity, value or neither
    pub unique: Option<Unique>,
    /// `:db/index`
    pub indexed: bool,
    /// its values are parts of the entity
    pub component: bool,
    /// history is not kept
    pub no_history: bool,
    /// `:db/fulltext`, stored only
    pub fulltext: bool,
    /// what a tuple's slots are
    pub tuple: Option<TupleKind>,
}

impl Attribute {
    /// An attribute that no datom has: of cardinality one, without a value type. Its id is never given away.
    #[must_use]
    pub fn unused(ident: Keyword) -> Attribute {
        Attribute::free(AttrId(bootstrap::MAX_ELEMENTS), ident)
    }

    /// An attribute of cardinality one whose values each have their own type.
    pub(crate) fn free(id: AttrId, ident: Keyword) -> Attribute {
        Attribute {
            id,
            ident,
            value_type: None,
            cardinality: Cardinality::One,
            unique: None,
            indexed: false,
            component: false,
            no_history: false,
            fulltext: false,
            tuple: None,
        }
    }

    /// In AVET for the user's eyes: unique or indexed.
    #[must_use]
    pub fn in_avet(&self) -> bool {
        self.indexed || self.unique.is_some()
    }

    /// In the AVET tree: for the user, or because reverse references are looked up there.
    #[must_use]
    pub fn kept_in_avet(&self) -> bool {
        self.in_avet() || self.is_ref()
    }

    /// Its values are references to entities.
    #[must_use]
    pub fn is_ref(&self) -> bool {
        self.value_type == Some(ValueType::Ref)
    }
}

/// Attributes and idents. Cheap to share (`Arc<Schema>`), rebuilt only by transactions that touch it.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    /// shared by the versions between two changes of an attribute
    pub(crate) attributes: Arc<FxHashMap<AttrId, Arc<Attribute>>>,
    pub(crate) names: Names,
    /// the counter that the next element in `:db.part/db` gets
    pub(crate) next_element: u32,
    /// composite attributes, ascending
    pub(crate) composites: Vec<AttrId>,
    pub(crate) checks: Checks,
    pub(crate) revision: u64,
}

impl Schema {
    /// The attribute of that id.
    #[must_use]
    pub fn attribute(&self, a: AttrId) -> Option<&Arc<Attribute>> {
        self.attributes.get(&a)
    }

    /// The attribute of that ident; `None` when the ident is unknown or names no attribute.
    #[must_use]
    pub fn attribute_of(&self, ident: &Keyword) -> Option<&Arc<Attribute>> {
        self.attribute(self.names.entid(ident)?.as_attr()?)
    }

    /// The entity an ident names, former idents included until re-used.
    #[must_use]
    pub fn entid(&self, ident: &Keyword) -> Option<EntityId> {
        self.names.entid(ident)
    }

    /// The newest ident of an entity.
    #[must_use]
    pub fn ident(&self, e: EntityId) -> Option<&Keyword> {
        self.names.ident(e)
    }

    /// Every attribute, in no order.
    pub fn attributes(&self) -> impl Iterator<Item = &Arc<Attribute>> {
        self.attributes.values()
    }

    /// Grows with every change of the schema; plans are cached by it.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The counter that the next schema element gets in `:db.part/db`; below [`bootstrap::MAX_ELEMENTS`].
    #[must_use]
    pub fn next_element(&self) -> u32 {
        self.next_element
    }

    /// True when both have the same attributes because neither changed one: idents may differ. O(1).
    pub(crate) fn has_attributes_of(&self, other: &Schema) -> bool {
        Arc::ptr_eq(&self.attributes, &other.attributes)
    }

    /// The composite tuple attributes, ascending.
    #[must_use]
    pub fn composites(&self) -> &[AttrId] {
        &self.composites
    }

    /// The schema with further attributes, whose ids are new.
    pub(crate) fn with<'s>(&self, attributes: impl Iterator<Item = &'s Attribute>) -> Schema {
        let mut next = self.clone();
        let all = Arc::make_mut(&mut next.attributes);
        for attribute in attributes {
            next.names.name(attribute.id.entity(), &attribute.ident);
            next.next_element = next.next_element.max(attribute.id.0 + 1);
            all.insert(attribute.id, Arc::new(attribute.clone()));
        }
        next
    }

    /// The schema after `body`, `None` when it touches none of it. One pass over the datoms; O(schema) when it does.
    ///
    /// # Errors
    /// `DATA_LOSS` when the datoms make no sense as a schema, which no decided transaction's do.
    pub fn apply(&self, body: &TxBody) -> Result<Option<Schema>> {
        let touches = |datom: &crate::Datom| {
            datom.a <= bootstrap::LAST_PROPERTY
                || datom.e.partition() == Partition::DB
                || datom.a == attr::ENTITY_ALWAYS
        };
        if !body.datoms.iter().any(touches) {
            return Ok(None);
        }
        let mut next = self.clone();
        next.revision += 1;
        let mut changed = Vec::new();
        for added in [false, true] {
            for datom in body.datoms.iter().filter(|datom| datom.added == added && touches(datom)) {
                next.note(datom.e, datom.a, &datom.v, added)?;
                if datom.a <= bootstrap::LAST_PROPERTY && datom.e.partition() == Partition::DB {
                    changed.push(datom.e);
                }
            }
        }
        changed.sort_unstable();
        changed.dedup();
        for e in changed {
            next.rebuild(self, e, body)?;
        }
        Ok(Some(next))
    }

    fn note(&mut self, e: EntityId, a: AttrId, v: &Value, added: bool) -> Result<()> {
        if let Some(AttrId(counter)) = e.as_attr() {
            self.next_element = self.next_element.max(counter + 1);
        }
        if a == attr::IDENT && added {
            let Value::Keyword(ident) = v else { return Err(nonsense(e, a)) };
            self.names.name(e, ident);
        }
        if !self.checks.note(e, a, v, added) {
            return Err(nonsense(e, a));
        }
        Ok(())
    }

    /// The attribute `e` after the datoms about it in `body`. An element without a cardinality is no attribute.
    fn rebuild(&mut self, before: &Schema, e: EntityId, body: &TxBody) -> Result<()> {
        let id = e.as_attr().ok_or_else(|| nonsense(e, attr::IDENT))?;
        let mut draft = Draft::of(before.attribute(id));
        let own = || body.datoms.iter().filter(|datom| datom.e == e);
        for datom in own().filter(|datom| !datom.added).chain(own().filter(|datom| datom.added)) {
            draft.set(self, datom.a, datom.added.then_some(&datom.v)).ok_or_else(|| nonsense(e, datom.a))?;
        }
        let former = || before.attribute(id).map(|attribute| attribute.ident.clone());
        let Some(ident) = self.names.ident(e).cloned().or_else(former) else { return Ok(()) };
        let Some(attribute) = draft.finish(id, ident) else { return Ok(()) };
        if matches!(attribute.tuple, Some(TupleKind::Composite(_))) && !self.composites.contains(&id) {
            self.composites.push(id);
            self.composites.sort_unstable();
        }
        Arc::make_mut(&mut self.attributes).insert(id, Arc::new(attribute));
        Ok(())
    }
}

fn nonsense(e: EntityId, a: AttrId) -> Error {
    Error::new(Code::DataLoss, format!("the fact {a:?} of schema element {e} makes no sense"))
}

/// An attribute while its facts are read.
#[derive(Default)]
struct Draft {
    value_type: Option<ValueType>,
    cardinality: Option<Cardinality>,
    unique: Option<Unique>,
    indexed: bool,
    component: bool,
    no_history: bool,
    fulltext: bool,
    tuple: Option<TupleKind>,
}

impl Draft {
    fn of(attribute: Option<&Arc<Attribute>>) -> Draft {
        let Some(attribute) = attribute else { return Draft::default() };
        Draft {
            value_type: attribute.value_type,
            cardinality: Some(attribute.cardinality),
            unique: attribute.unique,
            indexed: attribute.indexed,
            component: attribute.component,
            no_history: attribute.no_history,
            fulltext: attribute.fulltext,
            tuple: attribute.tuple.clone(),
        }
    }

    /// Takes one fact: `v` asserted, or retracted (`None`). `None` when the value makes no sense.
    fn set(&mut self, schema: &Schema, a: AttrId, v: Option<&Value>) -> Option<()> {
        match a {
            attr::VALUE_TYPE => self.value_type = optional(v, type_value)?,
            attr::CARDINALITY => self.cardinality = optional(v, cardinality_value)?,
            attr::UNIQUE => self.unique = optional(v, unique_value)?,
            attr::INDEX => self.indexed = flag(v)?,
            attr::IS_COMPONENT => self.component = flag(v)?,
            attr::NO_HISTORY => self.no_history = flag(v)?,
            attr::FULLTEXT => self.fulltext = flag(v)?,
            attr::TUPLE_ATTRS => self.tuple = optional(v, |v| composite_value(schema, v))?,
            attr::TUPLE_TYPES => self.tuple = optional(v, heterogeneous_value)?,
            attr::TUPLE_TYPE => self.tuple = optional(v, homogeneous_value)?,
            _ => {}
        }
        Some(())
    }

    fn finish(self, id: AttrId, ident: Keyword) -> Option<Attribute> {
        Some(Attribute {
            id,
            ident,
            value_type: self.value_type,
            cardinality: self.cardinality?,
            unique: self.unique,
            indexed: self.indexed,
            component: self.component,
            no_history: self.no_history,
            fulltext: self.fulltext,
            tuple: self.tuple,
        })
    }
}

/// A retraction clears (`Some(None)`); an assertion must convert.
fn optional<X>(v: Option<&Value>, convert: impl Fn(&Value) -> Option<X>) -> Option<Option<X>> {
    match v {
        None => Some(None),
        Some(v) => convert(v).map(Some),
    }
}

fn flag(v: Option<&Value>) -> Option<bool> {
    match v {
        None => Some(false),
        Some(Value::Boolean(on)) => Some(*on),
        Some(_) => None,
    }
}

/// The value type that a fact of `:db/valueType` names.
pub(crate) fn type_value(v: &Value) -> Option<ValueType> {
    let Value::Ref(e) = v else { return None };
    bootstrap::type_of_entity(*e)
}

/// The cardinality that a fact of `:db/cardinality` names.
pub(crate) fn cardinality_value(v: &Value) -> Option<Cardinality> {
    match v {
        Value::Ref(bootstrap::CARDINALITY_ONE) => Some(Cardinality::One),
        Value::Ref(bootstrap::CARDINALITY_MANY) => Some(Cardinality::Many),
        _ => None,
    }
}

/// The kind that a fact of `:db/unique` names.
pub(crate) fn unique_value(v: &Value) -> Option<Unique> {
    match v {
        Value::Ref(bootstrap::UNIQUE_IDENTITY) => Some(Unique::Identity),
        Value::Ref(bootstrap::UNIQUE_VALUE) => Some(Unique::Value),
        _ => None,
    }
}

/// True when the value of a property can be read; `schema` has the attributes before.
pub(crate) fn makes_sense(schema: &Schema, datom: &crate::Datom) -> bool {
    Draft::default().set(schema, datom.a, Some(&datom.v)).is_some()
}

fn composite_value(schema: &Schema, v: &Value) -> Option<TupleKind> {
    let members: Option<Vec<AttrId>> =
        keywords(v)?.into_iter().map(|ident| schema.entid(ident)?.as_attr()).collect();
    Some(TupleKind::Composite(members?.into()))
}

fn heterogeneous_value(v: &Value) -> Option<TupleKind> {
    let types: Option<Vec<ValueType>> = keywords(v)?.into_iter().map(type_ident).collect();
    Some(TupleKind::Heterogeneous(types?.into()))
}

fn homogeneous_value(v: &Value) -> Option<TupleKind> {
    let Value::Keyword(ident) = v else { return None };
    type_ident(ident).map(TupleKind::Homogeneous)
}

fn keywords(v: &Value) -> Option<Vec<&Keyword>> {
    let Value::Tuple(slots) = v else { return None };
    slots.iter().map(|slot| if let Some(Value::Keyword(ident)) = slot { Some(ident) } else { None }).collect()
}

/// The type of the ident `:db.type/…`.
pub(crate) fn type_ident(ident: &Keyword) -> Option<ValueType> {
    (ident.namespace() == Some("db.type")).then(|| ValueType::from_name(ident.name())).flatten()
}
