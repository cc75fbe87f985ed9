//! Arguments to what a run works with: sources, the value of each fixed variable, the rows of inputs.

use std::sync::Arc;

use annals_db::segment::Reads;
use annals_db::{Db, T, Value};
use annals_edn::{Code, Edn, Error, Node};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::ast::{Binding, Clause, Input, Pattern, Query, SourceId, Term, VarId};
use crate::check::{CheckedQuery, Given, Role};
use crate::datum::{Datum, DatumColumn};
use crate::plan::logic::{Fixed, Logic, Node as LogicNode, RowsInput};
use crate::resolve;
use crate::run::context::InputRows;
use crate::source::log::{Events, Transactions};
use crate::source::{Relation, SourceKind, Sources};

/// One argument of a query, in the order of `:in`.
#[derive(Clone)]
pub enum Argument {
    /// a database value
    Db(Db),
    /// a value, a tuple, a collection or a relation
    Data(Datum),
    /// the same as a form; also rules, a pull pattern
    Form(Edn),
    /// as a source: what the transactions `start..end` of a database asserted and retracted, `[e a v tx op]`
    Events(Db, T, T),
    /// as a source: the transactions `start..end` of a database, `[tx instant]`
    Transactions(Db, T, T),
}

impl Argument {
    /// The same, its database reading through a port that counts.
    pub(crate) fn counting(&self, reads: &Arc<Reads>) -> Result<Argument, Error> {
        Ok(match self {
            Argument::Db(db) => Argument::Db(db.counting(reads)?),
            Argument::Events(db, start, end) => Argument::Events(db.counting(reads)?, *start, *end),
            Argument::Transactions(db, start, end) => {
                Argument::Transactions(db.counting(reads)?, *start, *end)
            }
            Argument::Data(_) | Argument::Form(_) => self.clone(),
        })
    }
}

/// What binding makes of the arguments.
pub(crate) struct Bound<'a> {
    /// by source number
    pub sources: Sources<'a>,
    /// the value of each fixed variable
    pub fixed: FxHashMap<VarId, Datum>,
    /// by number of input
    pub inputs: Vec<Option<Arc<InputRows>>>,
    /// an input names nothing: there are no rows
    pub nothing: bool,
}

/// The databases among the sources of a query, by source number.
pub(crate) fn databases<'a>(query: &crate::ast::Query, args: &'a [Argument]) -> Vec<Option<&'a Db>> {
    let database = |source: &crate::ast::Source| match args.get(source.input) {
        Some(Argument::Db(db)) => Some(db),
        _ => None,
    };
    query.sources.iter().map(database).collect()
}

/// Binds `args`.
///
/// # Errors
/// `INVALID_DATA_SOURCE`, `ARGS_MISMATCH`, and those of identifiers.
pub(crate) fn bind<'a>(
    checked: &CheckedQuery,
    logic: &Logic,
    args: &'a [Argument],
) -> Result<Bound<'a>, Error> {
    bound(checked, logic, args, false)
}

/// As [`bind`] for a query that is only explained: inputs that are nil are not known yet.
///
/// # Errors
/// As [`bind`].
pub(crate) fn sketch<'a>(
    checked: &CheckedQuery,
    logic: &Logic,
    args: &'a [Argument],
) -> Result<Bound<'a>, Error> {
    bound(checked, logic, args, true)
}

fn bound<'a>(
    checked: &CheckedQuery,
    logic: &Logic,
    args: &'a [Argument],
    sketch: bool,
) -> Result<Bound<'a>, Error> {
    let query = &checked.query;
    let mut kinds = Vec::with_capacity(query.sources.len());
    for source in &query.sources {
        kinds.push(match args.get(source.input) {
            Some(Argument::Db(db)) => SourceKind::Database(db),
            Some(Argument::Events(db, start, end)) => {
                SourceKind::Events(Events { db, start: *start, end: *end })
            }
            Some(Argument::Transactions(db, start, end)) => {
                SourceKind::Transactions(Transactions { db, start: *start, end: *end })
            }
            Some(other) => SourceKind::Relation(Arc::new(Relation::new(&datum(other)?)?)),
            None => return Err(missing(source.input)),
        });
    }
    let sources = Sources { kinds };
    constants(query, &sources)?;
    let mut binder = Binder { checked, args, sources: &sources, nothing: false, sketch };
    let fixed = binder.fixed(logic)?;
    let mut inputs = vec![None; query.inputs.len()];
    for node in &logic.main {
        if let LogicNode::Rows(rows) = node {
            inputs[rows.input] = Some(Arc::new(binder.rows(rows)?));
        }
    }
    let nothing = binder.nothing || binder.empty_blank()?;
    Ok(Bound { sources, fixed, inputs, nothing })
}

/// Refuses constants of patterns that identify nothing where they stand, whether or not the plan comes to read them.
fn constants(query: &Query, sources: &Sources<'_>) -> Result<(), Error> {
    let mut databases = (0..sources.kinds.len() as u16).filter_map(|at| sources.database(SourceId(at)));
    // Rules read what they are called on; with several databases that is only known when they run.
    let only = databases.next().filter(|_| databases.next().is_none());
    let bodies = query.rules.iter().flat_map(|rule| &rule.branches).map(|branch| branch.clauses.as_slice());
    for clauses in std::iter::once(query.clauses.as_slice()).chain(bodies) {
        crate::check::visit(clauses, &mut |clause| {
            let Clause::Pattern(pattern) = clause else { return Ok(()) };
            let db = if pattern.source == SourceId::CALLER { only } else { sources.database(pattern.source) };
            db.map_or(Ok(()), |db| pattern_constants(query, db, pattern))
        })?;
    }
    Ok(())
}

fn pattern_constants(query: &Query, db: &Db, pattern: &Pattern) -> Result<(), Error> {
    let identifier = |term: Term| match term {
        Term::Const(id) => match &query.constant(id).node {
            Node::Long(_) => None,
            _ => Some(Datum::from_edn(query.constant(id))),
        },
        _ => None,
    };
    // The error points at the term, not at the whole pattern.
    let refused = |term: Term| {
        let span = match term {
            Term::Const(id) => query.constant(id).span,
            _ => pattern.at.0,
        };
        move |error: Error| error.at(span)
    };
    for term in [pattern.e(), pattern.tx()] {
        if let Some(datum) = identifier(term) {
            resolve::entity(db, &datum?).map_err(refused(term))?;
        }
    }
    let Some(value) = identifier(pattern.v()) else { return Ok(()) };
    let Some(attribute) = identifier(pattern.a()) else { return Ok(()) };
    let attribute = resolve::attribute(db, &attribute?).map_err(refused(pattern.a()))?;
    resolve::value(db, &attribute, &value?).map_err(refused(pattern.v()))?;
    Ok(())
}

fn missing(input: usize) -> Error {
    Error::new(Code::TooFewInputs, format!("input {} has no argument", input + 1))
}

/// An argument as a value.
pub(crate) fn datum(argument: &Argument) -> Result<Datum, Error> {
    match argument {
        Argument::Data(datum) => Ok(datum.clone()),
        Argument::Form(form) => Datum::from_edn(form),
        Argument::Db(_) | Argument::Events(..) | Argument::Transactions(..) => {
            Err(Error::new(Code::ArgsMismatch, "a database is given where the query binds a value"))
        }
    }
}

struct Binder<'b, 'a> {
    checked: &'b CheckedQuery,
    args: &'a [Argument],
    sources: &'b Sources<'a>,
    nothing: bool,
    /// nil stands for what is not known yet
    sketch: bool,
}

impl Binder<'_, '_> {
    fn argument(&self, input: usize) -> Result<Datum, Error> {
        let found = datum(self.args.get(input).ok_or_else(|| missing(input))?)?;
        if matches!(found, Datum::Nil) {
            let message = format!("input {} is nil", input + 1);
            return Err(Error::new(Code::ArgsMismatch, message));
        }
        Ok(found)
    }

    fn unknown(&self, input: usize) -> bool {
        self.sketch && matches!(self.args.get(input), Some(Argument::Data(Datum::Nil)))
    }

    fn fixed(&mut self, logic: &Logic) -> Result<FxHashMap<VarId, Datum>, Error> {
        let mut values = FxHashMap::default();
        for (var, from) in &logic.fixed {
            let value = match from {
                Fixed::Input(input, _) if self.unknown(*input) => continue,
                Fixed::Given(at) if self.sketch && !values.contains_key(&self.checked.given[*at].given) => {
                    continue;
                }
                Fixed::Const(id) => self.constant(*id)?,
                Fixed::Input(input, None) => self.argument(*input)?,
                Fixed::Input(input, Some(slot)) => {
                    let items = self.argument(*input)?.items().unwrap_or_default();
                    items.get(*slot).cloned().ok_or_else(|| short(*input, items.len()))?
                }
                Fixed::Given(at) => {
                    let given = &self.checked.given[*at];
                    let value = values.get(&given.given).cloned().unwrap_or(Datum::Nil);
                    // What names nothing becomes nil, which matches nothing, and is not dropped: inside a not it
                    // keeps its row.
                    self.resolve(given, &value)?.into()
                }
            };
            values.insert(*var, value);
        }
        Ok(values)
    }

    /// A constant; what identifies something in a call of a rule, as the database knows it.
    fn constant(&self, id: crate::ast::ConstId) -> Result<Datum, Error> {
        let datum = Datum::from_edn(self.checked.query.constant(id))?;
        let Some(identifier) = self.checked.identifiers.iter().find(|known| known.constant == id) else {
            return Ok(datum);
        };
        let (source, role) = (identifier.source, identifier.role.clone());
        let given = Given { given: VarId(0), resolved: VarId(0), source, role };
        Ok(self.resolve(&given, &datum)?.map_or(datum, Datum::Value))
    }

    /// The value as the database knows it; `None` when it names nothing.
    fn resolve(&self, given: &Given, datum: &Datum) -> Result<Option<Value>, Error> {
        let Some(db) = self.sources.database(given.source) else { return Ok(None) };
        let found = match &given.role {
            Role::Entity => resolve::entity(db, datum).map(|found| found.map(Value::Ref)),
            Role::Attribute => resolve::attribute(db, datum).map(|found| Some(Value::Ref(found.id.entity()))),
            Role::ValueOf(attribute) => match db.schema().attribute(*attribute) {
                Some(attribute) => resolve::value(db, attribute, datum),
                None => Ok(None),
            },
        };
        match found {
            Err(error) if error.code() == Code::NotAnEntity && given.role != Role::Attribute => Ok(None),
            other => other,
        }
    }

    /// The rows of an input, without repeats; what names nothing is nil in its resolved form.
    fn rows(&mut self, form: &RowsInput) -> Result<InputRows, Error> {
        if self.unknown(form.input) {
            return Ok(InputRows::default());
        }
        let given = self.argument(form.input)?;
        let refuse = || {
            let message = format!("input {} is no collection", form.input + 1);
            Error::new(Code::ArgsMismatch, message)
        };
        let mut rows: Vec<Vec<Datum>> = Vec::new();
        let mut seen = FxHashSet::default();
        for item in given.items().ok_or_else(refuse)? {
            let slots = if form.collection { vec![item] } else { item.items().ok_or_else(refuse)? };
            if slots.len() < form.slots.len() {
                return Err(short(form.input, slots.len()));
            }
            let mut row: Vec<Datum> = form
                .slots
                .iter()
                .zip(&slots)
                .map(|(slot, datum)| if slot.is_some() { datum.clone() } else { Datum::Nil })
                .collect();
            self.complete(form, &slots, &mut row)?;
            if seen.insert(row.clone()) {
                rows.push(row);
            }
        }
        let width = form.slots.len() + form.resolved.len();
        let column = |i: usize| DatumColumn::from_data(rows.iter().map(|row| row[i].clone()).collect());
        Ok(InputRows { rows: rows.len(), cols: (0..width).map(column).collect() })
    }

    /// Adds the resolved forms to a row, nil for what names nothing.
    fn complete(&self, form: &RowsInput, slots: &[Datum], row: &mut Vec<Datum>) -> Result<(), Error> {
        for (slot, given, _) in &form.resolved {
            row.push(self.resolve(&self.checked.given[*given], &slots[*slot])?.into());
        }
        Ok(())
    }

    /// True when an input that binds nothing but must have an element has none.
    fn empty_blank(&self) -> Result<bool, Error> {
        for (input, form) in self.checked.query.inputs.iter().enumerate() {
            if let Input::Binding(Binding::Blank, _) = form
                && !self.unknown(input)
            {
                self.argument(input)?;
            }
        }
        Ok(false)
    }
}

fn short(input: usize, len: usize) -> Error {
    Error::new(Code::ArgsMismatch, format!("input {} has a tuple of {len}, which is too short", input + 1))
}
