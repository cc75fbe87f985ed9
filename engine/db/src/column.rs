//! Typed columns of values: what scans produce and the query engine works on. Never a boxed value per row unless the
//! rows really mix types.

use std::ops::Range;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::id::EntityId;
use crate::value::{Value, ValueRef, ValueType};

/// A column of text: views into shared buffers (a resident segment's, a sorted run's) or into the column's own.
#[derive(Clone, Debug, Default)]
pub struct TextColumn {
    buffers: Vec<Buffer>,
    own: String,
    views: Vec<View>,
}

/// Bytes that several columns look into.
#[derive(Clone, Debug)]
enum Buffer {
    /// UTF-8 where views say so: checked when read as text
    Bytes(Arc<[u8]>),
    /// UTF-8 as a whole
    Text(Arc<str>),
}

impl Buffer {
    fn bytes(&self) -> &[u8] {
        match self {
            Buffer::Bytes(bytes) => bytes,
            Buffer::Text(text) => text.as_bytes(),
        }
    }

    fn is(&self, other: &Buffer) -> bool {
        match (self, other) {
            (Buffer::Bytes(x), Buffer::Bytes(y)) => Arc::ptr_eq(x, y),
            (Buffer::Text(x), Buffer::Text(y)) => Arc::ptr_eq(x, y),
            _ => false,
        }
    }
}

/// Where one text lies. `buffer` 0 is the column's own bytes, `n` the n-th shared buffer.
#[derive(Clone, Copy, Debug)]
struct View {
    buffer: u32,
    start: u32,
    len: u32,
}

impl View {
    fn range(self) -> std::ops::Range<usize> {
        self.start as usize..(self.start + self.len) as usize
    }
}

impl TextColumn {
    /// Rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.views.len()
    }

    /// True without rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.views.is_empty()
    }

    /// A column of `texts` that keeps each distinct one once, in a buffer that columns made from it share; `None` when
    /// they are too long for that.
    pub(crate) fn interned<'t>(texts: impl Iterator<Item = &'t str>) -> Option<TextColumn> {
        let mut known: FxHashMap<&str, View> = FxHashMap::default();
        let (mut text, mut views) = (String::new(), Vec::new());
        for one in texts {
            let fresh = || View { buffer: 1, start: text.len() as u32, len: one.len() as u32 };
            let view = *known.entry(one).or_insert_with(fresh);
            if view.start as usize == text.len() {
                text.push_str(one);
                u32::try_from(text.len()).ok()?;
            }
            views.push(view);
        }
        Some(TextColumn { buffers: vec![Buffer::Text(text.into())], own: String::new(), views })
    }

    /// A column of views into one text.
    pub(crate) fn of_views(text: Arc<str>, views: impl Iterator<Item = Range<u32>>) -> TextColumn {
        let view = |range: Range<u32>| View { buffer: 1, start: range.start, len: range.end - range.start };
        TextColumn { buffers: vec![Buffer::Text(text)], own: String::new(), views: views.map(view).collect() }
    }

    fn weight(&self) -> usize {
        let shared: usize = self.buffers.iter().map(|buffer| buffer.bytes().len()).sum();
        self.views.len() * size_of::<View>() + self.own.len() + shared
    }

    /// The text of row `i`. O(1), but O(len) for texts of a segment, which are checked.
    #[must_use]
    pub fn get(&self, i: usize) -> &str {
        let view = self.views[i];
        match view.buffer.checked_sub(1).map(|at| &self.buffers[at as usize]) {
            None => &self.own[view.range()],
            Some(Buffer::Text(text)) => &text[view.range()],
            Some(Buffer::Bytes(bytes)) => {
                std::str::from_utf8(&bytes[view.range()]).expect("only text is shared")
            }
        }
    }

    /// The bytes of row `i`. O(1).
    #[must_use]
    pub fn bytes(&self, i: usize) -> &[u8] {
        let view = self.views[i];
        match view.buffer {
            0 => &self.own.as_bytes()[view.range()],
            n => &self.buffers[n as usize - 1].bytes()[view.range()],
        }
    }

    /// Copies `text` into the column.
    pub fn push(&mut self, text: &str) {
        let view = View { buffer: 0, start: self.own.len() as u32, len: text.len() as u32 };
        self.own.push_str(text);
        self.views.push(view);
    }

    /// Makes `buffer` known and returns its number for [`TextColumn::push_shared`]. Must hold UTF-8 at every range pushed.
    pub fn share(&mut self, buffer: &Arc<[u8]>) -> u32 {
        self.share_buffer(&Buffer::Bytes(buffer.clone()))
    }

    fn share_buffer(&mut self, buffer: &Buffer) -> u32 {
        let known = self.buffers.iter().rposition(|held| held.is(buffer));
        let at = known.unwrap_or_else(|| {
            self.buffers.push(buffer.clone());
            self.buffers.len() - 1
        });
        at as u32 + 1
    }

    /// Appends a view of a shared buffer without copying.
    pub fn push_shared(&mut self, buffer: u32, start: u32, len: u32) {
        self.views.push(View { buffer, start, len });
    }

    /// Appends row `i` of `other`; shares its buffer if it has one.
    pub fn push_from(&mut self, other: &TextColumn, i: usize) {
        let view = other.views[i];
        match view.buffer {
            0 => self.push(other.get(i)),
            n => {
                let buffer = self.share_buffer(&other.buffers[n as usize - 1]);
                self.push_shared(buffer, view.start, view.len);
            }
        }
    }

    /// Appends rows of `other`; shares the buffers it has. O(rows + the bytes that `other` owns).
    pub fn extend(&mut self, other: &TextColumn, rows: impl Iterator<Item = usize>) {
        if let [buffer] = other.buffers.as_slice()
            && other.own.is_empty()
        {
            let buffer = self.share_buffer(buffer);
            self.views.extend(rows.map(|row| View { buffer, ..other.views[row] }));
            return;
        }
        rows.for_each(|row| self.push_from(other, row));
    }

    /// Drops all rows and shared buffers; keeps what was allocated.
    pub fn clear(&mut self) {
        self.buffers.clear();
        self.own.clear();
        self.views.clear();
    }

    /// The rows of `rows`, in that order. Buffers are shared, own texts copied. O(rows + their own bytes).
    #[must_use]
    pub fn gather(&self, rows: &[u32]) -> TextColumn {
        let mut picked = TextColumn {
            buffers: self.buffers.clone(),
            own: String::new(),
            views: Vec::with_capacity(rows.len()),
        };
        for &row in rows {
            let view = self.views[row as usize];
            match view.buffer {
                0 => picked.push(&self.own[view.range()]),
                _ => picked.views.push(view),
            }
        }
        picked
    }
}

/// A column of values of one type, or mixed.
#[derive(Clone, Debug)]
pub enum Column {
    /// booleans
    Boolean(Vec<bool>),
    /// longs
    Long(Vec<i64>),
    /// entity ids and refs
    Ref(Vec<u64>),
    /// doubles
    Double(Vec<f64>),
    /// instants, milliseconds
    Instant(Vec<i64>),
    /// uuids
    Uuid(Vec<u128>),
    /// keywords, without colons
    Keyword(TextColumn),
    /// strings
    String(TextColumn),
    /// every other type, and rows of several types
    Mixed(Vec<Value>),
}

impl Column {
    /// An empty column fit for values of `ty`; of none, for values of any type.
    #[must_use]
    pub fn of(ty: impl Into<Option<ValueType>>) -> Column {
        let Some(ty) = ty.into() else { return Column::Mixed(Vec::new()) };
        match ty {
            ValueType::Boolean => Column::Boolean(Vec::new()),
            ValueType::Long => Column::Long(Vec::new()),
            ValueType::Ref => Column::Ref(Vec::new()),
            ValueType::Double => Column::Double(Vec::new()),
            ValueType::Instant => Column::Instant(Vec::new()),
            ValueType::Uuid => Column::Uuid(Vec::new()),
            ValueType::Keyword => Column::Keyword(TextColumn::default()),
            ValueType::String => Column::String(TextColumn::default()),
            _ => Column::Mixed(Vec::new()),
        }
    }

    /// Rows.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Column::Boolean(x) => x.len(),
            Column::Long(x) | Column::Instant(x) => x.len(),
            Column::Ref(x) => x.len(),
            Column::Double(x) => x.len(),
            Column::Uuid(x) => x.len(),
            Column::Keyword(x) | Column::String(x) => x.len(),
            Column::Mixed(x) => x.len(),
        }
    }

    /// True without rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes it occupies in memory, about; of texts the buffers too.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Column::Boolean(x) => x.len(),
            Column::Long(_) | Column::Instant(_) | Column::Ref(_) | Column::Double(_) => self.len() * 8,
            Column::Uuid(x) => x.len() * 16,
            Column::Keyword(x) | Column::String(x) => x.weight(),
            // Big numbers and tuples own some more; an estimate serves the cache.
            Column::Mixed(x) => x.len() * 64,
        }
    }

    /// Row `i`, borrowed. O(1).
    #[must_use]
    pub fn get(&self, i: usize) -> ValueRef<'_> {
        match self {
            Column::Boolean(x) => ValueRef::Boolean(x[i]),
            Column::Long(x) => ValueRef::Long(x[i]),
            Column::Ref(x) => ValueRef::Ref(EntityId(x[i])),
            Column::Double(x) => ValueRef::Double(x[i]),
            Column::Instant(x) => ValueRef::Instant(x[i]),
            Column::Uuid(x) => ValueRef::Uuid(x[i]),
            Column::Keyword(x) => ValueRef::Keyword(x.get(i)),
            Column::String(x) => ValueRef::String(x.get(i)),
            Column::Mixed(x) => x[i].as_ref(),
        }
    }

    /// Appends a value; a value of another type turns the column into a mixed one (O(n), once).
    pub fn push(&mut self, value: ValueRef<'_>) {
        match (&mut *self, value) {
            (Column::Boolean(x), ValueRef::Boolean(v)) => x.push(v),
            (Column::Long(x), ValueRef::Long(v)) | (Column::Instant(x), ValueRef::Instant(v)) => x.push(v),
            (Column::Ref(x), ValueRef::Ref(v)) => x.push(v.0),
            (Column::Double(x), ValueRef::Double(v)) => x.push(v),
            (Column::Uuid(x), ValueRef::Uuid(v)) => x.push(v),
            (Column::Keyword(x), ValueRef::Keyword(v)) | (Column::String(x), ValueRef::String(v)) => {
                x.push(v)
            }
            (Column::Mixed(x), v) => x.push(v.to_value()),
            (_, v) => {
                let mut mixed: Vec<Value> = (0..self.len()).map(|i| self.get(i).to_value()).collect();
                mixed.push(v.to_value());
                *self = Column::Mixed(mixed);
            }
        }
    }

    /// Appends rows `rows` of `from`, slice by slice where the types agree.
    pub fn extend_range(&mut self, from: &Column, rows: Range<usize>) {
        match (&mut *self, from) {
            (Column::Boolean(to), Column::Boolean(from)) => to.extend_from_slice(&from[rows]),
            (Column::Long(to), Column::Long(from)) | (Column::Instant(to), Column::Instant(from)) => {
                to.extend_from_slice(&from[rows]);
            }
            (Column::Ref(to), Column::Ref(from)) => to.extend_from_slice(&from[rows]),
            (Column::Double(to), Column::Double(from)) => to.extend_from_slice(&from[rows]),
            (Column::Uuid(to), Column::Uuid(from)) => to.extend_from_slice(&from[rows]),
            (Column::Keyword(to), Column::Keyword(from)) | (Column::String(to), Column::String(from)) => {
                to.extend(from, rows);
            }
            (Column::Mixed(to), Column::Mixed(from)) => to.extend_from_slice(&from[rows]),
            (to, from) => rows.for_each(|row| to.push(from.get(row))),
        }
    }

    /// Appends the rows of `rows`, in that order.
    pub fn extend_rows(&mut self, from: &Column, rows: &[u32]) {
        fn extend<T: Clone>(to: &mut Vec<T>, from: &[T], rows: &[u32]) {
            to.extend(rows.iter().map(|&row| from[row as usize].clone()));
        }
        match (&mut *self, from) {
            (Column::Boolean(to), Column::Boolean(from)) => extend(to, from, rows),
            (Column::Long(to), Column::Long(from)) | (Column::Instant(to), Column::Instant(from)) => {
                extend(to, from, rows);
            }
            (Column::Ref(to), Column::Ref(from)) => extend(to, from, rows),
            (Column::Double(to), Column::Double(from)) => extend(to, from, rows),
            (Column::Uuid(to), Column::Uuid(from)) => extend(to, from, rows),
            (Column::Keyword(to), Column::Keyword(from)) | (Column::String(to), Column::String(from)) => {
                to.extend(from, rows.iter().map(|&row| row as usize));
            }
            (to, from) => rows.iter().for_each(|&row| to.push(from.get(row as usize))),
        }
    }

    /// Appends rows of several columns: which of them, and which of its rows.
    pub(crate) fn extend_chosen(&mut self, from: &[&Column], chosen: &[(u32, u32)]) {
        fn picked<T: Copy>(
            from: &[&Column],
            chosen: &[(u32, u32)],
            slice: impl Fn(&Column) -> Option<&[T]>,
            to: &mut Vec<T>,
        ) -> bool {
            let Some(from) = from.iter().map(|column| slice(column)).collect::<Option<Vec<&[T]>>>() else {
                return false;
            };
            to.extend(chosen.iter().map(|(column, row)| from[*column as usize][*row as usize]));
            true
        }
        let done = match self {
            Column::Long(to) => picked(from, chosen, Column::longs, to),
            Column::Instant(to) => picked(from, chosen, Column::instants, to),
            Column::Ref(to) => picked(from, chosen, Column::refs, to),
            _ => false,
        };
        if done {
            return;
        }
        for (column, row) in chosen {
            self.extend_range(from[*column as usize], *row as usize..*row as usize + 1);
        }
    }

    fn longs(&self) -> Option<&[i64]> {
        match self {
            Column::Long(x) => Some(x),
            _ => None,
        }
    }

    fn instants(&self) -> Option<&[i64]> {
        match self {
            Column::Instant(x) => Some(x),
            _ => None,
        }
    }

    fn refs(&self) -> Option<&[u64]> {
        match self {
            Column::Ref(x) => Some(x),
            _ => None,
        }
    }

    /// The index order of row `i` and of row `j` of `other`.
    pub(crate) fn cmp_rows(&self, i: usize, other: &Column, j: usize) -> std::cmp::Ordering {
        match (self, other) {
            (Column::Long(x), Column::Long(y)) | (Column::Instant(x), Column::Instant(y)) => x[i].cmp(&y[j]),
            (Column::Ref(x), Column::Ref(y)) => x[i].cmp(&y[j]),
            (Column::Uuid(x), Column::Uuid(y)) => x[i].cmp(&y[j]),
            (x, y) => x.get(i).cmp_index(&y.get(j)),
        }
    }

    /// Drops all rows; the type stays, and what was allocated.
    pub fn clear(&mut self) {
        match self {
            Column::Boolean(x) => x.clear(),
            Column::Long(x) | Column::Instant(x) => x.clear(),
            Column::Ref(x) => x.clear(),
            Column::Double(x) => x.clear(),
            Column::Uuid(x) => x.clear(),
            Column::Keyword(x) | Column::String(x) => x.clear(),
            Column::Mixed(x) => x.clear(),
        }
    }

    /// The rows of `rows`, in that order.
    #[must_use]
    pub fn gather(&self, rows: &[u32]) -> Column {
        fn pick<T: Clone>(from: &[T], rows: &[u32]) -> Vec<T> {
            rows.iter().map(|&row| from[row as usize].clone()).collect()
        }
        match self {
            Column::Boolean(x) => Column::Boolean(pick(x, rows)),
            Column::Long(x) => Column::Long(pick(x, rows)),
            Column::Ref(x) => Column::Ref(pick(x, rows)),
            Column::Double(x) => Column::Double(pick(x, rows)),
            Column::Instant(x) => Column::Instant(pick(x, rows)),
            Column::Uuid(x) => Column::Uuid(pick(x, rows)),
            Column::Keyword(x) => Column::Keyword(x.gather(rows)),
            Column::String(x) => Column::String(x.gather(rows)),
            Column::Mixed(x) => Column::Mixed(pick(x, rows)),
        }
    }
}
