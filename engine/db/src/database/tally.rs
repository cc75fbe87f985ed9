//! How many datoms there are, exactly.

use super::Db;
use crate::Result;
use crate::id::AttrId;
use crate::order::Index;
use crate::range::{Batch, Columns, Range};

/// The datoms of a database value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// assertions and retractions, as the history of this view shows them
    pub datoms: u64,
    /// those that hold
    pub current: u64,
    /// by attribute, ascending; attributes without a datom are left out
    pub attributes: Vec<AttributeTally>,
}

/// The datoms of one attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeTally {
    /// which
    pub a: AttrId,
    /// assertions and retractions
    pub datoms: u64,
    /// those that hold
    pub current: u64,
    /// entities that have it
    pub entities: u64,
    /// about how many values it has, of the whole database whatever the view; never more than the datoms that hold
    pub values: u64,
}

impl Db {
    /// Counts by reading AEVT twice, netted and not: O(datoms). `go_on` is asked before each batch; the count ends as
    /// `None` when it says no. The schema that every database begins with is counted, client ids of transactions are not.
    ///
    /// # Errors
    /// Only of the store, and of filters.
    pub fn tally(&self, go_on: &dyn Fn() -> bool) -> Result<Option<Tally>> {
        let mut tally = Tally::default();
        let everything = self.history();
        let netted = Db { view: super::View { history: false, ..self.view }, ..self.clone() };
        let mut batch = Batch::new(None);
        let mut scan = everything.scan(&Range::all(Index::Aevt), Columns::A);
        while scan.next(&mut batch)? {
            if !go_on() {
                return Ok(None);
            }
            for run in batch.a.chunk_by(|x, y| x == y) {
                tally.datoms += run.len() as u64;
                tally.last_of(AttrId(run[0])).datoms += run.len() as u64;
            }
        }
        let mut scan = netted.scan(&Range::all(Index::Aevt), Columns::A.with(Columns::E));
        let mut last = None;
        while scan.next(&mut batch)? {
            if !go_on() {
                return Ok(None);
            }
            tally.current += batch.rows as u64;
            let rows: Vec<(u32, u64)> = batch.a.iter().copied().zip(batch.e.iter().copied()).collect();
            for of_attribute in rows.chunk_by(|x, y| x.0 == y.0) {
                let fresh = of_attribute.iter().filter(|row| last.replace(**row) != Some(**row)).count();
                if let Some(held) = tally.held(AttrId(of_attribute[0].0)) {
                    held.current += of_attribute.len() as u64;
                    held.entities += fresh as u64;
                }
            }
        }
        for held in &mut tally.attributes {
            held.values = self.distinct_values(held.a).unwrap_or(held.current).min(held.current);
        }
        Ok(Some(tally))
    }
}

impl Tally {
    /// The entry of the attribute that is being read, which is the last or a new one.
    fn last_of(&mut self, a: AttrId) -> &mut AttributeTally {
        if self.attributes.last().is_none_or(|last| last.a != a) {
            self.attributes.push(AttributeTally { a, datoms: 0, current: 0, entities: 0, values: 0 });
        }
        self.attributes.last_mut().expect("one was pushed")
    }

    fn held(&mut self, a: AttrId) -> Option<&mut AttributeTally> {
        let at = self.attributes.binary_search_by_key(&a, |held| held.a).ok()?;
        self.attributes.get_mut(at)
    }
}
