//! The step of a transitive closure: from whichever end is bound, or whole.

use std::sync::Arc;

use annals_edn::Error;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::ast::VarId;
use crate::datum::DatumColumn;
use crate::plan::physical::{ClosureStep, Step, StepKind};
use crate::run::bulk::{self, Pairs};
use crate::run::context::Run;
use crate::run::frame::{Col, Frame};
use crate::run::graph::{Direction, Graph, whole};
use crate::run::pipe::Map;

/// A join with a transitive closure; what one batch has found serves the next.
pub(crate) struct ClosureMap {
    step: Arc<Step>,
    graph: Option<Graph>,
    reached: FxHashMap<u32, Arc<Vec<u32>>>,
    pairs: Option<(usize, DatumColumn, DatumColumn)>,
}

impl ClosureMap {
    /// Of a closure step.
    pub(crate) fn new(step: Arc<Step>) -> ClosureMap {
        ClosureMap { step, graph: None, reached: FxHashMap::default(), pairs: None }
    }

    /// Both ends free: every pair beside every row.
    fn free(&mut self, run: Run<'_, '_>, closure: &ClosureStep, frame: Frame) -> Result<Frame, Error> {
        if self.pairs.is_none() {
            self.pairs = Some(whole(run, closure, self.step.id)?);
        }
        let Some((rows, from, to)) = &self.pairs else { return Ok(frame) };
        let mut joined = Frame::empty(frame.cols.len());
        if frame.rows == 1 {
            joined = bulk::gather(run.env, &frame, &vec![0; *rows], &self.step.keep)?;
            self.set(&mut joined, closure.from, || bulk::copy(run.env, from))?;
            self.set(&mut joined, closure.to, || bulk::copy(run.env, to))?;
            return Ok(joined);
        }
        let every: Vec<u32> = (0..*rows as u32).collect();
        for row in 0..frame.rows as u32 {
            run.env.moved(*rows)?;
            let mut part = frame.gather(&vec![row; *rows], &self.step.keep);
            self.set(&mut part, closure.from, || bulk::column(run.env, from, &every))?;
            self.set(&mut part, closure.to, || bulk::column(run.env, to, &every))?;
            joined.append(part);
            run.env.hold(joined.bytes())?;
        }
        Ok(joined)
    }

    fn set(
        &self,
        frame: &mut Frame,
        var: VarId,
        column: impl FnOnce() -> Result<DatumColumn, Error>,
    ) -> Result<(), Error> {
        if self.step.keep.has(var) {
            frame.set(var, Col::Data(column()?));
        }
        Ok(())
    }

    /// One end bound: what each distinct value reaches, beside its rows.
    fn bound(
        &mut self,
        run: Run<'_, '_>,
        closure: &ClosureStep,
        frame: Frame,
        (start, end, direction): (VarId, VarId, Direction),
    ) -> Result<Frame, Error> {
        let graph = self.graph.get_or_insert_with(|| Graph::new(direction));
        let starts =
            graph.nodes.intern(frame.col(start), if is_const(&frame, start) { 1 } else { frame.rows });
        for node in &starts {
            if !self.reached.contains_key(node) {
                let found = graph.reach(run, closure, *node)?;
                self.reached.insert(*node, Arc::new(found));
            }
        }
        let of_row = |row: usize| if starts.len() == 1 { starts[0] } else { starts[row] };
        let mut pairs = Pairs::default();
        for row in 0..frame.rows {
            pairs.add(run.env, row as u32, &self.reached[&of_row(row)])?;
            run.env.hold(pairs.right.len() * 16)?;
        }
        let mut joined = bulk::gather(run.env, &frame, &pairs.left, &self.step.keep)?;
        let values = &graph.nodes.values;
        if self.step.keep.has(end) {
            joined.set(end, Col::Data(bulk::column(run.env, values, &pairs.right)?));
        }
        Ok(joined)
    }

    /// Both ends bound: rows whose second end is reached from the first.
    fn test(&mut self, run: Run<'_, '_>, closure: &ClosureStep, frame: Frame) -> Result<Frame, Error> {
        let graph = self.graph.get_or_insert_with(|| Graph::new(Direction::Forward));
        let rows_of = |var| if is_const(&frame, var) { 1 } else { frame.rows };
        let from = graph.nodes.intern(frame.col(closure.from), rows_of(closure.from));
        let to = graph.nodes.intern(frame.col(closure.to), rows_of(closure.to));
        let mut sets: FxHashMap<u32, FxHashSet<u32>> = FxHashMap::default();
        for node in &from {
            if !sets.contains_key(node) {
                sets.insert(*node, graph.reach(run, closure, *node)?.into_iter().collect());
            }
        }
        let at = |nodes: &[u32], row: usize| if nodes.len() == 1 { nodes[0] } else { nodes[row] };
        let reaches = |row: &u32| sets[&at(&from, *row as usize)].contains(&at(&to, *row as usize));
        let rows: Vec<u32> = (0..frame.rows as u32).filter(reaches).collect();
        Ok(frame.select(&rows, &self.step.keep))
    }
}

fn is_const(frame: &Frame, var: VarId) -> bool {
    matches!(frame.col(var), Col::Const(_))
}

impl Map for ClosureMap {
    fn apply(&mut self, run: Run<'_, '_>, frame: Frame) -> Result<Frame, Error> {
        let step = self.step.clone();
        let StepKind::Closure(closure) = &step.kind else { return Ok(frame) };
        let (from, to) = (closure.from, closure.to);
        match closure.bound {
            (false, false) => self.free(run, closure, frame),
            (true, false) => self.bound(run, closure, frame, (from, to, Direction::Forward)),
            (false, true) => self.bound(run, closure, frame, (to, from, Direction::Backward)),
            (true, true) => self.test(run, closure, frame),
        }
    }

    fn joins(&self) -> (Vec<VarId>, Vec<VarId>) {
        match &self.step.kind {
            StepKind::Closure(closure) => {
                let ends = vec![closure.from, closure.to];
                (ends.clone(), ends)
            }
            _ => Default::default(),
        }
    }
}
