//! The data sets of the suites: those of `../shared/data` where they are, else generated ones of the same shape.
//!
//! The shared folder lies beside the workspace, or where `$ANNALS_SHARED` says. Generated data come from fixed seeds.

pub mod catalogue;
pub mod graphs;
pub mod people;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Where a data set came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// the shared folder
    Shared,
    /// this machine's package index, by the shared script
    PackageIndex,
    /// a fixed seed
    Generated,
}

impl Origin {
    /// For the report.
    pub fn note(self) -> &'static str {
        match self {
            Origin::Shared => "shared data",
            Origin::PackageIndex => "data from this machine's package index",
            Origin::Generated => "generated data of the same shape; the shared data are not here",
        }
    }
}

/// A data set and where it came from.
pub struct Data<T> {
    /// the set
    pub set: T,
    /// its source
    pub origin: Origin,
}

/// A file or folder among the shared data, if it is there.
pub fn shared(name: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = std::env::var_os("ANNALS_SHARED").map_or(beside, PathBuf::from);
    Some(folder.join("data").join(name)).filter(|path| path.exists())
}

/// Reads a file whole.
pub fn text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// A folder for files of this process, gone when dropped.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes an empty folder under the folder for temporary files.
    pub fn new(name: &str) -> Result<Scratch> {
        Scratch::new_in(&std::env::temp_dir(), name)
    }

    /// Makes an empty folder in `parent`.
    pub fn new_in(parent: &Path, name: &str) -> Result<Scratch> {
        let path = parent.join(format!("annals-bench-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Scratch(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
