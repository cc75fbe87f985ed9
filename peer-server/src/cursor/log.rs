//! The log: datoms by transaction, oldest first.

use annals_peer::db::{Db, T, TxBody};
use annals_wire::db::DatomChunk;
use annals_wire::v1;

use super::datoms::{header, ident};
use super::{Producer, Sink};
use crate::Result;

/// Transactions read at a time.
const TRANSACTIONS: usize = 64;

/// The datoms of the transactions of a range.
pub struct Log {
    db: Db,
    next: T,
    end: T,
    skip: u64,
    left: u64,
}

impl Log {
    /// The transactions from `start` up to but not including `end`, as far as the view of `db` reaches.
    #[must_use]
    pub fn new(db: Db, start: T, end: T, skip: u64, limit: Option<u64>) -> Log {
        let (next, end) = db.log_range(start, end);
        Log { db, next, end, skip, left: limit.unwrap_or(u64::MAX) }
    }

    fn push(&mut self, chunk: &mut DatomChunk, body: &TxBody) -> Result<()> {
        for datom in self.db.log_datoms(body)? {
            if self.skip > 0 {
                self.skip -= 1;
            } else if self.left > 0 {
                self.left -= 1;
                chunk.push(datom.as_ref(), |a| ident(&self.db, a));
            }
        }
        Ok(())
    }
}

impl Producer for Log {
    fn header(&self) -> v1::ResultHeader {
        header(&self.db, v1::ResultShape::Log, &["t", "e", "a", "v", "tx", "added"])
    }

    fn run(&mut self, out: &mut dyn Sink) -> Result<String> {
        let mut chunk = DatomChunk::with_t();
        while self.next < self.end && self.left > 0 {
            let bodies = self.db.log(self.next, self.end, TRANSACTIONS)?;
            let Some(last) = bodies.last() else { break };
            self.next = T(last.t.0 + 1);
            for body in &bodies {
                self.push(&mut chunk, body)?;
                if chunk.bytes() >= out.chunk_bytes() && !out.take(chunk.finish(), true)? {
                    return Ok(String::new());
                }
            }
        }
        if !chunk.is_empty() {
            out.take(chunk.finish(), false)?;
        }
        Ok(String::new())
    }
}
