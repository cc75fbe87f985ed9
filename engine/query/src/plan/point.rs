//! Queries about one entity: found by its id or a unique value, and followed from entity to value. However many datoms
//! there are, there is one way to run them, so nothing is counted and one plan serves for good.

use annals_db::Unique;

use super::logic::{Attr, DataPattern, Logic, Node};
use super::vars::VarSet;

/// True when every pattern of `logic` is reached from a fixed entity or a fixed unique value.
pub(crate) fn is_point(logic: &Logic) -> bool {
    let mut known: VarSet = logic.fixed.iter().map(|(var, _)| *var).collect();
    let mut left: Vec<&Node> = logic.main.iter().collect();
    loop {
        let before = left.len();
        left.retain(|node| {
            let reached = is_reached(node, &known);
            if reached {
                known.join(&node.vars());
            }
            !reached
        });
        if left.is_empty() || left.len() == before {
            return left.is_empty();
        }
    }
}

fn is_reached(node: &Node, known: &VarSet) -> bool {
    match node {
        Node::Data(pattern) => has_entity(pattern, known),
        Node::Filter(_) | Node::Bind(..) => known.covers(&node.needs()),
        Node::Same(x, y) => known.has(*x) || known.has(*y),
        _ => false,
    }
}

fn has_entity(pattern: &DataPattern, known: &VarSet) -> bool {
    let Attr::Known(attribute) = &pattern.a else { return false };
    let unique = matches!(attribute.unique, Some(Unique::Identity | Unique::Value));
    pattern.e.is_some_and(|e| known.has(e)) || (unique && pattern.v.is_some_and(|v| known.has(v)))
}
