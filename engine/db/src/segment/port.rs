//! How segments reach the engine: a synchronous port. Fetching, verifying, decoding and caching lie behind it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use annals_edn::{Code, Error};
use rustc_hash::FxHashMap;

use super::{Hash, Segment};
use crate::Result;

/// Segments by name. Called on threads that may block (a query pool), never on the workers of an async runtime.
pub trait SegmentPort: Send + Sync {
    /// The segments called `hashes`, in that order, verified and decoded.
    ///
    /// # Errors
    /// `SEGMENT_UNAVAILABLE` when nobody answers or has it, `DATA_LOSS` when the bytes are not the named ones.
    fn get(&self, hashes: &[Hash]) -> Result<Vec<Arc<Segment>>>;

    /// A hint that these will be asked for soon.
    fn prefetch(&self, _hashes: &[Hash]) {}

    /// Says that a segment became heavier since it was handed out: a cache weighs it anew.
    fn grown(&self, _hash: &Hash) {}
}

/// Segments in memory: for tests, for databases that live in one process, and as a staging place.
#[derive(Default)]
pub struct MemoryPort {
    segments: Mutex<FxHashMap<Hash, Held>>,
}

struct Held {
    stored: Arc<[u8]>,
    decoded: Option<Arc<Segment>>,
}

impl MemoryPort {
    /// Keeps the stored bytes of a segment under their name.
    pub fn put(&self, hash: Hash, stored: &[u8]) {
        let held = Held { stored: stored.into(), decoded: None };
        self.segments.lock().unwrap_or_else(PoisonError::into_inner).entry(hash).or_insert(held);
    }

    /// The names and stored bytes, in no order.
    #[must_use]
    pub fn all(&self) -> Vec<(Hash, Arc<[u8]>)> {
        let held = self.segments.lock().unwrap_or_else(PoisonError::into_inner);
        held.iter().map(|(hash, held)| (*hash, held.stored.clone())).collect()
    }
}

impl SegmentPort for MemoryPort {
    fn get(&self, hashes: &[Hash]) -> Result<Vec<Arc<Segment>>> {
        let mut segments = self.segments.lock().unwrap_or_else(PoisonError::into_inner);
        let mut one = |hash: &Hash| {
            let held = segments.get_mut(hash).ok_or_else(|| missing(hash))?;
            if held.decoded.is_none() {
                held.decoded = Some(Arc::new(Segment::decode(hash, &held.stored)?));
            }
            Ok(held.decoded.clone().expect("decoded above"))
        };
        hashes.iter().map(&mut one).collect()
    }
}

/// How many segments were asked for, and how many bytes they take decoded. Shared by everything that counts together.
#[derive(Debug, Default)]
pub struct Reads {
    segments: AtomicU64,
    bytes: AtomicU64,
}

impl Reads {
    /// Segments and bytes so far.
    #[must_use]
    pub fn so_far(&self) -> (u64, u64) {
        (self.segments.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }
}

/// A port that counts what goes through another one, whether that has it at hand or fetches it.
pub(crate) struct CountingPort {
    pub(crate) port: Arc<dyn SegmentPort>,
    pub(crate) reads: Arc<Reads>,
}

impl SegmentPort for CountingPort {
    fn get(&self, hashes: &[Hash]) -> Result<Vec<Arc<Segment>>> {
        let found = self.port.get(hashes)?;
        let bytes: usize = found.iter().map(|segment| segment.weight()).sum();
        self.reads.segments.fetch_add(found.len() as u64, Ordering::Relaxed);
        self.reads.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(found)
    }

    fn prefetch(&self, hashes: &[Hash]) {
        self.port.prefetch(hashes);
    }
}

/// The error of a segment that nobody has.
#[must_use]
pub fn missing(hash: &Hash) -> Error {
    Error::new(Code::SegmentUnavailable, "a segment of the database is not in the store")
        .with("segment", hash)
}
