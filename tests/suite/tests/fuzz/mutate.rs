//! Mutations of bytes, drawn from a seed: the same seed gives the same inputs on every machine.

use fastrand::Rng;

/// No input grows beyond it.
const MAX_BYTES: usize = 4096;

/// Pieces that mean something to one of the targets.
const TOKENS: [&[u8]; 40] = [
    b"[",
    b"]",
    b"{",
    b"}",
    b"(",
    b")",
    b"#{",
    b"#_",
    b"\"",
    b"\\",
    b";",
    b":",
    b"nil",
    b"true",
    b"##NaN",
    b"1N",
    b"1.5M",
    b"-0.0",
    b"#inst \"2020-01-01\"",
    b"#uuid \"00000000-0000-0000-0000-000000000001\"",
    b"#float 1.5",
    b"#bytes \"AQ==\"",
    b"\\u0041",
    b"99999999999999999999",
    b":db/id",
    b":db/add",
    b":db/retract",
    b":db/cas",
    b":db/retractEntity",
    b":db/ident",
    b":p/email",
    b":p/_friend",
    b":c/x+y",
    b"\"datomic.tx\"",
    b"\xff",
    b"\xed\xa0\x80",
    b"\0",
    b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
    b"\x0a\x00",
    b"\x7f",
];

/// A few changes of `input`, some with pieces of `other`.
pub fn mutated(random: &mut Rng, input: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..1 + random.usize(..6) {
        change(random, &mut bytes, other);
    }
    bytes.truncate(MAX_BYTES);
    bytes
}

fn change(random: &mut Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    let at = random.usize(..=bytes.len());
    let end = (at + 1 + random.usize(..16)).min(bytes.len());
    match random.usize(..16) {
        0 | 8 if at < bytes.len() => bytes[at] ^= 1 << random.usize(..8),
        1 if at < bytes.len() => bytes[at] = random.u8(..),
        2 => bytes.insert(at, random.u8(..)),
        3 if at < end => drop(bytes.drain(at..end)),
        4 if at < end => {
            let again = bytes[at..end].to_vec();
            splice(bytes, end, &again);
        }
        5 | 9 | 10 if !other.is_empty() => {
            let from = random.usize(..other.len());
            let to = (from + 1 + random.usize(..64)).min(other.len());
            splice(bytes, at, &other[from..to]);
        }
        6 => bytes.truncate(at),
        _ => {
            let token = TOKENS[random.usize(..TOKENS.len())];
            splice(bytes, at, token);
        }
    }
}

fn splice(bytes: &mut Vec<u8>, at: usize, piece: &[u8]) {
    let tail = bytes.split_off(at);
    bytes.extend_from_slice(piece);
    bytes.extend(tail);
}
