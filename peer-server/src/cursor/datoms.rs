//! Datoms of an index, streamed from the scan.

use annals_edn::Edn;
use annals_peer::db::components::{NamedIndex, Selection, select, select_values};
use annals_peer::db::{Batch, Columns, DatomRef, Db, EntityId, T};
use annals_wire::db::DatomChunk;
use annals_wire::v1;

use super::{Producer, Sink};
use crate::Result;
use crate::stream::Cancel;

/// What is asked of an index.
pub struct Ask {
    /// which index
    pub index: NamedIndex,
    /// exact components, from components on, or a range of values
    pub mode: v1::DatomsMode,
    /// leading components
    pub components: Vec<Edn>,
    /// rows to leave out first
    pub skip: u64,
    /// rows at most
    pub limit: Option<u64>,
}

/// The datoms of a selection, in the order of the index.
pub struct Datoms {
    db: Db,
    selection: Selection,
    skip: u64,
    left: u64,
    cancel: Cancel,
}

impl Datoms {
    /// Resolves the components against `db`.
    ///
    /// # Errors
    /// Of the components: `ATTRIBUTE_NOT_INDEXED`, `INVALID_ARGUMENT`, `INVALID_LOOKUP_REF`.
    pub fn new(db: Db, ask: &Ask, cancel: Cancel) -> Result<Datoms> {
        let selection = match (ask.mode, ask.components.as_slice()) {
            (v1::DatomsMode::Seek, components) => select(&db, ask.index, components, true)?,
            (v1::DatomsMode::Range, [attribute, start, end]) => select_values(&db, attribute, start, end)?,
            (v1::DatomsMode::Range, _) => {
                let message = "a range needs an attribute, a start and an end";
                return Err(annals_edn::Error::new(annals_edn::Code::InvalidArgument, message));
            }
            (_, components) => select(&db, ask.index, components, false)?,
        };
        Ok(Datoms { db, selection, skip: ask.skip, left: ask.limit.unwrap_or(u64::MAX), cancel })
    }
}

impl Producer for Datoms {
    fn header(&self) -> v1::ResultHeader {
        header(&self.db, v1::ResultShape::Datoms, &["e", "a", "v", "tx", "added"])
    }

    fn run(&mut self, out: &mut dyn Sink) -> Result<String> {
        let mut chunk = DatomChunk::new();
        let mut batch = Batch::new(None);
        for range in &self.selection.ranges {
            let mut scan = self.db.scan(range, Columns::ALL);
            while self.left > 0 && scan.next(&mut batch)? {
                // A filter may hide batch after batch.
                if self.cancel.is_set() {
                    return Ok(String::new());
                }
                for row in 0..batch.rows {
                    let datom = datom(&batch, row);
                    if self.selection.t.is_some_and(|t| t != datom.t) {
                        continue;
                    }
                    if self.skip > 0 {
                        self.skip -= 1;
                        continue;
                    }
                    if self.left == 0 {
                        break;
                    }
                    self.left -= 1;
                    chunk.push(datom, |a| ident(&self.db, a));
                }
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

fn datom(batch: &Batch, row: usize) -> DatomRef<'_> {
    DatomRef {
        e: EntityId(batch.e[row]),
        a: annals_peer::db::AttrId(batch.a[row]),
        v: batch.v.get(row),
        t: T(batch.t[row]),
        added: batch.added[row],
    }
}

/// The text of an attribute's ident, without the colon.
pub(crate) fn ident(db: &Db, a: annals_peer::db::AttrId) -> String {
    db.schema().ident(a.entity()).map_or_else(|| a.entity().to_string(), |ident| ident.as_str().to_string())
}

/// The header of a result with these columns.
pub(super) fn header(db: &Db, shape: v1::ResultShape, columns: &[&str]) -> v1::ResultHeader {
    let column = |name: &&str| v1::ColumnInfo { name: (*name).to_string(), r#type: String::new() };
    v1::ResultHeader {
        shape: shape.into(),
        columns: columns.iter().map(column).collect(),
        incarnation: db.incarnation().0.to_be_bytes().to_vec().into(),
        basis_t: db.basis().0,
        ..v1::ResultHeader::default()
    }
}
