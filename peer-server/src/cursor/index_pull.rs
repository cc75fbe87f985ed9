//! A pattern pulled along an index, streamed as the walk goes on.

use annals_edn::{Code, Error, read_one};
use annals_peer::db::{Db, Index};
use annals_peer::query::{IndexPull, Pattern, Pull};
use annals_wire::v1;

use super::chunks::{Batch, Cells, Chunks};
use super::datoms::header;
use super::{Producer, Sink};
use crate::Result;
use crate::stream::Cancel;

/// Entities pulled in one go.
const PULLED: usize = 256;

/// A walk that has not begun.
pub struct Walked {
    db: Db,
    asked: IndexPull,
    cancel: Cancel,
}

impl Walked {
    /// Resolves the request against `db`, without its first `skip` rows, at most `limit`.
    ///
    /// # Errors
    /// Of the selector and the start: `INVALID_PULL`, `ATTRIBUTE_NOT_INDEXED`; `INVALID_VIEW` for a history.
    pub fn new(
        db: Db,
        request: &v1::IndexPullRequest,
        (skip, limit): (u64, Option<u64>),
        cancel: Cancel,
    ) -> Result<Walked> {
        let index = match request.index() {
            v1::IndexKind::Avet => Index::Avet,
            v1::IndexKind::Aevt => Index::Aevt,
            _ => return Err(Error::new(Code::InvalidPull, "index-pull walks avet or aevt")),
        };
        let start = request.start.iter().map(|text| read_one(text)).collect::<Result<Vec<_>>>()?;
        let selector = read_one(&request.selector)?;
        Pattern::parse(&selector)?;
        // The start is a text of its own, which a span does not tell from the selector.
        let asked = IndexPull::new(&db, index, &selector, &start).map_err(Error::without_span)?;
        Pull::new(&db, &asked.selector)?;
        let count = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let asked =
            IndexPull { reverse: request.reverse, offset: count(skip), limit: limit.map(count), ..asked };
        Ok(Walked { db, asked, cancel })
    }
}

impl Producer for Walked {
    fn header(&self) -> v1::ResultHeader {
        header(&self.db, v1::ResultShape::Collection, &["entity"])
    }

    fn run(&mut self, out: &mut dyn Sink) -> Result<String> {
        let mut pull = Pull::new(&self.db, &self.asked.selector)?.cancelled_by(self.cancel.flag());
        let mut walk = self.asked.walk(&self.db)?;
        let mut chunks = Chunks::new(u64::MAX);
        loop {
            let entities = walk.next(PULLED)?;
            if entities.is_empty() {
                break;
            }
            let columns = vec![Cells::Forms(pull.run(&entities)?)];
            if !chunks.take(Batch { rows: entities.len(), columns }, out)? || self.cancel.is_set() {
                return Ok(String::new());
            }
        }
        chunks.end(out)?;
        Ok(String::new())
    }
}
