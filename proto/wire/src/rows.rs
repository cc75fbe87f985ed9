//! Reading the rows of a chunk, cell by cell.
//!
//! [`Rows::new`] checks a chunk once, so that a hostile or damaged one cannot make a later access fail; then every cell
//! is O(1) and borrowed.

use annals_edn::{Code, Edn, Error, Keyword, Node, Symbol};

use crate::v1;
use crate::v1::TextKind;
use crate::v1::column::Kind;
use crate::value::{self, invalid};

/// One cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    /// An entity id.
    Ref(u64),
    /// A long.
    Long(i64),
    /// Milliseconds since 1970.
    Instant(i64),
    /// A double.
    Double(f64),
    /// A float.
    Float(f32),
    /// A boolean.
    Bool(bool),
    /// A uuid.
    Uuid(u128),
    /// A string.
    String(&'a str),
    /// A keyword, without the colon.
    Keyword(&'a str),
    /// A symbol.
    Symbol(&'a str),
    /// A URI.
    Uri(&'a str),
    /// A bigint in decimal digits.
    BigInt(&'a str),
    /// A bigdec in decimal notation.
    BigDec(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// Anything else, nil included.
    Value(&'a v1::Value),
}

/// A checked chunk.
pub struct Rows<'a> {
    len: usize,
    columns: Vec<Column<'a>>,
}

enum Column<'a> {
    Refs(&'a [u64]),
    Longs(&'a [i64]),
    Instants(&'a [i64]),
    Doubles(&'a [f64]),
    Floats(&'a [f32]),
    Bools(&'a [bool]),
    Uuids(&'a [u8]),
    Texts(Texts<'a>),
    Dictionary(Texts<'a>, &'a [u32]),
    Values(&'a [v1::Value]),
}

/// A text column with the ends of its texts; UTF-8 is checked whole and at each end.
struct Texts<'a> {
    kind: TextKind,
    data: &'a [u8],
    ends: Vec<usize>,
}

impl<'a> Rows<'a> {
    /// Checks the chunk: every column is of known kind and has every row.
    ///
    /// # Errors
    /// [`Code::InvalidArgument`].
    pub fn new(chunk: &'a v1::Chunk) -> Result<Self, Error> {
        let len = chunk.row_count as usize;
        let columns = chunk.columns.iter().map(Column::new).collect::<Result<Vec<_>, _>>()?;
        match columns.iter().all(|column| column.len() == len) {
            true => Ok(Self { len, columns }),
            false => Err(Error::new(Code::InvalidArgument, "the columns of a chunk differ in length")),
        }
    }

    /// Rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// True without rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Columns.
    #[must_use]
    pub fn width(&self) -> usize {
        self.columns.len()
    }

    /// The cell of a row and column. Panics outside [`Rows::len`] and [`Rows::width`]. O(1).
    #[must_use]
    pub fn cell(&self, row: usize, column: usize) -> Cell<'_> {
        self.columns[column].cell(row)
    }

    /// The cell as EDN. Panics as [`Rows::cell`].
    ///
    /// # Errors
    /// [`Code::InvalidArgument`] if a number on the wire is not one.
    pub fn edn(&self, row: usize, column: usize) -> Result<Edn, Error> {
        Ok(match self.cell(row, column) {
            Cell::Ref(id) => Node::Long(id.cast_signed()),
            Cell::Long(value) => Node::Long(value),
            Cell::Instant(millis) => Node::Instant(millis),
            Cell::Double(value) => Node::Double(value),
            Cell::Float(value) => value::float_node(value),
            Cell::Bool(value) => Node::Bool(value),
            Cell::Uuid(bits) => Node::Uuid(bits),
            Cell::String(text) => Node::Str(text.into()),
            Cell::Keyword(text) => Node::Keyword(Keyword::new(text)),
            Cell::Symbol(text) => Node::Symbol(Symbol::new(text)),
            Cell::Uri(text) => value::uri_node(text),
            Cell::BigInt(text) => Node::BigInt(value::bigint(text)?.into()),
            Cell::BigDec(text) => Node::BigDec(value::bigdec(text)?.into()),
            Cell::Bytes(bytes) => value::bytes_node(bytes),
            Cell::Value(value) => return value::to_edn(value),
        }
        .into())
    }

    /// A whole row as EDN.
    ///
    /// # Errors
    /// As [`Rows::edn`].
    pub fn row(&self, row: usize) -> Result<Vec<Edn>, Error> {
        (0..self.width()).map(|column| self.edn(row, column)).collect()
    }
}

impl<'a> Column<'a> {
    fn new(column: &'a v1::Column) -> Result<Self, Error> {
        let Some(kind) = &column.kind else { return Err(invalid("column", "unknown kind")) };
        Ok(match kind {
            Kind::Refs(column) => Column::Refs(&column.ids),
            Kind::Longs(column) => Column::Longs(&column.values),
            Kind::Instants(column) => Column::Instants(&column.millis),
            Kind::Doubles(column) => Column::Doubles(&column.values),
            Kind::Floats(column) => Column::Floats(&column.values),
            Kind::Bools(column) => Column::Bools(&column.values),
            Kind::Uuids(bytes) if bytes.len() % 16 == 0 => Column::Uuids(bytes),
            Kind::Uuids(bytes) => return Err(invalid("uuid column", format!("{} bytes", bytes.len()))),
            Kind::Texts(column) => Column::Texts(Texts::new(column)?),
            Kind::Dictionary(column) => dictionary(column)?,
            Kind::Values(column) => Column::Values(&column.values),
        })
    }

    fn len(&self) -> usize {
        match self {
            Column::Refs(column) => column.len(),
            Column::Longs(column) | Column::Instants(column) => column.len(),
            Column::Doubles(column) => column.len(),
            Column::Floats(column) => column.len(),
            Column::Bools(column) => column.len(),
            Column::Uuids(bytes) => bytes.len() / 16,
            Column::Texts(texts) => texts.ends.len(),
            Column::Dictionary(_, codes) => codes.len(),
            Column::Values(values) => values.len(),
        }
    }

    fn cell(&self, row: usize) -> Cell<'_> {
        match self {
            Column::Refs(column) => Cell::Ref(column[row]),
            Column::Longs(column) => Cell::Long(column[row]),
            Column::Instants(column) => Cell::Instant(column[row]),
            Column::Doubles(column) => Cell::Double(column[row]),
            Column::Floats(column) => Cell::Float(column[row]),
            Column::Bools(column) => Cell::Bool(column[row]),
            Column::Uuids(bytes) => {
                let exact = bytes[row * 16..][..16].try_into().expect("a slice of sixteen");
                Cell::Uuid(u128::from_be_bytes(exact))
            }
            Column::Texts(texts) => texts.cell(row),
            Column::Dictionary(texts, codes) => texts.cell(codes[row] as usize),
            Column::Values(values) => Cell::Value(&values[row]),
        }
    }
}

fn dictionary(column: &v1::DictionaryColumn) -> Result<Column<'_>, Error> {
    let Some(entries) = &column.entries else { return Err(invalid("dictionary", "no entries")) };
    let texts = Texts::new(entries)?;
    match column.codes.iter().find(|&&code| code as usize >= texts.ends.len()) {
        Some(code) => Err(invalid("dictionary", format!("no entry {code}"))),
        None => Ok(Column::Dictionary(texts, &column.codes)),
    }
}

impl<'a> Texts<'a> {
    fn new(column: &'a v1::TextColumn) -> Result<Self, Error> {
        let kind = column.kind();
        if kind == TextKind::Unspecified {
            return Err(invalid("text column", "unknown kind"));
        }
        let mut ends = Vec::with_capacity(column.lengths.len());
        let mut end = 0_usize;
        for &len in &column.lengths {
            end += len as usize;
            ends.push(end);
        }
        if end != column.data.len() {
            return Err(invalid("text column", format!("{end} of {} bytes", column.data.len())));
        }
        if kind != TextKind::Bytes {
            let text = std::str::from_utf8(&column.data).map_err(|error| invalid("text", error))?;
            if ends.iter().any(|&end| !text.is_char_boundary(end)) {
                return Err(invalid("text", "a length ends within a character"));
            }
        }
        Ok(Self { kind, data: &column.data, ends })
    }

    fn cell(&self, index: usize) -> Cell<'a> {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        let bytes = &self.data[start..self.ends[index]];
        if self.kind == TextKind::Bytes {
            return Cell::Bytes(bytes);
        }
        let text = std::str::from_utf8(bytes).expect("it was checked when the rows were made");
        match self.kind {
            TextKind::Keyword => Cell::Keyword(text),
            TextKind::Symbol => Cell::Symbol(text),
            TextKind::Uri => Cell::Uri(text),
            TextKind::Bigint => Cell::BigInt(text),
            TextKind::Bigdec => Cell::BigDec(text),
            TextKind::String | TextKind::Bytes | TextKind::Unspecified => Cell::String(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(kind: TextKind, parts: &[&str]) -> v1::TextColumn {
        v1::TextColumn {
            kind: kind as i32,
            data: parts.concat().into(),
            lengths: parts.iter().map(|part| part.len() as u32).collect(),
        }
    }

    fn chunk(rows: u32, columns: Vec<Kind>) -> v1::Chunk {
        let columns = columns.into_iter().map(|kind| v1::Column { kind: Some(kind) }).collect();
        v1::Chunk { row_count: rows, columns, ..Default::default() }
    }

    #[test]
    fn cells_are_what_was_sent() {
        let entries = Some(texts(TextKind::Keyword, &["a/b", "c"]));
        let chunk = chunk(
            2,
            vec![
                Kind::Refs(v1::RefColumn { ids: vec![7, 8] }),
                Kind::Texts(texts(TextKind::String, &["", "é"])),
                Kind::Dictionary(v1::DictionaryColumn { entries, codes: vec![1, 0] }),
                Kind::Uuids(vec![0; 32].into()),
                Kind::Values(v1::ValueList { values: vec![v1::Value { kind: None }; 2] }),
            ],
        );
        let rows = Rows::new(&chunk).expect("a sound chunk");
        assert_eq!((rows.len(), rows.width()), (2, 5));
        let shown = |row| rows.row(row).expect("EDN").iter().map(ToString::to_string).collect::<Vec<_>>();
        let nil_uuid = "#uuid \"00000000-0000-0000-0000-000000000000\"";
        assert_eq!(shown(0), ["7", "\"\"", ":c", nil_uuid, "nil"]);
        assert_eq!(shown(1), ["8", "\"é\"", ":a/b", nil_uuid, "nil"]);
    }

    #[test]
    fn unsound_chunks_are_refused() {
        let split = v1::TextColumn { kind: TextKind::String as i32, data: "é".into(), lengths: vec![1, 1] };
        let entries = Some(texts(TextKind::Keyword, &["a"]));
        for (rows, kind) in [
            (1, Kind::Refs(v1::RefColumn { ids: vec![] })),
            (2, Kind::Texts(split)),
            (1, Kind::Texts(v1::TextColumn { lengths: vec![5], ..texts(TextKind::String, &["a"]) })),
            (1, Kind::Texts(texts(TextKind::Unspecified, &["a"]))),
            (1, Kind::Uuids(vec![0; 15].into())),
            (1, Kind::Dictionary(v1::DictionaryColumn { entries, codes: vec![1] })),
        ] {
            let error = Rows::new(&chunk(rows, vec![kind.clone()])).err().expect("unsound");
            assert_eq!(error.code(), Code::InvalidArgument, "{kind:?}");
        }
    }
}
