//! A pattern laid out for a database: attributes looked up, sub-patterns numbered, recursion tied.

use std::sync::Arc;

use annals_db::{Attribute, Cardinality, Schema};
use annals_edn::Edn;

use super::pattern::{Pattern, Spec, Sub, Wildcard, Xform};

/// All levels of a pattern. Number 0 is the pattern itself.
pub(super) struct Layout {
    pub(super) levels: Vec<Level>,
}

/// One pattern or sub-pattern.
pub(super) struct Level {
    pub(super) slots: Vec<Slot>,
    /// the key of the id, if it is asked for
    pub(super) id: Option<Edn>,
    /// all attributes, with keys of text or keywords
    pub(super) wildcard: Option<Wildcard>,
    /// what an entity shows depends on the path to it: it recurs, or follows components
    pub(super) on_path: bool,
    /// nothing but the wildcard: what components are shown by
    pub(super) whole: bool,
}

/// One attribute of a level.
pub(super) struct Slot {
    /// `None`: the database knows no such attribute
    pub(super) attribute: Option<Arc<Attribute>>,
    pub(super) reverse: bool,
    pub(super) key: Edn,
    pub(super) limit: Option<i64>,
    pub(super) default: Option<Edn>,
    pub(super) xform: Option<Xform>,
    pub(super) child: Child,
}

/// What becomes of the entities that a slot refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Child {
    /// the values are no references
    Value,
    /// `{:db/id n}`
    Id,
    /// that level
    Level(usize),
    /// the slot's own level, once more, at most so often
    Recur(Option<u64>),
}

impl Level {
    /// A slot of it leads to the level itself.
    pub(super) fn recurs(&self) -> bool {
        self.slots.iter().any(|slot| matches!(slot.child, Child::Recur(_)))
    }
}

impl Slot {
    /// Shown as a vector.
    pub(super) fn is_many(&self) -> bool {
        self.attribute.as_ref().is_some_and(|attribute| match self.reverse {
            true => !attribute.component,
            false => attribute.cardinality == Cardinality::Many,
        })
    }

    /// How many values are shown at most.
    pub(super) fn limit(&self) -> usize {
        match self.limit {
            _ if !self.is_many() => usize::MAX,
            None => usize::MAX,
            Some(limit) => usize::try_from(limit).unwrap_or(0),
        }
    }
}

impl Layout {
    /// Lays `pattern` out.
    pub(super) fn new(pattern: &Pattern, schema: &Schema) -> Layout {
        let mut layout = Layout { levels: Vec::new() };
        layout.add(pattern, schema);
        layout
    }

    fn add(&mut self, pattern: &Pattern, schema: &Schema) -> usize {
        let number = self.levels.len();
        let (id, wildcard) = (pattern.id.clone(), pattern.wildcard);
        let (on_path, whole) = (wildcard.is_some(), wildcard.is_some() && pattern.specs.is_empty());
        self.levels.push(Level { slots: Vec::new(), id, wildcard, on_path, whole });
        for spec in &pattern.specs {
            let slot = self.slot(spec, wildcard, schema);
            self.levels[number].on_path |= matches!(slot.child, Child::Recur(_));
            self.levels[number].slots.push(slot);
        }
        if wildcard.is_some() && self.levels[number].id.is_none() {
            self.levels[number].id = Some(id_key(wildcard));
        }
        number
    }

    fn slot(&mut self, spec: &Spec, wildcard: Option<Wildcard>, schema: &Schema) -> Slot {
        // An attribute whose own name begins with an underscore is meant before the reverse of another.
        let forward = if spec.reverse { underscored(&spec.attr, schema) } else { None };
        let reverse = spec.reverse && forward.is_none();
        let attribute = forward.or_else(|| schema.attribute_of(&spec.attr).cloned());
        let is_ref = attribute.as_ref().is_some_and(|attribute| attribute.is_ref());
        let component = attribute.as_ref().is_some_and(|attribute| attribute.component);
        let child = match &spec.sub {
            Some(Sub::Pattern(pattern)) => Child::Level(self.add(pattern, schema)),
            Some(Sub::Recur(depth)) => Child::Recur(*depth),
            None if !is_ref => Child::Value,
            None if component && !reverse => Child::Level(self.everything(wildcard)),
            None => Child::Id,
        };
        Slot {
            attribute,
            reverse,
            key: spec.key.clone(),
            limit: spec.limit,
            default: spec.default.clone(),
            xform: spec.xform,
            child,
        }
    }

    /// The level that shows a component whole.
    pub(super) fn everything(&mut self, like: Option<Wildcard>) -> usize {
        let wildcard = Some(like.unwrap_or(Wildcard::Symbol));
        let whole = |level: &Level| level.whole && level.wildcard == wildcard;
        if let Some(known) = self.levels.iter().position(whole) {
            return known;
        }
        let id = Some(id_key(wildcard));
        self.levels.push(Level { slots: Vec::new(), id, wildcard, on_path: true, whole: true });
        self.levels.len() - 1
    }
}

/// The key of ids: `:db/id`, or its text.
pub(super) fn id_key(wildcard: Option<Wildcard>) -> Edn {
    match wildcard {
        Some(Wildcard::Text) => Edn::string(":db/id"),
        _ => Edn::keyword("db/id"),
    }
}

fn underscored(attr: &annals_edn::Keyword, schema: &Schema) -> Option<Arc<Attribute>> {
    let name = match attr.namespace() {
        Some(namespace) => format!("{namespace}/_{}", attr.name()),
        None => format!("_{}", attr.name()),
    };
    schema.attribute_of(&annals_edn::Keyword::new(name)).cloned()
}
