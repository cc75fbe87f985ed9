//! Entity maps: `{:db/id e, :attribute value, :attribute [value …], :attribute {…}, :_reverse e}`.

use annals_edn::{Code, Edn, Error, Node};

use super::Expander;
use super::place::{key_ident, reversed};
use crate::Result;
use crate::id::EntityId;
use crate::identify::show;
use crate::schema::{Attribute, Cardinality, Unique};
use crate::tx::op::{Object, Subject};
use crate::tx::paths::Step;
use crate::tx::refusal::cycle;
use crate::tx::temp::Affinity;
use crate::value::Value;

impl<'a> Expander<'a> {
    /// Expands one map and answers whom it is about.
    pub(super) fn map(&mut self, entries: &[(Edn, Edn)]) -> Result<Subject> {
        self.deeper()?;
        let subject = match identifier(entries) {
            // A map that says nothing of its entity need not name one that can be written.
            Some(Edn { node: Node::Long(id @ 0..), .. }) if entries.len() == 1 && self.nesting == 1 => {
                Subject::Id(EntityId(id.unsigned_abs()))
            }
            Some(form) => self.entity(form)?,
            None => Subject::Temp(self.out.temps.anonymous()),
        };
        for (key, value) in entries {
            if !is_key(key, "db/id") {
                self.entry(subject, key, value)?;
            }
        }
        self.nesting -= 1;
        Ok(subject)
    }

    fn entry(&mut self, subject: Subject, key: &Edn, value: &Edn) -> Result<()> {
        if let Some(done) = self.directive(key, value) {
            return done;
        }
        let turned = match &key.node {
            Node::Keyword(ident) if !ident.as_str().contains('_') => None,
            _ => key_ident(key).and_then(|ident| reversed(&ident)),
        };
        match turned {
            Some(ident) => {
                let attribute = self.attribute(&Edn { node: Node::Keyword(ident), span: key.span })?;
                self.reverse(subject, attribute, value)
            }
            None => {
                let attribute = self.attribute(key)?;
                let outer = self.about(attribute.id);
                self.forward(subject, attribute, value)?;
                self.back(outer);
                Ok(())
            }
        }
    }

    /// A list is several values where the attribute takes several, a set always.
    fn forward(&mut self, subject: Subject, attribute: &'a Attribute, value: &Edn) -> Result<()> {
        match &value.node {
            Node::Set(values) => self.several(subject, attribute, values),
            Node::Vector(values) | Node::List(values) if attribute.cardinality == Cardinality::Many => {
                self.several(subject, attribute, values)
            }
            _ => self.one(subject, attribute, value),
        }
    }

    fn several(&mut self, subject: Subject, attribute: &'a Attribute, values: &[Edn]) -> Result<()> {
        for (at, value) in (0u32..).zip(values) {
            let outer = self.enter(Step::Index(at));
            self.one(subject, attribute, value)?;
            self.back(outer);
        }
        Ok(())
    }

    fn one(&mut self, subject: Subject, attribute: &'a Attribute, value: &Edn) -> Result<()> {
        let object = match &value.node {
            Node::Map(entries) if attribute.is_ref() || attribute.value_type.is_none() => {
                self.nested(subject, attribute, value, entries)?
            }
            _ => self.object(attribute, value)?,
        };
        self.push(subject, attribute, object, true)
    }

    /// A nested map needs a reason to exist: it is a part, or it says which entity it is. Where values have no declared
    /// type any will do, and the value is the id of its entity.
    fn nested(
        &mut self,
        parent: Subject,
        attribute: &Attribute,
        form: &Edn,
        entries: &[(Edn, Edn)],
    ) -> Result<Object> {
        let named = identifier(entries).is_some();
        let free = attribute.value_type.is_none();
        if !attribute.component && !named && !free && !self.has_identity(entries) {
            let message = format!("the map under {} does not say which entity it is", attribute.ident);
            return Err(Error::new(Code::InvalidNestedEntity, message)
                .at(form.span)
                .with("attribute", &attribute.ident)
                .hint("give it a :db/id or a unique identity, or make the attribute a component"));
        }
        let outer = self.enter(Step::Map);
        let child = self.map(entries)?;
        self.back(outer);
        if let Subject::Temp(temp) = child
            && (attribute.component || !named)
        {
            self.out.temps.wish(temp, Affinity::Like(parent));
            if child == parent {
                return Err(cycle());
            }
        }
        Ok(child.into())
    }

    fn has_identity(&self, entries: &[(Edn, Edn)]) -> bool {
        entries.iter().any(|(key, _)| {
            key_ident(key)
                .and_then(|ident| self.schema.attribute_of(&ident))
                .is_some_and(|attribute| attribute.unique == Some(Unique::Identity))
        })
    }

    /// `:a/_b x` in the map of e is `[:db/add x :a/b e]`. One entity only; a list is read as a lookup ref.
    fn reverse(&mut self, subject: Subject, attribute: &'a Attribute, value: &Edn) -> Result<()> {
        if !attribute.is_ref() {
            let message = format!("{} is no reference, so it has no reverse", attribute.ident);
            return Err(Error::new(Code::WrongTypeForAttribute, message)
                .with("attribute", &attribute.ident)
                .at(value.span));
        }
        let outer = self.about(attribute.id);
        let owner = self.entity(value)?;
        let object = match subject {
            Subject::Id(e) => Object::Value(Value::Ref(e)),
            Subject::Temp(temp) => Object::Temp(temp),
        };
        self.push(owner, attribute, object, true)?;
        self.back(outer);
        Ok(())
    }

    /// `:db/force-partition` and `:db/match-partition`, which say where new entities go.
    fn directive(&mut self, key: &Edn, value: &Edn) -> Option<Result<()>> {
        let force = is_key(key, "db/force-partition");
        if !force && !is_key(key, "db/match-partition") {
            return None;
        }
        let Node::Map(entries) = &value.node else {
            let message = format!("{} takes a map of tempids, not {}", show(key), show(value));
            return Some(Err(Error::new(Code::NotTransactionData, message).at(value.span)));
        };
        Some(entries.iter().try_for_each(|(tempid, place)| self.place(tempid, place, force)))
    }
}

/// The value of `:db/id`, unless there is none or nil.
fn identifier(entries: &[(Edn, Edn)]) -> Option<&Edn> {
    let (_, id) = entries.iter().find(|(key, _)| is_key(key, "db/id"))?;
    (id.node != Node::Nil).then_some(id)
}

fn is_key(form: &Edn, name: &str) -> bool {
    match &form.node {
        Node::Keyword(ident) => ident.as_str() == name,
        Node::Str(text) => text.strip_prefix(':') == Some(name),
        _ => false,
    }
}
