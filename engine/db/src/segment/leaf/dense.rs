//! A leaf as dense columns: made once it has been read about as often as it is long.
//!
//! Packed columns answer a number in two or three nanoseconds, which is fine for a few; scans and batched look-ups of a
//! leaf that is read all the time want slices. The columns are the lines that runs of novelty have too, so both are read
//! by the same code: 20 bytes a row more, and the texts once more.

use std::ops::Range as Rows;
use std::sync::atomic::Ordering;

use super::super::stream::Stream;
use super::{Leaf, Places};
use crate::column::Column;
use crate::novelty::{AttrLines, Lines, Seen};
use crate::order::Index;
use crate::scan::cursor::Span;
use crate::scan::window::Window;

/// Columns of all rows of a leaf.
#[derive(Debug)]
pub(crate) struct Dense {
    /// what the t of the lines are relative to
    pub(crate) base: u64,
    pub(crate) lines: Lines,
}

impl Dense {
    /// The lines as `window` sees them; `covered` says that it shows all. `None` when it shows none.
    pub(crate) fn seen(&self, window: &Window, covered: bool) -> Option<Seen<'_>> {
        if covered {
            return Some(Seen { lines: &self.lines, part: None });
        }
        let relative = |t: u64| u32::try_from(t - self.base).unwrap_or(u32::MAX).min(u32::MAX - 1);
        if window.hi < self.base {
            return None;
        }
        let (lo, hi) = (relative(window.lo.max(self.base)), relative(window.hi));
        Some(Seen { lines: &self.lines, part: Some(Span { lo, hi, read: hi }) })
    }
}

impl Leaf {
    /// The leaf as columns, if it was read often enough to be worth them; `reading` more rows are read now. The second
    /// is true once: when they were made by this call and the leaf weighs more than before. EAVT has no columns: its
    /// readers want one entity.
    pub(crate) fn dense(&self, reading: usize) -> (Option<&Dense>, bool) {
        if let Some(made) = self.dense.get() {
            return (made.as_ref(), false);
        }
        if self.index == Index::Eavt
            || self.heat.fetch_add(reading as u32, Ordering::Relaxed) + (reading as u32) < self.len as u32
        {
            return (None, false);
        }
        let mut grown = false;
        let made = self.dense.get_or_init(|| {
            grown = true;
            self.make_dense()
        });
        (made.as_ref(), grown)
    }

    /// The same, if the columns are there.
    pub(crate) fn ready(&self) -> Option<&Dense> {
        self.dense.get()?.as_ref()
    }

    /// `None` when its t lie too far apart or its texts are too long.
    fn make_dense(&self) -> Option<Dense> {
        debug_assert!(matches!(self.places, Places::Runs));
        let rows = || 0..self.len;
        let mut base = u64::MAX;
        self.t.each(&self.payload, rows(), |t| base = base.min(t as u64));
        let relative = |t: i64| u32::try_from(t as u64 - base).ok().filter(|t| *t < u32::MAX);
        let column = |packed: &super::Packed| {
            let mut column = Vec::with_capacity(self.len);
            packed.each(&self.payload, rows(), |t| column.extend(relative(t)));
            (column.len() == self.len).then(|| column.into_boxed_slice())
        };
        let t = column(&self.t)?;
        let ended = match &self.ended {
            Some(ended) => Some(column(ended)?),
            None => None,
        };
        let mut e = Vec::with_capacity(self.len);
        self.e.each(&self.payload, rows(), |number| e.push(number as u64));
        let mut attributes = Vec::with_capacity(self.attributes.len());
        for (i, stream) in self.attributes.iter().enumerate() {
            let end = self.attributes.get(i + 1).map_or(self.len, |next| next.first_row);
            let at = stream.first_row..end;
            attributes.push(AttrLines::new(stream.a.0, at.clone(), self.values(&stream.values, at)));
        }
        Some(Dense { base, lines: Lines::of_columns(e.into(), t, ended, attributes.into()) })
    }

    fn values(&self, stream: &Stream, rows: Rows<usize>) -> Column {
        stream.dense(&self.payload, rows.len())
    }

    /// Bytes of the columns.
    pub(crate) fn dense_weight(&self) -> usize {
        self.ready().map_or(0, |dense| dense.lines.weight())
    }
}
