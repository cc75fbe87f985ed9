//! A directory of write-once files. Plain `std::fs`: readers are synchronous, and a thread that blocks on a read does so
//! with one system call instead of a detour over an async runtime.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use annals_db::segment::port::missing;
use annals_db::{Incarnation, segment::Hash};
use annals_edn::{Code, Error};

use crate::Result;

const FORMAT: &str = "annals store 1\n";

/// The files of one store.
pub struct Files {
    dir: PathBuf,
    /// makes temporary names unique within the process
    next: AtomicU64,
}

impl Files {
    /// Opens the directory, or makes it.
    ///
    /// # Errors
    /// `FORMAT_UNSUPPORTED` for a store of another format, `STORAGE`, `DISK_FULL`.
    pub fn open(dir: &Path) -> Result<Files> {
        let files = Files { dir: dir.to_path_buf(), next: AtomicU64::new(0) };
        fs::create_dir_all(dir).map_err(|error| failed(dir, &error))?;
        files.create(&dir.join("format"), FORMAT.as_bytes())?;
        match fs::read_to_string(dir.join("format")) {
            Ok(format) if format == FORMAT => Ok(files),
            Ok(format) => Err(Error::new(
                Code::FormatUnsupported,
                format!(
                    "{} holds '{}', this version reads '{}'",
                    dir.display(),
                    format.trim(),
                    FORMAT.trim()
                ),
            )),
            Err(error) => Err(failed(dir, &error)),
        }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn segment(&self, hash: &Hash) -> PathBuf {
        let hex = hash.to_hex();
        self.dir.join("seg").join(&hex[..2]).join(hex)
    }

    fn root(&self, incarnation: Incarnation, number: u64) -> PathBuf {
        self.dir.join("roots").join(format!("{:032x}", incarnation.0)).join(number.to_string())
    }

    /// The stored bytes of a segment.
    ///
    /// # Errors
    /// `SEGMENT_UNAVAILABLE` when it is not there, `STORAGE`.
    pub fn segment_bytes(&self, hash: &Hash) -> Result<Vec<u8>> {
        let path = self.segment(hash);
        fs::read(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => missing(hash),
            _ => failed(&path, &error),
        })
    }

    /// Names a root; durable when this returns. The first to take a number keeps it.
    ///
    /// # Errors
    /// `STORAGE`, `DISK_FULL`; `DIVERGED` when the number has another root.
    pub fn put_root(&self, incarnation: Incarnation, number: u64, root: &Hash) -> Result<()> {
        self.create(&self.root(incarnation, number), root.to_hex().as_bytes())?;
        match self.root_hash(incarnation, number)? {
            Some(held) if held == *root => Ok(()),
            _ => Err(Error::new(Code::Diverged, format!("root {number} is another one already"))),
        }
    }

    /// Root number `number`, if it is there.
    ///
    /// # Errors
    /// `STORAGE`; `DATA_LOSS` when the file holds no hash.
    pub fn root_hash(&self, incarnation: Incarnation, number: u64) -> Result<Option<Hash>> {
        let path = self.root(incarnation, number);
        match fs::read_to_string(&path) {
            Ok(text) => Hash::from_hex(text.trim())
                .map(Some)
                .ok_or_else(|| Error::new(Code::DataLoss, format!("{} holds no hash", path.display()))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&path, &error)),
        }
    }

    /// Creates `path` with `bytes` unless it is there.
    fn create(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        if path.exists() {
            return Ok(());
        }
        self.create_whole(path, bytes).map_err(|error| failed(path, &error))
    }

    fn create_whole(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let folder = path.parent().expect("every file of a store is in a folder");
        make_folder(folder)?;
        let (draft, mut file) = self.draft()?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        let linked = written.and_then(|()| match fs::hard_link(&draft, path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            _ => File::open(folder)?.sync_all(),
        });
        let removed = fs::remove_file(&draft);
        linked.and(removed)
    }
}

impl Files {
    /// A new file under a temporary name. Processes in containers that share a directory can have the same id, so a
    /// name that is taken, by another process or one that died, is passed over.
    pub(crate) fn draft(&self) -> io::Result<(PathBuf, File)> {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let draft = self.dir.join(format!("draft-{}-{number}", std::process::id()));
            match File::options().write(true).create_new(true).open(&draft) {
                Ok(file) => return Ok((draft, file)),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Makes a folder and its parents durable before anything is put into it.
fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().expect("a store is not the root of the file system");
    make_folder(parent)?;
    match fs::create_dir(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => File::open(parent)?.sync_all(),
    }
}

pub(crate) fn failed(path: &Path, error: &io::Error) -> Error {
    let code = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Code::DiskFull,
        _ => Code::Storage,
    };
    Error::new(code, format!("{}: {error}", path.display()))
}
