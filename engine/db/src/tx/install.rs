//! The fourth stage: what the settled datoms do to the schema. New attributes must be whole, changes of old ones legal;
//! `:db.part/db` learns of both. The schema after the transaction is derived once, by [`Schema::apply`], and compared.

mod alter;

use annals_edn::{Code, Error, Keyword};

use crate::Result;
use crate::bootstrap::{self, attr};
use crate::database::Db;
use crate::datom::Datom;
use crate::id::{AttrId, EntityId, Partition};
use crate::log::TxBody;
use crate::schema::{Attribute, Cardinality, Schema, TupleKind, makes_sense};
use crate::tx::places::Places;
use crate::tx::refusal::{Refusals, attribute_name, show_value};
use crate::tx::settle;
use crate::value::{Value, ValueType};

/// Checks what `body` does to the schema and adds the `:db.install/…` and `:db.alter/…` facts that follow.
///
/// # Errors
/// `INVALID_INSTALL_ATTRIBUTE`, `INVALID_ALTER_ATTRIBUTE` and their kin, `RESERVED_NAMESPACE`, and those of the store.
pub(super) fn install(db: &Db, body: &mut TxBody, places: &Places) -> Result<()> {
    if !body.datoms.iter().any(concerns_schema) {
        return Ok(());
    }
    let mut refusals = Refusals::default();
    for datom in body.datoms.iter().filter(|datom| concerns_schema(datom)) {
        let step = check_fact(db.schema(), datom).map_err(|error| places.of_datom(db, error, datom));
        refusals.check(step)?;
    }
    refusals.finish()?;
    let after = db.schema().apply(body).map_err(|error| unreadable(db, body, places, &error))?;
    let Some(after) = after else { return Ok(()) };
    let mut installer = Installer { db, before: db.schema(), after: &after, body, facts: Vec::new() };
    let mut refusals = Refusals::default();
    for e in installer.elements() {
        let step = installer.element(e).map_err(|error| places.of_entity(db, error, e));
        refusals.check(step)?;
    }
    refusals.check(installer.check_listed())?;
    refusals.finish()?;
    let facts = installer.facts;
    if !facts.is_empty() {
        body.datoms.extend(facts);
        settle::sort(&mut body.datoms);
    }
    Ok(())
}

/// The facts cannot be read as a schema: tells the first property that makes no sense.
fn unreadable(db: &Db, body: &TxBody, places: &Places, error: &Error) -> Error {
    let property = |datom: &&Datom| datom.added && datom.a <= bootstrap::LAST_PROPERTY;
    let senseless = body.datoms.iter().filter(property).find(|datom| !makes_sense(db.schema(), datom));
    let Some(datom) = senseless else {
        return Error::new(Code::InvalidInstallAttribute, error.message());
    };
    let (name, value) = (attribute_name(db, datom.a), show_value(&datom.v));
    let shown = match datom.v {
        Value::Ref(e) => db.schema().ident(e).map_or(value, ToString::to_string),
        _ => value,
    };
    let error = Error::new(Code::InvalidInstallAttribute, format!("{shown} makes no sense as {name}"))
        .with("attribute", name)
        .with("value", shown)
        .hint("types, cardinalities and kinds of uniqueness are idents; tuples name installed attributes or types");
    places.of_datom(db, error, datom)
}

fn concerns_schema(datom: &Datom) -> bool {
    let system = [attr::INSTALL_ATTRIBUTE, attr::INSTALL_PARTITION, attr::ALTER_ATTRIBUTE];
    datom.a <= bootstrap::LAST_PROPERTY || datom.e.partition() == Partition::DB || system.contains(&datom.a)
}

/// What can be said of one datom alone.
fn check_fact(schema: &Schema, datom: &Datom) -> Result<()> {
    match datom.a {
        attr::IDENT => check_ident(schema, datom),
        a if a <= bootstrap::LAST_PROPERTY => check_property(schema, datom),
        attr::INSTALL_ATTRIBUTE | attr::INSTALL_PARTITION | attr::ALTER_ATTRIBUTE => check_listing(datom),
        _ => Ok(()),
    }
}

/// What is built in keeps its name, and its namespaces.
fn check_ident(schema: &Schema, datom: &Datom) -> Result<()> {
    if is_built_in(datom.e) {
        return Err(built_in(schema, datom.e));
    }
    let Value::Keyword(ident) = &datom.v else { return Ok(()) };
    if bootstrap::is_reserved(ident) && datom.added {
        let message = format!("{ident} is in a namespace that the database keeps for itself");
        return Err(Error::new(Code::ReservedNamespace, message).with("ident", ident));
    }
    Ok(())
}

/// A property makes sense only on a schema element of the user's own.
fn check_property(schema: &Schema, datom: &Datom) -> Result<()> {
    if is_built_in(datom.e) {
        return Err(built_in(schema, datom.e));
    }
    if datom.e.as_attr().is_some() {
        return Ok(());
    }
    let named = named(schema, datom.e);
    let message = format!("{named} is no schema element, so it cannot become an attribute");
    Err(Error::new(Code::NotInSystemPartition, message)
        .with("entity", datom.e)
        .hint("install attributes under a new ident"))
}

fn is_built_in(e: EntityId) -> bool {
    e.as_attr().is_some_and(|a| a.0 < bootstrap::FIRST_ELEMENT)
}

fn built_in(schema: &Schema, e: EntityId) -> Error {
    let named = named(schema, e);
    Error::new(Code::InvalidAlterAttribute, format!("{named} is built in and cannot be changed"))
        .with("attribute", named)
}

fn named(schema: &Schema, e: EntityId) -> String {
    schema.ident(e).map_or_else(|| e.to_string(), ToString::to_string)
}

fn check_listing(datom: &Datom) -> Result<()> {
    if datom.e == bootstrap::PART_DB && datom.added {
        return Ok(());
    }
    let message = "what is installed is listed under :db.part/db, once and for all";
    Err(Error::new(Code::InvalidInstallAttribute, message).with("entity", datom.e))
}

struct Installer<'a> {
    db: &'a Db,
    before: &'a Schema,
    after: &'a Schema,
    body: &'a TxBody,
    /// facts that follow from installing
    facts: Vec<Datom>,
}

impl Installer<'_> {
    /// The schema elements that the transaction says something about, ascending.
    fn elements(&self) -> Vec<EntityId> {
        let mut elements: Vec<EntityId> = self
            .body
            .datoms
            .iter()
            .map(|datom| datom.e)
            .filter(|e| e.as_attr().is_some_and(|a| a.0 >= bootstrap::FIRST_ELEMENT))
            .collect();
        elements.dedup();
        elements
    }

    fn element(&mut self, e: EntityId) -> Result<()> {
        let id = e.as_attr().expect("elements are in the schema partition");
        let properties = |datom: &&Datom| datom.a != attr::IDENT && datom.a <= bootstrap::LAST_PROPERTY;
        let changed = self.own(e).any(|datom| properties(&datom));
        match (self.before.attribute(id), self.after.attribute(id)) {
            (Some(before), Some(after)) if changed => {
                alter::check(self.db, self.body, before, after)?;
                self.list(attr::ALTER_ATTRIBUTE, e)
            }
            (None, Some(after)) if after.value_type.is_none() && self.db.options().schema_on_write => {
                Err(self.incomplete(e))
            }
            (None, Some(after)) => {
                check_whole(self.after, after)?;
                self.check_one_tuple_kind(e, after)?;
                self.list(attr::INSTALL_ATTRIBUTE, e)
            }
            (None, None) if changed => Err(self.incomplete(e)),
            (None, None) => self.check_bare(e),
            _ => Ok(()),
        }
    }

    fn own(&self, e: EntityId) -> impl Iterator<Item = &Datom> {
        let start = self.body.datoms.partition_point(|datom| datom.e < e);
        self.body.datoms[start..].iter().take_while(move |datom| datom.e == e)
    }

    fn check_one_tuple_kind(&self, e: EntityId, after: &Attribute) -> Result<()> {
        let kinds = [attr::TUPLE_ATTRS, attr::TUPLE_TYPES, attr::TUPLE_TYPE];
        match self.own(e).filter(|datom| datom.added && kinds.contains(&datom.a)).count() {
            0 | 1 => Ok(()),
            _ => Err(invalid_install(
                &after.ident,
                "a tuple is of one kind: :db/tupleAttrs, :db/tupleTypes or :db/tupleType",
            )),
        }
    }

    fn incomplete(&self, e: EntityId) -> Error {
        let Some(ident) = self.after.ident(e) else {
            return Error::new(Code::AttributeIdentMissing, "an attribute needs a :db/ident");
        };
        let has = |a: AttrId| self.own(e).any(|datom| datom.a == a && datom.added);
        let missing = if has(attr::VALUE_TYPE) { ":db/cardinality" } else { ":db/valueType" };
        Error::new(Code::InvalidInstallAttribute, format!("the attribute {ident} has no {missing}"))
            .with("attribute", ident)
            .hint("an attribute needs :db/ident, :db/valueType and :db/cardinality")
    }

    /// A new element that is no attribute may be a partition, or have an ident and nothing else.
    fn check_bare(&self, e: EntityId) -> Result<()> {
        let is_new = e.counter() >= u64::from(self.before.next_element());
        let partition = self.body.datoms.iter().any(|datom| {
            datom.e == bootstrap::PART_DB && datom.a == attr::INSTALL_PARTITION && datom.v == Value::Ref(e)
        });
        if !is_new || partition || self.own(e).all(|datom| datom.a == attr::IDENT) {
            return Ok(());
        }
        let message = "the partition :db.part/db holds attributes and partitions only";
        Err(Error::new(Code::SchemaWithoutInstall, message).with("entity", e))
    }

    /// Adds `[:db.part/db a e]` unless it is there.
    fn list(&mut self, a: AttrId, e: EntityId) -> Result<()> {
        let v = Value::Ref(e);
        let given = self.body.datoms.iter().any(|datom| datom.a == a && datom.v == v);
        if !given && self.db.holds(bootstrap::PART_DB, a, &v.as_ref())?.is_none() {
            self.facts.push(Datom { e: bootstrap::PART_DB, a, v, t: self.body.t, added: true });
        }
        Ok(())
    }

    /// What a transaction lists itself must be what it says.
    fn check_listed(&self) -> Result<()> {
        for datom in self.own(bootstrap::PART_DB) {
            let Value::Ref(e) = datom.v else { continue };
            let good = match datom.a {
                attr::INSTALL_ATTRIBUTE | attr::ALTER_ATTRIBUTE => {
                    e.as_attr().is_some_and(|a| self.after.attribute(a).is_some())
                }
                attr::INSTALL_PARTITION => {
                    self.after.ident(e).is_some() && e.as_attr().is_some_and(|a| a.0 < Partition::IMPLICIT.0)
                }
                _ => true,
            };
            if !good {
                let message = format!("{e} is not whole, so it cannot be installed");
                return Err(Error::new(Code::InvalidInstallAttribute, message).with("entity", e));
            }
        }
        Ok(())
    }
}

/// A new attribute's properties fit each other.
fn check_whole(schema: &Schema, attribute: &Attribute) -> Result<()> {
    check_flags(attribute).map_err(|why| invalid_install(&attribute.ident, why))?;
    match (&attribute.tuple, attribute.value_type == Some(ValueType::Tuple)) {
        (None, false) => Ok(()),
        (Some(kind), true) => {
            check_tuple(schema, attribute, kind).map_err(|why| invalid_install(&attribute.ident, &why))
        }
        (None, true) => Err(invalid_install(
            &attribute.ident,
            "a tuple says what its slots are: :db/tupleAttrs, :db/tupleTypes or :db/tupleType",
        )),
        (Some(_), false) => Err(invalid_install(&attribute.ident, "only a tuple has :db/tuple… properties")),
    }
}

/// What holds for new and for altered attributes.
fn check_flags(attribute: &Attribute) -> std::result::Result<(), &'static str> {
    if attribute.component && !attribute.is_ref() {
        return Err("only a ref can be a component");
    }
    match attribute.value_type {
        Some(ValueType::Bytes) if attribute.unique.is_some() => Err("bytes cannot be unique"),
        None if attribute.unique.is_some() => Err("only values of a declared type can be unique"),
        _ => Ok(()),
    }
}

fn check_tuple(schema: &Schema, attribute: &Attribute, kind: &TupleKind) -> std::result::Result<(), String> {
    let slot = |ty: ValueType| match ty {
        ValueType::Bytes | ValueType::Float | ValueType::Tuple => {
            Err(format!("a slot cannot be {}", ty.name()))
        }
        _ => Ok(()),
    };
    match kind {
        TupleKind::Homogeneous(ty) => slot(*ty),
        TupleKind::Heterogeneous(types) => types.iter().try_for_each(|ty| slot(*ty)),
        TupleKind::Composite(_) if attribute.cardinality == Cardinality::Many => {
            Err("a composite has cardinality one".to_owned())
        }
        TupleKind::Composite(members) => members.iter().try_for_each(|member| {
            let member = schema.attribute(*member).ok_or("a member is no attribute")?;
            if member.cardinality == Cardinality::Many {
                return Err(format!("its member {} takes many values", member.ident));
            }
            let ty =
                member.value_type.ok_or_else(|| format!("its member {} has no value type", member.ident))?;
            slot(ty)
        }),
    }
}

fn invalid_install(ident: &Keyword, why: &str) -> Error {
    Error::new(Code::InvalidInstallAttribute, format!("the attribute {ident} cannot be installed: {why}"))
        .with("attribute", ident)
}
