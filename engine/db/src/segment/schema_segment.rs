//! The schema at a root: attributes, idents, and which attributes AVET holds whole.
//!
//! ```text
//! varint revision, varint next element
//! varint attributes, by id; for each:
//!   varint id, text ident, 1 type tag (0: every value has its own), 1 flags, 1 flags, tuple
//!   flags: 1 many, 2 unique identity, 4 unique value, 8 indexed, 16 component, 32 no history, 64 fulltext, 128 in AVET whole
//!   second flags: 1 a tuple follows: 1 kind (0 composite, 1 heterogeneous, 2 homogeneous), varint slots,
//!   for each a varint attribute (composite) or 1 type tag
//! varint entities with an ident, by entity: varint entity, text ident
//! varint further idents that still resolve, by text: text ident, varint entity
//! varint predicates, by attribute: varint attribute, text symbol
//! varint specs that are always on, by text: text ident of an attribute, varint spec
//! ```

use std::sync::Arc;

use annals_edn::{Keyword, Symbol};
use rustc_hash::{FxHashMap, FxHashSet};

use super::bytes::{Reader, damaged, put_blob, put_varint};
use crate::Result;
use crate::id::{AttrId, EntityId};
use crate::schema::{Attribute, Cardinality, Checks, Schema, TupleKind, Unique};
use crate::value::ValueType;

/// A decoded schema segment.
#[derive(Debug)]
pub struct SchemaSegment {
    /// the schema at the root's t
    pub schema: Arc<Schema>,
    /// the attributes of which AVET holds every row
    pub avet: Arc<FxHashSet<AttrId>>,
}

const MANY: u8 = 1;
const IDENTITY: u8 = 2;
const UNIQUE_VALUE: u8 = 4;
const INDEXED: u8 = 8;
const COMPONENT: u8 = 16;
const NO_HISTORY: u8 = 32;
const FULLTEXT: u8 = 64;
const AVET: u8 = 128;

impl SchemaSegment {
    pub(crate) fn encode(schema: &Schema, avet: &FxHashSet<AttrId>) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, schema.revision);
        put_varint(&mut out, u64::from(schema.next_element));
        let mut attributes: Vec<_> = schema.attributes.values().collect();
        attributes.sort_unstable_by_key(|attribute| attribute.id);
        put_varint(&mut out, attributes.len() as u64);
        for attribute in attributes {
            put_attribute(&mut out, attribute, avet.contains(&attribute.id));
        }
        let mut idents: Vec<_> = schema.names.newest().collect();
        idents.sort_unstable_by_key(|(e, _)| *e);
        put_varint(&mut out, idents.len() as u64);
        for (e, ident) in idents {
            put_varint(&mut out, e.0);
            put_blob(&mut out, ident.as_str().as_bytes());
        }
        let mut formers: Vec<_> = schema.names.former().collect();
        formers.sort_unstable();
        put_varint(&mut out, formers.len() as u64);
        for (ident, e) in formers {
            put_blob(&mut out, ident.as_str().as_bytes());
            put_varint(&mut out, e.0);
        }
        put_checks(&mut out, &schema.checks);
        out
    }

    pub(crate) fn read(payload: &[u8]) -> Result<SchemaSegment> {
        let mut reader = Reader::new(payload);
        let mut schema =
            Schema { revision: reader.varint()?, next_element: small(&mut reader)?, ..Schema::default() };
        let (mut avet, mut attributes) = (FxHashSet::default(), FxHashMap::default());
        for _ in 0..reader.count(5)? {
            let (attribute, whole) = read_attribute(&mut reader)?;
            if whole {
                avet.insert(attribute.id);
            }
            if matches!(attribute.tuple, Some(TupleKind::Composite(_))) {
                schema.composites.push(attribute.id);
            }
            attributes.insert(attribute.id, Arc::new(attribute));
        }
        schema.attributes = Arc::new(attributes);
        for _ in 0..reader.count(2)? {
            let (e, ident) = (EntityId(reader.varint()?), Keyword::new(reader.text()?));
            schema.names.name(e, &ident);
        }
        for _ in 0..reader.count(2)? {
            let (ident, e) = (Keyword::new(reader.text()?), EntityId(reader.varint()?));
            schema.names.remember(e, ident);
        }
        schema.checks = read_checks(&mut reader)?;
        match reader.left() {
            0 => Ok(SchemaSegment { schema: Arc::new(schema), avet: Arc::new(avet) }),
            _ => Err(damaged("a schema is longer than its fields")),
        }
    }

    /// Bytes it occupies in memory, about.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.schema.attributes.len() * 200 + self.schema.names.len() * 150
    }
}

fn small(reader: &mut Reader<'_>) -> Result<u32> {
    u32::try_from(reader.varint()?).map_err(|_| damaged("a number is too great"))
}

fn put_attribute(out: &mut Vec<u8>, attribute: &Attribute, whole: bool) {
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    put_varint(out, u64::from(attribute.id.0));
    put_blob(out, attribute.ident.as_str().as_bytes());
    out.push(attribute.value_type.map_or(0, |ty| ty as u8));
    out.push(
        flag(attribute.cardinality == Cardinality::Many, MANY)
            | flag(attribute.unique == Some(Unique::Identity), IDENTITY)
            | flag(attribute.unique == Some(Unique::Value), UNIQUE_VALUE)
            | flag(attribute.indexed, INDEXED)
            | flag(attribute.component, COMPONENT)
            | flag(attribute.no_history, NO_HISTORY)
            | flag(attribute.fulltext, FULLTEXT)
            | flag(whole, AVET),
    );
    out.push(u8::from(attribute.tuple.is_some()));
    match &attribute.tuple {
        None => {}
        Some(TupleKind::Composite(slots)) => {
            out.push(0);
            put_varint(out, slots.len() as u64);
            slots.iter().for_each(|a| put_varint(out, u64::from(a.0)));
        }
        Some(TupleKind::Heterogeneous(slots)) => {
            out.push(1);
            put_varint(out, slots.len() as u64);
            slots.iter().for_each(|ty| out.push(*ty as u8));
        }
        Some(TupleKind::Homogeneous(ty)) => out.extend_from_slice(&[2, 1, *ty as u8]),
    }
}

fn read_attribute(reader: &mut Reader<'_>) -> Result<(Attribute, bool)> {
    let id = AttrId(small(reader)?);
    let ident = Keyword::new(reader.text()?);
    let value_type = match reader.u8()? {
        0 => None,
        tag => Some(type_of_tag(tag)?),
    };
    let flags = reader.u8()?;
    let tuple = match reader.u8()? {
        0 => None,
        1 => Some(read_tuple(reader)?),
        _ => return Err(damaged("an attribute has unknown flags")),
    };
    let has = |flag: u8| flags & flag != 0;
    let attribute = Attribute {
        id,
        ident,
        value_type,
        cardinality: if has(MANY) { Cardinality::Many } else { Cardinality::One },
        unique: match (has(IDENTITY), has(UNIQUE_VALUE)) {
            (true, _) => Some(Unique::Identity),
            (false, true) => Some(Unique::Value),
            (false, false) => None,
        },
        indexed: has(INDEXED),
        component: has(COMPONENT),
        no_history: has(NO_HISTORY),
        fulltext: has(FULLTEXT),
        tuple,
    };
    Ok((attribute, has(AVET)))
}

fn put_checks(out: &mut Vec<u8>, checks: &Checks) {
    put_varint(out, checks.predicates().len() as u64);
    for (a, name) in checks.predicates() {
        put_varint(out, u64::from(a.0));
        put_blob(out, name.as_str().as_bytes());
    }
    put_varint(out, checks.always().len() as u64);
    for (ident, spec) in checks.always() {
        put_blob(out, ident.as_str().as_bytes());
        put_varint(out, spec.0);
    }
}

fn read_checks(reader: &mut Reader<'_>) -> Result<Checks> {
    let (mut predicates, mut always) = (Vec::new(), Vec::new());
    for _ in 0..reader.count(2)? {
        predicates.push((AttrId(small(reader)?), Symbol::new(reader.text()?)));
    }
    for _ in 0..reader.count(2)? {
        let ident = Keyword::new(reader.text()?);
        always.push((ident, EntityId(reader.varint()?)));
    }
    Ok(Checks::of(predicates, always))
}

fn read_type(reader: &mut Reader<'_>) -> Result<ValueType> {
    type_of_tag(reader.u8()?)
}

fn type_of_tag(tag: u8) -> Result<ValueType> {
    ValueType::from_tag(tag).ok_or_else(|| damaged("a type is unknown"))
}

fn read_tuple(reader: &mut Reader<'_>) -> Result<TupleKind> {
    let kind = reader.u8()?;
    let slots = reader.count(1)?;
    match kind {
        0 => Ok(TupleKind::Composite((0..slots).map(|_| small(reader).map(AttrId)).collect::<Result<_>>()?)),
        1 => Ok(TupleKind::Heterogeneous((0..slots).map(|_| read_type(reader)).collect::<Result<_>>()?)),
        2 if slots == 1 => Ok(TupleKind::Homogeneous(read_type(reader)?)),
        _ => Err(damaged("a tuple kind is unknown")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(id: u32, tuple: Option<TupleKind>) -> Arc<Attribute> {
        Arc::new(Attribute {
            id: AttrId(id),
            ident: Keyword::new(format!("a/n{id}")),
            value_type: (!id.is_multiple_of(11)).then_some(ValueType::String),
            cardinality: if id.is_multiple_of(2) { Cardinality::Many } else { Cardinality::One },
            unique: [None, Some(Unique::Identity), Some(Unique::Value)][id as usize % 3],
            indexed: id.is_multiple_of(5),
            component: id.is_multiple_of(7),
            no_history: id % 2 == 1,
            fulltext: id.is_multiple_of(3),
            tuple,
        })
    }

    #[test]
    fn schemas_come_back() {
        let mut schema = Schema { revision: 7, next_element: 1012, ..Schema::default() };
        let slots = [ValueType::Long, ValueType::Ref].as_slice().into();
        let tuples = [
            None,
            Some(TupleKind::Composite([AttrId(1), AttrId(1000)].as_slice().into())),
            Some(TupleKind::Heterogeneous(slots)),
            Some(TupleKind::Homogeneous(ValueType::Uuid)),
        ];
        for id in 1000..1012 {
            let attribute = attribute(id, tuples[id as usize % 4].clone());
            if matches!(attribute.tuple, Some(TupleKind::Composite(_))) {
                schema.composites.push(attribute.id);
            }
            schema.names.name(attribute.id.entity(), &attribute.ident);
            Arc::make_mut(&mut schema.attributes).insert(attribute.id, attribute);
        }
        schema.names.remember(AttrId(1003).entity(), Keyword::new("a/former"));
        let always = vec![(Keyword::new("a/n1003"), EntityId::new(crate::Partition::USER, 1000))];
        schema.checks = Checks::of(vec![(AttrId(1002), Symbol::new("pos?"))], always);
        let avet: FxHashSet<AttrId> = [AttrId(1001), AttrId(1002)].into_iter().collect();
        let payload = SchemaSegment::encode(&schema, &avet);
        let read = SchemaSegment::read(&payload).unwrap();
        assert_eq!(*read.avet, avet);
        assert_eq!(read.schema.attributes, schema.attributes);
        assert_eq!(read.schema.names, schema.names);
        assert_eq!(read.schema.composites, schema.composites);
        assert_eq!(read.schema.checks, schema.checks);
        assert_eq!((read.schema.revision, read.schema.next_element), (7, 1012));
        assert_eq!(SchemaSegment::encode(&read.schema, &read.avet), payload);
        for len in 0..payload.len() {
            assert!(SchemaSegment::read(&payload[..len]).is_err(), "cut at {len}");
        }
    }
}
