//! A store: its files and the port over them.

use std::path::Path;
use std::sync::Arc;

use annals_db::segment::{Base, Hash, SegmentPort};
use annals_db::{Incarnation, Lineage};
use annals_edn::{Code, Error};

use crate::Result;
use crate::cache::{CachedPort, DEFAULT_CACHE_BYTES};
use crate::files::Files;
use crate::sink::Sink;

/// A place of segments and roots. Clones share it.
#[derive(Clone)]
pub struct Store {
    files: Arc<Files>,
    port: Arc<CachedPort>,
}

impl Store {
    /// Opens the store that `url` names, making it if need be.
    ///
    /// # Errors
    /// `CONFIG` for a URL of another kind; those of the directory.
    pub fn open(url: &str) -> Result<Store> {
        let Some(dir) = url.strip_prefix("file://").filter(|dir| dir.starts_with('/')) else {
            return Err(Error::new(Code::Config, format!("'{url}' names no store of this version"))
                .hint("write file:///absolute/directory"));
        };
        let files = Arc::new(Files::open(Path::new(dir))?);
        let port = Arc::new(CachedPort::new(files.clone(), DEFAULT_CACHE_BYTES));
        Ok(Store { files, port })
    }

    /// Where database values read their segments.
    #[must_use]
    pub fn port(&self) -> Arc<dyn SegmentPort> {
        self.port.clone()
    }

    #[cfg(test)]
    pub(crate) fn cache_weight(&self) -> u64 {
        self.port.weight()
    }

    /// Where an index job puts its segments; all are durable when its `flush` returns.
    #[must_use]
    pub fn sink(&self) -> Sink<'_> {
        Sink::new(&self.files)
    }

    /// The trees below a root, and the chain up to it.
    ///
    /// # Errors
    /// `DIVERGED` when the root is of another database; those of the port.
    pub fn open_root(&self, incarnation: Incarnation, root: Hash) -> Result<(Base, Lineage)> {
        let base = Base::open(root, self.port())?;
        if base.incarnation() != incarnation {
            return Err(Error::new(Code::Diverged, "the root is of another database").with("root", root));
        }
        let lineage = Lineage(base.root.lineage);
        Ok((base, lineage))
    }

    /// Names root number `number`.
    ///
    /// # Errors
    /// `DIVERGED` when the number has another root; those of the directory.
    pub fn put_root(&self, incarnation: Incarnation, number: u64, root: &Hash) -> Result<()> {
        self.files.put_root(incarnation, number, root)
    }

    /// The newest root at or after number `from`: a reader with nothing but the store finds its way with it.
    ///
    /// # Errors
    /// Those of the directory.
    pub fn newest_root(&self, incarnation: Incarnation, from: u64) -> Result<Option<(u64, Hash)>> {
        let mut newest = None;
        let mut number = from.max(1);
        while let Some(hash) = self.files.root_hash(incarnation, number)? {
            newest = Some((number, hash));
            number += 1;
        }
        Ok(newest)
    }
}
