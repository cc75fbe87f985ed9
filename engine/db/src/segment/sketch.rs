//! A sketch of how many different things were seen: HyperLogLog with 256 registers, with a hash of its own, because the
//! bytes must be the same on every node.

use super::bytes::{Reader, damaged, put_value, put_varint};
use crate::Result;
use crate::value::ValueRef;

const REGISTERS: usize = 256;
/// Bias correction for 256 registers.
const ALPHA: f64 = 0.7183;

/// Registers: for each place the greatest rank seen. Empty without any.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sketch {
    ranks: Vec<u8>,
}

impl Sketch {
    pub(crate) fn is_empty(&self) -> bool {
        self.ranks.is_empty()
    }

    pub(crate) fn add(&mut self, hash: u64) {
        if self.ranks.is_empty() {
            self.ranks = vec![0; REGISTERS];
        }
        let place = (hash >> 56) as usize;
        let rank = (hash << 8 | 0x80).leading_zeros() as u8 + 1;
        self.ranks[place] = self.ranks[place].max(rank);
    }

    pub(crate) fn estimate(&self) -> u64 {
        if self.ranks.is_empty() {
            return 0;
        }
        let registers = REGISTERS as f64;
        let sum: f64 = self.ranks.iter().map(|&rank| (-f64::from(rank)).exp2()).sum();
        let raw = ALPHA * registers * registers / sum;
        let zeros = self.ranks.iter().filter(|&&rank| rank == 0).count();
        let small = raw <= 2.5 * registers && zeros > 0;
        (if small { registers * (registers / zeros as f64).ln() } else { raw }).round() as u64
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        let seen = self.ranks.iter().filter(|&&rank| rank > 0).count();
        match seen {
            0 => out.push(0),
            seen if seen * 2 < REGISTERS => {
                out.push(1);
                put_varint(out, seen as u64);
                for (place, &rank) in self.ranks.iter().enumerate().filter(|(_, rank)| **rank > 0) {
                    out.extend_from_slice(&[place as u8, rank]);
                }
            }
            _ => {
                out.push(2);
                out.extend_from_slice(&self.ranks);
            }
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Sketch> {
        let mut ranks = match reader.u8()? {
            0 => return Ok(Sketch::default()),
            1 => vec![0; REGISTERS],
            2 => return Ok(Sketch { ranks: reader.take(REGISTERS)?.to_vec() }),
            _ => return Err(damaged("a sketch has no known form")),
        };
        for _ in 0..reader.count(2)? {
            let [place, rank] = reader.array()?;
            ranks[usize::from(place)] = rank;
        }
        Ok(Sketch { ranks })
    }
}

/// The finaliser of SplitMix64: every input bit reaches every output bit.
pub(crate) fn hash_number(number: u64) -> u64 {
    let mut x = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

fn hash_bytes(bytes: &[u8]) -> u64 {
    let word = |chunk: &[u8]| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    };
    bytes.chunks(8).fold(bytes.len() as u64, |hash, chunk| hash_number(hash ^ word(chunk)))
}

pub(crate) fn hash_value(value: &ValueRef<'_>) -> u64 {
    match value {
        ValueRef::Long(x) | ValueRef::Instant(x) => hash_number(*x as u64),
        ValueRef::Ref(x) => hash_number(x.0),
        ValueRef::Boolean(x) => hash_number(u64::from(*x)),
        ValueRef::Double(x) => hash_number(x.to_bits()),
        ValueRef::Uuid(x) => hash_bytes(&x.to_le_bytes()),
        ValueRef::String(x) | ValueRef::Keyword(x) => hash_bytes(x.as_bytes()),
        other => {
            let mut bytes = Vec::new();
            put_value(&mut bytes, *other);
            hash_bytes(&bytes)
        }
    }
}
