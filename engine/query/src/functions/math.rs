//! Scalar functions on numbers.

use std::sync::Arc;

use annals_db::Value;
use annals_edn::Error;
use bigdecimal::num_bigint::BigInt;
use bigdecimal::{BigDecimal, FromPrimitive, Signed, ToPrimitive};

use super::compare::compare_numbers;
use super::number::{Number, Whole, calculate, overflow, whole};
use super::scalar::wrong;
use super::{Arithmetic, compare as order};
use crate::datum::Datum;

type Answer = Result<Datum, Error>;

fn answer(number: Number) -> Answer {
    Ok(Datum::Value(number.into_value()))
}

fn pair(args: &[Datum]) -> Result<(Number, Number), Error> {
    Ok((Number::from_datum(&args[0])?, Number::from_datum(&args[1])?))
}

pub(super) fn compare(args: &[Datum]) -> Answer {
    Ok(Datum::long(order::compare(&args[0], &args[1]) as i64))
}

pub(super) fn quot(args: &[Datum]) -> Answer {
    let (x, y) = pair(args)?;
    answer(whole(Whole::Quot, &x, &y)?)
}

pub(super) fn rem(args: &[Datum]) -> Answer {
    let (x, y) = pair(args)?;
    answer(whole(Whole::Rem, &x, &y)?)
}

pub(super) fn modulo(args: &[Datum]) -> Answer {
    let (x, y) = pair(args)?;
    answer(whole(Whole::Mod, &x, &y)?)
}

pub(super) fn inc(args: &[Datum]) -> Answer {
    answer(calculate(Arithmetic::Add, &Number::from_datum(&args[0])?, &Number::Long(1))?)
}

pub(super) fn dec(args: &[Datum]) -> Answer {
    answer(calculate(Arithmetic::Subtract, &Number::from_datum(&args[0])?, &Number::Long(1))?)
}

pub(super) fn min(args: &[Datum]) -> Answer {
    extreme(args, std::cmp::Ordering::Less)
}

pub(super) fn max(args: &[Datum]) -> Answer {
    extreme(args, std::cmp::Ordering::Greater)
}

fn extreme(args: &[Datum], wanted: std::cmp::Ordering) -> Answer {
    let mut best = (Number::from_datum(&args[0])?, &args[0]);
    for datum in &args[1..] {
        let number = Number::from_datum(datum)?;
        // Of equal numbers the later is answered, and a NaN wherever one is.
        let keeps = compare_numbers(&best.0, &number) == wanted && !is_nan(&number);
        if !keeps && !is_nan(&best.0) {
            best = (number, datum);
        }
    }
    Ok(best.1.clone())
}

fn is_nan(number: &Number) -> bool {
    matches!(number, Number::Double(x) if x.is_nan())
}

pub(super) fn abs(args: &[Datum]) -> Answer {
    answer(match Number::from_datum(&args[0])? {
        Number::Long(x) => Number::Long(x.checked_abs().ok_or_else(overflow)?),
        Number::BigInt(x) => Number::BigInt(x.abs()),
        Number::BigDec(x) => Number::BigDec(x.abs()),
        Number::Double(x) => Number::Double(x.abs()),
    })
}

fn sign(args: &[Datum]) -> Result<std::cmp::Ordering, Error> {
    Ok(compare_numbers(&Number::from_datum(&args[0])?, &Number::Long(0)))
}

pub(super) fn is_zero(args: &[Datum]) -> Answer {
    Ok(Datum::bool(sign(args)?.is_eq()))
}

pub(super) fn is_positive(args: &[Datum]) -> Answer {
    Ok(Datum::bool(sign(args)?.is_gt()))
}

pub(super) fn is_negative(args: &[Datum]) -> Answer {
    Ok(Datum::bool(sign(args)?.is_lt()))
}

pub(super) fn is_even(args: &[Datum]) -> Answer {
    Ok(Datum::bool(!odd("even?", &args[0])?))
}

pub(super) fn is_odd(args: &[Datum]) -> Answer {
    Ok(Datum::bool(odd("odd?", &args[0])?))
}

fn odd(function: &str, datum: &Datum) -> Result<bool, Error> {
    match Number::from_datum(datum)? {
        Number::Long(x) => Ok(x & 1 == 1),
        Number::BigInt(x) => Ok(x.bit(0)),
        _ => Err(wrong(function, "an integer", datum)),
    }
}

pub(super) fn long(args: &[Datum]) -> Answer {
    let number = match &args[0] {
        Datum::Char(char) => Number::Long(i64::from(u32::from(*char))),
        datum => Number::from_datum(datum)?,
    };
    let long = match &number {
        Number::Long(x) => Some(*x),
        Number::BigInt(x) => x.to_i64(),
        Number::BigDec(x) => x.with_scale(0).to_i64(),
        Number::Double(x) => BigInt::from_f64(x.trunc()).and_then(|x| x.to_i64()),
    };
    Ok(Datum::long(long.ok_or_else(overflow)?))
}

/// A long of 32 bits.
pub(super) fn int(args: &[Datum]) -> Answer {
    match long(args)? {
        Datum::Value(Value::Long(x)) if i32::try_from(x).is_err() => Err(overflow()),
        int => Ok(int),
    }
}

pub(super) fn double(args: &[Datum]) -> Answer {
    answer(Number::Double(Number::from_datum(&args[0])?.to_f64()))
}

pub(super) fn float(args: &[Datum]) -> Answer {
    Ok(Datum::Value(Value::Float(Number::from_datum(&args[0])?.to_f64() as f32)))
}

pub(super) fn bigint(args: &[Datum]) -> Answer {
    let big = match Number::from_datum(&args[0])? {
        Number::Long(x) => Some(BigInt::from(x)),
        Number::BigInt(x) => Some(x),
        Number::BigDec(x) => Some(x.with_scale(0).into_bigint_and_exponent().0),
        Number::Double(x) => BigInt::from_f64(x.trunc()),
    };
    let big = big.ok_or_else(|| wrong("bigint", "a finite number", &args[0]))?;
    Ok(Datum::Value(Value::BigInt(Arc::new(big))))
}

pub(super) fn bigdec(args: &[Datum]) -> Answer {
    let decimal = match Number::from_datum(&args[0])? {
        Number::Long(x) => Some(BigDecimal::from(x)),
        Number::BigInt(x) => Some(BigDecimal::from(x)),
        Number::BigDec(x) => Some(x),
        Number::Double(x) => x.is_finite().then(|| x.to_string().parse().ok()).flatten(),
    };
    let decimal = decimal.ok_or_else(|| wrong("bigdec", "a finite number", &args[0]))?;
    Ok(Datum::Value(Value::BigDec(Arc::new(decimal))))
}

pub(super) fn on_double(args: &[Datum], function: fn(f64) -> f64) -> Answer {
    answer(Number::Double(function(Number::from_datum(&args[0])?.to_f64())))
}

/// To the nearest long, halves upwards.
pub(super) fn round(args: &[Datum]) -> Answer {
    let rounded = (Number::from_datum(&args[0])?.to_f64() + 0.5).floor();
    long(&[Datum::Value(Value::Double(rounded))])
}

pub(super) fn pow(args: &[Datum]) -> Answer {
    let (x, y) = pair(args)?;
    answer(Number::Double(libm::pow(x.to_f64(), y.to_f64())))
}

pub(super) fn hypot(args: &[Datum]) -> Answer {
    let (x, y) = pair(args)?;
    answer(Number::Double(libm::hypot(x.to_f64(), y.to_f64())))
}

pub(super) fn atan2(args: &[Datum]) -> Answer {
    let (y, x) = pair(args)?;
    answer(Number::Double(libm::atan2(y.to_f64(), x.to_f64())))
}

/// -1.0, 1.0, or the zero or NaN that it is given.
pub(super) fn signum(x: f64) -> f64 {
    if x == 0.0 || x.is_nan() { x } else { 1.0_f64.copysign(x) }
}

fn is(args: &[Datum], test: fn(&Value) -> bool) -> Answer {
    Ok(Datum::bool(args[0].value().is_some_and(test)))
}

pub(super) fn is_number(args: &[Datum]) -> Answer {
    is(args, |value| Number::of(&value.as_ref()).is_some())
}

pub(super) fn is_integer(args: &[Datum]) -> Answer {
    is(args, |value| matches!(value, Value::Long(_) | Value::Ref(_) | Value::BigInt(_)))
}

pub(super) fn is_int(args: &[Datum]) -> Answer {
    is(args, |value| matches!(value, Value::Long(_) | Value::Ref(_)))
}

pub(super) fn is_double(args: &[Datum]) -> Answer {
    is(args, |value| matches!(value, Value::Double(_)))
}

/// Double or float.
pub(super) fn is_float(args: &[Datum]) -> Answer {
    is(args, |value| matches!(value, Value::Double(_) | Value::Float(_)))
}

pub(super) fn is_rational(args: &[Datum]) -> Answer {
    is(args, |value| {
        let number = Number::of(&value.as_ref());
        number.is_some_and(|number| !matches!(number, Number::Double(_)))
    })
}

fn is_long(args: &[Datum], test: fn(i64) -> bool) -> Answer {
    let long = match &args[0] {
        Datum::Value(value @ (Value::Long(_) | Value::Ref(_))) => value.as_ref().as_integer(),
        _ => None,
    };
    Ok(Datum::bool(long.is_some_and(test)))
}

pub(super) fn is_natural(args: &[Datum]) -> Answer {
    is_long(args, |x| x >= 0)
}

pub(super) fn is_positive_int(args: &[Datum]) -> Answer {
    is_long(args, |x| x > 0)
}

pub(super) fn is_negative_int(args: &[Datum]) -> Answer {
    is_long(args, |x| x < 0)
}

pub(super) fn is_infinite(args: &[Datum]) -> Answer {
    Ok(Datum::bool(Number::from_datum(&args[0])?.to_f64().is_infinite()))
}

pub(super) fn is_not_a_number(args: &[Datum]) -> Answer {
    Ok(Datum::bool(is_nan(&Number::from_datum(&args[0])?)))
}

pub(super) fn is_decimal(args: &[Datum]) -> Answer {
    is(args, |value| matches!(value, Value::BigDec(_)))
}
