//! *Comparison* (`<`, `min`, `:order-by`) and the two equalities of queries (`=`, `==`).
//!
//! Comparison orders any two values: numbers by value across their types (NaN above all), everything else by type,
//! then in index order. `=` is by value within a category: 1 and 1N are equal, 1, 1.0 and 1M are not; decimals are
//! equal whatever their scale; NaN is equal to nothing.

use std::cmp::Ordering;

use annals_db::{Value, ValueRef};
use bigdecimal::num_bigint::BigInt;
use bigdecimal::{BigDecimal, FromPrimitive, ToPrimitive};

use super::Comparison;
use super::number::Number;
use crate::datum::Datum;

impl Comparison {
    /// Whether it holds of two values that compare so.
    #[must_use]
    pub fn holds(self, order: Ordering) -> bool {
        match self {
            Comparison::Less => order.is_lt(),
            Comparison::LessOrEqual => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::GreaterOrEqual => order.is_ge(),
        }
    }

    /// Whether it holds of two data; of NaN no comparison does.
    #[must_use]
    pub fn holds_of(self, x: &Datum, y: &Datum) -> bool {
        let nan = |datum: &Datum| datum.value().is_some_and(|value| is_nan(&value.as_ref()));
        !nan(x) && !nan(y) && self.holds(compare(x, y))
    }

    /// As [`Comparison::holds_of`], for stored values.
    #[must_use]
    pub fn holds_of_values(self, x: &ValueRef<'_>, y: &ValueRef<'_>) -> bool {
        !is_nan(x) && !is_nan(y) && self.holds(compare_values(x, y))
    }

    /// As [`Comparison::holds_of`], for doubles.
    #[must_use]
    pub fn holds_of_doubles(self, x: f64, y: f64) -> bool {
        x.partial_cmp(&y).is_some_and(|order| self.holds(order))
    }

    /// The comparison with its sides exchanged.
    #[must_use]
    pub fn flipped(self) -> Comparison {
        match self {
            Comparison::Less => Comparison::Greater,
            Comparison::LessOrEqual => Comparison::GreaterOrEqual,
            Comparison::Greater => Comparison::Less,
            Comparison::GreaterOrEqual => Comparison::LessOrEqual,
        }
    }
}

fn is_nan(value: &ValueRef<'_>) -> bool {
    match value {
        ValueRef::Double(x) => x.is_nan(),
        ValueRef::Float(x) => x.is_nan(),
        _ => false,
    }
}

/// Comparison of two data.
#[must_use]
pub fn compare(x: &Datum, y: &Datum) -> Ordering {
    match (x, y) {
        (Datum::Value(x), Datum::Value(y)) => compare_values(&x.as_ref(), &y.as_ref()),
        _ => x.cmp_index(y),
    }
}

/// Comparison of two stored values.
#[must_use]
pub fn compare_values(x: &ValueRef<'_>, y: &ValueRef<'_>) -> Ordering {
    match (x, y) {
        (ValueRef::Long(x), ValueRef::Long(y)) => x.cmp(y),
        (ValueRef::Double(x), ValueRef::Double(y)) => compare_doubles(*x, *y),
        (ValueRef::String(x), ValueRef::String(y)) => x.cmp(y),
        (ValueRef::Tuple(x), ValueRef::Tuple(y)) => compare_slots(x, y),
        _ => match (Number::of(x), Number::of(y)) {
            (Some(x), Some(y)) => compare_numbers(&x, &y),
            (Some(_), None) => number_rank().cmp(&type_rank(y)),
            (None, Some(_)) => type_rank(x).cmp(&number_rank()),
            (None, None) => x.cmp_index(y),
        },
    }
}

/// Booleans below numbers, everything else above, as the type tags have it.
fn type_rank(value: &ValueRef<'_>) -> u8 {
    value.value_type().rank()
}

fn number_rank() -> u8 {
    annals_db::ValueType::Long.rank()
}

fn compare_slots(x: &[Option<Value>], y: &[Option<Value>]) -> Ordering {
    for (x, y) in x.iter().zip(y) {
        let order = match (x, y) {
            (Some(x), Some(y)) => compare_values(&x.as_ref(), &y.as_ref()),
            _ => x.is_some().cmp(&y.is_some()),
        };
        if order.is_ne() {
            return order;
        }
    }
    x.len().cmp(&y.len())
}

/// Doubles by value, 0.0 and -0.0 equal, NaN equal to itself and above all.
#[must_use]
pub fn compare_doubles(x: f64, y: f64) -> Ordering {
    x.partial_cmp(&y).unwrap_or_else(|| x.is_nan().cmp(&y.is_nan()))
}

/// Numbers by value across types, exactly.
#[must_use]
pub fn compare_numbers(x: &Number, y: &Number) -> Ordering {
    match (x, y) {
        (Number::Long(x), Number::Long(y)) => x.cmp(y),
        (Number::Double(x), Number::Double(y)) => compare_doubles(*x, *y),
        (Number::BigInt(x), Number::BigInt(y)) => x.cmp(y),
        (Number::Double(x), y) => compare_with_double(y, *x).reverse(),
        (x, Number::Double(y)) => compare_with_double(x, *y),
        (x, y) => to_decimal(x).cmp(&to_decimal(y)),
    }
}

fn compare_with_double(x: &Number, y: f64) -> Ordering {
    if !y.is_finite() {
        return if y == f64::NEG_INFINITY { Ordering::Greater } else { Ordering::Less };
    }
    match BigDecimal::from_f64(y) {
        Some(y) => to_decimal(x).cmp(&y),
        None => compare_doubles(x.to_f64(), y),
    }
}

fn to_decimal(number: &Number) -> BigDecimal {
    match number {
        Number::Long(x) => BigDecimal::from(*x),
        Number::BigInt(x) => BigDecimal::from(x.clone()),
        Number::BigDec(x) => x.clone(),
        Number::Double(x) => BigDecimal::from_f64(*x).unwrap_or_default(),
    }
}

/// `=`
#[must_use]
pub fn equal(x: &Datum, y: &Datum) -> bool {
    match (x, y) {
        (Datum::Value(x), Datum::Value(y)) => equal_values(&x.as_ref(), &y.as_ref()),
        (Datum::Set(x), Datum::Set(y)) => x == y,
        (Datum::Map(x), Datum::Map(y)) => {
            x.len() == y.len() && x.iter().zip(y.iter()).all(|(x, y)| equal(&x.0, &y.0) && equal(&x.1, &y.1))
        }
        (Datum::Vector(x), Datum::Vector(y)) => {
            x.len() == y.len() && x.iter().zip(y.iter()).all(|(x, y)| equal(x, y))
        }
        _ => x == y,
    }
}

/// `=` of two stored values.
#[must_use]
pub fn equal_values(x: &ValueRef<'_>, y: &ValueRef<'_>) -> bool {
    match (x, y) {
        (ValueRef::Double(_) | ValueRef::Float(_), ValueRef::Double(_) | ValueRef::Float(_)) => {
            match (Number::of(x), Number::of(y)) {
                (Some(x), Some(y)) => x.to_f64() == y.to_f64(),
                _ => false,
            }
        }
        (ValueRef::Tuple(x), ValueRef::Tuple(y)) => {
            let same = |(x, y): (&Option<Value>, &Option<Value>)| match (x, y) {
                (Some(x), Some(y)) => equal_values(&x.as_ref(), &y.as_ref()),
                _ => x.is_none() && y.is_none(),
            };
            x.len() == y.len() && x.iter().zip(y.iter()).all(same)
        }
        _ => match (integer(x), integer(y)) {
            (Some(x), Some(y)) => x == y,
            _ => x.identical(y),
        },
    }
}

/// The number of an integer of any type, if it is one and fits 128 bits; greater ones are compared as they are.
fn integer(value: &ValueRef<'_>) -> Option<i128> {
    match value {
        ValueRef::BigInt(x) => BigInt::to_i128(x),
        _ => value.as_integer().map(i128::from),
    }
}

/// `==`: numbers by value.
///
/// # Errors
/// `FUNCTION_FAILED` for what is no number.
pub fn same_number(x: &Datum, y: &Datum) -> Result<bool, annals_edn::Error> {
    let (x, y) = (Number::from_datum(x)?, Number::from_datum(y)?);
    let nan = |number: &Number| matches!(number, Number::Double(x) if x.is_nan());
    Ok(!nan(&x) && !nan(&y) && compare_numbers(&x, &y).is_eq())
}
