//! The hash chain over a database's transactions, by which replicas and peers prove that they hold the same history.

use std::fmt;

/// The chain up to some transaction; all zero before the first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lineage(pub [u8; 16]);

impl Lineage {
    /// The chain after a transaction whose encoded body is `body`: the first half of BLAKE3(this, BLAKE3(body)).
    #[must_use]
    pub fn next(self, body: &[u8]) -> Lineage {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0);
        hasher.update(blake3::hash(body).as_bytes());
        let mut out = [0; 16];
        out.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        Lineage(out)
    }
}

impl fmt::Debug for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
