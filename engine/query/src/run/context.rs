//! What every operator of one run works with: sources, constants, the cancel flag, budgets, counters.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use annals_edn::{Code, Error};

use crate::ast::SourceId;
use crate::datum::DatumColumn;
use crate::functions::Nested;
use crate::run::fixpoint::Tables;
use crate::run::frame::Frame;
use crate::source::Sources;

/// What a query may use, and how it is stopped.
#[derive(Clone, Copy)]
pub struct QueryCtx<'a> {
    /// set from outside: the query stops at its next batch with `CANCELLED`
    pub cancel: &'a AtomicBool,
    /// budgets
    pub limits: QueryLimits,
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
}

impl Default for QueryLimits {
    fn default() -> Self {
        QueryLimits { rows: 1_000_000_000, datoms: u64::MAX, bytes: 1 << 30 }
    }
}

/// Names the step that an error is blamed on.
pub(crate) const STEP: &str = "step";

static NEVER: AtomicBool = AtomicBool::new(false);

impl Default for QueryCtx<'_> {
    fn default() -> Self {
        QueryCtx { cancel: &NEVER, limits: QueryLimits::default() }
    }
}

/// What a run has done so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// rows that scans and look-ups read
    pub datoms: u64,
    /// rows that all steps produced
    pub produced: u64,
    /// rows that each step took and produced, by number of step
    pub steps: Vec<(u64, u64)>,
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
    pub nested: Box<dyn Nested + Send + 'a>,
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
    /// Checks the cancel flag, and what was read against the budget.
    ///
    /// # Errors
    /// `CANCELLED`, `ROWS_BUDGET_EXCEEDED`.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.ctx.cancel.load(Ordering::Relaxed) {
            return Err(Error::new(Code::Cancelled, "the query was cancelled"));
        }
        let limit = self.ctx.limits.datoms;
        if self.counters.borrow().datoms > limit {
            let message = format!("the query read more than {limit} rows");
            return Err(Error::new(Code::RowsBudgetExceeded, message).with("limit", limit));
        }
        Ok(())
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
        Err(Error::new(Code::RowsBudgetExceeded, message).with("limit", limit).with(STEP, step))
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
        Err(Error::new(Code::MemoryBudgetExceeded, message).with("limit", limit).with("bytes", bytes))
    }

    /// Holds a step that makes many rows of one to the budgets while it is at it: `rows` of `width` values so far.
    ///
    /// # Errors
    /// `ROWS_BUDGET_EXCEEDED`, `MEMORY_BUDGET_EXCEEDED`.
    pub(crate) fn make_room(&self, rows: usize, width: usize) -> Result<(), Error> {
        let limit = self.ctx.limits.rows;
        if rows as u64 > limit {
            let message = format!("a step of the query produced more than {limit} rows");
            return Err(Error::new(Code::RowsBudgetExceeded, message).with("limit", limit));
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
