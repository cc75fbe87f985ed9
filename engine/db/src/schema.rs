//! The schema of a database value: attributes by id, idents both ways. It follows from the datoms and is never
//! time-travelled: views of the past use the present schema.

use std::sync::Arc;

use annals_edn::Keyword;
use rustc_hash::FxHashMap;

use crate::id::{AttrId, EntityId};
use crate::value::ValueType;

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
    /// the type of its values
    pub value_type: ValueType,
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
    /// In AVET for the user's eyes: unique or indexed.
    #[must_use]
    pub fn in_avet(&self) -> bool {
        self.indexed || self.unique.is_some()
    }

    /// In the AVET tree: for the user, or because reverse references are looked up there.
    #[must_use]
    pub fn kept_in_avet(&self) -> bool {
        self.in_avet() || self.value_type == ValueType::Ref
    }
}

/// Attributes and idents. Cheap to share (`Arc<Schema>`), rebuilt only by transactions that touch it.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    pub(crate) attributes: FxHashMap<AttrId, Arc<Attribute>>,
    pub(crate) by_ident: FxHashMap<Keyword, EntityId>,
    pub(crate) idents: FxHashMap<EntityId, Keyword>,
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
        self.attribute(self.by_ident.get(ident)?.as_attr()?)
    }

    /// The entity an ident names, former idents included until re-used.
    #[must_use]
    pub fn entid(&self, ident: &Keyword) -> Option<EntityId> {
        self.by_ident.get(ident).copied()
    }

    /// The newest ident of an entity.
    #[must_use]
    pub fn ident(&self, e: EntityId) -> Option<&Keyword> {
        self.idents.get(&e)
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
}
