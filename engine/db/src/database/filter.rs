//! Values of which predicates hide datoms.
//!
//! A filter is asked about whole batches of rows that a view shows, after netting: so the filtered present and the
//! filtered as-of view of the same moment are one. Names of entities are the schema's and hidden from nobody; lookup
//! refs are found through what is shown. Counts for plans stay those of the value without its filters: upper bounds.

use std::sync::Arc;

use smallvec::SmallVec;

use super::Db;
use crate::Result;
use crate::column::Column;
use crate::datom::Datom;
use crate::id::{AttrId, EntityId, T};
use crate::log::TxBody;
use crate::range::{Batch, Columns, Probe};
use crate::value::{Value, ValueRef};

/// A predicate on datoms. The same rows of the same value are always judged alike.
pub trait Filter: Send + Sync {
    /// Which of `rows`, all five columns filled, are shown: one truth a row. `db` is the value without filters, and
    /// without `since`: what a predicate knows of an entity may be older.
    ///
    /// # Errors
    /// What the predicate fails with; those of the store.
    fn keep(&self, db: &Db, rows: &Batch) -> Result<Vec<bool>>;

    /// A text that is the same for the same predicate.
    fn name(&self) -> &str;
}

/// The predicates of one value, all of which must hold.
pub(super) type Filters = Arc<[Arc<dyn Filter>]>;

impl Db {
    /// The same value with only those datoms that `filter` keeps, beside the filters that it has.
    #[must_use]
    pub fn filtered(&self, filter: Arc<dyn Filter>) -> Db {
        let held = self.filters.iter().flat_map(|held| held.iter().cloned());
        Db { filters: Some(held.chain([filter]).collect()), ..self.clone() }
    }

    /// True when some datoms may be hidden by a filter.
    #[must_use]
    pub fn is_filtered(&self) -> bool {
        self.filters.is_some()
    }

    /// The same value and view without filters.
    #[must_use]
    pub fn unfiltered(&self) -> Db {
        Db { filters: None, ..self.clone() }
    }

    /// The names of its filters, in the order they were added.
    pub fn filter_names(&self) -> impl Iterator<Item = &str> {
        self.filters.iter().flat_map(|filters| filters.iter().map(|filter| filter.name()))
    }

    /// The same value at its basis, neither viewed nor filtered: where what is stored by name is looked for.
    #[must_use]
    pub fn present(&self) -> Db {
        Db { view: super::View::default(), filters: None, ..self.clone() }
    }

    /// The rows of a batch, all columns filled, that every filter keeps.
    pub(crate) fn kept(&self, batch: &Batch) -> Result<Vec<bool>> {
        let mut keep = vec![true; batch.rows];
        let Some(filters) = &self.filters else { return Ok(keep) };
        let whole = Db { view: super::View { since: None, ..self.view }, ..self.unfiltered() };
        for filter in filters.iter() {
            let more = filter.keep(&whole, batch)?;
            keep.iter_mut().zip(more).for_each(|(keep, more)| *keep &= more);
        }
        Ok(keep)
    }

    /// The datoms among `datoms` that every filter keeps.
    ///
    /// # Errors
    /// Of the filters.
    pub fn shown(&self, datoms: Vec<Datom>) -> Result<Vec<Datom>> {
        if self.filters.is_none() || datoms.is_empty() {
            return Ok(datoms);
        }
        let keep = self.kept(&batch_of(datoms.iter().map(Datom::as_ref)))?;
        Ok(datoms.into_iter().zip(keep).filter_map(|(datom, keep)| keep.then_some(datom)).collect())
    }

    /// The transactions `start..end` as far as the view reaches: after `since`, up to `as_of` and the basis.
    #[must_use]
    pub fn log_range(&self, start: T, end: T) -> (T, T) {
        let least = self.view.since.map_or(1, |t| t.0.saturating_add(1));
        let last = self.view.as_of.map_or(self.basis.0, |t| t.0.min(self.basis.0));
        (start.max(T(least)), end.min(T(last.saturating_add(1))))
    }

    /// The datoms of a transaction of the log that the filters show, its `:db/txInstant` first.
    ///
    /// # Errors
    /// Of the filters.
    pub fn log_datoms(&self, body: &TxBody) -> Result<Vec<Datom>> {
        let instant = Datom {
            e: EntityId::of_tx(body.t),
            a: crate::bootstrap::attr::TX_INSTANT,
            v: Value::Instant(body.instant),
            t: body.t,
            added: true,
        };
        self.shown(std::iter::once(instant).chain(body.datoms.iter().cloned()).collect())
    }

    /// The values of one entity and attribute that are shown.
    pub(super) fn shown_values(
        &self,
        e: EntityId,
        a: AttrId,
        values: SmallVec<[(Value, T); 1]>,
    ) -> Result<SmallVec<[(Value, T); 1]>> {
        if values.is_empty() {
            return Ok(values);
        }
        let keep = self.kept(&batch_of(values.iter().map(|(v, t)| row(e, a, v.as_ref(), *t))))?;
        Ok(values.into_iter().zip(keep).filter_map(|(value, keep)| keep.then_some(value)).collect())
    }

    /// True when the datom is shown.
    pub(super) fn shows(&self, e: EntityId, a: AttrId, v: ValueRef<'_>, t: T) -> Result<bool> {
        Ok(self.kept(&batch_of([row(e, a, v, t)].into_iter()))?[0])
    }

    /// What a look-up found, as far as it is shown: `key` says of which entity or value a row is.
    pub(super) fn shown_probe(
        &self,
        a: AttrId,
        probe: Probe,
        keys: Sought<'_>,
        with_t: bool,
    ) -> Result<Probe> {
        let rows = 0..probe.input.len();
        let found = |i: usize| {
            let (key, t) = (probe.input[i] as usize, T(probe.t[i]));
            match keys {
                Sought::Entities(entities) => row(EntityId(entities[key]), a, probe.v.get(i), t),
                Sought::Values(values) => row(EntityId(probe.e[i]), a, values.get(key), t),
            }
        };
        let keep = self.kept(&batch_of(rows.clone().map(found)))?;
        let rows: Vec<u32> = rows.filter(|i| keep[*i]).map(|i| i as u32).collect();
        let pick = |from: &[u64]| match from.is_empty() {
            true => Vec::new(),
            false => rows.iter().map(|i| from[*i as usize]).collect(),
        };
        Ok(Probe {
            input: rows.iter().map(|i| probe.input[*i as usize]).collect(),
            e: pick(&probe.e),
            v: if probe.v.is_empty() { probe.v.clone() } else { probe.v.gather(&rows) },
            t: if with_t { pick(&probe.t) } else { Vec::new() },
        })
    }
}

/// The keys of a look-up.
#[derive(Clone, Copy)]
pub(super) enum Sought<'a> {
    Entities(&'a [u64]),
    Values(&'a Column),
}

fn row(e: EntityId, a: AttrId, v: ValueRef<'_>, t: T) -> crate::DatomRef<'_> {
    crate::DatomRef { e, a, v, t, added: true }
}

fn batch_of<'a>(rows: impl Iterator<Item = crate::DatomRef<'a>>) -> Batch {
    let mut batch = Batch::new(None);
    rows.for_each(|datom| crate::scan::emit::row(&mut batch, Columns::ALL, &datom));
    batch
}

impl Batch {
    /// Drops the rows that are not kept, and the columns that are not asked for.
    pub(crate) fn retain(&mut self, keep: &[bool], columns: Columns) {
        let rows: Vec<u32> = (0..self.rows as u32).filter(|row| keep[*row as usize]).collect();
        fn pick<X: Copy>(from: &mut Vec<X>, rows: &[u32], wanted: bool) {
            let picked =
                if wanted { rows.iter().map(|row| from[*row as usize]).collect() } else { Vec::new() };
            *from = picked;
        }
        pick(&mut self.e, &rows, columns.has(Columns::E));
        pick(&mut self.a, &rows, columns.has(Columns::A));
        pick(&mut self.t, &rows, columns.has(Columns::T));
        pick(&mut self.added, &rows, columns.has(Columns::ADDED));
        match columns.has(Columns::V) {
            true => self.v = self.v.gather(&rows),
            false => self.v.clear(),
        }
        self.rows = rows.len();
    }
}
