//! What the transactor asks of the database engine: values that advance by transactions. The product's engine stands
//! behind it; tests put a simpler one there.

use annals_db::{Incarnation, Limits, Options};
use annals_edn::{Code, Error};
use annals_wire::v1;
use bytes::Bytes;

use crate::intake::Receipt;
use crate::machine::{Lineage, RootRef, Tx};

/// One client's transaction as it arrived.
#[derive(Clone, Debug)]
pub struct Request {
    /// The id that the client chose.
    pub tx_id: u128,
    /// 64-bit hash of `tx_data`, to tell a resend from a reuse of the id.
    pub request_hash: u64,
    /// EDN text.
    pub tx_data: Bytes,
}

impl Request {
    /// Takes the hash of `tx_data`.
    #[must_use]
    pub fn new(tx_id: u128, tx_data: Bytes) -> Self {
        let mut first = [0; 8];
        first.copy_from_slice(&blake3::hash(&tx_data).as_bytes()[..8]);
        Self { tx_id, request_hash: u64::from_le_bytes(first), tx_data }
    }
}

/// A transaction decided on a value: what goes into the log, and the value after it.
#[derive(Clone, Debug)]
pub struct Decision<V> {
    /// The database after it.
    pub after: V,
    /// Its number.
    pub t: u64,
    /// Its entry.
    pub tx: Tx,
}

/// A committed transaction found by its client's id.
#[derive(Clone, Debug)]
pub struct Known {
    /// Its number.
    pub t: u64,
    /// The hash of the bytes that it was made from.
    pub request_hash: u64,
    /// The encoded `TxBody`.
    pub body: Bytes,
}

/// What an index build is told.
#[derive(Clone, Debug)]
pub struct IndexJob {
    /// Whose index.
    pub incarnation: Incarnation,
    /// The build's number: the log index of its start. In every segment's header.
    pub build: u64,
    /// The root to build upon.
    pub base: Option<RootRef>,
    /// The number of the new root.
    pub number: u64,
    /// The chain up to the value's t.
    pub lineage: Lineage,
}

/// Database values and what turns one into the next. All calls are pure but for reads of immutable segments.
pub trait Engine: Send + Sync + 'static {
    /// A database value: immutable, cheap to clone.
    type Value: Clone + Send + Sync + 'static;

    /// What one transaction may be, for those who speculate.
    fn limits(&self) -> Limits {
        Limits::default()
    }

    /// A database at t 0.
    fn empty(&self, incarnation: Incarnation, options: Options) -> Self::Value;

    /// A database at a published root.
    ///
    /// # Errors
    /// The store does not have it, or not whole.
    fn open(&self, incarnation: Incarnation, options: Options, root: &RootRef) -> Result<Self::Value, Error>;

    /// The value after a committed transaction that continues it.
    ///
    /// # Errors
    /// The body is damaged or does not continue `value`.
    fn apply(&self, value: &Self::Value, body: &Bytes) -> Result<Self::Value, Error>;

    /// Decides a request on `value` at the clock `now_ms`.
    ///
    /// # Errors
    /// The refusal.
    fn evaluate(
        &self,
        value: &Self::Value,
        request: &Request,
        now_ms: i64,
    ) -> Result<Decision<Self::Value>, Error>;

    /// The transaction that `tx_id` became in `value`.
    ///
    /// # Errors
    /// Only of the store.
    fn find(&self, value: &Self::Value, tx_id: u128) -> Result<Option<Known>, Error>;

    /// Whether there is a store to build an index in. Without, the log is all there is, and is never cut.
    fn indexes(&self) -> bool {
        false
    }

    /// Writes the index of `value` upon the root of `job`, durable before it returns. Runs where it may block.
    ///
    /// # Errors
    /// Of the store; what was written is garbage then.
    fn build(&self, value: &Self::Value, job: &IndexJob) -> Result<RootRef, Error> {
        let _ = (value, job);
        Err(Error::new(Code::Unsupported, "this engine builds no index"))
    }

    /// `value` as it is, read from `root` with the transactions after it as novelty. Runs where it may block.
    ///
    /// # Errors
    /// The store does not have the root, or not whole.
    fn rebase(&self, value: &Self::Value, root: &RootRef) -> Result<Self::Value, Error> {
        let _ = (value, root);
        Err(Error::new(Code::Unsupported, "this engine builds no index"))
    }

    /// What a client is told of a committed transaction, with its datoms if asked for; `value` is any later value of
    /// the same database.
    ///
    /// # Errors
    /// The body is damaged.
    fn report(
        &self,
        value: &Self::Value,
        receipt: &Receipt,
        datoms: bool,
    ) -> Result<v1::TransactionReport, Error>;
}
