//! EDN and values on the wire.
//!
//! EDN has fewer types than values: a ref reads as a long, a tuple as a vector, and a float, a URI and bytes are tagged
//! `#float 1.5`, `#uri "…"`, `#bytes "base64"`. Parts nested more than [`NESTING_MAX`] levels deep travel as text.

use std::str::FromStr;
use std::sync::Arc;

use annals_edn::{Code, Edn, Error, Keyword, Node, Symbol};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;
use bytes::Bytes;

use crate::v1;
use crate::v1::value::Kind;

/// How deep values nest as messages. Protobuf runtimes stop at 100 messages, and a level takes two.
pub const NESTING_MAX: usize = 32;

/// A form as a value. Linear in its size.
#[must_use]
pub fn from_edn(form: &Edn) -> v1::Value {
    v1::Value { kind: kind(&form.node, 0) }
}

fn kind(node: &Node, depth: usize) -> Option<Kind> {
    Some(match node {
        Node::Nil => return None,
        Node::Bool(value) => Kind::BooleanValue(*value),
        Node::Char(value) => Kind::CharValue(u32::from(*value)),
        Node::Long(value) => Kind::LongValue(*value),
        Node::BigInt(value) => Kind::BigintValue(value.to_string()),
        Node::Double(value) => Kind::DoubleValue(*value),
        Node::BigDec(value) => Kind::BigdecValue(bigdec_text(value)),
        Node::Str(text) => Kind::StringValue(text.as_ref().to_owned()),
        Node::Keyword(keyword) => Kind::KeywordValue(keyword.as_str().to_owned()),
        Node::Symbol(symbol) => Kind::SymbolValue(symbol.as_str().to_owned()),
        Node::Instant(millis) => Kind::InstantValue(*millis),
        Node::Uuid(bits) => Kind::UuidValue(uuid_bytes(*bits)),
        composite if depth >= NESTING_MAX => Kind::EdnValue(composite.to_string()),
        Node::List(items) => Kind::ListValue(list(items, depth + 1)),
        Node::Vector(items) => Kind::VectorValue(list(items, depth + 1)),
        Node::Set(items) => Kind::SetValue(list(items, depth + 1)),
        Node::Map(entries) => Kind::MapValue(map(entries, depth + 1)),
        Node::Tagged(tag, form) => tagged(tag, form, depth + 1),
    })
}

fn list(items: &[Edn], depth: usize) -> v1::ValueList {
    v1::ValueList { values: items.iter().map(|item| v1::Value { kind: kind(&item.node, depth) }).collect() }
}

fn map(entries: &[(Edn, Edn)], depth: usize) -> v1::ValueMap {
    let value = |form: &Edn| v1::Value { kind: kind(&form.node, depth) };
    let (keys, values) = entries.iter().map(|(key, form)| (value(key), value(form))).unzip();
    v1::ValueMap { keys, values }
}

fn tagged(tag: &Symbol, form: &Edn, depth: usize) -> Kind {
    match (tag.as_str(), &form.node) {
        ("float", Node::Double(value)) => Kind::FloatValue(*value as f32),
        ("uri", Node::Str(text)) => Kind::UriValue(text.as_ref().to_owned()),
        ("bytes", Node::Str(text)) if let Ok(bytes) = STANDARD.decode(text.as_bytes()) => {
            Kind::BytesValue(bytes.into())
        }
        _ => Kind::TaggedValue(Box::new(v1::TaggedValue {
            tag: tag.as_str().to_owned(),
            value: Some(Box::new(v1::Value { kind: kind(&form.node, depth) })),
        })),
    }
}

/// A value as a form. Linear in its size.
///
/// # Errors
/// [`Code::InvalidArgument`] if a number, character or uuid is not one.
pub fn to_edn(value: &v1::Value) -> Result<Edn, Error> {
    let Some(kind) = &value.kind else { return Ok(Node::Nil.into()) };
    let node = match kind {
        Kind::StringValue(text) => Node::Str(text.as_str().into()),
        Kind::KeywordValue(text) => Node::Keyword(Keyword::new(text.as_str())),
        Kind::SymbolValue(text) => Node::Symbol(Symbol::new(text.as_str())),
        Kind::BooleanValue(value) => Node::Bool(*value),
        Kind::LongValue(value) => Node::Long(*value),
        Kind::BigintValue(text) => Node::BigInt(Arc::new(bigint(text)?)),
        Kind::DoubleValue(value) => Node::Double(*value),
        Kind::FloatValue(value) => float_node(*value),
        Kind::BigdecValue(text) => Node::BigDec(Arc::new(bigdec(text)?)),
        Kind::InstantValue(millis) => Node::Instant(*millis),
        Kind::UuidValue(bytes) => Node::Uuid(uuid(bytes)?),
        Kind::UriValue(text) => uri_node(text),
        Kind::BytesValue(bytes) => bytes_node(bytes),
        Kind::RefValue(id) => Node::Long(id.cast_signed()),
        Kind::CharValue(code) => Node::Char(char::from_u32(*code).ok_or_else(|| invalid("character", code))?),
        Kind::ListValue(list) => Node::List(forms(&list.values)?),
        Kind::TupleValue(list) | Kind::VectorValue(list) => Node::Vector(forms(&list.values)?),
        Kind::SetValue(list) => Node::Set(forms(&list.values)?),
        Kind::MapValue(map) => Node::Map(entries(map)?),
        Kind::TaggedValue(tagged) => Node::Tagged(
            Symbol::new(tagged.tag.as_str()),
            Box::new(to_edn(tagged.value.as_deref().unwrap_or(&v1::Value { kind: None }))?),
        ),
        Kind::EdnValue(text) => return annals_edn::read_one(text),
    };
    Ok(node.into())
}

fn forms(values: &[v1::Value]) -> Result<Vec<Edn>, Error> {
    values.iter().map(to_edn).collect()
}

fn entries(map: &v1::ValueMap) -> Result<Vec<(Edn, Edn)>, Error> {
    if map.keys.len() != map.values.len() {
        return Err(invalid("map", format!("{} keys, {} values", map.keys.len(), map.values.len())));
    }
    map.keys.iter().zip(&map.values).map(|(key, value)| Ok((to_edn(key)?, to_edn(value)?))).collect()
}

/// `#float 1.5`
pub(crate) fn float_node(value: f32) -> Node {
    // The shortest decimal that reads back as this float, not the float's exact value as a double.
    let shortest = value.to_string().parse().unwrap_or(f64::from(value));
    Node::Tagged(Symbol::new("float"), Box::new(Node::Double(shortest).into()))
}

/// `#uri "…"`
pub(crate) fn uri_node(text: &str) -> Node {
    Node::Tagged(Symbol::new("uri"), Box::new(Node::Str(text.into()).into()))
}

/// `#bytes "base64"`
pub(crate) fn bytes_node(bytes: &[u8]) -> Node {
    Node::Tagged(Symbol::new("bytes"), Box::new(Node::Str(STANDARD.encode(bytes).into()).into()))
}

pub(crate) fn uuid_bytes(bits: u128) -> Bytes {
    Bytes::copy_from_slice(&bits.to_be_bytes())
}

pub(crate) fn uuid(bytes: &[u8]) -> Result<u128, Error> {
    let exact: [u8; 16] = bytes.try_into().map_err(|_| invalid("uuid", format!("{} bytes", bytes.len())))?;
    Ok(u128::from_be_bytes(exact))
}

pub(crate) fn bigint(text: &str) -> Result<BigInt, Error> {
    BigInt::from_str(text).map_err(|_| invalid("bigint", text))
}

/// As EDN writes it, without the `M`: an exponent stays one, so that `1E+300M` is short.
pub(crate) fn bigdec_text(value: &Arc<BigDecimal>) -> String {
    let mut text = Node::BigDec(value.clone()).to_string();
    text.pop();
    text
}

pub(crate) fn bigdec(text: &str) -> Result<BigDecimal, Error> {
    BigDecimal::from_str(text).map_err(|_| invalid("bigdec", text))
}

pub(crate) fn invalid(what: &str, found: impl std::fmt::Display) -> Error {
    Error::new(Code::InvalidArgument, format!("not a {what} on the wire: {found}"))
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    fn round(text: &str) -> String {
        let form = annals_edn::read_one(text).expect(text);
        let bytes = from_edn(&form).encode_to_vec();
        let value = v1::Value::decode(bytes.as_slice()).expect("what was encoded decodes");
        to_edn(&value).expect("what was made of EDN is EDN").to_string()
    }

    #[test]
    fn forms_survive_the_wire() {
        for text in [
            "nil",
            "true",
            "\\a",
            "-42",
            "42N",
            "123456789012345678901234567890N",
            "1.5",
            "##NaN",
            "##-Inf",
            "1.50M",
            "1E+300M",
            "-1.5E-300M",
            "\"é\\n\"",
            ":a/b",
            "?x",
            "#inst \"2020-01-02T03:04:05.006Z\"",
            "#uuid \"00000000-0000-0000-0000-0000000000ff\"",
            "(1 [2 #{3 {:a nil}}])",
            "#float 1.1",
            "#uri \"https://example.com\"",
            "#bytes \"AAH/\"",
            "#my/tag {:a 1}",
        ] {
            assert_eq!(round(text), annals_edn::read_one(text).expect(text).to_string(), "{text}");
        }
    }

    #[test]
    fn deep_nesting_travels_as_text_and_decodes() {
        for depth in [NESTING_MAX - 1, NESTING_MAX, NESTING_MAX + 1, 100] {
            let text = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
            assert_eq!(round(&text), text, "{depth}");
            let text = format!("{}1{}", "{:a ".repeat(depth), "}".repeat(depth));
            assert_eq!(round(&text), text, "{depth}");
        }
    }

    #[test]
    fn malformed_values_are_refused() {
        for kind in [
            Kind::BigintValue("x".into()),
            Kind::BigdecValue("1.2.3".into()),
            Kind::UuidValue(Bytes::from_static(b"short")),
            Kind::CharValue(0xD800),
            Kind::MapValue(v1::ValueMap { keys: vec![v1::Value { kind: None }], values: vec![] }),
        ] {
            let error = to_edn(&v1::Value { kind: Some(kind) }).expect_err("malformed");
            assert_eq!(error.code(), Code::InvalidArgument);
        }
    }
}
