//! What must be asked of a transaction beyond the types: predicates of attributes, and specs that are always on.

use std::sync::Arc;

use annals_edn::{Keyword, Symbol};

use crate::bootstrap::attr;
use crate::id::{AttrId, EntityId};
use crate::value::Value;

/// The checks of one schema, both lists ascending. Versions of a schema share them until one changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Checks {
    predicates: Arc<Vec<(AttrId, Symbol)>>,
    always: Arc<Vec<(Keyword, EntityId)>>,
}

impl Checks {
    /// Takes one fact; nothing happens unless it is about a check. False when its value makes no sense.
    pub(super) fn note(&mut self, e: EntityId, a: AttrId, v: &Value, added: bool) -> bool {
        match (a, v, e.as_attr()) {
            (attr::ATTR_PREDS, Value::Symbol(name), Some(of)) => {
                change(&mut self.predicates, (of, name.clone()), added);
            }
            (attr::ENTITY_ALWAYS, Value::Keyword(ident), _) => {
                change(&mut self.always, (ident.clone(), e), added);
            }
            (attr::ATTR_PREDS | attr::ENTITY_ALWAYS, ..) => return false,
            _ => {}
        }
        true
    }

    /// The predicates of an attribute. O(log predicates).
    pub(crate) fn predicates_of(&self, a: AttrId) -> impl Iterator<Item = &Symbol> {
        let start = self.predicates.partition_point(|(of, _)| *of < a);
        self.predicates[start..].iter().take_while(move |(of, _)| *of == a).map(|(_, name)| name)
    }

    /// Every attribute with a predicate of it.
    pub(crate) fn predicates(&self) -> &[(AttrId, Symbol)] {
        &self.predicates
    }

    /// Specs that are on of every entity which has that attribute.
    pub(crate) fn always(&self) -> &[(Keyword, EntityId)] {
        &self.always
    }

    /// As they were written.
    pub(crate) fn of(mut predicates: Vec<(AttrId, Symbol)>, mut always: Vec<(Keyword, EntityId)>) -> Checks {
        predicates.sort_unstable();
        always.sort_unstable();
        Checks { predicates: Arc::new(predicates), always: Arc::new(always) }
    }
}

fn change<X: Ord + Clone>(list: &mut Arc<Vec<X>>, item: X, added: bool) {
    let list = Arc::make_mut(list);
    match (list.binary_search(&item), added) {
        (Err(at), true) => list.insert(at, item),
        (Ok(at), false) => drop(list.remove(at)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_come_and_go() {
        let mut checks = Checks::default();
        let (one, two) = (AttrId(1001), AttrId(1002));
        let pred = |name: &str| Value::Symbol(Symbol::new(name));
        for (a, name) in [(two, "b"), (one, "b"), (two, "a"), (two, "a")] {
            assert!(checks.note(a.entity(), attr::ATTR_PREDS, &pred(name), true));
        }
        let names = |checks: &Checks, a| checks.predicates_of(a).map(Symbol::to_string).collect::<Vec<_>>();
        assert_eq!(names(&checks, two), ["a", "b"]);
        checks.note(two.entity(), attr::ATTR_PREDS, &pred("a"), false);
        assert_eq!((names(&checks, two), names(&checks, one)), (vec!["b".to_owned()], vec!["b".to_owned()]));
        assert!(!checks.note(two.entity(), attr::ATTR_PREDS, &Value::Long(1), true));
        assert!(checks.note(two.entity(), attr::DOC, &Value::Long(1), true), "nothing about checks");
    }
}
