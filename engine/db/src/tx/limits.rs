//! How much a transaction may be, and each of its values. Every refusal says the limit and the size seen.

use annals_edn::{Code, Error};

use crate::Result;
use crate::identify::{MAX_DECIMAL_DIGITS, MAX_INTEGER_BITS};
use crate::value::Value;

/// The most a transaction may be, on the expanded form, and the most a value of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// assertions and retractions
    pub datoms: usize,
    /// encoded bytes
    pub bytes: usize,
    /// bytes of a string, uri, keyword or symbol, in UTF-8
    pub string_bytes: usize,
    /// bytes of a value of type bytes
    pub blob_bytes: usize,
    /// maps and calls within one another
    pub nesting: usize,
    /// units of work that functions may do: rows that their queries read or make, parts of forms that they answer
    pub fuel: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            datoms: 200_000,
            bytes: 4 << 20,
            string_bytes: 1 << 20,
            blob_bytes: 1 << 20,
            nesting: 128,
            fuel: 1_000_000,
        }
    }
}

impl Limits {
    /// # Errors
    /// `TX_TOO_LARGE` for an expansion of so many `datoms` and `bytes`.
    pub(super) fn check_size(&self, datoms: usize, bytes: usize) -> Result<()> {
        let over = if datoms > self.datoms {
            ("datoms", datoms, self.datoms)
        } else if bytes > self.bytes {
            ("bytes", bytes, self.bytes)
        } else {
            return Ok(());
        };
        Err(too_large("the transaction has", "and may have", over).hint("split it into several transactions"))
    }

    /// # Errors
    /// `TX_TOO_LARGE` for maps and calls so many levels deep.
    pub(super) fn check_nesting(&self, levels: usize) -> Result<()> {
        if levels <= self.nesting {
            return Ok(());
        }
        let over = ("levels", levels, self.nesting);
        Err(too_large("maps and calls nest through", "and may through", over).hint("flatten the form"))
    }

    /// # Errors
    /// `VALUE_OUT_OF_RANGE` for a value, or a slot of one, that is larger than values may be.
    pub(super) fn check_value(&self, value: &Value) -> Result<()> {
        let (what, unit, seen, limit) = match value {
            Value::String(text) | Value::Uri(text) => {
                ("a text", "bytes", text.len() as u64, self.string_bytes as u64)
            }
            Value::Keyword(name) => {
                ("a keyword", "bytes", name.as_str().len() as u64, self.string_bytes as u64)
            }
            Value::Symbol(name) => {
                ("a symbol", "bytes", name.as_str().len() as u64, self.string_bytes as u64)
            }
            Value::Bytes(bytes) => ("a value", "bytes", bytes.len() as u64, self.blob_bytes as u64),
            Value::BigInt(n) => ("a bigint", "bits", n.bits(), MAX_INTEGER_BITS),
            Value::BigDec(x) => {
                let digits = x.digits().max(x.fractional_digit_count().unsigned_abs());
                ("a bigdec", "digits", digits, MAX_DECIMAL_DIGITS)
            }
            Value::Tuple(slots) => return slots.iter().flatten().try_for_each(|slot| self.check_value(slot)),
            _ => return Ok(()),
        };
        if seen <= limit {
            return Ok(());
        }
        let message = format!("{what} has {seen} {unit}, and may have {limit}");
        Err(Error::new(Code::ValueOutOfRange, message)
            .with("limit", format!("{limit} {unit}"))
            .with("seen", format!("{seen} {unit}")))
    }
}

/// An expansion ends at the limit, so what was seen by then is told, not what there is.
fn too_large(what: &str, may: &str, (unit, seen, limit): (&str, usize, usize)) -> Error {
    Error::new(Code::TransactionTooLarge, format!("{what} {seen} {unit} or more, {may} {limit}"))
        .with("limit", format!("{limit} {unit}"))
        .with("seen", format!("{seen} {unit}"))
}
