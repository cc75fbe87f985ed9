//! Number literals.

use std::sync::Arc;

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;

use crate::{Code, Error, Node};

/// Digits of the longest number literal, and the largest exponent of a bigdec either way: what a number of this kind
/// costs to read, compare and print grows with the square of it.
pub const DIGITS_LIMIT: usize = 10_000;

/// The number that `token` spells: a long, a bigint (`N`, or beyond 64 bits), a double or a bigdec (`M`).
///
/// # Errors
/// `EDN_INVALID_NUMBER`, or `VALUE_OUT_OF_RANGE` for a double beyond the largest and for numbers past [`DIGITS_LIMIT`].
pub fn parse(token: &str) -> Result<Node, Error> {
    let parts = Parts::of(token).ok_or_else(|| invalid(token))?;
    if token.len() > DIGITS_LIMIT {
        return Err(Error::new(
            Code::ValueOutOfRange,
            format!("the number has more than {DIGITS_LIMIT} digits"),
        )
        .with("limit", DIGITS_LIMIT));
    }
    match parts.suffix {
        Suffix::Decimal => decimal(token, &parts),
        Suffix::None if parts.is_real() => double(token),
        _ => integer(token, &parts),
    }
}

#[derive(PartialEq)]
enum Suffix {
    None,
    Big,
    Decimal,
}

/// `sign whole [. fraction] [e exponent] [N|M]`
struct Parts<'a> {
    sign: &'a str,
    whole: &'a str,
    fraction: Option<&'a str>,
    exponent: Option<&'a str>,
    suffix: Suffix,
}

impl<'a> Parts<'a> {
    fn of(token: &'a str) -> Option<Self> {
        let (sign, rest) = token.split_at(usize::from(token.starts_with(['+', '-'])));
        let (whole, rest) = digits(rest);
        let (fraction, rest) = match rest.strip_prefix('.') {
            Some(rest) => (Some(digits(rest).0), digits(rest).1),
            None => (None, rest),
        };
        let (exponent, rest) = exponent(rest)?;
        let suffix = match rest {
            "" => Suffix::None,
            "N" => Suffix::Big,
            "M" => Suffix::Decimal,
            _ => return None,
        };
        let parts = Parts { sign, whole, fraction, exponent, suffix };
        parts.is_well_formed().then_some(parts)
    }

    fn is_real(&self) -> bool {
        self.fraction.is_some() || self.exponent.is_some()
    }

    fn is_well_formed(&self) -> bool {
        let leading_zero = self.whole.len() > 1 && self.whole.starts_with('0');
        let whole_ok = !self.whole.is_empty() && (self.is_real() || !leading_zero);
        whole_ok && !(self.suffix == Suffix::Big && self.is_real())
    }
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len()))
}

/// The exponent with its sign, and the rest; nothing when `e` is followed by no digits.
fn exponent(text: &str) -> Option<(Option<&str>, &str)> {
    let Some(rest) = text.strip_prefix(['e', 'E']) else { return Some((None, text)) };
    let sign = usize::from(rest.starts_with(['+', '-']));
    let (found, _) = digits(&rest[sign..]);
    let (exponent, rest) = rest.split_at(sign + found.len());
    (!found.is_empty()).then_some((Some(exponent), rest))
}

fn integer(token: &str, parts: &Parts<'_>) -> Result<Node, Error> {
    let text = token.trim_end_matches('N');
    match text.parse::<i64>() {
        Ok(long) if parts.suffix == Suffix::None => Ok(Node::Long(long)),
        _ => Ok(Node::BigInt(Arc::new(big(text)))),
    }
}

fn big(text: &str) -> BigInt {
    text.parse().expect("the digits were checked")
}

fn double(token: &str) -> Result<Node, Error> {
    match token.parse::<f64>() {
        Ok(double) if double.is_finite() => Ok(Node::Double(double)),
        Ok(_) => {
            Err(Error::new(Code::ValueOutOfRange, format!("{} is beyond the largest double", shown(token)))
                .hint("write ##Inf or ##-Inf for infinity, or M after it for a bigdec"))
        }
        Err(_) => Err(invalid(token)),
    }
}

fn decimal(token: &str, parts: &Parts<'_>) -> Result<Node, Error> {
    let limit = i64::try_from(DIGITS_LIMIT).expect("a small constant");
    let fraction = parts.fraction.unwrap_or("");
    let exponent = parts.exponent.map_or(Ok(0), str::parse::<i64>);
    let Some(exponent) = exponent.ok().filter(|exponent| (-limit..=limit).contains(exponent)) else {
        return Err(Error::new(
            Code::ValueOutOfRange,
            format!("the exponent of {} is beyond {limit}", shown(token)),
        )
        .with("limit", limit));
    };
    let unscaled = big(&format!("{}{}{fraction}", parts.sign, parts.whole));
    let scale = i64::try_from(fraction.len()).expect("a token is short") - exponent;
    Ok(Node::BigDec(Arc::new(BigDecimal::new(unscaled, scale))))
}

fn shown(token: &str) -> String {
    token.chars().take(40).collect()
}

fn invalid(token: &str) -> Error {
    let error = Error::new(Code::EdnInvalidNumber, format!("`{}` is not a number", shown(token)));
    if token.contains('/') {
        return error.hint("EDN has no ratios; write a double or a bigdec");
    }
    if token.trim_start_matches(['+', '-']).starts_with('0') {
        return error.hint("integers have no leading zero; octal and hexadecimal are not EDN");
    }
    error
}
