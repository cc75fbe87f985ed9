//! Aggregates: one group of values to one datum.
//!
//! Sums of doubles are exact until the end ([`exact`]), so the answer does not depend on the order of the rows. Where
//! comparison ties values that print differently, the least in index order is shown.

mod exact;

use std::cmp::Ordering;

use annals_db::{Column, Value};
use annals_edn::{Code, Error};
use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;

use super::compare::{compare, compare_doubles};
use super::number::{Number, calculate, overflow};
use super::{Aggregate, Arithmetic};
use crate::datum::{Datum, DatumColumn};
use exact::Exact;

impl Aggregate {
    /// Aggregates the values at `rows`, which are not empty, in any order. `seed` decides `rand` and `sample`, which
    /// draw from the group in index order.
    ///
    /// # Errors
    /// `FUNCTION_FAILED` for values it cannot take, `INTEGER_OVERFLOW`.
    pub fn apply(self, values: &DatumColumn, rows: &[u32], seed: u64) -> Result<Datum, Error> {
        match self {
            Aggregate::Stored(_) => {
                Err(Error::new(Code::Internal, "a stored aggregate is a query, not a function"))
            }
            Aggregate::Count => Ok(Datum::long(rows.len() as i64)),
            Aggregate::CountDistinct => Ok(Datum::long(distinct(values, rows).len() as i64)),
            Aggregate::Distinct => Ok(Datum::set(distinct(values, rows))),
            Aggregate::Min => Ok(extreme(values, rows, Ordering::Less)),
            Aggregate::Max => Ok(extreme(values, rows, Ordering::Greater)),
            Aggregate::MinN(n) => Ok(first(values, rows, n, false)),
            Aggregate::MaxN(n) => Ok(first(values, rows, n, true)),
            Aggregate::Sum => Sums::of(values, rows)?.sum(),
            Aggregate::Avg => Ok(Datum::Value(Value::Double(Sums::of(values, rows)?.avg()))),
            Aggregate::Median => median(values, rows),
            Aggregate::Variance => Ok(Datum::Value(Value::Double(variance(values, rows)?))),
            Aggregate::Stddev => Ok(Datum::Value(Value::Double(variance(values, rows)?.sqrt()))),
            Aggregate::Rand => Ok(draw(values, rows, 1, seed).pop().unwrap_or(Datum::Nil)),
            Aggregate::RandN(n) => Ok(Datum::vector(draw(values, rows, n, seed))),
            Aggregate::Sample(n) => Ok(Datum::vector(sample(values, rows, n, seed))),
        }
    }
}

/// All the values in index order, repeats too: what a stored aggregate is asked about.
pub(crate) fn ordered(values: &DatumColumn, rows: &[u32]) -> Datum {
    let mut all = data(values, rows);
    all.sort_by(Datum::cmp_index);
    Datum::vector(all)
}

fn data(values: &DatumColumn, rows: &[u32]) -> Vec<Datum> {
    rows.iter().map(|&row| values.get(row as usize)).collect()
}

/// The distinct values in index order.
fn distinct(values: &DatumColumn, rows: &[u32]) -> Vec<Datum> {
    let mut all = data(values, rows);
    all.sort_by(Datum::cmp_index);
    all.dedup();
    all
}

/// By comparison, ties in index order.
fn order(x: &Datum, y: &Datum) -> Ordering {
    compare(x, y).then_with(|| x.cmp_index(y))
}

fn extreme(values: &DatumColumn, rows: &[u32], wanted: Ordering) -> Datum {
    match values {
        DatumColumn::Stored(Column::Long(column)) => {
            let longs = rows.iter().map(|&row| column[row as usize]);
            let best = if wanted.is_lt() { longs.min() } else { longs.max() };
            Datum::long(best.expect("a group is not empty"))
        }
        DatumColumn::Stored(Column::Double(column)) => {
            let better = |x: f64, y: f64| {
                let order = compare_doubles(x, y);
                order == wanted || (order.is_eq() && x.total_cmp(&y).is_lt())
            };
            let doubles = rows.iter().map(|&row| column[row as usize]);
            let best = doubles.reduce(|best, x| if better(x, best) { x } else { best });
            Datum::Value(Value::Double(best.expect("a group is not empty")))
        }
        _ => {
            let better = |x: &Datum, y: &Datum| {
                let order = compare(x, y);
                order == wanted || (order.is_eq() && x.cmp_index(y).is_lt())
            };
            let all = rows.iter().map(|&row| values.get(row as usize));
            all.reduce(|best, x| if better(&x, &best) { x } else { best }).unwrap_or(Datum::Nil)
        }
    }
}

fn first(values: &DatumColumn, rows: &[u32], n: u64, descending: bool) -> Datum {
    let mut all = data(values, rows);
    all.sort_by(|x, y| match descending {
        true => compare(y, x).then_with(|| x.cmp_index(y)),
        false => order(x, y),
    });
    all.truncate(usize::try_from(n).unwrap_or(usize::MAX));
    Datum::vector(all)
}

fn median(values: &DatumColumn, rows: &[u32]) -> Result<Datum, Error> {
    let mut all = data(values, rows);
    all.iter().try_for_each(|datum| Number::from_datum(datum).map(|_| ()))?;
    all.sort_by(order);
    let middle = all.len() / 2;
    if all.len() % 2 == 1 {
        return Ok(all.swap_remove(middle));
    }
    let (x, y) = (Number::from_datum(&all[middle - 1])?, Number::from_datum(&all[middle])?);
    let half = match (&x, &y) {
        // Two great longs have a mean in 64 bits though not a sum.
        (Number::Long(x), Number::Long(y)) => Number::Long(((i128::from(*x) + i128::from(*y)) / 2) as i64),
        _ => calculate(Arithmetic::Divide, &calculate(Arithmetic::Add, &x, &y)?, &Number::Long(2))?,
    };
    Ok(Datum::Value(half.into_value()))
}

/// The sum of a group, by kinds of number.
#[derive(Default)]
struct Sums {
    count: u64,
    /// longs
    longs: i128,
    /// bigints, if any
    bigint: Option<BigInt>,
    /// bigdecs, if any
    decimal: Option<BigDecimal>,
    /// doubles, if any
    doubles: Option<Box<Exact>>,
}

impl Sums {
    fn of(values: &DatumColumn, rows: &[u32]) -> Result<Sums, Error> {
        let mut sums = Sums { count: rows.len() as u64, ..Sums::default() };
        match values {
            DatumColumn::Stored(Column::Long(column)) => {
                sums.longs = rows.iter().map(|&row| i128::from(column[row as usize])).sum();
            }
            DatumColumn::Stored(Column::Double(column)) => {
                let doubles = sums.doubles.insert(Box::default());
                rows.iter().for_each(|&row| doubles.add(column[row as usize]));
            }
            _ => {
                for &row in rows {
                    sums.add(Number::from_datum(&values.get(row as usize))?);
                }
            }
        }
        Ok(sums)
    }

    fn add(&mut self, number: Number) {
        match number {
            Number::Long(x) => self.longs += i128::from(x),
            Number::BigInt(x) => *self.bigint.get_or_insert_default() += x,
            Number::BigDec(x) => *self.decimal.get_or_insert_default() += x,
            Number::Double(x) => self.doubles.get_or_insert_default().add(x),
        }
    }

    /// In the widest kind that the group has.
    fn sum(self) -> Result<Datum, Error> {
        if self.doubles.is_some() {
            return Ok(Datum::Value(Value::Double(self.divided(1))));
        }
        let number = match (self.decimal, self.bigint) {
            (None, None) => Number::Long(i64::try_from(self.longs).map_err(|_| overflow())?),
            (None, Some(bigint)) => Number::BigInt(bigint + BigInt::from(self.longs)),
            (Some(decimal), bigint) => {
                let integers = bigint.unwrap_or_default() + BigInt::from(self.longs);
                Number::BigDec(decimal + BigDecimal::from(integers))
            }
        };
        Ok(Datum::Value(number.into_value()))
    }

    fn avg(self) -> f64 {
        let count = self.count;
        self.divided(count)
    }

    /// The sum divided by `count`, rounded once where no decimal is among the numbers.
    fn divided(self, count: u64) -> f64 {
        let integers = self.bigint.unwrap_or_default() + BigInt::from(self.longs);
        let doubles = self.doubles.unwrap_or_default();
        match self.decimal {
            None => doubles.mean_with(&integers, count),
            Some(decimal) => {
                let exact = (decimal + BigDecimal::from(integers)) / BigDecimal::from(count);
                Number::BigDec(exact).to_f64() + doubles.mean_with(&BigInt::default(), count)
            }
        }
    }
}

/// Of the population. Longs and doubles exactly, rounded once; the rest as doubles.
fn variance(values: &DatumColumn, rows: &[u32]) -> Result<f64, Error> {
    let (mut sum, mut squares) = (Exact::default(), Exact::default());
    for &row in rows {
        match Number::from_datum(&values.get(row as usize))? {
            Number::Long(x) => {
                sum.add_integer(x);
                squares.add_square_of_integer(x);
            }
            number => {
                sum.add(number.to_f64());
                squares.add_square(number.to_f64());
            }
        }
    }
    Ok(exact::variance(&sum, &squares, rows.len() as u64))
}

/// A step of splitmix64: a well mixed number a call from any seed.
fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut bits = *seed;
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// The most that `rand` and `sample` draw.
const MAX_DRAWN: u64 = 1_000_000;

fn below(seed: &mut u64, bound: usize) -> usize {
    ((u128::from(next(seed)) * bound as u128) >> 64) as usize
}

fn draw(values: &DatumColumn, rows: &[u32], n: u64, mut seed: u64) -> Vec<Datum> {
    let mut all = data(values, rows);
    all.sort_by(Datum::cmp_index);
    (0..n.min(MAX_DRAWN)).map(|_| all[below(&mut seed, all.len())].clone()).collect()
}

fn sample(values: &DatumColumn, rows: &[u32], n: u64, mut seed: u64) -> Vec<Datum> {
    let mut all = distinct(values, rows);
    let count = all.len().min(usize::try_from(n).unwrap_or(usize::MAX));
    for at in 0..count {
        let chosen = at + below(&mut seed, all.len() - at);
        all.swap(at, chosen);
    }
    all.truncate(count);
    all
}
