//! Resume tokens.
//!
//! ```text
//! byte  0      format, 2
//! byte  1      order version, 1: what canonical order meant when the token was made
//! 8 bytes      hash of the request
//! 8 bytes      rows delivered
//! 1 byte       number of databases
//! 24 bytes     each: incarnation 16, basis t 8
//! 8 bytes      hash of all that
//! ```
//!
//! Numbers are big-endian. The order of a result depends on request, basis and view only, so these are enough to go on
//! anywhere: rows are counted from the first one that has the lead value, which a scan can start at, or from the first
//! of all. A token carries no right: every call is authorised anew.

use annals_edn::{Code, Error};
use annals_peer::db::{Incarnation, T};
use annals_wire::{Message, v1};

use crate::Result;

const FORMAT: u8 = 2;
const ORDER: u8 = 1;
/// The most bytes a token has: longer ones are refused unread.
pub const TOKEN_BYTES: usize = 512;

/// A place in a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// which request
    pub request: u64,
    /// rows delivered before this place
    pub rows: u64,
    /// every database read, in the order of the request, and at which basis
    pub databases: Vec<(Incarnation, T)>,
    /// from where rows need not be made again
    pub lead: Option<Lead>,
}

/// A value of the column that a result is sorted by first, and how many rows before the place have it or come after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lead {
    /// a `Value` of the contract, encoded
    pub value: Vec<u8>,
    /// rows since the first with this value
    pub rows: u64,
}

impl Lead {
    /// `rows` rows behind the first with `value`.
    #[must_use]
    pub fn new(value: &v1::Value, rows: u64) -> Lead {
        Lead { value: value.encode_to_vec(), rows }
    }

    /// The value.
    ///
    /// # Errors
    /// `CURSOR_INVALID` if it is none.
    pub fn value(&self) -> Result<v1::Value> {
        v1::Value::decode(self.value.as_slice()).map_err(|_| damaged())
    }
}

impl Token {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![FORMAT, ORDER];
        bytes.extend(self.request.to_be_bytes());
        bytes.extend(self.rows.to_be_bytes());
        bytes.push(self.databases.len() as u8);
        for (incarnation, t) in &self.databases {
            bytes.extend(incarnation.0.to_be_bytes());
            bytes.extend(t.0.to_be_bytes());
        }
        // A lead that does not fit is left out: rows are counted from the first then.
        let lead = self.lead.as_ref().filter(|lead| bytes.len() + lead.value.len() + 16 <= TOKEN_BYTES);
        bytes.extend(lead.map_or(0, |lead| lead.rows).to_be_bytes());
        bytes.extend(lead.map_or(&[][..], |lead| &lead.value));
        let sum = hash(&[&bytes]);
        bytes.extend(sum.to_be_bytes());
        bytes
    }

    /// Reads a token.
    ///
    /// # Errors
    /// `CURSOR_INVALID` for anything but the bytes of a token.
    pub fn decode(bytes: &[u8]) -> Result<Token> {
        if bytes.len() > TOKEN_BYTES || bytes.len() < 35 || bytes[..2] != [FORMAT, ORDER] {
            return Err(damaged());
        }
        let (body, sum) = bytes.split_at(bytes.len() - 8);
        if hash(&[body]).to_be_bytes() != sum {
            return Err(damaged());
        }
        let number = |at: usize| u64::from_be_bytes(body[at..at + 8].try_into().expect("eight bytes"));
        let count = body[18] as usize;
        let lead = 19 + count * 24;
        if body.len() < lead + 8 {
            return Err(damaged());
        }
        let database = |n: usize| {
            let at = 19 + n * 24;
            let incarnation = u128::from_be_bytes(body[at..at + 16].try_into().expect("sixteen bytes"));
            (Incarnation(incarnation), T(number(at + 16)))
        };
        let value = body[lead + 8..].to_vec();
        Ok(Token {
            request: number(2),
            rows: number(10),
            databases: (0..count).map(database).collect(),
            lead: (!value.is_empty()).then(|| Lead { value, rows: number(lead) }),
        })
    }
}

/// What a token is that nobody made.
#[must_use]
pub fn damaged() -> Error {
    Error::new(Code::CursorInvalid, "the resume token is damaged or not one of this product")
        .hint("send the request again without a token")
}

/// A 64-bit hash of parts, each with its length.
#[must_use]
pub fn hash(parts: &[&[u8]]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_be_bytes()).update(part);
    }
    u64::from_be_bytes(hasher.finalize().as_bytes()[..8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(lead: Option<Lead>) -> Token {
        Token { request: 7, rows: 1 << 40, databases: vec![(Incarnation(u128::MAX - 1), T(9)); 2], lead }
    }

    #[test]
    fn reads_back_and_refuses_every_other_byte() {
        for lead in [None, Some(Lead { value: vec![3; 100], rows: 12 })] {
            let bytes = token(lead.clone()).encode();
            assert!(bytes.len() <= TOKEN_BYTES);
            assert_eq!(Token::decode(&bytes).unwrap(), token(lead));
            for at in 0..bytes.len() {
                let mut bad = bytes.clone();
                bad[at] ^= 1;
                assert_eq!(Token::decode(&bad).unwrap_err().code(), Code::CursorInvalid, "byte {at}");
                assert!(Token::decode(&bytes[..at]).is_err());
            }
        }
        assert!(Token::decode(&vec![1; 1 << 20]).is_err());
    }

    #[test]
    fn leaves_out_a_lead_that_does_not_fit() {
        let long = token(Some(Lead { value: vec![3; TOKEN_BYTES], rows: 12 }));
        assert_eq!(Token::decode(&long.encode()).unwrap(), token(None));
    }
}
