//! Published roots, read from the store that a URL names.

use std::sync::Arc;

use annals_db::segment::{Base, Hash};
use annals_db::{Incarnation, Lineage};
use annals_edn::{Code, Error};
use annals_store::Store;

use crate::Result;
use crate::databases::Roots;

/// The roots of the store at `url`.
///
/// # Errors
/// Those of [`Store::open`].
pub fn stored(url: &str) -> Result<Arc<dyn Roots>> {
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
