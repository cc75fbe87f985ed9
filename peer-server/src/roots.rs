//! Published roots, read from the store that the configuration names.

use std::sync::Arc;

use annals_edn::{Code, Error};
use annals_peer::Roots;
use annals_peer::db::segment::{Base, Hash};
use annals_peer::db::{Incarnation, Lineage};
use annals_store::Store;

use crate::Result;

/// The roots of the store at `url`.
///
/// # Errors
/// Those of [`Store::open`].
pub fn open(url: &str) -> Result<Arc<dyn Roots>> {
    Ok(Arc::new(Stored(Store::open(url)?)))
}

struct Stored(Store);

impl Roots for Stored {
    fn open(&self, incarnation: Incarnation, root: &[u8]) -> Result<(Base, Lineage)> {
        let hash = root
            .try_into()
            .map(Hash)
            .map_err(|_| Error::new(Code::Internal, "a root's hash is malformed"))?;
        self.0.open_root(incarnation, hash)
    }
}
