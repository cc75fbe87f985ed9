//! Reading and writing of little-endian fields, varints and values inside a segment. Every read is bounds-checked and
//! every length is compared with what is left before anything is allocated; damage is `DATA_LOSS`, never a panic.

use std::sync::Arc;

use annals_edn::{Code, Error, Keyword, Symbol};
use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;

use crate::Result;
use crate::id::EntityId;
use crate::value::{Value, ValueRef, ValueType};

/// Tuples hold no tuples, so one level below a value is the deepest there is.
const MAX_VALUE_DEPTH: u32 = 2;

/// The error of a segment that does not follow its format.
pub(crate) fn damaged(what: &str) -> Error {
    Error::new(Code::DataLoss, format!("segment is damaged: {what}"))
}

/// A position in the raw bytes of a segment.
pub(crate) struct Reader<'a> {
    buf: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(buf: &'a [u8]) -> Self {
        Reader { buf, at: 0 }
    }

    /// The offset of the next byte from the start of the buffer.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    pub(crate) fn left(&self) -> usize {
        self.buf.len() - self.at
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        if len > self.left() {
            return Err(damaged("it ends too early"));
        }
        let taken = &self.buf[self.at..self.at + len];
        self.at += len;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.take(N)?.try_into().expect("take gives as many bytes as asked for"))
    }

    pub(crate) fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn i64(&mut self) -> Result<i64> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    pub(crate) fn u128(&mut self) -> Result<u128> {
        Ok(u128::from_le_bytes(self.array()?))
    }

    /// Seven bits a byte, the lowest first; at most ten bytes.
    pub(crate) fn varint(&mut self) -> Result<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(damaged("a number is too long"))
    }

    /// A varint of a signed number: 0, -1, 1, -2, …
    pub(crate) fn zigzag(&mut self) -> Result<i64> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// A count of things that take at least `size` bytes each.
    pub(crate) fn count(&mut self, size: usize) -> Result<usize> {
        let count = self.varint()?;
        match usize::try_from(count).ok().and_then(|n| n.checked_mul(size.max(1))) {
            Some(bytes) if bytes <= self.left() => Ok(count as usize),
            _ => Err(damaged("a count exceeds the bytes there are")),
        }
    }

    pub(crate) fn blob(&mut self) -> Result<&'a [u8]> {
        let len = self.count(1)?;
        self.take(len)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str> {
        std::str::from_utf8(self.blob()?).map_err(|_| damaged("a text is not UTF-8"))
    }

    pub(crate) fn value(&mut self) -> Result<Value> {
        self.nested_value(MAX_VALUE_DEPTH)
    }

    fn nested_value(&mut self, depth: u32) -> Result<Value> {
        let ty = ValueType::from_tag(self.u8()?).ok_or_else(|| damaged("a value has no known type"))?;
        Ok(match ty {
            ValueType::Boolean => Value::Boolean(self.u8()? != 0),
            ValueType::Long => Value::Long(self.zigzag()?),
            ValueType::Ref => Value::Ref(EntityId(self.varint()?)),
            ValueType::BigInt => Value::BigInt(Arc::new(self.big_int()?)),
            ValueType::Float => Value::Float(f32::from_le_bytes(self.array()?)),
            ValueType::Double => Value::Double(f64::from_le_bytes(self.array()?)),
            ValueType::BigDec => {
                let scale = self.zigzag()?;
                Value::BigDec(Arc::new(BigDecimal::new(self.big_int()?, scale)))
            }
            ValueType::Instant => Value::Instant(self.zigzag()?),
            ValueType::Uuid => Value::Uuid(self.u128()?),
            ValueType::Keyword => Value::Keyword(Keyword::new(self.text()?)),
            ValueType::Symbol => Value::Symbol(Symbol::new(self.text()?)),
            ValueType::String => Value::String(self.text()?.into()),
            ValueType::Uri => Value::Uri(self.text()?.into()),
            ValueType::Bytes => Value::Bytes(self.blob()?.into()),
            ValueType::Tuple => Value::Tuple(self.slots(depth)?),
        })
    }

    fn big_int(&mut self) -> Result<BigInt> {
        Ok(BigInt::from_signed_bytes_le(self.blob()?))
    }

    fn slots(&mut self, depth: u32) -> Result<Arc<[Option<Value>]>> {
        let deeper = depth.checked_sub(1).ok_or_else(|| damaged("tuples are nested too deep"))?;
        let count = self.count(1)?;
        let mut slots = Vec::with_capacity(count.min(64));
        for _ in 0..count {
            let nil = self.buf.get(self.at) == Some(&0);
            slots.push(if nil { self.u8().map(|_| None)? } else { Some(self.nested_value(deeper)?) });
        }
        Ok(slots.into())
    }
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn put_zigzag(out: &mut Vec<u8>, value: i64) {
    put_varint(out, ((value << 1) ^ (value >> 63)) as u64);
}

pub(crate) fn put_blob(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Type tag, then the value: integers as zigzag varints, refs as varints, fixed width little-endian, text and bytes
/// with their length, decimals as scale and digits, tuples slot by slot with a zero byte for nil.
pub(crate) fn put_value(out: &mut Vec<u8>, value: ValueRef<'_>) {
    out.push(value.value_type() as u8);
    match value {
        ValueRef::Boolean(x) => out.push(u8::from(x)),
        ValueRef::Long(x) | ValueRef::Instant(x) => put_zigzag(out, x),
        ValueRef::Ref(x) => put_varint(out, x.0),
        ValueRef::BigInt(x) => put_blob(out, &x.to_signed_bytes_le()),
        ValueRef::Float(x) => out.extend_from_slice(&x.to_le_bytes()),
        ValueRef::Double(x) => out.extend_from_slice(&x.to_le_bytes()),
        ValueRef::BigDec(x) => {
            let (digits, scale) = x.as_bigint_and_exponent();
            put_zigzag(out, scale);
            put_blob(out, &digits.to_signed_bytes_le());
        }
        ValueRef::Uuid(x) => out.extend_from_slice(&x.to_le_bytes()),
        ValueRef::Keyword(x) | ValueRef::Symbol(x) | ValueRef::String(x) | ValueRef::Uri(x) => {
            put_blob(out, x.as_bytes());
        }
        ValueRef::Bytes(x) => put_blob(out, x),
        ValueRef::Tuple(slots) => {
            put_varint(out, slots.len() as u64);
            for slot in slots {
                match slot {
                    Some(value) => put_value(out, value.as_ref()),
                    None => out.push(0),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for value in [0, 1, 127, 128, 1 << 42, u64::MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(Reader::new(&out).varint().unwrap(), value);
        }
        for value in [0, -1, 1, i64::MIN, i64::MAX] {
            let mut out = Vec::new();
            put_zigzag(&mut out, value);
            assert_eq!(Reader::new(&out).zigzag().unwrap(), value);
        }
    }

    #[test]
    fn a_count_beyond_the_bytes_is_refused_before_allocation() {
        let mut out = Vec::new();
        put_varint(&mut out, u64::MAX);
        assert_eq!(Reader::new(&out).blob().unwrap_err().code(), Code::DataLoss);
    }

    #[test]
    fn deep_tuples_are_refused() {
        let bytes = [15, 1].repeat(10_000);
        assert_eq!(Reader::new(&bytes).value().unwrap_err().code(), Code::DataLoss);
    }
}
