//! Rows to leaves, leaves to directories.

use crate::Result;
use crate::datom::DatomRef;
use crate::id::{AttrId, EntityId, T};
use crate::order::Index;
use crate::segment::inner::MAX_INNER_ENTRIES;
use crate::segment::leaf_writer::{Row, encode_leaf, span, weight};
use crate::segment::sep::Sep;
use crate::segment::{Build, Entry, Inner, Kind, MAX_LEAF_ROWS, Span, TreeRef};
use crate::value::Value;

use super::SegmentSink;

/// What the rows of a leaf may weigh: 8,192 of 32 bytes.
const LEAF_WEIGHT: usize = 256 << 10;

/// Seals segments and hands them on.
pub(crate) struct Writer<'a> {
    build: Build,
    sink: &'a mut dyn SegmentSink,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(build: Build, sink: &'a mut dyn SegmentSink) -> Writer<'a> {
        Writer { build, sink }
    }

    /// Seals a payload and puts it; the entry has its name and size, the rest is the caller's.
    pub(crate) fn seal(&mut self, kind: Kind, payload: &[u8]) -> Result<Entry> {
        let (hash, stored) = crate::segment::envelope::seal(kind, self.build, payload);
        self.sink.put(hash, &stored)?;
        let stored = stored.len() as u64;
        Ok(Entry { sep: Sep::default(), hash, count: 0, retractions: 0, span: Span::EMPTY, stored })
    }

    /// Directories over `entries`, up to one node. No entry: no tree.
    pub(crate) fn directories(&mut self, mut entries: Vec<Entry>) -> Result<Option<TreeRef>> {
        let mut height = 0;
        while entries.len() > 1 {
            let mut parents = Vec::with_capacity(entries.len().div_ceil(MAX_INNER_ENTRIES));
            for children in even(&entries, MAX_INNER_ENTRIES) {
                let mut parent = self.seal(Kind::Inner, &Inner::encode(false, children))?;
                parent.sep = children[0].sep.clone();
                parent.count = children.iter().map(|child| child.count).sum();
                children.iter().for_each(|child| parent.span.merge(&child.span));
                parents.push(parent);
            }
            entries = parents;
            height += 1;
        }
        let top = entries.pop();
        Ok(top.map(|Entry { hash, count, span, stored, .. }| TreeRef { hash, height, count, span, stored }))
    }
}

/// Cuts into the fewest parts of at most `most`, of nearly equal size.
fn even<T>(items: &[T], most: usize) -> impl Iterator<Item = &[T]> {
    items.chunks(items.len().div_ceil(items.len().div_ceil(most)))
}

/// A row on its way.
#[derive(Clone, Debug)]
pub(crate) struct OwnedRow {
    pub(crate) e: u64,
    pub(crate) a: AttrId,
    pub(crate) v: Value,
    pub(crate) t: u64,
    pub(crate) ended: u64,
}

impl OwnedRow {
    pub(crate) fn datom(&self) -> DatomRef<'_> {
        DatomRef { e: EntityId(self.e), a: self.a, v: self.v.as_ref(), t: T(self.t), added: true }
    }

    fn row(&self) -> Row<'_> {
        Row { e: self.e, a: self.a.0, v: self.v.as_ref(), t: self.t, ended: self.ended }
    }
}

/// Gathers the rows of neighbouring leaves and cuts them anew.
pub(crate) struct Leaves {
    index: Index,
    history: bool,
    /// leaves so far
    entries: Vec<Entry>,
    rows: Vec<OwnedRow>,
    weight: usize,
    /// the border before the first gathered row
    sep: Sep,
}

impl Leaves {
    pub(crate) fn new(index: Index, history: bool) -> Leaves {
        Leaves { index, history, entries: Vec::new(), rows: Vec::new(), weight: 0, sep: Sep::default() }
    }

    /// Rows gathered and not yet in a leaf.
    pub(crate) fn gathered(&self) -> usize {
        self.rows.len()
    }

    /// Says where the next gathered rows begin, if none are gathered yet.
    pub(crate) fn begin(&mut self, sep: &Sep) {
        if self.rows.is_empty() {
            self.sep = sep.clone();
        }
    }

    pub(crate) fn push(&mut self, writer: &mut Writer<'_>, row: OwnedRow) -> Result<()> {
        self.weight += weight(&row.v.as_ref());
        self.rows.push(row);
        if self.rows.len() >= 2 * MAX_LEAF_ROWS || self.weight >= 2 * LEAF_WEIGHT {
            let first = self.rows.len().min(MAX_LEAF_ROWS);
            let first = fitting(&self.rows[..first]);
            self.emit(writer, first)?;
        }
        Ok(())
    }

    /// Puts the gathered rows into leaves.
    pub(crate) fn flush(&mut self, writer: &mut Writer<'_>) -> Result<()> {
        while !self.rows.is_empty() {
            let leaves = self.rows.len().div_ceil(MAX_LEAF_ROWS).max(self.weight.div_ceil(LEAF_WEIGHT));
            let share = self.rows.len().div_ceil(leaves);
            let share = fitting(&self.rows[..share]);
            self.emit(writer, share)?;
        }
        Ok(())
    }

    /// Names an old leaf again.
    pub(crate) fn keep(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    pub(crate) fn finish(mut self, writer: &mut Writer<'_>) -> Result<Option<TreeRef>> {
        self.flush(writer)?;
        writer.directories(self.entries)
    }

    /// Writes the first `count` gathered rows as a leaf.
    fn emit(&mut self, writer: &mut Writer<'_>, count: usize) -> Result<()> {
        let rows: Vec<Row<'_>> = self.rows[..count].iter().map(OwnedRow::row).collect();
        let mut entry = writer.seal(Kind::Leaf, &encode_leaf(self.index, self.history, &rows))?;
        entry.count = count as u64;
        entry.span = span(&rows, self.history);
        entry.sep = std::mem::take(&mut self.sep);
        if let Some(next) = self.rows.get(count) {
            self.sep = Sep::between(self.index, &self.rows[count - 1].datom(), &next.datom());
        }
        self.entries.push(entry);
        self.rows.drain(..count);
        self.weight = self.rows.iter().map(|row| weight(&row.v.as_ref())).sum();
        Ok(())
    }
}

/// How many of `rows` fit the weight of a leaf; at least one.
fn fitting(rows: &[OwnedRow]) -> usize {
    let mut sum = 0;
    let over = rows.iter().position(|row| {
        sum += weight(&row.v.as_ref());
        sum > LEAF_WEIGHT
    });
    over.unwrap_or(rows.len()).max(1)
}
