//! Scalar functions on the bits of longs. Shifts count modulo 64, as the hardware does.

use annals_edn::Error;

use super::scalar::wrong;
use crate::datum::Datum;

type Answer = Result<Datum, Error>;

fn integer(function: &str, datum: &Datum) -> Result<i64, Error> {
    let value = datum.value().and_then(|value| value.as_ref().as_integer());
    value.ok_or_else(|| wrong(function, "longs", datum))
}

fn fold(function: &str, args: &[Datum], join: fn(i64, i64) -> i64) -> Answer {
    let mut bits = integer(function, &args[0])?;
    for datum in &args[1..] {
        bits = join(bits, integer(function, datum)?);
    }
    Ok(Datum::long(bits))
}

/// The bit of that number.
fn bit(number: i64) -> i64 {
    1_i64.wrapping_shl(number as u32)
}

pub(super) fn and(args: &[Datum]) -> Answer {
    fold("bit-and", args, |x, y| x & y)
}

pub(super) fn or(args: &[Datum]) -> Answer {
    fold("bit-or", args, |x, y| x | y)
}

pub(super) fn xor(args: &[Datum]) -> Answer {
    fold("bit-xor", args, |x, y| x ^ y)
}

pub(super) fn and_not(args: &[Datum]) -> Answer {
    fold("bit-and-not", args, |x, y| x & !y)
}

pub(super) fn not(args: &[Datum]) -> Answer {
    Ok(Datum::long(!integer("bit-not", &args[0])?))
}

pub(super) fn test(args: &[Datum]) -> Answer {
    Ok(Datum::bool(integer("bit-test", &args[0])? & bit(integer("bit-test", &args[1])?) != 0))
}

pub(super) fn set(args: &[Datum]) -> Answer {
    fold("bit-set", args, |x, n| x | bit(n))
}

pub(super) fn clear(args: &[Datum]) -> Answer {
    fold("bit-clear", args, |x, n| x & !bit(n))
}

pub(super) fn flip(args: &[Datum]) -> Answer {
    fold("bit-flip", args, |x, n| x ^ bit(n))
}

pub(super) fn shift_left(args: &[Datum]) -> Answer {
    fold("bit-shift-left", args, |x, y| x.wrapping_shl(y as u32))
}

pub(super) fn shift_right(args: &[Datum]) -> Answer {
    fold("bit-shift-right", args, |x, y| x.wrapping_shr(y as u32))
}

pub(super) fn unsigned_shift_right(args: &[Datum]) -> Answer {
    fold("unsigned-bit-shift-right", args, |x, y| (x as u64).wrapping_shr(y as u32) as i64)
}
