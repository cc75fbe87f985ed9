//! Where a result stands: tokens that any peer can go on from, the producers of chunks, and runs kept for the next call.

mod chunks;
pub mod datoms;
pub mod index_pull;
pub mod log;
pub mod parked;
pub mod query;
pub mod token;

use annals_wire::v1;

use self::token::Lead;
use crate::Result;

/// Makes the chunks of one result, in order, on a thread of its own.
pub trait Producer {
    /// What the columns are, and the basis.
    fn header(&self) -> v1::ResultHeader;

    /// Hands every row to `out`, chunk by chunk, and answers with what the run cost, as EDN, if that was asked for.
    /// Stops early, without an error, when `out` wants no more.
    ///
    /// # Errors
    /// The result's own.
    fn run(&mut self, out: &mut dyn Sink) -> Result<String>;
}

/// Which rows of a result are asked for.
pub struct Window {
    /// rows to leave out
    pub skip: u64,
    /// rows at most
    pub limit: Option<u64>,
    /// from where the rows left out need not be made, if known
    pub lead: Option<Lead>,
}

/// Where chunks go. Tokens and counts are its business.
pub trait Sink {
    /// About how many bytes a chunk should have.
    fn chunk_bytes(&self) -> usize;

    /// Takes a chunk; false when nobody wants more. `more` says that rows are likely to follow: then the chunk leaves
    /// at once, else it may wait for the end.
    ///
    /// # Errors
    /// `DEADLINE_EXCEEDED`, `STREAM_STALLED`.
    fn take(&mut self, chunk: v1::Chunk, more: bool) -> Result<bool>;

    /// Notes that a run can begin at `lead` to go on behind the next `ahead` rows.
    fn mark(&mut self, ahead: u64, lead: Lead);
}
