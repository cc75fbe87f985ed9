//! Scans: the rows of a range under a view, a batch at a time.
//!
//! What it is: the merge of novelty runs, the transaction table and tree levels, netted as the view wants it. What it
//! is not: a cursor that survives its database value. Called by the query engine and by the point reads that find more
//! than one source. It owns the runs it reads. It fails when the store does.

pub(crate) mod by_value;
pub(crate) mod cursor;
pub(crate) mod emit;
pub(crate) mod merge;
pub(crate) mod table;
pub(crate) mod tree;
pub(crate) mod weave;
pub(crate) mod window;

use std::ops::Bound;

use crate::Result;
use crate::database::Db;
use crate::id::AttrId;
use crate::novelty::Closings;
use crate::order::Index;
use crate::range::{Batch, Columns, Key, Range};
use by_value::ByValue;
use cursor::{Cursor, RunCursor, Span};
use merge::Merge;
use table::{TableColumn, TableCursor};
use tree::TreeCursor;
use weave::{Order, Weave};
use window::Window;

/// Rows of a range, a batch at a time.
pub struct Scan<'a> {
    db: &'a Db,
    columns: Columns,
    /// of a filtered value the columns asked for: its filters see all
    shown: Option<Columns>,
    /// what is still to be opened, the next one last
    parts: Vec<Part>,
    open: Open,
}

/// A piece of a scan that one source or one merge answers.
enum Part {
    Merge(Range),
    ByValue(AttrId, Range),
}

enum Open {
    Nothing,
    Merge(Merge),
    Weave(Weave),
    ByValue(ByValue),
}

impl<'a> Scan<'a> {
    pub(crate) fn new(db: &'a Db, range: &Range, columns: Columns) -> Scan<'a> {
        let mut parts = match range.index {
            Index::Avet => avet_parts(db, range),
            _ => vec![Part::Merge(range.clone())],
        };
        parts.reverse();
        let shown = db.is_filtered().then_some(columns);
        let columns = shown.map_or(columns, |_| Columns::ALL);
        Scan { db, columns, shown, parts, open: Open::Nothing }
    }

    /// Refills `batch` (cleared first) with at most [`crate::range::BATCH_ROWS`] rows, of a filtered value perhaps none; false at the
    /// end.
    ///
    /// # Errors
    /// `SEGMENT_UNAVAILABLE` or `DATA_LOSS` from the store; those of filters.
    pub fn next(&mut self, batch: &mut Batch) -> Result<bool> {
        let Some(columns) = self.shown else { return self.fill(batch) };
        let more = self.fill(batch)?;
        let keep = self.db.kept(batch)?;
        batch.retain(&keep, columns);
        Ok(more)
    }

    fn fill(&mut self, batch: &mut Batch) -> Result<bool> {
        batch.clear();
        loop {
            match &mut self.open {
                Open::Nothing => {}
                Open::Merge(merge) => merge.fill(batch)?,
                Open::Weave(weave) => weave.fill(batch)?,
                Open::ByValue(rows) => rows.fill(self.columns, batch),
            }
            if emit::is_full(batch) {
                return Ok(true);
            }
            let Some(part) = self.parts.pop() else { return Ok(batch.rows > 0) };
            self.open = match part {
                Part::Merge(range) => open(self.db, &range, self.columns)?,
                Part::ByValue(a, range) => Open::ByValue(by_value(self.db, a, &range)?),
            };
        }
    }
}

/// Every source that has rows in `range`.
fn open(db: &Db, range: &Range, columns: Columns) -> Result<Open> {
    let window = db.window();
    let mut cursors = Vec::new();
    for held in db.layers() {
        let Some(span) = Span::of(&window, held) else { continue };
        let levels = held.layer.levels(range.index, held.end);
        let runs = levels
            .runs()
            .filter_map(|run| RunCursor::open(&held.layer, run, span, range, window.history))
            .map(|mut part| {
                if !window.history {
                    part.warm(window.careful);
                }
                Cursor::Run(part)
            });
        cursors.extend(runs);
    }
    for (tree, role) in db.trees(range.index, &window) {
        cursors.extend(TreeCursor::open(tree, role, &window, range).map(Cursor::Tree));
    }
    for column in TableColumn::ALL {
        cursors.extend(TableCursor::open(db, column, &window, range)?.map(Cursor::Table));
    }
    if let Some((a, order)) = woven(range, &window).filter(|_| cursors.len() > 1)
        && cursors.iter().all(Cursor::nets_alone)
    {
        let ty = db.schema().attribute(a).and_then(|attribute| attribute.value_type);
        let mut closings = Closings::new(ty);
        cursors.iter().for_each(|cursor| cursor.closings(&mut closings));
        closings.sort(order);
        return Ok(Open::Weave(Weave::new(order, window, columns, ty, cursors, closings)));
    }
    Ok(Open::Merge(Merge::new(range.index, window, columns, cursors)))
}

/// The attribute of a range whose sources can be woven, and their order. Decimals of several scales stand apart in trees,
/// and what is not netted or hides intervals is looked at fact by fact.
fn woven(range: &Range, window: &Window) -> Option<(AttrId, Order)> {
    if window.history || window.careful || range.index == Index::Eavt || tree::widened(range).is_some() {
        return None;
    }
    let (Bound::Included(start) | Bound::Excluded(start), Bound::Included(end) | Bound::Excluded(end)) =
        (&range.start, &range.end)
    else {
        return None;
    };
    let one_value = range.index == Index::Avet && start.v.is_some() && start.v == end.v;
    Some((start.a.filter(|_| start.a == end.a)?, Order::of(range.index, one_value)))
}

fn by_value(db: &Db, a: AttrId, range: &Range) -> Result<ByValue> {
    let ty = db.schema().attribute(a).and_then(|attribute| attribute.value_type);
    let mut scan = Scan {
        db,
        columns: Columns::ALL,
        shown: None,
        parts: vec![Part::Merge(Range::attr(a))],
        open: Open::Nothing,
    };
    let (mut batch, mut rows) = (Batch::new(ty), ByValue::default());
    while scan.fill(&mut batch)? {
        rows.take(a, range, &batch);
    }
    rows.sort();
    Ok(rows)
}

/// One part an attribute: AVET where it is whole, else AEVT sorted. A range over several attributes covers those that
/// are kept in AVET.
fn avet_parts(db: &Db, range: &Range) -> Vec<Part> {
    let attr = |bound: &Bound<Key>| match bound {
        Bound::Included(key) | Bound::Excluded(key) => key.a,
        Bound::Unbounded => None,
    };
    let (first, last) = (attr(&range.start), attr(&range.end));
    if let (Some(first), Some(last)) = (first, last)
        && first == last
    {
        return vec![avet_part(db, first, range.clone())];
    }
    let excludes_all = |bound: &Bound<Key>| matches!(bound, Bound::Excluded(key) if key.a.is_none());
    if excludes_all(&range.start) || excludes_all(&range.end) {
        return Vec::new();
    }
    let inside = |a: AttrId| first.is_none_or(|first| first <= a) && last.is_none_or(|last| a <= last);
    let schema = db.schema();
    let kept = schema.attributes().filter(|attribute| attribute.kept_in_avet() && inside(attribute.id));
    let mut attrs: Vec<AttrId> =
        kept.map(|attribute| attribute.id).filter(|&a| TableColumn::ClientId.attr() != a).collect();
    attrs.sort_unstable();
    attrs.into_iter().map(|a| avet_part(db, a, clip(range, a))).collect()
}

fn avet_part(db: &Db, a: AttrId, range: Range) -> Part {
    if db.avet_is_whole(a) { Part::Merge(range) } else { Part::ByValue(a, range) }
}

/// The part of an AVET range that lies within attribute `a`.
fn clip(range: &Range, a: AttrId) -> Range {
    let within = |bound: &Bound<Key>| match bound {
        Bound::Included(key) | Bound::Excluded(key) if key.a == Some(a) => bound.clone(),
        _ => Bound::Included(Key { a: Some(a), ..Key::default() }),
    };
    Range { index: Index::Avet, start: within(&range.start), end: within(&range.end) }
}
