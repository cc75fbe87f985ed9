//! How results are printed. EDN, JSON, NDJSON and CSV leave as rows arrive; a table waits for its column widths.

pub mod csv;
pub mod edn;
pub mod json;
pub mod steps;
pub mod table;

use std::io::{BufWriter, Write};

use annals_client::Row;
use annals_client::answer::Shape;
use annals_wire::v1;

use crate::args::Format;

/// Takes the rows of one result and prints them to standard output.
pub trait Printer {
    /// Takes one row.
    fn row(&mut self, shape: &Shape, row: Row) -> std::io::Result<()>;
    /// Prints what is left.
    fn end(&mut self) -> std::io::Result<()>;
}

/// Where printers write.
type Out = BufWriter<std::io::Stdout>;

/// The printer of a format for a result with that header.
pub fn printer(format: Format, header: &v1::ResultHeader) -> Box<dyn Printer> {
    let out = BufWriter::with_capacity(1 << 16, std::io::stdout());
    match format {
        Format::Edn => Box::new(edn::EdnPrinter::new(out, header.shape())),
        Format::Json => Box::new(json::JsonPrinter::new(out, header.shape())),
        Format::Ndjson => Box::new(json::NdjsonPrinter::new(out)),
        Format::Csv => Box::new(csv::CsvPrinter::new(out, header)),
        Format::Table => Box::new(table::TablePrinter::new(out, header)),
    }
}

/// The brackets of an answer and what stands between its elements, or nothing for a single value.
struct Sequence {
    open: &'static str,
    separator: &'static str,
    close: &'static str,
    nothing: &'static str,
    rows: usize,
}

impl Sequence {
    fn before(&mut self, out: &mut impl Write) -> std::io::Result<()> {
        let text = if self.rows == 0 { self.open } else { self.separator };
        self.rows += 1;
        out.write_all(text.as_bytes())
    }

    fn end(&mut self, out: &mut impl Write) -> std::io::Result<()> {
        let text = if self.rows == 0 { self.nothing } else { self.close };
        writeln!(out, "{text}")?;
        out.flush()
    }
}

/// The names of a result's columns.
fn column_names(header: &v1::ResultHeader) -> Vec<String> {
    match &header.return_keys {
        Some(keys) => keys.names.clone(),
        None => header.columns.iter().map(|column| column.name.clone()).collect(),
    }
}
