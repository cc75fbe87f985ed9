//! Resume tokens.
//!
//! ```text
//! byte  0      format, 1
//! byte  1      order version, 1: what canonical order meant when the token was made
//! 8 bytes      hash of the request
//! 8 bytes      rows delivered
//! 1 byte       number of databases
//! 24 bytes     each: incarnation 16, basis t 8
//! 8 bytes      hash of all that
//! ```
//!
//! Numbers are big-endian. The order of a result depends on request, basis and view only, so these are enough to go on
//! anywhere. A token carries no right: every call is authorised anew.

use annals_edn::{Code, Error};
use annals_peer::db::{Incarnation, T};

use crate::Result;

const FORMAT: u8 = 1;
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
        let sum = hash(&[&bytes]);
        bytes.extend(sum.to_be_bytes());
        bytes
    }

    /// Reads a token.
    ///
    /// # Errors
    /// `CURSOR_INVALID` for anything but the bytes of a token.
    pub fn decode(bytes: &[u8]) -> Result<Token> {
        let wrong = || {
            Error::new(Code::CursorInvalid, "the resume token is damaged or not one of this product")
                .hint("send the request again without a token")
        };
        if bytes.len() > TOKEN_BYTES || bytes.len() < 27 || bytes[..2] != [FORMAT, ORDER] {
            return Err(wrong());
        }
        let (body, sum) = bytes.split_at(bytes.len() - 8);
        if hash(&[body]).to_be_bytes() != sum {
            return Err(wrong());
        }
        let number = |at: usize| u64::from_be_bytes(body[at..at + 8].try_into().expect("eight bytes"));
        let count = body[18] as usize;
        if body.len() != 19 + count * 24 {
            return Err(wrong());
        }
        let database = |n: usize| {
            let at = 19 + n * 24;
            let incarnation = u128::from_be_bytes(body[at..at + 16].try_into().expect("sixteen bytes"));
            (Incarnation(incarnation), T(number(at + 16)))
        };
        Ok(Token { request: number(2), rows: number(10), databases: (0..count).map(database).collect() })
    }
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

    #[test]
    fn reads_back_and_refuses_every_other_byte() {
        let token =
            Token { request: 7, rows: 1 << 40, databases: vec![(Incarnation(u128::MAX - 1), T(9)); 2] };
        let bytes = token.encode();
        assert!(bytes.len() <= TOKEN_BYTES);
        assert_eq!(Token::decode(&bytes).unwrap(), token);
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert_eq!(Token::decode(&bad).unwrap_err().code(), Code::CursorInvalid, "byte {at}");
            assert!(Token::decode(&bytes[..at]).is_err());
        }
        assert!(Token::decode(&vec![1; 1 << 20]).is_err());
    }
}
