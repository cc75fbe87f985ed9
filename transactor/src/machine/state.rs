//! The replicated state and its bytes: what a Raft snapshot holds.
//!
//! ```text
//! state     version u8 | epoch u64 | databases u32 { database } | builds u32 { build }
//! database  incarnation 16 | name text | options u8 | t u64 | lineage 16 | next_counter u64 | last_instant i64
//!           | roots u32 { root }
//! root      number u64 | hash 32 | covers_t u64 | lineage 16
//! build     build u64 | incarnation 16 | base u8 { hash 32 }
//! ```

use std::collections::BTreeMap;

pub use annals_db::Lineage;
use annals_db::{Incarnation, Options};
use bytes::{BufMut, Bytes, BytesMut};

use crate::encoding::{Malformed, Reader, put_bytes, put_count};

const STATE_VERSION: u8 = 1;

/// The BLAKE3 hash that names a root segment.
pub type RootHash = [u8; 32];

/// A published root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RootRef {
    /// Its number in the store, dense from 1.
    pub number: u64,
    /// Its name.
    pub hash: RootHash,
    /// The newest t it covers.
    pub covers_t: u64,
    /// The chain up to it.
    pub lineage: Lineage,
}

/// A running index build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Build {
    /// Whose index.
    pub incarnation: Incarnation,
    /// The root it builds upon.
    pub base: Option<RootHash>,
}

/// One database's scalars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// The name people use.
    pub name: String,
    /// Chosen at creation.
    pub options: Options,
    /// The newest committed transaction.
    pub t: u64,
    /// The chain up to `t`.
    pub lineage: Lineage,
    /// The entity counter after `t`.
    pub next_counter: u64,
    /// `:db/txInstant` of `t` in milliseconds; 0 at t 0.
    pub last_instant: i64,
    /// Retained roots, oldest first; the last is the newest.
    pub roots: Vec<RootRef>,
}

impl Database {
    /// The newest published root.
    #[must_use]
    pub fn root(&self) -> Option<&RootRef> {
        self.roots.last()
    }
}

/// Everything that is replicated. Ordered maps, so that its bytes are a function of its value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The index of the newest `OpenEpoch`; 0 before the first.
    pub epoch: u64,
    /// Databases by incarnation.
    pub databases: BTreeMap<Incarnation, Database>,
    /// Running builds by number.
    pub builds: BTreeMap<u64, Build>,
}

impl State {
    /// The incarnation that now bears `name`. O(databases).
    #[must_use]
    pub fn named(&self, name: &str) -> Option<Incarnation> {
        self.databases.iter().find(|(_, database)| database.name == name).map(|(incarnation, _)| *incarnation)
    }

    /// The state's bytes; equal states have equal bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_u8(STATE_VERSION);
        out.put_u64_le(self.epoch);
        put_count(&mut out, self.databases.len());
        for (incarnation, database) in &self.databases {
            put_database(&mut out, *incarnation, database);
        }
        put_count(&mut out, self.builds.len());
        for (number, build) in &self.builds {
            out.put_u64_le(*number);
            put_incarnation(&mut out, build.incarnation);
            put_base(&mut out, build.base.as_ref());
        }
        out.freeze()
    }

    /// Reads a state off the front of `reader`.
    pub(crate) fn decode(reader: &mut Reader) -> Result<State, Malformed> {
        match reader.u8()? {
            STATE_VERSION => {}
            version => return Err(Malformed::Unknown { what: "state version", tag: version.into() }),
        }
        let mut state = State { epoch: reader.u64()?, ..State::default() };
        for _ in 0..reader.count(62)? {
            let (incarnation, database) = get_database(reader)?;
            state.databases.insert(incarnation, database);
        }
        for _ in 0..reader.count(25)? {
            let number = reader.u64()?;
            let (incarnation, base) = (get_incarnation(reader)?, get_base(reader)?);
            state.builds.insert(number, Build { incarnation, base });
        }
        Ok(state)
    }
}

pub(super) fn put_incarnation(out: &mut impl BufMut, incarnation: Incarnation) {
    out.put_slice(&incarnation.0.to_be_bytes());
}

pub(super) fn get_incarnation(reader: &mut Reader) -> Result<Incarnation, Malformed> {
    Ok(Incarnation(u128::from_be_bytes(reader.array()?)))
}

pub(super) fn put_base(out: &mut impl BufMut, base: Option<&RootHash>) {
    out.put_u8(u8::from(base.is_some()));
    if let Some(base) = base {
        out.put_slice(base);
    }
}

pub(super) fn get_base(reader: &mut Reader) -> Result<Option<RootHash>, Malformed> {
    Ok(if reader.u8()? == 0 { None } else { Some(reader.array()?) })
}

pub(super) fn put_root(out: &mut impl BufMut, root: &RootRef) {
    out.put_u64_le(root.number);
    out.put_slice(&root.hash);
    out.put_u64_le(root.covers_t);
    out.put_slice(&root.lineage.0);
}

pub(super) fn get_root(reader: &mut Reader) -> Result<RootRef, Malformed> {
    let (number, hash, covers_t) = (reader.u64()?, reader.array()?, reader.u64()?);
    Ok(RootRef { number, hash, covers_t, lineage: Lineage(reader.array()?) })
}

pub(super) fn options_to_byte(options: Options) -> u8 {
    u8::from(options.schema_on_write) | u8::from(options.keep_history) << 1
}

pub(super) fn options_from_byte(byte: u8) -> Result<Options, Malformed> {
    if byte > 3 {
        return Err(Malformed::Unknown { what: "database option", tag: byte.into() });
    }
    Ok(Options { schema_on_write: byte & 1 != 0, keep_history: byte & 2 != 0 })
}

fn put_database(out: &mut impl BufMut, incarnation: Incarnation, database: &Database) {
    put_incarnation(out, incarnation);
    put_bytes(out, database.name.as_bytes());
    out.put_u8(options_to_byte(database.options));
    out.put_u64_le(database.t);
    out.put_slice(&database.lineage.0);
    out.put_u64_le(database.next_counter);
    out.put_i64_le(database.last_instant);
    put_count(out, database.roots.len());
    database.roots.iter().for_each(|root| put_root(out, root));
}

fn get_database(reader: &mut Reader) -> Result<(Incarnation, Database), Malformed> {
    let incarnation = get_incarnation(reader)?;
    let mut database = Database {
        name: reader.text()?,
        options: options_from_byte(reader.u8()?)?,
        t: reader.u64()?,
        lineage: Lineage(reader.array()?),
        next_counter: reader.u64()?,
        last_instant: reader.i64()?,
        roots: Vec::new(),
    };
    for _ in 0..reader.count(64)? {
        database.roots.push(get_root(reader)?);
    }
    Ok((incarnation, database))
}
