//! A query made ready once and run often: parsed, checked and lowered; plans are cached by shape.
//!
//! A plan never contains a literal. It depends on the query, the schemas, the shapes of the arguments, and the order of
//! magnitude of each range that the planner counted; these are the key under which [`Prepared`] keeps it.

use std::sync::{Arc, Mutex, OnceLock};

use annals_db::Incarnation;
use annals_db::segment::Reads;
use annals_edn::{Code, Edn, Error, Node as Form};
use rustc_hash::FxHashMap;

use crate::answer::Shaper;
use crate::ast::{Input, Query, VarId};
use crate::bind::{self, Argument, Bound};
use crate::check::{CheckedQuery, InputShape, check};
use crate::datum::Datum;
use crate::parse::{parse, parse_inputs};
use crate::plan::estimate::{CountKey, Statistics};
use crate::plan::explain::{Actual, Explain, Explanation, Inner, Planned};
use crate::plan::logic::{Call, CallArg, Logic};
use crate::plan::lower::lower;
use crate::plan::physical::Plan;
use crate::plan::point::is_point;
use crate::plan::search::{self, Dice};
use crate::plan::vars::VarSet;
use crate::rows::{Position, Rows};
use crate::run::context::QueryCtx;
use crate::run::meter::{Meter, Spent, Timer};
use crate::stored::link::{Linked, link};

/// The most plans that are kept for one query.
const MAX_PLANS: usize = 64;

/// A query that can run on any arguments of the shape it was prepared for.
pub struct Prepared {
    checked: Arc<CheckedQuery>,
    logic: Arc<Logic>,
    shapes: Vec<Shape>,
    /// the stored functions that it calls, by number of the argument they are in
    stored: Vec<(usize, annals_db::Function)>,
    plans: Mutex<Plans>,
    /// the one plan of a query about one entity
    point: Option<OnceLock<Arc<Plan>>>,
}

/// What of an argument a prepared query depends on.
#[derive(Clone, Debug, PartialEq)]
enum Shape {
    Db(Incarnation, u64, bool),
    Rules(Edn),
    Data,
}

#[derive(Default)]
struct Plans {
    asked: Vec<CountKey>,
    known: FxHashMap<Vec<u8>, Arc<Plan>>,
}

impl Prepared {
    /// Parses, checks and lowers `query` (list, map or text) for arguments like `args`.
    ///
    /// # Errors
    /// Whatever is wrong with the query before it runs, with span and hint.
    pub fn new(query: &Edn, args: &[Argument]) -> Result<Prepared, Error> {
        let Parsed { query: parsed, rules, stored } = parsed(query, args)?;
        let shape = |argument: &Argument| match argument {
            Argument::Db(db) => InputShape::Db(db.schema().clone()),
            _ => InputShape::Data,
        };
        let inputs: Vec<InputShape> = args.iter().map(shape).collect();
        let checked = Arc::new(check(&parsed, rules.as_ref(), &inputs)?);
        let logic = Arc::new(lower(&checked, &bind::databases(&checked.query, args))?);
        let shapes = shapes(&parsed, args);
        let point = is_point(&logic).then(OnceLock::new);
        Ok(Prepared { checked, logic, shapes, stored, plans: Mutex::default(), point })
    }

    /// True when the query can run on `args` as it is; otherwise prepare it anew.
    #[must_use]
    pub fn fits(&self, args: &[Argument]) -> bool {
        Linked::still_holds(&self.stored, args)
            && args.len() == self.shapes.len()
            && args
                .iter()
                .enumerate()
                .zip(&self.shapes)
                .all(|(arg, shape)| has_shape(&self.checked.query, arg, shape))
    }

    /// The query as it was checked.
    #[must_use]
    pub fn checked(&self) -> &CheckedQuery {
        &self.checked
    }

    /// Runs on `args`; rows come as they are asked for.
    ///
    /// # Errors
    /// Of the arguments; those of the run itself come from [`Rows::next`].
    pub fn run<'a>(&self, args: &'a [Argument], ctx: QueryCtx<'a>) -> Result<Rows<'a>, Error> {
        self.start(args, ctx, None, None)
    }

    /// As [`Prepared::run`], going on after the rows that `position` tells of. The result is a suffix of that of `run`
    /// on the same arguments, wherever the first part ran.
    ///
    /// # Errors
    /// As [`Prepared::run`].
    pub fn run_from<'a>(
        &self,
        args: &'a [Argument],
        ctx: QueryCtx<'a>,
        position: &Position,
    ) -> Result<Rows<'a>, Error> {
        self.start(args, ctx, Some(position), None)
    }

    /// As [`Prepared::run`], by a plan picked at random among all valid ones: the answer is the same, which tests show.
    ///
    /// # Errors
    /// As [`Prepared::run`].
    pub fn run_any_plan<'a>(
        &self,
        args: &'a [Argument],
        ctx: QueryCtx<'a>,
        seed: u64,
    ) -> Result<Rows<'a>, Error> {
        self.start(args, ctx, None, Some(Dice(seed)))
    }

    /// The plan that a run on `args` would take. Nothing is run. With a timer, what planning takes is told too.
    ///
    /// # Errors
    /// As [`Prepared::run`].
    pub fn explain(&self, args: &[Argument], timer: Option<Timer<'_>>) -> Result<Explanation, Error> {
        let started = timer.map_or(0, |timer| timer.elapsed());
        let bound = bind::sketch(&self.checked, &self.logic, args)?;
        let (plan, cached) = self.planned(&bound, None)?;
        let planned = timer.map(|timer| Planned { cached, nanos: timer.elapsed().saturating_sub(started) });
        let nested = |call: &Call| nested(&self.checked.query, call, &bound, args);
        let explain = Explain::new(&self.checked, &self.logic, &plan, None, &nested);
        Ok(Explanation { planned, ..explain.explanation() })
    }

    /// Runs on `args` to the end, pulls included, and tells what each step took. The rows are dropped. What `position`
    /// tells of and what goes beyond `limit` rows is left out, as where a result is delivered.
    ///
    /// # Errors
    /// As [`Prepared::run`], and those of the run and of pulls.
    pub fn analyze(
        &self,
        args: &[Argument],
        ctx: QueryCtx<'_>,
        timer: Timer<'_>,
        (position, limit): (&Position, u64),
    ) -> Result<Explanation, Error> {
        let reads = Arc::new(Reads::default());
        let args: Vec<Argument> = args.iter().map(|arg| arg.counting(&reads)).collect::<Result<_, _>>()?;
        let ctx = QueryCtx { timer: Some(timer), reads: Some(&reads), ..ctx };
        let started = timer.elapsed();
        let bound = bind::bind(&self.checked, &self.logic, &args)?;
        let (plan, cached) = self.planned(&bound, None)?;
        let planned = Planned { cached, nanos: timer.elapsed().saturating_sub(started) };
        let known = (&self.checked, &self.logic);
        let mut rows = Rows::new(known, plan, bound, &args, ctx, Some(position))?;
        let mut shaper = Shaper::new(&self.checked, &args)?.cancelled_by(ctx.cancel);
        let (meter, mut left, mut pulled) = (Meter::new(timer, &reads), limit, 0);
        while left > 0
            && let Some(batch) = rows.next()?
        {
            let batch = batch.first(left);
            left -= batch.rows as u64;
            pulled += batch.rows as u64;
            for at in (0..batch.columns.len()).filter(|at| shaper.is_pull(*at)).collect::<Vec<_>>() {
                meter.measure(at, || shaper.column(at, &batch))?;
            }
        }
        let mut explanation = Explanation { planned: Some(planned), ..rows.explanation() };
        let spent = meter.spent(self.checked.query.find.elements.len());
        let is_pull = |(at, _): &(usize, &Spent)| shaper.is_pull(*at);
        let pulls = explanation.result.iter_mut().filter(|operator| operator.kind == "pull");
        for (operator, (_, spent)) in pulls.zip(spent.iter().enumerate().filter(is_pull)) {
            operator.actual = Some(Actual { rows_in: pulled, rows_out: pulled, spent: Some(*spent) });
        }
        Ok(explanation)
    }

    /// Query and logical form.
    pub(crate) fn parts(&self) -> (&CheckedQuery, &Logic) {
        (&self.checked, &self.logic)
    }

    fn start<'a>(
        &self,
        args: &'a [Argument],
        ctx: QueryCtx<'a>,
        position: Option<&Position>,
        dice: Option<Dice>,
    ) -> Result<Rows<'a>, Error> {
        let bound = bind::bind(&self.checked, &self.logic, args)?;
        let (plan, _) = self.planned(&bound, dice)?;
        Rows::new((&self.checked, &self.logic), plan, bound, args, ctx, position)
    }

    fn empty_plan(&self) -> Plan {
        let (root, width) = (Default::default(), self.logic.width);
        Plan { root, lead: None, distinct: true, single: false, width, steps: 0 }
    }

    /// The plan for these arguments, and whether it was known.
    fn planned(&self, bound: &Bound<'_>, dice: Option<Dice>) -> Result<(Arc<Plan>, bool), Error> {
        if bound.nothing {
            return Ok((Arc::new(self.empty_plan()), false));
        }
        if let Some(plan) = self.point.as_ref().filter(|_| dice.is_none()).and_then(OnceLock::get) {
            return Ok((plan.clone(), true));
        }
        let mut statistics = Statistics::new(&bound.sources, &bound.fixed);
        if dice.is_some() {
            return Ok((Arc::new(self.search(&mut statistics, dice)?), false));
        }
        if let Some(point) = &self.point {
            let plan = Arc::new(self.search(&mut statistics, None)?);
            return Ok((point.get_or_init(|| plan).clone(), false));
        }
        let mut plans = self.plans.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let key = key(&mut statistics, &plans.asked, bound)?;
        if let Some(plan) = plans.known.get(&key) {
            return Ok((plan.clone(), true));
        }
        let plan = Arc::new(self.search(&mut statistics, None)?);
        let new: Vec<CountKey> =
            statistics.asked().into_iter().filter(|key| !plans.asked.contains(key)).collect();
        if !new.is_empty() || plans.known.len() >= MAX_PLANS {
            plans.known.clear();
            plans.asked.extend(new);
        }
        let mut statistics = Statistics::new(&bound.sources, &bound.fixed);
        let asked = plans.asked.clone();
        plans.known.insert(self::key(&mut statistics, &asked, bound)?, plan.clone());
        Ok((plan, false))
    }

    fn search(&self, statistics: &mut Statistics<'_>, dice: Option<Dice>) -> Result<Plan, Error> {
        let basis = self.checked.query.basis();
        let out: VarSet = basis.iter().copied().collect();
        let lead = lead(&self.checked, &self.logic);
        search::plan(&self.logic, statistics, &out, lead, dice)
    }
}

/// The variable that the result is sorted by first, if a scan could deliver that order.
pub(crate) fn lead(checked: &CheckedQuery, logic: &Logic) -> Option<VarId> {
    if !checked.query.order_by.is_empty() || checked.query.aggregates() {
        return None;
    }
    let basis = checked.query.basis();
    let fixed = |var: &VarId| logic.fixed.iter().any(|(fixed, _)| fixed == var);
    let vars = checked.canonical.iter().map(|key| basis[key.column]);
    vars.into_iter().find(|var| !fixed(var))
}

/// The plan of a query that `call` nests, as far as its arguments are known before anything runs.
fn nested(query: &Query, call: &Call, bound: &Bound<'_>, args: &[Argument]) -> Vec<Inner> {
    let Some(CallArg::Form(form)) = call.args.first() else { return Vec::new() };
    let unknown = || Argument::Data(Datum::Nil);
    let argument = |arg: &CallArg| match arg {
        CallArg::Var(var) => bound.fixed.get(var).map_or_else(unknown, |datum| Argument::Data(datum.clone())),
        CallArg::Source(source) => {
            args.get(query.sources[usize::from(source.0)].input).cloned().unwrap_or_else(unknown)
        }
        CallArg::Form(form) => Argument::Form((**form).clone()),
    };
    let args: Vec<Argument> = call.args[1..].iter().map(argument).collect();
    let explained = Prepared::new(form, &args).and_then(|prepared| prepared.explain(&args, None));
    // What is wrong with it is said when it runs, if it does.
    let Ok(Explanation { mut operators, result, .. }) = explained else { return Vec::new() };
    operators.extend(result);
    vec![Inner { label: "query, once a row".to_owned(), operators }]
}

fn key(statistics: &mut Statistics<'_>, asked: &[CountKey], bound: &Bound<'_>) -> Result<Vec<u8>, Error> {
    let mut key = statistics.magnitudes(asked)?;
    let mut fixed: Vec<_> = bound.fixed.iter().collect();
    fixed.sort_by_key(|(var, _)| **var);
    key.extend(fixed.iter().map(|(_, datum)| datum.value().map_or(0, |value| value.value_type() as u8)));
    for source in &bound.sources.kinds {
        if let crate::source::SourceKind::Relation(relation) = source {
            key.push((relation.rows as u64 + 1).ilog2() as u8);
        }
    }
    for rows in bound.inputs.iter().flatten() {
        key.push((rows.rows as u64 + 1).ilog2() as u8);
    }
    Ok(key)
}

/// A query and its rules with calls of stored functions spelled out.
struct Parsed {
    query: Query,
    rules: Option<Edn>,
    stored: Vec<(usize, annals_db::Function)>,
}

fn parsed(query: &Edn, args: &[Argument]) -> Result<Parsed, Error> {
    let held;
    let form = match &query.node {
        Form::Str(text) => {
            held = annals_edn::read_one(text)?;
            &held
        }
        _ => query,
    };
    let parsed = match (&query.node, &form.node) {
        // It says that text in text is no query.
        (Form::Str(text), Form::Str(_)) => crate::parse::parse_text(text),
        _ => parse(form),
    };
    let mut rules = match &parsed {
        Ok(parsed) => rules(parsed, args),
        Err(error) if is_unknown(error) => rules(&parse_inputs(form)?, args),
        Err(_) => None,
    };
    let linked = match &parsed {
        Err(error) if !is_unknown(error) => None,
        _ => link(form, &mut rules, args)?,
    };
    match linked {
        Some(Linked { query, found }) => Ok(Parsed { query: parse(&query)?, rules, stored: found }),
        None => Ok(Parsed { query: parsed?, rules, stored: Vec::new() }),
    }
}

/// A name that may be one of a stored function.
fn is_unknown(error: &Error) -> bool {
    matches!(error.code(), Code::UnknownFunction | Code::InvalidAggregate)
}

fn rules(query: &Query, args: &[Argument]) -> Option<Edn> {
    let at = query.inputs.iter().position(|input| matches!(input, Input::Rules(_)))?;
    match args.get(at)? {
        Argument::Form(form) => Some(form.clone()),
        Argument::Data(datum) => Some(datum.to_edn()),
        _ => None,
    }
}

fn shapes(query: &Query, args: &[Argument]) -> Vec<Shape> {
    let shape = |(i, argument): (usize, &Argument)| match argument {
        Argument::Db(db) => Shape::Db(db.incarnation(), db.schema().revision(), db.view().history),
        Argument::Form(form) if takes_form(query, i) => Shape::Rules(form.clone()),
        _ => Shape::Data,
    };
    args.iter().enumerate().map(shape).collect()
}

/// Input `i` is rules or a pull pattern.
fn takes_form(query: &Query, i: usize) -> bool {
    matches!(query.inputs.get(i), Some(Input::Rules(_) | Input::Pull(..)))
}

/// Argument `i` has this shape.
fn has_shape(query: &Query, (i, argument): (usize, &Argument), shape: &Shape) -> bool {
    match (argument, shape) {
        (Argument::Db(db), Shape::Db(incarnation, revision, history)) => {
            db.view().history == *history
                && db.schema().revision() == *revision
                && db.incarnation() == *incarnation
        }
        (Argument::Form(form), Shape::Rules(known)) => takes_form(query, i) && form == known,
        (Argument::Db(_), _) => false,
        (Argument::Form(_), Shape::Data) => !takes_form(query, i),
        (_, Shape::Data) => true,
        _ => false,
    }
}
