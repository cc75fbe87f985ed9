//! The log: what one transaction is once it is decided, as bytes and as a row of the transaction table.

use std::sync::Arc;

use crate::Result;
use crate::datom::Datom;
use crate::id::{EntityId, T};

/// A decided transaction: the row of the transaction table and the datoms. Its `:db/txInstant` is `instant`, not a
/// datom of the list.
#[derive(Clone, Debug, PartialEq)]
pub struct TxBody {
    /// its number
    pub t: T,
    /// `:db/txInstant`, milliseconds since 1970
    pub instant: i64,
    /// the transaction id that the client chose
    pub client_id: Option<u128>,
    /// 64-bit hash of the request bytes, to tell a resend from a reuse of the id
    pub request_hash: u64,
    /// the database's entity counter after this transaction
    pub next_counter: u64,
    /// named tempids and what they became
    pub tempids: Vec<(Arc<str>, EntityId)>,
    /// the datoms, retractions before assertions within an `[e a]`
    pub datoms: Vec<Datom>,
}

impl TxBody {
    /// The frozen bytes: what goes into the Raft log, the feed and the log leaves. Digest and lineage are over these.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        unimplemented!()
    }

    /// Reads what [`TxBody::encode`] wrote.
    ///
    /// # Errors
    /// `DATA_LOSS` on any other bytes.
    pub fn decode(_bytes: &[u8]) -> Result<TxBody> {
        unimplemented!()
    }
}
