//! A leaf: up to 8,192 datoms of one index as columns. Resident it is its payload and small directories; every column
//! answers `get` in O(1) and search in O(log n) without decoding a block.
//!
//! ```text
//! 4  rows
//! 1  index: 0 EAVT, 1 AEVT, 2 AVET
//! 1  flags: 1 history (there is a column of t ended)
//! 2  attributes in the leaf
//!    for each attribute, ascending: 4 attribute, 4 rows
//!    packed e (rows); packed t (rows); with history packed t ended (rows)
//!    EAVT with two attributes or more: packed attribute codes (rows)
//!    for each attribute: the stream of its values in row order
//! 8  zero
//! ```
//! In AEVT and AVET the rows of an attribute are contiguous, so its directory is the attribute column.

pub(crate) mod dense;

use std::ops::Range as Rows;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, OnceLock};

use super::bytes::{Reader, damaged};
use super::packed::{PADDING, Packed};
use super::sep::{Edge, parts};
use super::stream::Stream;
use super::texts::check_codes;
use crate::Result;
use crate::datom::DatomRef;
use crate::id::{AttrId, EntityId, T};
use crate::order::Index;
use crate::range::{Batch, Columns, Range};
use crate::value::{ValueRef, ValueType};
pub(crate) use dense::Dense;

/// The most rows a leaf may hold.
pub const MAX_LEAF_ROWS: usize = 8192;

/// Rows of one index, column-wise.
#[derive(Debug)]
pub struct Leaf {
    payload: Arc<[u8]>,
    index: Index,
    len: usize,
    e: Packed,
    t: Packed,
    ended: Option<Packed>,
    attributes: Box<[AttrStream]>,
    places: Places,
    /// rows read so far by scans and batched look-ups
    heat: AtomicU32,
    dense: OnceLock<Option<Dense>>,
}

/// The values of one attribute.
#[derive(Debug)]
struct AttrStream {
    a: AttrId,
    /// where its rows start, in leaves whose attributes are contiguous
    first_row: usize,
    values: Stream,
}

/// How a row finds its attribute and its place in the attribute's stream.
#[derive(Debug)]
enum Places {
    /// contiguous runs: by the directory
    Runs,
    /// by row: code of the attribute and position in its stream, counted once at load
    Scattered { codes: Packed, positions: Box<[u16]> },
}

impl Leaf {
    /// Rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// True without rows, which no tree contains.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The index it belongs to.
    #[must_use]
    pub fn index(&self) -> Index {
        self.index
    }

    /// True when its rows are closed intervals.
    #[must_use]
    pub fn is_history(&self) -> bool {
        self.ended.is_some()
    }

    /// The entity of row `i`. O(1).
    #[inline]
    #[must_use]
    pub fn e(&self, i: usize) -> EntityId {
        EntityId(self.e.get(&self.payload, i) as u64)
    }

    /// The attribute of row `i`. O(1) in EAVT, O(log attributes) in the others.
    #[inline]
    #[must_use]
    pub fn a(&self, i: usize) -> AttrId {
        self.attributes[self.place(i).0].a
    }

    /// The value of row `i`. O(1) after finding the attribute.
    #[inline]
    #[must_use]
    pub fn v(&self, i: usize) -> ValueRef<'_> {
        let (code, position) = self.place(i);
        self.attributes[code].values.get(&self.payload, position)
    }

    /// The transaction that added row `i`. O(1).
    #[inline]
    #[must_use]
    pub fn t(&self, i: usize) -> T {
        T(self.t.get(&self.payload, i) as u64)
    }

    /// The transaction that ended row `i`; `None` in a current tree. O(1).
    #[inline]
    #[must_use]
    pub fn ended(&self, i: usize) -> Option<T> {
        self.ended.as_ref().map(|ended| T(ended.get(&self.payload, i) as u64))
    }

    /// Row `i` as an assertion.
    #[must_use]
    pub fn row(&self, i: usize) -> DatomRef<'_> {
        let (code, position) = self.place(i);
        let AttrStream { a, values, .. } = &self.attributes[code];
        DatomRef { e: self.e(i), a: *a, v: values.get(&self.payload, position), t: self.t(i), added: true }
    }

    /// The attributes of the leaf, ascending.
    pub fn attributes(&self) -> impl Iterator<Item = AttrId> + '_ {
        self.attributes.iter().map(|stream| stream.a)
    }

    /// The type of the values of `a`, `None` where it is absent or mixes types: what a batch's column should be.
    #[must_use]
    pub fn value_type(&self, a: AttrId) -> Option<ValueType> {
        let at = self.attributes.binary_search_by_key(&a, |stream| stream.a).ok()?;
        match &self.attributes[at].values {
            Stream::Values(values) if values.windows(2).any(|w| w[0].value_type() != w[1].value_type()) => {
                None
            }
            stream => stream.value_type(),
        }
    }

    #[inline]
    fn place(&self, i: usize) -> (usize, usize) {
        match &self.places {
            Places::Runs if self.attributes.len() == 1 => (0, i),
            Places::Runs => {
                let code = self.attributes.partition_point(|stream| stream.first_row <= i) - 1;
                (code, i - self.attributes[code].first_row)
            }
            Places::Scattered { codes, positions } => {
                (codes.get(&self.payload, i) as usize, usize::from(positions[i]))
            }
        }
    }

    /// The rows of `a` in a leaf of AEVT or AVET; empty if it is absent.
    #[must_use]
    pub fn attr_rows(&self, a: AttrId) -> Rows<usize> {
        debug_assert!(self.index != Index::Eavt);
        let at = self.attributes.partition_point(|stream| stream.a < a);
        let start = |at: usize| self.attributes.get(at).map_or(self.len, |stream| stream.first_row);
        match self.attributes.get(at) {
            Some(stream) if stream.a == a => start(at)..start(at + 1),
            _ => start(at)..start(at),
        }
    }

    /// The first row of `rows` whose entity is not below `e`; `rows` must be ascending by entity (a whole EAVT leaf, one
    /// attribute's rows of an AEVT leaf). Gallops from the front, so a forward pass over sorted keys costs O(log gap).
    #[must_use]
    pub fn seek_e(&self, rows: Rows<usize>, e: EntityId) -> usize {
        gallop(rows, |i| self.e(i) < e)
    }

    /// The first row of `rows` whose value is not below `v`; `rows` must be ascending by value (one attribute's rows of an
    /// AVET leaf, one `[e a]` of the others). Gallops.
    #[must_use]
    pub fn seek_v(&self, rows: Rows<usize>, v: &ValueRef<'_>) -> usize {
        gallop(rows, |i| self.v(i).cmp_index(v).is_lt())
    }

    /// Rows that lie before `edge`. O(log n).
    #[must_use]
    pub fn position(&self, edge: &Edge<'_>) -> usize {
        let wanted = edge.parts(self.index);
        let rows = match (self.index, edge.key.a, edge.key.e) {
            (Index::Eavt, _, Some(e)) => {
                let start = self.e.partition(&self.payload, 0..self.len, |x| (x as u64) < e.0);
                let end = self.e.partition(&self.payload, start..self.len, |x| x as u64 <= e.0);
                start..end
            }
            (Index::Eavt, ..) | (_, None, _) => 0..self.len,
            (_, Some(a), _) => self.attr_rows(a),
        };
        search(rows, |i| {
            let row = self.row(i);
            edge.is_behind(&wanted, &parts(self.index, Some(row.e.0), Some(row.a.0), Some(row.v)))
        })
    }

    /// The rows inside `range`, which must be of this leaf's index. O(log n).
    #[must_use]
    pub fn rows(&self, range: &Range) -> Rows<usize> {
        debug_assert_eq!(range.index, self.index);
        let (start, end) = Edge::of(range);
        let start = start.map_or(0, |edge| self.position(&edge));
        let end = end.map_or(self.len, |edge| self.position(&edge));
        start..end.max(start)
    }

    /// Appends `rows` to `batch`: the columns asked for, all marked as added. Values go into a column of their type
    /// without boxing; texts share this leaf's bytes.
    pub fn slice_into(&self, rows: Rows<usize>, columns: Columns, batch: &mut Batch) {
        batch.rows += rows.len();
        let payload = &self.payload;
        if columns.has(Columns::E) {
            self.e.each(payload, rows.clone(), |e| batch.e.push(e as u64));
        }
        if columns.has(Columns::T) {
            self.t.each(payload, rows.clone(), |t| batch.t.push(t as u64));
        }
        if columns.has(Columns::ADDED) {
            batch.added.resize(batch.added.len() + rows.len(), true);
        }
        match &self.places {
            Places::Runs => self.slice_runs(rows, columns, batch),
            Places::Scattered { codes, positions } => codes.each(payload, rows.clone(), {
                let mut i = rows.start;
                move |code| {
                    let stream = &self.attributes[code as usize];
                    if columns.has(Columns::A) {
                        batch.a.push(stream.a.0);
                    }
                    if columns.has(Columns::V) {
                        batch.v.push(stream.values.get(payload, usize::from(positions[i])));
                    }
                    i += 1;
                }
            }),
        }
    }

    fn slice_runs(&self, rows: Rows<usize>, columns: Columns, batch: &mut Batch) {
        let mut i = rows.start;
        while i < rows.end {
            let code = self.attributes.partition_point(|stream| stream.first_row <= i) - 1;
            let stream = &self.attributes[code];
            let end = self.attributes.get(code + 1).map_or(self.len, |next| next.first_row).min(rows.end);
            if columns.has(Columns::A) {
                batch.a.resize(batch.a.len() + (end - i), stream.a.0);
            }
            if columns.has(Columns::V) {
                let (first, last) = (i - stream.first_row, end - stream.first_row);
                stream.values.copy_into(&self.payload, first..last, &mut batch.v);
            }
            i = end;
        }
    }

    /// Appends the t ended of `rows`; nothing in a current tree.
    pub fn ended_into(&self, rows: Rows<usize>, out: &mut Vec<u64>) {
        if let Some(ended) = &self.ended {
            ended.each(&self.payload, rows, |t| out.push(t as u64));
        }
    }

    /// Bytes it occupies in memory now, about: more once it is read often.
    #[must_use]
    pub fn weight(&self) -> usize {
        let ended = self.ended.as_ref().map_or(0, Packed::heap_bytes);
        let streams: usize =
            self.attributes.iter().map(|x| size_of::<AttrStream>() + x.values.heap_bytes()).sum();
        let places = match &self.places {
            Places::Runs => 0,
            Places::Scattered { codes, positions } => codes.heap_bytes() + positions.len() * 2,
        };
        let columns = self.e.heap_bytes() + self.t.heap_bytes() + ended;
        size_of::<Leaf>() + self.payload.len() + columns + streams + places + self.dense_weight()
    }

    /// Reads a leaf from its payload.
    pub(crate) fn read(payload: Arc<[u8]>) -> Result<Leaf> {
        let mut reader = Reader::new(&payload);
        let len = reader.u32()? as usize;
        let index =
            *Index::ALL.get(usize::from(reader.u8()?)).ok_or_else(|| damaged("its index is unknown"))?;
        let flags = reader.u8()?;
        let attribute_count = usize::from(reader.u16()?);
        if len > MAX_LEAF_ROWS || flags > 1 || (attribute_count == 0) != (len == 0) {
            return Err(damaged("a leaf's header is wrong"));
        }
        let directory = read_directory(&mut reader, attribute_count, len)?;
        let e = Packed::read(&mut reader, len)?;
        let t = Packed::read(&mut reader, len)?;
        let ended = (flags & 1 != 0).then(|| Packed::read(&mut reader, len)).transpose()?;
        let places = match index {
            Index::Eavt if directory.len() > 1 => read_places(&mut reader, &payload, &directory, len)?,
            _ => Places::Runs,
        };
        let mut attributes = Vec::with_capacity(directory.len());
        let mut first_row = 0;
        for (a, rows) in directory {
            attributes.push(AttrStream { a, first_row, values: Stream::read(&mut reader, &payload, rows)? });
            first_row += rows;
        }
        if reader.left() != PADDING {
            return Err(damaged("a leaf is longer than its columns"));
        }
        let (attributes, payload) = (attributes.into(), payload.clone());
        let (heat, dense) = (AtomicU32::new(0), OnceLock::new());
        Ok(Leaf { index, len, e, t, ended, attributes, places, payload, heat, dense })
    }
}

fn read_directory(reader: &mut Reader<'_>, count: usize, len: usize) -> Result<Vec<(AttrId, usize)>> {
    let mut directory: Vec<(AttrId, usize)> = Vec::with_capacity(count.min(reader.left() / 8));
    let mut total = 0;
    for _ in 0..count {
        let (a, rows) = (AttrId(reader.u32()?), reader.u32()? as usize);
        if rows == 0 || rows > len || directory.last().is_some_and(|last| last.0 >= a) {
            return Err(damaged("a leaf's attributes are out of order"));
        }
        total += rows;
        directory.push((a, rows));
    }
    if total == len { Ok(directory) } else { Err(damaged("a leaf's attributes do not add up")) }
}

fn read_places(
    reader: &mut Reader<'_>,
    payload: &[u8],
    directory: &[(AttrId, usize)],
    len: usize,
) -> Result<Places> {
    let codes = Packed::read(reader, len)?;
    check_codes(&codes, payload, len, directory.len())?;
    let mut seen = vec![0_u16; directory.len()];
    let mut positions = Vec::with_capacity(len);
    codes.each(payload, 0..len, |code| {
        let next = &mut seen[code as usize];
        positions.push(*next);
        *next += 1;
    });
    let agrees = seen.iter().zip(directory).all(|(seen, (_, rows))| usize::from(*seen) == *rows);
    match agrees {
        true => Ok(Places::Scattered { codes, positions: positions.into() }),
        false => Err(damaged("a leaf's attribute codes do not add up")),
    }
}

/// The first of `rows` for which `before` no longer holds.
fn search(rows: Rows<usize>, before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (rows.start, rows.end);
    while low < high {
        let middle = (low + high) / 2;
        if before(middle) { low = middle + 1 } else { high = middle }
    }
    low
}

/// The same, looking near the front first.
fn gallop(rows: Rows<usize>, before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut step) = (rows.start, 1);
    while low + step <= rows.end && before(low + step - 1) {
        low += step;
        step *= 2;
    }
    search(low..rows.end.min(low + step), before)
}

#[cfg(test)]
mod tests;
