//! The order of one stream of transactions: what a refusal, or any other answer but a commit, cuts off.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use annals_edn::{Code, Error};

/// What the requests of one stream share. Once one of them is answered otherwise than by a commit, none behind it is
/// applied. Clones are one.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    ended: Arc<AtomicBool>,
}

impl Chain {
    /// True once nothing more of it will be applied.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Set before the answer is told, so that whoever hears it finds the chain ended.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    pub(super) fn is(&self, other: &Chain) -> bool {
        Arc::ptr_eq(&self.ended, &other.ended)
    }
}

/// What a request is told that stood behind a refused one.
pub(super) fn not_applied() -> Error {
    Error::new(Code::NotApplied, "a transaction before it in its stream was not committed")
        .hint("send it again, under the same id, once that one is dealt with")
}
