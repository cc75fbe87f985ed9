//! Patterns on the log: a range of events, and the transaction table.
//!
//! Events are what transactions asserted and retracted in `start..end`, in order of the log: the positions of a database
//! pattern. The transaction table has one row a transaction: its entity and its instant. Queries reach both through
//! `tx-data` and `tx-ids`; live queries will read events as the difference between two bases.

use annals_db::{Column, Db, EntityId, T, ValueType};
use annals_edn::{Code, Error};

use crate::datum::{Datum, DatumColumn};
use crate::run::frame::Col;
use crate::run::keys;

use super::{A, Cursor, E, Fields, Found, OP, Request, Source, TX, V};

/// Transactions read at a time.
const CHUNK: usize = 256;

/// The datoms of transactions `start..end`.
#[derive(Clone, Copy)]
pub(crate) struct Events<'a> {
    /// whose log
    pub db: &'a Db,
    /// first transaction
    pub start: T,
    /// one past the last
    pub end: T,
}

/// The rows of the transaction table `start..end`: entity, instant.
#[derive(Clone, Copy)]
pub(crate) struct Transactions<'a> {
    /// whose log
    pub db: &'a Db,
    /// first transaction
    pub start: T,
    /// one past the last
    pub end: T,
}

struct LogCursor<'a> {
    db: &'a Db,
    next: T,
    end: T,
    request: Request,
    table: bool,
}

impl<'a> Source<'a> for Events<'a> {
    fn scan(&self, request: &Request) -> Result<Box<dyn Cursor + Send + 'a>, Error> {
        check_width(request, 5)?;
        let (db, next, end) = (self.db, self.start, self.end);
        Ok(Box::new(LogCursor { db, next, end, request: request.clone(), table: false }))
    }

    fn lookup(&self, _: &Request, _: usize, _: &DatumColumn) -> Result<Option<Found>, Error> {
        Ok(None)
    }
}

impl<'a> Source<'a> for Transactions<'a> {
    fn scan(&self, request: &Request) -> Result<Box<dyn Cursor + Send + 'a>, Error> {
        check_width(request, 2)?;
        let (db, next, end) = (self.db, self.start, self.end);
        Ok(Box::new(LogCursor { db, next, end, request: request.clone(), table: true }))
    }

    fn lookup(&self, _: &Request, _: usize, _: &DatumColumn) -> Result<Option<Found>, Error> {
        Ok(None)
    }
}

/// Refuses patterns of more terms than a row has.
fn check_width(request: &Request, width: usize) -> Result<(), Error> {
    let terms = request.wanted.len();
    if terms <= width {
        return Ok(());
    }
    Err(Error::new(Code::InvalidDataSource, format!("a pattern of {terms} terms on rows of {width}")))
}

impl LogCursor<'_> {
    fn events(bodies: &[std::sync::Arc<annals_db::TxBody>]) -> Vec<DatumColumn> {
        let (mut e, mut a, mut tx, mut op) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut v = Column::Mixed(Vec::new());
        for body in bodies {
            for datom in &body.datoms {
                e.push(datom.e.0);
                a.push(datom.a.entity().0);
                v.push(datom.v.as_ref());
                tx.push(EntityId::of_tx(body.t).0);
                op.push(datom.added);
            }
        }
        let mut cols = vec![DatumColumn::empty(); 5];
        cols[E] = Column::Ref(e).into();
        cols[A] = Column::Ref(a).into();
        cols[V] = v.into();
        cols[TX] = Column::Ref(tx).into();
        cols[OP] = Column::Boolean(op).into();
        cols
    }

    fn rows(bodies: &[std::sync::Arc<annals_db::TxBody>]) -> Vec<DatumColumn> {
        let ids = bodies.iter().map(|body| EntityId::of_tx(body.t).0).collect();
        let mut instants = Column::of(ValueType::Instant);
        bodies.iter().for_each(|body| instants.push(annals_db::ValueRef::Instant(body.instant)));
        vec![Column::Ref(ids).into(), instants.into()]
    }
}

impl Cursor for LogCursor<'_> {
    fn next(&mut self) -> Result<Option<Fields>, Error> {
        if self.next >= self.end {
            return Ok(None);
        }
        let bodies = self.db.log(self.next, self.end, CHUNK)?;
        let Some(last) = bodies.last() else { return Ok(None) };
        self.next = T(last.t.0 + 1);
        let cols = if self.table { Self::rows(&bodies) } else { Self::events(&bodies) };
        let cols: Vec<Col> = cols.into_iter().map(Col::Data).collect();
        let rows = cols.first().map_or(0, |col| match col {
            Col::Data(data) => data.len(),
            _ => 0,
        });
        let constant = |datum: &Datum| Col::Const(datum.clone());
        let fits = |row: &u32| {
            let fixed = self.request.fixed.iter().enumerate();
            fixed
                .filter_map(|(i, datum)| datum.as_ref().map(|datum| (i, datum)))
                .all(|(i, datum)| keys::identical(&cols[i], *row as usize, &constant(datum), 0))
        };
        let picked: Vec<u32> = (0..rows as u32).filter(fits).collect();
        let wanted = self.request.wanted.iter().enumerate();
        let cols = wanted.map(|(i, wanted)| match &cols[i] {
            Col::Data(data) if *wanted => Some(data.gather(&picked)),
            _ => None,
        });
        Ok(Some(Fields { rows: picked.len(), cols: cols.collect() }))
    }
}
