//! The canonical order: sort and distinct in one operator.
//!
//! Rows are sorted key by key: the first key's values become 64-bit codes that sort as the values do, ties are sorted
//! by the next key, and so on; a value whose code is only a prefix (text) is compared in full among equals. Input that
//! is already in order costs one pass. O(n log n) comparisons of machine words, no hash, no allocation per row.
//!
//! Rows that are equal by identity but print differently (decimals of another scale) lie side by side, the least in
//! index order first, so that distinct keeps that one.

use std::cmp::Ordering;

use annals_db::{Column, ValueRef};
use annals_edn::Error;

use crate::datum::DatumColumn;
use crate::run::frame::Col;
use crate::run::keys;

/// Rows that are sorted between two looks at the cancel flag.
pub(crate) const CHUNK: usize = 1 << 16;

/// One key of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SortKey {
    /// which column
    pub column: usize,
    /// greatest first
    pub descending: bool,
    /// by comparison (numbers by value across types) instead of index order
    pub compared: bool,
}

impl SortKey {
    /// Ascending in index order.
    pub(crate) fn index(column: usize) -> SortKey {
        SortKey { column, descending: false, compared: false }
    }
}

/// Asked now and then whether to go on.
pub(crate) type Check<'c> = &'c dyn Fn() -> Result<(), Error>;

/// The rows of `cols` in order; with `distinct`, one of each set of identical rows.
///
/// # Errors
/// Those of `check`, which is asked after every [`CHUNK`] rows or so.
pub(crate) fn sorted(
    cols: &[Col],
    rows: usize,
    keys: &[SortKey],
    distinct: bool,
    check: Check<'_>,
) -> Result<Vec<u32>, Error> {
    let mut order: Vec<(u64, u32)> = Vec::with_capacity(rows);
    for from in (0..rows).step_by(CHUNK) {
        order.extend((from as u32..rows.min(from + CHUNK) as u32).map(|row| (0, row)));
        every_chunk(order.len(), check)?;
    }
    Sorter { cols, keys, check }.sort(&mut order, 0)?;
    let mut result: Vec<u32> = Vec::with_capacity(rows);
    for piece in order.chunks(CHUNK) {
        for (_, row) in piece {
            let repeats = |last: &u32| same_row(cols, *last as usize, *row as usize);
            if !(distinct && result.last().is_some_and(repeats)) {
                result.push(*row);
            }
        }
        every_chunk(piece.len(), check)?;
    }
    Ok(result)
}

/// Asks `check` when `at` is a whole number of chunks.
fn every_chunk(at: usize, check: Check<'_>) -> Result<(), Error> {
    if at.is_multiple_of(CHUNK) { check() } else { Ok(()) }
}

/// True when two rows are identical in every column.
pub(crate) fn same_row(cols: &[Col], x: usize, y: usize) -> bool {
    cols.iter().all(|col| !col.is_data() || keys::identical(col, x, col, y))
}

struct Sorter<'a> {
    cols: &'a [Col],
    keys: &'a [SortKey],
    check: Check<'a>,
}

impl Sorter<'_> {
    /// Sorts `order`, whose rows are equal by the keys before `depth`.
    fn sort(&self, order: &mut [(u64, u32)], depth: usize) -> Result<(), Error> {
        if order.len() < 2 {
            return Ok(());
        }
        let Some(key) = self.keys.get(depth) else { return self.sort_by_scale(order) };
        let col = &self.cols[key.column];
        if !col.is_data() {
            return self.sort(order, depth + 1);
        }
        let exact = self.encode(col, key, order)?;
        if exact.is_some() {
            self.sort_codes(order)?;
        }
        match (exact, col) {
            (Some(true), _) => {}
            // Texts that begin alike, compared as the bytes that they are.
            (_, Col::Data(DatumColumn::Stored(Column::String(texts)))) => {
                let ascending = |x: u32, y: u32| texts.bytes(x as usize).cmp(texts.bytes(y as usize));
                match key.descending {
                    true => self.sort_ties(order, |x, y| ascending(y, x))?,
                    false => self.sort_ties(order, ascending)?,
                }
            }
            _ => self.sort_ties(order, |x, y| compare(col, key, x, y))?,
        }
        for_ties(order, self.check, |run| self.sort(run, depth + 1))
    }

    /// Sorts rows of equal codes by whole values and gives every run of equal values a code of its own.
    fn sort_ties(
        &self,
        order: &mut [(u64, u32)],
        compare: impl Fn(u32, u32) -> Ordering,
    ) -> Result<(), Error> {
        for_ties(order, self.check, |run| self.sort_slice(run, |x, y| compare(x.1, y.1)))?;
        number_runs(order, self.check, |x, y| compare(x, y) == Ordering::Equal)
    }

    /// The last tie-break: decimals by scale.
    fn sort_by_scale(&self, order: &mut [(u64, u32)]) -> Result<(), Error> {
        if !self.cols.iter().any(is_mixed) {
            return Ok(());
        }
        self.sort_slice(order, |x, y| {
            let columns = self.cols.iter().filter(|col| is_mixed(col));
            let mut orders = columns.map(|col| col.get(x.1 as usize).cmp_index(&col.get(y.1 as usize)));
            orders.find(|order| *order != Ordering::Equal).unwrap_or(Ordering::Equal)
        })
    }

    /// As [`encode`], chunk by chunk.
    fn encode(&self, col: &Col, key: &SortKey, order: &mut [(u64, u32)]) -> Result<Option<bool>, Error> {
        let mut exact = None;
        for piece in order.chunks_mut(CHUNK) {
            exact = encode(col, key, piece);
            if exact.is_none() {
                break;
            }
            every_chunk(piece.len(), self.check)?;
        }
        Ok(exact)
    }

    fn is_sorted(&self, order: &[(u64, u32)]) -> Result<bool, Error> {
        for from in (0..order.len()).step_by(CHUNK) {
            if !order[from..order.len().min(from + CHUNK + 1)].is_sorted() {
                return Ok(false);
            }
            if from > 0 {
                (self.check)()?;
            }
        }
        Ok(true)
    }

    fn sort_codes(&self, order: &mut [(u64, u32)]) -> Result<(), Error> {
        if self.is_sorted(order)? {
            return Ok(());
        }
        if order.len() <= CHUNK {
            // One wide number compares without a branch.
            order.sort_unstable_by_key(|(code, row)| u128::from(*code) << 32 | u128::from(*row));
            return Ok(());
        }
        self.sort_slice(order, Ord::cmp)
    }

    /// A stable sort that can be stopped: chunks are sorted, then merged two by two.
    fn sort_slice(
        &self,
        order: &mut [(u64, u32)],
        compare: impl Fn(&(u64, u32), &(u64, u32)) -> Ordering,
    ) -> Result<(), Error> {
        for chunk in order.chunks_mut(CHUNK) {
            chunk.sort_by(&compare);
            if chunk.len() == CHUNK {
                (self.check)()?;
            }
        }
        let mut size = CHUNK;
        let mut merged: Vec<(u64, u32)> = Vec::new();
        while size < order.len() {
            merged.clear();
            for pair in order.chunks(size * 2) {
                let (mut left, mut right) = pair.split_at(size.min(pair.len()));
                while let (Some(x), Some(y)) = (left.first(), right.first()) {
                    if compare(x, y).is_le() {
                        merged.push(*x);
                        left = &left[1..];
                    } else {
                        merged.push(*y);
                        right = &right[1..];
                    }
                    if merged.len().is_multiple_of(CHUNK) {
                        (self.check)()?;
                    }
                }
                for piece in left.chunks(CHUNK).chain(right.chunks(CHUNK)) {
                    merged.extend_from_slice(piece);
                    every_chunk(piece.len(), self.check)?;
                }
            }
            for (to, from) in order.chunks_mut(CHUNK).zip(merged.chunks(CHUNK)) {
                to.copy_from_slice(from);
                every_chunk(from.len(), self.check)?;
            }
            size *= 2;
        }
        Ok(())
    }
}

fn is_mixed(col: &Col) -> bool {
    matches!(col, Col::Data(DatumColumn::Any(_) | DatumColumn::Stored(Column::Mixed(_))))
}

/// Calls `each` with every run of two or more equal codes.
fn for_ties(
    order: &mut [(u64, u32)],
    check: Check<'_>,
    mut each: impl FnMut(&mut [(u64, u32)]) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut start = 0;
    while start < order.len() {
        let code = order[start].0;
        let len = order[start..].iter().take_while(|(other, _)| *other == code).count();
        if len > 1 {
            each(&mut order[start..start + len])?;
        }
        if start / CHUNK != (start + len) / CHUNK {
            check()?;
        }
        start += len;
    }
    Ok(())
}

/// Gives every run of rows that `equal` joins a code of its own. Rows of unequal codes are unequal.
fn number_runs(
    order: &mut [(u64, u32)],
    check: Check<'_>,
    equal: impl Fn(u32, u32) -> bool,
) -> Result<(), Error> {
    let Some(&(mut before, mut row)) = order.first() else { return Ok(()) };
    let mut number = 0;
    for (i, slot) in order.iter_mut().enumerate() {
        every_chunk(i + 1, check)?;
        if slot.0 != before || (slot.1 != row && !equal(row, slot.1)) {
            number += 1;
        }
        (before, row) = *slot;
        slot.0 = number;
    }
    Ok(())
}

/// Fills in the codes; true when equal codes mean equal values, false when they may tie unequal ones, `None` when the
/// column has no codes.
fn encode(col: &Col, key: &SortKey, order: &mut [(u64, u32)]) -> Option<bool> {
    let Col::Data(DatumColumn::Stored(column)) = col else { return None };
    const SIGN: u64 = 1 << 63;
    fn fill(order: &mut [(u64, u32)], code: impl Fn(usize) -> u64) {
        order.iter_mut().for_each(|slot| slot.0 = code(slot.1 as usize));
    }
    let exact = match column {
        Column::Long(x) | Column::Instant(x) => {
            fill(order, |i| x[i] as u64 ^ SIGN);
            true
        }
        Column::Ref(x) => {
            fill(order, |i| x[i] ^ SIGN);
            true
        }
        Column::Boolean(x) => {
            fill(order, |i| u64::from(x[i]));
            true
        }
        Column::Double(x) if !key.compared => {
            fill(order, |i| total(x[i]));
            true
        }
        Column::Uuid(x) => {
            fill(order, |i| (x[i] >> 64) as u64);
            false
        }
        Column::String(x) => {
            fill(order, |i| prefix(x.bytes(i)));
            false
        }
        Column::Double(_) | Column::Keyword(_) | Column::Mixed(_) => return None,
    };
    if key.descending {
        order.iter_mut().for_each(|slot| slot.0 = !slot.0);
    }
    Some(exact)
}

/// A double's place in the IEEE total order.
fn total(x: f64) -> u64 {
    let bits = x.to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

/// The first eight bytes, as a number that sorts as they do.
fn prefix(bytes: &[u8]) -> u64 {
    let mut head = [0u8; 8];
    let len = bytes.len().min(8);
    head[..len].copy_from_slice(&bytes[..len]);
    u64::from_be_bytes(head)
}

fn compare(col: &Col, key: &SortKey, x: u32, y: u32) -> Ordering {
    let order = compare_values(col, key, x as usize, y as usize);
    if key.descending { order.reverse() } else { order }
}

/// Compares two rows of a column by a key, decimals by value only.
fn compare_values(col: &Col, key: &SortKey, x: usize, y: usize) -> Ordering {
    match (col.get_ref(x), col.get_ref(y)) {
        (Some(ValueRef::BigDec(x)), Some(ValueRef::BigDec(y))) => x.cmp(y),
        (Some(x), Some(y)) if !key.compared => x.cmp_index(&y),
        _ if key.compared => crate::functions::compare::compare(&col.get(x), &col.get(y)),
        _ => col.get(x).cmp_index(&col.get(y)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datum::Datum;

    fn sorted(cols: &[Col], rows: usize, keys: &[SortKey], distinct: bool) -> Vec<u32> {
        super::sorted(cols, rows, keys, distinct, &|| Ok(())).expect("nobody stops it")
    }

    fn column(data: Vec<Datum>) -> Col {
        Col::Data(DatumColumn::from_data(data))
    }

    #[test]
    fn sorts_by_each_key_and_drops_repeats() {
        let cols = [
            column([2, 1, 2, 1, 2].map(Datum::long).to_vec()),
            column(["b", "x", "a", "x", "b"].map(Datum::text).to_vec()),
        ];
        let keys = [SortKey::index(0), SortKey::index(1)];
        assert_eq!(sorted(&cols, 5, &keys, true), [1, 2, 0]);
        assert_eq!(sorted(&cols, 5, &keys, false).len(), 5);
    }

    #[test]
    fn texts_that_share_a_prefix_are_compared_in_full() {
        let texts = ["annals-c", "annals-b2", "annals-b", "annals-b1"];
        let cols = [column(texts.map(Datum::text).to_vec())];
        assert_eq!(sorted(&cols, 4, &[SortKey::index(0)], true), [2, 3, 1, 0]);
        let descending = SortKey { descending: true, ..SortKey::index(0) };
        assert_eq!(sorted(&cols, 4, &[descending], true), [0, 1, 3, 2]);
    }

    #[test]
    fn equal_texts_leave_the_order_to_the_next_key() {
        let texts = ["annals-b", "annals-a", "annals-b", "a", "a\0", "annals-b"];
        let cols = [
            column(texts.map(Datum::text).to_vec()),
            column(["2", "9", "1", "1", "0", "2"].map(Datum::text).to_vec()),
        ];
        let keys = [SortKey::index(0), SortKey { descending: true, ..SortKey::index(1) }];
        assert_eq!(sorted(&cols, 6, &keys, true), [3, 4, 1, 0, 2]);
        assert_eq!(sorted(&cols, 6, &keys, false), [3, 4, 1, 0, 5, 2]);
    }

    #[test]
    fn negative_numbers_come_first() {
        let cols = [column([5, -3, 0, i64::MIN, i64::MAX].map(Datum::long).to_vec())];
        assert_eq!(sorted(&cols, 5, &[SortKey::index(0)], true), [3, 1, 2, 0, 4]);
    }

    #[test]
    fn a_long_sort_is_whole_and_can_be_stopped() {
        let count = CHUNK * 3 + 17;
        let data = (0..count as i64).map(|i| Datum::long(i * 7919 % 100_003)).collect();
        let cols = [column(data)];
        let found = sorted(&cols, count, &[SortKey::index(0)], false);
        let keys: Vec<Datum> = found.iter().map(|row| cols[0].get(*row as usize)).collect();
        assert!(keys.windows(2).all(|pair| pair[0].cmp_index(&pair[1]).is_le()));
        let mut rows = found;
        rows.sort_unstable();
        assert!(rows.iter().enumerate().all(|(i, row)| i == *row as usize));
        let stop = || Err(Error::new(annals_edn::Code::Cancelled, "stop"));
        assert!(super::sorted(&cols, count, &[SortKey::index(0)], false, &stop).is_err());
    }
}
