//! The search for a plan: greedy from every possible first scan, by estimated cost.
//!
//! The order in which clauses were written only breaks ties. A scan that delivers the order of the result saves the
//! sort and is priced so. For one to ten patterns this takes tens of microseconds; plans are cached by shape anyway.
//! With a seed the search picks at random among all valid ways: tests run such plans and expect the same bytes.

use annals_edn::{Code, Error};

use crate::ast::{Binding, VarId};

use super::cost::{self, Bounds, CARRY_ROW, Candidate, Choice, Pricing, SORT_ROW, State};
use super::estimate::Statistics;
use super::logic::{Logic, Node};
use super::physical::{Pipeline, Plan};
use super::vars::VarSet;

/// The most first scans that are tried out.
const MAX_DRIVERS: usize = 12;

/// What a search works with.
pub(crate) struct Search<'s, 'a> {
    /// counts
    pub statistics: &'s mut Statistics<'a>,
    /// variables with one value for the whole run
    pub fixed: VarSet,
    /// variables given out
    pub width: u32,
    /// steps given out
    pub steps: usize,
    /// picks at random, for tests
    pub dice: Option<Dice>,
}

/// A stream of choices from a seed (SplitMix64).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dice(pub u64);

impl Dice {
    /// A number below `below`.
    pub(crate) fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((x ^ (x >> 31)) % below as u64) as usize
    }
}

/// What a pipeline starts from.
#[derive(Clone, Debug)]
pub(crate) struct Seeds {
    /// bound a row
    pub bound: VarSet,
    /// how many rows
    pub rows: f64,
    /// one row of constants
    pub unit: bool,
}

impl Seeds {
    /// One row of constants.
    pub(crate) fn unit() -> Seeds {
        Seeds { bound: VarSet::default(), rows: 1.0, unit: true }
    }

    /// Rows that bind these.
    pub(crate) fn rows(bound: VarSet, rows: f64) -> Seeds {
        Seeds { bound, rows, unit: false }
    }
}

/// An order of nodes, each with the way it is run.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    /// first to last
    pub picks: Vec<Candidate>,
    /// nanoseconds
    pub cost: f64,
    /// rows at the end
    pub rows: f64,
}

impl Order {
    /// The variable that rows are sorted by.
    pub(crate) fn lead(&self) -> Option<VarId> {
        self.picks.iter().find(|pick| pick.choice != Choice::Plain).and_then(|pick| pick.lead)
    }
}

/// Plans a whole query: `out` is kept at the end, `lead` the variable that the result is sorted by first.
///
/// # Errors
/// Of the store, and `INSUFFICIENT_BINDING` for what no order can bind.
pub(crate) fn plan(
    logic: &Logic,
    statistics: &mut Statistics<'_>,
    out: &VarSet,
    lead: Option<VarId>,
    dice: Option<Dice>,
) -> Result<Plan, Error> {
    let fixed = logic.fixed.iter().map(|(var, _)| *var).collect();
    let mut search = Search { statistics, fixed, width: logic.width as u32, steps: 0, dice };
    let built = search.pipeline(&logic.main, Seeds::unit(), out, lead)?;
    Ok(Plan {
        root: built.pipeline,
        lead: built.lead,
        distinct: built.distinct,
        single: built.single,
        width: search.width as usize,
        steps: search.steps,
    })
}

/// A pipeline and what is known of its rows.
pub(crate) struct Built {
    /// the steps
    pub pipeline: Pipeline,
    /// the variable that rows are sorted by
    pub lead: Option<VarId>,
    /// rows are distinct by what is kept
    pub distinct: bool,
    /// rows are distinct by `lead` alone
    pub single: bool,
}

impl Search<'_, '_> {
    /// A variable of its own.
    pub(crate) fn fresh(&mut self) -> VarId {
        self.width += 1;
        VarId(self.width - 1)
    }

    /// The number of a new step.
    pub(crate) fn step(&mut self) -> usize {
        self.steps += 1;
        self.steps - 1
    }

    /// The best order of `nodes` that is found, as steps.
    pub(crate) fn pipeline(
        &mut self,
        nodes: &[Node],
        seeds: Seeds,
        out: &VarSet,
        lead: Option<VarId>,
    ) -> Result<Built, Error> {
        let bounds = cost::bounds(nodes, &self.fixed);
        let order = self.best(nodes, &bounds, &seeds, lead)?;
        self.emit(nodes, &bounds, &order, seeds, out)
    }

    fn best(
        &mut self,
        nodes: &[Node],
        bounds: &Bounds,
        seeds: &Seeds,
        lead: Option<VarId>,
    ) -> Result<Order, Error> {
        let mut start = Walk::new(nodes, &self.fixed, seeds);
        start.take_free(nodes);
        if self.dice.is_some() || !seeds.unit {
            return self.greedy(nodes, bounds, start, f64::INFINITY)?.ok_or_else(stuck);
        }
        let mut drivers = self.open(nodes, bounds, &start)?;
        if drivers.is_empty() {
            return self.greedy(nodes, bounds, start, f64::INFINITY)?.ok_or_else(stuck);
        }
        drivers.sort_by(|x, y| score(x).total_cmp(&score(y)));
        drivers.truncate(MAX_DRIVERS);
        let mut best: Option<(f64, Order)> = None;
        for driver in drivers {
            let mut walk = start.clone();
            walk.take(driver, nodes);
            walk.take_free(nodes);
            let limit = best.as_ref().map_or(f64::INFINITY, |(total, _)| *total);
            let Some(order) = self.greedy(nodes, bounds, walk, limit)? else { continue };
            let sorted = lead.is_some() && order.lead() == lead;
            let total = order.cost + if sorted { 0.0 } else { order.rows * SORT_ROW };
            if total < limit {
                best = Some((total, order));
            }
        }
        best.map(|(_, order)| order).ok_or_else(stuck)
    }

    /// Goes on from `walk` with the cheapest node each time; `None` when it costs more than `limit`.
    fn greedy(
        &mut self,
        nodes: &[Node],
        bounds: &Bounds,
        mut walk: Walk,
        limit: f64,
    ) -> Result<Option<Order>, Error> {
        while walk.left > 0 {
            let candidates = self.open(nodes, bounds, &walk)?;
            let pick = match &mut self.dice {
                Some(dice) if !candidates.is_empty() => Some(candidates[dice.roll(candidates.len())]),
                _ => candidates.into_iter().min_by(|x, y| score(x).total_cmp(&score(y))),
            };
            walk.take(pick.ok_or_else(stuck)?, nodes);
            walk.take_free(nodes);
            if walk.cost > limit {
                return Ok(None);
            }
        }
        Ok(Some(Order { picks: walk.picks, cost: walk.cost, rows: walk.state.rows }))
    }

    /// Every way to run one more node.
    fn open(&mut self, nodes: &[Node], bounds: &Bounds, walk: &Walk) -> Result<Vec<Candidate>, Error> {
        let mut pricing = Pricing { statistics: self.statistics, fixed: &self.fixed, bounds };
        let mut found = Vec::new();
        for (i, node) in nodes.iter().enumerate().filter(|(i, _)| !walk.taken[*i]) {
            found.extend(pricing.candidates(i, node, &walk.state)?);
        }
        Ok(found)
    }
}

fn score(candidate: &Candidate) -> f64 {
    candidate.cost + candidate.rows * CARRY_ROW
}

fn stuck() -> Error {
    Error::new(Code::InsufficientBinding, "no order of the clauses binds every variable before it is needed")
}

/// A partial order.
#[derive(Clone)]
struct Walk {
    taken: Vec<bool>,
    left: usize,
    state: State,
    cost: f64,
    picks: Vec<Candidate>,
}

impl Walk {
    fn new(nodes: &[Node], fixed: &VarSet, seeds: &Seeds) -> Walk {
        let mut bound = seeds.bound.clone();
        bound.join(fixed);
        Walk {
            taken: vec![false; nodes.len()],
            left: nodes.len(),
            state: State { bound, rows: seeds.rows, unit: seeds.unit },
            cost: 0.0,
            picks: Vec::with_capacity(nodes.len()),
        }
    }

    fn take(&mut self, candidate: Candidate, nodes: &[Node]) {
        self.taken[candidate.node] = true;
        self.left -= 1;
        self.cost += candidate.cost;
        self.state.rows = candidate.rows.max(1e-3);
        let before = self.state.bound.clone();
        self.state.bound.join(&nodes[candidate.node].vars());
        let constants = matches!(nodes[candidate.node], Node::Filter(_) | Node::Not(_));
        if self.state.bound != before || !constants {
            self.state.unit = self.state.unit && constants;
        }
        self.picks.push(candidate);
    }

    /// Takes every node that costs next to nothing and can only help.
    fn take_free(&mut self, nodes: &[Node]) {
        let mut again = true;
        while again {
            again = false;
            for (i, node) in nodes.iter().enumerate() {
                if self.taken[i] || !self.is_free(node) {
                    continue;
                }
                let ratio = match node {
                    Node::Filter(_) => 0.4,
                    _ => 1.0,
                };
                let rows = self.state.rows * ratio;
                let cost = self.state.rows * 10.0;
                let unit = self.state.unit;
                self.take(Candidate { node: i, choice: Choice::Plain, rows, cost, lead: None }, nodes);
                // One row stays one row, but what it computes is no constant to a scan.
                self.state.unit = unit && matches!(node, Node::Filter(_));
                again = true;
            }
        }
    }

    fn is_free(&self, node: &Node) -> bool {
        match node {
            Node::Filter(_) => self.state.bound.covers(&node.needs()),
            Node::Bind(_, Binding::Scalar(_) | Binding::Tuple(_) | Binding::Blank) => {
                self.state.bound.covers(&node.needs())
            }
            Node::Same(x, y) => self.state.bound.has(*x) || self.state.bound.has(*y),
            _ => false,
        }
    }
}
