//! What is written reads back equal, for any form.

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;
use proptest::prelude::*;

use super::write;
use crate::{Edn, Node, read_one};

fn name() -> impl Strategy<Value = String> {
    let part = "[a-z*!?$%&=<>|é][a-zA-Z0-9.*+!\\-_?$%&=<>|'#]{0,6}";
    (prop::option::of(part), part)
        .prop_map(|(namespace, name)| {
            namespace.map_or(name.clone(), |namespace| format!("{namespace}/{name}"))
        })
        .prop_filter("these are no names", |name| !matches!(name.as_str(), "nil" | "true" | "false"))
}

fn leaf() -> impl Strategy<Value = Edn> {
    prop_oneof![
        Just(Edn::nil()),
        any::<bool>().prop_map(Edn::bool),
        any::<char>().prop_map(|c| Edn::new(Node::Char(c))),
        any::<i64>().prop_map(Edn::long),
        any::<i128>().prop_map(|value| Edn::bigint(BigInt::from(value))),
        any::<u64>().prop_map(|bits| Edn::double(canonical_nan(f64::from_bits(bits)))),
        (any::<i128>(), -40i64..40)
            .prop_map(|(digits, scale)| Edn::bigdec(BigDecimal::new(digits.into(), scale))),
        any::<String>().prop_map(Edn::string),
        name().prop_map(Edn::keyword),
        name().prop_map(Edn::symbol),
        any::<i64>().prop_map(Edn::instant),
        any::<u128>().prop_map(Edn::uuid),
    ]
}

/// There is one way to write a NaN, so only one of them reads back with its bits.
fn canonical_nan(value: f64) -> f64 {
    if value.is_nan() { f64::NAN } else { value }
}

fn form() -> impl Strategy<Value = Edn> {
    leaf().prop_recursive(4, 40, 6, |inner| {
        let items = || prop::collection::vec(inner.clone(), 0..6);
        let unique = || prop::collection::hash_set(inner.clone(), 0..6);
        prop_oneof![
            items().prop_map(Edn::list),
            items().prop_map(Edn::vector),
            unique().prop_map(|items| Edn::set(items.into_iter().collect())),
            prop::collection::hash_map(inner.clone(), inner.clone(), 0..6)
                .prop_map(|entries| Edn::map(entries.into_iter().collect())),
            ("my/[a-z]{1,4}", inner.clone()).prop_map(|(tag, form)| Edn::tagged(tag, form)),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_back(form in form()) {
        let text = form.to_string();
        prop_assert!(!text.contains('\n'));
        let back = read_one(&text).map_err(|error| TestCaseError::fail(format!("{text}: {error:?}")))?;
        prop_assert_eq!(&back, &form, "{}", text);
        prop_assert_eq!(back.to_string(), text);
    }

    #[test]
    fn any_text_reads_or_is_refused(text in "[\\[\\](){}#\"\\\\:;_/'a-z0-9 .,+\\-MNeé\u{202e}]{0,40}") {
        if let Ok(form) = read_one(&text) {
            prop_assert_eq!(read_one(&form.to_string()).expect("own output"), form);
        }
    }
}

#[test]
fn canonical_texts_are_written_as_they_are() {
    let texts = [
        "[:find ?e . :in $ % :where [?e :a/b \"x\\\"\\\\\\n\"]]",
        "{:a 1.0 :b -0.0 :c 1e300 :d 1e-7 :e 1.50M :f 0.001M :g 1E+3M :h 1.2E-9M :i 0.00M}",
        "#{##Inf ##-Inf ##NaN}",
        "(\\newline \\space \\tab \\return \\a \\\\ \\u0000)",
        "#inst \"2020-01-01T00:00:00.000-00:00\"",
        "#uuid \"f81d4fae-7dec-11d0-a765-00a0c91e6bf6\"",
        "\"\\u202e\\ufeff😀\"",
        "[() [] #{} {} #x/y nil 1N]",
    ];
    for text in texts {
        assert_eq!(read_one(text).expect(text).to_string(), text);
    }
}

#[test]
fn a_string_is_appended_to() {
    let mut out = String::from("> ");
    write(&mut out, &Edn::long(1));
    write(&mut out, &Edn::vector(vec![Edn::keyword("a/b")]));
    assert_eq!(out, "> 1[:a/b]");
}
