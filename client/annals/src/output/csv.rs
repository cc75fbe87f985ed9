//! CSV (RFC 4180) with a line of column names. Text stands bare, everything else as in JSON.

use std::io::Write;

use annals_client::answer::Shape;
use annals_client::{Edn, Row};
use annals_wire::v1;
use serde_json::Value;

use super::json::to_json;
use super::{Out, Printer, column_names};

/// Prints a line of names and a line a row.
pub struct CsvPrinter {
    out: Out,
    names: Option<Vec<String>>,
}

impl CsvPrinter {
    pub fn new(out: Out, header: &v1::ResultHeader) -> CsvPrinter {
        CsvPrinter { out, names: Some(column_names(header)) }
    }

    fn line(&mut self, cells: impl Iterator<Item = String>) -> std::io::Result<()> {
        for (at, cell) in cells.enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(self.out, "{comma}{}", quoted(&cell))?;
        }
        self.out.write_all(b"\r\n")
    }

    fn names(&mut self) -> std::io::Result<()> {
        match self.names.take() {
            Some(names) => self.line(names.into_iter()),
            None => Ok(()),
        }
    }
}

impl Printer for CsvPrinter {
    fn row(&mut self, _shape: &Shape, row: Row) -> std::io::Result<()> {
        self.names()?;
        self.line(row.iter().map(cell))
    }

    fn end(&mut self) -> std::io::Result<()> {
        self.names()?;
        self.out.flush()
    }
}

fn cell(form: &Edn) -> String {
    match to_json(form) {
        Value::Null => String::new(),
        Value::String(text) => text,
        other => other.to_string(),
    }
}

fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_only_where_needed() {
        assert_eq!(quoted("plain"), "plain");
        assert_eq!(quoted("a,\"b\""), "\"a,\"\"b\"\"\"");
    }
}
