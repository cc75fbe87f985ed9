//! The log: datoms by transaction, oldest first.

use annals_peer::db::{Db, T, TxBody};
use annals_wire::db::DatomChunk;
use annals_wire::v1;
use annals_wire::v1::value::Kind;

use super::datoms::{header, ident};
use super::token::{self, Lead};
use super::{Producer, Sink, Window};
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
    ///
    /// # Errors
    /// `CURSOR_INVALID` for a lead that no log made.
    pub fn new(db: Db, start: T, end: T, window: &Window) -> Result<Log> {
        let (first, end) = db.log_range(start, end);
        let left = window.limit.unwrap_or(u64::MAX);
        let Some(lead) = &window.lead else {
            return Ok(Log { db, next: first, end, skip: window.skip, left });
        };
        let Some(Kind::LongValue(t)) = lead.value()?.kind else { return Err(token::damaged()) };
        let next = T(t.try_into().map_err(|_| token::damaged())?).max(first);
        Ok(Log { db, next, end, skip: lead.rows, left })
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

/// Where a run goes on behind a transaction.
fn behind(t: T) -> v1::Value {
    v1::Value { kind: Some(Kind::LongValue(i64::try_from(t.0 + 1).unwrap_or(i64::MAX))) }
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
                if chunk.bytes() < out.chunk_bytes() {
                    continue;
                }
                if self.skip == 0 {
                    out.mark(chunk.len() as u64, Lead::new(&behind(body.t), 0));
                }
                if !out.take(chunk.finish(), true)? {
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
