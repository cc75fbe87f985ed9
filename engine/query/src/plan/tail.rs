//! Recursive rules whose calls of themselves come last: what such a call answers is what its caller answers.
//!
//! With one argument bound, `(r ?x ?y)` by `[?x :next ?t] (r ?t ?y)` asks for what every node on the way reaches; demand
//! alone computes the answers of each of them, which is quadratic along a chain. But the answers of a last call are those of
//! the first call too, so they are filed under it at once: each demand is kept beside the arguments that it goes back to,
//! and only branches without a call give answers. Linear along a chain, whatever rules call each other in turn.

use std::collections::VecDeque;

use crate::ast::VarId;

use super::demand::{Draft, absorb};
use super::logic::{Conj, Node, Origin, Program, TableNode};
use super::physical::Part;
use super::search::Search;
use super::vars::VarSet;

/// Arities of tables and what fills them: answers 0, the goal's demand 1, then demands beside what they go back to.
pub(super) struct TailForm {
    pub(super) arities: Vec<usize>,
    pub(super) drafts: Vec<Draft>,
}

/// A form under way.
struct Tables {
    form: TailForm,
    known: Vec<(usize, Vec<bool>)>,
    open: VecDeque<usize>,
}

/// The first of the tables of demands.
const FIRST: usize = 2;

impl Tables {
    /// The table of demands of a rule with these arguments bound, under `seeds` arguments of the goal.
    fn of(&mut self, pred: usize, mask: &[bool], seeds: usize) -> usize {
        let is_it = |(known, bound): &(usize, Vec<bool>)| *known == pred && bound == mask;
        if let Some(at) = self.known.iter().position(is_it) {
            return FIRST + at;
        }
        self.form.arities.push(seeds + mask.iter().filter(|bound| **bound).count());
        self.open.push_back(self.known.len());
        self.known.push((pred, mask.to_vec()));
        FIRST + self.known.len() - 1
    }
}

impl Search<'_, '_> {
    /// The form for a call of rule number `goal` with these arguments bound; `None` where some call is not last.
    pub(super) fn tail_form(&mut self, program: &Program, goal: usize, bound: &[bool]) -> Option<TailForm> {
        let seeds: Vec<VarId> = bound.iter().filter(|bound| **bound).map(|_| self.fresh()).collect();
        if seeds.is_empty() {
            return None;
        }
        let form = TailForm { arities: vec![bound.len(), seeds.len()], drafts: Vec::new() };
        let mut tables = Tables { form, known: Vec::new(), open: VecDeque::new() };
        let first = tables.of(goal, bound, seeds.len());
        let head = seeds.iter().chain(&seeds).copied().collect();
        tables.form.drafts.push(Draft { table: first, head, body: vec![read(1, seeds.clone())] });
        while let Some(next) = tables.open.pop_front() {
            let (pred, mask) = tables.known[next].clone();
            for (head, body) in &program.preds[pred].branches {
                let demand = FIRST + next;
                let draft = self.tail_branch(&mut tables, (head, body), &mask, bound, &seeds, demand)?;
                tables.form.drafts.push(draft);
            }
        }
        Some(tables.form)
    }

    fn tail_branch(
        &self,
        tables: &mut Tables,
        (head, body): (&[VarId], &Conj),
        mask: &[bool],
        goal: &[bool],
        seeds: &[VarId],
        demand: usize,
    ) -> Option<Draft> {
        let (keys, free) = split(head, mask);
        let args = seeds.iter().chain(&keys).copied().collect();
        let mut done = vec![read(demand, args)];
        let is_call = |node: &&Node| matches!(node, Node::Table(_));
        let mut calls = body.iter().filter(is_call);
        let Some(Node::Table(call)) = calls.next() else {
            // Answers of the goal: its bound arguments as they were asked for, the others as found here.
            let (mut asked, mut found) = (seeds.iter(), free.iter());
            let column = |bound: &bool| if *bound { asked.next() } else { found.next() }.copied();
            let head = goal.iter().map(column).collect::<Option<Vec<VarId>>>()?;
            done.extend(body.iter().cloned());
            return Some(Draft { table: 0, head, body: done });
        };
        if calls.next().is_some() {
            return None;
        }
        let mut known: VarSet = keys.iter().copied().collect();
        known.join(&self.fixed);
        let mut left: Vec<&Node> = body.iter().filter(|node| !is_call(node)).collect();
        absorb(&mut left, &mut known, &mut done, false);
        let bound: Vec<bool> = call.args.iter().map(|arg| known.has(*arg)).collect();
        let (asked, passed) = split(&call.args, &bound);
        if !left.is_empty() || passed != free || asked.is_empty() {
            return None;
        }
        let table = tables.of(call.pred, &bound, seeds.len());
        let head = seeds.iter().chain(&asked).copied().collect();
        Some(Draft { table, head, body: done })
    }
}

/// Those that are bound, and the others.
fn split(args: &[VarId], mask: &[bool]) -> (Vec<VarId>, Vec<VarId>) {
    let (bound, free): (Vec<_>, Vec<_>) = args.iter().zip(mask).partition(|(_, bound)| **bound);
    let vars = |pairs: Vec<(&VarId, &bool)>| pairs.into_iter().map(|(var, _)| *var).collect();
    (vars(bound), vars(free))
}

fn read(table: usize, args: Vec<VarId>) -> Node {
    Node::Table(TableNode { pred: table, part: Part::Whole, args, origin: Origin::NONE })
}
