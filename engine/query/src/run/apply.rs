//! Steps on what rows already hold: equalities, predicates, functions, distinct.

use std::sync::Arc;

use annals_edn::{Code, Error};

use crate::ast::{Binding, VarId};
use crate::datum::{Datum, DatumColumn};
use crate::functions::{Evaluated, Operand};
use crate::plan::logic::{Call, CallArg};
use crate::plan::physical::{Step, StepKind};
use crate::run::context::{Env, Run};
use crate::run::frame::{Col, Frame, failed};
use crate::run::keys::{self, KeyTable};
use crate::run::pipe::Map;

/// Two variables are identical, or one is given the other's value.
pub(crate) struct SameMap {
    step: Arc<Step>,
}

impl SameMap {
    /// Of a same step.
    pub(crate) fn new(step: Arc<Step>) -> SameMap {
        SameMap { step }
    }
}

impl Map for SameMap {
    fn apply(&mut self, _: Run<'_, '_>, mut frame: Frame) -> Result<Frame, Error> {
        let StepKind::Same(x, y) = self.step.kind else { return Ok(frame) };
        match (frame.col(x), frame.col(y)) {
            (Col::Absent, other) => {
                let col = other.clone();
                frame.set(x, col);
            }
            (other, Col::Absent) => {
                let col = other.clone();
                frame.set(y, col);
            }
            (left, right) => {
                let same = |i: &u32| {
                    let i = *i as usize;
                    left.failed(i) || right.failed(i) || keys::identical(left, i, right, i)
                };
                let rows: Vec<u32> = (0..frame.rows as u32).filter(same).collect();
                return Ok(frame.select(&rows, &self.step.keep));
            }
        }
        frame.keep(&self.step.keep);
        Ok(frame)
    }
}

/// One row of those that are identical in some variables.
pub(crate) struct DistinctMap {
    vars: Vec<VarId>,
    step: Arc<Step>,
    seen: KeyTable,
}

impl DistinctMap {
    /// By `vars`.
    pub(crate) fn new(vars: Vec<VarId>, step: Arc<Step>) -> DistinctMap {
        let seen = KeyTable::new(vars.len());
        DistinctMap { vars, step, seen }
    }
}

impl Map for DistinctMap {
    fn apply(&mut self, run: Run<'_, '_>, frame: Frame) -> Result<Frame, Error> {
        let cols: Vec<&Col> = self.vars.iter().map(|var| frame.col(*var)).collect();
        let mut rows = Vec::with_capacity(frame.rows);
        self.seen.insert(&cols, frame.rows, |row, _, new| {
            if new || frame.marked(row) {
                rows.push(row as u32);
            }
        });
        run.env.hold(self.seen.len() * 16 * self.vars.len().max(1))?;
        Ok(frame.select(&rows, &self.step.keep))
    }
}

/// A predicate.
pub(crate) struct FilterMap {
    step: Arc<Step>,
}

impl FilterMap {
    /// Of a filter step.
    pub(crate) fn new(step: Arc<Step>) -> FilterMap {
        FilterMap { step }
    }
}

impl Map for FilterMap {
    fn apply(&mut self, run: Run<'_, '_>, mut frame: Frame) -> Result<Frame, Error> {
        let StepKind::Filter(call) = &self.step.kind else { return Ok(frame) };
        let calls = Calls::new(call, &frame);
        let (mut rows, errors) = calls.with(run.env, &frame, |operands, rows| {
            call.function.filter_batch(operands, rows, run.env.nested.as_ref())
        });
        if let Some(good) = &calls.good {
            rows.iter_mut().for_each(|row| *row = good[*row as usize]);
            rows.extend((0..frame.rows as u32).filter(|row| good.binary_search(row).is_err()));
        }
        for (row, error) in errors {
            let row = calls.good.as_ref().map_or(row, |good| good[row as usize]);
            frame.mark(row as usize, call.number);
            run.env.fail(call.number, error.at(call.at));
            rows.push(row);
        }
        if !rows.is_sorted() {
            rows.sort_unstable();
        }
        rows.dedup();
        Ok(frame.select(&rows, &self.step.keep))
    }
}

/// The rows of a frame for which a call can be made: all but those in which an argument failed.
struct Calls<'c> {
    call: &'c Call,
    good: Option<Vec<u32>>,
}

impl<'c> Calls<'c> {
    fn new(call: &'c Call, frame: &Frame) -> Calls<'c> {
        let unsound: Vec<&Col> = call.vars().map(|var| frame.col(var)).filter(|col| !col.sound()).collect();
        let good = (!frame.marks.is_empty() && !unsound.is_empty()).then(|| {
            let sound = |row: &u32| !unsound.iter().any(|col| col.failed(*row as usize));
            (0..frame.rows as u32).filter(sound).collect()
        });
        Calls { call, good }
    }

    /// Calls `eval` with the operands of the good rows.
    fn with<R>(&self, env: &Env<'_>, frame: &Frame, eval: impl FnOnce(&[Operand<'_>], usize) -> R) -> R {
        let narrowed: Vec<Option<DatumColumn>> = match &self.good {
            None => Vec::new(),
            Some(good) => self.call.args.iter().map(|arg| narrow(frame, arg, good)).collect(),
        };
        let nil = Datum::Nil;
        let mut operands = Vec::with_capacity(self.call.args.len());
        for (i, arg) in self.call.args.iter().enumerate() {
            operands.push(match arg {
                CallArg::Var(var) => match (narrowed.get(i), frame.col(*var)) {
                    (Some(Some(data)), _) => Operand::Column(data),
                    (_, Col::Data(data)) => Operand::Column(data),
                    (_, Col::Const(datum)) => Operand::Const(datum),
                    (_, Col::Absent) => Operand::Const(&nil),
                },
                CallArg::Source(source) => {
                    match (env.sources.database(*source), env.sources.relation(*source)) {
                        (Some(db), _) => Operand::Db(db),
                        (None, Some(relation)) => Operand::Relation(&relation.datum),
                        (None, None) => Operand::Const(&nil),
                    }
                }
                CallArg::Form(form) => Operand::Form(form),
            });
        }
        eval(&operands, self.good.as_ref().map_or(frame.rows, Vec::len))
    }
}

fn narrow(frame: &Frame, arg: &CallArg, good: &[u32]) -> Option<DatumColumn> {
    match arg {
        CallArg::Var(var) => match frame.col(*var) {
            Col::Data(data) => Some(data.gather(good)),
            _ => None,
        },
        CallArg::Source(_) | CallArg::Form(_) => None,
    }
}

/// A function whose result is bound.
pub(crate) struct BindMap {
    step: Arc<Step>,
}

impl BindMap {
    /// Of a bind step.
    pub(crate) fn new(step: Arc<Step>) -> BindMap {
        BindMap { step }
    }
}

impl Map for BindMap {
    fn apply(&mut self, run: Run<'_, '_>, mut frame: Frame) -> Result<Frame, Error> {
        let StepKind::Bind(call, binding) = &self.step.kind else { return Ok(frame) };
        let calls = Calls::new(call, &frame);
        let Evaluated { column, errors } = calls.with(run.env, &frame, |operands, rows| {
            call.function.eval_batch(operands, rows, run.env.nested.as_ref())
        });
        let mut results = widen(column, &calls, frame.rows);
        for (row, error) in errors {
            let row = calls.good.as_ref().map_or(row, |good| good[row as usize]);
            run.env.fail(call.number, error.at(call.at));
            frame.mark(row as usize, call.number);
            results = put_failed(results, row as usize);
        }
        let bound = self.bind(run, call, binding, frame, results)?;
        run.env.hold(bound.bytes())?;
        Ok(bound)
    }

    fn joins(&self) -> (Vec<VarId>, Vec<VarId>) {
        Default::default()
    }
}

impl BindMap {
    fn bind(
        &self,
        run: Run<'_, '_>,
        call: &Call,
        binding: &Binding,
        mut frame: Frame,
        results: DatumColumn,
    ) -> Result<Frame, Error> {
        let (rows, columns) = match binding {
            Binding::Blank => ((0..frame.rows as u32).collect(), Vec::new()),
            Binding::Scalar(var) => match &results {
                DatumColumn::Stored(_) => ((0..frame.rows as u32).collect(), vec![(*var, results)]),
                DatumColumn::Any(items) => {
                    let some = |row: &u32| !matches!(items[*row as usize], Datum::Nil);
                    let rows: Vec<u32> = (0..frame.rows as u32).filter(some).collect();
                    let kept = rows.iter().map(|row| items[*row as usize].clone()).collect();
                    (rows, vec![(*var, DatumColumn::from_data(kept))])
                }
            },
            _ => {
                let mut spread = Spread::new(binding);
                for row in 0..frame.rows {
                    run.env.check()?;
                    run.env.make_room(spread.rows.len(), binding.vars().count())?;
                    if let Err(error) = spread.take(row as u32, &results.get(row)) {
                        run.env.fail(call.number, error.at(call.at));
                        frame.mark(row, call.number);
                        spread.failed(row as u32);
                    }
                }
                spread.finish()
            }
        };
        Ok(self.unify(frame, &rows, columns))
    }

    /// Sets the columns; of a variable that is bound already only rows with the same value stay.
    fn unify(&self, frame: Frame, rows: &[u32], columns: Vec<(VarId, DatumColumn)>) -> Frame {
        let all = (0..frame.cols.len() as u32).map(VarId).collect();
        let identity = rows.len() == frame.rows && rows.iter().enumerate().all(|(i, row)| i == *row as usize);
        let mut wide = if identity { frame } else { frame.gather(rows, &all) };
        let mut tests = Vec::new();
        for (var, column) in columns {
            let column = Col::Data(column);
            match wide.col(var) {
                Col::Absent => wide.set(var, column),
                _ => tests.push((var, column)),
            }
        }
        let same = |row: &u32| {
            let row = *row as usize;
            tests.iter().all(|(var, col)| {
                let held = wide.col(*var);
                col.failed(row) || held.failed(row) || keys::identical(held, row, col, row)
            })
        };
        let rows: Vec<u32> = (0..wide.rows as u32).filter(same).collect();
        wide.select(&rows, &self.step.keep)
    }
}

/// The results of good rows among all rows; the others failed.
fn widen(column: DatumColumn, calls: &Calls<'_>, rows: usize) -> DatumColumn {
    let Some(good) = &calls.good else { return column };
    let mut all = vec![failed(); rows];
    for (i, row) in good.iter().enumerate() {
        all[*row as usize] = column.get(i);
    }
    DatumColumn::Any(all)
}

fn put_failed(column: DatumColumn, row: usize) -> DatumColumn {
    let mut items = match column {
        DatumColumn::Any(items) => items,
        stored => (0..stored.len()).map(|i| stored.get(i)).collect(),
    };
    items[row] = failed();
    DatumColumn::Any(items)
}

/// Results taken apart into rows.
struct Spread<'b> {
    binding: &'b Binding,
    rows: Vec<u32>,
    columns: Vec<Vec<Datum>>,
}

impl<'b> Spread<'b> {
    fn new(binding: &'b Binding) -> Spread<'b> {
        let columns = binding.vars().map(|_| Vec::new()).collect();
        Spread { binding, rows: Vec::new(), columns }
    }

    fn take(&mut self, row: u32, result: &Datum) -> Result<(), Error> {
        if crate::run::frame::is_failed(result) {
            self.failed(row);
            return Ok(());
        }
        if matches!(result, Datum::Nil) {
            return Ok(());
        }
        let items = result.items().ok_or_else(|| {
            Error::new(Code::FunctionFailed, "the function's result is no collection, as its binding wants")
        })?;
        match self.binding {
            Binding::Tuple(slots) => self.row(row, slots, &items),
            Binding::Collection(var) => {
                for item in items {
                    self.rows.push(row);
                    if var.is_some() {
                        self.columns[0].push(item);
                    }
                }
                Ok(())
            }
            Binding::Relation(slots) => {
                for item in items {
                    let tuple = item.items().ok_or_else(|| {
                        Error::new(Code::FunctionFailed, "the function's result is no collection of tuples")
                    })?;
                    self.row(row, slots, &tuple)?;
                }
                Ok(())
            }
            Binding::Blank | Binding::Scalar(_) => Ok(()),
        }
    }

    fn row(&mut self, row: u32, slots: &[Option<VarId>], items: &[Datum]) -> Result<(), Error> {
        if items.len() < slots.len() {
            let message = format!("a tuple of {} is too short for a binding of {}", items.len(), slots.len());
            return Err(Error::new(Code::FunctionFailed, message));
        }
        self.rows.push(row);
        let bound = slots.iter().zip(items).filter(|(slot, _)| slot.is_some());
        for (column, (_, item)) in self.columns.iter_mut().zip(bound) {
            column.push(item.clone());
        }
        Ok(())
    }

    fn failed(&mut self, row: u32) {
        self.rows.push(row);
        self.columns.iter_mut().for_each(|column| column.push(failed()));
    }

    fn finish(self) -> (Vec<u32>, Vec<(VarId, DatumColumn)>) {
        let columns = self.columns.into_iter().map(DatumColumn::from_data);
        (self.rows, self.binding.vars().zip(columns).collect())
    }
}
