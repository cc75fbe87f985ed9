//! A pipeline at work: frames are pulled from its scan and pushed through the other steps, one batch at a time.
//!
//! A pipeline has at most one step that yields many batches from one (its scan); every other step maps a batch to a
//! batch and keeps its order. So pulling is a loop, not a recursion, whatever the length of the plan.

use std::ops::Bound;
use std::sync::Arc;

use annals_db::Value;
use annals_edn::{Code, Error};

use crate::ast::VarId;
use crate::datum::{Datum, DatumColumn};
use crate::plan::logic::Attr;
use crate::plan::physical::{Pipeline, Reading, ScanStep, Step, StepKind};
use crate::run::context::{Env, Run, STEP};
use crate::run::frame::{Col, Frame, failed};
use crate::source::{self, Cursor, Fields, Request};

/// A step that makes one batch of one batch.
pub(crate) trait Map: Send {
    /// The rows that `frame` becomes, in its order.
    fn apply(&mut self, run: Run<'_, '_>, frame: Frame) -> Result<Frame, Error>;

    /// Variables that it joins by, and those that it binds: rows whose join value failed are passed around it.
    fn joins(&self) -> (Vec<VarId>, Vec<VarId>) {
        (Vec::new(), Vec::new())
    }
}

/// A pipeline at work.
pub(crate) struct Pipe<'a> {
    seeds: Option<Frame>,
    before: Vec<(Arc<Step>, Box<dyn Map>)>,
    scan: Option<(Arc<Step>, Option<Open<'a>>)>,
    after: Vec<(Arc<Step>, Box<dyn Map>)>,
    /// rows that have yet to go through the steps from a number on, the next ones last
    pending: Vec<Pending>,
    start: Option<Datum>,
    /// rows that it starts from
    seeded: usize,
}

/// A frame too large for one step, taken in pieces.
struct Pending {
    step: usize,
    frame: Frame,
    from: usize,
}

/// The most rows that a step is given at a time.
const PIECE: usize = 8192;
/// The most rows that a step should make of a piece: what lies between two looks at the cancel flag.
const MADE: u64 = 1 << 17;
/// Rows for a step that is thought to multiply them, until it is known by how much.
const FIRST_PIECE: usize = 64;
/// What is thought to multiply.
const MULTIPLIES: f64 = 8.0;

/// A scan under way.
struct Open<'a> {
    left: Frame,
    cursor: Box<dyn Cursor + Send + 'a>,
    /// position and variable of what is wanted
    outs: Vec<(usize, VarId)>,
}

impl<'a> Pipe<'a> {
    /// Starts a pipeline from `seeds`. With `start`, rows whose leading value is before it may be left out.
    pub(crate) fn new(pipeline: &Pipeline, seeds: Frame, start: Option<Datum>) -> Pipe<'a> {
        let is_scan = |step: &Arc<Step>| matches!(step.kind, StepKind::Scan(_));
        // Without a scan the seeds are what comes first: they may be many.
        let scan = pipeline.steps.iter().position(is_scan);
        let (before, after) = scan.map_or((0, 0), |at| (at, at + 1));
        let maps = |steps: &[Arc<Step>]| steps.iter().map(|step| (step.clone(), map(step))).collect();
        Pipe {
            seeded: seeds.rows,
            seeds: Some(seeds),
            before: maps(&pipeline.steps[..before]),
            scan: scan.map(|at| (pipeline.steps[at].clone(), None)),
            after: maps(&pipeline.steps[after..]),
            pending: Vec::new(),
            start,
        }
    }

    /// The next batch, not empty; `None` at the end.
    ///
    /// # Errors
    /// Of sources and budgets, and `CANCELLED`.
    pub(crate) fn next(&mut self, run: Run<'_, 'a>) -> Result<Option<Frame>, Error> {
        loop {
            let Some((mut at, mut frame)) = self.piece(run)? else { return Ok(None) };
            while at < self.after.len() && frame.rows > 0 {
                if frame.rows > self.most(run, at) {
                    self.pending.push(Pending { step: at, frame, from: 0 });
                    frame = Frame::empty(0);
                    break;
                }
                let (step, map) = &mut self.after[at];
                frame = pass(run, step, map.as_mut(), frame)?;
                at += 1;
            }
            if frame.rows > 0 {
                return Ok(Some(frame));
            }
        }
    }

    /// The next rows, and the number of the step that they go on with.
    fn piece(&mut self, run: Run<'_, 'a>) -> Result<Option<(usize, Frame)>, Error> {
        let Some(Pending { step, frame, from }) = self.pending.pop() else {
            let scan = self.scan.as_ref().map(|(step, _)| step.id);
            let pulled = run.env.check().and_then(|()| self.pull(run));
            return Ok(pulled.map_err(|error| blame(error, scan))?.map(|frame| (0, frame)));
        };
        let to = frame.rows.min(from + self.most(run, step));
        let rows: Vec<u32> = (from as u32..to as u32).collect();
        let all = (0..frame.cols.len() as u32).map(VarId).collect();
        let piece = frame.gather(&rows, &all);
        if to < frame.rows {
            self.pending.push(Pending { step, frame, from: to });
        }
        Ok(Some((step, piece)))
    }

    /// How many rows step number `at` is given at a time: fewer if it multiplies them.
    fn most(&self, run: Run<'_, '_>, at: usize) -> usize {
        let step = &self.after[at].0;
        let before = match at.checked_sub(1) {
            Some(before) => self.after[before].0.rows,
            None => self.scan.as_ref().map_or(self.seeded as f64, |(scan, _)| scan.rows),
        };
        match run.env.counters.borrow().steps.get(step.id) {
            Some(&(taken, made)) if taken > 0 => {
                let fit = MADE.saturating_mul(taken) / made.max(1);
                usize::try_from(fit).unwrap_or(usize::MAX).clamp(1, PIECE)
            }
            _ if step.rows > before.max(1.0) * MULTIPLIES => FIRST_PIECE,
            _ => PIECE,
        }
    }

    fn pull(&mut self, run: Run<'_, 'a>) -> Result<Option<Frame>, Error> {
        if let Some(mut frame) = self.seeds.take() {
            for (step, map) in &mut self.before {
                if frame.rows > 0 {
                    frame = pass(run, step, map.as_mut(), frame)?;
                }
            }
            let Some((step, open)) = &mut self.scan else { return Ok(Some(frame)) };
            if frame.rows == 0 {
                return Ok(None);
            }
            *open = Some(start_scan(run.env, step, frame, self.start.take())?);
        }
        let Some((step, Some(open))) = &mut self.scan else { return Ok(None) };
        run.env.measure(step.id, || {
            let Some(fields) = open.cursor.next()? else { return Ok(None) };
            run.env.read(fields.rows);
            run.env.count(step.id, 0, fields.rows)?;
            Ok(Some(open.frame(fields)))
        })
    }
}

/// Runs a pipeline to its end.
///
/// # Errors
/// As [`Pipe::next`].
pub(crate) fn collect<'a>(run: Run<'_, 'a>, pipeline: &Pipeline, seeds: Frame) -> Result<Frame, Error> {
    let width = seeds.cols.len();
    let mut pipe = Pipe::new(pipeline, seeds, None);
    let mut all = Frame::empty(width);
    while let Some(frame) = pipe.next(run)? {
        all.append(frame);
        run.env.hold(all.bytes())?;
    }
    Ok(all)
}

impl Open<'_> {
    fn frame(&self, fields: Fields) -> Frame {
        let mut frame = match self.left.rows {
            1 => repeat(&self.left, fields.rows),
            _ => return self.cross(&fields),
        };
        let mut cols = fields.cols;
        for (position, var) in &self.outs {
            if let Some(col) = cols[*position].take() {
                frame.set(*var, Col::Data(col));
            }
        }
        frame
    }

    fn cross(&self, fields: &Fields) -> Frame {
        let mut all = Frame::empty(self.left.cols.len());
        for row in 0..self.left.rows {
            let keep = (0..self.left.cols.len() as u32).map(VarId).collect();
            let mut frame = repeat(&self.left.gather(&[row as u32], &keep), fields.rows);
            for (position, var) in &self.outs {
                if let Some(col) = &fields.cols[*position] {
                    frame.set(*var, Col::Data(col.clone()));
                }
            }
            all.append(frame);
        }
        all
    }
}

/// The one row of `left`, `rows` times.
fn repeat(left: &Frame, rows: usize) -> Frame {
    let repeated = |col: &Col| match col {
        Col::Data(data) => Col::Data(data.gather(&vec![0; rows])),
        other => other.clone(),
    };
    let marks = if left.marks.is_empty() { Vec::new() } else { vec![left.marks[0]; rows] };
    Frame { rows, cols: left.cols.iter().map(repeated).collect(), marks }
}

fn start_scan<'a>(env: &Env<'a>, step: &Step, left: Frame, start: Option<Datum>) -> Result<Open<'a>, Error> {
    let StepKind::Scan(scan) = &step.kind else {
        return Err(Error::new(Code::Internal, "a scan step holds no scan"));
    };
    let (request, outs) = request(&left, scan, start, |var| step.keep.has(var));
    let (source, at) = match &scan.pattern {
        Reading::Data(pattern) => (pattern.source, pattern.at),
        Reading::Tuple(pattern) => (pattern.source, pattern.at),
    };
    let source = env.source(source).ok_or_else(|| Error::new(Code::InvalidDataSource, "no such source"))?;
    let cursor = source.scan(&request).map_err(|error| error.at(at))?;
    Ok(Open { left, cursor, outs })
}

/// What a scan asks of its source, and which positions it binds.
fn request(
    left: &Frame,
    scan: &ScanStep,
    start: Option<Datum>,
    keep: impl Fn(VarId) -> bool,
) -> (Request, Vec<(usize, VarId)>) {
    let (attribute, terms) = positions(&scan.pattern);
    let mut fixed = vec![None; terms.len()];
    let mut outs = Vec::new();
    for (i, term) in terms.iter().enumerate() {
        let Some(var) = *term else { continue };
        match left.col(var) {
            Col::Const(datum) => fixed[i] = Some(datum.clone()),
            Col::Absent | Col::Data(_) if keep(var) => outs.push((i, var)),
            _ => {}
        }
    }
    let mut wanted = vec![false; terms.len()];
    outs.iter().for_each(|(i, _)| wanted[*i] = true);
    let bound = |bound: &Bound<VarId>| match bound {
        Bound::Included(var) => value_of(left, *var).map_or(Bound::Unbounded, Bound::Included),
        Bound::Excluded(var) => value_of(left, *var).map_or(Bound::Unbounded, Bound::Excluded),
        Bound::Unbounded => Bound::Unbounded,
    };
    let bounds = (bound(&scan.bounds.0), bound(&scan.bounds.1));
    (Request { attribute, fixed, wanted, index: scan.index, bounds, identity: false, start }, outs)
}

fn value_of(left: &Frame, var: VarId) -> Option<Value> {
    match left.col(var) {
        Col::Const(datum) => datum.value().cloned(),
        _ => None,
    }
}

/// The terms of a pattern by position, and its attribute where it is known.
pub(crate) fn positions(reading: &Reading) -> (Option<Arc<annals_db::Attribute>>, Vec<Option<VarId>>) {
    match reading {
        Reading::Tuple(pattern) => (None, pattern.terms.clone()),
        Reading::Data(pattern) => {
            let mut terms = vec![None; 5];
            terms[source::E] = pattern.e;
            terms[source::V] = pattern.v;
            terms[source::TX] = pattern.tx;
            terms[source::OP] = pattern.op;
            let known = match &pattern.a {
                Attr::Known(attribute) => Some(attribute.clone()),
                Attr::Var(var) => {
                    terms[source::A] = Some(*var);
                    None
                }
                Attr::Blank => None,
            };
            (known, terms)
        }
    }
}

/// Says which step was at work when a budget ran out or the query was stopped; of nested ones the innermost.
fn blame(error: Error, step: Option<usize>) -> Error {
    let stopped =
        [Code::Cancelled, Code::DeadlineExceeded, Code::RowsBudgetExceeded, Code::MemoryBudgetExceeded];
    match step {
        Some(step)
            if stopped.contains(&error.code()) && !error.details().iter().any(|(name, _)| name == STEP) =>
        {
            error.with(STEP, step)
        }
        _ => error,
    }
}

/// Applies one step.
fn pass(run: Run<'_, '_>, step: &Step, map: &mut dyn Map, frame: Frame) -> Result<Frame, Error> {
    run.env
        .check()
        .and_then(|()| run.env.measure(step.id, || pass_around(run, step, map, frame)))
        .map_err(|error| blame(error, Some(step.id)))
}

/// Applies one step, around which rows pass whose join value failed.
fn pass_around(run: Run<'_, '_>, step: &Step, map: &mut dyn Map, frame: Frame) -> Result<Frame, Error> {
    let taken = frame.rows;
    let (keys, outs) = if frame.marks.is_empty() { Default::default() } else { map.joins() };
    let unsound = |row: &u32| keys.iter().any(|var| frame.col(*var).failed(*row as usize));
    let bad: Vec<u32> = (0..frame.rows as u32).filter(unsound).collect();
    let result = if bad.is_empty() {
        map.apply(run, frame)?
    } else {
        let all = (0..frame.cols.len() as u32).map(VarId).collect();
        let good: Vec<u32> = (0..frame.rows as u32).filter(|row| bad.binary_search(row).is_err()).collect();
        let mut around = frame.gather(&bad, &step.keep);
        for var in outs.iter().filter(|var| step.keep.has(**var)) {
            around.set(*var, Col::Data(DatumColumn::Any(vec![failed(); bad.len()])));
        }
        let mut result = map.apply(run, frame.gather(&good, &all))?;
        result.append(around);
        result
    };
    run.env.count(step.id, taken, result.rows)?;
    Ok(result)
}

fn map(step: &Arc<Step>) -> Box<dyn Map> {
    use crate::run::{apply, closure, fixpoint, join, lookup, nested};
    let step = step.clone();
    match &step.kind {
        StepKind::Scan(_) | StepKind::Rows(_) => Box::new(join::RowsMap::new(step)),
        StepKind::Lookup(_) => Box::new(lookup::LookupMap::new(step)),
        StepKind::Hash(_) => Box::new(join::HashMap::new(step)),
        StepKind::Table(_) => Box::new(join::TableMap::new(step)),
        StepKind::Same(..) => Box::new(apply::SameMap::new(step)),
        StepKind::Filter(_) => Box::new(apply::FilterMap::new(step)),
        StepKind::Bind(..) => Box::new(apply::BindMap::new(step)),
        StepKind::Distinct(vars) => Box::new(apply::DistinctMap::new(vars.clone(), step.clone())),
        StepKind::Not(_) => Box::new(nested::NotMap::new(step)),
        StepKind::Union(_) => Box::new(nested::UnionMap::new(step)),
        StepKind::Closure(_) => Box::new(closure::ClosureMap::new(step)),
        StepKind::Fix(_) => Box::new(fixpoint::FixMap::new(step)),
    }
}
