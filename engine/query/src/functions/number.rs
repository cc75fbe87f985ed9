//! Arithmetic on numbers of any two types.
//!
//! Widening: a double (or float) makes the result a double, else a bigdec a bigdec, else a bigint a bigint; longs stay
//! longs and overflow is an error. Division of integers is integer division; by zero it is an error even for doubles.

use std::sync::Arc;

use annals_db::{Value, ValueRef};
use annals_edn::{Code, Error};
use bigdecimal::num_bigint::BigInt;
use bigdecimal::{BigDecimal, FromPrimitive, ToPrimitive, Zero};

use super::Arithmetic;
use crate::datum::Datum;

/// A number, for calculating.
#[derive(Clone, Debug)]
pub enum Number {
    /// a long or an entity id
    Long(i64),
    /// a bigint
    BigInt(BigInt),
    /// a bigdec
    BigDec(BigDecimal),
    /// a double or a float
    Double(f64),
}

impl Number {
    /// `value` as a number, if it is one.
    #[must_use]
    pub fn of(value: &ValueRef<'_>) -> Option<Number> {
        Some(match value {
            ValueRef::Long(x) => Number::Long(*x),
            ValueRef::Ref(e) => Number::Long(e.as_long()),
            ValueRef::BigInt(x) => Number::BigInt(BigInt::clone(x)),
            ValueRef::BigDec(x) => Number::BigDec(BigDecimal::clone(x)),
            ValueRef::Double(x) => Number::Double(*x),
            ValueRef::Float(x) => Number::Double(f64::from(*x)),
            _ => return None,
        })
    }

    /// `datum` as a number.
    ///
    /// # Errors
    /// `FUNCTION_FAILED` when it is none.
    pub fn from_datum(datum: &Datum) -> Result<Number, Error> {
        let value = datum.value().map(Value::as_ref);
        value.as_ref().and_then(Number::of).ok_or_else(|| not_a_number(datum))
    }

    /// Its value.
    #[must_use]
    pub fn into_value(self) -> Value {
        match self {
            Number::Long(x) => Value::Long(x),
            Number::BigInt(x) => Value::BigInt(Arc::new(x)),
            Number::BigDec(x) => Value::BigDec(Arc::new(x)),
            Number::Double(x) => Value::Double(x),
        }
    }

    /// The nearest double.
    #[must_use]
    pub fn to_f64(&self) -> f64 {
        match self {
            Number::Long(x) => *x as f64,
            Number::BigInt(x) => x.to_f64().unwrap_or(f64::NAN),
            Number::BigDec(x) => x.to_f64().unwrap_or(f64::NAN),
            Number::Double(x) => *x,
        }
    }

    fn to_decimal(&self) -> BigDecimal {
        match self {
            Number::Long(x) => BigDecimal::from(*x),
            Number::BigInt(x) => BigDecimal::from(x.clone()),
            Number::BigDec(x) => x.clone(),
            Number::Double(x) => BigDecimal::from_f64(*x).unwrap_or_else(BigDecimal::zero),
        }
    }

    fn to_bigint(&self) -> BigInt {
        match self {
            Number::Long(x) => BigInt::from(*x),
            Number::BigInt(x) => x.clone(),
            Number::BigDec(x) => x.with_scale(0).into_bigint_and_exponent().0,
            Number::Double(x) => BigInt::from_f64(*x).unwrap_or_else(BigInt::zero),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Number::Long(_) => 0,
            Number::BigInt(_) => 1,
            Number::BigDec(_) => 2,
            Number::Double(_) => 3,
        }
    }

    /// True for 0 of any type.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        match self {
            Number::Long(x) => *x == 0,
            Number::BigInt(x) => x.is_zero(),
            Number::BigDec(x) => x.is_zero(),
            Number::Double(x) => *x == 0.0,
        }
    }
}

/// `FUNCTION_FAILED`: a number was wanted.
#[must_use]
pub fn not_a_number(datum: &Datum) -> Error {
    Error::new(Code::FunctionFailed, format!("{} is not a number", crate::datum::show(datum)))
}

/// `INTEGER_OVERFLOW`.
#[must_use]
pub fn overflow() -> Error {
    Error::new(Code::IntegerOverflow, "the result is beyond 64 bits").hint("use bigints: 1N")
}

/// `DIVISION_BY_ZERO`.
#[must_use]
pub fn zero_divisor() -> Error {
    Error::new(Code::DivisionByZero, "division by zero")
}

/// One of the four operations.
///
/// # Errors
/// `INTEGER_OVERFLOW`, `DIVISION_BY_ZERO`, `FUNCTION_FAILED` for a decimal quotient without end.
pub fn calculate(operation: Arithmetic, x: &Number, y: &Number) -> Result<Number, Error> {
    match x.rank().max(y.rank()) {
        0 => long(operation, x, y),
        1 => bigint(operation, &x.to_bigint(), &y.to_bigint()),
        2 => decimal(operation, &x.to_decimal(), &y.to_decimal()),
        _ => double(operation, x.to_f64(), y.to_f64()).map(Number::Double),
    }
}

fn long(operation: Arithmetic, x: &Number, y: &Number) -> Result<Number, Error> {
    let (Number::Long(x), Number::Long(y)) = (x, y) else { unreachable!("both are of rank 0") };
    long_op(operation, *x, *y).map(Number::Long)
}

/// One of the four operations on longs.
///
/// # Errors
/// `INTEGER_OVERFLOW`, `DIVISION_BY_ZERO`.
pub fn long_op(operation: Arithmetic, x: i64, y: i64) -> Result<i64, Error> {
    let result = match operation {
        Arithmetic::Add => x.checked_add(y),
        Arithmetic::Subtract => x.checked_sub(y),
        Arithmetic::Multiply => x.checked_mul(y),
        Arithmetic::Divide if y == 0 => return Err(zero_divisor()),
        Arithmetic::Divide => x.checked_div(y),
    };
    result.ok_or_else(overflow)
}

/// One of the four operations on doubles.
///
/// # Errors
/// `DIVISION_BY_ZERO`.
pub fn double(operation: Arithmetic, x: f64, y: f64) -> Result<f64, Error> {
    Ok(match operation {
        Arithmetic::Add => x + y,
        Arithmetic::Subtract => x - y,
        Arithmetic::Multiply => x * y,
        Arithmetic::Divide if y == 0.0 => return Err(zero_divisor()),
        Arithmetic::Divide => x / y,
    })
}

fn bigint(operation: Arithmetic, x: &BigInt, y: &BigInt) -> Result<Number, Error> {
    Ok(Number::BigInt(match operation {
        Arithmetic::Add => x + y,
        Arithmetic::Subtract => x - y,
        Arithmetic::Multiply => x * y,
        Arithmetic::Divide if y.is_zero() => return Err(zero_divisor()),
        Arithmetic::Divide => x / y,
    }))
}

fn decimal(operation: Arithmetic, x: &BigDecimal, y: &BigDecimal) -> Result<Number, Error> {
    Ok(Number::BigDec(match operation {
        Arithmetic::Add => x + y,
        Arithmetic::Subtract => x - y,
        Arithmetic::Multiply => x * y,
        Arithmetic::Divide if y.is_zero() => return Err(zero_divisor()),
        Arithmetic::Divide => exact_quotient(x, y)?,
    }))
}

fn exact_quotient(x: &BigDecimal, y: &BigDecimal) -> Result<BigDecimal, Error> {
    let quotient = x / y;
    match &quotient * y == *x {
        true => Ok(quotient),
        false => Err(Error::new(Code::FunctionFailed, "the decimal quotient has no end")
            .hint("divide doubles: (/ (double ?x) ?y)")),
    }
}

/// `quot`, `rem`, `mod`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whole {
    /// towards zero
    Quot,
    /// what quot leaves
    Rem,
    /// with the divisor's sign
    Mod,
}

/// Integer division and its remainders, on numbers of any types.
pub(super) fn whole(operation: Whole, x: &Number, y: &Number) -> Result<Number, Error> {
    if y.is_zero() {
        return Err(zero_divisor());
    }
    Ok(match x.rank().max(y.rank()) {
        0 | 1 => {
            let (left, right) = (x.to_bigint(), y.to_bigint());
            let result = whole_bigint(operation, &left, &right);
            match x.rank().max(y.rank()) {
                0 => Number::Long(result.to_i64().ok_or_else(overflow)?),
                _ => Number::BigInt(result),
            }
        }
        2 => {
            let (left, right) = (x.to_decimal(), y.to_decimal());
            let quot = BigDecimal::from((&left / &right).with_scale(0).into_bigint_and_exponent().0);
            let rem = &left - &quot * &right;
            Number::BigDec(match operation {
                Whole::Quot => quot,
                Whole::Mod if !rem.is_zero() && (rem.sign() != right.sign()) => rem + right,
                Whole::Rem | Whole::Mod => rem,
            })
        }
        _ => Number::Double(whole_double(operation, x.to_f64(), y.to_f64())),
    })
}

fn whole_bigint(operation: Whole, x: &BigInt, y: &BigInt) -> BigInt {
    let rem = x % y;
    match operation {
        Whole::Quot => x / y,
        Whole::Mod if !rem.is_zero() && (rem.sign() != y.sign()) => rem + y,
        Whole::Rem | Whole::Mod => rem,
    }
}

fn whole_double(operation: Whole, x: f64, y: f64) -> f64 {
    let rem = x % y;
    match operation {
        Whole::Quot => (x / y).trunc(),
        Whole::Mod if rem != 0.0 && (rem < 0.0) != (y < 0.0) => rem + y,
        Whole::Rem | Whole::Mod => rem,
    }
}

/// All arguments by one operation: sum, difference (or negation), product, quotient.
///
/// # Errors
/// As [`calculate`], and `FUNCTION_FAILED` for what is no number.
pub fn fold(operation: Arithmetic, args: &[Datum]) -> Result<Datum, Error> {
    let start = Number::Long(i64::from(operation == Arithmetic::Multiply));
    let numbers = args.iter().map(Number::from_datum).collect::<Result<Vec<_>, _>>()?;
    let result = match (operation, numbers.as_slice()) {
        (_, []) => start,
        (Arithmetic::Subtract, [Number::Double(x)]) => Number::Double(-x),
        (Arithmetic::Subtract, [one]) => calculate(operation, &start, one)?,
        (_, [first, rest @ ..]) => {
            rest.iter().try_fold(first.clone(), |sum, number| calculate(operation, &sum, number))?
        }
    };
    Ok(Datum::Value(result.into_value()))
}
