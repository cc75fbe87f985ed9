//! A sum of doubles, of longs and of their squares without any rounding until it is asked for.
//!
//! The sum is a signed number in 32-bit limbs from 2^-2148 (the square of the least double) to beyond 2^2048 (that of
//! the greatest), 1.1 KB. Limbs are 64 bits wide, so 2^30 additions need no carrying. An addition touches at most
//! five limbs.

use bigdecimal::num_bigint::{BigInt, Sign};
use bigdecimal::{Signed, ToPrimitive, Zero};

/// 2 to this power is what the lowest bit stands for.
const LOWEST: i64 = -2148;

/// (2148 + 2048 + 64) bits, and room for carries.
const LIMBS: usize = 136;

/// After so many additions limbs are carried.
const MAX_UNCARRIED: u32 = 1 << 30;

/// The exact sum.
pub(super) struct Exact {
    limbs: [i64; LIMBS],
    uncarried: u32,
    /// what NaN and the infinities added up to, if there were any
    special: Option<f64>,
}

impl Default for Exact {
    fn default() -> Self {
        Exact { limbs: [0; LIMBS], uncarried: 0, special: None }
    }
}

impl Exact {
    /// Adds a double.
    pub(super) fn add(&mut self, x: f64) {
        match parts(x) {
            Some((negative, mantissa, exponent)) => self.add_parts(negative, u128::from(mantissa), exponent),
            None => self.special = Some(self.special.unwrap_or(0.0) + x),
        }
    }

    /// Adds the square of a double.
    pub(super) fn add_square(&mut self, x: f64) {
        match parts(x) {
            Some((_, mantissa, exponent)) => {
                self.add_parts(false, u128::from(mantissa) * u128::from(mantissa), 2 * exponent);
            }
            None => self.special = Some(self.special.unwrap_or(0.0) + x * x),
        }
    }

    /// Adds a long.
    pub(super) fn add_integer(&mut self, x: i64) {
        self.add_parts(x < 0, u128::from(x.unsigned_abs()), 0);
    }

    /// Adds the square of a long.
    pub(super) fn add_square_of_integer(&mut self, x: i64) {
        let magnitude = u128::from(x.unsigned_abs());
        self.add_parts(false, magnitude * magnitude, 0);
    }

    fn add_parts(&mut self, negative: bool, mantissa: u128, exponent: i64) {
        let position = (exponent - LOWEST) as usize;
        let (mut at, shift) = (position / 32, position % 32);
        let mut add = |chunk: u64, at: usize| {
            let chunk = chunk as i64;
            self.limbs[at] += if negative { -chunk } else { chunk };
        };
        // The lowest chunk is shifted into place, the rest follows 32 bits a limb.
        add(((mantissa << shift) & 0xffff_ffff) as u64, at);
        let mut rest = mantissa >> (32 - shift);
        while rest != 0 {
            at += 1;
            add((rest & 0xffff_ffff) as u64, at);
            rest >>= 32;
        }
        self.uncarried += 1;
        if self.uncarried == MAX_UNCARRIED {
            self.carry();
        }
    }

    fn carry(&mut self) {
        let mut carry = 0;
        for limb in &mut self.limbs[..LIMBS - 1] {
            let value = *limb + carry;
            carry = value >> 32;
            *limb = value & 0xffff_ffff;
        }
        self.limbs[LIMBS - 1] += carry;
        self.uncarried = 0;
    }

    /// The sum in units of 2^-2148.
    fn to_bigint(&self) -> BigInt {
        let mut sum = BigInt::zero();
        let highest = self.limbs.iter().rposition(|limb| *limb != 0).map_or(0, |at| at + 1);
        for limb in self.limbs[..highest].iter().rev() {
            sum = (sum << 32) + limb;
        }
        sum
    }

    /// (the sum and `integers`) / `count`, rounded once.
    pub(super) fn mean_with(&self, integers: &BigInt, count: u64) -> f64 {
        if let Some(special) = self.special {
            return special;
        }
        let sum = self.to_bigint() + (integers << LOWEST.unsigned_abs());
        ratio(&sum, &BigInt::from(count), LOWEST)
    }
}

/// The variance of `count` numbers from their sum and the sum of their squares: (n Σx² - (Σx)²) / n².
pub(super) fn variance(sum: &Exact, squares: &Exact, count: u64) -> f64 {
    if sum.special.is_some() || squares.special.is_some() {
        return f64::NAN;
    }
    let (sum, squares, count) = (sum.to_bigint(), squares.to_bigint(), BigInt::from(count));
    let numerator = ((squares * &count) << LOWEST.unsigned_abs()) - &sum * &sum;
    ratio(&numerator, &(&count * &count), 2 * LOWEST)
}

/// Sign, mantissa and exponent of a finite double: mantissa * 2^exponent.
fn parts(x: f64) -> Option<(bool, u64, i64)> {
    if !x.is_finite() {
        return None;
    }
    let bits = x.to_bits();
    let (biased, fraction) = (((bits >> 52) & 0x7ff) as i64, bits & ((1 << 52) - 1));
    let (mantissa, exponent) = match biased {
        0 => (fraction, -1074),
        _ => (fraction | (1 << 52), biased - 1075),
    };
    Some((x.is_sign_negative(), mantissa, exponent))
}

/// numerator / denominator * 2^exponent as the nearest double, ties to even.
fn ratio(numerator: &BigInt, denominator: &BigInt, exponent: i64) -> f64 {
    if numerator.is_zero() {
        return 0.0;
    }
    // Scaled so that the quotient has 64 to 66 bits, then one sticky bit keeps what the division left.
    let scale = 65 - (numerator.bits() as i64 - denominator.bits() as i64);
    let magnitude = numerator.abs();
    let (scaled, divisor) = match scale >= 0 {
        true => (magnitude << scale, denominator.clone()),
        false => (magnitude, denominator << -scale),
    };
    let quotient: BigInt = &scaled / &divisor;
    let inexact = &quotient * &divisor != scaled;
    let bits = quotient.to_u128().expect("the quotient has at most 66 bits") << 1 | u128::from(inexact);
    let value = scaled_double(bits, exponent - scale - 1);
    if numerator.sign() == Sign::Minus { -value } else { value }
}

/// bits * 2^exponent as the nearest double, ties to even; `bits` has at least 64 significant bits and a sticky one.
fn scaled_double(bits: u128, exponent: i64) -> f64 {
    let len = i64::from(128 - bits.leading_zeros());
    // The last bit that a double of this size has; subnormals end at 2^-1074.
    let last = (exponent + len - 53).max(-1074);
    let cut = last - exponent;
    if cut >= 127 {
        return 0.0;
    }
    let (kept, rest, half) = (bits >> cut, bits & ((1 << cut) - 1), 1u128 << (cut - 1));
    let up = rest > half || (rest == half && kept & 1 == 1);
    let mantissa = (kept + u128::from(up)) as f64;
    // Two factors: one power of two would not reach from the least subnormal to the greatest double.
    let half_way = last / 2;
    mantissa * 2f64.powi(half_way as i32) * 2f64.powi((last - half_way) as i32)
}
