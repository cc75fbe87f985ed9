//! Functions: the built-in ones, and calls of stored ones. All see db-before only.

use annals_edn::{Code, Edn, Error, Keyword, Node};
use rustc_hash::FxHashSet;

use super::Expander;
use super::place::{key_ident, not_found};
use crate::Result;
use crate::bootstrap::{self, attr};
use crate::id::{AttrId, EntityId, Partition};
use crate::identify::show;
use crate::range::{Batch, Columns, Range};
use crate::schema::{Attribute, Cardinality, TupleKind};
use crate::tx::functions::ident_of;
use crate::tx::op::{Object, Subject};
use crate::tx::refusal::show_value;
use crate::tx::temp::Affinity;
use crate::value::Value;

impl Expander<'_> {
    /// Anything but `:db/add` and `:db/retract` given as keywords.
    pub(super) fn call(&mut self, form: &Edn, operation: &Edn, args: &[Edn]) -> Result<()> {
        if let Node::Symbol(name) = &operation.node {
            return self.stored(operation, &ident_of(name), args);
        }
        let ident = self.function_ident(operation)?;
        match (ident.as_str(), args) {
            ("db/add", _) => self.assertion(form, args, true),
            ("db/retract", _) => self.assertion(form, args, false),
            ("db/cas" | "db.fn/cas", [e, a, old, new]) => self.compare_and_swap(e, a, old, new),
            ("db/retractEntity" | "db.fn/retractEntity", [e]) => self.retract_entity(e),
            ("db/cas" | "db.fn/cas" | "db/retractEntity" | "db.fn/retractEntity", _) => {
                let message = format!("wrong number of arguments: {}", show(form));
                Err(Error::new(Code::NotTransactionData, message).at(form.span))
            }
            ("db/force-partition" | "db/match-partition", _) => {
                Err(no_function(operation)
                    .hint("it is a key of a map: {:db/force-partition {tempid partition}}"))
            }
            _ => self.stored(operation, &ident, args),
        }
    }

    fn function_ident(&self, operation: &Edn) -> Result<Keyword> {
        match &operation.node {
            Node::Long(n) => EntityId::from_long(*n)
                .and_then(|e| self.schema.ident(e).cloned())
                .ok_or_else(|| no_function(operation)),
            Node::Str(_) => key_ident(operation).ok_or_else(|| {
                Error::new(Code::NotAKeyword, format!("{} names no operation", show(operation)))
                    .at(operation.span)
            }),
            _ => key_ident(operation).ok_or_else(|| no_function(operation)),
        }
    }

    /// `[:db/retract e a]`: every value that e has for a.
    pub(super) fn retract_all(&mut self, e: &Edn, a: &Edn) -> Result<()> {
        let attribute = self.attribute(a)?;
        let outer = self.about(attribute.id);
        let e = self.existing_subject(e)?;
        if !is_composite(attribute) {
            for (value, _) in self.db.values(e, attribute.id)? {
                self.push(Subject::Id(e), attribute, Object::Value(value), false)?;
            }
        }
        self.back(outer);
        Ok(())
    }

    fn existing_subject(&mut self, form: &Edn) -> Result<EntityId> {
        if let Node::Str(text) = &form.node
            && matches!(text.as_ref(), "datomic.tx" | "annals.tx")
        {
            return Ok(self.own_entity());
        }
        let e = self.existing(form)?.ok_or_else(|| not_found(form))?;
        self.check_explicit(e).map_err(|error| error.at(form.span))?;
        Ok(e)
    }

    /// `[:db/cas e a old new]`: a has the value old, or none if old is nil, and gets new.
    fn compare_and_swap(&mut self, e: &Edn, a: &Edn, old: &Edn, new: &Edn) -> Result<()> {
        let attribute = self.attribute(a)?;
        let outer = self.about(attribute.id);
        self.swap(attribute, e, old, new).map_err(|error| error.at(a.span))?;
        self.back(outer);
        Ok(())
    }

    fn swap(&mut self, attribute: &Attribute, e: &Edn, old: &Edn, new: &Edn) -> Result<()> {
        let subject = self.existing_subject(e)?;
        if attribute.cardinality == Cardinality::Many {
            let message =
                format!("{} takes many values, cas needs an attribute that takes one", attribute.ident);
            return Err(Error::new(Code::InvalidCasMany, message).with("attribute", &attribute.ident));
        }
        if new.node == Node::Nil {
            return Err(Error::new(Code::InvalidCas, "the new value of a cas is nil")
                .with("attribute", &attribute.ident)
                .at(new.span)
                .hint("retract the value instead"));
        }
        let new = self.object(attribute, new)?;
        if is_composite(attribute) {
            return Ok(());
        }
        let expected = match &old.node {
            Node::Nil => None,
            _ => Some(self.object(attribute, old)?),
        };
        self.compare(subject, attribute, expected.as_ref())
            .map_err(|error| error.with("expected", show(old)))?;
        self.push(Subject::Id(subject), attribute, new, true)
    }

    fn compare(&self, e: EntityId, attribute: &Attribute, expected: Option<&Object>) -> Result<()> {
        let held = self.db.values(e, attribute.id)?.into_iter().next().map(|(value, _)| value);
        let same = match (&held, expected) {
            (None, None) => true,
            (Some(held), Some(Object::Value(expected))) => held.identical(expected),
            _ => false,
        };
        if same {
            return Ok(());
        }
        let shown = held.as_ref().map_or_else(|| "nil".to_owned(), show_value);
        let message = format!("{e} has {shown} for {}, not the value expected", attribute.ident);
        Err(Error::new(Code::CasFailed, message)
            .with("entity", e)
            .with("attribute", &attribute.ident)
            .with("value", shown))
    }

    /// Own facts, references to it, and the same for its parts. What is not there needs no retraction.
    fn retract_entity(&mut self, form: &Edn) -> Result<()> {
        let Some(root) = self.existing(form)? else { return Ok(()) };
        let mut seen = FxHashSet::default();
        let mut todo = vec![root];
        while let Some(e) = todo.pop() {
            if !seen.insert(e) {
                continue;
            }
            for (a, value) in self.facts_of(e)? {
                let Some(attribute) = self.schema.attribute(a) else { continue };
                if let (true, Value::Ref(part)) = (attribute.component, &value) {
                    todo.push(*part);
                }
                if !is_composite(attribute) {
                    self.push(Subject::Id(e), attribute, Object::Value(value), false)?;
                }
            }
            for (a, owner, _) in self.db.referrers(e)? {
                let Some(attribute) = self.schema.attribute(a) else { continue };
                self.push(Subject::Id(owner), attribute, Object::Value(Value::Ref(e)), false)?;
            }
        }
        Ok(())
    }

    fn facts_of(&self, e: EntityId) -> Result<Vec<(AttrId, Value)>> {
        let mut facts = Vec::new();
        let mut batch = Batch::new(None);
        let mut scan = self.db.scan(&Range::entity(e), Columns::A.with(Columns::V));
        while scan.next(&mut batch)? {
            facts.extend((0..batch.rows).map(|row| (AttrId(batch.a[row]), batch.v.get(row).to_value())));
        }
        Ok(facts)
    }

    /// One entry of `:db/force-partition` (`force`) or `:db/match-partition`.
    pub(super) fn place(&mut self, tempid: &Edn, place: &Edn, force: bool) -> Result<()> {
        let Subject::Temp(temp) = self.entity(tempid)? else { return Ok(()) };
        let affinity = if force {
            Affinity::Partition(self.partition(place)?)
        } else {
            Affinity::Like(self.entity(place)?)
        };
        self.out.temps.wish(temp, affinity);
        Ok(())
    }

    /// A partition is named by its entity, or an implicit one by its number.
    fn partition(&self, form: &Edn) -> Result<Partition> {
        if let Node::Long(n) = form.node
            && (i64::from(Partition::IMPLICIT.0)..1 << 20).contains(&n)
        {
            return Ok(Partition(n as u32));
        }
        let e = self.existing(form)?.ok_or_else(|| not_found(form))?;
        let installed =
            self.db.holds(bootstrap::PART_DB, attr::INSTALL_PARTITION, &Value::Ref(e).as_ref())?;
        match bootstrap::partition_of_element(e) {
            Some(Partition::TX) | None => Err(no_partition(form)),
            Some(partition) if installed.is_some() => Ok(partition),
            Some(_) => Err(no_partition(form)),
        }
    }
}

fn is_composite(attribute: &Attribute) -> bool {
    matches!(attribute.tuple, Some(TupleKind::Composite(_)))
}

fn no_partition(form: &Edn) -> Error {
    Error::new(Code::NotAnEntity, format!("{} names no partition for new entities", show(form))).at(form.span)
}

pub(super) fn no_function(operation: &Edn) -> Error {
    Error::new(Code::NotADataFunction, format!("{} is no transaction function", show(operation)))
        .at(operation.span)
}
