//! The envelope of every segment: what it is, who built it, and the compression it lies in at rest.
//!
//! ```text
//!  0  4  magic "ANSG"
//!  4  1  format version
//!  5  1  kind: 1 leaf, 2 inner, 3 log leaf, 4 schema, 5 statistics, 6 root
//!  6  1  codec of the payload at rest: 0 none, 1 lz4 block
//!  7  1  zero
//!  8 16  incarnation of the database
//! 24  8  build: Raft index of the BuildStart entry
//! 32  4  bytes of the payload, decoded
//! 36  4  bytes of the payload, stored
//! 40     payload
//! ```

use std::sync::Arc;

use annals_edn::{Code, Error};

use super::bytes::{Reader, damaged};
use super::hash::Hash;
use crate::Result;
use crate::database::Incarnation;

/// The version this code writes and reads.
pub const FORMAT_VERSION: u8 = 1;

/// The most a payload may decode to, in bytes: a bound on what hostile bytes can make a reader allocate.
pub const MAX_PAYLOAD_BYTES: usize = 64 << 20;

const MAGIC: [u8; 4] = *b"ANSG";
const HEADER_BYTES: usize = 40;
const CODEC_NONE: u8 = 0;
const CODEC_LZ4: u8 = 1;
/// LZ4 cannot shrink further than this, so a greater promise is a lie.
const LZ4_MAX_RATIO: usize = 256;

/// What a segment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// datoms of one index
    Leaf = 1,
    /// directory of a tree
    Inner = 2,
    /// transactions
    LogLeaf = 3,
    /// attributes and idents
    Schema = 4,
    /// statistics per attribute
    Stats = 5,
    /// names everything else
    Root = 6,
}

/// The job that wrote a segment. Two builds never share a name, because this is hashed with the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Build {
    /// the database
    pub incarnation: Incarnation,
    /// Raft index of the job's BuildStart
    pub raft_index: u64,
}

/// A segment out of its envelope.
pub(crate) struct Opened {
    pub(crate) kind: Kind,
    pub(crate) build: Build,
    pub(crate) payload: Arc<[u8]>,
}

/// Puts a payload into its envelope, compressed where that saves an eighth. Deterministic.
pub(crate) fn seal(kind: Kind, build: Build, payload: &[u8]) -> (Hash, Vec<u8>) {
    let packed = lz4_flex::block::compress(payload);
    let pays = packed.len() < payload.len() - payload.len() / 8;
    let (codec, body) = if pays { (CODEC_LZ4, packed.as_slice()) } else { (CODEC_NONE, payload) };
    let mut stored = Vec::with_capacity(HEADER_BYTES + body.len());
    stored.extend_from_slice(&MAGIC);
    stored.extend_from_slice(&[FORMAT_VERSION, kind as u8, codec, 0]);
    stored.extend_from_slice(&build.incarnation.0.to_le_bytes());
    stored.extend_from_slice(&build.raft_index.to_le_bytes());
    stored.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    stored.extend_from_slice(&(body.len() as u32).to_le_bytes());
    stored.extend_from_slice(body);
    (Hash::of(&stored), stored)
}

/// Takes a segment out of its envelope after checking that it is the one called `name`.
pub(crate) fn open(name: &Hash, stored: &[u8]) -> Result<Opened> {
    if Hash::of(stored) != *name {
        return Err(damaged("its bytes do not have its hash").with("segment", name));
    }
    open_unchecked(stored)
}

/// The same without the hash, for bytes whose name is not known yet.
pub(crate) fn open_unchecked(stored: &[u8]) -> Result<Opened> {
    let mut reader = Reader::new(stored);
    if reader.array::<4>()? != MAGIC {
        return Err(damaged("it is no segment"));
    }
    let version = reader.u8()?;
    if version != FORMAT_VERSION {
        let message =
            format!("segment format {version} is not supported, this version reads {FORMAT_VERSION}");
        return Err(Error::new(Code::FormatUnsupported, message));
    }
    let kind = kind(reader.u8()?)?;
    let codec = reader.u8()?;
    if reader.u8()? != 0 {
        return Err(damaged("a reserved byte is set"));
    }
    let build = Build { incarnation: Incarnation(reader.u128()?), raft_index: reader.u64()? };
    let decoded = reader.u32()? as usize;
    let body_len = reader.u32()? as usize;
    if body_len != reader.left() || decoded > MAX_PAYLOAD_BYTES {
        return Err(damaged("its length is wrong"));
    }
    let payload = decode(codec, reader.take(body_len)?, decoded)?;
    Ok(Opened { kind, build, payload })
}

fn kind(tag: u8) -> Result<Kind> {
    let kinds = [Kind::Leaf, Kind::Inner, Kind::LogLeaf, Kind::Schema, Kind::Stats, Kind::Root];
    kinds.into_iter().find(|kind| *kind as u8 == tag).ok_or_else(|| damaged("its kind is unknown"))
}

fn decode(codec: u8, body: &[u8], decoded: usize) -> Result<Arc<[u8]>> {
    match codec {
        CODEC_NONE if body.len() == decoded => Ok(body.into()),
        CODEC_LZ4 if decoded / LZ4_MAX_RATIO <= body.len() => {
            let mut payload = vec![0; decoded];
            match lz4_flex::block::decompress_into(body, &mut payload) {
                Ok(len) if len == decoded => Ok(payload.into()),
                _ => Err(damaged("its payload does not decode")),
            }
        }
        _ => Err(damaged("its codec is unknown")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILD: Build = Build { incarnation: Incarnation(7), raft_index: 9 };

    #[test]
    fn payloads_come_back_and_name_their_build() {
        for payload in [&b""[..], b"short", &[5; 10_000]] {
            let (hash, stored) = seal(Kind::Stats, BUILD, payload);
            let opened = open(&hash, &stored).unwrap();
            assert_eq!((opened.kind, opened.build, &*opened.payload), (Kind::Stats, BUILD, payload));
        }
    }

    #[test]
    fn two_builds_never_share_a_name() {
        let other = Build { raft_index: 10, ..BUILD };
        assert_ne!(seal(Kind::Stats, BUILD, b"x").0, seal(Kind::Stats, other, b"x").0);
    }

    #[test]
    fn every_bit_counts() {
        let (hash, stored) = seal(Kind::Stats, BUILD, b"some payload");
        for bit in 0..stored.len() * 8 {
            let mut bad = stored.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&hash, &bad).err().unwrap().code(), Code::DataLoss);
        }
    }

    #[test]
    fn another_format_is_refused_by_name() {
        let mut stored = seal(Kind::Stats, BUILD, b"x").1;
        stored[4] = 2;
        let error = open_unchecked(&stored).err().unwrap();
        assert_eq!(error.code(), Code::FormatUnsupported);
    }
}
