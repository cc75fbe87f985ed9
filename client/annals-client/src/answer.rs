//! Rows in the shape that the find spec asked for.

use std::sync::Arc;

use annals_edn::{Edn, Keyword, Node, Symbol};
use annals_wire::v1;

use crate::Result;
use crate::results::{Results, Row};

/// How rows become one EDN value: relation = a set of vectors, or a vector of vectors where rows may repeat;
/// collection = a vector; scalar; tuple; return maps = a set (or vector) of maps; nothing found = `#{}`, `[]` or nil.
#[derive(Clone, Debug)]
pub struct Shape {
    shape: v1::ResultShape,
    keys: Option<Vec<Edn>>,
}

impl Shape {
    /// The shape that a result's header announces.
    #[must_use]
    pub fn of(header: &v1::ResultHeader) -> Shape {
        let keys = header.return_keys.as_ref().map(|keys| {
            let kind = keys.kind();
            keys.names.iter().map(|name| return_key(kind, name)).collect()
        });
        Shape { shape: header.shape(), keys }
    }

    /// One row as it stands in the answer: a vector, a map, or the value itself.
    #[must_use]
    pub fn row(&self, row: Row) -> Edn {
        match (self.shape, &self.keys) {
            (v1::ResultShape::Collection | v1::ResultShape::Scalar, _) => first(row),
            (_, Some(keys)) => Edn::new(Node::Map(keys.iter().cloned().zip(row).collect())),
            _ => Edn::new(Node::Vector(row)),
        }
    }

    /// All rows as one value.
    #[must_use]
    pub fn answer(&self, rows: Vec<Edn>) -> Edn {
        match self.shape {
            v1::ResultShape::Tuple | v1::ResultShape::Scalar => {
                rows.into_iter().next().unwrap_or(Edn::new(Node::Nil))
            }
            v1::ResultShape::Set => Edn::new(Node::Set(rows)),
            _ => Edn::new(Node::Vector(rows)),
        }
    }
}

fn first(row: Row) -> Edn {
    row.into_iter().next().unwrap_or(Edn::new(Node::Nil))
}

fn return_key(kind: v1::ReturnKeyKind, name: &str) -> Edn {
    let text: Arc<str> = name.into();
    Edn::new(match kind {
        v1::ReturnKeyKind::String => Node::Str(text),
        v1::ReturnKeyKind::Symbol => Node::Symbol(Symbol::new(text)),
        _ => Node::Keyword(Keyword::new(text)),
    })
}

impl Results {
    /// Takes all rows and gives them the shape of the find spec.
    ///
    /// # Errors
    /// As [`Results::next`].
    pub async fn answer(mut self) -> Result<Edn> {
        let shape = Shape::of(self.header());
        let mut rows = Vec::new();
        while let Some(row) = self.next().await? {
            rows.push(shape.row(row));
        }
        Ok(shape.answer(rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long(n: i64) -> Edn {
        Edn::new(Node::Long(n))
    }

    fn shape(shape: v1::ResultShape) -> Shape {
        Shape::of(&v1::ResultHeader { shape: shape.into(), ..v1::ResultHeader::default() })
    }

    #[test]
    fn each_shape_and_its_emptiness() {
        let cases = [
            (v1::ResultShape::Set, "#{[1 2]}", "#{}"),
            (v1::ResultShape::Bag, "[[1 2]]", "[]"),
            (v1::ResultShape::Collection, "[1]", "[]"),
            (v1::ResultShape::Tuple, "[1 2]", "nil"),
            (v1::ResultShape::Scalar, "1", "nil"),
        ];
        for (kind, one, none) in cases {
            let shape = shape(kind);
            let row = shape.row(vec![long(1), long(2)]);
            assert_eq!(shape.answer(vec![row]).to_string(), one);
            assert_eq!(shape.answer(Vec::new()).to_string(), none);
        }
    }

    #[test]
    fn return_maps() {
        let keys =
            v1::ReturnKeys { kind: v1::ReturnKeyKind::Keyword.into(), names: vec!["a".into(), "b".into()] };
        let header = v1::ResultHeader {
            shape: v1::ResultShape::Set.into(),
            return_keys: Some(keys),
            ..v1::ResultHeader::default()
        };
        let shape = Shape::of(&header);
        let row = shape.row(vec![long(1), long(2)]);
        assert_eq!(shape.answer(vec![row]).to_string(), "#{{:a 1 :b 2}}");
    }
}
