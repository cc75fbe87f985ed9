//! A table for a terminal. Control characters in values are shown escaped, so that data cannot drive the terminal.

use std::io::Write;

use annals_client::answer::Shape;
use annals_client::{Edn, Row};
use annals_edn::Node;
use annals_wire::v1;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{ContentArrangement, Table};

use super::{Out, Printer, column_names};

/// Collects rows, then prints them with aligned columns.
pub struct TablePrinter {
    out: Out,
    table: Table,
    rows: usize,
}

impl TablePrinter {
    pub fn new(out: Out, header: &v1::ResultHeader) -> TablePrinter {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_header(column_names(header));
        TablePrinter { out, table, rows: 0 }
    }
}

impl Printer for TablePrinter {
    fn row(&mut self, _shape: &Shape, row: Row) -> std::io::Result<()> {
        self.rows += 1;
        self.table.add_row(row.iter().map(cell));
        Ok(())
    }

    fn end(&mut self) -> std::io::Result<()> {
        writeln!(self.out, "{}", self.table)?;
        writeln!(self.out, "{} {}", self.rows, if self.rows == 1 { "row" } else { "rows" })?;
        self.out.flush()
    }
}

fn cell(form: &Edn) -> String {
    let text = match &form.node {
        Node::Str(text) => text.to_string(),
        Node::Nil => String::new(),
        _ => form.to_string(),
    };
    text.chars().flat_map(shown).collect()
}

fn shown(c: char) -> Vec<char> {
    if c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c) {
        c.escape_default().collect()
    } else {
        vec![c]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_escapes_are_defused() {
        let form = Edn::new(Node::Str("\u{1b}[31mred".into()));
        assert_eq!(cell(&form), "\\u{1b}[31mred");
    }
}
