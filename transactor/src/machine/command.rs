//! The commands of the log and their bytes. Frozen once released: a new kind gets a new tag, a changed one a new version.
//!
//! ```text
//! command      version u8 = 1 | kind u8 | fields
//! 1 OpenEpoch   node u64 | boot_id 16 | wall_ms i64
//! 2 Batch       epoch u64 | sections u32 { incarnation 16 | first_t u64 | prev_lineage 16 | txs u32 { tx } }
//!    tx         instant i64 | next_counter u64 | body bytes
//! 3 CreateDb    incarnation 16 | name text | options u8
//! 4 DropDb      incarnation 16
//! 5 BuildStart  incarnation 16 | base? 32
//! 6 BuildAbort  build u64
//! 7 PublishRoot incarnation 16 | build u64 | base? 32 | root | holders u32 { node u64 }
//! 8 RetireRoots incarnation 16 | hashes u32 { 32 }
//! ```
//!
//! The transactions of a section are numbered `first_t, first_t + 1, …`.

use annals_db::{Incarnation, Options};
use bytes::{BufMut, Bytes, BytesMut};

use super::state::{
    Lineage, RootHash, RootRef, get_base, get_incarnation, get_root, options_from_byte, options_to_byte,
    put_base, put_incarnation, put_root,
};
use crate::encoding::{Malformed, Reader, put_bytes, put_count};

const VERSION: u8 = 1;
const OPEN_EPOCH: u8 = 1;
const BATCH: u8 = 2;
const CREATE_DB: u8 = 3;
const DROP_DB: u8 = 4;
const BUILD_START: u8 = 5;
const BUILD_ABORT: u8 = 6;
const PUBLISH_ROOT: u8 = 7;
const RETIRE_ROOTS: u8 = 8;

/// One command of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A new leader's barrier: everything before it is decided, everything speculative before it is void.
    OpenEpoch(OpenEpoch),
    /// Transactions of any number of databases, evaluated in `epoch`.
    Batch {
        /// The epoch in which they were evaluated.
        epoch: u64,
        /// One or more a database.
        sections: Vec<Section>,
    },
    /// Brings a database into being, empty.
    CreateDb(CreateDb),
    /// Ends a database.
    DropDb(Incarnation),
    /// Announces an index build; its index is the build's number.
    BuildStart(BuildStart),
    /// Ends a build without a root.
    BuildAbort(u64),
    /// Makes a build's root the newest.
    PublishRoot(PublishRoot),
    /// Lets old roots go.
    RetireRoots(RetireRoots),
}

/// See [`Command::OpenEpoch`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenEpoch {
    /// The leader.
    pub node: u64,
    /// Drawn at its start.
    pub boot_id: u128,
    /// Its clock, for people who read logs.
    pub wall_ms: i64,
}

/// Transactions of one database, to be committed together or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The database.
    pub incarnation: Incarnation,
    /// The number of the first.
    pub first_t: u64,
    /// The chain they were evaluated on.
    pub prev_lineage: Lineage,
    /// In order.
    pub txs: Vec<Tx>,
}

impl Section {
    /// About how many bytes it takes in an entry.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        SECTION_HEAD_BYTES + self.txs.iter().map(|tx| TX_HEAD_BYTES + tx.body.len()).sum::<usize>()
    }
}

const SECTION_HEAD_BYTES: usize = 16 + 8 + 16 + 4;
const TX_HEAD_BYTES: usize = 8 + 8 + 4;

/// A decided transaction: what the machine must know of it, and the body it does not look into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tx {
    /// `:db/txInstant`, milliseconds.
    pub instant: i64,
    /// The entity counter after it.
    pub next_counter: u64,
    /// The encoded `TxBody`.
    pub body: Bytes,
}

/// See [`Command::CreateDb`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateDb {
    /// Drawn by the leader.
    pub incarnation: Incarnation,
    /// Must be free.
    pub name: String,
    /// Fixed for its life.
    pub options: Options,
}

/// See [`Command::BuildStart`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildStart {
    /// The database.
    pub incarnation: Incarnation,
    /// The root to build upon: must be the newest.
    pub base: Option<RootHash>,
}

/// See [`Command::PublishRoot`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishRoot {
    /// The database.
    pub incarnation: Incarnation,
    /// The build that wrote it.
    pub build: u64,
    /// What it was built upon: must still be the newest.
    pub base: Option<RootHash>,
    /// The new root.
    pub root: RootRef,
    /// Who holds it durably; empty where a shared store does.
    pub holders: Vec<u64>,
}

/// See [`Command::RetireRoots`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetireRoots {
    /// The database.
    pub incarnation: Incarnation,
    /// Never the newest.
    pub hashes: Vec<RootHash>,
}

impl Command {
    /// The command's bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.capacity());
        out.put_u8(VERSION);
        match self {
            Command::OpenEpoch(open) => {
                out.put_u8(OPEN_EPOCH);
                out.put_u64_le(open.node);
                out.put_slice(&open.boot_id.to_be_bytes());
                out.put_i64_le(open.wall_ms);
            }
            Command::Batch { epoch, sections } => put_batch(&mut out, *epoch, sections),
            Command::CreateDb(create) => {
                out.put_u8(CREATE_DB);
                put_incarnation(&mut out, create.incarnation);
                put_bytes(&mut out, create.name.as_bytes());
                out.put_u8(options_to_byte(create.options));
            }
            Command::DropDb(incarnation) => {
                out.put_u8(DROP_DB);
                put_incarnation(&mut out, *incarnation);
            }
            Command::BuildStart(start) => {
                out.put_u8(BUILD_START);
                put_incarnation(&mut out, start.incarnation);
                put_base(&mut out, start.base.as_ref());
            }
            Command::BuildAbort(build) => {
                out.put_u8(BUILD_ABORT);
                out.put_u64_le(*build);
            }
            Command::PublishRoot(publish) => put_publish(&mut out, publish),
            Command::RetireRoots(retire) => {
                out.put_u8(RETIRE_ROOTS);
                put_incarnation(&mut out, retire.incarnation);
                put_count(&mut out, retire.hashes.len());
                retire.hashes.iter().for_each(|hash| out.put_slice(hash));
            }
        }
        out.freeze()
    }

    /// Reads a command; transaction bodies share `bytes`' memory.
    ///
    /// # Errors
    /// Anything that [`Command::encode`] of this version did not write.
    pub fn decode(bytes: Bytes) -> Result<Command, Malformed> {
        let mut reader = Reader::new(bytes);
        match reader.u8()? {
            VERSION => {}
            version => return Err(Malformed::Unknown { what: "command version", tag: version.into() }),
        }
        let command = match reader.u8()? {
            OPEN_EPOCH => Command::OpenEpoch(get_open_epoch(&mut reader)?),
            BATCH => get_batch(&mut reader)?,
            CREATE_DB => Command::CreateDb(get_create(&mut reader)?),
            DROP_DB => Command::DropDb(get_incarnation(&mut reader)?),
            BUILD_START => {
                let (incarnation, base) = (get_incarnation(&mut reader)?, get_base(&mut reader)?);
                Command::BuildStart(BuildStart { incarnation, base })
            }
            BUILD_ABORT => Command::BuildAbort(reader.u64()?),
            PUBLISH_ROOT => Command::PublishRoot(get_publish(&mut reader)?),
            RETIRE_ROOTS => Command::RetireRoots(get_retire(&mut reader)?),
            kind => return Err(Malformed::Unknown { what: "command", tag: kind.into() }),
        };
        reader.end()?;
        Ok(command)
    }

    fn capacity(&self) -> usize {
        match self {
            Command::Batch { sections, .. } => 14 + sections.iter().map(Section::encoded_len).sum::<usize>(),
            _ => 128,
        }
    }
}

fn put_batch(out: &mut BytesMut, epoch: u64, sections: &[Section]) {
    out.put_u8(BATCH);
    out.put_u64_le(epoch);
    put_count(out, sections.len());
    for section in sections {
        put_incarnation(out, section.incarnation);
        out.put_u64_le(section.first_t);
        out.put_slice(&section.prev_lineage.0);
        put_count(out, section.txs.len());
        for tx in &section.txs {
            out.put_i64_le(tx.instant);
            out.put_u64_le(tx.next_counter);
            put_bytes(out, &tx.body);
        }
    }
}

fn put_publish(out: &mut BytesMut, publish: &PublishRoot) {
    out.put_u8(PUBLISH_ROOT);
    put_incarnation(out, publish.incarnation);
    out.put_u64_le(publish.build);
    put_base(out, publish.base.as_ref());
    put_root(out, &publish.root);
    put_count(out, publish.holders.len());
    publish.holders.iter().for_each(|node| out.put_u64_le(*node));
}

fn get_open_epoch(reader: &mut Reader) -> Result<OpenEpoch, Malformed> {
    Ok(OpenEpoch {
        node: reader.u64()?,
        boot_id: u128::from_be_bytes(reader.array()?),
        wall_ms: reader.i64()?,
    })
}

fn get_batch(reader: &mut Reader) -> Result<Command, Malformed> {
    let epoch = reader.u64()?;
    let mut sections = Vec::new();
    for _ in 0..reader.count(SECTION_HEAD_BYTES)? {
        let incarnation = get_incarnation(reader)?;
        let first_t = reader.u64()?;
        let prev_lineage = Lineage(reader.array()?);
        let mut txs = Vec::new();
        for _ in 0..reader.count(TX_HEAD_BYTES)? {
            txs.push(Tx { instant: reader.i64()?, next_counter: reader.u64()?, body: reader.bytes()? });
        }
        sections.push(Section { incarnation, first_t, prev_lineage, txs });
    }
    Ok(Command::Batch { epoch, sections })
}

fn get_create(reader: &mut Reader) -> Result<CreateDb, Malformed> {
    let incarnation = get_incarnation(reader)?;
    Ok(CreateDb { incarnation, name: reader.text()?, options: options_from_byte(reader.u8()?)? })
}

fn get_publish(reader: &mut Reader) -> Result<PublishRoot, Malformed> {
    let incarnation = get_incarnation(reader)?;
    let build = reader.u64()?;
    let base = get_base(reader)?;
    let root = get_root(reader)?;
    let count = reader.count(8)?;
    let holders = (0..count).map(|_| reader.u64()).collect::<Result<_, _>>()?;
    Ok(PublishRoot { incarnation, build, base, root, holders })
}

fn get_retire(reader: &mut Reader) -> Result<RetireRoots, Malformed> {
    let incarnation = get_incarnation(reader)?;
    let count = reader.count(32)?;
    let hashes = (0..count).map(|_| reader.array()).collect::<Result<_, _>>()?;
    Ok(RetireRoots { incarnation, hashes })
}
