//! openraft's own suite for storages, damage to files, and bounds of reads.

use std::fs::{self, File};

use openraft::StorageError;
use openraft::storage::RaftStateMachine;
use openraft::testing::log::{StoreBuilder, Suite};
use tempfile::TempDir;

use super::super::memory_log::MemoryLog;
use super::super::state_machine::{Adapter, Replicated, SnapshotPlace};
use super::super::types::CommandBytes;
use super::*;
use crate::machine::{CommandResult, Position};

/// A machine whose every entry is covered at once.
#[derive(Default)]
struct Plain(Option<Position>);

impl Replicated for Plain {
    fn apply(&mut self, position: Position, _: &Bytes) -> Result<CommandResult, String> {
        self.0 = Some(position);
        Ok(CommandResult::Done)
    }

    fn skip(&mut self, position: Position) {
        self.0 = Some(position);
    }

    fn checkpoint(&mut self) -> Option<(Position, Bytes)> {
        Some((self.0.unwrap_or_default(), Bytes::new()))
    }

    fn install(&mut self, position: Option<Position>, _: &Bytes) -> Result<(), String> {
        self.0 = position;
        Ok(())
    }
}

struct OnDisk;

impl StoreBuilder<Types, DiskLog, Adapter, TempDir> for OnDisk {
    async fn build(&self) -> Result<(TempDir, DiskLog, Adapter), StorageError<Types>> {
        let dir = tempfile::tempdir().unwrap();
        let place = SnapshotPlace::File(dir.path().join("snapshot"));
        let adapter = Adapter::new(Box::new(Plain::default()), place).unwrap();
        fs::create_dir(dir.path().join("log")).unwrap();
        let log = DiskLog::open(&dir.path().join("log")).unwrap();
        Ok((dir, log, adapter))
    }
}

struct InMemory;

impl StoreBuilder<Types, MemoryLog, Adapter, ()> for InMemory {
    async fn build(&self) -> Result<((), MemoryLog, Adapter), StorageError<Types>> {
        Ok((
            (),
            MemoryLog::default(),
            Adapter::new(Box::new(Plain::default()), SnapshotPlace::Memory).unwrap(),
        ))
    }
}

#[tokio::test]
async fn the_log_on_disk_passes_openrafts_suite() {
    Suite::test_all(OnDisk).await.unwrap();
}

#[tokio::test]
async fn the_log_in_memory_passes_openrafts_suite() {
    Suite::test_all(InMemory).await.unwrap();
}

fn entry(index: u64, size: usize) -> Entry {
    let command = CommandBytes(Bytes::from(vec![u8::try_from(index % 251).unwrap(); size]));
    Entry { log_id: log_id(1, index), payload: openraft::EntryPayload::Normal(command) }
}

/// Appends and waits until it is durable.
async fn append(log: &mut DiskLog, entries: Vec<Entry>) {
    let (tx, rx) = oneshot::channel();
    {
        let mut log = log.write();
        let records = entries
            .iter()
            .map(|entry| (id_to_key(&entry.log_id), PayloadRecord(codec::payload_to_bytes(&entry.payload))));
        log.append(records).unwrap();
        log.flush(true, Some(Flushed::Vote(tx))).unwrap();
    }
    rx.await.unwrap().unwrap();
}

#[tokio::test]
async fn reads_for_replication_are_bounded_in_entries_and_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = DiskLog::open(dir.path()).unwrap();
    append(&mut log, (0..1_000).map(|index| entry(index, 10)).collect()).await;
    append(&mut log, (1_000..1_010).map(|index| entry(index, READ_MAX_BYTES / 2)).collect()).await;
    assert_eq!(log.limited_get_log_entries(0, 1_000).await.unwrap().len(), 256);
    assert_eq!(log.limited_get_log_entries(1_000, 1_010).await.unwrap().len(), 1);
    assert_eq!(log.limited_get_log_entries(999, 1_010).await.unwrap().len(), 2);
}

/// The newest file of the log and its length.
fn newest_file(dir: &Path) -> (std::path::PathBuf, u64) {
    let files = fs::read_dir(dir).unwrap().map(|item| item.unwrap().path());
    let logs = files.filter(|path| path.to_string_lossy().contains("wal"));
    let newest = logs.max().expect("a log has a file");
    let length = fs::metadata(&newest).unwrap().len();
    (newest, length)
}

async fn written(dir: &Path) {
    let mut log = DiskLog::open(dir).unwrap();
    log.save_vote(&Vote::new_committed(1, 1)).await.unwrap();
    append(&mut log, (0..20).map(|index| entry(index, 100)).collect()).await;
}

#[tokio::test]
async fn a_record_cut_short_is_dropped_and_what_is_before_it_stays() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path()).await;
    let (newest, length) = newest_file(dir.path());
    File::options().write(true).open(newest).unwrap().set_len(length - 7).unwrap();
    let mut log = DiskLog::open(dir.path()).unwrap();
    assert_eq!(log.get_log_state().await.unwrap().last_log_id, Some(log_id(1, 18)));
    assert_eq!(log.read_vote().await.unwrap(), Some(Vote::new_committed(1, 1)));
}

#[tokio::test]
async fn a_flipped_bit_is_damage_and_not_a_shorter_log() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path()).await;
    let (newest, length) = newest_file(dir.path());
    let mut bytes = fs::read(&newest).unwrap();
    bytes[usize::try_from(length).unwrap() / 2] ^= 1;
    fs::write(&newest, bytes).unwrap();
    assert!(DiskLog::open(dir.path()).is_err());
}

#[tokio::test]
async fn snapshots_are_kept_in_a_file_and_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let place = || SnapshotPlace::File(dir.path().join("snapshot"));
    let machine = Plain(Some(Position { term: 1, index: 9 }));
    let mut adapter = Adapter::new(Box::new(machine), place()).unwrap();
    let mut builder = adapter.try_create_snapshot_builder(true).await.unwrap();
    let built = openraft::RaftSnapshotBuilder::build_snapshot(&mut builder).await.unwrap();
    let mut again = Adapter::new(Box::new(Plain::default()), place()).unwrap();
    let read = again.get_current_snapshot().await.unwrap().unwrap();
    assert_eq!((read.meta, read.snapshot), (built.meta, built.snapshot));
    let mut bytes = fs::read(dir.path().join("snapshot")).unwrap();
    bytes[20] ^= 1;
    fs::write(dir.path().join("snapshot"), bytes).unwrap();
    assert!(Adapter::new(Box::new(Plain::default()), place()).is_err());
}
