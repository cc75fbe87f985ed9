//! Recursive rules to tables: per rule and set of bound arguments one table of answers and one of demands.
//!
//! The demand transformation ("magic sets"): what a call binds seeds the demand; every rule of an answer table starts
//! from its demand, and every recursive call in a body adds to the demand of the table that it reads. It works whichever
//! way a rule is written, because what is bound before a call is found by connection, not by the written order. A call
//! that binds nothing evaluates the rule whole. Where every call comes last there is a better form ([`super::tail`]). Each rule that reads tables becomes one version for each table it reads,
//! which takes that table's newest rows, the ones before it whole and the ones after it without the newest.

use std::collections::VecDeque;

use annals_edn::Error;

use crate::ast::VarId;

use super::logic::{Conj, Node, Origin, Program, TableNode};
use super::physical::{FixPlan, FixRule, Part};
use super::search::{Search, Seeds};
use super::vars::VarSet;

/// A rule with which of its arguments are bound.
type Adorned = (usize, Vec<bool>);

/// Tables as they are asked for.
struct Tables {
    /// answer table and demand table, by adorned rule
    known: Vec<(Adorned, usize, Option<usize>)>,
    arities: Vec<usize>,
    open: VecDeque<usize>,
}

impl Tables {
    fn of(&mut self, pred: usize, bound: &[bool], arity: usize) -> (usize, Option<usize>) {
        let key = (pred, bound.to_vec());
        if let Some((_, answers, demand)) = self.known.iter().find(|(known, ..)| *known == key) {
            return (*answers, *demand);
        }
        let answers = self.arities.len();
        self.arities.push(arity);
        let keys = bound.iter().filter(|bound| **bound).count();
        let demand = (keys > 0).then_some(answers + 1);
        if keys > 0 {
            self.arities.push(keys);
        }
        self.open.push_back(self.known.len());
        self.known.push((key, answers, demand));
        (answers, demand)
    }
}

/// A rule before it is planned.
pub(super) struct Draft {
    pub(super) table: usize,
    pub(super) head: Vec<VarId>,
    pub(super) body: Conj,
}

impl Search<'_, '_> {
    /// The tables and rules for a call of rule number `goal` with these arguments bound.
    pub(crate) fn fixpoint(
        &mut self,
        program: &Program,
        goal: usize,
        bound: &[bool],
    ) -> Result<FixPlan, Error> {
        let tail = self.dice.as_mut().is_none_or(|dice| dice.roll(2) == 0);
        if let Some(form) = tail.then(|| self.tail_form(program, goal, bound)).flatten() {
            let mut rules = Vec::new();
            for draft in form.drafts {
                self.versions(draft, &mut rules)?;
            }
            return Ok(FixPlan { arities: form.arities, demand: Some(1), rules });
        }
        let mut tables = Tables { known: Vec::new(), arities: Vec::new(), open: VecDeque::new() };
        let (_, demand) = tables.of(goal, bound, program.preds[goal].arity);
        let mut drafts = Vec::new();
        while let Some(next) = tables.open.pop_front() {
            let ((pred, bound), answers, demand) = tables.known[next].clone();
            for (head, body) in &program.preds[pred].branches {
                self.branch(program, (head, body), &bound, (answers, demand), &mut tables, &mut drafts);
            }
        }
        let mut rules = Vec::new();
        for draft in drafts {
            self.versions(draft, &mut rules)?;
        }
        Ok(FixPlan { arities: tables.arities, demand, rules })
    }

    /// One branch of an adorned rule: the rule of its answers, and one for the demand of each call in it.
    fn branch(
        &self,
        program: &Program,
        (head, body): (&[VarId], &Conj),
        bound: &[bool],
        (answers, demand): (usize, Option<usize>),
        tables: &mut Tables,
        drafts: &mut Vec<Draft>,
    ) {
        let keys: Vec<VarId> = head.iter().zip(bound).filter(|(_, bound)| **bound).map(|(v, _)| *v).collect();
        let mut known: VarSet = keys.iter().copied().collect();
        known.join(&self.fixed);
        let read =
            |table, args, origin| Node::Table(TableNode { pred: table, part: Part::Whole, args, origin });
        let mut done: Conj =
            demand.map(|table| read(table, keys.clone(), Origin::NONE)).into_iter().collect();
        let mut left: Vec<&Node> = body.iter().collect();
        loop {
            absorb(&mut left, &mut known, &mut done, demand.is_none());
            let Some(at) = next_call(&left, &known) else { break };
            let Node::Table(call) = left.remove(at) else { break };
            let callee = &program.preds[call.pred];
            let is_bound = |arg: &VarId| demand.is_some() && known.has(*arg);
            let mask: Vec<bool> = call.args.iter().map(is_bound).collect();
            let (table, wanted) = tables.of(call.pred, &mask, callee.arity);
            if let Some(wanted) = wanted {
                let args = call.args.iter().zip(&mask).filter(|(_, bound)| **bound);
                let head = args.map(|(arg, _)| *arg).collect();
                drafts.push(Draft { table: wanted, head, body: done.clone() });
            }
            done.push(read(table, call.args.clone(), call.origin));
            known.extend(call.args.iter().copied());
        }
        done.extend(left.into_iter().cloned());
        drafts.push(Draft { table: answers, head: head.to_vec(), body: done });
    }

    /// Plans a draft once for each table that it reads.
    fn versions(&mut self, draft: Draft, rules: &mut Vec<FixRule>) -> Result<(), Error> {
        let is_table = |(_, node): &(usize, &Node)| matches!(node, Node::Table(_));
        let reads: Vec<usize> = draft.body.iter().enumerate().filter(is_table).map(|(i, _)| i).collect();
        let out: VarSet = draft.head.iter().copied().collect();
        if reads.is_empty() {
            let body = self.pipeline(&draft.body, Seeds::unit(), &out, None)?.pipeline;
            rules.push(FixRule { table: draft.table, head: draft.head, body, delta: None });
            return Ok(());
        }
        for delta in &reads {
            let mut body = draft.body.clone();
            let mut newest = None;
            for i in &reads {
                let Node::Table(node) = &mut body[*i] else { continue };
                node.part = match i.cmp(delta) {
                    std::cmp::Ordering::Less => Part::Whole,
                    std::cmp::Ordering::Equal => Part::Delta,
                    std::cmp::Ordering::Greater => Part::Old,
                };
                if node.part == Part::Delta {
                    newest = Some(node.pred);
                }
            }
            let body = self.pipeline(&body, Seeds::unit(), &out, None)?.pipeline;
            rules.push(FixRule { table: draft.table, head: draft.head.clone(), body, delta: newest });
        }
        Ok(())
    }
}

/// Moves to `done` every node that is connected with what is known (or all that can run, with nothing demanded).
pub(super) fn absorb(left: &mut Vec<&Node>, known: &mut VarSet, done: &mut Conj, all: bool) {
    loop {
        let ready = |node: &&Node| {
            let vars = node.vars();
            !matches!(node, Node::Table(_))
                && known.covers(&node.needs())
                && (all || vars.is_empty() || vars.meets(known))
        };
        let Some(at) = left.iter().position(ready) else { return };
        let node = left.remove(at);
        known.join(&node.vars());
        done.push(node.clone());
    }
}

/// The call of a table with the most arguments known.
fn next_call(left: &[&Node], known: &VarSet) -> Option<usize> {
    let calls = left.iter().enumerate().filter_map(|(i, node)| match node {
        Node::Table(call) => Some((i, call.args.iter().filter(|arg| known.has(**arg)).count())),
        _ => None,
    });
    calls.max_by_key(|(i, bound)| (*bound, usize::MAX - i)).map(|(i, _)| i)
}
