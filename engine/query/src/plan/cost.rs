//! What one more node would cost and how many rows it would leave: the candidates that the search chooses from.
//!
//! Unit costs are nanoseconds measured on the executor; only their ratios matter.

use std::ops::Bound;

use annals_db::{Cardinality, Index, Unique};
use annals_edn::Error;
use rustc_hash::FxHashMap;

use crate::ast::VarId;
use crate::functions::{Comparison, Function};

use super::estimate::Statistics;
use super::logic::{Attr, Call, CallArg, DataPattern, Node, TuplePattern};
use super::physical::{By, Part};
use super::vars::VarSet;

const SEEK: f64 = 500.0;
const SCAN_ROW: f64 = 10.0;
const GALLOP: f64 = 60.0;
const VALUE_PROBE: f64 = 150.0;
/// Putting one row into the table of a hash join.
pub(crate) const BUILD_ROW: f64 = 30.0;
const PROBE_ROW: f64 = 15.0;
const OUT_ROW: f64 = 8.0;
const CALL_ROW: f64 = 20.0;
/// Sorting one row into the canonical order.
pub(crate) const SORT_ROW: f64 = 40.0;
/// What a row costs the steps after this one, whatever they are.
pub(crate) const CARRY_ROW: f64 = 60.0;

/// How a node would be run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Choice {
    /// a scan of this index, first of its pipeline
    Scan(Index),
    /// a batched look-up
    Lookup(By),
    /// a hash join with a scan of this index
    Hash(Index),
    /// the only way this node runs
    Plain,
}

/// One way to go on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    /// which node
    pub node: usize,
    /// how
    pub choice: Choice,
    /// rows after it
    pub rows: f64,
    /// nanoseconds
    pub cost: f64,
    /// the variable its rows are sorted by, if it is a scan
    pub lead: Option<VarId>,
}

/// Where a search stands.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// what is bound, fixed variables included
    pub bound: VarSet,
    /// rows so far
    pub rows: f64,
    /// nothing but one row of constants so far
    pub unit: bool,
}

/// Bounds that predicates put on variables, by variable.
pub(crate) type Bounds = FxHashMap<VarId, (Bound<VarId>, Bound<VarId>)>;

/// The bounds that comparisons with fixed variables put on others.
pub(crate) fn bounds(nodes: &[Node], fixed: &VarSet) -> Bounds {
    let mut bounds = Bounds::default();
    for node in nodes {
        let Node::Filter(Call { function: Function::Compare(comparison), args, .. }) = node else { continue };
        let [CallArg::Var(left), CallArg::Var(right)] = args.as_slice() else { continue };
        let (var, limit, comparison) = match (fixed.has(*left), fixed.has(*right)) {
            (false, true) => (*left, *right, *comparison),
            (true, false) => (*right, *left, comparison.flipped()),
            _ => continue,
        };
        let entry = bounds.entry(var).or_insert((Bound::Unbounded, Bound::Unbounded));
        match comparison {
            Comparison::Less => entry.1 = Bound::Excluded(limit),
            Comparison::LessOrEqual => entry.1 = Bound::Included(limit),
            Comparison::Greater => entry.0 = Bound::Excluded(limit),
            Comparison::GreaterOrEqual => entry.0 = Bound::Included(limit),
        }
    }
    bounds
}

/// Prices nodes.
pub(crate) struct Pricing<'s, 'a> {
    /// counts
    pub statistics: &'s mut Statistics<'a>,
    /// variables with one value for the whole run
    pub fixed: &'s VarSet,
    /// bounds from predicates
    pub bounds: &'s Bounds,
}

impl Pricing<'_, '_> {
    /// The ways to run `node` next; none if it needs more variables first.
    pub(crate) fn candidates(
        &mut self,
        number: usize,
        node: &Node,
        state: &State,
    ) -> Result<Vec<Candidate>, Error> {
        if !state.bound.covers(&node.needs()) {
            return Ok(Vec::new());
        }
        let plain = |ratio: f64, cost: f64| {
            vec![Candidate {
                node: number,
                choice: Choice::Plain,
                rows: state.rows * ratio,
                cost: state.rows * cost,
                lead: None,
            }]
        };
        Ok(match node {
            Node::Data(pattern) => self.data(number, pattern, state)?,
            Node::Tuple(pattern) => self.tuple(number, pattern, state),
            Node::Rows(rows) => {
                let bound = rows.slots.iter().flatten().any(|var| state.bound.has(*var));
                plain(if bound { 0.5 } else { 10.0 }, 50.0)
            }
            Node::Same(x, y) => match (state.bound.has(*x), state.bound.has(*y)) {
                (true, true) => plain(0.1, 5.0),
                (false, false) => Vec::new(),
                _ => plain(1.0, 1.0),
            },
            Node::Filter(call) => plain(selectivity(call), CALL_ROW),
            Node::Bind(_, binding) => match binding {
                crate::ast::Binding::Collection(_) | crate::ast::Binding::Relation(_) => plain(5.0, 500.0),
                _ => plain(1.0, CALL_ROW),
            },
            Node::Not(not) => plain(0.5, 300.0 * not.body.len() as f64),
            Node::Or(or) => {
                let mut ratio = 0.0;
                let open = !or.join.iter().any(|var| state.bound.has(*var) && !self.fixed.has(*var));
                for branch in &or.branches {
                    ratio += self.guess(branch, state, open)?;
                }
                let unbound = if open && !state.unit { 1e6 } else { 300.0 };
                plain(ratio, unbound * or.branches.len() as f64 + ratio * OUT_ROW)
            }
            Node::Rule(rule) => {
                let bound = rule.args.iter().any(|var| state.bound.has(*var));
                if bound { plain(50.0, 20_000.0) } else { plain(100_000.0, 1e7) }
            }
            Node::Table(table) => {
                let bound = table.args.iter().any(|var| state.bound.has(*var));
                match (table.part, bound) {
                    (Part::Delta, true) => plain(1.0, 40.0),
                    (Part::Delta, false) => plain(10.0, 100.0),
                    (_, true) => plain(5.0, 60.0),
                    (_, false) => plain(10_000.0, 1e6),
                }
            }
        })
    }

    /// About how many rows a row becomes in a conjunction: its most restrictive pattern.
    fn guess(&mut self, body: &[Node], state: &State, open: bool) -> Result<f64, Error> {
        let mut least = f64::INFINITY;
        for node in body {
            let Node::Data(pattern) = node else { continue };
            let seeded = State { bound: state.bound.clone(), rows: 1.0, unit: open };
            for candidate in self.data(0, pattern, &seeded)? {
                least = least.min(candidate.rows);
            }
        }
        Ok(if least.is_finite() { least.max(0.2) } else { 2.0 })
    }

    fn tuple(&mut self, node: usize, pattern: &TuplePattern, state: &State) -> Vec<Candidate> {
        let size = self.statistics.relation_rows(pattern.source);
        let bound = pattern.terms.iter().flatten().filter(|var| state.bound.has(**var)).count();
        let matching = size * 0.1f64.powi(bound as i32);
        let choice = if state.unit { Choice::Scan(Index::Eavt) } else { Choice::Hash(Index::Eavt) };
        let rows = state.rows * matching.max(0.1);
        let cost = size * BUILD_ROW + state.rows * PROBE_ROW + rows * OUT_ROW;
        vec![Candidate { node, choice, rows, cost, lead: None }]
    }

    fn data(&mut self, node: usize, pattern: &DataPattern, state: &State) -> Result<Vec<Candidate>, Error> {
        let is_fixed = |var: Option<VarId>| var.filter(|var| self.fixed.has(*var));
        let is_key = |var: Option<VarId>| var.is_some_and(|v| state.bound.has(v) && !self.fixed.has(v));
        let (fixed_e, fixed_v) = (is_fixed(pattern.e), is_fixed(pattern.v));
        let shape = Shape {
            node,
            e: is_key(pattern.e),
            v: is_key(pattern.v),
            a: matches!(pattern.a, Attr::Var(var) if is_key(Some(var))),
            fixed_e,
            fixed_v,
            bounds: self.value_bounds(pattern),
        };
        match &pattern.a {
            Attr::Known(_) => self.known(pattern, &shape, state),
            _ => self.any_attribute(pattern, &shape, state),
        }
    }

    /// The bounds that predicates put on the pattern's value, if the index can use them.
    pub(crate) fn value_bounds(&self, pattern: &DataPattern) -> (Bound<VarId>, Bound<VarId>) {
        let open = (Bound::Unbounded, Bound::Unbounded);
        let (Attr::Known(attribute), Some(v)) = (&pattern.a, pattern.v) else { return open };
        let usable = |bound: Bound<VarId>| match bound {
            Bound::Included(var) | Bound::Excluded(var) if self.statistics.bounds_values(attribute, var) => {
                bound
            }
            _ => Bound::Unbounded,
        };
        self.bounds.get(&v).map_or(open, |(start, end)| (usable(*start), usable(*end)))
    }

    fn known(
        &mut self,
        pattern: &DataPattern,
        shape: &Shape,
        state: &State,
    ) -> Result<Vec<Candidate>, Error> {
        let Attr::Known(attribute) = &pattern.a else { return Ok(Vec::new()) };
        let datoms = self.statistics.attribute(pattern.source, attribute)?;
        let matching = self.statistics.restricted(
            pattern.source,
            &pattern.a,
            shape.fixed_e,
            shape.fixed_v,
            shape.bounds,
        )?;
        let share = if datoms > 0.0 { (matching / datoms).min(1.0) } else { 0.0 };
        let avet = attribute.kept_in_avet();
        let mut found = Vec::with_capacity(2);
        let mut push = |choice, rows: f64, cost: f64, lead| {
            found.push(Candidate { node: shape.node, choice, rows, cost: cost + rows * OUT_ROW, lead });
        };
        let one = attribute.cardinality == Cardinality::One;
        // Samples are taken only where a look-up's fan-out hangs on them.
        let per_entity = match shape.e && !one {
            true => datoms / self.statistics.entities(pattern.source, attribute)?,
            false => 1.0,
        };
        let unique = matches!(attribute.unique, Some(Unique::Identity | Unique::Value));
        let per_value = match shape.v && !unique {
            true => datoms / self.statistics.values(pattern.source, attribute)?,
            false => 1.0,
        };
        if !shape.e && !shape.v {
            if state.unit {
                self.scans(pattern, shape, matching, datoms, &mut push);
            } else {
                let read = if avet || shape.fixed_v.is_none() { matching } else { datoms };
                let cost = SEEK + read * BUILD_ROW + state.rows * PROBE_ROW;
                push(Choice::Hash(scan_index(shape, avet)), state.rows * matching, cost, None);
            }
            return Ok(found);
        }
        let hash_rows = |per_key: f64| state.rows * per_key * share.max(1e-9);
        let hash_cost = SEEK + datoms.min(if avet { matching } else { datoms }) * BUILD_ROW;
        let both = if shape.e && shape.v { 0.3f64.min(1.0 / per_value.max(1.0) + 0.01) } else { 1.0 };
        if shape.e {
            let rows = hash_rows(per_entity) * both;
            let probe = (state.rows * GALLOP).min(datoms * SCAN_ROW + state.rows * 20.0);
            push(Choice::Lookup(By::Entity), rows, SEEK + probe, None);
            push(Choice::Hash(scan_index(shape, avet)), rows, hash_cost + state.rows * PROBE_ROW, None);
        }
        if shape.v && !shape.e {
            let narrowed = if shape.fixed_e.is_some() { 0.5 } else { per_value };
            let rows = state.rows * narrowed.min(matching.max(0.01));
            if avet && shape.fixed_e.is_none() {
                push(Choice::Lookup(By::Value), rows, SEEK + state.rows * VALUE_PROBE, None);
            }
            push(Choice::Hash(scan_index(shape, avet)), rows, hash_cost + state.rows * PROBE_ROW, None);
        }
        Ok(found)
    }

    /// Scans that can come first: by entity, by value.
    fn scans(
        &self,
        pattern: &DataPattern,
        shape: &Shape,
        matching: f64,
        datoms: f64,
        push: &mut impl FnMut(Choice, f64, f64, Option<VarId>),
    ) {
        let Attr::Known(attribute) = &pattern.a else { return };
        let avet = attribute.kept_in_avet();
        if shape.fixed_e.is_some() {
            return push(Choice::Scan(Index::Eavt), matching, SEEK + matching * SCAN_ROW, pattern.v);
        }
        if shape.fixed_v.is_some() {
            let read = if avet { matching } else { datoms };
            let index = if avet { Index::Avet } else { Index::Aevt };
            return push(Choice::Scan(index), matching, SEEK + read * SCAN_ROW, pattern.e);
        }
        push(Choice::Scan(Index::Aevt), matching, SEEK + datoms * SCAN_ROW, pattern.e);
        if avet {
            push(Choice::Scan(Index::Avet), matching, SEEK + matching * SCAN_ROW, pattern.v);
        }
    }

    fn any_attribute(
        &mut self,
        pattern: &DataPattern,
        shape: &Shape,
        state: &State,
    ) -> Result<Vec<Candidate>, Error> {
        let none = (Bound::Unbounded, Bound::Unbounded);
        let all = self.statistics.restricted(pattern.source, &pattern.a, shape.fixed_e, None, none)?;
        let mut rows = if shape.fixed_v.is_some() { (all * 0.05).max(1.0) } else { all };
        if matches!(pattern.a, Attr::Var(var) if self.fixed.has(var)) {
            rows *= 0.1;
        }
        let candidate = |choice, rows, cost, lead| Candidate { node: shape.node, choice, rows, cost, lead };
        if shape.e {
            let ratio = if shape.v || shape.a { 1.0 } else { 6.0 };
            let rows = state.rows * ratio;
            return Ok(vec![candidate(Choice::Lookup(By::Entity), rows, SEEK + state.rows * 600.0, None)]);
        }
        let mut found = Vec::new();
        if shape.v {
            found.push(candidate(
                Choice::Lookup(By::Value),
                state.rows * 3.0,
                SEEK + state.rows * 20_000.0,
                None,
            ));
        } else if shape.a {
            found.push(candidate(
                Choice::Lookup(By::Attribute),
                state.rows * 100.0,
                SEEK + state.rows * 5_000.0,
                None,
            ));
        }
        if state.unit {
            let lead = if shape.fixed_e.is_none() && shape.fixed_v.is_none() { pattern.e } else { None };
            found.push(candidate(Choice::Scan(Index::Eavt), rows, SEEK + rows * SCAN_ROW, lead));
        } else {
            let keyed = if shape.v || shape.a { 0.1 } else { 1.0 };
            let cost = SEEK + rows * BUILD_ROW + state.rows * PROBE_ROW;
            found.push(candidate(Choice::Hash(Index::Eavt), state.rows * rows * keyed, cost, None));
        }
        Ok(found)
    }
}

/// How a pattern's positions stand.
struct Shape {
    node: usize,
    e: bool,
    v: bool,
    a: bool,
    fixed_e: Option<VarId>,
    fixed_v: Option<VarId>,
    bounds: (Bound<VarId>, Bound<VarId>),
}

fn scan_index(shape: &Shape, avet: bool) -> Index {
    if shape.fixed_e.is_some() {
        return Index::Eavt;
    }
    let bounded = shape.bounds != (Bound::Unbounded, Bound::Unbounded);
    if avet && (shape.fixed_v.is_some() || bounded) { Index::Avet } else { Index::Aevt }
}

fn selectivity(call: &Call) -> f64 {
    match call.function {
        Function::Equal | Function::SameNumber => 0.1,
        Function::Compare(_) => 0.4,
        Function::NotEqual => 0.95,
        _ => 0.5,
    }
}

/// True for attributes whose values are the ids of entities.
pub(crate) fn is_reference(pattern: &DataPattern) -> bool {
    matches!(&pattern.a, Attr::Known(attribute) if attribute.is_ref())
}
