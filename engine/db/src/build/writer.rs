//! Rows to leaves, within the limits of a leaf.

use crate::Result;
use crate::datom::DatomRef;
use crate::id::{AttrId, EntityId, T};
use crate::order::Index;
use crate::segment::inner::MAX_INNER_ENTRIES;
use crate::segment::leaf_writer::{Row, encode_leaf, span, weight};
use crate::segment::sep::Sep;
use crate::segment::{Build, Entry, Kind, MAX_LEAF_ROWS, Span};
use crate::value::Value;

use super::SegmentSink;
use super::directory::Child;

/// How large the nodes of a tree become. Tests take small ones, so that few rows make many nodes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// rows of a leaf
    pub(crate) rows: usize,
    /// what the rows of a leaf may weigh, in bytes
    pub(crate) weight: usize,
    /// children of an inner node, at least 4
    pub(crate) children: usize,
}

impl Limits {
    /// 8,192 rows or 256 KiB, 512 children.
    pub(crate) const FORMAT: Limits =
        Limits { rows: MAX_LEAF_ROWS, weight: 256 << 10, children: MAX_INNER_ENTRIES };
}

/// Seals segments and hands them on.
pub(crate) struct Writer<'a> {
    build: Build,
    pub(crate) limits: Limits,
    sink: &'a mut dyn SegmentSink,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(build: Build, limits: Limits, sink: &'a mut dyn SegmentSink) -> Writer<'a> {
        Writer { build, limits, sink }
    }

    pub(crate) fn flush(&mut self) -> Result<()> {
        self.sink.flush()
    }

    /// Seals a payload and puts it; the entry has its name and size, the rest is the caller's.
    pub(crate) fn seal(&mut self, kind: Kind, payload: &[u8]) -> Result<Entry> {
        let (hash, stored) = crate::segment::envelope::seal(kind, self.build, payload);
        self.sink.put(hash, &stored)?;
        let stored = stored.len() as u64;
        Ok(Entry { sep: Sep::default(), hash, count: 0, retractions: 0, span: Span::EMPTY, stored })
    }
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
    children: Vec<Child>,
    rows: Vec<OwnedRow>,
    weight: usize,
    /// the border before the first gathered row
    sep: Sep,
}

impl Leaves {
    pub(crate) fn new(index: Index, history: bool) -> Leaves {
        Leaves { index, history, children: Vec::new(), rows: Vec::new(), weight: 0, sep: Sep::default() }
    }

    /// True when what is gathered would make a leaf so small that its neighbour should come in with it.
    pub(crate) fn is_small(&self, limits: Limits) -> bool {
        !self.rows.is_empty() && self.rows.len() < limits.rows / 4 && self.weight < limits.weight / 4
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
        let limits = writer.limits;
        let full = self.rows.len() >= 2 * limits.rows || self.weight >= 2 * limits.weight;
        // A single great row waits for its right neighbour, from which the next border is taken.
        if full && self.rows.len() > 1 {
            let first = self.rows.len().min(limits.rows);
            let first = fitting(&self.rows[..first], limits.weight);
            self.emit(writer, first)?;
        }
        Ok(())
    }

    /// Puts the gathered rows into leaves.
    pub(crate) fn flush(&mut self, writer: &mut Writer<'_>) -> Result<()> {
        while !self.rows.is_empty() {
            let Limits { rows, weight, .. } = writer.limits;
            let leaves = self.rows.len().div_ceil(rows).max(self.weight.div_ceil(weight));
            let share = self.rows.len().div_ceil(leaves);
            let share = fitting(&self.rows[..share], weight);
            self.emit(writer, share)?;
        }
        Ok(())
    }

    /// Names leaf number `origin` of the old tree again.
    pub(crate) fn keep(&mut self, origin: usize, entry: Entry) {
        self.children.push(Child { entry, origin: Some(origin) });
    }

    /// The leaves, in order.
    pub(crate) fn finish(mut self, writer: &mut Writer<'_>) -> Result<Vec<Child>> {
        self.flush(writer)?;
        Ok(self.children)
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
        self.children.push(Child { entry, origin: None });
        self.rows.drain(..count);
        self.weight = self.rows.iter().map(|row| weight(&row.v.as_ref())).sum();
        Ok(())
    }
}

/// How many of `rows` fit the weight of a leaf; at least one.
fn fitting(rows: &[OwnedRow], most: usize) -> usize {
    let mut sum = 0;
    let over = rows.iter().position(|row| {
        sum += weight(&row.v.as_ref());
        sum > most
    });
    over.unwrap_or(rows.len()).max(1)
}
