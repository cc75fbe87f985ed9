//! Patterns on a relation: a collection of tuples, or a map as pairs, given as an input.

use std::sync::Arc;

use annals_edn::{Code, Error};

use crate::datum::{Datum, DatumColumn};
use crate::run::frame::Col;
use crate::run::keys;

use super::{Cursor, Fields, Found, Request, Source};

/// Rows of one width, column-wise.
#[derive(Clone, Debug)]
pub(crate) struct Relation {
    /// how many rows
    pub rows: usize,
    /// by position
    pub cols: Vec<DatumColumn>,
    /// as it was given
    pub datum: Datum,
}

impl Relation {
    /// From a collection of tuples; columns past the shortest tuple are left out.
    ///
    /// # Errors
    /// `INVALID_DATA_SOURCE` for what is no collection of tuples.
    pub(crate) fn new(datum: &Datum) -> Result<Relation, Error> {
        let refuse = || {
            Error::new(
                Code::InvalidDataSource,
                "a data source is a database, a collection of tuples or a map",
            )
        };
        let rows = datum.items().ok_or_else(refuse)?;
        let rows: Option<Vec<Vec<Datum>>> = rows.iter().map(Datum::items).collect();
        let rows = rows.ok_or_else(refuse)?;
        let width = rows.iter().map(Vec::len).min().unwrap_or(0);
        let column = |i: usize| DatumColumn::from_data(rows.iter().map(|row| row[i].clone()).collect());
        Ok(Relation { rows: rows.len(), cols: (0..width).map(column).collect(), datum: datum.clone() })
    }
}

/// A relation as a source.
#[derive(Clone)]
pub(crate) struct RelationSource(pub Arc<Relation>);

struct Once(Option<Fields>);

impl<'a> Source<'a> for RelationSource {
    fn scan(&self, request: &Request) -> Result<Box<dyn Cursor + Send + 'a>, Error> {
        let relation = &self.0;
        let width = relation.cols.len();
        if request.wanted.len() > width && relation.rows > 0 {
            let message = format!("a pattern of {} terms on tuples of {width}", request.wanted.len());
            return Err(Error::new(Code::InvalidDataSource, message));
        }
        let fixed: Vec<(usize, Col)> = request
            .fixed
            .iter()
            .enumerate()
            .filter_map(|(i, datum)| datum.clone().map(|datum| (i, Col::Const(datum))))
            .collect();
        let column = |i: usize| Col::Data(relation.cols[i].clone());
        let tested: Vec<(Col, Col)> = match relation.rows {
            0 => Vec::new(),
            _ => fixed.into_iter().map(|(i, datum)| (column(i), datum)).collect(),
        };
        let fits =
            |row: &u32| tested.iter().all(|(col, datum)| keys::identical(col, *row as usize, datum, 0));
        let rows: Vec<u32> = (0..relation.rows as u32).filter(fits).collect();
        let wanted = request.wanted.iter().enumerate();
        let cols = wanted.map(|(i, wanted)| match relation.cols.get(i) {
            Some(col) if *wanted => Some(col.gather(&rows)),
            _ => None,
        });
        let fields = Fields { rows: rows.len(), cols: cols.collect() };
        Ok(Box::new(Once(Some(fields))))
    }

    fn lookup(&self, _: &Request, _: usize, _: &DatumColumn) -> Result<Option<Found>, Error> {
        Ok(None)
    }
}

impl Cursor for Once {
    fn next(&mut self) -> Result<Option<Fields>, Error> {
        Ok(self.0.take().filter(|fields| fields.rows > 0))
    }
}
