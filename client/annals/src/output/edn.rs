//! EDN in the shape of the find spec, a row a line.

use std::io::Write;

use annals_client::Row;
use annals_client::answer::Shape;
use annals_edn::writer;
use annals_wire::v1::ResultShape;

use super::{Out, Printer, Sequence};

/// Prints one EDN value.
pub struct EdnPrinter {
    out: Out,
    sequence: Sequence,
    text: String,
}

impl EdnPrinter {
    pub fn new(out: Out, shape: ResultShape) -> EdnPrinter {
        let (open, separator, close, nothing) = match shape {
            ResultShape::Tuple | ResultShape::Scalar => ("", "\n", "", "nil"),
            ResultShape::Set => ("#{", "\n  ", "}", "#{}"),
            _ => ("[", "\n ", "]", "[]"),
        };
        let sequence = Sequence { open, separator, close, nothing, rows: 0 };
        EdnPrinter { out, sequence, text: String::new() }
    }
}

impl Printer for EdnPrinter {
    fn row(&mut self, shape: &Shape, row: Row) -> std::io::Result<()> {
        self.sequence.before(&mut self.out)?;
        self.text.clear();
        writer::write(&mut self.text, &shape.row(row));
        self.out.write_all(self.text.as_bytes())
    }

    fn end(&mut self) -> std::io::Result<()> {
        self.sequence.end(&mut self.out)
    }
}
