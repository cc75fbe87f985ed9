//! The schema every database has at t 0: part of the format, never stored. docs/design/ids.md has the id layout.
//!
//! What it is: fixed attribute ids, the datoms that describe them, and the schema that follows from these. What it is
//! not: a transaction; nobody committed t 0 and it has no `:db/txInstant`. Called by `Db::empty`, which seeds novelty
//! with [`datoms`], by [`Schema::bootstrap`] and by the transaction stages, which know these attributes by id.

use std::sync::{Arc, LazyLock};

use annals_edn::Keyword;
use rustc_hash::FxHashMap;

use crate::datom::Datom;
use crate::id::{AttrId, EntityId, Partition, T};
use crate::schema::{Attribute, Cardinality, Checks, Names, Schema, TupleKind, Unique};
use crate::value::{Value, ValueType};

/// The first counter that schema elements of users get in `:db.part/db`. Below lies the bootstrap.
pub const FIRST_ELEMENT: u32 = 1000;

/// One past the greatest counter of a schema element.
pub const MAX_ELEMENTS: u32 = 1 << 20;

/// The entity counter of a database without transactions.
pub const FIRST_COUNTER: u64 = 1000;

/// The same where attributes need not be declared: ids count from 1 in the partition of explicit ids.
pub const FIRST_FREE_COUNTER: u64 = 1;

/// `:db.part/db`, the entity whose `:db.install/…` facts list what is installed.
pub const PART_DB: EntityId = element(1);
/// `:db.part/tx`
pub const PART_TX: EntityId = element(2);
/// `:db.part/user`
pub const PART_USER: EntityId = element(3);

macro_rules! attributes {
    ($($name:ident = $id:literal $ident:literal $type:ident $cardinality:ident $($unique:ident)?;)*) => {
        /// The built-in attributes by id.
        pub mod attr {
            use crate::id::AttrId;
            $(#[doc = concat!("`:", $ident, "`")] pub const $name: AttrId = AttrId($id);)*
        }

        const ATTRIBUTES: &[(u32, &str, ValueType, Cardinality, Option<Unique>)] = &[
            $(($id, $ident, ValueType::$type, Cardinality::$cardinality, attributes!(@ $($unique)?)),)*
        ];
    };
    (@) => { None };
    (@ $unique:ident) => { Some(Unique::$unique) };
}

attributes! {
    IDENT = 10 "db/ident" Keyword One Identity;
    VALUE_TYPE = 11 "db/valueType" Ref One;
    CARDINALITY = 12 "db/cardinality" Ref One;
    UNIQUE = 13 "db/unique" Ref One;
    INDEX = 14 "db/index" Boolean One;
    IS_COMPONENT = 15 "db/isComponent" Boolean One;
    NO_HISTORY = 16 "db/noHistory" Boolean One;
    FULLTEXT = 17 "db/fulltext" Boolean One;
    TUPLE_ATTRS = 18 "db/tupleAttrs" Tuple One;
    TUPLE_TYPES = 19 "db/tupleTypes" Tuple One;
    TUPLE_TYPE = 20 "db/tupleType" Keyword One;
    ATTR_PREDS = 21 "db.attr/preds" Symbol Many;
    DOC = 22 "db/doc" String One;
    TX_INSTANT = 23 "db/txInstant" Instant One;
    ENTITY_ATTRS = 24 "db.entity/attrs" Keyword Many;
    ENTITY_PREDS = 25 "db.entity/preds" Symbol Many;
    ENSURE = 26 "db/ensure" Ref Many;
    INSTALL_ATTRIBUTE = 27 "db.install/attribute" Ref Many;
    INSTALL_PARTITION = 28 "db.install/partition" Ref Many;
    ALTER_ATTRIBUTE = 29 "db.alter/attribute" Ref Many;
    TX_ID = 30 "annals.tx/id" Uuid One Identity;
    EXCISE = 31 "db/excise" Ref One;
    FN = 32 "db/fn" String One;
    ENTITY_ALWAYS = 33 "db.entity/always" Keyword Many;
}

/// The last attribute whose facts make up an attribute: `:db/ident` to `:db.attr/preds`.
pub const LAST_PROPERTY: AttrId = attr::ATTR_PREDS;

/// `:db.cardinality/one`
pub const CARDINALITY_ONE: EntityId = element(60);
/// `:db.cardinality/many`
pub const CARDINALITY_MANY: EntityId = element(61);
/// `:db.unique/identity`
pub const UNIQUE_IDENTITY: EntityId = element(62);
/// `:db.unique/value`
pub const UNIQUE_VALUE: EntityId = element(63);
/// `:db/add`
pub const ADD: EntityId = element(70);
/// `:db/retract`
pub const RETRACT: EntityId = element(71);
/// `:db/cas`
pub const CAS: EntityId = element(72);
/// `:db/retractEntity`
pub const RETRACT_ENTITY: EntityId = element(73);

/// Elements that are neither attributes nor types.
const IDENTS: &[(EntityId, &str)] = &[
    (PART_DB, "db.part/db"),
    (PART_TX, "db.part/tx"),
    (PART_USER, "db.part/user"),
    (CARDINALITY_ONE, "db.cardinality/one"),
    (CARDINALITY_MANY, "db.cardinality/many"),
    (UNIQUE_IDENTITY, "db.unique/identity"),
    (UNIQUE_VALUE, "db.unique/value"),
    (ADD, "db/add"),
    (RETRACT, "db/retract"),
    (CAS, "db/cas"),
    (RETRACT_ENTITY, "db/retractEntity"),
    (element(74), "db.fn/cas"),
    (element(75), "db.fn/retractEntity"),
    (element(76), "db/force-partition"),
    (element(77), "db/match-partition"),
];

/// Element ids of the types start here; the type's tag is added.
const FIRST_TYPE: u32 = 40;

const fn element(counter: u32) -> EntityId {
    AttrId(counter).entity()
}

/// The element `:db.type/…` of a type.
#[must_use]
pub const fn type_entity(ty: ValueType) -> EntityId {
    element(FIRST_TYPE + ty as u32)
}

/// The type that a `:db.type/…` element stands for.
#[must_use]
pub fn type_of_entity(e: EntityId) -> Option<ValueType> {
    let counter = e.as_attr()?.0.checked_sub(FIRST_TYPE)?;
    ValueType::from_tag(u8::try_from(counter).ok()?)
}

/// The datoms at t 0, in EAVT order. Never in the log; scans show them like any other.
#[must_use]
pub fn datoms() -> &'static [Datom] {
    static DATOMS: LazyLock<Vec<Datom>> = LazyLock::new(build_datoms);
    &DATOMS
}

fn build_datoms() -> Vec<Datom> {
    let mut datoms = Vec::with_capacity(256);
    let mut fact = |e: EntityId, a: AttrId, v: Value| datoms.push(Datom { e, a, v, t: T(0), added: true });
    for (e, ident) in IDENTS {
        fact(*e, attr::IDENT, Value::Keyword(Keyword::new(*ident)));
    }
    for ty in ValueType::ALL {
        let ident = format!("db.type/{}", ty.name());
        fact(type_entity(ty), attr::IDENT, Value::Keyword(Keyword::new(ident)));
    }
    for attribute in attributes() {
        for (a, v) in properties(&attribute) {
            fact(attribute.id.entity(), a, v);
        }
        fact(PART_DB, attr::INSTALL_ATTRIBUTE, Value::Ref(attribute.id.entity()));
    }
    for part in [PART_DB, PART_TX, PART_USER] {
        fact(PART_DB, attr::INSTALL_PARTITION, Value::Ref(part));
    }
    datoms.sort_by(|x, y| crate::order::Index::Eavt.cmp(&x.as_ref(), &y.as_ref()));
    datoms
}

fn properties(attribute: &Attribute) -> Vec<(AttrId, Value)> {
    let cardinality = match attribute.cardinality {
        Cardinality::One => CARDINALITY_ONE,
        Cardinality::Many => CARDINALITY_MANY,
    };
    let mut facts = vec![
        (attr::IDENT, Value::Keyword(attribute.ident.clone())),
        (attr::CARDINALITY, Value::Ref(cardinality)),
    ];
    facts.extend(attribute.value_type.map(|ty| (attr::VALUE_TYPE, Value::Ref(type_entity(ty)))));
    if attribute.unique.is_some() {
        facts.push((attr::UNIQUE, Value::Ref(UNIQUE_IDENTITY)));
    }
    if attribute.value_type == Some(ValueType::Tuple) {
        facts.push((attr::TUPLE_TYPE, Value::Keyword(Keyword::new("db.type/keyword"))));
    }
    if attribute.indexed {
        facts.push((attr::INDEX, Value::Boolean(true)));
    }
    facts
}

fn attributes() -> impl Iterator<Item = Attribute> {
    ATTRIBUTES.iter().map(|&(id, ident, value_type, cardinality, unique)| Attribute {
        id: AttrId(id),
        ident: Keyword::new(ident),
        value_type: Some(value_type),
        cardinality,
        unique,
        indexed: AttrId(id) == attr::TX_INSTANT,
        component: false,
        no_history: false,
        fulltext: false,
        tuple: (value_type == ValueType::Tuple).then_some(TupleKind::Homogeneous(ValueType::Keyword)),
    })
}

impl Schema {
    /// The schema at t 0.
    #[must_use]
    pub fn bootstrap() -> Arc<Schema> {
        static SCHEMA: LazyLock<Arc<Schema>> = LazyLock::new(|| Arc::new(build_schema()));
        SCHEMA.clone()
    }
}

fn build_schema() -> Schema {
    let mut names = Names::default();
    for datom in datoms() {
        if let (attr::IDENT, Value::Keyword(ident)) = (datom.a, &datom.v) {
            names.name(datom.e, ident);
        }
    }
    let attributes: FxHashMap<_, _> =
        attributes().map(|attribute| (attribute.id, Arc::new(attribute))).collect();
    Schema {
        attributes: Arc::new(attributes),
        names,
        next_element: FIRST_ELEMENT,
        composites: Vec::new(),
        checks: Checks::default(),
        revision: 0,
    }
}

/// True for idents in the namespaces that the database keeps for itself: `db`, `annals`, and what begins with `db.` or
/// `annals.`.
#[must_use]
pub fn is_reserved(ident: &Keyword) -> bool {
    let namespace = ident.namespace().unwrap_or_default();
    let own =
        |own: &str| namespace.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    own("db") || own("annals")
}

/// What a transaction is told that would install more than [`MAX_ELEMENTS`].
pub(crate) fn no_more_elements() -> annals_edn::Error {
    let message = format!("the database has {MAX_ELEMENTS} schema elements, no more fit");
    annals_edn::Error::new(annals_edn::Code::InvalidInstallAttribute, message)
        .with("limit", format!("{MAX_ELEMENTS} schema elements"))
}

/// The partition that the schema element `part` names if it is one: its number is the element's counter.
#[must_use]
pub fn partition_of_element(part: EntityId) -> Option<Partition> {
    part.as_attr().map(|AttrId(counter)| Partition(counter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_below_the_first_element_are_distinct() {
        let mut seen = std::collections::HashSet::new();
        for datom in datoms().iter().filter(|datom| datom.a == attr::IDENT) {
            assert!(seen.insert(datom.e), "{:?} twice", datom.e);
            assert!(datom.e.as_attr().is_some_and(|a| a.0 < FIRST_ELEMENT));
        }
        assert_eq!(seen.len(), IDENTS.len() + ValueType::ALL.len() + ATTRIBUTES.len());
    }

    #[test]
    fn types_map_both_ways() {
        for ty in ValueType::ALL {
            assert_eq!(type_of_entity(type_entity(ty)), Some(ty));
        }
        assert_eq!(type_of_entity(CARDINALITY_ONE), None);
    }

    #[test]
    fn the_schema_describes_itself() {
        let schema = Schema::bootstrap();
        let ident = schema.attribute_of(&Keyword::new("db/ident")).expect("installed");
        assert_eq!((ident.id, ident.unique), (attr::IDENT, Some(Unique::Identity)));
        assert_eq!(schema.ident(attr::VALUE_TYPE.entity()), Some(&Keyword::new("db/valueType")));
        assert!(schema.attribute_of(&Keyword::new("db/add")).is_none());
    }
}
