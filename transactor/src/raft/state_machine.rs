//! The replicated state as openraft sees it: entries go in, results come out, snapshots are scalars.
//!
//! The adapter owns what belongs to Raft (last applied id, membership history, the snapshot file); what commands mean
//! belongs to the [`Replicated`] behind it. A snapshot is taken at a *covered* index: one whose whole effect published
//! roots hold. It is older than the last applied entry, and its membership is the one in force there.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::{EntryPayload, RaftSnapshotBuilder};

use super::codec;
use super::identity::write_durably;
use super::types::{LogId, Snapshot, SnapshotMeta, StoredMembership, Types};
use crate::encoding::{Malformed, Reader, put_bytes};
use crate::machine::{CommandResult, Position};

/// What the log's commands act on. Called by one thread at a time, in log order.
pub trait Replicated: Send + Sync + 'static {
    /// Applies the command at `position`. An error stops the member: it must be one that no retry mends.
    ///
    /// # Errors
    /// A command this version does not know, or damage.
    fn apply(&mut self, position: Position, command: &Bytes) -> Result<CommandResult, String>;

    /// Notes an entry without a command (a new leader's blank, a membership).
    fn skip(&mut self, position: Position);

    /// The newest state wholly covered by published roots: its position and bytes. `None` while there is none.
    fn checkpoint(&mut self) -> Option<(Position, Bytes)>;

    /// Replaces the state by a snapshot's.
    ///
    /// # Errors
    /// The bytes are not a snapshot of this version.
    fn install(&mut self, position: Option<Position>, state: &Bytes) -> Result<(), String>;
}

/// Where the newest snapshot lies.
pub(crate) enum SnapshotPlace {
    File(PathBuf),
    Memory,
}

/// openraft's state machine and snapshot builder.
pub(crate) struct Adapter {
    machine: Box<dyn Replicated>,
    last_applied: Option<LogId>,
    /// Memberships in force, oldest first; the first is in force at the newest snapshot.
    memberships: Vec<StoredMembership>,
    snapshots: Arc<SnapshotStore>,
}

impl Adapter {
    pub(crate) fn new(machine: Box<dyn Replicated>, place: SnapshotPlace) -> io::Result<Self> {
        let snapshots = Arc::new(SnapshotStore::open(place)?);
        Ok(Self { machine, last_applied: None, memberships: Vec::new(), snapshots })
    }

    fn apply_one(
        &mut self,
        id: LogId,
        payload: EntryPayload<super::types::CommandBytes, u64, super::types::Member>,
    ) -> io::Result<CommandResult> {
        let position = position_of(&id);
        let result = match payload {
            EntryPayload::Normal(command) => {
                self.machine.apply(position, &command.0).map_err(io::Error::other)?
            }
            EntryPayload::Blank => {
                self.machine.skip(position);
                CommandResult::Done
            }
            EntryPayload::Membership(membership) => {
                self.memberships.push(StoredMembership::new(Some(id), membership));
                self.machine.skip(position);
                CommandResult::Done
            }
        };
        self.last_applied = Some(id);
        Ok(result)
    }

    fn membership_at(&self, index: u64) -> StoredMembership {
        let in_force = |stored: &&StoredMembership| stored.log_id().is_none_or(|id| id.index() <= index);
        self.memberships.iter().rev().find(in_force).cloned().unwrap_or_default()
    }

    /// The snapshot to build now: the covered state if it is newer than the stored one, else the stored one.
    fn next_snapshot(&mut self) -> Option<Snapshot> {
        let stored = self.snapshots.newest();
        let fresh = self.machine.checkpoint().map(|(position, snapshot)| {
            let last_log_id = Some(super::types::log_id(position.term, position.index));
            let last_membership = self.membership_at(position.index);
            Snapshot { meta: SnapshotMeta { last_log_id, last_membership }, snapshot }
        });
        match (stored, fresh) {
            (Some(stored), Some(fresh)) if fresh.meta.last_log_id <= stored.meta.last_log_id => Some(stored),
            (stored, None) => stored,
            (_, fresh) => fresh,
        }
    }
}

impl RaftStateMachine<Types> for Adapter {
    type SnapshotData = Bytes;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.last_applied, self.memberships.last().cloned().unwrap_or_default()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<Types>>> + Unpin + Send,
    {
        while let Some(item) = entries.next().await {
            let (entry, responder) = item?;
            let result = self.apply_one(entry.log_id, entry.payload)?;
            if let Some(responder) = responder {
                responder.send(result);
            }
        }
        Ok(())
    }

    async fn try_create_snapshot_builder(&mut self, force: bool) -> Option<Builder> {
        let snapshot = self.next_snapshot();
        if let Some(id) = snapshot.as_ref().and_then(|snapshot| snapshot.meta.last_log_id) {
            let kept = self.membership_at(id.index());
            self.memberships.retain(|stored| stored.log_id() >= kept.log_id());
        }
        // Forced when the log before it is gone already: then there must be one, and its absence is damage to report.
        (snapshot.is_some() || force).then(|| Builder { snapshot, store: Arc::clone(&self.snapshots) })
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder { snapshot: self.next_snapshot(), store: Arc::clone(&self.snapshots) }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: Bytes) -> io::Result<()> {
        self.machine
            .install(meta.last_log_id.as_ref().map(position_of), &snapshot)
            .map_err(io::Error::other)?;
        self.last_applied = meta.last_log_id;
        self.memberships = vec![meta.last_membership.clone()];
        self.snapshots.save(Snapshot { meta: meta.clone(), snapshot })
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        Ok(self.snapshots.newest())
    }
}

/// Writes the snapshot that was fixed when it was made.
pub(crate) struct Builder {
    snapshot: Option<Snapshot>,
    store: Arc<SnapshotStore>,
}

impl RaftSnapshotBuilder<Types> for Builder {
    type SnapshotData = Bytes;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let snapshot = self
            .snapshot
            .take()
            .ok_or_else(|| io::Error::other("no index is covered by published roots yet"))?;
        self.store.save(snapshot.clone())?;
        Ok(snapshot)
    }
}

fn position_of(id: &LogId) -> Position {
    Position { term: id.committed_leader_id().term, index: id.index() }
}

/// The newest snapshot, in memory and (unless the member keeps nothing) in a file.
struct SnapshotStore {
    place: SnapshotPlace,
    newest: Mutex<Option<Snapshot>>,
}

const SNAPSHOT_MAGIC: &[u8; 8] = b"ANNLSNAP";
const SNAPSHOT_VERSION: u8 = 1;

impl SnapshotStore {
    fn open(place: SnapshotPlace) -> io::Result<Self> {
        let newest = match &place {
            SnapshotPlace::Memory => None,
            SnapshotPlace::File(path) => match std::fs::read(path) {
                Ok(bytes) => Some(snapshot_from_bytes(bytes.into()).map_err(io::Error::other)?),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            },
        };
        Ok(Self { place, newest: Mutex::new(newest) })
    }

    fn newest(&self) -> Option<Snapshot> {
        self.newest.lock().expect("no holder of the snapshot lock panics").clone()
    }

    /// Keeps the newer of the stored snapshot and this one.
    fn save(&self, snapshot: Snapshot) -> io::Result<()> {
        let mut newest = self.newest.lock().expect("no holder of the snapshot lock panics");
        if newest.as_ref().is_some_and(|kept| kept.meta.last_log_id >= snapshot.meta.last_log_id) {
            return Ok(());
        }
        if let SnapshotPlace::File(path) = &self.place {
            write_durably(path, &snapshot_to_bytes(&snapshot))?;
        }
        *newest = Some(snapshot);
        Ok(())
    }
}

/// `magic 8 | version u8 | last log id? | membership | state bytes | BLAKE3 of all before, 32`
pub(crate) fn snapshot_to_bytes(snapshot: &Snapshot) -> Bytes {
    let mut out = BytesMut::new();
    out.put_slice(SNAPSHOT_MAGIC);
    out.put_u8(SNAPSHOT_VERSION);
    codec::put_optional_log_id(&mut out, snapshot.meta.last_log_id.as_ref());
    codec::put_stored_membership(&mut out, &snapshot.meta.last_membership);
    put_bytes(&mut out, &snapshot.snapshot);
    let digest = blake3::hash(&out);
    out.put_slice(digest.as_bytes());
    out.freeze()
}

/// # Errors
/// The bytes are damaged or of another version.
pub(crate) fn snapshot_from_bytes(bytes: Bytes) -> Result<Snapshot, Malformed> {
    let body_length = bytes.len().checked_sub(blake3::OUT_LEN).ok_or(Malformed::Short)?;
    if blake3::hash(&bytes[..body_length]).as_bytes()[..] != bytes[body_length..] {
        return Err(Malformed::Unknown { what: "snapshot digest", tag: 0 });
    }
    let mut reader = Reader::new(bytes.slice(..body_length));
    if reader.array::<8>()? != *SNAPSHOT_MAGIC {
        return Err(Malformed::Unknown { what: "snapshot magic", tag: 0 });
    }
    match reader.u8()? {
        SNAPSHOT_VERSION => {}
        version => return Err(Malformed::Unknown { what: "snapshot version", tag: version.into() }),
    }
    let last_log_id = codec::get_optional_log_id(&mut reader)?;
    let last_membership = codec::get_stored_membership(&mut reader)?;
    let snapshot = reader.bytes()?;
    reader.end()?;
    Ok(Snapshot { meta: SnapshotMeta { last_log_id, last_membership }, snapshot })
}
