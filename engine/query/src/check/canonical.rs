//! The order of the result: a function of the query alone.

use rustc_hash::FxHashSet;

use crate::ast::{Clause, FindElem, OrderKey, Query, Term, VarId};

/// The basis variables in the order that rows are sorted by: those of find columns that stand for entities or
/// transactions of a database pattern or under a pull, the other find columns, those of `:with`.
pub(super) fn order(query: &Query, databases: &[bool]) -> Vec<OrderKey> {
    let mut entities = FxHashSet::default();
    super::calls::visit(&query.clauses, &mut |clause| {
        if let Clause::Pattern(pattern) = clause
            && databases.get(pattern.source.0 as usize) == Some(&true)
        {
            entities.extend([pattern.e(), pattern.tx()].into_iter().filter_map(var));
        }
        Ok(())
    })
    .expect("the visitor refuses nothing");
    for elem in &query.find.elements {
        if let FindElem::Pull { var, .. } = elem {
            entities.insert(*var);
        }
    }
    let basis = query.basis();
    let found: FxHashSet<VarId> = query.find.elements.iter().map(FindElem::var).collect();
    let class = |var: &VarId| match (found.contains(var), entities.contains(var)) {
        (true, true) => 0,
        (true, false) => 1,
        (false, _) => 2,
    };
    let mut keys: Vec<usize> = (0..basis.len()).collect();
    keys.sort_by_key(|&column| class(&basis[column]));
    keys.into_iter().map(|column| OrderKey { column, descending: false }).collect()
}

fn var(term: Term) -> Option<VarId> {
    match term {
        Term::Var(var) => Some(var),
        _ => None,
    }
}
