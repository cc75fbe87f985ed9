//! The result: batches of rows in canonical order, computed as they are asked for.
//!
//! Where the driving scan delivers the order, rows leave before the scan ends: those with one lead value are sorted and
//! made distinct among themselves (or pass as they are, where one lead value means one row). Otherwise all rows are
//! gathered and sorted, once. Aggregates gather, group and sort their groups. Offset and limit come last.

use std::cell::RefCell;
use std::sync::Arc;

use annals_edn::{Code, Error};

use crate::ast::{ConstId, FindElem, FindShape, SourceId, VarId};
use crate::bind::{Argument, Bound};
use crate::check::CheckedQuery;
use crate::datum::{Datum, DatumColumn};
use crate::functions::{Nested, Operand};
use crate::group;
use crate::order::{self, SortKey};
use crate::plan::explain::{self, Blamed, Explain, Explanation, Inner, Measured};
use crate::plan::logic::{Call, CallArg, Logic};
use crate::plan::physical::Plan;
use crate::run::context::{Counters, Env, QueryCtx, Run, STEP};
use crate::run::frame::{self, Col, Frame, SOUND};
use crate::run::keys;
use crate::run::meter::Meter;
use crate::run::pipe::Pipe;
use crate::run::subquery::{Seen, Subqueries};

/// Rows of a batch that is cut out of a sorted result.
const CHUNK: usize = 4096;

/// Some rows of the result, a column for each find element. A pull's column holds the entity.
#[derive(Clone, Debug)]
pub struct RowBatch {
    /// how many rows
    pub rows: usize,
    /// by find element
    pub columns: Vec<DatumColumn>,
}

impl RowBatch {
    /// Its first `most` rows.
    pub(crate) fn first(self, most: u64) -> RowBatch {
        if self.rows as u64 <= most {
            return self;
        }
        let picked: Vec<u32> = (0..most as u32).collect();
        let columns = self.columns.iter().map(|column| column.gather(&picked)).collect();
        RowBatch { rows: picked.len(), columns }
    }
}

/// How far a result has been taken; the same query on the same arguments goes on from here on any machine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Position {
    /// rows taken so far
    pub rows: u64,
    /// the value that rows are sorted by first, of the last row taken, where a scan can start from it
    pub lead: Option<Datum>,
    /// rows up to here that have this lead value, those of the offset included
    pub with_lead: u64,
}

/// A query's result under way.
pub struct Rows<'a> {
    checked: Arc<CheckedQuery>,
    logic: Arc<Logic>,
    plan: Arc<Plan>,
    env: Env<'a>,
    pipe: Pipe<'a>,
    shape: ResultShape,
    state: State,
    /// rows still to be passed over
    skip: u64,
    /// rows still to be given out
    left: u64,
    /// where the scan was told to start
    start: Option<Datum>,
    position: Position,
}

/// How rows become the result.
struct ResultShape {
    basis: Vec<VarId>,
    /// by which the basis is sorted
    keys: Vec<SortKey>,
    /// basis column of each find element
    find: Vec<usize>,
    elements: Vec<FindElem>,
    order_by: Vec<crate::ast::OrderKey>,
    canonical: Vec<usize>,
    aggregates: bool,
    distinct: bool,
    seed: u64,
    mode: Mode,
}

/// How the order comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// the scan delivers it, a row for each value of the lead column
    Pass(usize),
    /// the scan delivers the lead, column number
    ByLead(usize),
    /// everything is sorted
    Whole,
}

enum State {
    /// more to pull; rows whose lead value may go on
    Pulling(Frame),
    /// sorted, given out up to here
    Sorted(Vec<Col>, Vec<u32>, usize),
    Done,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(
        (checked, logic): (&Arc<CheckedQuery>, &Arc<Logic>),
        plan: Arc<Plan>,
        bound: Bound<'a>,
        args: &[Argument],
        ctx: QueryCtx<'a>,
        position: Option<&Position>,
    ) -> Result<Rows<'a>, Error> {
        let query = &checked.query;
        let mut base = Frame::unit(plan.width);
        for (var, datum) in &bound.fixed {
            base.set(*var, Col::Const(datum.clone()));
        }
        let shape = ResultShape::new(checked, &plan, &bound, args);
        let once = matches!(query.find.shape, FindShape::Scalar | FindShape::Tuple);
        let limit = query.limit.unwrap_or(u64::MAX).min(if once { 1 } else { u64::MAX });
        let position = position.cloned().unwrap_or_default();
        let start = match shape.mode {
            Mode::Whole => None,
            _ => position.lead.clone(),
        };
        let skip = match &start {
            Some(_) => position.with_lead,
            None => query.offset + position.rows,
        };
        let left = limit.saturating_sub(position.rows);
        let state =
            if bound.nothing || left == 0 { State::Done } else { State::Pulling(Frame::empty(plan.width)) };
        let env = Env {
            sources: bound.sources,
            base: base.clone(),
            inputs: bound.inputs,
            ctx,
            counters: RefCell::default(),
            errors: RefCell::default(),
            nested: Box::new(Subqueries::new(ctx)),
            meter: ctx.timer.zip(ctx.reads).map(|(timer, reads)| Meter::new(timer, reads)),
        };
        let pipe = Pipe::new(&plan.root, base, start.clone());
        let position = Position { rows: position.rows, ..Position::default() };
        let (checked, logic) = (checked.clone(), logic.clone());
        Ok(Rows { checked, logic, plan, env, pipe, shape, state, skip, left, start, position })
    }

    /// The next rows, in canonical order; `None` at the end.
    ///
    /// # Errors
    /// Of functions that failed on a row given out, of budgets, `CANCELLED`, and of the store.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<RowBatch>, Error> {
        // Making the result has the number after the steps, all of it the next one.
        let (whole, meter) = (self.plan.steps + 1, self.env.meter.take());
        let Some(meter) = meter else { return self.advance().map_err(|error| self.blamed(error)) };
        self.env.meter = Some(meter.fresh());
        let result = meter.measure(whole, || self.advance());
        meter.absorb(self.env.meter.take());
        self.env.meter = Some(meter);
        result.map_err(|error| self.blamed(error))
    }

    /// Names the operator at work when a budget ran out or the query was stopped.
    fn blamed(&self, error: Error) -> Error {
        let step = error.details().iter().find(|(name, _)| name == STEP).and_then(|(_, id)| id.parse().ok());
        let blamed = step.and_then(|id| explain::blamed(&self.checked, &self.logic, &self.plan, id));
        let Some(Blamed { operator, clause, at }) = blamed else { return error };
        let error = clause
            .into_iter()
            .fold(error.with("operator", operator), |error, clause| error.with("clause", clause));
        at.into_iter().fold(error, Error::at)
    }

    fn advance(&mut self) -> Result<Option<RowBatch>, Error> {
        loop {
            if self.left == 0 {
                self.state = State::Done;
            }
            let (cols, rows) = match &mut self.state {
                State::Done => return Ok(None),
                State::Sorted(columns, order, at) => {
                    if *at >= order.len() {
                        self.state = State::Done;
                        continue;
                    }
                    let take = order.len().min(*at + CHUNK);
                    let picked = &order[*at..take];
                    let cols: Vec<DatumColumn> = columns.iter().map(|col| pick(col, picked)).collect();
                    let rows = picked.len();
                    *at = take;
                    (cols, rows)
                }
                State::Pulling(_) => match self.pull()? {
                    Some(found) => found,
                    None => continue,
                },
            };
            if let Some(batch) = self.cut(cols, rows) {
                return Ok(Some(batch));
            }
        }
    }

    /// How far the result has been taken.
    #[must_use]
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// What the run has done so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let mut counters = self.env.counters.borrow().clone();
        let (datoms, produced) = self.env.nested.spent();
        counters.datoms += datoms;
        counters.produced += produced;
        counters
    }

    /// The plan with what the run has taken so far; with time and segments if the run is measured.
    #[must_use]
    pub fn explanation(&self) -> Explanation {
        let (measured, seen) = (self.measured(), self.env.nested.seen());
        explained(&self.checked, &self.logic, &self.plan, &measured, &seen)
    }

    pub(crate) fn measured(&self) -> Measured {
        let spent = self.env.meter.as_ref().map_or_else(Vec::new, |meter| meter.spent(self.plan.steps + 2));
        Measured { counters: self.counters(), spent, rows: self.position.rows }
    }

    /// What is remembered of a nested query's run.
    pub(crate) fn seen(&self) -> (Arc<Plan>, Measured, Vec<Seen>) {
        (self.plan.clone(), self.measured(), self.env.nested.seen())
    }

    /// Pulls once; columns of the basis in order, or `None` when there is nothing to give out yet.
    fn pull(&mut self) -> Result<Option<(Vec<DatumColumn>, usize)>, Error> {
        if self.shape.mode == Mode::Whole {
            self.gather()?;
            return Ok(None);
        }
        let run = Run { env: &self.env, tables: None };
        let next = self.pipe.next(run)?;
        let State::Pulling(pending) = &mut self.state else { return Ok(None) };
        let mut frame = std::mem::replace(pending, Frame::empty(0));
        let ended = next.is_none();
        if let Some(next) = next {
            frame.append(next);
        }
        if frame.rows == 0 {
            self.state = State::Done;
            return Ok(None);
        }
        let cut = match self.shape.mode {
            Mode::ByLead(lead) if !ended => last_change(frame.col(self.shape.basis[lead]), frame.rows),
            _ => frame.rows,
        };
        if ended {
            self.state = State::Done;
        } else if cut < frame.rows {
            let keep = self.shape.basis.iter().copied().collect();
            let rest: Vec<u32> = (cut as u32..frame.rows as u32).collect();
            self.env.hold(frame.bytes())?;
            let pending = frame.gather(&rest, &keep);
            let head: Vec<u32> = (0..cut as u32).collect();
            frame = frame.gather(&head, &keep);
            self.state = State::Pulling(pending);
        } else {
            self.state = State::Pulling(Frame::empty(frame.cols.len()));
        }
        if cut == 0 {
            return Ok(None);
        }
        self.settle(frame).map(Some)
    }

    /// One or more whole lead values: sorted, distinct, checked.
    fn settle(&self, mut frame: Frame) -> Result<(Vec<DatumColumn>, usize), Error> {
        let cols = self.basis_of(&mut frame);
        if matches!(self.shape.mode, Mode::Pass(_)) {
            self.refuse_marked(&frame.marks)?;
            let rows = frame.rows;
            return Ok((cols.into_iter().map(|col| whole(col, rows)).collect(), rows));
        }
        self.refuse_marked(&frame.marks)?;
        self.env.measure(self.plan.steps, || {
            let check = || self.env.moved(order::CHUNK);
            let order = order::sorted(&cols, frame.rows, &self.shape.keys, !self.shape.distinct, &check)?;
            Ok((cols.iter().map(|col| pick(col, &order)).collect(), order.len()))
        })
    }

    /// The columns of the basis, taken out of a frame.
    fn basis_of(&self, frame: &mut Frame) -> Vec<Col> {
        self.shape.basis.iter().map(|var| std::mem::take(&mut frame.cols[var.0 as usize])).collect()
    }

    /// Everything, sorted.
    fn gather(&mut self) -> Result<(), Error> {
        let run = Run { env: &self.env, tables: None };
        let mut all = Frame::empty(self.env.base.cols.len());
        while let Some(frame) = self.pipe.next(run)? {
            all.append(frame);
            self.env.hold(all.bytes())?;
        }
        if all.rows == 0 {
            self.state = State::Done;
            return Ok(());
        }
        self.state = self.env.measure(self.plan.steps, || self.sorted(all))?;
        Ok(())
    }

    /// All rows in order, or their groups.
    fn sorted(&self, mut all: Frame) -> Result<State, Error> {
        let cols = self.basis_of(&mut all);
        if self.shape.aggregates {
            self.refuse_marked(&all.marks)?;
            return self.aggregate(cols, all.rows);
        }
        let order =
            order::sorted(&cols, all.rows, &self.shape.keys, false, &|| self.env.moved(order::CHUNK))?;
        let mut kept: Vec<u32> = Vec::with_capacity(order.len());
        let mut marks = all.marks;
        for (at, row) in order.into_iter().enumerate() {
            if at % order::CHUNK == order::CHUNK - 1 {
                self.env.moved(order::CHUNK)?;
            }
            match kept.last() {
                Some(last)
                    if !self.shape.distinct && order::same_row(&cols, *last as usize, row as usize) =>
                {
                    if !marks.is_empty() {
                        marks[*last as usize] = marks[*last as usize].min(marks[row as usize]);
                    }
                }
                _ => kept.push(row),
            }
        }
        if !marks.is_empty() {
            let given =
                kept.iter().skip(self.skip as usize).take(usize::try_from(self.left).unwrap_or(usize::MAX));
            let marks: Vec<u32> = given.map(|row| marks[*row as usize]).collect();
            self.refuse_marked(&marks)?;
        }
        Ok(State::Sorted(cols, kept, 0))
    }

    /// What the query of a stored aggregate answers about the values of a group.
    fn stored_aggregate(&self, constant: u32, values: &Datum) -> Result<Datum, Error> {
        let query = &self.checked.query;
        let spelled = query.constant(ConstId(constant)).as_seq().unwrap_or_default();
        let main = query.sources.iter().position(|source| source.name.as_str() == "$");
        let db = main.and_then(|at| self.env.sources.database(SourceId(at as u16)));
        let ([ask, rules, _], Some(db)) = (spelled, db) else {
            return Err(Error::new(Code::Internal, "a stored aggregate is spelled out with its database"));
        };
        let rules = Some(rules).filter(|rules| !rules.is_nil()).map(Operand::Form);
        let args: Vec<Operand<'_>> =
            std::iter::once(Operand::Db(db)).chain(rules).chain([Operand::Const(values)]).collect();
        self.env.nested.run(ask, &args).map_err(Error::without_span)
    }

    fn aggregate(&self, cols: Vec<Col>, rows: usize) -> Result<State, Error> {
        let groups = group::Grouping {
            elements: &self.shape.elements,
            find: &self.shape.find,
            keys: &self.shape.keys,
            distinct: self.shape.distinct,
            seed: self.shape.seed,
            stored: &|constant, values| self.stored_aggregate(constant, values),
            check: &|| self.env.moved(order::CHUNK),
        };
        let (columns, rows) = groups.apply(cols, rows)?;
        let cols: Vec<Col> = columns.into_iter().map(Col::Data).collect();
        let mut keys: Vec<SortKey> = self
            .shape
            .order_by
            .iter()
            .map(|key| SortKey { column: key.column, descending: key.descending, compared: true })
            .collect();
        // Groups are sorted by the find columns that are not aggregated, entities first.
        for column in &self.shape.canonical {
            let at = (0..self.shape.find.len()).filter(|i| {
                self.shape.find[*i] == *column
                    && !matches!(self.shape.elements[*i], FindElem::Aggregate { .. })
            });
            keys.extend(at.map(SortKey::index));
        }
        let order = order::sorted(&cols, rows, &keys, false, &|| self.env.moved(order::CHUNK))?;
        Ok(State::Sorted(cols, order, 0))
    }

    fn refuse_marked(&self, marks: &[u32]) -> Result<(), Error> {
        let Some(mark) = marks.iter().copied().min().filter(|mark| *mark != SOUND) else { return Ok(()) };
        let error = self.env.errors.borrow().get(&mark).cloned();
        Err(error.unwrap_or_else(|| Error::new(Code::FunctionFailed, "a function failed on a row")))
    }

    /// Passes over what is skipped, cuts off what is too much, and notes the position.
    fn cut(&mut self, cols: Vec<DatumColumn>, rows: usize) -> Option<RowBatch> {
        let lead = match self.shape.mode {
            Mode::Whole => None,
            Mode::Pass(lead) | Mode::ByLead(lead) => Some(lead),
        };
        let begin = match (lead, &self.start) {
            (Some(lead), Some(start)) => first_not_before(&cols[lead], rows, start),
            _ => 0,
        };
        let passed = usize::try_from(self.skip).unwrap_or(usize::MAX).min(rows - begin);
        let from = begin + passed;
        self.skip -= passed as u64;
        let to = rows.min(from.saturating_add(usize::try_from(self.left).unwrap_or(usize::MAX)));
        if let Some(lead) = lead.filter(|_| begin < to) {
            self.note_lead(&cols[lead], begin, to);
        }
        if from >= to {
            return None;
        }
        self.left -= (to - from) as u64;
        self.position.rows += (to - from) as u64;
        let basis = |i: usize| if self.shape.aggregates { i } else { self.shape.find[i] };
        let whole = from == 0 && to == rows;
        let picked: Vec<u32> = if whole { Vec::new() } else { (from as u32..to as u32).collect() };
        let column = |i: usize| match whole {
            true => cols[basis(i)].clone(),
            false => cols[basis(i)].gather(&picked),
        };
        let columns = (0..self.shape.find.len()).map(column).collect();
        Some(RowBatch { rows: to - from, columns })
    }

    /// Notes the last lead value of rows `from..to`, and how many rows up to it have that value.
    fn note_lead(&mut self, col: &DatumColumn, from: usize, to: usize) {
        let last = col.get(to - 1);
        let same = (from..to).rev().take_while(|&i| col.get(i) == last).count();
        let goes_on = same == to - from && self.position.lead.as_ref() == Some(&last);
        self.position.with_lead = same as u64 + if goes_on { self.position.with_lead } else { 0 };
        self.position.lead = Some(last);
    }
}

impl ResultShape {
    fn new(checked: &CheckedQuery, plan: &Plan, bound: &Bound<'_>, args: &[Argument]) -> ResultShape {
        let query = &checked.query;
        let basis = query.basis();
        let at = |var: VarId| basis.iter().position(|known| *known == var).unwrap_or(0);
        let find: Vec<usize> = query.find.elements.iter().map(|elem| at(elem.var())).collect();
        let aggregates = query.aggregates();
        let mut keys = Vec::new();
        if !aggregates {
            for key in &query.order_by {
                let var = match query.find.elements.get(key.column) {
                    Some(elem) => elem.var(),
                    None => query.with[key.column - query.find.elements.len()],
                };
                keys.push(SortKey { column: at(var), descending: key.descending, compared: true });
            }
        }
        let canonical: Vec<usize> = checked.canonical.iter().map(|key| key.column).collect();
        keys.extend(canonical.iter().map(|column| SortKey::index(*column)));
        let mode = match lead(checked, plan, |var| bound.fixed.contains_key(&var)) {
            Some(lead) if plan.single => Mode::Pass(at(lead)),
            Some(lead) => Mode::ByLead(at(lead)),
            None => Mode::Whole,
        };
        let elements = query.find.elements.clone();
        let random = elements.iter().any(group::is_random);
        let seed = if random { group::seed(checked, args) } else { 0 };
        let (order_by, distinct) = (query.order_by.clone(), plan.distinct);
        ResultShape { basis, keys, find, elements, order_by, canonical, aggregates, distinct, seed, mode }
    }
}

/// The variable in whose order rows leave while they are found.
pub(crate) fn lead(checked: &CheckedQuery, plan: &Plan, fixed: impl Fn(VarId) -> bool) -> Option<VarId> {
    let query = &checked.query;
    if !query.order_by.is_empty() || query.aggregates() {
        return None;
    }
    let basis = query.basis();
    let mut vars = checked.canonical.iter().map(|key| basis[key.column]);
    vars.find(|var| !fixed(*var)).filter(|var| plan.lead == Some(*var))
}

/// A plan with what was measured of it and of the nested queries that it ran.
fn explained(
    checked: &CheckedQuery,
    logic: &Logic,
    plan: &Plan,
    measured: &Measured,
    seen: &[Seen],
) -> Explanation {
    let nested = |call: &Call| {
        let form = call.args.iter().find_map(|arg| match arg {
            CallArg::Form(form) => Some(form),
            _ => None,
        });
        let of_call = seen.iter().filter(|seen| form.is_some_and(|form| **form == seen.query));
        of_call.map(inner).collect()
    };
    Explain::new(checked, logic, plan, Some(measured), &nested).explanation()
}

fn inner(seen: &Seen) -> Inner {
    let (checked, logic) = seen.prepared.parts();
    let Explanation { mut operators, result, ran, .. } =
        explained(checked, logic, &seen.plan, &seen.measured, &seen.deeper);
    operators.extend(result);
    let rows = ran.map_or(0, |ran| ran.rows);
    Inner { label: format!("query, run {} times for {rows} rows", seen.runs), operators }
}

/// A column of `rows` values, not copied where it is one.
fn whole(col: Col, rows: usize) -> DatumColumn {
    match col {
        Col::Data(data) => data,
        other => frame::spread(&other, rows),
    }
}

fn pick(col: &Col, rows: &[u32]) -> DatumColumn {
    match col {
        Col::Data(data) => data.gather(rows),
        other => frame::spread(other, rows.len()),
    }
}

/// Where the last run of identical values begins.
fn last_change(col: &Col, rows: usize) -> usize {
    (1..rows).rev().find(|&i| !keys::identical(col, i, col, i - 1)).unwrap_or(0)
}

/// The first row whose value is not before `start` in index order.
fn first_not_before(col: &DatumColumn, rows: usize, start: &Datum) -> usize {
    (0..rows).find(|&i| !col.get(i).cmp_index(start).is_lt()).unwrap_or(rows)
}
