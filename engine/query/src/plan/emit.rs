//! An order of nodes to steps: what each keeps, where repeats are dropped, which pipelines stand inside.

use std::ops::Bound;
use std::sync::Arc;

use annals_db::{Cardinality, Index};
use annals_edn::Error;

use crate::ast::VarId;

use super::closure::{self, Closure};
use super::cost::{BUILD_ROW, Bounds, Choice, Pricing, is_reference};
use super::distinct::Distinctness;
use super::logic::{Attr, DataPattern, Node, NotNode, OrNode, Origin, RuleNode, TuplePattern};
use super::physical::{
    By, ClosureStep, Edge, FixStep, HashStep, LookupStep, NotStep, Pipeline, Reading, ScanStep, Step,
    StepKind, TableStep, UnionStep,
};
use super::search::{Built, Order, Search, Seeds};
use super::vars::VarSet;

/// Repeats are dropped before a step that multiplies rows by at least this.
const MULTIPLIES: f64 = 1.2;
/// What it costs to look for a row among those seen, nanoseconds. Only for show: it is done wherever it may save.
const DISTINCT_ROW: f64 = 30.0;

/// An attribute of fewer datoms has not very many for any key.
const MANY: f64 = 131_072.0;

/// Where the emission of one pipeline stands.
struct Emission {
    /// bound a row
    bound: VarSet,
    rows: f64,
    steps: Vec<Arc<Step>>,
    distinct: Distinctness,
}

impl Search<'_, '_> {
    /// The steps of `order`; `out` is kept at the end.
    pub(crate) fn emit(
        &mut self,
        nodes: &[Node],
        bounds: &Bounds,
        order: &Order,
        seeds: Seeds,
        out: &VarSet,
    ) -> Result<Built, Error> {
        let needed = needed(nodes, order, out);
        let mut at = Emission {
            bound: seeds.bound.clone(),
            rows: seeds.rows,
            steps: Vec::with_capacity(order.picks.len()),
            distinct: Distinctness::new(&self.fixed, &seeds.bound, self.width),
        };
        for (i, pick) in order.picks.iter().enumerate() {
            let node = &nodes[pick.node];
            if i > 0 && at.rows > 16.0 && pick.rows > at.rows * MULTIPLIES {
                self.drop_repeats(&mut at, &needed[i]);
            }
            let kind = self.kind(node, pick.choice, bounds, &at, &needed[i + 1])?;
            at.distinct.add(node, self.history(node));
            at.bound.join(&node.vars());
            at.bound = at.bound.without(&self.fixed);
            at.rows = pick.rows;
            self.push(&mut at, kind, needed[i + 1].clone(), (pick.cost, node.origin()));
        }
        let lead = if seeds.unit { order.lead() } else { None };
        let distinct = at.distinct.proven(out);
        let single = lead.is_some_and(|lead| at.distinct.proven(&[lead].into_iter().collect()));
        let pipeline = Pipeline { steps: at.steps, rows: order.rows, cost: order.cost };
        Ok(Built { pipeline, lead, distinct, single })
    }

    fn push(&mut self, at: &mut Emission, kind: StepKind, keep: VarSet, (cost, origin): (f64, Origin)) {
        let id = self.step();
        at.steps.push(Arc::new(Step { id, kind, keep, rows: at.rows, cost, origin }));
    }

    /// Variables that nobody needs any more may have left repeats behind: drop them before they multiply.
    fn drop_repeats(&mut self, at: &mut Emission, needed: &VarSet) {
        let kept: VarSet = at.bound.iter().filter(|var| needed.has(*var)).collect();
        if at.distinct.proven(&kept) {
            return;
        }
        at.distinct.reset(&kept);
        at.bound = kept.clone();
        let cost = at.rows * DISTINCT_ROW;
        self.push(at, StepKind::Distinct(kept.iter().collect()), kept, (cost, Origin::NONE));
    }

    fn history(&self, node: &Node) -> bool {
        match node {
            Node::Data(pattern) => self.statistics.db(pattern.source).is_some_and(|db| db.view().history),
            _ => false,
        }
    }

    fn kind(
        &mut self,
        node: &Node,
        choice: Choice,
        bounds: &Bounds,
        at: &Emission,
        needed: &VarSet,
    ) -> Result<StepKind, Error> {
        Ok(match node {
            Node::Data(pattern) => self.data(pattern, choice, bounds, at, needed),
            Node::Tuple(pattern) => self.tuple(pattern, choice, at),
            Node::Rows(rows) => StepKind::Rows(rows.clone()),
            Node::Same(x, y) => StepKind::Same(*x, *y),
            Node::Filter(call) => StepKind::Filter(call.clone()),
            Node::Bind(call, binding) => StepKind::Bind(call.clone(), binding.clone()),
            Node::Not(not) => StepKind::Not(self.not(not, at)?),
            Node::Or(or) => StepKind::Union(self.union(or, at, needed)?),
            Node::Rule(rule) => self.rule(rule, at)?,
            Node::Table(table) => StepKind::Table(TableStep {
                table: table.pred,
                args: table.args.clone(),
                part: table.part,
                keys: self.bound_of(&table.args, at, true),
            }),
        })
    }

    /// Those of `vars` that are bound here, fixed ones only if asked for.
    fn bound_of(&self, vars: &[VarId], at: &Emission, with_fixed: bool) -> Vec<VarId> {
        let is_bound = |var: &VarId| at.bound.has(*var) || (with_fixed && self.fixed.has(*var));
        vars.iter().copied().filter(is_bound).collect()
    }

    fn data(
        &mut self,
        pattern: &DataPattern,
        choice: Choice,
        bounds: &Bounds,
        at: &Emission,
        needed: &VarSet,
    ) -> StepKind {
        let pricing = Pricing { statistics: self.statistics, fixed: &self.fixed, bounds };
        let value_bounds = pricing.value_bounds(pattern);
        let scan = |index| ScanStep { pattern: Reading::Data(pattern.clone()), index, bounds: value_bounds };
        match choice {
            Choice::Lookup(by) => {
                let many = self.may_be_many(pattern, by);
                StepKind::Lookup(LookupStep { pattern: pattern.clone(), by, many })
            }
            Choice::Hash(index) => {
                let vars: Vec<VarId> = pattern.vars().filter(|var| !self.fixed.has(*var)).collect();
                self.hash(scan(index), &vars, at, needed)
            }
            Choice::Scan(index) => StepKind::Scan(scan(index)),
            Choice::Plain => StepKind::Scan(scan(Index::Eavt)),
        }
    }

    /// Whether one key of a look-up can have so many rows that they are better read batch by batch.
    fn may_be_many(&mut self, pattern: &DataPattern, by: By) -> bool {
        let Attr::Known(attribute) = &pattern.a else { return false };
        let single = match by {
            By::Entity => attribute.cardinality == Cardinality::One,
            By::Value => attribute.unique.is_some() || !attribute.kept_in_avet(),
            By::Attribute => true,
        };
        !single && self.statistics.attribute(pattern.source, attribute).is_ok_and(|datoms| datoms > MANY)
    }

    fn tuple(&mut self, pattern: &TuplePattern, choice: Choice, at: &Emission) -> StepKind {
        let open = (Bound::Unbounded, Bound::Unbounded);
        let scan = ScanStep { pattern: Reading::Tuple(pattern.clone()), index: Index::Eavt, bounds: open };
        if matches!(choice, Choice::Scan(_)) {
            return StepKind::Scan(scan);
        }
        let vars: Vec<VarId> = pattern.terms.iter().flatten().copied().collect();
        let vars: Vec<VarId> = vars.into_iter().filter(|var| !self.fixed.has(*var)).collect();
        let all = vars.iter().copied().collect();
        self.hash(scan, &vars, at, &all)
    }

    fn hash(&mut self, scan: ScanStep, vars: &[VarId], at: &Emission, needed: &VarSet) -> StepKind {
        let (keys, outs): (Vec<VarId>, Vec<VarId>) = vars.iter().partition(|var| at.bound.has(**var));
        let outs: Vec<VarId> = outs.into_iter().filter(|var| needed.has(*var)).collect();
        let keep: VarSet = keys.iter().chain(&outs).copied().collect();
        let (id, (rows, origin)) = (self.step(), self.build_side(&scan));
        let cost = rows * BUILD_ROW;
        let step = Arc::new(Step { id, kind: StepKind::Scan(scan), keep, rows, cost, origin });
        StepKind::Hash(HashStep { build: Pipeline { steps: vec![step], rows, cost }, keys, outs })
    }

    /// Rows that a hash join is thought to be built from, and their clause.
    fn build_side(&mut self, scan: &ScanStep) -> (f64, Origin) {
        match &scan.pattern {
            Reading::Tuple(pattern) => (self.statistics.relation_rows(pattern.source), pattern.origin),
            Reading::Data(pattern) => {
                let fixed = |var: Option<VarId>| var.filter(|var| self.fixed.has(*var));
                let (e, v) = (fixed(pattern.e), fixed(pattern.v));
                let v = if matches!(pattern.a, Attr::Known(_)) { v } else { None };
                let rows = self.statistics.restricted(pattern.source, &pattern.a, e, v, scan.bounds);
                (rows.unwrap_or(0.0), pattern.origin)
            }
        }
    }

    fn not(&mut self, not: &NotNode, at: &Emission) -> Result<NotStep, Error> {
        let join = self.bound_of(&not.join, at, false);
        let seed = self.fresh();
        let mut bound: VarSet = join.iter().copied().collect();
        bound.add(seed);
        let out = [seed].into_iter().collect();
        let body = self.pipeline(&not.body, Seeds::rows(bound, at.rows.max(1.0)), &out, None)?.pipeline;
        Ok(NotStep { join, seed, body })
    }

    fn union(&mut self, or: &OrNode, at: &Emission, needed: &VarSet) -> Result<UnionStep, Error> {
        let bound = self.bound_of(&or.join, at, false);
        let free = |var: &VarId| !bound.contains(var) && !self.fixed.has(*var) && needed.has(*var);
        let outs: Vec<VarId> = or.join.iter().copied().filter(free).collect();
        let seed = self.fresh();
        let mut seeded: VarSet = bound.iter().copied().collect();
        let mut out: VarSet = outs.iter().copied().collect();
        out.add(seed);
        let unit = bound.is_empty();
        seeded.add(seed);
        let mut branches = Vec::with_capacity(or.branches.len());
        for branch in &or.branches {
            let rows = if unit { 1.0 } else { at.rows.max(1.0) };
            let seeds = Seeds { bound: seeded.clone(), rows, unit };
            branches.push(self.pipeline(branch, seeds, &out, None)?.pipeline);
        }
        Ok(UnionStep { bound, outs, seed, branches })
    }

    fn rule(&mut self, rule: &RuleNode, at: &Emission) -> Result<StepKind, Error> {
        let is_bound = |var: &VarId| at.bound.has(*var) || self.fixed.has(*var);
        let bound: Vec<bool> = rule.args.iter().map(is_bound).collect();
        if self.dice.as_mut().is_none_or(|dice| dice.roll(2) == 0)
            && let Some(closure) = closure::recognise(&rule.program, &self.fixed)
        {
            return Ok(StepKind::Closure(self.closure(closure, &rule.args, &bound)?));
        }
        let program = Arc::new(self.fixpoint(&rule.program, rule.goal, &bound)?);
        Ok(StepKind::Fix(FixStep { program, args: rule.args.clone(), bound }))
    }

    fn closure(&mut self, closure: Closure, args: &[VarId], bound: &[bool]) -> Result<ClosureStep, Error> {
        let (first, second) = closure.ends;
        if let [Node::Data(pattern)] = closure.body.as_slice()
            && is_reference(pattern)
            && pattern.tx.is_none()
            && pattern.op.is_none()
        {
            let edge = Edge::Attribute(pattern.clone());
            if (pattern.e, pattern.v) == (Some(first), Some(second)) {
                return Ok(ClosureStep { from: args[0], to: args[1], bound: (bound[0], bound[1]), edge });
            }
            if (pattern.e, pattern.v) == (Some(second), Some(first)) {
                return Ok(ClosureStep { from: args[1], to: args[0], bound: (bound[1], bound[0]), edge });
            }
        }
        let out: VarSet = [first, second].into_iter().collect();
        let mut from = |end: VarId| -> Result<Box<Pipeline>, Error> {
            let seeds = Seeds::rows([end].into_iter().collect(), 10.0);
            Ok(Box::new(self.pipeline(&closure.body, seeds, &out, None)?.pipeline))
        };
        let (forward, backward) = (from(first)?, from(second)?);
        let whole = Box::new(self.pipeline(&closure.body, Seeds::unit(), &out, None)?.pipeline);
        let edge = Edge::Body { ends: closure.ends, forward, backward, whole };
        Ok(ClosureStep { from: args[0], to: args[1], bound: (bound[0], bound[1]), edge })
    }
}

/// For each place in the order, what is needed there or later; one more for the end.
fn needed(nodes: &[Node], order: &Order, out: &VarSet) -> Vec<VarSet> {
    let mut sets = vec![out.clone()];
    for pick in order.picks.iter().rev() {
        let mut set = sets.last().expect("it starts with one").clone();
        set.join(&nodes[pick.node].vars());
        sets.push(set);
    }
    sets.reverse();
    sets
}
