//! Equality and hashing of forms, total and blind to spans, so that any form can be a map key.
//!
//! Two forms are equal when they read as the same thing: doubles by their bits, decimals by digits and scale, `1` and
//! `1N` apart, lists and vectors apart, maps and sets in any order. (Equality of *values* in a database is another
//! relation and lives with them.) Comparing and hashing cost time linear in the forms' size for each level of nesting
//! of maps and sets.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::{Edn, Node};

impl PartialEq for Edn {
    fn eq(&self, other: &Self) -> bool {
        self.node == other.node
    }
}

impl Eq for Edn {}

impl Hash for Edn {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.node.hash(state);
    }
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Node::Nil, Node::Nil) => true,
            (Node::Bool(a), Node::Bool(b)) => a == b,
            (Node::Char(a), Node::Char(b)) => a == b,
            (Node::Long(a), Node::Long(b)) | (Node::Instant(a), Node::Instant(b)) => a == b,
            (Node::BigInt(a), Node::BigInt(b)) => a == b,
            (Node::Double(a), Node::Double(b)) => a.to_bits() == b.to_bits(),
            (Node::BigDec(a), Node::BigDec(b)) => a.as_bigint_and_scale() == b.as_bigint_and_scale(),
            (Node::Str(a), Node::Str(b)) => a == b,
            (Node::Keyword(a), Node::Keyword(b)) => a == b,
            (Node::Symbol(a), Node::Symbol(b)) => a == b,
            (Node::Uuid(a), Node::Uuid(b)) => a == b,
            (Node::List(a), Node::List(b)) | (Node::Vector(a), Node::Vector(b)) => a == b,
            (Node::Set(a), Node::Set(b)) => same_set(a, b),
            (Node::Map(a), Node::Map(b)) => same_map(a, b),
            (Node::Tagged(a, x), Node::Tagged(b, y)) => a == b && x == y,
            _ => false,
        }
    }
}

impl Eq for Node {}

fn same_set(a: &[Edn], b: &[Edn]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let members: HashSet<&Edn> = b.iter().collect();
    a.iter().all(|item| members.contains(item))
}

fn same_map(a: &[(Edn, Edn)], b: &[(Edn, Edn)]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let entries: HashMap<&Edn, &Edn> = b.iter().map(|(key, value)| (key, value)).collect();
    a.iter().all(|(key, value)| entries.get(key).is_some_and(|other| *other == value))
}

impl Hash for Node {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Node::Nil => {}
            Node::Bool(value) => value.hash(state),
            Node::Char(value) => value.hash(state),
            Node::Long(value) | Node::Instant(value) => value.hash(state),
            Node::BigInt(value) => value.hash(state),
            Node::Double(value) => value.to_bits().hash(state),
            Node::BigDec(value) => value.as_bigint_and_scale().hash(state),
            Node::Str(value) => value.hash(state),
            Node::Keyword(value) => value.hash(state),
            Node::Symbol(value) => value.hash(state),
            Node::Uuid(value) => value.hash(state),
            Node::List(items) | Node::Vector(items) => items.hash(state),
            Node::Set(items) => state.write_u64(sum_of_hashes(items)),
            Node::Map(entries) => state.write_u64(sum_of_hashes(entries)),
            Node::Tagged(tag, form) => (tag, form).hash(state),
        }
    }
}

/// A hash that does not depend on the order.
fn sum_of_hashes(items: &[impl Hash]) -> u64 {
    let one = |item| {
        let mut hasher = DefaultHasher::new();
        Hash::hash(item, &mut hasher);
        hasher.finish()
    };
    items.iter().map(one).fold(items.len() as u64, u64::wrapping_add)
}
