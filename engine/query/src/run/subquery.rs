//! Nested queries: `[(q '[:find …] $ ?x) ?result]`.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use annals_edn::{Code, Edn, Error};

use crate::answer::Shaper;
use crate::ast::FindShape;
use crate::bind::Argument;
use crate::datum::{Datum, DatumColumn};
use crate::functions::{Nested, Operand};
use crate::plan::explain::Measured;
use crate::plan::physical::Plan;
use crate::prepare::Prepared;
use crate::rows::RowBatch;
use crate::run::context::QueryCtx;

/// The most queries inside one another.
const MAX_DEPTH: usize = 16;

/// Runs nested queries under the flag and the budgets of the outer one.
pub(crate) struct Subqueries<'a> {
    ctx: QueryCtx<'a>,
    /// the query that was run last, as it is asked once a row
    last: RefCell<Option<(Edn, Arc<Prepared>)>>,
    /// in a measured run
    seen: RefCell<Vec<Seen>>,
    /// rows read and produced: all nested queries of a run share its budgets
    spent: Cell<(u64, u64)>,
}

/// What is remembered of a nested query in a measured run.
#[derive(Clone)]
pub(crate) struct Seen {
    /// its form
    pub query: Edn,
    /// prepared
    pub prepared: Arc<Prepared>,
    /// the plan that was taken
    pub plan: Arc<Plan>,
    /// how often it ran by such a plan
    pub runs: u64,
    /// what that took
    pub measured: Measured,
    /// the queries nested in it
    pub deeper: Vec<Seen>,
}

/// Adds up runs of the same query by plans of the same length.
fn merge(all: &mut Vec<Seen>, new: Seen) {
    let same = |known: &&mut Seen| known.query == new.query && known.plan.steps == new.plan.steps;
    match all.iter_mut().find(same) {
        Some(known) => {
            known.runs += new.runs;
            known.measured.add(&new.measured);
            new.deeper.into_iter().for_each(|deeper| merge(&mut known.deeper, deeper));
        }
        None => all.push(new),
    }
}

thread_local! {
    static DEPTH: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// One level deeper for as long as it lives.
struct Level;

impl Level {
    fn enter() -> Result<Level, Error> {
        let depth = DEPTH.get() + 1;
        if depth > MAX_DEPTH {
            let message = format!("queries are nested more than {MAX_DEPTH} deep");
            return Err(Error::new(Code::QueryTooComplex, message).with("limit", MAX_DEPTH));
        }
        DEPTH.set(depth);
        Ok(Level)
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

impl<'a> Subqueries<'a> {
    /// Under this context.
    pub(crate) fn new(ctx: QueryCtx<'a>) -> Subqueries<'a> {
        Subqueries { ctx, last: RefCell::default(), seen: RefCell::default(), spent: Cell::default() }
    }

    /// Rows that nested queries have read and produced so far.
    pub(crate) fn spent(&self) -> (u64, u64) {
        self.spent.get()
    }

    /// The nested queries of a measured run.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.borrow().clone()
    }
}

impl Subqueries<'_> {
    fn prepared(&self, query: &Edn, args: &[Argument]) -> Result<Arc<Prepared>, Error> {
        if let Some((known, prepared)) = &*self.last.borrow()
            && known == query
            && prepared.fits(args)
        {
            return Ok(prepared.clone());
        }
        let prepared = Arc::new(Prepared::new(query, args)?);
        *self.last.borrow_mut() = Some((query.clone(), prepared.clone()));
        Ok(prepared)
    }

    fn rows(
        &self,
        query: &Edn,
        prepared: &Arc<Prepared>,
        args: &[Argument],
    ) -> Result<Vec<Vec<Datum>>, Error> {
        let (datoms, produced) = self.spent.get();
        let mut ctx = self.ctx;
        ctx.limits.datoms = ctx.limits.datoms.saturating_sub(datoms);
        ctx.limits.rows = ctx.limits.rows.saturating_sub(produced);
        let mut rows = prepared.run(args, ctx)?;
        let mut all: Vec<Vec<Datum>> = Vec::new();
        let end = loop {
            match rows.next() {
                Ok(Some(batch)) => {
                    all.extend(
                        (0..batch.rows)
                            .map(|i| batch.columns.iter().map(|col| col.get(i)).collect::<Vec<_>>()),
                    );
                }
                Ok(None) => break Ok(all),
                Err(error) => break Err(error),
            }
        };
        if self.ctx.reads.is_some() {
            let (query, prepared) = (query.clone(), prepared.clone());
            let (plan, measured, deeper) = rows.seen();
            merge(&mut self.seen.borrow_mut(), Seen { query, prepared, plan, runs: 1, measured, deeper });
        }
        let counters = rows.counters();
        // A call costs something even where it finds nothing.
        self.spent.set((datoms + counters.datoms, produced + counters.produced + 1));
        end
    }

    /// The answer as a query outside would give it: pulls done, maps for rows, rows that repeat in a vector.
    fn shaped(&self, prepared: &Prepared, args: &[Argument], rows: &[Vec<Datum>]) -> Result<Datum, Error> {
        let column = |at: usize| DatumColumn::from_data(rows.iter().map(|row| row[at].clone()).collect());
        let width = prepared.checked().query.find.elements.len();
        let batch = RowBatch { rows: rows.len(), columns: (0..width).map(column).collect() };
        let mut shaper = Shaper::new(prepared.checked(), args)?.cancelled_by(self.ctx.cancel);
        let cells = shaper.rows(&batch)?;
        Datum::from_edn(&shaper.shape(cells))
    }
}

impl Nested for Subqueries<'_> {
    fn run(&self, query: &Edn, args: &[Operand<'_>]) -> Result<Datum, Error> {
        let _level = Level::enter()?;
        let argument = |operand: &Operand<'_>| match operand {
            Operand::Db(db) => Ok(Argument::Db((*db).clone())),
            Operand::Const(datum) | Operand::Relation(datum) => Ok(Argument::Data((*datum).clone())),
            Operand::Form(form) => Ok(Argument::Form((*form).clone())),
            Operand::Column(_) => Err(Error::new(Code::Internal, "a nested query is given a column")),
        };
        let args: Result<Vec<Argument>, Error> = args.iter().map(argument).collect();
        let args = args?;
        let prepared = self.prepared(query, &args)?;
        let all = self.rows(query, &prepared, &args)?;
        if prepared.checked().query.needs_shaping() {
            return self.shaped(&prepared, &args, &all);
        }
        let first = |mut all: Vec<Vec<Datum>>| if all.is_empty() { None } else { Some(all.swap_remove(0)) };
        Ok(match prepared.checked().query.find.shape {
            FindShape::Relation => Datum::set(all.into_iter().map(Datum::vector).collect()),
            FindShape::Collection => Datum::vector(all.into_iter().flatten().collect()),
            FindShape::Tuple => first(all).map_or(Datum::Nil, Datum::vector),
            FindShape::Scalar => first(all).and_then(|row| row.into_iter().next()).unwrap_or(Datum::Nil),
        })
    }
}
