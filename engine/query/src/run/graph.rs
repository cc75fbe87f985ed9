//! The graph under a transitive closure: nodes interned to dense numbers, neighbours fetched level by level and kept.
//!
//! Reaching from one node costs one batched look-up a level; reaching from many shares what is fetched. The whole
//! closure reads the relation once and searches from every node over plain arrays. O(edges reached) for each start.

use std::ops::Bound;

use annals_db::Index;
use annals_edn::{Code, Error};

use crate::datum::DatumColumn;
use crate::plan::physical::{ClosureStep, Edge, Reading};
use crate::run::bulk;
use crate::run::context::Run;
use crate::run::frame::{self, Col, Frame};
use crate::run::keys::{self, KeyTable};
use crate::run::pipe::{collect, positions};
use crate::source::{self, Request};

/// From the first end to the second, or back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// along the relation
    Forward,
    /// against it
    Backward,
}

/// Values with dense numbers.
#[derive(Debug)]
pub(crate) struct Nodes {
    keys: KeyTable,
    /// by number
    pub values: DatumColumn,
}

/// What is known of the relation so far, in one direction.
#[derive(Debug)]
pub(crate) struct Graph {
    /// its nodes
    pub nodes: Nodes,
    direction: Direction,
    /// where the neighbours of each node lie, once fetched
    spans: Vec<Option<(u32, u32)>>,
    targets: Vec<u32>,
}

impl Nodes {
    fn new() -> Nodes {
        Nodes { keys: KeyTable::new(1), values: DatumColumn::empty() }
    }

    /// The numbers of a column's values.
    pub(crate) fn intern(&mut self, col: &Col, rows: usize) -> Vec<u32> {
        let (mut ids, mut fresh) = (Vec::with_capacity(rows), Vec::new());
        self.keys.insert(&[col], rows, |row, id, new| {
            if new {
                fresh.push(row as u32);
            }
            ids.push(id);
        });
        if !fresh.is_empty() {
            let data = match col {
                Col::Data(data) => data.gather(&fresh),
                other => frame::spread(other, fresh.len()),
            };
            if self.values.is_empty() {
                self.values = data;
            } else {
                frame::append(&mut self.values, &data);
            }
        }
        ids
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }
}

impl Graph {
    /// Nothing fetched yet.
    pub(crate) fn new(direction: Direction) -> Graph {
        Graph { nodes: Nodes::new(), direction, spans: Vec::new(), targets: Vec::new() }
    }

    /// The neighbours of a node that has been fetched.
    fn neighbours(&self, node: u32) -> &[u32] {
        match self.spans.get(node as usize) {
            Some(Some((start, end))) => &self.targets[*start as usize..*end as usize],
            _ => &[],
        }
    }

    /// What is reached from `start` by one step or more, in order of discovery.
    pub(crate) fn reach(
        &mut self,
        run: Run<'_, '_>,
        step: &ClosureStep,
        start: u32,
    ) -> Result<Vec<u32>, Error> {
        let (mut reached, mut seen) = (Vec::new(), vec![0u64; self.nodes.len() / 64 + 1]);
        let mut level = vec![start];
        while !level.is_empty() {
            run.env.check()?;
            self.fetch(run, step, &level)?;
            seen.resize(self.nodes.len() / 64 + 1, 0);
            let from = reached.len();
            for node in &level {
                for &target in self.neighbours(*node) {
                    let (word, bit) = (target as usize / 64, 1u64 << (target % 64));
                    if seen[word] & bit == 0 {
                        seen[word] |= bit;
                        reached.push(target);
                    }
                }
            }
            level = reached[from..].iter().copied().filter(|node| *node != start).collect();
        }
        Ok(reached)
    }

    /// Fetches the neighbours of those of `level` that lack them.
    pub(crate) fn fetch(&mut self, run: Run<'_, '_>, step: &ClosureStep, level: &[u32]) -> Result<(), Error> {
        self.spans.resize(self.nodes.len(), None);
        let mut missing: Vec<u32> =
            level.iter().copied().filter(|node| self.spans[*node as usize].is_none()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        missing.sort_unstable();
        missing.dedup();
        let (sources, targets) = match &step.edge {
            Edge::Attribute(_) => self.by_attribute(run, step, &missing)?,
            Edge::Body { .. } => self.by_body(run, step, &missing)?,
        };
        self.spans.resize(self.nodes.len(), None);
        missing.iter().for_each(|node| self.spans[*node as usize] = Some((0, 0)));
        let mut i = 0;
        while i < sources.len() {
            let start = self.targets.len() as u32;
            let source = sources[i];
            while i < sources.len() && sources[i] == source {
                self.targets.push(targets[i]);
                i += 1;
            }
            self.spans[source as usize] = Some((start, self.targets.len() as u32));
        }
        run.env.hold(self.targets.len() * 4 + self.nodes.len() * 40)
    }

    /// Pairs of nodes from a batched look-up, by source.
    fn by_attribute(
        &mut self,
        run: Run<'_, '_>,
        step: &ClosureStep,
        missing: &[u32],
    ) -> Result<(Vec<u32>, Vec<u32>), Error> {
        let Edge::Attribute(pattern) = &step.edge else { return Ok(Default::default()) };
        // A node that is no id, such as text bound elsewhere, is nobody's neighbour.
        let id = |node: &u32| Some((self.nodes.values.get_ref(*node as usize)?.as_integer()? as u64, *node));
        let mut keys: Vec<(u64, u32)> = missing.iter().filter_map(id).collect();
        keys.sort_unstable();
        let (by, other) = match self.direction {
            Direction::Forward => (source::E, source::V),
            Direction::Backward => (source::V, source::E),
        };
        let ids = keys.iter().map(|(id, _)| *id).collect();
        let found = self.source(run, step)?.lookup(
            &edge_request(pattern, &[other]),
            by,
            &DatumColumn::Stored(annals_db::Column::Ref(ids)),
        )?;
        let found = found.ok_or_else(|| Error::new(Code::Internal, "the source has no such look-up"))?;
        run.env.read(found.input.len());
        let rows = found.input.len();
        let mut cols = found.fields.cols;
        let Some(data) = cols.get_mut(other).and_then(Option::take) else { return Ok(Default::default()) };
        let targets = self.nodes.intern(&Col::Data(data), rows);
        let sources = found.input.iter().map(|key| keys[*key as usize].1).collect();
        Ok((sources, targets))
    }

    fn source<'a>(
        &self,
        run: Run<'_, 'a>,
        step: &ClosureStep,
    ) -> Result<Box<dyn source::Source<'a> + 'a>, Error> {
        let found = match &step.edge {
            Edge::Attribute(pattern) => run.env.source(pattern.source),
            Edge::Body { .. } => None,
        };
        found.ok_or_else(|| Error::new(Code::InvalidDataSource, "no such source"))
    }

    /// Pairs of nodes from a pipeline seeded with the missing ones, by source.
    fn by_body(
        &mut self,
        run: Run<'_, '_>,
        step: &ClosureStep,
        missing: &[u32],
    ) -> Result<(Vec<u32>, Vec<u32>), Error> {
        let Edge::Body { ends, forward, backward, .. } = &step.edge else { return Ok(Default::default()) };
        let (pipeline, from, to) = match self.direction {
            Direction::Forward => (forward, ends.0, ends.1),
            Direction::Backward => (backward, ends.1, ends.0),
        };
        let mut seeds = run.env.base.clone();
        seeds.rows = missing.len();
        seeds.set(from, Col::Data(self.nodes.values.gather(missing)));
        let found = collect(run, pipeline, seeds)?;
        let sources = self.nodes.intern(found.col(from), found.rows);
        let targets = self.nodes.intern(found.col(to), found.rows);
        let mut pairs: Vec<(u32, u32)> = sources.into_iter().zip(targets).collect();
        pairs.sort_unstable();
        pairs.dedup();
        Ok(pairs.into_iter().unzip())
    }
}

/// The whole closure, of step number `id`: pairs of values, sorted where they are ids.
pub(crate) fn whole(
    run: Run<'_, '_>,
    step: &ClosureStep,
    id: usize,
) -> Result<(usize, DatumColumn, DatumColumn), Error> {
    let (rows, from, to) = edges(run, step)?;
    let mut nodes = Nodes::new();
    number_in_order(&mut nodes, &from, &to, rows);
    let sources = nodes.intern(&from, rows);
    let targets = nodes.intern(&to, rows);
    let adjacent = keys::Groups::new(&sources, nodes.len());
    let targets_of = |node: u32| adjacent.of(node).iter().map(|edge| targets[*edge as usize]);
    let mut starts = sources.clone();
    starts.sort_unstable();
    starts.dedup();
    let (mut left, mut right) = (Vec::new(), Vec::new());
    let mut seen = vec![0u64; nodes.len() / 64 + 1];
    for start in starts {
        run.env.check()?;
        let first = right.len();
        let mut next = first;
        let mut expand = Some(start);
        while let Some(node) = expand {
            for target in targets_of(node) {
                let (word, bit) = (target as usize / 64, 1u64 << (target % 64));
                if seen[word] & bit == 0 {
                    seen[word] |= bit;
                    right.push(target);
                }
            }
            expand = right.get(next).copied();
            next += 1;
        }
        left.resize(right.len(), start);
        tidy(&mut right[first..], &mut seen);
        run.env.hold(right.len() * 24)?;
    }
    run.env.count_within(id, right.len())?;
    let column = |rows: &[u32]| bulk::column(run.env, &nodes.values, rows);
    Ok((right.len(), column(&left)?, column(&right)?))
}

/// Sorts what one start reached and clears the bits that it set.
fn tidy(reached: &mut [u32], seen: &mut [u64]) {
    if reached.len() * 8 < seen.len() {
        reached.iter().for_each(|node| seen[*node as usize / 64] = 0);
        reached.sort_unstable();
        return;
    }
    let mut at = 0;
    for (i, word) in seen.iter_mut().enumerate() {
        while *word != 0 {
            reached[at] = i as u32 * 64 + word.trailing_zeros();
            *word &= *word - 1;
            at += 1;
        }
    }
}

/// Interns ids in ascending order, so that numbers sort as they do.
fn number_in_order(nodes: &mut Nodes, from: &Col, to: &Col, rows: usize) {
    let (Some(x), Some(y)) = (keys::ints(from), keys::ints(to)) else { return };
    let mut all = x.to_vec(rows);
    all.extend(y.to_vec(rows));
    all.sort_unstable();
    all.dedup();
    let rows = all.len();
    nodes.intern(&Col::Data(annals_db::Column::Ref(all).into()), rows);
}

/// Every edge.
fn edges(run: Run<'_, '_>, step: &ClosureStep) -> Result<(usize, Col, Col), Error> {
    match &step.edge {
        Edge::Body { ends, whole, .. } => {
            let found: Frame = collect(run, whole, run.env.base.clone())?;
            Ok((found.rows, found.col(ends.0).clone(), found.col(ends.1).clone()))
        }
        Edge::Attribute(pattern) => {
            let source = run.env.source(pattern.source);
            let source = source.ok_or_else(|| Error::new(Code::InvalidDataSource, "no such source"))?;
            let mut cursor = source.scan(&edge_request(pattern, &[source::E, source::V]))?;
            let mut all = source::Fields::default();
            while let Some(fields) = cursor.next()? {
                run.env.read(fields.rows);
                run.env.check()?;
                all.append(fields);
            }
            let mut take = |i: usize| match all.cols.get_mut(i).and_then(Option::take) {
                Some(data) => Col::Data(data),
                None => Col::Data(annals_db::Column::Ref(Vec::new()).into()),
            };
            let (from, to) = (take(source::E), take(source::V));
            Ok((all.rows, from, to))
        }
    }
}

fn edge_request(pattern: &crate::plan::logic::DataPattern, wanted: &[usize]) -> Request {
    let (attribute, _) = positions(&Reading::Data(pattern.clone()));
    let wanted = (0..5).map(|i| wanted.contains(&i)).collect();
    let bounds = (Bound::Unbounded, Bound::Unbounded);
    Request {
        attribute,
        fixed: vec![None; 5],
        wanted,
        index: Index::Aevt,
        bounds,
        identity: false,
        start: None,
    }
}
