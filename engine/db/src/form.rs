//! Values as forms: what results, datoms and reports show. [`crate::identify::literal`] reads them back.

use annals_edn::{Edn, Node, Symbol};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::value::{Value, ValueRef};

/// The form of a value: a ref as its entity id, a tuple as a vector, `#float`, `#uri` and `#bytes` for what EDN has no
/// literal for. Text, bytes and big numbers that `value` owns are shared where EDN can share them.
#[must_use]
pub fn form(value: &Value) -> Edn {
    match value {
        Value::String(text) => Edn::string(text.clone()),
        Value::Keyword(keyword) => Edn::new(Node::Keyword(keyword.clone())),
        Value::Symbol(symbol) => Edn::new(Node::Symbol(symbol.clone())),
        other => form_ref(&other.as_ref()),
    }
}

/// [`form`] of a borrowed value; text is copied.
#[must_use]
pub fn form_ref(value: &ValueRef<'_>) -> Edn {
    match *value {
        ValueRef::Boolean(x) => Edn::bool(x),
        ValueRef::Long(x) => Edn::long(x),
        ValueRef::Ref(e) => Edn::long(e.as_long()),
        ValueRef::BigInt(x) => Edn::new(Node::BigInt(x.clone())),
        ValueRef::Float(x) => Edn::tagged("float", Edn::double(shortest(x))),
        ValueRef::Double(x) => Edn::double(x),
        ValueRef::BigDec(x) => Edn::new(Node::BigDec(x.clone())),
        ValueRef::Instant(x) => Edn::instant(x),
        ValueRef::Uuid(x) => Edn::uuid(x),
        ValueRef::Keyword(x) => Edn::keyword(x),
        ValueRef::Symbol(x) => Edn::new(Node::Symbol(Symbol::new(x))),
        ValueRef::String(x) => Edn::string(x),
        ValueRef::Uri(x) => Edn::tagged("uri", Edn::string(x)),
        ValueRef::Bytes(x) => Edn::tagged("bytes", Edn::string(STANDARD.encode(x))),
        ValueRef::Tuple(slots) => {
            let slot = |slot: &Option<Value>| slot.as_ref().map_or(Edn::nil(), form);
            Edn::vector(slots.iter().map(slot).collect())
        }
    }
}

/// The double whose shortest digits are those of the float: `0.1`, not `0.10000000149011612`.
fn shortest(x: f32) -> f64 {
    let digits = x.to_string();
    digits.parse().unwrap_or_else(|_| f64::from(x))
}

#[cfg(test)]
mod tests {
    use annals_edn::read_one;

    use super::form;
    use crate::identify::literal;
    use crate::value::ValueType;

    #[test]
    fn what_is_shown_reads_back() {
        let cases = [
            (ValueType::Boolean, "true"),
            (ValueType::Long, "-5"),
            (ValueType::Ref, "5"),
            (ValueType::BigInt, "5N"),
            (ValueType::Float, "#float 0.1"),
            (ValueType::Float, "#float ##NaN"),
            (ValueType::Float, "#float ##-Inf"),
            (ValueType::Double, "0.1"),
            (ValueType::BigDec, "1.50M"),
            (ValueType::Instant, "#inst \"2020-01-01T00:00:00.123-00:00\""),
            (ValueType::Uuid, "#uuid \"f81d4fae-7dec-11d0-a765-00a0c91e6bf6\""),
            (ValueType::Keyword, ":a/b"),
            (ValueType::Symbol, "a/b"),
            (ValueType::String, "\"é\""),
            (ValueType::Uri, "#uri \"http://x/\""),
            (ValueType::Bytes, "#bytes \"AAEC\""),
        ];
        for (ty, text) in cases {
            let value = literal(ty, &read_one(text).expect(text)).expect(text);
            assert_eq!(form(&value).to_string(), text);
        }
    }
}
