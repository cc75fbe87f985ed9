//! Recursion: the strongly connected components of rules, callees first, and that none recurses through a not.

use annals_edn::{Code, Error};

use crate::ast::{Clause, Query, RuleCall};

/// Sets [`crate::ast::Rule::component`] and [`crate::ast::Rule::recursive`].
pub(super) fn find(query: &mut Query) -> Result<(), Error> {
    let callees: Vec<Vec<usize>> = query
        .rules
        .iter()
        .map(|rule| {
            let mut callees = Vec::new();
            for branch in &rule.branches {
                calls(&branch.clauses, false, &mut |call, _| callees.push(call.rule));
            }
            callees
        })
        .collect();
    let components = components(&callees);
    for (at, rule) in query.rules.iter_mut().enumerate() {
        rule.component = components[at];
        let same = |&callee: &usize| components[callee] == components[at];
        rule.recursive = callees[at].iter().any(same);
    }
    negation(query, &components)
}

/// Calls `visit` for every call of a rule, with whether it stands in a not.
fn calls<'a>(clauses: &'a [Clause], negated: bool, visit: &mut impl FnMut(&'a RuleCall, bool)) {
    for clause in clauses {
        match clause {
            Clause::Rule(call) => visit(call, negated),
            Clause::Not(not) => calls(&not.clauses, true, visit),
            Clause::Or(or) => or.branches.iter().for_each(|branch| calls(branch, negated, visit)),
            _ => {}
        }
    }
}

fn negation(query: &Query, components: &[usize]) -> Result<(), Error> {
    for (at, rule) in query.rules.iter().enumerate() {
        let mut through_not = None;
        for branch in &rule.branches {
            calls(&branch.clauses, false, &mut |call, negated| {
                if negated && components[call.rule] == components[at] {
                    through_not.get_or_insert(call);
                }
            });
        }
        if let Some(call) = through_not {
            let message = format!("the rule {} depends on its own absence, through {}", rule.name, call.name);
            return Err(Error::new(Code::Unstratifiable, message)
                .at(call.at.0)
                .hint("a rule may not call itself inside not"));
        }
    }
    Ok(())
}

/// Tarjan's algorithm without recursion: a number a node, equal in one component, callees before callers.
fn components(callees: &[Vec<usize>]) -> Vec<usize> {
    const NONE: usize = usize::MAX;
    let n = callees.len();
    let (mut index, mut low, mut component) = (vec![NONE; n], vec![0; n], vec![NONE; n]);
    let (mut open, mut next, mut done) = (Vec::new(), 0, 0);
    for start in 0..n {
        if index[start] != NONE {
            continue;
        }
        let mut path = vec![(start, 0)];
        while let Some((node, edge)) = path.pop() {
            if edge == 0 {
                (index[node], low[node]) = (next, next);
                next += 1;
                open.push(node);
            } else {
                // A callee whose component is finished must not lower anything.
                let callee = callees[node][edge - 1];
                if component[callee] == NONE {
                    low[node] = low[node].min(low[callee]);
                }
            }
            if let Some(&callee) = callees[node].get(edge) {
                path.push((node, edge + 1));
                match (index[callee], component[callee]) {
                    (NONE, _) => path.push((callee, 0)),
                    (_, NONE) => low[node] = low[node].min(index[callee]),
                    _ => {}
                }
                continue;
            }
            if low[node] == index[node] {
                while let Some(member) = open.pop() {
                    component[member] = done;
                    if member == node {
                        break;
                    }
                }
                done += 1;
            }
        }
    }
    component
}

#[cfg(test)]
mod tests {
    use super::components;

    #[test]
    fn a_component_has_one_number_and_follows_its_callees() {
        // 0 <-> 1 -> 2, 3 -> 3, 4 -> 0 and 3, 5 alone
        let found = components(&[vec![1], vec![0, 2], vec![], vec![3], vec![0, 3], vec![]]);
        assert_eq!(found[0], found[1]);
        assert!(found[2] < found[0] && found[0] < found[4] && found[3] < found[4]);
        let mut distinct = found.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_finished_callee_leaves_its_caller_alone() {
        assert_eq!(components(&[vec![], vec![0], vec![0, 1]]), [0, 1, 2]);
    }
}
