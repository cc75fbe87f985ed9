//! Joins with rows that lie in memory: hash joins, inputs, tables of recursive rules.

use std::sync::Arc;

use annals_edn::Error;

use crate::ast::VarId;
use crate::plan::physical::{Part, Step, StepKind};
use crate::plan::vars::VarSet;
use crate::run::bulk::{self, Pairs};
use crate::run::context::Run;
use crate::run::frame::{Col, Frame, SOUND};
use crate::run::keys::{Groups, KeyTable, NONE};
use crate::run::pipe::{Map, collect};

/// Rows to join with, by key.
pub(crate) struct Build {
    rows: Frame,
    keys: Vec<VarId>,
    table: KeyTable,
    groups: Groups,
}

impl Build {
    /// Indexes `rows` by `keys`.
    pub(crate) fn new(run: Run<'_, '_>, rows: Frame, keys: Vec<VarId>) -> Result<Build, Error> {
        let mut table = KeyTable::new(keys.len());
        let mut ids = Vec::with_capacity(rows.rows);
        let cols: Vec<&Col> = keys.iter().map(|var| rows.col(*var)).collect();
        if !keys.is_empty() {
            bulk::insert(run.env, &mut table, &cols, rows.rows, |_, id, _| ids.push(id))?;
        }
        let groups = Groups::new(&ids, table.len());
        Ok(Build { rows, keys, table, groups })
    }

    /// Joins `frame` with the rows; `outs` come from them.
    pub(crate) fn join(
        &self,
        run: Run<'_, '_>,
        frame: &Frame,
        outs: &[VarId],
        keep: &VarSet,
    ) -> Result<Frame, Error> {
        let mut pairs = Pairs::default();
        if self.keys.is_empty() {
            run.env.hold(frame.rows.saturating_mul(self.rows.rows).saturating_mul(8))?;
            for row in 0..frame.rows as u32 {
                pairs.add_range(run.env, row, 0, self.rows.rows as u32)?;
            }
            return paired(run, frame, &self.rows, &pairs, outs, keep);
        }
        let cols: Vec<&Col> = self.keys.iter().map(|var| frame.col(*var)).collect();
        let ids = self.table.find(&cols, frame.rows);
        for (row, id) in ids.iter().enumerate().filter(|(_, id)| **id != NONE) {
            let matches = self.groups.of(*id);
            run.env.make_room(pairs.left.len() + matches.len(), 0)?;
            pairs.add(run.env, row as u32, matches)?;
        }
        run.env.hold(pairs.left.len() * 16)?;
        paired(run, frame, &self.rows, &pairs, outs, keep)
    }
}

/// Rows of one frame beside rows of another, from which `outs` are taken.
pub(crate) fn paired(
    run: Run<'_, '_>,
    frame: &Frame,
    other: &Frame,
    pairs: &Pairs,
    outs: &[VarId],
    keep: &VarSet,
) -> Result<Frame, Error> {
    let mut joined = bulk::gather(run.env, frame, &pairs.left, keep)?;
    for var in outs.iter().filter(|var| keep.has(**var)) {
        let col = match other.col(*var) {
            Col::Data(data) => Col::Data(bulk::column(run.env, data, &pairs.right)?),
            col => col.clone(),
        };
        joined.set(*var, col);
    }
    if !other.marks.is_empty() {
        joined.marks.resize(joined.rows, SOUND);
        for (mark, row) in joined.marks.iter_mut().zip(&pairs.right) {
            *mark = (*mark).min(other.marks[*row as usize]);
        }
    }
    Ok(joined)
}

/// A hash join; its other side runs when the first rows arrive.
pub(crate) struct HashMap {
    step: Arc<Step>,
    build: Option<Build>,
}

impl HashMap {
    /// Of a hash step.
    pub(crate) fn new(step: Arc<Step>) -> HashMap {
        HashMap { step, build: None }
    }
}

impl Map for HashMap {
    fn apply(&mut self, run: Run<'_, '_>, frame: Frame) -> Result<Frame, Error> {
        let StepKind::Hash(hash) = &self.step.kind else { return Ok(frame) };
        if self.build.is_none() {
            let rows = collect(run, &hash.build, run.env.base.clone())?;
            self.build = Some(Build::new(run, rows, hash.keys.clone())?);
        }
        match &self.build {
            Some(build) if build.rows.rows > 0 => build.join(run, &frame, &hash.outs, &self.step.keep),
            _ => Ok(Frame::empty(frame.cols.len())),
        }
    }

    fn joins(&self) -> (Vec<VarId>, Vec<VarId>) {
        match &self.step.kind {
            StepKind::Hash(hash) => (hash.keys.clone(), hash.outs.clone()),
            _ => Default::default(),
        }
    }
}

/// A join with the rows of an input.
pub(crate) struct RowsMap {
    step: Arc<Step>,
    build: Option<(Build, Vec<VarId>)>,
}

impl RowsMap {
    /// Of a rows step.
    pub(crate) fn new(step: Arc<Step>) -> RowsMap {
        RowsMap { step, build: None }
    }
}

impl Map for RowsMap {
    fn apply(&mut self, run: Run<'_, '_>, frame: Frame) -> Result<Frame, Error> {
        let StepKind::Rows(input) = &self.step.kind else { return Ok(frame) };
        if self.build.is_none() {
            let Some(rows) = &run.env.inputs[input.input] else {
                return Ok(Frame::empty(frame.cols.len()));
            };
            let mut held = Frame::empty(frame.cols.len());
            held.rows = rows.rows;
            let vars = input.slots.iter().copied().chain(input.resolved.iter().map(|(_, _, var)| Some(*var)));
            for (var, col) in vars.zip(&rows.cols) {
                if let Some(var) = var {
                    held.set(var, Col::Data(col.clone()));
                }
            }
            let bound = |var: &VarId| !matches!(frame.col(*var), Col::Absent);
            let (keys, outs): (Vec<VarId>, Vec<VarId>) = input.vars().partition(|var| bound(var));
            self.build = Some((Build::new(run, held, keys)?, outs));
        }
        match &self.build {
            Some((build, outs)) => build.join(run, &frame, outs, &self.step.keep),
            None => Ok(frame),
        }
    }
}

/// A join with a part of a table of the recursive rule at work.
pub(crate) struct TableMap {
    step: Arc<Step>,
}

impl TableMap {
    /// Of a table step.
    pub(crate) fn new(step: Arc<Step>) -> TableMap {
        TableMap { step }
    }
}

impl Map for TableMap {
    fn apply(&mut self, run: Run<'_, '_>, frame: Frame) -> Result<Frame, Error> {
        let (StepKind::Table(read), Some(tables)) = (&self.step.kind, run.tables) else { return Ok(frame) };
        let table = &tables.tables[read.table];
        let (from, to) = match read.part {
            Part::Old => (0, table.old),
            Part::Delta => (table.old, table.seen),
            Part::Whole => (0, table.seen),
        };
        let at = |var: &VarId| read.args.iter().position(|arg| arg == var);
        let mut pairs = Pairs::default();
        let positions: Vec<usize> = read.keys.iter().filter_map(at).collect();
        if positions.is_empty() {
            for row in 0..frame.rows as u32 {
                pairs.add_range(run.env, row, from as u32, to as u32)?;
            }
        } else {
            let cols: Vec<&Col> = read.keys.iter().map(|var| frame.col(*var)).collect();
            tables.probe(read.table, &positions, &cols, frame.rows, |row, matches| {
                let start = matches.partition_point(|&id| (id as usize) < from);
                let end = matches.partition_point(|&id| (id as usize) < to);
                pairs.left.extend(std::iter::repeat_n(row, end - start));
                pairs.right.extend_from_slice(&matches[start..end]);
            });
        }
        run.env.hold(pairs.left.len() * 16)?;
        let mut joined = bulk::gather(run.env, &frame, &pairs.left, &self.step.keep)?;
        for (i, var) in read.args.iter().enumerate() {
            if self.step.keep.has(*var) && !read.keys.contains(var) {
                joined.set(*var, Col::Data(bulk::column(run.env, &table.cols[i], &pairs.right)?));
            }
        }
        Ok(joined)
    }

    fn joins(&self) -> (Vec<VarId>, Vec<VarId>) {
        match &self.step.kind {
            StepKind::Table(read) => (read.keys.clone(), read.args.clone()),
            _ => Default::default(),
        }
    }
}
