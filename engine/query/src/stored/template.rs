//! Forms with variables in them.

use annals_db::Fuel;
use annals_edn::{Edn, Error, Node, Span, Symbol};
use rustc_hash::FxHashMap;

use crate::parse::variable;

/// What variables of a template stand for.
#[derive(Default)]
pub(super) struct Bindings {
    /// the form, and of how many nodes it is
    values: FxHashMap<Symbol, (Edn, u64)>,
}

impl Bindings {
    pub(super) fn set(&mut self, name: &Symbol, value: Edn) {
        let nodes = count(&value);
        self.values.insert(name.clone(), (value, nodes));
    }

    /// `template` with every variable replaced. A unit of fuel for every node made.
    pub(super) fn fill(&self, template: &Edn, fuel: &Fuel) -> Result<Edn, Error> {
        if let Some((value, nodes)) = variable(template).and_then(|name| self.values.get(name)) {
            fuel.burn(*nodes)?;
            return Ok(value.clone());
        }
        fuel.burn(1)?;
        let all = |items: &[Edn]| items.iter().map(|item| self.fill(item, fuel)).collect::<Result<_, _>>();
        Ok(Edn::new(match &template.node {
            Node::List(items) => Node::List(all(items)?),
            Node::Vector(items) => Node::Vector(all(items)?),
            Node::Set(items) => Node::Set(all(items)?),
            Node::Map(entries) => {
                let entry = |(key, value): &(Edn, Edn)| Ok((self.fill(key, fuel)?, self.fill(value, fuel)?));
                Node::Map(entries.iter().map(entry).collect::<Result<_, Error>>()?)
            }
            Node::Tagged(tag, inner) => Node::Tagged(tag.clone(), Box::new(self.fill(inner, fuel)?)),
            other => other.clone(),
        }))
    }
}

/// Adds the variables of `form` to `found`, each once, in order of appearance.
pub(super) fn variables(form: &Edn, found: &mut Vec<Symbol>) {
    if let Some(name) = variable(form)
        && !found.contains(name)
    {
        found.push(name.clone());
    }
    children(form, &mut |child| variables(child, found));
}

/// The form without places in a text.
pub(super) fn placeless(form: &Edn) -> Edn {
    let all = |items: &[Edn]| items.iter().map(placeless).collect();
    let node = match &form.node {
        Node::List(items) => Node::List(all(items)),
        Node::Vector(items) => Node::Vector(all(items)),
        Node::Set(items) => Node::Set(all(items)),
        Node::Map(entries) => Node::Map(entries.iter().map(|(k, v)| (placeless(k), placeless(v))).collect()),
        Node::Tagged(tag, inner) => Node::Tagged(tag.clone(), Box::new(placeless(inner))),
        other => other.clone(),
    };
    Edn { node, span: Span::NONE }
}

fn count(form: &Edn) -> u64 {
    let mut nodes = 1;
    children(form, &mut |child| nodes += count(child));
    nodes
}

fn children(form: &Edn, visit: &mut dyn FnMut(&Edn)) {
    match &form.node {
        Node::List(items) | Node::Vector(items) | Node::Set(items) => items.iter().for_each(visit),
        Node::Map(entries) => {
            for (key, value) in entries {
                visit(key);
                visit(value);
            }
        }
        Node::Tagged(_, inner) => visit(inner),
        _ => {}
    }
}
