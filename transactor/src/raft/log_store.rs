//! The Raft log on disk: openraft's log storage over the `raft-log` write-ahead log, which keeps votes, entries and the
//! commit mark in one ordered file sequence with group commit.
//!
//! Appends return when readable and call back when durable. A vote is durable before the call returns. Truncation,
//! purging and the commit mark ride along unsynced: the log is ordered, so the next synced record carries them.
//! A failed write stops the log for good; nothing is acknowledged after it.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::path::Path;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use bytes::Bytes;
use openraft::storage::RaftLogStorage;
use openraft::{LogState, RaftLogReader};
use raft_log::api::raft_log_writer::RaftLogWriter;
use raft_log::codeq::{Decode, Encode};
use raft_log::{Callback, RaftLog};
use tokio::sync::oneshot;

use super::codec;
use super::types::{Entry, IoFlushed, LogId, Types, Vote, log_id};

/// How long a flush waits for company: not at all. A wait costs every lone commit, with the timer's slack, more than
/// 100 microseconds. Company comes in entries, which gather sections while two of them are in flight.
const FLUSH_BATCH_WAIT: Duration = Duration::ZERO;
const CHUNK_MAX_BYTES: usize = 64 << 20;
const CACHE_MAX_ITEMS: usize = 2_000_000;
const CACHE_MAX_BYTES: usize = 256 << 20;
const READ_BUFFER_BYTES: usize = 4 << 20;
/// One read for replication takes at most this much, so that no single request grows without bound.
pub(super) const READ_MAX_BYTES: usize = 1 << 20;
/// The same in entries.
pub(super) const READ_MAX_ENTRIES: u64 = 256;

/// (term, index)
type LogKey = (u64, u64);

/// The vote record: its order is openraft's, of which only "not smaller" matters to the log.
#[derive(Clone, Debug, PartialEq, Eq)]
struct VoteRecord([u8; 17]);

impl VoteRecord {
    fn vote(&self) -> Vote {
        codec::vote_from_bytes(Bytes::copy_from_slice(&self.0))
            .expect("a vote record is whole by construction")
    }
}

impl PartialOrd for VoteRecord {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.vote().partial_cmp(&other.vote())
    }
}

impl Encode for VoteRecord {
    fn encode<W: io::Write>(&self, mut w: W) -> io::Result<usize> {
        w.write_all(&self.0)?;
        Ok(self.0.len())
    }
}

impl Decode for VoteRecord {
    fn decode<R: io::Read>(mut r: R) -> io::Result<Self> {
        let mut out = [0; 17];
        r.read_exact(&mut out)?;
        Ok(Self(out))
    }
}

/// An encoded entry payload.
#[derive(Clone, Debug)]
struct PayloadRecord(Bytes);

impl Encode for PayloadRecord {
    fn encode<W: io::Write>(&self, mut w: W) -> io::Result<usize> {
        let length = u32::try_from(self.0.len()).map_err(io::Error::other)?;
        w.write_all(&length.to_le_bytes())?;
        w.write_all(&self.0)?;
        Ok(4 + self.0.len())
    }
}

impl Decode for PayloadRecord {
    fn decode<R: io::Read>(mut r: R) -> io::Result<Self> {
        let mut length = [0; 4];
        r.read_exact(&mut length)?;
        // Read through `take`, so that a damaged length ends in an error and not in a huge allocation.
        let expected = u32::from_le_bytes(length) as usize;
        let mut out = Vec::with_capacity(expected.min(READ_MAX_BYTES));
        let got = io::Read::read_to_end(&mut io::Read::take(r, expected as u64), &mut out)?;
        if got != expected {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Self(out.into()))
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct LogTypes;

impl raft_log::Types for LogTypes {
    type LogId = LogKey;
    type LogPayload = PayloadRecord;
    type Vote = VoteRecord;
    type Callback = Flushed;
    type UserData = String;

    fn log_index(id: &LogKey) -> u64 {
        id.1
    }

    fn payload_size(payload: &PayloadRecord) -> u64 {
        payload.0.len() as u64
    }
}

/// Who hears of a finished flush.
enum Flushed {
    Append(IoFlushed),
    Vote(oneshot::Sender<io::Result<()>>),
}

impl Callback for Flushed {
    fn send(self, result: io::Result<()>) {
        match self {
            Flushed::Append(callback) => callback.io_completed(result),
            // The caller has gone only when the node is stopping.
            Flushed::Vote(caller) => drop(caller.send(result)),
        }
    }
}

/// The log of one member. Clones share it.
#[derive(Clone)]
pub(crate) struct DiskLog {
    log: Arc<RwLock<RaftLog<LogTypes>>>,
}

impl DiskLog {
    /// Opens or creates the log in `dir`. A damaged record is an error: nothing is cut off by hand.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        let mut config = raft_log::Config::new(dir.display());
        config.wal.flush_batch_wait = Some(FLUSH_BATCH_WAIT);
        config.wal.chunk_max_size = Some(CHUNK_MAX_BYTES);
        config.wal.read_buffer_size = Some(READ_BUFFER_BYTES);
        config.log_cache_max_items = Some(CACHE_MAX_ITEMS);
        config.log_cache_capacity = Some(CACHE_MAX_BYTES);
        let log = RaftLog::open(Arc::new(config))?;
        Ok(Self { log: Arc::new(RwLock::new(log)) })
    }

    /// Whether the log holds neither vote nor entry nor purge mark: a new member, or one that lost its files.
    pub(crate) fn is_empty(&self) -> bool {
        let log = self.read();
        let state = log.log_state();
        state.vote().is_none() && state.last().is_none() && state.purged().is_none()
    }

    fn read(&self) -> RwLockReadGuard<'_, RaftLog<LogTypes>> {
        self.log.read().expect("no holder of the log lock panics")
    }

    fn write(&self) -> RwLockWriteGuard<'_, RaftLog<LogTypes>> {
        self.log.write().expect("no holder of the log lock panics")
    }

    /// Entries of `[start, end)`, at most `max_bytes` of them but never none if there is one.
    fn entries(&self, start: u64, end: u64, max_bytes: usize) -> io::Result<Vec<Entry>> {
        let log = self.read();
        let (mut out, mut bytes) = (Vec::new(), 0);
        for item in log.read(start, end.max(start)) {
            let (key, payload) = item?;
            bytes += payload.0.len();
            if !out.is_empty() && bytes > max_bytes {
                break;
            }
            let payload = codec::payload_from_bytes(payload.0).map_err(io::Error::other)?;
            out.push(Entry { log_id: log_id(key.0, key.1), payload });
        }
        Ok(out)
    }
}

impl RaftLogReader<Types> for DiskLog {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> io::Result<Vec<Entry>>
    where
        RB: RangeBounds<u64> + Clone + Debug + Send,
    {
        let (start, end) = half_open(&range);
        self.entries(start, end, usize::MAX)
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.read().log_state().vote().map(VoteRecord::vote))
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        self.entries(start, end.min(start.saturating_add(READ_MAX_ENTRIES)), READ_MAX_BYTES)
    }
}

impl RaftLogStorage<Types> for DiskLog {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<Types>> {
        let log = self.read();
        let purged = log.log_state().purged().map(key_to_id);
        Ok(LogState {
            last_purged_log_id: purged,
            last_log_id: log.log_state().last().map(key_to_id).or(purged),
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let (tx, rx) = oneshot::channel();
        {
            let mut log = self.write();
            log.save_vote(VoteRecord(codec::vote_to_bytes(vote)))?;
            log.flush(true, Some(Flushed::Vote(tx)))?;
        }
        rx.await.map_err(io::Error::other)?
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        let Some(committed) = committed else { return Ok(()) };
        let mut log = self.write();
        log.commit(id_to_key(&committed))?;
        log.flush(false, None)
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.read().log_state().committed().map(key_to_id))
    }

    async fn append<I>(&mut self, entries: I, callback: IoFlushed) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + Send,
        I::IntoIter: Send,
    {
        let records = entries.into_iter().map(|entry| {
            let record = PayloadRecord(codec::payload_to_bytes(&entry.payload));
            (id_to_key(&entry.log_id), record)
        });
        let mut log = self.write();
        log.append(records)?;
        log.flush(true, Some(Flushed::Append(callback)))
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let mut log = self.write();
        let keep = last.map_or(0, |id| id.index() + 1);
        if log.log_state().last().is_some_and(|end| keep <= end.1) {
            log.truncate(keep)?;
        }
        log.flush(false, None)
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        let mut log = self.write();
        log.purge(id_to_key(&upto))?;
        // Synced, because the log removes purged files only behind a synced mark.
        log.flush(true, None)
    }
}

fn key_to_id(key: &LogKey) -> LogId {
    log_id(key.0, key.1)
}

fn id_to_key(id: &LogId) -> LogKey {
    (id.committed_leader_id().term, id.index())
}

/// `[start, end)` of any range of indexes.
pub(super) fn half_open(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let start = match range.start_bound() {
        Bound::Included(index) => *index,
        Bound::Excluded(index) => index + 1,
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(index) => index + 1,
        Bound::Excluded(index) => *index,
        Bound::Unbounded => u64::MAX,
    };
    (start, end)
}

#[cfg(test)]
mod tests;
