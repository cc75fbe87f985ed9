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
        if compare_numbers(&number, &best.0) == wanted {
            best = (number, datum);
        }
    }
    Ok(best.1.clone())
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

fn integer(function: &str, datum: &Datum) -> Result<i64, Error> {
    let value = datum.value().and_then(|value| value.as_ref().as_integer());
    value.ok_or_else(|| wrong(function, "longs", datum))
}

fn fold_bits(function: &str, args: &[Datum], join: fn(i64, i64) -> i64) -> Answer {
    let mut bits = integer(function, &args[0])?;
    for datum in &args[1..] {
        bits = join(bits, integer(function, datum)?);
    }
    Ok(Datum::long(bits))
}

pub(super) fn bit_and(args: &[Datum]) -> Answer {
    fold_bits("bit-and", args, |x, y| x & y)
}

pub(super) fn bit_or(args: &[Datum]) -> Answer {
    fold_bits("bit-or", args, |x, y| x | y)
}

pub(super) fn bit_xor(args: &[Datum]) -> Answer {
    fold_bits("bit-xor", args, |x, y| x ^ y)
}

pub(super) fn bit_shift_left(args: &[Datum]) -> Answer {
    fold_bits("bit-shift-left", args, |x, y| x.wrapping_shl(y as u32))
}

pub(super) fn bit_shift_right(args: &[Datum]) -> Answer {
    fold_bits("bit-shift-right", args, |x, y| x.wrapping_shr(y as u32))
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
    answer(Number::Double(x.to_f64().powf(y.to_f64())))
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

pub(super) fn is_decimal(args: &[Datum]) -> Answer {
    is(args, |value| matches!(value, Value::BigDec(_)))
}
