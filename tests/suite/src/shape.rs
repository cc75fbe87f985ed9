//! Answers made comparable: ids named, what has no order sorted, everything written in one canonical text.
//!
//! The same function is applied to what a system answered and to what a case expects, where names stand already.

use std::collections::HashSet;

use annals_edn::{Edn, Keyword, Node};

use crate::columns::{Query, Shape};
use crate::names::Scope;
use crate::system::{Attribute, Datom};

/// One text for all forms that are the same thing: maps and sets sorted, one NaN.
#[must_use]
pub fn canonical(form: &Edn) -> String {
    sorted(form).to_string()
}

fn sorted(form: &Edn) -> Edn {
    match &form.node {
        Node::List(items) | Node::Vector(items) => Edn::vector(items.iter().map(sorted).collect()),
        Node::Set(items) => {
            let mut items = in_text_order(items.iter().map(sorted).collect());
            // Two entities that are both `#annals/id "?"` are one to the reader.
            items.dedup_by(|x, y| x.to_string() == y.to_string());
            Edn::set(items)
        }
        Node::Map(entries) => {
            let mut entries: Vec<_> =
                entries.iter().map(|(key, value)| (sorted(key), sorted(value))).collect();
            entries.sort_by_cached_key(|(key, _)| key.to_string());
            Edn::map(entries)
        }
        Node::Tagged(tag, inner) => Edn::tagged(tag.as_str(), sorted(inner)),
        _ => form.clone(),
    }
}

/// The items in the order of their canonical texts: a multiset.
#[must_use]
pub fn in_text_order(mut items: Vec<Edn>) -> Vec<Edn> {
    items.sort_by_cached_key(canonical);
    items
}

/// Makes the result of a query comparable.
pub struct QueryShape<'a> {
    scope: &'a Scope<'a>,
    query: &'a Query,
    entities: HashSet<String>,
    ordered: bool,
}

impl<'a> QueryShape<'a> {
    /// For a query and its arguments as written.
    #[must_use]
    pub fn new(scope: &'a Scope<'a>, query: &'a Query, args: &[Edn], ordered: bool) -> Self {
        Self { scope, query, entities: query.entity_variables(scope, args), ordered }
    }

    /// The result with ids named, a vector where it is one of rows or values.
    #[must_use]
    pub fn apply(&self, result: &Edn) -> Edn {
        let elements = self.query.elements();
        match self.query.shape() {
            _ if result.is_nil() => Edn::nil(),
            Shape::Scalar => self.first_cell(&elements, result),
            Shape::Tuple => self.row(&elements, result),
            Shape::Collection => self.each(result, |item| self.first_cell(&elements, item)),
            Shape::Relation => self.each(result, |item| self.row(&elements, item)),
        }
    }

    fn each(&self, result: &Edn, shape: impl Fn(&Edn) -> Edn) -> Edn {
        let Some(items) = result.as_seq().or_else(|| result.as_set()) else { return result.clone() };
        let items: Vec<Edn> = items.iter().map(shape).collect();
        Edn::vector(if self.ordered { items } else { in_text_order(items) })
    }

    fn first_cell(&self, elements: &[&Edn], value: &Edn) -> Edn {
        elements.first().map_or_else(|| value.clone(), |element| self.cell(element, value))
    }

    fn row(&self, elements: &[&Edn], row: &Edn) -> Edn {
        if let Some(entries) = row.as_map() {
            let named = |(at, (key, value)): (usize, &(Edn, Edn))| {
                let element = self.element_of_key(elements, key).or(elements.get(at).copied());
                (key.clone(), element.map_or_else(|| value.clone(), |element| self.cell(element, value)))
            };
            return Edn::map(entries.iter().enumerate().map(named).collect());
        }
        let Some(cells) = row.as_seq() else { return row.clone() };
        Edn::vector(cells.iter().zip(elements).map(|(value, element)| self.cell(element, value)).collect())
    }

    /// The element that a return map shows under `key`.
    fn element_of_key<'e>(&self, elements: &[&'e Edn], key: &Edn) -> Option<&'e Edn> {
        let names = ["keys", "syms", "strs"].iter().find_map(|section| self.query.section(section))?;
        let text = |form: &Edn| match &form.node {
            Node::Keyword(keyword) => Some(keyword.as_str().to_owned()),
            Node::Symbol(symbol) => Some(symbol.as_str().to_owned()),
            Node::Str(text) => Some(text.to_string()),
            _ => None,
        };
        let at = names.iter().position(|name| text(name) == text(key))?;
        elements.get(at).copied()
    }

    fn cell(&self, element: &Edn, value: &Edn) -> Edn {
        let is_pull = element.as_list().and_then(<[Edn]>::first).and_then(Edn::as_symbol);
        if is_pull.is_some_and(|head| head.as_str() == "pull") {
            return pulled(self.scope, value);
        }
        let is_entity = element.as_symbol().is_some_and(|variable| self.entities.contains(variable.as_str()));
        match value.as_long().filter(|_| is_entity) {
            Some(eid) => self.scope.name(eid),
            None => self.scope.plain(value),
        }
    }
}

/// What a pull answered, with ids named and the values of cardinality many and reverse attributes sorted.
#[must_use]
pub fn pulled(scope: &Scope<'_>, form: &Edn) -> Edn {
    match (form.as_map(), form.as_seq()) {
        (Some(entries), _) => {
            let entry = |(key, value): &(Edn, Edn)| (key.clone(), pulled_value(scope, key, value));
            Edn::map(entries.iter().map(entry).collect())
        }
        (_, Some(items)) if items.iter().all(|item| item.as_map().is_some()) => {
            Edn::vector(items.iter().map(|item| pulled(scope, item)).collect())
        }
        _ => scope.plain(form),
    }
}

fn pulled_value(scope: &Scope<'_>, key: &Edn, value: &Edn) -> Edn {
    if key.as_keyword().is_some_and(|key| key.as_str() == "db/id") {
        return value.as_long().map_or_else(|| value.clone(), |eid| scope.name(eid));
    }
    let known = key.as_keyword().and_then(|key| AttributeOfKey::of(scope, key));
    let is_scalar = known.as_ref().is_some_and(|known| known.attribute.value_type != "ref");
    let one = |item: &Edn| match &known {
        Some(known) if is_scalar => typed_value(scope, &known.attribute, item),
        _ => pulled(scope, item),
    };
    match (value.as_seq(), &known) {
        (Some(items), Some(known)) if known.many => {
            Edn::vector(in_text_order(items.iter().map(one).collect()))
        }
        (Some(items), None) if items.iter().all(|item| item.as_map().is_some()) => {
            Edn::vector(in_text_order(items.iter().map(|item| pulled(scope, item)).collect()))
        }
        (items, Some(_)) if is_scalar && (items.is_some() || value.as_long().is_some()) => one(value),
        _ => pulled(scope, value),
    }
}

/// An entity as a map, with ids named.
#[must_use]
pub fn touched(scope: &Scope<'_>, form: &Edn) -> Edn {
    let entry = |(key, value): &(Edn, Edn)| {
        let known = key.as_keyword().and_then(|key| AttributeOfKey::of(scope, key));
        let scalar = known.filter(|known| known.attribute.value_type != "ref");
        let one = |value: &Edn| match &scalar {
            Some(known) => typed_value(scope, &known.attribute, value),
            None => touched(scope, value),
        };
        let shown = match (&value.node, key.as_keyword().is_some_and(|key| key.as_str() == "db/id")) {
            (Node::Long(eid), true) => scope.name(*eid),
            (Node::Set(items), _) => Edn::set(items.iter().map(one).collect()),
            _ => one(value),
        };
        (key.clone(), shown)
    };
    match &form.node {
        Node::Map(entries) => Edn::map(entries.iter().map(entry).collect()),
        Node::Set(items) => Edn::set(items.iter().map(|item| touched(scope, item)).collect()),
        _ => scope.plain(form),
    }
}

/// The attribute that a key of a pulled map names, forward or backward.
struct AttributeOfKey {
    attribute: Attribute,
    many: bool,
}

impl AttributeOfKey {
    fn of(scope: &Scope<'_>, key: &Keyword) -> Option<Self> {
        let namespace = key.namespace()?;
        let back = key.name().strip_prefix('_');
        let forward = Keyword::new(format!("{namespace}/{}", back.unwrap_or(key.name())));
        let attribute = scope.database.attribute(scope.source, &forward).ok()??;
        Some(Self { many: attribute.many || back.is_some(), attribute })
    }
}

/// A value with ids named according to its attribute's type.
fn typed_value(scope: &Scope<'_>, attribute: &Attribute, value: &Edn) -> Edn {
    match (attribute.value_type.as_str(), value.as_long(), value.as_seq()) {
        ("ref", Some(eid), _) => scope.name(eid),
        ("long", ..) => value.clone(),
        ("tuple", _, Some(slots)) => {
            let slot = |(at, slot): (usize, &Edn)| {
                let ty = attribute.slots.get(at).or(attribute.slots.first());
                match (ty.map(String::as_str), slot.as_long()) {
                    (Some("ref"), Some(eid)) => scope.name(eid),
                    (Some("long"), Some(_)) => slot.clone(),
                    _ => scope.plain(slot),
                }
            };
            Edn::vector(slots.iter().enumerate().map(slot).collect())
        }
        _ => scope.plain(value),
    }
}

/// `[e a v tx added]` with ids named.
#[must_use]
pub fn datom_row(scope: &Scope<'_>, datom: &Datom) -> Edn {
    let Datom { e, a, v, tx, added } = datom;
    let value = match scope.database.attribute(scope.source, a) {
        Ok(Some(attribute)) => typed_value(scope, &attribute, v),
        _ => scope.plain(v),
    };
    let attribute = Edn::new(Node::Keyword(a.clone()));
    Edn::vector(vec![scope.name(*e), attribute, value, scope.name(*tx), Edn::bool(*added)])
}

/// The datoms of a transaction as a set of `[e a v added]`, without the transaction's own instant.
#[must_use]
pub fn tx_datoms(scope: &Scope<'_>, datoms: &[Datom]) -> Edn {
    let is_own_instant = |datom: &&Datom| datom.e == datom.tx && datom.a.as_str() == "db/txInstant";
    let row = |datom: &Datom| {
        let mut row = datom_row(scope, datom);
        if let Node::Vector(cells) = &mut row.node {
            cells.remove(3);
        }
        row
    };
    Edn::set(datoms.iter().filter(|datom| !is_own_instant(datom)).map(row).collect())
}
