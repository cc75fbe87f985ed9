//! The search for a plan: the cheapest order of nodes, by estimated cost.
//!
//! Partial orders grow by one node at a time; of those that hold the same nodes only the cheapest goes on, and of all of
//! one length only the most promising. For up to eight patterns or so nothing is lost that way (it is the dynamic
//! programme over sets of nodes); for more it is a beam. The order in which clauses were written only breaks ties. A
//! scan that delivers the order of the result saves the sort and is priced so. With a seed the search picks at random among all valid ways: tests run such plans and expect the same bytes.

use std::collections::hash_map::Entry;

use annals_edn::{Code, Error};
use rustc_hash::FxHashMap;

use crate::ast::{Binding, VarId};

use super::cost::{self, Bounds, CARRY_ROW, Candidate, Choice, Pricing, SORT_ROW, State};
use super::estimate::Statistics;
use super::logic::{Logic, Node};
use super::physical::{Pipeline, Plan};
use super::vars::VarSet;

/// How many partial orders of one length go on, by the number of nodes.
const BEAMS: [(usize, usize); 3] = [(7, 24), (24, 12), (64, 4)];
/// The same where a pipeline stands inside another.
const INNER_BEAM: usize = 6;

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
        if self.dice.is_some() {
            return self.random(nodes, bounds, start);
        }
        let width = BEAMS.iter().find(|(most, _)| nodes.len() <= *most).map_or(1, |(_, width)| *width);
        let width = if seeds.unit { width } else { width.min(INNER_BEAM) };
        let mut best: Option<(f64, Walk)> = None;
        let mut front = vec![start];
        while !front.is_empty() {
            let mut next = Front::default();
            for walk in front {
                let limit = best.as_ref().map_or(f64::INFINITY, |(total, _)| *total);
                if walk.left == 0 {
                    let total = walk.total(lead);
                    if total < limit {
                        best = Some((total, walk));
                    }
                    continue;
                }
                for candidate in self.open(nodes, bounds, &walk)? {
                    if walk.cost + candidate.cost >= limit {
                        continue;
                    }
                    let mut longer = walk.clone();
                    longer.take(candidate, nodes);
                    longer.take_free(nodes);
                    next.add(longer, lead);
                }
            }
            front = next.best(width, lead);
        }
        let (_, walk) = best.ok_or_else(stuck)?;
        Ok(walk.order())
    }

    /// Goes on with any node each time.
    fn random(&mut self, nodes: &[Node], bounds: &Bounds, mut walk: Walk) -> Result<Order, Error> {
        while walk.left > 0 {
            let candidates = self.open(nodes, bounds, &walk)?;
            let dice = self.dice.as_mut().filter(|_| !candidates.is_empty()).ok_or_else(stuck)?;
            let pick = candidates[dice.roll(candidates.len())];
            walk.take(pick, nodes);
            walk.take_free(nodes);
        }
        Ok(walk.order())
    }

    /// Every way to run one more node.
    fn open(&mut self, nodes: &[Node], bounds: &Bounds, walk: &Walk) -> Result<Vec<Candidate>, Error> {
        let mut pricing = Pricing { statistics: self.statistics, fixed: &self.fixed, bounds };
        let mut found = Vec::new();
        for (i, node) in nodes.iter().enumerate().filter(|(i, _)| !walk.has(*i)) {
            found.extend(pricing.candidates(i, node, &walk.state)?);
        }
        Ok(found)
    }
}

/// Partial orders of one length: of those with the same nodes and the same order of rows the cheapest.
#[derive(Default)]
struct Front {
    walks: Vec<Walk>,
    places: FxHashMap<(VarSet, bool), usize>,
}

impl Front {
    fn add(&mut self, walk: Walk, lead: Option<VarId>) {
        let key = (walk.taken.clone(), walk.sorted(lead));
        match self.places.entry(key) {
            Entry::Vacant(place) => {
                place.insert(self.walks.len());
                self.walks.push(walk);
            }
            Entry::Occupied(place) => {
                let other = &mut self.walks[*place.get()];
                if walk.promise(lead) < other.promise(lead) {
                    *other = walk;
                }
            }
        }
    }

    /// The most promising, in order of promise.
    fn best(mut self, width: usize, lead: Option<VarId>) -> Vec<Walk> {
        self.walks.sort_by(|x, y| x.promise(lead).total_cmp(&y.promise(lead)));
        self.walks.truncate(width);
        self.walks
    }
}

fn stuck() -> Error {
    Error::new(Code::InsufficientBinding, "no order of the clauses binds every variable before it is needed")
}

/// A partial order.
#[derive(Clone)]
struct Walk {
    /// numbers of nodes, as a set
    taken: VarSet,
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
            taken: VarSet::default(),
            left: nodes.len(),
            state: State { bound, rows: seeds.rows, unit: seeds.unit },
            cost: 0.0,
            picks: Vec::with_capacity(nodes.len()),
        }
    }

    fn take(&mut self, candidate: Candidate, nodes: &[Node]) {
        self.taken.add(VarId(candidate.node as u32));
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

    fn has(&self, node: usize) -> bool {
        self.taken.has(VarId(node as u32))
    }

    fn sorted(&self, lead: Option<VarId>) -> bool {
        let first = self.picks.iter().find(|pick| pick.choice != Choice::Plain);
        lead.is_some() && first.and_then(|pick| pick.lead) == lead
    }

    /// What it costs if nothing is left to do but sort.
    fn total(&self, lead: Option<VarId>) -> f64 {
        self.cost + if self.sorted(lead) { 0.0 } else { self.state.rows * SORT_ROW }
    }

    /// What it costs so far, and what its rows cost whatever comes next.
    fn promise(&self, lead: Option<VarId>) -> f64 {
        self.total(lead) + self.state.rows * CARRY_ROW * self.left.min(1) as f64
    }

    fn order(self) -> Order {
        Order { picks: self.picks, cost: self.cost, rows: self.state.rows }
    }

    /// Takes every node that costs next to nothing and can only help.
    fn take_free(&mut self, nodes: &[Node]) {
        let mut again = true;
        while again {
            again = false;
            for (i, node) in nodes.iter().enumerate() {
                if self.has(i) || !self.is_free(node) {
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
