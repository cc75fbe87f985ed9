//! Who a data directory belongs to. The directory is locked against a second process, and `node.json` in it says which
//! member of which cluster wrote it, so that a member whose log vanished is refused instead of voting twice.
//!
//! ```text
//! DIR/lock        held for the life of the process
//! DIR/node.json   format, cluster_id, node_id, instance, initialized
//! DIR/raft/       the log          DIR/snapshot   the newest snapshot
//! ```

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use annals_edn::{Code, Error};
use serde::{Deserialize, Serialize};

/// The number of this directory layout and of the formats in it.
pub const DATA_FORMAT: u32 = 1;

/// The identity that `node.json` records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    format: u32,
    cluster_id: String,
    node_id: u64,
    /// Random, drawn when the directory was first used.
    instance: String,
    /// Set, durably, before the first vote: from then on an empty log means a lost one.
    initialized: bool,
}

/// A locked data directory of a known member.
pub(crate) struct DataDir {
    dir: PathBuf,
    identity: Identity,
    /// Dropping it lets the next process in.
    _lock: File,
}

impl DataDir {
    /// Locks `dir`, creating it if needed, and checks that it is this member's.
    ///
    /// # Errors
    /// `DATA_DIR_LOCKED`, `DATA_DIR_INVALID` (another member's), `FORMAT_UNSUPPORTED`, `STORAGE`.
    pub(crate) fn open(dir: &Path, cluster_id: &str, node_id: u64) -> Result<Self, Error> {
        fs::create_dir_all(dir).map_err(|error| storage(dir, &error))?;
        let lock = lock(dir)?;
        let identity = match read_identity(dir)? {
            Some(identity) => checked(identity, dir, cluster_id, node_id)?,
            None => Identity {
                format: DATA_FORMAT,
                cluster_id: cluster_id.to_owned(),
                node_id,
                instance: uuid::Uuid::new_v4().to_string(),
                initialized: false,
            },
        };
        let this = Self { dir: dir.to_owned(), identity, _lock: lock };
        this.save()?;
        Ok(this)
    }

    pub(crate) fn log_dir(&self) -> PathBuf {
        self.dir.join("raft")
    }

    pub(crate) fn snapshot_path(&self) -> PathBuf {
        self.dir.join("snapshot")
    }

    /// Refuses a log that is empty although this member voted before; otherwise records that it may vote from now on.
    ///
    /// # Errors
    /// `DAMAGED_LOG`, `STORAGE`.
    pub(crate) fn admit(&mut self, log_is_empty: bool) -> Result<(), Error> {
        if self.identity.initialized && log_is_empty {
            let message =
                format!("the log of node {} in {} is gone", self.identity.node_id, self.dir.display());
            return Err(Error::new(Code::DamagedLog, message)
                .hint("wipe the directory and let the node join again under a new node id"));
        }
        if !self.identity.initialized {
            self.identity.initialized = true;
            self.save()?;
        }
        Ok(())
    }

    fn save(&self) -> Result<(), Error> {
        let text = serde_json::to_vec_pretty(&self.identity).expect("an identity has only plain fields");
        write_durably(&self.dir.join("node.json"), &text).map_err(|error| storage(&self.dir, &error))
    }
}

fn lock(dir: &Path) -> Result<File, Error> {
    let path = dir.join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|error| storage(&path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let message = format!("data directory {} is in use by another process", dir.display());
            Err(Error::new(Code::DataDirLocked, message)
                .hint("stop that process or choose another directory"))
        }
        Err(TryLockError::Error(error)) => Err(storage(&path, &error)),
    }
}

fn read_identity(dir: &Path) -> Result<Option<Identity>, Error> {
    let path = dir.join("node.json");
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(storage(&path, &error)),
    };
    let identity = serde_json::from_slice(&text).map_err(|error| {
        Error::new(Code::DataDirInvalid, format!("{} cannot be read: {error}", path.display()))
    })?;
    Ok(Some(identity))
}

fn checked(identity: Identity, dir: &Path, cluster_id: &str, node_id: u64) -> Result<Identity, Error> {
    if identity.format != DATA_FORMAT {
        let message = format!(
            "{} has data format {}, this version writes {DATA_FORMAT}",
            dir.display(),
            identity.format
        );
        return Err(Error::new(Code::FormatUnsupported, message));
    }
    if identity.cluster_id != cluster_id || identity.node_id != node_id {
        let owner = format!("node {} of cluster {}", identity.node_id, identity.cluster_id);
        let message =
            format!("{} belongs to {owner}, not to node {node_id} of cluster {cluster_id}", dir.display());
        return Err(Error::new(Code::DataDirInvalid, message));
    }
    Ok(identity)
}

/// Replaces the file at `path` so that after a crash either the old or the new content is there, whole.
pub(crate) fn write_durably(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

pub(crate) fn storage(path: &Path, error: &io::Error) -> Error {
    let code = if error.kind() == io::ErrorKind::StorageFull { Code::DiskFull } else { Code::Storage };
    Error::new(code, format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_serves_one_process_and_one_member() {
        let dir = tempfile::tempdir().unwrap();
        let held = DataDir::open(dir.path(), "c", 1).unwrap();
        let code = |result: Result<DataDir, Error>| result.map(drop).unwrap_err().code();
        assert_eq!(code(DataDir::open(dir.path(), "c", 1)), Code::DataDirLocked);
        drop(held);
        assert_eq!(code(DataDir::open(dir.path(), "c", 2)), Code::DataDirInvalid);
        assert_eq!(code(DataDir::open(dir.path(), "other", 1)), Code::DataDirInvalid);
        DataDir::open(dir.path(), "c", 1).unwrap();
    }

    #[test]
    fn a_member_that_voted_and_lost_its_log_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        DataDir::open(dir.path(), "c", 1).unwrap().admit(true).unwrap();
        let mut again = DataDir::open(dir.path(), "c", 1).unwrap();
        assert_eq!(again.admit(true).unwrap_err().code(), Code::DamagedLog);
        again.admit(false).unwrap();
    }
}
