//! Aggregates: distinct rows of the basis, grouped by the find columns that are not aggregated.

use std::hash::{Hash, Hasher};

use annals_edn::Error;
use rustc_hash::FxHasher;

use crate::ast::FindElem;
use crate::bind::Argument;
use crate::check::CheckedQuery;
use crate::datum::{Datum, DatumColumn};
use crate::functions::Aggregate;
use crate::functions::aggregate::ordered;
use crate::order::{self, SortKey};
use crate::run::frame::{self, Col};
use crate::run::keys::{Groups, KeyTable};

/// What is grouped, and by what.
pub(crate) struct Grouping<'g> {
    /// find elements
    pub elements: &'g [FindElem],
    /// basis column of each
    pub find: &'g [usize],
    /// by which the basis is sorted
    pub keys: &'g [SortKey],
    /// rows are distinct already
    pub distinct: bool,
    /// for `rand` and `sample`
    pub seed: u64,
    /// asks a stored aggregate, by its constant, about a group
    pub stored: &'g dyn Fn(u32, &Datum) -> Result<Datum, Error>,
    /// whether to go on
    pub check: order::Check<'g>,
}

/// True for an aggregate that draws at random.
pub(crate) fn is_random(elem: &FindElem) -> bool {
    let FindElem::Aggregate { aggregate, .. } = elem else { return false };
    matches!(aggregate, Aggregate::Rand | Aggregate::RandN(_) | Aggregate::Sample(_))
}

/// A number that follows from incarnations, bases, views, the query and its arguments, and nothing else.
pub(crate) fn seed(checked: &CheckedQuery, args: &[Argument]) -> u64 {
    let mut hasher = FxHasher::default();
    checked.query.hash(&mut hasher);
    for constant in &checked.query.constants {
        constant.form.to_string().hash(&mut hasher);
    }
    for argument in args {
        match argument {
            Argument::Db(db) => {
                (db.incarnation(), db.basis(), db.view()).hash(&mut hasher);
                db.filter_names().for_each(|name| name.hash(&mut hasher));
            }
            Argument::Events(db, start, end) | Argument::Transactions(db, start, end) => {
                (db.incarnation(), start, end).hash(&mut hasher);
            }
            Argument::Data(datum) => datum.hash(&mut hasher),
            Argument::Form(form) => form.to_string().hash(&mut hasher),
        }
    }
    hasher.finish()
}

impl Grouping<'_> {
    /// A column for each find element, a row for each group.
    ///
    /// # Errors
    /// What an aggregate refuses.
    pub(crate) fn apply(&self, cols: Vec<Col>, rows: usize) -> Result<(Vec<DatumColumn>, usize), Error> {
        let (cols, rows) = self.distinct_rows(cols, rows)?;
        let is_key = |i: &usize| !matches!(self.elements[*i], FindElem::Aggregate { .. });
        let by: Vec<usize> = (0..self.elements.len()).filter(is_key).map(|i| self.find[i]).collect();
        let keys: Vec<&Col> = by.iter().map(|column| &cols[*column]).collect();
        let (mut ids, mut first) = (Vec::with_capacity(rows), Vec::new());
        KeyTable::new(keys.len()).insert(&keys, rows, |row, id, new| {
            if new {
                first.push(row as u32);
            }
            ids.push(id);
        });
        let groups = Groups::new(&ids, first.len());
        let mut columns = Vec::with_capacity(self.elements.len());
        for (elem, column) in self.elements.iter().zip(self.find) {
            columns.push(match elem {
                FindElem::Aggregate { aggregate, at, .. } => {
                    let values = frame::spread(&cols[*column], rows);
                    let mut results = Vec::with_capacity(first.len());
                    for group in 0..first.len() as u32 {
                        let members = groups.of(group);
                        let result = match aggregate {
                            Aggregate::Stored(constant) => {
                                (self.stored)(*constant, &ordered(&values, members))
                            }
                            aggregate => aggregate.apply(&values, members, self.seed),
                        };
                        results.push(result.map_err(|error| error.at(at.0))?);
                    }
                    DatumColumn::from_data(results)
                }
                _ => match &cols[*column] {
                    Col::Data(data) => data.gather(&first),
                    other => frame::spread(other, first.len()),
                },
            });
        }
        Ok((columns, first.len()))
    }

    fn distinct_rows(&self, cols: Vec<Col>, rows: usize) -> Result<(Vec<Col>, usize), Error> {
        let random = self.elements.iter().any(is_random);
        if self.distinct && !random {
            return Ok((cols, rows));
        }
        let picked: Vec<u32> = if random {
            order::sorted(&cols, rows, self.keys, true, self.check)?
        } else {
            let data: Vec<&Col> = cols.iter().filter(|col| col.is_data()).collect();
            let mut picked = Vec::with_capacity(rows);
            KeyTable::new(data.len()).insert(&data, rows, |row, _, new| {
                if new {
                    picked.push(row as u32);
                }
            });
            picked
        };
        let gather = |col: Col| match col {
            Col::Data(data) => Col::Data(data.gather(&picked)),
            other => other,
        };
        Ok((cols.into_iter().map(gather).collect(), picked.len()))
    }
}
