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

use crate::datum::DatumColumn;
use crate::run::frame::Col;
use crate::run::keys;

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

/// The rows of `cols` in order; with `distinct`, one of each set of identical rows.
pub(crate) fn sorted(cols: &[Col], rows: usize, keys: &[SortKey], distinct: bool) -> Vec<u32> {
    let mut order: Vec<(u64, u32)> = (0..rows as u32).map(|row| (0, row)).collect();
    let sorter = Sorter { cols, keys };
    sorter.sort(&mut order, 0);
    let mut result: Vec<u32> = order.into_iter().map(|(_, row)| row).collect();
    if distinct {
        result.dedup_by(|later, first| same_row(cols, *first as usize, *later as usize));
    }
    result
}

/// True when two rows are identical in every column.
pub(crate) fn same_row(cols: &[Col], x: usize, y: usize) -> bool {
    cols.iter().all(|col| !col.is_data() || keys::identical(col, x, col, y))
}

struct Sorter<'a> {
    cols: &'a [Col],
    keys: &'a [SortKey],
}

impl Sorter<'_> {
    /// Sorts `order`, whose rows are equal by the keys before `depth`.
    fn sort(&self, order: &mut [(u64, u32)], depth: usize) {
        if order.len() < 2 {
            return;
        }
        let Some(key) = self.keys.get(depth) else { return self.sort_by_scale(order) };
        let col = &self.cols[key.column];
        if !col.is_data() {
            return self.sort(order, depth + 1);
        }
        let exact = encode(col, key, order);
        match exact {
            Some(true) => sort_codes(order),
            Some(false) => {
                sort_codes(order);
                for_ties(order, |run| run.sort_by(|x, y| compare(col, key, x.1, y.1)));
            }
            None => {
                order.sort_by(|x, y| compare(col, key, x.1, y.1));
                number_runs(order, |x, y| compare(col, key, x, y) == Ordering::Equal);
            }
        }
        if exact == Some(false) {
            number_runs(order, |x, y| compare(col, key, x, y) == Ordering::Equal);
        }
        for_ties(order, |run| self.sort(run, depth + 1));
    }

    /// The last tie-break: decimals by scale.
    fn sort_by_scale(&self, order: &mut [(u64, u32)]) {
        if !self.cols.iter().any(is_mixed) {
            return;
        }
        order.sort_by(|x, y| {
            let columns = self.cols.iter().filter(|col| is_mixed(col));
            let mut orders = columns.map(|col| col.get(x.1 as usize).cmp_index(&col.get(y.1 as usize)));
            orders.find(|order| *order != Ordering::Equal).unwrap_or(Ordering::Equal)
        });
    }
}

fn is_mixed(col: &Col) -> bool {
    matches!(col, Col::Data(DatumColumn::Any(_) | DatumColumn::Stored(Column::Mixed(_))))
}

fn sort_codes(order: &mut [(u64, u32)]) {
    if !order.is_sorted() {
        order.sort_unstable();
    }
}

/// Calls `each` with every run of two or more equal codes.
fn for_ties(order: &mut [(u64, u32)], mut each: impl FnMut(&mut [(u64, u32)])) {
    let mut start = 0;
    while start < order.len() {
        let code = order[start].0;
        let len = order[start..].iter().take_while(|(other, _)| *other == code).count();
        if len > 1 {
            each(&mut order[start..start + len]);
        }
        start += len;
    }
}

/// Gives every run of rows that `equal` joins a code of its own.
fn number_runs(order: &mut [(u64, u32)], equal: impl Fn(u32, u32) -> bool) {
    let mut code = 0;
    for i in 0..order.len() {
        if i > 0 && !equal(order[i - 1].1, order[i].1) {
            code += 1;
        }
        // The row before keeps its code until it has been compared: only rows matter to `equal`.
        order[i].0 = code;
    }
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
    fn negative_numbers_come_first() {
        let cols = [column([5, -3, 0, i64::MIN, i64::MAX].map(Datum::long).to_vec())];
        assert_eq!(sorted(&cols, 5, &[SortKey::index(0)], true), [3, 1, 2, 0, 4]);
    }
}
