//! Steps with pipelines inside that run on the distinct values of a batch: not and or.

use std::sync::Arc;

use annals_db::Column;
use annals_edn::Error;

use crate::ast::VarId;
use crate::plan::physical::{NotStep, Step, StepKind, UnionStep};
use crate::plan::vars::VarSet;
use crate::run::bulk::{self, Pairs};
use crate::run::context::Run;
use crate::run::frame::{Col, Frame, SOUND};
use crate::run::join::paired;
use crate::run::keys::{self, Groups, KeyTable};
use crate::run::pipe::{Map, collect};

/// The distinct values of some variables, as rows to start from.
pub(crate) struct SeedRows {
    /// a row each, numbered in the seed variable
    pub frame: Frame,
    /// the seed of each row of the batch
    pub of_row: Vec<u32>,
}

impl SeedRows {
    /// Of `vars` in `frame`; their number goes to `seed`.
    pub(crate) fn new(run: Run<'_, '_>, frame: &Frame, vars: &[VarId], seed: VarId) -> SeedRows {
        let mut base = run.env.base.clone();
        if vars.is_empty() {
            base.set(seed, Col::Data(Column::Ref(vec![0]).into()));
            return SeedRows { frame: base, of_row: vec![0; frame.rows] };
        }
        let cols: Vec<&Col> = vars.iter().map(|var| frame.col(*var)).collect();
        let mut table = KeyTable::new(vars.len());
        let (mut first, mut of_row) = (Vec::new(), Vec::with_capacity(frame.rows));
        table.insert(&cols, frame.rows, |row, id, new| {
            if new {
                first.push(row as u32);
            }
            of_row.push(id);
        });
        base.rows = first.len();
        for var in vars {
            let col = match frame.col(*var) {
                Col::Data(data) => Col::Data(data.gather(&first)),
                other => other.clone(),
            };
            base.set(*var, col);
        }
        base.set(seed, Col::Data(Column::Ref((0..first.len() as u64).collect()).into()));
        SeedRows { frame: base, of_row }
    }
}

/// Rows for which a body has no solution.
pub(crate) struct NotMap {
    step: Arc<Step>,
}

impl NotMap {
    /// Of a not step.
    pub(crate) fn new(step: Arc<Step>) -> NotMap {
        NotMap { step }
    }

    fn filter(&self, run: Run<'_, '_>, not: &NotStep, mut frame: Frame) -> Result<Frame, Error> {
        let seeds = SeedRows::new(run, &frame, &not.join, not.seed);
        let count = seeds.frame.rows;
        let found = collect(run, &not.body, seeds.frame)?;
        let mut solved = vec![false; count];
        let mut marks = vec![SOUND; count];
        if let Some(ids) = keys::ints(found.col(not.seed)) {
            for row in 0..found.rows {
                let seed = ids.get(row) as usize;
                match found.marked(row) {
                    false => solved[seed] = true,
                    true => marks[seed] = marks[seed].min(found.marks[row]),
                }
            }
        }
        let unsolved = |row: &u32| !solved[seeds.of_row[*row as usize] as usize];
        let rows: Vec<u32> = (0..frame.rows as u32).filter(unsolved).collect();
        for row in &rows {
            let mark = marks[seeds.of_row[*row as usize] as usize];
            if mark != SOUND {
                frame.mark(*row as usize, mark);
            }
        }
        Ok(frame.select(&rows, &self.step.keep))
    }
}

impl Map for NotMap {
    fn apply(&mut self, run: Run<'_, '_>, frame: Frame) -> Result<Frame, Error> {
        match &self.step.kind {
            StepKind::Not(not) => self.filter(run, not, frame),
            _ => Ok(frame),
        }
    }

    fn joins(&self) -> (Vec<VarId>, Vec<VarId>) {
        match &self.step.kind {
            StepKind::Not(not) => (not.join.clone(), Vec::new()),
            _ => Default::default(),
        }
    }
}

/// A join with the union of branches.
pub(crate) struct UnionMap {
    step: Arc<Step>,
}

impl UnionMap {
    /// Of a union step.
    pub(crate) fn new(step: Arc<Step>) -> UnionMap {
        UnionMap { step }
    }

    fn join(&self, run: Run<'_, '_>, union: &UnionStep, frame: Frame) -> Result<Frame, Error> {
        let seeds = SeedRows::new(run, &frame, &union.bound, union.seed);
        let count = seeds.frame.rows;
        let mut outs: VarSet = union.outs.iter().copied().collect();
        outs.add(union.seed);
        let mut all = Frame::empty(frame.cols.len());
        for branch in &union.branches {
            let mut found = collect(run, branch, seeds.frame.clone())?;
            if found.rows > 0 {
                spread_outs(&mut found, &outs);
                all.append(found);
            }
        }
        let mut vars = vec![union.seed];
        vars.extend(&union.outs);
        let rows = distinct_rows(run, &all, &vars)?;
        let all = bulk::gather(run.env, &all, &rows, &outs)?;
        run.env.hold(all.bytes())?;
        let ids: Vec<u32> = match keys::ints(all.col(union.seed)) {
            Some(ids) => (0..all.rows).map(|row| ids.get(row) as u32).collect(),
            None => Vec::new(),
        };
        let groups = Groups::new(&ids, count);
        let mut pairs = Pairs::default();
        for (row, seed) in seeds.of_row.iter().enumerate() {
            pairs.add(run.env, row as u32, groups.of(*seed))?;
        }
        paired(run, &frame, &all, &pairs, &union.outs, &self.step.keep)
    }
}

/// Makes columns of what is constant in one branch: it may not be in the next. Drops all else.
fn spread_outs(frame: &mut Frame, outs: &VarSet) {
    let rows = frame.rows;
    for (i, col) in frame.cols.iter_mut().enumerate() {
        if outs.has(VarId(i as u32)) {
            if matches!(col, Col::Const(_)) {
                *col = Col::Data(crate::run::frame::spread(col, rows));
            }
        } else {
            *col = Col::Absent;
        }
    }
}

/// The first of identical rows, and every marked one.
fn distinct_rows(run: Run<'_, '_>, frame: &Frame, vars: &[VarId]) -> Result<Vec<u32>, Error> {
    if frame.rows == 0 {
        return Ok(Vec::new());
    }
    let cols: Vec<&Col> = vars.iter().map(|var| frame.col(*var)).collect();
    let mut rows = Vec::with_capacity(frame.rows);
    bulk::insert(run.env, &mut KeyTable::new(vars.len()), &cols, frame.rows, |row, _, new| {
        if new || frame.marked(row) {
            rows.push(row as u32);
        }
    })?;
    Ok(rows)
}

impl Map for UnionMap {
    fn apply(&mut self, run: Run<'_, '_>, frame: Frame) -> Result<Frame, Error> {
        match &self.step.kind {
            StepKind::Union(union) => self.join(run, union, frame),
            _ => Ok(frame),
        }
    }

    fn joins(&self) -> (Vec<VarId>, Vec<VarId>) {
        match &self.step.kind {
            StepKind::Union(union) => (union.bound.clone(), union.outs.clone()),
            _ => Default::default(),
        }
    }
}
