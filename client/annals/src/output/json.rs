//! JSON: keywords as "ns/name", instants as RFC 3339, big numbers as strings, ids as numbers.

use std::io::Write;

use annals_client::answer::Shape;
use annals_client::{Edn, Row};
use annals_edn::{Node, instant};
use annals_wire::v1::ResultShape;
use serde_json::{Map, Number, Value};

use super::{Out, Printer, Sequence};

/// One value as JSON. Sets become arrays; map keys become text; not-a-number and infinities become strings.
pub fn to_json(form: &Edn) -> Value {
    match &form.node {
        Node::Nil => Value::Null,
        Node::Bool(value) => Value::Bool(*value),
        Node::Long(value) => Value::Number((*value).into()),
        Node::Double(value) => {
            Number::from_f64(*value).map_or_else(|| Value::String(named(*value).to_string()), Value::Number)
        }
        Node::BigInt(value) => Value::String(value.to_string()),
        Node::BigDec(value) => Value::String(value.to_plain_string()),
        Node::Char(value) => Value::String(value.to_string()),
        Node::Str(text) => Value::String(text.to_string()),
        Node::Keyword(keyword) => Value::String(keyword.as_str().to_string()),
        Node::Symbol(symbol) => Value::String(symbol.as_str().to_string()),
        Node::Instant(ms) => Value::String(rfc3339(*ms)),
        Node::Uuid(bits) => Value::String(hyphenated(*bits)),
        Node::List(items) | Node::Vector(items) | Node::Set(items) => items.iter().map(to_json).collect(),
        Node::Map(entries) => Value::Object(
            entries.iter().map(|(key, value)| (key_text(key), to_json(value))).collect::<Map<_, _>>(),
        ),
        Node::Tagged(tag, form) => tagged(tag.as_str(), form),
    }
}

/// What JSON has no number for, by the names that JavaScript has.
fn named(value: f64) -> &'static str {
    match value {
        _ if value.is_nan() => "NaN",
        _ if value > 0.0 => "Infinity",
        _ => "-Infinity",
    }
}

fn key_text(key: &Edn) -> String {
    match to_json(key) {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// `#uri`, `#bytes` and `#float` stand for the value itself; any other tag stays as EDN text.
fn tagged(tag: &str, form: &Edn) -> Value {
    match tag {
        "uri" | "bytes" | "float" => to_json(form),
        _ => Value::String(format!("#{tag} {form}")),
    }
}

fn rfc3339(ms: i64) -> String {
    let mut text = String::new();
    instant::write(&mut text, ms).expect("writing to a string cannot fail");
    let bare = text.trim_start_matches("#inst ").trim_matches('"');
    format!("{}Z", bare.trim_end_matches("-00:00").trim_end_matches('Z'))
}

fn hyphenated(bits: u128) -> String {
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Prints one JSON value: an array of arrays, of objects or of values, or a single value.
pub struct JsonPrinter {
    out: Out,
    sequence: Sequence,
}

impl JsonPrinter {
    pub fn new(out: Out, shape: ResultShape) -> JsonPrinter {
        let (open, separator, close, nothing) = match shape {
            ResultShape::Tuple | ResultShape::Scalar => ("", "\n", "", "null"),
            _ => ("[", ",\n ", "]", "[]"),
        };
        JsonPrinter { out, sequence: Sequence { open, separator, close, nothing, rows: 0 } }
    }
}

impl Printer for JsonPrinter {
    fn row(&mut self, shape: &Shape, row: Row) -> std::io::Result<()> {
        self.sequence.before(&mut self.out)?;
        write!(self.out, "{}", to_json(&shape.row(row)))
    }

    fn end(&mut self) -> std::io::Result<()> {
        self.sequence.end(&mut self.out)
    }
}

/// Prints one JSON value a line.
pub struct NdjsonPrinter {
    out: Out,
}

impl NdjsonPrinter {
    pub fn new(out: Out) -> NdjsonPrinter {
        NdjsonPrinter { out }
    }
}

impl Printer for NdjsonPrinter {
    fn row(&mut self, shape: &Shape, row: Row) -> std::io::Result<()> {
        writeln!(self.out, "{}", to_json(&shape.row(row)))
    }

    fn end(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use annals_edn::read_one;

    use super::*;

    #[test]
    fn every_type() {
        let cases = [
            (":a/b", "\"a/b\""),
            ("12345678901234567890N", "\"12345678901234567890\""),
            ("1.50M", "\"1.50\""),
            ("17592186045418", "17592186045418"),
            ("#inst \"2020-01-02T03:04:05.678Z\"", "\"2020-01-02T03:04:05.678Z\""),
            ("#uuid \"f81d4fae-7dec-11d0-a765-00a0c91e6bf6\"", "\"f81d4fae-7dec-11d0-a765-00a0c91e6bf6\""),
            ("{:a/b [1 nil] \"c\" #{true}}", "{\"a/b\":[1,null],\"c\":[true]}"),
            ("##NaN", "\"NaN\""),
            ("##-Inf", "\"-Infinity\""),
            ("{:b 1 :a 2}", "{\"b\":1,\"a\":2}"),
            ("#uri \"http://x\"", "\"http://x\""),
        ];
        for (edn, json) in cases {
            assert_eq!(to_json(&read_one(edn).unwrap()).to_string(), json, "{edn}");
        }
    }
}
