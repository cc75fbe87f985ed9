//! Queries and pulls, run by the engine.

use std::sync::Arc;
use std::time::Instant;

use annals_edn::{Code, Edn, Error, Span, read_one};
use annals_peer::db::Db;
use annals_peer::query::ast::{FindElem, FindShape, Input, KeyKind, Query};
use annals_peer::query::{
    self, Argument, Datum, Explanation, Pattern, Position, Prepared, QueryCtx, QueryLimits, RowBatch, Rows,
    Shaper,
};
use annals_wire::db::{value_from_wire, value_to_wire};
use annals_wire::v1;
use annals_wire::value::from_edn;

use super::chunks::{Batch, Cells, Chunks};
use super::token::{self, Lead};
use super::{Producer, Sink, Window};
use crate::Result;
use crate::plans::Plans;
use crate::request::{Argument as Resolved, Options, Resolver};
use crate::stream::Cancel;

/// Rows whose entities are pulled in one go.
const PULLED_ROWS: usize = 256;

/// A query with everything it reads.
pub struct Ask {
    text: String,
    places: Places,
    prepared: Option<Arc<Prepared>>,
    arguments: Vec<Argument>,
    window: Window,
    want_stats: bool,
    plans: Arc<Plans>,
    budget: Budget,
}

/// What a query may take, and since when.
#[derive(Clone, Copy)]
struct Budget {
    limits: QueryLimits,
    since: Instant,
}

impl Budget {
    fn context<'a>(&self, cancel: &'a Cancel) -> QueryCtx<'a> {
        let timer = Some(crate::clock::timer(self.since));
        QueryCtx { cancel: cancel.flag(), limits: self.limits, timer, reads: None }
    }
}

/// Resolves the inputs of a query: `$` is the request's database, the others are its arguments in order.
///
/// # Errors
/// Of the query's text; `TOO_FEW_INPUTS`, `ARGS_MISMATCH`; of an input, naming it.
pub async fn ask(
    request: &v1::QueryRequest,
    options: &Options,
    window: Window,
    resolver: &mut Resolver<'_>,
    (plans, limits): (&Arc<Plans>, QueryLimits),
) -> Result<Ask> {
    let prepared = plans.get(&request.query);
    let parsed;
    let query = match &prepared {
        Some(prepared) => &prepared.checked().query,
        None => {
            // What it calls may be known to its databases only.
            parsed = query::parse_inputs(&read_one(&request.query)?)?;
            &parsed
        }
    };
    let places = Places::of(request);
    let mut given = request.args.iter().enumerate();
    let mut arguments = Vec::with_capacity(query.inputs.len());
    for input in &query.inputs {
        if is_main(query, input) {
            arguments.push(Argument::Db(resolver.database(request.database.as_ref()).await?));
            continue;
        }
        let (at, text) = given.next().ok_or_else(|| too_few(query, request.args.len()))?;
        let argument = resolver.argument(text).await.map_err(|error| of_argument(&error, at))?;
        arguments.push(match argument {
            Resolved::Database(db) => Argument::Db(db),
            Resolved::Form(form) => Argument::Form(form.moved(places.begin(at))),
        });
    }
    if given.next().is_some() {
        let message = format!("the query takes fewer arguments than the {} given", request.args.len());
        return Err(Error::new(Code::ArgsMismatch, message).hint("every argument needs its input in :in"));
    }
    let (text, plans) = (request.query.clone(), plans.clone());
    // Two speculations may have different schemas of one revision, so plans are made for each.
    let (prepared, plans) = match resolver.speculates() {
        true => (None, Arc::default()),
        false => (prepared, plans),
    };
    let time = u64::try_from(options.timeout.as_nanos()).unwrap_or(u64::MAX);
    let budget = Budget { limits: QueryLimits { time, ..limits }, since: options.deadline - options.timeout };
    Ok(Ask { text, places, prepared, arguments, window, want_stats: options.want_stats, plans, budget })
}

fn is_main(query: &Query, input: &Input) -> bool {
    matches!(input, Input::Source(id, _) if query.sources[usize::from(id.0)].name.as_str() == "$")
}

fn too_few(query: &Query, given: usize) -> Error {
    let wanted = query.inputs.iter().filter(|input| !is_main(query, input)).count();
    Error::new(Code::TooFewInputs, format!("the query takes {wanted} arguments beside $, {given} are given"))
        .hint("give one --arg for each further input of :in")
}

/// An error about an argument's text must not point into the query's.
fn of_argument(error: &Error, at: usize) -> Error {
    let message = format!("argument {}: {}", at + 1, error.message());
    let about = Error::new(error.code(), message).with("argument", at + 1);
    let about = error.span().map_or(about.clone(), |span| about.at(span));
    match error.hint_text() {
        Some(hint) => about.hint(hint),
        None => about,
    }
}

/// Where the texts of a request would stand one behind the other: in spans of its arguments' forms that is where they
/// do stand, so that an error's span tells which text it is about.
#[derive(Clone)]
struct Places {
    /// where the query ends, and each argument begins
    begins: Vec<u32>,
}

impl Places {
    fn of(request: &v1::QueryRequest) -> Places {
        let mut begins = vec![0];
        let texts = std::iter::once(&request.query).chain(&request.args);
        let mut end = 0;
        for text in texts {
            end += text.len() as u32 + 1;
            begins.push(end);
        }
        Places { begins }
    }

    fn begin(&self, argument: usize) -> u32 {
        self.begins[argument + 1]
    }

    /// The error with its span in the text that it is about.
    fn tell(&self, error: Error) -> Error {
        let Some(span) = error.span() else { return error };
        let text = self.begins.partition_point(|&begin| begin <= span.start) - 1;
        if text == 0 || text >= self.begins.len() - 1 {
            return error;
        }
        let begin = self.begins[text];
        let span = Span { start: span.start - begin, end: span.end.max(begin) - begin };
        of_argument(&error.moved_to(span), text - 1)
    }
}

impl Ask {
    /// Plans the query.
    ///
    /// # Errors
    /// Of the query, with the span in its text.
    pub fn start(self, cancel: Cancel) -> Result<Box<dyn Producer>> {
        let (prepared, _) = self.prepared()?;
        let position = position(&self.window)?;
        let (text, arguments, budget, places) = (self.text, self.arguments, self.budget, self.places);
        let (limit, want_stats) = (self.window.limit, self.want_stats);
        Ok(Box::new(Run { text, places, prepared, arguments, cancel, position, limit, want_stats, budget }))
    }

    /// Explains the query; with `analyze` runs it to the end and measures that.
    ///
    /// # Errors
    /// Of the query, with the span in its text; of the run.
    pub fn explain(&self, cancel: &Cancel, analyze: bool) -> Result<Explanation> {
        let begun = Instant::now();
        let (prepared, known) = self.prepared()?;
        let preparing = if known { 0 } else { begun.elapsed().as_nanos() as u64 };
        let timer = crate::clock::timer(self.budget.since);
        let mut explanation = match analyze {
            false => prepared.explain(&self.arguments, Some(timer))?,
            true => {
                let part = (&position(&self.window)?, self.window.limit.unwrap_or(u64::MAX));
                let analyzed = prepared.analyze(&self.arguments, self.budget.context(cancel), timer, part);
                analyzed.map_err(|error| self.places.tell(error))?
            }
        };
        if let Some(planned) = &mut explanation.planned {
            planned.nanos += preparing;
        }
        Ok(explanation)
    }

    /// The query prepared for its arguments, and whether it was before.
    fn prepared(&self) -> Result<(Arc<Prepared>, bool)> {
        if let Some(prepared) = self.prepared.as_ref().filter(|prepared| prepared.fits(&self.arguments)) {
            return Ok((prepared.clone(), true));
        }
        let prepared = Prepared::new(&read_one(&self.text)?, &self.arguments);
        let prepared = Arc::new(prepared.map_err(|error| self.places.tell(error))?);
        self.plans.put(&self.text, &prepared);
        Ok((prepared, false))
    }

    /// Incarnation, and basis, of the first database that is read.
    #[must_use]
    pub fn basis(&self) -> (Vec<u8>, u64) {
        database(&self.arguments)
            .map_or_else(Default::default, |db| (db.incarnation().0.to_be_bytes().to_vec(), db.basis().0))
    }
}

/// The first database among the arguments: its basis is the result's.
fn database(arguments: &[Argument]) -> Option<&Db> {
    arguments.iter().find_map(|argument| match argument {
        Argument::Db(db) => Some(db),
        _ => None,
    })
}

/// A planned query.
struct Run {
    text: String,
    places: Places,
    prepared: Arc<Prepared>,
    arguments: Vec<Argument>,
    cancel: Cancel,
    position: Position,
    limit: Option<u64>,
    want_stats: bool,
    budget: Budget,
}

/// Where the engine is to go on.
fn position(window: &Window) -> Result<Position> {
    let Some(lead) = &window.lead else { return Ok(Position { rows: window.skip, ..Position::default() }) };
    let value = value_from_wire(&lead.value()?).ok().flatten().ok_or_else(token::damaged)?;
    Ok(Position { rows: window.skip, lead: Some(Datum::Value(value)), with_lead: lead.rows })
}

/// The place behind the rows given out so far, where a scan can start from it.
fn lead(position: &Position) -> Option<Lead> {
    let value = position.lead.as_ref()?.value()?;
    Some(Lead::new(&value_to_wire(value.as_ref()), position.with_lead))
}

impl Run {
    fn query(&self) -> &Query {
        &self.prepared.checked().query
    }
}

impl Producer for Run {
    fn header(&self) -> v1::ResultHeader {
        let query = self.query();
        let db = database(&self.arguments);
        let column = |element: &FindElem| v1::ColumnInfo { name: self.name(element), r#type: String::new() };
        v1::ResultHeader {
            shape: shape(query).into(),
            columns: query.find.elements.iter().map(column).collect(),
            return_keys: query.return_map.as_ref().map(return_keys),
            incarnation: db.map_or_else(Vec::new, |db| db.incarnation().0.to_be_bytes().to_vec()).into(),
            basis_t: db.map_or(0, |db| db.basis().0),
            ..v1::ResultHeader::default()
        }
    }

    fn run(&mut self, out: &mut dyn Sink) -> Result<String> {
        self.rows(out).map_err(|error| self.places.tell(error))
    }
}

impl Run {
    fn rows(&mut self, out: &mut dyn Sink) -> Result<String> {
        let ctx = self.budget.context(&self.cancel);
        let mut shaper =
            Shaper::new(self.prepared.checked(), &self.arguments)?.cancelled_by(self.cancel.flag());
        let mut rows = self.prepared.run_from(&self.arguments, ctx, &self.position)?;
        deliver(&mut rows, &mut shaper, self.limit.unwrap_or(u64::MAX), out)?;
        Ok(if self.want_stats { rows.explanation().to_edn().to_string() } else { String::new() })
    }

    /// A column's name as written in the query.
    fn name(&self, element: &FindElem) -> String {
        let at = match element {
            FindElem::Var(_, at) | FindElem::Pull { at, .. } | FindElem::Aggregate { at, .. } => at.0,
        };
        let written = self.text.get(at.start as usize..at.end as usize).filter(|text| !text.is_empty());
        written.map_or_else(|| self.query().name(element.var()).as_str().to_string(), str::to_string)
    }
}

fn deliver(rows: &mut Rows<'_>, shaper: &mut Shaper<'_>, limit: u64, out: &mut dyn Sink) -> Result<()> {
    let mut chunks = Chunks::new(limit);
    while !chunks.is_full() {
        let Some(batch) = rows.next()? else { break };
        if let Some(lead) = lead(rows.position()) {
            out.mark(chunks.waiting() + batch.rows as u64, lead);
        }
        let wanted = match shaper.pulls() {
            true => pull_and_take(&batch, shaper, &mut chunks, out)?,
            false => chunks.take(batch, out)?,
        };
        if !wanted {
            return Ok(());
        }
    }
    chunks.end(out)
}

/// Pulls for a part of the batch at a time, so that no more is pulled than a reader who has stopped leaves waiting.
fn pull_and_take(
    batch: &RowBatch,
    shaper: &mut Shaper<'_>,
    chunks: &mut Chunks,
    out: &mut dyn Sink,
) -> Result<bool> {
    let rows: Vec<u32> = (0..batch.rows as u32).collect();
    for part in rows.chunks(PULLED_ROWS) {
        let columns = batch.columns.iter().map(|column| column.gather(part)).collect();
        let part = RowBatch { rows: part.len(), columns };
        let mut columns = Vec::with_capacity(part.columns.len());
        for (at, column) in part.columns.iter().enumerate() {
            columns.push(match shaper.is_pull(at) {
                true => Cells::Forms(shaper.column(at, &part)?),
                false => Cells::Data(column.clone()),
            });
        }
        if chunks.is_full() || !chunks.take(Batch { rows: part.rows, columns }, out)? {
            return Ok(chunks.is_full());
        }
    }
    Ok(true)
}

fn shape(query: &Query) -> v1::ResultShape {
    match query.find.shape {
        FindShape::Relation if query.rows_may_repeat() => v1::ResultShape::Bag,
        FindShape::Relation => v1::ResultShape::Set,
        FindShape::Collection => v1::ResultShape::Collection,
        FindShape::Tuple => v1::ResultShape::Tuple,
        FindShape::Scalar => v1::ResultShape::Scalar,
    }
}

fn return_keys(map: &annals_peer::query::ast::ReturnMap) -> v1::ReturnKeys {
    let kind = match map.kind {
        KeyKind::Keys => v1::ReturnKeyKind::Keyword,
        KeyKind::Syms => v1::ReturnKeyKind::Symbol,
        KeyKind::Strs => v1::ReturnKeyKind::String,
    };
    v1::ReturnKeys {
        kind: kind.into(),
        names: map.names.iter().map(|name| name.as_str().to_string()).collect(),
    }
}

/// Pulls each entity of a request.
///
/// # Errors
/// Of the pattern or an entity; `CANCELLED`.
pub fn pull(db: &Db, request: &v1::PullRequest, cancel: &Cancel) -> Result<Vec<v1::Value>> {
    let pattern = Pattern::parse(&read_one(&request.pattern)?)?;
    let entity = |(at, text): (usize, &String)| read_one(text).map_err(|error| of_argument(&error, at));
    let entities = request.entities.iter().enumerate().map(entity).collect::<Result<Vec<Edn>>>()?;
    Ok(query::pull_many_until(db, &pattern, &entities, cancel.flag())?.iter().map(from_edn).collect())
}
