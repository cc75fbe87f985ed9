//! Datoms of an index, streamed from the scan.

use std::ops::Bound;

use annals_edn::Edn;
use annals_peer::db::components::{NamedIndex, Selection, select, select_values};
use annals_peer::db::{AttrId, Batch, Columns, DatomRef, Db, EntityId, Key, T};
use annals_wire::db::{DatomChunk, value_from_wire, value_to_wire};
use annals_wire::v1;
use annals_wire::v1::value::Kind;

use super::token::{self, Lead};
use super::{Producer, Sink, Window};
use crate::Result;
use crate::stream::Cancel;

/// What is asked of an index.
pub struct Ask {
    /// which index
    pub index: NamedIndex,
    /// exact components, from components on, or a range of values
    pub mode: v1::DatomsMode,
    /// leading components
    pub components: Vec<Edn>,
    /// which of the rows
    pub window: Window,
}

/// The datoms of a selection, in the order of the index.
pub struct Datoms {
    db: Db,
    selection: Selection,
    /// ranges that were read by earlier runs
    passed: usize,
    skip: u64,
    left: u64,
    cancel: Cancel,
}

impl Datoms {
    /// Resolves the components against `db`.
    ///
    /// # Errors
    /// Of the components: `ATTRIBUTE_NOT_INDEXED`, `INVALID_ARGUMENT`, `INVALID_LOOKUP_REF`.
    pub fn new(db: Db, ask: &Ask, cancel: Cancel) -> Result<Datoms> {
        let selection = match (ask.mode, ask.components.as_slice()) {
            (v1::DatomsMode::Seek, components) => select(&db, ask.index, components, true)?,
            (v1::DatomsMode::Range, [attribute, start, end]) => select_values(&db, attribute, start, end)?,
            (v1::DatomsMode::Range, _) => {
                let message = "a range needs an attribute, a start and an end";
                return Err(annals_edn::Error::new(annals_edn::Code::InvalidArgument, message));
            }
            (_, components) => select(&db, ask.index, components, false)?,
        };
        let left = ask.window.limit.unwrap_or(u64::MAX);
        let mut datoms = Datoms { db, selection, passed: 0, skip: ask.window.skip, left, cancel };
        if let Some(lead) = &ask.window.lead {
            datoms.start_at(lead)?;
        }
        Ok(datoms)
    }

    /// Leaves out what lies before the lead.
    fn start_at(&mut self, lead: &Lead) -> Result<()> {
        let (range, key) = place(lead)?;
        self.selection.ranges = self.selection.ranges.split_off(range.min(self.selection.ranges.len()));
        let first = self.selection.ranges.first_mut().ok_or_else(token::damaged)?;
        first.start = Bound::Included(key);
        (self.passed, self.skip) = (range, lead.rows);
        Ok(())
    }

    /// The place behind `row`, if the batch shows where its datom begins.
    fn lead(&self, range: usize, batch: &Batch, row: usize) -> Option<Lead> {
        let same = |i: usize| {
            (batch.e[i], batch.a[i]) == (batch.e[row], batch.a[row])
                && batch.v.get(i).cmp_index(&batch.v.get(row)).is_eq()
        };
        let first = (0..row).rev().find(|i| !same(*i))? + 1;
        let shown = |i: &usize| self.selection.t.is_none_or(|t| t.0 == batch.t[*i]);
        let rows = (first..=row).filter(shown).count();
        let items = [
            Kind::LongValue((self.passed + range) as i64),
            Kind::RefValue(batch.e[row]),
            Kind::LongValue(batch.a[row].into()),
        ];
        let items = items.into_iter().map(|kind| v1::Value { kind: Some(kind) });
        let values = items.chain([value_to_wire(batch.v.get(row))]).collect();
        Some(Lead::new(&v1::Value { kind: Some(Kind::VectorValue(v1::ValueList { values })) }, rows as u64))
    }
}

/// Which range of a selection a run begins in, and at which datom: what [`Datoms::lead`] made.
fn place(lead: &Lead) -> Result<(usize, Key)> {
    let Some(Kind::VectorValue(v1::ValueList { values })) = lead.value()?.kind else {
        return Err(token::damaged());
    };
    let [range, e, a, v] = values.as_slice() else { return Err(token::damaged()) };
    let (Some(Kind::LongValue(range)), Some(Kind::RefValue(e)), Some(Kind::LongValue(a))) =
        (&range.kind, &e.kind, &a.kind)
    else {
        return Err(token::damaged());
    };
    let range = usize::try_from(*range).map_err(|_| token::damaged())?;
    let a = AttrId(u32::try_from(*a).map_err(|_| token::damaged())?);
    let v = value_from_wire(v).ok().flatten().ok_or_else(token::damaged)?;
    Ok((range, Key { e: Some(EntityId(*e)), a: Some(a), v: Some(v) }))
}

impl Producer for Datoms {
    fn header(&self) -> v1::ResultHeader {
        header(&self.db, v1::ResultShape::Datoms, &["e", "a", "v", "tx", "added"])
    }

    fn run(&mut self, out: &mut dyn Sink) -> Result<String> {
        let mut chunk = DatomChunk::new();
        let mut batch = Batch::new(None);
        for (number, range) in self.selection.ranges.iter().enumerate() {
            let mut scan = self.db.scan(range, Columns::ALL);
            while self.left > 0 && scan.next(&mut batch)? {
                // A filter may hide batch after batch.
                if self.cancel.is_set() {
                    return Ok(String::new());
                }
                let last = take(&batch, self.selection.t, (&mut self.skip, &mut self.left), |datom| {
                    chunk.push(datom, |a| ident(&self.db, a));
                });
                if chunk.bytes() < out.chunk_bytes() {
                    continue;
                }
                if let Some(lead) = last.and_then(|row| self.lead(number, &batch, row)) {
                    out.mark(chunk.len() as u64, lead);
                }
                if !out.take(chunk.finish(), true)? {
                    return Ok(String::new());
                }
            }
        }
        if !chunk.is_empty() {
            out.take(chunk.finish(), false)?;
        }
        Ok(String::new())
    }
}

/// Hands on the rows of a batch that are asked for; the number of the last one.
fn take<'a>(
    batch: &'a Batch,
    of: Option<T>,
    (skip, left): (&mut u64, &mut u64),
    mut push: impl FnMut(DatomRef<'a>),
) -> Option<usize> {
    let mut last = None;
    for row in (0..batch.rows).filter(|row| of.is_none_or(|t| t.0 == batch.t[*row])) {
        if *skip > 0 {
            *skip -= 1;
        } else if *left > 0 {
            *left -= 1;
            push(datom(batch, row));
            last = Some(row);
        }
    }
    last
}

fn datom(batch: &Batch, row: usize) -> DatomRef<'_> {
    DatomRef {
        e: EntityId(batch.e[row]),
        a: annals_peer::db::AttrId(batch.a[row]),
        v: batch.v.get(row),
        t: T(batch.t[row]),
        added: batch.added[row],
    }
}

/// The text of an attribute's ident, without the colon.
pub(crate) fn ident(db: &Db, a: annals_peer::db::AttrId) -> String {
    db.schema().ident(a.entity()).map_or_else(|| a.entity().to_string(), |ident| ident.as_str().to_string())
}

/// The header of a result with these columns.
pub(super) fn header(db: &Db, shape: v1::ResultShape, columns: &[&str]) -> v1::ResultHeader {
    let column = |name: &&str| v1::ColumnInfo { name: (*name).to_string(), r#type: String::new() };
    v1::ResultHeader {
        shape: shape.into(),
        columns: columns.iter().map(column).collect(),
        incarnation: db.incarnation().0.to_be_bytes().to_vec().into(),
        basis_t: db.basis().0,
        ..v1::ResultHeader::default()
    }
}

#[cfg(test)]
mod tests;
