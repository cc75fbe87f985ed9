//! The port of a store: decoded segments, weighted in bytes, fetched once however many ask at a time.

use std::sync::Arc;

use annals_db::segment::{Hash, Segment, SegmentPort};
use annals_edn::Error;
use moka::sync::Cache;

use crate::Result;
use crate::files::Files;

/// What the cache may hold unless told otherwise.
pub const DEFAULT_CACHE_BYTES: u64 = 512 << 20;

/// Segments of a store, verified and decoded.
pub struct CachedPort {
    files: Arc<Files>,
    cache: Cache<Hash, Arc<Segment>>,
}

impl CachedPort {
    /// At most about `bytes` of decoded segments stay in memory.
    #[must_use]
    pub fn new(files: Arc<Files>, bytes: u64) -> CachedPort {
        let weigh = |_: &Hash, segment: &Arc<Segment>| u32::try_from(segment.weight()).unwrap_or(u32::MAX);
        CachedPort { files, cache: Cache::builder().max_capacity(bytes).weigher(weigh).build() }
    }

    /// Bytes of what is held, as it was weighed last.
    #[cfg(test)]
    pub(crate) fn weight(&self) -> u64 {
        self.cache.run_pending_tasks();
        self.cache.weighted_size()
    }

    fn fetch(&self, hash: &Hash) -> Result<Arc<Segment>> {
        let stored = self.files.segment_bytes(hash)?;
        Segment::decode(hash, &stored).map(Arc::new)
    }
}

impl SegmentPort for CachedPort {
    fn get(&self, hashes: &[Hash]) -> Result<Vec<Arc<Segment>>> {
        let one = |hash: &Hash| {
            self.cache.try_get_with(*hash, || self.fetch(hash)).map_err(|error: Arc<Error>| (*error).clone())
        };
        hashes.iter().map(one).collect()
    }

    fn grown(&self, hash: &Hash) {
        // Taken in anew, it is weighed anew.
        if let Some(segment) = self.cache.get(hash) {
            self.cache.insert(*hash, segment);
        }
    }
}
