//! Where an index job puts its segments: many at a time are written, then made durable together, then named.
//!
//! Writing all before syncing any lets one commit of the file system's journal serve them all; segment by segment, each
//! would wait for its own. Drafts of a job that is abandoned are removed when its sink is dropped.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use annals_db::build::SegmentSink;
use annals_db::segment::Hash;

use crate::Result;
use crate::files::{Files, failed};

/// Drafts that wait before they are made durable unasked; bounds what a job leaves behind when its process dies.
const MAX_DRAFTS: usize = 512;

/// Puts segments into a store.
pub struct Sink<'a> {
    files: &'a Files,
    /// written under temporary names, not durable yet
    drafts: Vec<(PathBuf, Hash)>,
}

impl<'a> Sink<'a> {
    pub(crate) fn new(files: &'a Files) -> Sink<'a> {
        Sink { files, drafts: Vec::new() }
    }

    fn settle(&self) -> io::Result<()> {
        for (draft, _) in &self.drafts {
            File::open(draft)?.sync_all()?;
        }
        let mut folders = BTreeSet::new();
        for (draft, hash) in &self.drafts {
            let path = self.files.segment(hash);
            let folder = path.parent().expect("every segment is in a folder");
            fs::create_dir_all(folder)?;
            match fs::hard_link(draft, &path) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
                _ => folders.extend(folder.ancestors().take(3).map(Path::to_path_buf)),
            }
        }
        folders.iter().try_for_each(|folder| File::open(folder)?.sync_all())
    }
}

impl SegmentSink for Sink<'_> {
    fn put(&mut self, hash: Hash, stored: &[u8]) -> Result<()> {
        let write = || {
            let (draft, mut file) = self.files.draft()?;
            file.write_all(stored).map(|()| draft)
        };
        let draft = write().map_err(|error| failed(self.files.dir(), &error))?;
        self.drafts.push((draft, hash));
        if self.drafts.len() >= MAX_DRAFTS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        self.settle().map_err(|error| failed(self.files.dir(), &error))?;
        for (draft, _) in self.drafts.drain(..) {
            fs::remove_file(&draft).map_err(|error| failed(&draft, &error))?;
        }
        Ok(())
    }
}

impl Drop for Sink<'_> {
    fn drop(&mut self) {
        for (draft, _) in &self.drafts {
            // What cannot be removed stays as a file that nothing reads.
            fs::remove_file(draft).unwrap_or_default();
        }
    }
}
