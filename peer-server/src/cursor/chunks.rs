//! Batches of the engine to chunks of the wire: small batches are gathered, large ones cut.

use std::ops::Range;

use annals_edn::{Edn, Node};
use annals_peer::db::Column;
use annals_peer::query::{Datum, DatumColumn, RowBatch};
use annals_wire::db::column_to_wire;
use annals_wire::v1::column::Kind;
use annals_wire::value::from_edn;
use annals_wire::{Message, v1};

use super::Sink;
use crate::Result;

/// Batches of fewer rows are gathered until they are this many.
const GATHERED_ROWS: usize = 512;
/// The most bytes of a chunk that holds more than one row: what every client accepts.
const CHUNK_BYTES_HARD: usize = 1 << 20;

/// Rows to send, a column for each find element.
pub struct Batch {
    /// how many rows
    pub rows: usize,
    /// by find element
    pub columns: Vec<Cells>,
}

/// One column.
pub enum Cells {
    /// what the engine computed
    Data(DatumColumn),
    /// what was pulled
    Forms(Vec<Edn>),
}

impl From<RowBatch> for Batch {
    fn from(batch: RowBatch) -> Batch {
        Batch { rows: batch.rows, columns: batch.columns.into_iter().map(Cells::Data).collect() }
    }
}

/// Chunks under construction.
pub struct Chunks {
    left: u64,
    gathered: Option<Batch>,
}

impl Chunks {
    /// At most `limit` rows.
    #[must_use]
    pub fn new(limit: u64) -> Chunks {
        Chunks { left: limit, gathered: None }
    }

    /// True when no more rows may follow.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.left == 0
    }

    /// Rows taken and not handed over yet.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.gathered.as_ref().map_or(0, |gathered| gathered.rows as u64)
    }

    /// Takes a batch; false when `out` wants no more.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn take(&mut self, batch: impl Into<Batch>, out: &mut dyn Sink) -> Result<bool> {
        let mut batch = batch.into();
        batch.rows = batch.rows.min(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= batch.rows as u64;
        match &mut self.gathered {
            Some(gathered) => append(gathered, batch),
            None => self.gathered = Some(batch),
        }
        match self.gathered.take_if(|gathered| gathered.rows >= GATHERED_ROWS) {
            Some(full) => emit(&full, true, out),
            None => Ok(true),
        }
    }

    /// Hands over what is left.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn end(self, out: &mut dyn Sink) -> Result<()> {
        if let Some(rest) = self.gathered.filter(|rest| rest.rows > 0) {
            emit(&rest, false, out)?;
        }
        Ok(())
    }
}

/// The columns of both are of the same query, so they are of the same kind.
fn append(to: &mut Batch, from: Batch) {
    for (to, cells) in to.columns.iter_mut().zip(from.columns) {
        match (to, cells) {
            (Cells::Data(to), Cells::Data(data)) => {
                (0..from.rows).for_each(|row| to.push(data.get(row)));
            }
            (Cells::Forms(to), Cells::Forms(forms)) => to.extend(forms.into_iter().take(from.rows)),
            _ => {}
        }
    }
    to.rows += from.rows;
}

/// Cuts a batch into chunks of about the size asked for.
fn emit(batch: &Batch, more: bool, out: &mut dyn Sink) -> Result<bool> {
    let bytes: usize = batch.columns.iter().map(|column| weight(column, batch.rows)).sum();
    let rows = (batch.rows * out.chunk_bytes() / bytes.max(1)).clamp(1, batch.rows);
    let mut at = 0;
    while at < batch.rows {
        let end = (at + rows).min(batch.rows);
        if !emit_range(batch, at..end, more || end < batch.rows, out)? {
            return Ok(false);
        }
        at = end;
    }
    Ok(true)
}

/// One chunk, halved while it is larger than clients accept.
fn emit_range(batch: &Batch, rows: Range<usize>, more: bool, out: &mut dyn Sink) -> Result<bool> {
    let columns = batch.columns.iter().map(|column| to_wire(column, rows.clone())).collect();
    let chunk = v1::Chunk { row_count: rows.len() as u32, columns, ..v1::Chunk::default() };
    if rows.len() == 1 || chunk.encoded_len() <= CHUNK_BYTES_HARD {
        return out.take(chunk, more);
    }
    let middle = rows.start + rows.len() / 2;
    Ok(emit_range(batch, rows.start..middle, true, out)? && emit_range(batch, middle..rows.end, more, out)?)
}

fn to_wire(column: &Cells, rows: Range<usize>) -> v1::Column {
    match column {
        Cells::Forms(forms) => {
            let values = forms[rows].iter().map(from_edn).collect();
            v1::Column { kind: Some(Kind::Values(v1::ValueList { values })) }
        }
        Cells::Data(DatumColumn::Stored(column)) => column_to_wire(column, rows),
        Cells::Data(DatumColumn::Any(data)) => {
            let values = data[rows].iter().map(|datum| from_edn(&datum.to_edn())).collect();
            v1::Column { kind: Some(Kind::Values(v1::ValueList { values })) }
        }
    }
}

/// About how many bytes a column takes.
fn weight(cells: &Cells, rows: usize) -> usize {
    let column = match cells {
        Cells::Forms(forms) => return forms.iter().map(weight_of_form).sum(),
        Cells::Data(column) => column,
    };
    match column {
        DatumColumn::Stored(Column::Boolean(_)) => rows,
        DatumColumn::Stored(Column::Uuid(_)) => rows * 16,
        DatumColumn::Stored(Column::Keyword(text) | Column::String(text)) => {
            (0..rows).map(|row| text.bytes(row).len() + 2).sum()
        }
        DatumColumn::Stored(Column::Mixed(_)) => rows * 24,
        DatumColumn::Stored(_) => rows * 8,
        DatumColumn::Any(data) => data.iter().map(weight_of).sum(),
    }
}

fn weight_of_form(form: &Edn) -> usize {
    match &form.node {
        Node::Str(text) => text.len() + 4,
        Node::List(items) | Node::Vector(items) | Node::Set(items) => {
            4 + items.iter().map(weight_of_form).sum::<usize>()
        }
        Node::Map(entries) => {
            4 + entries.iter().map(|(key, value)| weight_of_form(key) + weight_of_form(value)).sum::<usize>()
        }
        _ => 16,
    }
}

fn weight_of(datum: &Datum) -> usize {
    match datum {
        Datum::Vector(items) | Datum::Set(items) => 4 + items.iter().map(weight_of).sum::<usize>(),
        Datum::Map(entries) => {
            4 + entries.iter().map(|(key, value)| weight_of(key) + weight_of(value)).sum::<usize>()
        }
        _ => 16,
    }
}
