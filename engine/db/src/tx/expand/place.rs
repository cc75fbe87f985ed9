//! What a form means by its place: attribute, entity, or value of an attribute.

use std::sync::Arc;

use annals_edn::{Code, Edn, Error, Keyword, Node};

use super::Expander;
use crate::Result;
use crate::bootstrap::attr;
use crate::id::EntityId;
use crate::identify::{self, free_literal, ident_text, literal, show};
use crate::schema::Attribute;
use crate::tx::op::{Object, Slot, Subject};
use crate::tx::paths::Step;
use crate::value::{Value, ValueType};

impl<'a> Expander<'a> {
    /// The attribute position.
    pub(super) fn attribute(&mut self, form: &Edn) -> Result<&'a Attribute> {
        if let Node::Keyword(ident) = &form.node
            && let Some(attribute) = self.schema.attribute_of(ident)
        {
            return Ok(attribute);
        }
        if let Some(ident) = key_ident(form)
            && let Some(attribute) = self.mint.attribute(&ident).map_err(|error| error.at(form.span))?
        {
            return Ok(attribute);
        }
        let id = identify::attribute_named(self.db, form)?.id;
        Ok(self.schema.attribute(id).expect("just found in this schema"))
    }

    /// The entity position: explicit ids must have been handed out, lookup refs must find something.
    pub(super) fn entity(&mut self, form: &Edn) -> Result<Subject> {
        match &form.node {
            Node::Long(n) if *n >= 0 => {
                let e = explicit(*n, form)?;
                self.check_explicit(e).map_err(|error| error.at(form.span))?;
                Ok(Subject::Id(e))
            }
            Node::Nil => Err(Error::new(Code::NotAnEntity, "nil names no entity").at(form.span)),
            _ => self.named(form),
        }
    }

    /// The value position of a reference: any id passes.
    pub(super) fn reference(&mut self, form: &Edn) -> Result<Subject> {
        match &form.node {
            Node::Long(n) if *n >= 0 => explicit(*n, form).map(Subject::Id),
            _ => self.named(form),
        }
    }

    /// A tempid, an ident or a lookup ref.
    fn named(&mut self, form: &Edn) -> Result<Subject> {
        match &form.node {
            Node::Str(text) if !text.starts_with(':') => Ok(self.tempid(text)),
            Node::Long(n) => Ok(Subject::Temp(self.out.temps.numbered(*n))),
            _ => self.existing(form)?.map(Subject::Id).ok_or_else(|| not_found(form)),
        }
    }

    fn tempid(&mut self, name: &Arc<str>) -> Subject {
        if matches!(name.as_ref(), "datomic.tx" | "annals.tx") {
            self.out.temps.own(name);
            return Subject::Id(self.own_entity());
        }
        Subject::Temp(self.out.temps.named(name))
    }

    /// An entity of db-before, `None` when the ident or lookup ref finds none. Tempids are refused.
    pub(super) fn existing(&self, form: &Edn) -> Result<Option<EntityId>> {
        match &form.node {
            Node::Long(n) if *n < 0 => Err(no_tempid(form)),
            Node::Str(text) if !text.starts_with(':') => Err(no_tempid(form)),
            _ => identify::entid(self.db, form),
        }
    }

    /// The value position of `attribute`.
    pub(super) fn object(&mut self, attribute: &Attribute, form: &Edn) -> Result<Object> {
        let object = match (attribute.value_type, &form.node) {
            (Some(ValueType::String), Node::Map(_)) if attribute.id == attr::FN => {
                Ok(Object::Value(Value::String(form.to_string().into())))
            }
            (Some(ValueType::String), Node::Str(text)) => Ok(Object::Value(Value::String(text.clone()))),
            (_, Node::Nil) => Err(nil_value(attribute)),
            (Some(ValueType::Ref), _) => self.reference(form).map(Object::from),
            (Some(ValueType::Tuple), _) => self.tuple(attribute, form),
            (None, _) => free_literal(form).map(Object::Value).ok_or_else(|| wrong_type(attribute, form)),
            (Some(ty), _) => literal(ty, form).map(Object::Value).ok_or_else(|| wrong_type(attribute, form)),
        };
        let object = object.map_err(|error| error.at(form.span).with("attribute", &attribute.ident))?;
        if let Object::Value(value) = &object {
            let checked = self.context.limits.check_value(value);
            checked.map_err(|error| error.at(form.span).with("attribute", &attribute.ident))?;
        }
        Ok(object)
    }

    fn tuple(&mut self, attribute: &Attribute, form: &Edn) -> Result<Object> {
        let (Node::Vector(forms) | Node::List(forms)) = &form.node else {
            return Err(bad_tuple(attribute, form));
        };
        let types = identify::slot_types(self.db, attribute, forms.len())
            .ok_or_else(|| bad_tuple(attribute, form))?;
        let mut slots: Vec<Slot> = Vec::with_capacity(forms.len());
        for ((at, slot), ty) in (0u32..).zip(forms).zip(types) {
            let read = self.slot(attribute, ty, slot);
            if read.is_err() {
                // The error is told from here.
                self.enter(Step::Index(at));
            }
            slots.push(read?);
        }
        if slots.iter().any(|slot| matches!(slot, Slot::Temp(_))) {
            return Ok(Object::Tuple(slots.into()));
        }
        let values = slots.into_iter().map(|slot| if let Slot::Value(value) = slot { value } else { None });
        Ok(Object::Value(Value::Tuple(values.collect())))
    }

    /// A slot takes for a reference what a reference attribute takes: tempids, idents, lookup refs.
    fn slot(&mut self, attribute: &Attribute, ty: ValueType, form: &Edn) -> Result<Slot> {
        match (ty, &form.node) {
            (_, Node::Nil) => Ok(Slot::Value(None)),
            (ValueType::Ref, _) => Ok(match self.reference(form)? {
                Subject::Id(e) => Slot::Value(Some(Value::Ref(e))),
                Subject::Temp(temp) => Slot::Temp(temp),
            }),
            _ => {
                let value = literal(ty, form).ok_or_else(|| bad_tuple(attribute, form))?;
                self.context.limits.check_value(&value)?;
                Ok(Slot::Value(Some(value)))
            }
        }
    }
}

impl From<Subject> for Object {
    fn from(subject: Subject) -> Object {
        match subject {
            Subject::Id(e) => Object::Value(Value::Ref(e)),
            Subject::Temp(temp) => Object::Temp(temp),
        }
    }
}

fn explicit(n: i64, form: &Edn) -> Result<EntityId> {
    EntityId::from_long(n).ok_or_else(|| {
        Error::new(Code::InvalidEntityId, format!("{n} is beyond the greatest entity id")).at(form.span)
    })
}

pub(super) fn not_found(form: &Edn) -> Error {
    let hint = match &form.node {
        Node::Keyword(_) => {
            "idents are resolved before the transaction; give the entity a tempid to name it within"
        }
        Node::Vector(_) | Node::List(_) => "lookup refs find what was there before the transaction",
        _ => "an entity is named by id, ident, lookup ref or tempid",
    };
    Error::new(Code::NotAnEntity, format!("{} names no entity", show(form))).at(form.span).hint(hint)
}

fn no_tempid(form: &Edn) -> Error {
    let message = format!("{} is a tempid, but this operation needs an entity that is there", show(form));
    Error::new(Code::NotAKeyword, message).at(form.span)
}

fn nil_value(attribute: &Attribute) -> Error {
    Error::new(Code::NilValue, format!("nil is no value for {}", attribute.ident))
        .hint("to remove a value use [:db/retract e a] or [:db/retract e a v]")
}

fn wrong_type(attribute: &Attribute, form: &Edn) -> Error {
    if let Node::Tagged(tag, _) = &form.node
        && !matches!(tag.as_str(), "float" | "uri" | "bytes")
    {
        return Error::new(Code::EdnUnknownTag, format!("the tag #{tag} makes no value"))
            .with("value", show(form))
            .hint("values are tagged #inst, #uuid, #uri, #bytes or #float");
    }
    let expected = attribute.value_type.map_or("value of any type", ValueType::name);
    let message = format!("{} takes a {expected}, not {}", attribute.ident, show(form));
    let code = match (attribute.value_type, &form.node) {
        (Some(ValueType::Keyword), Node::Str(_)) => Code::NotAKeyword,
        _ => Code::WrongTypeForAttribute,
    };
    Error::new(code, message).with("value", show(form)).with("expected", expected)
}

fn bad_tuple(attribute: &Attribute, form: &Edn) -> Error {
    let message = format!("{} is no tuple for {}", show(form), attribute.ident);
    Error::new(Code::InvalidTupleValue, message)
        .at(form.span)
        .with("attribute", &attribute.ident)
        .with("value", show(form))
        .hint("a tuple has 2 to 8 slots of the attribute's types; nil is an empty slot")
}

/// The attribute that a reverse key `:a/_b` turns round, if it is one.
pub(super) fn reversed(ident: &Keyword) -> Option<Keyword> {
    let name = ident.name().strip_prefix('_')?;
    Some(match ident.namespace() {
        Some(namespace) => Keyword::new(format!("{namespace}/{name}")),
        None => Keyword::new(name),
    })
}

/// The ident of a key given as keyword or as text with a colon.
pub(super) fn key_ident(form: &Edn) -> Option<Keyword> {
    match &form.node {
        Node::Keyword(ident) => Some(ident.clone()),
        Node::Str(text) => ident_text(text),
        _ => None,
    }
}
