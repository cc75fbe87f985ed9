//! Bit-packed integers: a frame of reference per mini-block of 128, with a directory, so that reading number `i` is one
//! directory entry and one unaligned load.
//!
//! ```text
//! 1  form: 0 one value for all rows, 1 mini-blocks
//! form 0: 8  the value
//! form 1: 4  bytes of the bits
//!        12  for each mini-block: base i64, then u32 = offset of its bits << 8 | width
//!            the bits, each mini-block from a byte boundary, number k at bit k * width
//! ```
//! A number is base + its bits, wrapping. Widths are 0–56 and 64, so that eight bytes always hold one number; a payload
//! ends with eight zero bytes, so that loading them never leaves it.

use super::bytes::{Reader, damaged};
use crate::Result;

/// Numbers a mini-block holds.
pub(crate) const BLOCK: usize = 128;
/// Zero bytes at the end of every payload that holds packed numbers.
pub(crate) const PADDING: usize = 8;
const MAX_WIDTH: u32 = 56;

/// A column of integers; its bits stay in the payload.
#[derive(Debug)]
pub(crate) struct Packed {
    len: usize,
    form: Form,
}

#[derive(Debug)]
enum Form {
    Constant(i64),
    Blocks(Box<[Block]>),
}

/// One mini-block: `at` is the offset of its bits in the payload.
#[derive(Clone, Copy, Debug)]
struct Block {
    base: i64,
    at: u32,
    width: u32,
}

impl Block {
    fn mask(self) -> u64 {
        u64::MAX.checked_shr(64 - self.width).unwrap_or(0)
    }

    #[inline]
    fn get(self, mask: u64, payload: &[u8], k: usize) -> i64 {
        let bit = k * self.width as usize;
        let byte = self.at as usize + bit / 8;
        let word: [u8; 8] = payload[byte..byte + 8].try_into().expect("a slice of eight bytes");
        let bits = u64::from_le_bytes(word) >> (bit % 8) & mask;
        self.base.wrapping_add(bits as i64)
    }
}

impl Packed {
    /// Number `i`. O(1); panics past the end like a slice.
    #[inline]
    pub(crate) fn get(&self, payload: &[u8], i: usize) -> i64 {
        debug_assert!(i < self.len);
        match &self.form {
            Form::Constant(value) => *value,
            Form::Blocks(blocks) => {
                let block = blocks[i / BLOCK];
                block.get(block.mask(), payload, i % BLOCK)
            }
        }
    }

    /// Calls `sink` with the numbers of `rows`, in order. About 1 ns each.
    #[inline]
    pub(crate) fn each(&self, payload: &[u8], rows: std::ops::Range<usize>, mut sink: impl FnMut(i64)) {
        match &self.form {
            Form::Constant(value) => rows.for_each(|_| sink(*value)),
            Form::Blocks(blocks) => {
                let mut i = rows.start;
                while i < rows.end {
                    let block = blocks[i / BLOCK];
                    let (mask, end) = (block.mask(), rows.end.min((i / BLOCK + 1) * BLOCK));
                    (i..end).for_each(|i| sink(block.get(mask, payload, i % BLOCK)));
                    i = end;
                }
            }
        }
    }

    /// The first row of `rows` whose number is not `before`, by binary search. `before` must hold for a prefix.
    pub(crate) fn partition(
        &self,
        payload: &[u8],
        rows: std::ops::Range<usize>,
        mut before: impl FnMut(i64) -> bool,
    ) -> usize {
        let (mut low, mut high) = (rows.start, rows.end);
        while low < high {
            let middle = (low + high) / 2;
            if before(self.get(payload, middle)) { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        match &self.form {
            Form::Constant(_) => 0,
            Form::Blocks(blocks) => blocks.len() * size_of::<Block>(),
        }
    }

    /// Reads a column of `len` numbers. `reader` runs over the whole payload, padding included.
    pub(crate) fn read(reader: &mut Reader<'_>, len: usize) -> Result<Packed> {
        let form = match reader.u8()? {
            0 => Form::Constant(reader.i64()?),
            1 => Form::Blocks(read_blocks(reader, len)?),
            _ => return Err(damaged("a column has no known form")),
        };
        Ok(Packed { len, form })
    }
}

fn read_blocks(reader: &mut Reader<'_>, len: usize) -> Result<Box<[Block]>> {
    let bits_len = reader.u32()? as usize;
    let count = len.div_ceil(BLOCK);
    if count.saturating_mul(12) > reader.left() {
        return Err(damaged("a column's directory is cut short"));
    }
    let start = reader.position() + count * 12;
    let mut blocks = Vec::with_capacity(count);
    for k in 0..count {
        let (base, packed) = (reader.i64()?, reader.u32()?);
        let (at, width) = ((packed >> 8) as usize, packed & 0xff);
        let rows = BLOCK.min(len - k * BLOCK);
        if (width > MAX_WIDTH && width != 64) || at + (rows * width as usize).div_ceil(8) > bits_len {
            return Err(damaged("a mini-block lies outside its column"));
        }
        blocks.push(Block { base, at: (start + at) as u32, width });
    }
    reader.take(bits_len)?;
    if reader.left() < PADDING {
        return Err(damaged("its padding is missing"));
    }
    Ok(blocks.into())
}

/// Writes what [`Packed::read`] reads.
pub(crate) fn put_packed(out: &mut Vec<u8>, numbers: &[i64]) {
    let first = numbers.first().copied().unwrap_or(0);
    if numbers.iter().all(|&number| number == first) {
        out.push(0);
        out.extend_from_slice(&first.to_le_bytes());
        return;
    }
    let (mut directory, mut bits) = (Vec::new(), Vec::new());
    for block in numbers.chunks(BLOCK) {
        let base = block.iter().copied().min().expect("a chunk is never empty");
        let spread = block.iter().map(|&number| number.wrapping_sub(base) as u64).max().unwrap_or(0);
        let width = match 64 - spread.leading_zeros() {
            width if width > MAX_WIDTH => 64,
            width => width,
        };
        directory.extend_from_slice(&base.to_le_bytes());
        directory.extend_from_slice(&((bits.len() as u32) << 8 | width).to_le_bytes());
        put_bits(&mut bits, block, base, width);
    }
    out.push(1);
    out.extend_from_slice(&(bits.len() as u32).to_le_bytes());
    out.extend_from_slice(&directory);
    out.extend_from_slice(&bits);
}

fn put_bits(out: &mut Vec<u8>, block: &[i64], base: i64, width: u32) {
    let (mut held, mut filled) = (0_u128, 0);
    for &number in block {
        held |= u128::from(number.wrapping_sub(base) as u64) << filled;
        filled += width;
        while filled >= 8 {
            out.push(held as u8);
            held >>= 8;
            filled -= 8;
        }
    }
    if filled > 0 {
        out.push(held as u8);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packed(numbers: &[i64]) -> (Vec<u8>, Packed) {
        let mut out = Vec::new();
        put_packed(&mut out, numbers);
        out.extend_from_slice(&[0; PADDING]);
        let packed = Packed::read(&mut Reader::new(&out), numbers.len()).unwrap();
        (out, packed)
    }

    proptest! {
        #[test]
        fn numbers_come_back(shift in 0_u32..64, seeds in prop::collection::vec(any::<i64>(), 0..500)) {
            let numbers: Vec<i64> = seeds.iter().map(|seed| seed >> shift).collect();
            let (payload, column) = packed(&numbers);
            for (i, number) in numbers.iter().enumerate() {
                prop_assert_eq!(column.get(&payload, i), *number);
            }
            let middle = numbers.len() / 3..numbers.len();
            let mut read = Vec::new();
            column.each(&payload, middle.clone(), |number| read.push(number));
            prop_assert_eq!(&read, &numbers[middle]);
        }

        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), len in 0_usize..300) {
            let mut bytes = bytes;
            if let Some(form) = bytes.first_mut() { *form &= 1; }
            if let Ok(column) = Packed::read(&mut Reader::new(&bytes), len) {
                (0..len).for_each(|i| { column.get(&bytes, i); });
            }
        }
    }

    #[test]
    fn search_finds_the_border() {
        let numbers: Vec<i64> = (0..1000).map(|i| i / 3).collect();
        let (payload, column) = packed(&numbers);
        assert_eq!(column.partition(&payload, 0..1000, |x| x < 100), 300);
    }
}
