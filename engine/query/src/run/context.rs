//! What every operator of one run works with: sources, constants, the cancel flag, budgets, counters.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use annals_db::segment::Reads;
use annals_edn::{Code, Error};

use crate::ast::SourceId;
use crate::datum::DatumColumn;
use crate::run::fixpoint::Tables;
use crate::run::frame::Frame;
use crate::run::meter::{Meter, Timer};
use crate::run::subquery::Subqueries;
use crate::source::Sources;

/// What a query may use, and how it is stopped.
#[derive(Clone, Copy)]
pub struct QueryCtx<'a> {
    /// set from outside: the query stops at its next batch with `CANCELLED`
    pub cancel: &'a AtomicBool,
    /// budgets
    pub limits: QueryLimits,
    /// tells the time for the budget of time and for measuring; without one neither is done
    pub timer: Option<Timer<'a>>,
    /// what the databases count their reading in (see [`annals_db::Db::counting`]): with it each step is measured
    pub reads: Option<&'a Reads>,
}

/// The budgets of one query.
#[derive(Clone, Copy, Debug)]
pub struct QueryLimits {
    /// rows that all steps together may produce
    pub rows: u64,
    /// rows that scans and look-ups together may read
    pub datoms: u64,
    /// bytes that rows held at one time may take, about
    pub bytes: usize,
    /// nanoseconds since the timer of the [`QueryCtx`] was started
    pub time: u64,
}

impl Default for QueryLimits {
    fn default() -> Self {
        QueryLimits { rows: 1_000_000_000, datoms: u64::MAX, bytes: 1 << 30, time: u64::MAX }
    }
}

/// Names the step that an error is blamed on.
pub(crate) const STEP: &str = "step";

/// What to do about a budget of rows or bytes.
const NARROW: &str =
    "narrow the step named, or raise the limit of whoever runs the query ([limits] of a peer server)";

static NEVER: AtomicBool = AtomicBool::new(false);

impl Default for QueryCtx<'_> {
    fn default() -> Self {
        QueryCtx { cancel: &NEVER, limits: QueryLimits::default(), timer: None, reads: None }
    }
}

/// What a run has done so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// rows that scans and look-ups read
    pub datoms: u64,
    /// rows that all steps produced
    pub produced: u64,
    /// rows that were paired, copied or sorted in bulk
    pub moved: u64,
    /// rows that each step took and produced, by number of step
    pub steps: Vec<(u64, u64)>,
}

impl Counters {
    /// Adds those of another run of the same plan.
    pub(crate) fn add(&mut self, other: &Counters) {
        self.datoms += other.datoms;
        self.produced += other.produced;
        self.moved += other.moved;
        self.steps.resize(self.steps.len().max(other.steps.len()), (0, 0));
        for (mine, theirs) in self.steps.iter_mut().zip(&other.steps) {
            *mine = (mine.0 + theirs.0, mine.1 + theirs.1);
        }
    }
}

/// Rows of an input that is a collection or a relation.
#[derive(Clone, Debug, Default)]
pub(crate) struct InputRows {
    /// how many
    pub rows: usize,
    /// by slot, then the resolved forms
    pub cols: Vec<DatumColumn>,
}

/// One run.
pub(crate) struct Env<'a> {
    /// by number
    pub sources: Sources<'a>,
    /// one row with every constant
    pub base: Frame,
    /// by number of input
    pub inputs: Vec<Option<Arc<InputRows>>>,
    /// stop and budgets
    pub ctx: QueryCtx<'a>,
    /// so far
    pub counters: RefCell<Counters>,
    /// the first error of each call that failed on a row
    pub errors: RefCell<BTreeMap<u32, Error>>,
    /// runs nested queries
    pub nested: Box<Subqueries<'a>>,
    /// in a measured run
    pub meter: Option<Meter<'a>>,
}

/// What operators are given: the run, and the tables of the recursive rule that they work for.
#[derive(Clone, Copy)]
pub(crate) struct Run<'e, 'a> {
    /// the run
    pub env: &'e Env<'a>,
    /// within a recursive rule
    pub tables: Option<&'e Tables>,
}

impl<'a> Env<'a> {
    /// Does `work` for a step; in a measured run it is put down to its account.
    pub(crate) fn measure<R>(&self, step: usize, work: impl FnOnce() -> R) -> R {
        match &self.meter {
            Some(meter) => meter.measure(step, work),
            None => work(),
        }
    }

    /// Checks the cancel flag, and time and what was read against the budgets.
    ///
    /// # Errors
    /// `CANCELLED`, `DEADLINE_EXCEEDED`, `ROWS_BUDGET_EXCEEDED`.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.ctx.cancel.load(Ordering::Relaxed) {
            return Err(Error::new(Code::Cancelled, "the query was cancelled"));
        }
        if let Some(timer) = self.ctx.timer.filter(|_| self.ctx.limits.time < u64::MAX)
            && timer.elapsed() > self.ctx.limits.time
        {
            return Err(self.out_of_time());
        }
        let limit = self.ctx.limits.datoms;
        if self.counters.borrow().datoms > limit {
            let message = format!("the query read more than {limit} rows");
            return Err(Error::new(Code::RowsBudgetExceeded, message).with("limit", limit).hint(NARROW));
        }
        Ok(())
    }

    fn out_of_time(&self) -> Error {
        let limit = self.ctx.limits.time.div_ceil(1_000_000);
        Error::new(Code::DeadlineExceeded, format!("the query ran longer than its limit of {limit} ms"))
            .with("limit", format!("{limit} ms"))
            .hint("allow more time (timeout_ms, --timeout), or narrow the step named: explain shows where time goes")
    }

    /// Counts what a step did and holds it to the budget.
    ///
    /// # Errors
    /// `ROWS_BUDGET_EXCEEDED`.
    pub(crate) fn count(&self, step: usize, taken: usize, produced: usize) -> Result<(), Error> {
        let mut counters = self.counters.borrow_mut();
        if counters.steps.len() <= step {
            counters.steps.resize(step + 1, (0, 0));
        }
        counters.steps[step].0 += taken as u64;
        counters.steps[step].1 += produced as u64;
        counters.produced += produced as u64;
        if counters.produced <= self.ctx.limits.rows {
            return Ok(());
        }
        let limit = self.ctx.limits.rows;
        let message = format!("the steps of the query produced more than {limit} rows");
        Err(Error::new(Code::RowsBudgetExceeded, message).with("limit", limit).with(STEP, step).hint(NARROW))
    }

    /// Counts rows that a step makes on the way to its result.
    ///
    /// # Errors
    /// As [`Env::count`].
    pub(crate) fn count_within(&self, step: usize, produced: usize) -> Result<(), Error> {
        self.count(step, 0, produced)?;
        self.counters.borrow_mut().steps[step].1 -= produced as u64;
        Ok(())
    }

    /// Counts rows that were handled in bulk, and checks as [`Env::check`] does.
    ///
    /// # Errors
    /// As [`Env::check`].
    pub(crate) fn moved(&self, rows: usize) -> Result<(), Error> {
        self.counters.borrow_mut().moved += rows as u64;
        self.check()
    }

    /// Counts rows read from a source.
    pub(crate) fn read(&self, rows: usize) {
        self.counters.borrow_mut().datoms += rows as u64;
    }

    /// Holds rows that are kept to the budget.
    ///
    /// # Errors
    /// `MEMORY_BUDGET_EXCEEDED`.
    pub(crate) fn hold(&self, bytes: usize) -> Result<(), Error> {
        let limit = self.ctx.limits.bytes;
        if bytes <= limit {
            return Ok(());
        }
        let message = format!("intermediate rows of the query take more than {limit} bytes");
        let error = Error::new(Code::MemoryBudgetExceeded, message).with("limit", limit);
        Err(error.with("bytes", bytes).hint(NARROW))
    }

    /// Holds a step that makes many rows of one to the budgets while it is at it: `rows` of `width` values so far.
    ///
    /// # Errors
    /// `ROWS_BUDGET_EXCEEDED`, `MEMORY_BUDGET_EXCEEDED`.
    pub(crate) fn make_room(&self, rows: usize, width: usize) -> Result<(), Error> {
        let limit = self.ctx.limits.rows;
        if rows as u64 > limit {
            let message = format!("a step of the query produced more than {limit} rows");
            return Err(Error::new(Code::RowsBudgetExceeded, message).with("limit", limit).hint(NARROW));
        }
        self.hold(rows * (4 + 32 * width))
    }

    /// Remembers why call number `call` failed, if it is the first time.
    pub(crate) fn fail(&self, call: u32, error: Error) {
        self.errors.borrow_mut().entry(call).or_insert(error);
    }

    /// The source as something to scan.
    pub(crate) fn source(&self, source: SourceId) -> Option<Box<dyn crate::source::Source<'a> + 'a>> {
        use crate::source::{SourceKind, database::Database, relation::RelationSource};
        match self.sources.kinds.get(source.0 as usize)? {
            SourceKind::Database(db) => Some(Box::new(Database(db))),
            SourceKind::Relation(relation) => Some(Box::new(RelationSource(relation.clone()))),
            SourceKind::Events(events) => Some(Box::new(*events)),
            SourceKind::Transactions(table) => Some(Box::new(*table)),
        }
    }
}
