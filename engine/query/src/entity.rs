//! An entity as a map that is read as it is asked: attribute by attribute, along references in both directions.
//!
//! References to entities with an ident are shown as the ident. Cardinality many and reverse references make sets, the
//! reverse of a component attribute a single entity. Two are equal when they are one entity of one value.

use std::sync::Arc;

use annals_db::{Attribute, Batch, Cardinality, Columns, Db, EntityId, Keyword, Range, Value};
use annals_edn::{Code, Edn, Error, Node};

use crate::datum::value_to_edn;
use crate::pull::MAX_DEPTH;

/// An attribute and its values.
type Held = (Arc<Attribute>, Vec<Value>);

/// One entity of a database value. Cheap to clone; reads nothing until it is asked.
#[derive(Clone)]
pub struct Entity {
    db: Db,
    id: EntityId,
}

/// What an entity has under a key.
#[derive(Clone, PartialEq)]
pub enum Navigated {
    /// a value that is no reference
    Value(Value),
    /// a reference to an entity with this ident
    Ident(Keyword),
    /// a reference to any other
    Entity(Entity),
    /// cardinality many, and reverse references, in index order
    Set(Vec<Navigated>),
}

impl PartialEq for Entity {
    fn eq(&self, other: &Entity) -> bool {
        let value = |entity: &Entity| (entity.db.incarnation(), entity.db.basis(), entity.db.view());
        self.id == other.id
            && value(self) == value(other)
            && self.db.filter_names().eq(other.db.filter_names())
    }
}

impl Entity {
    /// The entity that an id, ident or lookup ref identifies; `None` where it identifies none. An id always does.
    ///
    /// # Errors
    /// `INVALID_VIEW` for a history, those of identifiers.
    pub fn find(db: &Db, identifier: &Edn) -> Result<Option<Entity>, Error> {
        if db.view().history {
            return Err(Error::new(Code::InvalidView, "a history has no entities")
                .hint("take the entity of the database or of an as-of view"));
        }
        let id = crate::pull::identify(db, identifier).map_err(|error| error.at(identifier.span))?;
        Ok(id.map(|id| Entity { db: db.clone(), id }))
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> EntityId {
        self.id
    }

    /// What it is read from.
    #[must_use]
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// What it has under an attribute, or under `:ns/_name` what refers to it; `None` without any, and for an unknown
    /// attribute. One look-up.
    ///
    /// # Errors
    /// Only of the store, and of filters.
    pub fn get(&self, key: &Keyword) -> Result<Option<Navigated>, Error> {
        if let Some(attribute) = self.db.schema().attribute_of(key) {
            return self.forward(&attribute.clone());
        }
        let Some(name) = key.name().strip_prefix('_') else { return Ok(None) };
        let forward = match key.namespace() {
            Some(namespace) => Keyword::new(format!("{namespace}/{name}")),
            None => Keyword::new(name),
        };
        match self.db.schema().attribute_of(&forward) {
            Some(attribute) if attribute.is_ref() => self.backward(&attribute.clone()),
            _ => Ok(None),
        }
    }

    /// The attributes that it has, in index order.
    ///
    /// # Errors
    /// As [`Entity::get`].
    pub fn keys(&self) -> Result<Vec<Keyword>, Error> {
        Ok(self.read()?.into_iter().map(|(attribute, _)| attribute.ident.clone()).collect())
    }

    /// Everything about it: a map of its attributes and `:db/id`, with components in whole, sets for cardinality many,
    /// and `{:db/id n}` or the ident for other entities. O(datoms of it and its components).
    ///
    /// # Errors
    /// `PULL_TOO_DEEP` where components nest deeper than pulls do; as [`Entity::get`].
    pub fn touch(&self) -> Result<Edn, Error> {
        let mut nodes = vec![Touched { entity: self.clone(), parent: None, depth: 0, held: Vec::new() }];
        let mut at = 0;
        while at < nodes.len() {
            for (attribute, values) in nodes[at].entity.read()? {
                let mut shown = Vec::with_capacity(values.len());
                for value in values {
                    shown.push(match self.navigate(value) {
                        Navigated::Entity(child) if attribute.component && !on_path(&nodes, at, child.id) => {
                            nodes.push(Touched::child(child, at, nodes[at].depth + 1)?);
                            Shown::Node(nodes.len() - 1)
                        }
                        other => Shown::Form(other.to_edn()),
                    });
                }
                nodes[at].held.push((attribute, shown));
            }
            at += 1;
        }
        Ok(assembled(nodes))
    }

    fn forward(&self, attribute: &Attribute) -> Result<Option<Navigated>, Error> {
        let values = self.db.values(self.id, attribute.id)?;
        let mut shown: Vec<Navigated> = values.into_iter().map(|(value, _)| self.navigate(value)).collect();
        Ok(match (attribute.cardinality, shown.len()) {
            (_, 0) => None,
            (Cardinality::Many, _) => Some(Navigated::Set(shown)),
            (Cardinality::One, _) => shown.pop(),
        })
    }

    fn backward(&self, attribute: &Attribute) -> Result<Option<Navigated>, Error> {
        let keys = annals_db::Column::Ref(vec![self.id.0]);
        let found = self.db.probe_values(attribute.id, &keys, false)?.e;
        let mut shown = found.into_iter().map(|e| self.navigate(Value::Ref(EntityId(e))));
        Ok(match attribute.component {
            true => shown.next(),
            false => Some(Navigated::Set(shown.collect())).filter(|set| *set != Navigated::Set(Vec::new())),
        })
    }

    fn navigate(&self, value: Value) -> Navigated {
        match value {
            Value::Ref(id) => match self.db.schema().ident(id) {
                Some(ident) => Navigated::Ident(ident.clone()),
                None => Navigated::Entity(Entity { db: self.db.clone(), id }),
            },
            value => Navigated::Value(value),
        }
    }

    /// Its attributes with their values, in index order.
    fn read(&self) -> Result<Vec<Held>, Error> {
        let mut found: Vec<Held> = Vec::new();
        let mut scan = self.db.scan(&Range::entity(self.id), Columns::A.with(Columns::V));
        let mut batch = Batch::new(None);
        while scan.next(&mut batch)? {
            for row in 0..batch.rows {
                let a = annals_db::AttrId(batch.a[row]);
                let Some(attribute) = self.db.schema().attribute(a) else { continue };
                if found.last().is_none_or(|(last, _)| last.id != a) {
                    found.push((attribute.clone(), Vec::new()));
                }
                if let Some((_, values)) = found.last_mut() {
                    values.push(batch.v.get(row).to_value());
                }
            }
        }
        Ok(found)
    }
}

impl Navigated {
    /// As data: entities as `{:db/id n}`.
    #[must_use]
    pub fn to_edn(&self) -> Edn {
        match self {
            Navigated::Value(value) => value_to_edn(&value.as_ref()),
            Navigated::Ident(ident) => Edn::new(Node::Keyword(ident.clone())),
            Navigated::Entity(entity) => id_map(entity.id),
            Navigated::Set(items) => Edn::set(items.iter().map(Navigated::to_edn).collect()),
        }
    }
}

fn id_map(id: EntityId) -> Edn {
    Edn::map(vec![(Edn::keyword("db/id"), Edn::long(id.as_long()))])
}

/// An entity that is touched, with what was read of it.
struct Touched {
    entity: Entity,
    parent: Option<usize>,
    depth: u32,
    held: Vec<(Arc<Attribute>, Vec<Shown>)>,
}

enum Shown {
    Form(Edn),
    /// the component of this number
    Node(usize),
}

impl Touched {
    fn child(entity: Entity, parent: usize, depth: u32) -> Result<Touched, Error> {
        match depth > MAX_DEPTH {
            false => Ok(Touched { entity, parent: Some(parent), depth, held: Vec::new() }),
            true => Err(Error::new(
                Code::PullTooDeep,
                format!("components nest deeper than {MAX_DEPTH} entities"),
            )
            .hint("pull with a pattern that names what is wanted")),
        }
    }
}

fn on_path(nodes: &[Touched], from: usize, id: EntityId) -> bool {
    let mut above = Some(from);
    while let Some(at) = above {
        if nodes[at].entity.id == id {
            return true;
        }
        above = nodes[at].parent;
    }
    false
}

/// The map of the first node; components come after whoever has them, so maps are made from the last on.
fn assembled(nodes: Vec<Touched>) -> Edn {
    let mut forms: Vec<Edn> = vec![Edn::nil(); nodes.len()];
    for (at, node) in nodes.into_iter().enumerate().rev() {
        let mut entries = vec![(Edn::keyword("db/id"), Edn::long(node.entity.id.as_long()))];
        for (attribute, shown) in node.held {
            let mut items: Vec<Edn> = shown
                .into_iter()
                .map(|shown| match shown {
                    Shown::Form(form) => form,
                    Shown::Node(number) => std::mem::replace(&mut forms[number], Edn::nil()),
                })
                .collect();
            let value = match attribute.cardinality {
                Cardinality::Many => Edn::set(items),
                Cardinality::One => items.pop().unwrap_or_else(Edn::nil),
            };
            entries.push((Edn::new(Node::Keyword(attribute.ident.clone())), value));
        }
        forms[at] = Edn::map(entries);
    }
    forms.into_iter().next().unwrap_or_else(Edn::nil)
}

/// For each of `identifiers` its entity: touched, or, where `keys` are given, a map of what it has under them. Nil where
/// nothing is identified.
///
/// # Errors
/// As [`Entity::find`] and [`Entity::touch`].
pub fn entities(db: &Db, identifiers: &[Edn], keys: &[Keyword]) -> Result<Vec<Edn>, Error> {
    let one = |identifier: &Edn| {
        let Some(entity) = Entity::find(db, identifier)? else { return Ok(Edn::nil()) };
        if keys.is_empty() {
            return entity.touch();
        }
        let mut entries = Vec::with_capacity(keys.len());
        for key in keys {
            let shown = match key.as_str() {
                "db/id" => Some(Edn::long(entity.id.as_long())),
                _ => entity.get(key)?.map(|found| found.to_edn()),
            };
            entries.extend(shown.map(|shown| (Edn::new(Node::Keyword(key.clone())), shown)));
        }
        Ok(Edn::map(entries))
    };
    identifiers.iter().map(one).collect()
}
