//! Rows to the shape that `:find` asks for: pulls done, in EDN.
//!
//! A relation is a set of vectors, or a vector of vectors where rows may repeat (under `:with`, and with pulls); a
//! collection a vector; a scalar a value; a tuple a vector; with return maps each row a map. Nothing found is `#{}`,
//! `[]` or `nil`. Rows keep the canonical order, in sets too. Ids are numbers.

use std::sync::atomic::AtomicBool;

use annals_db::{Column, Db};
use annals_edn::{Edn, Error, Node};

use crate::ast::{FindElem, FindShape, KeyKind, PullSpec, Query, ReturnMap};
use crate::bind::Argument;
use crate::check::CheckedQuery;
use crate::datum::{Datum, DatumColumn, value_to_edn};
use crate::prepare::Prepared;
use crate::pull::{Pattern, Pull};
use crate::resolve;
use crate::rows::RowBatch;
use crate::run::context::QueryCtx;

/// Runs a query to its end and shapes the whole answer.
///
/// # Errors
/// Those of the run, and of pulls.
pub fn answer<'a>(prepared: &'a Prepared, args: &'a [Argument], ctx: QueryCtx<'a>) -> Result<Edn, Error> {
    let mut shaper = Shaper::new(prepared.checked(), args)?.cancelled_by(ctx.cancel);
    let mut rows = prepared.run(args, ctx)?;
    let mut found = Vec::new();
    while let Some(batch) = rows.next()? {
        found.append(&mut shaper.rows(&batch)?);
    }
    Ok(shaper.shape(found))
}

/// Makes EDN of batches of rows.
pub struct Shaper<'a> {
    query: &'a Query,
    /// by find element
    pulls: Vec<Option<(&'a Db, Pull<'a>)>>,
}

impl<'a> Shaper<'a> {
    /// For the rows of one run; reads the pull patterns among the arguments.
    ///
    /// # Errors
    /// Of the patterns; `INVALID_VIEW` for a pull from a history.
    pub fn new(checked: &'a CheckedQuery, args: &'a [Argument]) -> Result<Shaper<'a>, Error> {
        let query = &checked.query;
        let pulls =
            query.find.elements.iter().map(|elem| pull(query, elem, args)).collect::<Result<_, _>>()?;
        Ok(Shaper { query, pulls })
    }

    /// The same, its pulls stopped soon after `cancel` is set.
    #[must_use]
    pub fn cancelled_by(mut self, cancel: &'a AtomicBool) -> Shaper<'a> {
        for slot in &mut self.pulls {
            *slot = slot.take().map(|(db, pull)| (db, pull.cancelled_by(cancel)));
        }
        self
    }

    /// True when some column is a pull, so that [`Shaper::column`] reads the database.
    #[must_use]
    pub fn pulls(&self) -> bool {
        self.pulls.iter().any(Option::is_some)
    }

    /// Whether column number `at` is a pull.
    #[must_use]
    pub fn is_pull(&self, at: usize) -> bool {
        self.pulls[at].is_some()
    }

    /// The forms of column number `at` of a batch; of a pull those of all its entities at once.
    ///
    /// # Errors
    /// Of pulls.
    pub fn column(&mut self, at: usize, batch: &RowBatch) -> Result<Vec<Edn>, Error> {
        let column = &batch.columns[at];
        match &mut self.pulls[at] {
            Some((db, pull)) => pulled(db, pull, column),
            None => Ok(match column {
                DatumColumn::Stored(values) => {
                    (0..batch.rows).map(|row| value_to_edn(&values.get(row))).collect()
                }
                DatumColumn::Any(items) => items.iter().map(Datum::to_edn).collect(),
            }),
        }
    }

    /// The rows of a batch, a form a find element.
    ///
    /// # Errors
    /// Of pulls.
    pub fn rows(&mut self, batch: &RowBatch) -> Result<Vec<Vec<Edn>>, Error> {
        let width = self.pulls.len();
        let columns = (0..width).map(|at| self.column(at, batch)).collect::<Result<Vec<_>, _>>()?;
        let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
        Ok((0..batch.rows).map(|_| columns.iter_mut().filter_map(Iterator::next).collect()).collect())
    }

    /// One row as it stands in the answer: a vector or a map.
    #[must_use]
    pub fn row(&self, cells: Vec<Edn>) -> Edn {
        match &self.query.return_map {
            Some(names) => map(names, cells),
            None => Edn::vector(cells),
        }
    }

    /// The whole answer of all rows.
    #[must_use]
    pub fn shape(&self, rows: Vec<Vec<Edn>>) -> Edn {
        let mut rows = rows.into_iter();
        let first_cell = |cells: Vec<Edn>| cells.into_iter().next();
        match self.query.find.shape {
            FindShape::Relation => {
                let rows = rows.map(|cells| self.row(cells)).collect();
                if self.query.rows_may_repeat() { Edn::vector(rows) } else { Edn::set(rows) }
            }
            FindShape::Collection => Edn::vector(rows.filter_map(first_cell).collect()),
            FindShape::Tuple => rows.next().map_or_else(Edn::nil, Edn::vector),
            FindShape::Scalar => rows.next().and_then(first_cell).unwrap_or_else(Edn::nil),
        }
    }
}

impl Query {
    /// Whether equal rows may stand in the result: under `:with` without aggregates, and with pulls.
    #[must_use]
    pub fn rows_may_repeat(&self) -> bool {
        self.pulls() || (!self.with.is_empty() && !self.aggregates())
    }

    /// Whether a column is a pull.
    fn pulls(&self) -> bool {
        self.find.elements.iter().any(|elem| matches!(elem, FindElem::Pull { .. }))
    }

    /// Whether the rows that a run gives are not yet those of the answer.
    pub(crate) fn needs_shaping(&self) -> bool {
        self.rows_may_repeat() || self.return_map.is_some()
    }
}

fn pull<'a>(
    query: &'a Query,
    elem: &'a FindElem,
    args: &'a [Argument],
) -> Result<Option<(&'a Db, Pull<'a>)>, Error> {
    let FindElem::Pull { source, pattern, at, .. } = elem else { return Ok(None) };
    let Some(Argument::Db(db)) = args.get(query.sources[source.0 as usize].input) else { return Ok(None) };
    let pull = match pattern {
        PullSpec::Literal(pattern) => Pull::new(db, pattern),
        PullSpec::Input(input) => match &args[*input] {
            Argument::Form(form) => Pull::new(db, &Pattern::parse(form)?),
            Argument::Data(datum) => Pull::new(db, &Pattern::parse(&datum.to_edn())?),
            _ => return Ok(None),
        },
    };
    pull.map(|pull| Some((db, pull))).map_err(|error| error.at(at.0))
}

fn pulled(db: &Db, pull: &mut Pull<'_>, column: &DatumColumn) -> Result<Vec<Edn>, Error> {
    if let DatumColumn::Stored(Column::Ref(entities)) = column {
        return pull.run(entities);
    }
    let ids = (0..column.len()).map(|row| resolve::entity(db, &column.get(row)));
    let ids = ids.collect::<Result<Vec<_>, _>>()?;
    let known: Vec<u64> = ids.iter().flatten().map(|e| e.0).collect();
    let mut forms = pull.run(&known)?.into_iter();
    let form = |id: &Option<_>| id.as_ref().and_then(|_| forms.next()).unwrap_or_else(Edn::nil);
    Ok(ids.iter().map(form).collect())
}

/// A row as a map; of equal keys the first wins.
fn map(names: &ReturnMap, cells: Vec<Edn>) -> Edn {
    let mut entries: Vec<(Edn, Edn)> = Vec::with_capacity(cells.len());
    for (name, cell) in names.names.iter().zip(cells) {
        let key = match names.kind {
            KeyKind::Keys => Edn::keyword(name.shared().clone()),
            KeyKind::Syms => Edn::new(Node::Symbol(name.clone())),
            KeyKind::Strs => Edn::string(name.shared().clone()),
        };
        if !entries.iter().any(|(known, _)| *known == key) {
            entries.push((key, cell));
        }
    }
    Edn::map(entries)
}
