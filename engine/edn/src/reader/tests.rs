//! What reads, as what, with which span; what is refused, with which code; and what hostile texts cost.

use std::time::{Duration, Instant};

use super::{DEPTH_LIMIT, Forms, read_all, read_one};
use crate::{Code, Edn, Node, Span};

fn read(text: &str) -> Edn {
    read_one(text).unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

fn refused(text: &str) -> (Code, Span) {
    let error = read_one(text).expect_err(text);
    (error.code(), error.span().unwrap_or_default())
}

/// Texts that read as the same form as another, canonical text.
#[test]
fn many_spellings_one_form() {
    let cases = [
        ("+5", "5"),
        ("-0", "0"),
        ("9223372036854775808", "9223372036854775808N"),
        ("1.", "1.0"),
        ("1e3", "1000.0"),
        ("-1.5E-2", "-0.015"),
        ("1M", "1M"),
        ("1e3M", "1E+3M"),
        ("-0.050M", "-0.050M"),
        ("1.5e1M", "15M"),
        ("\\u0041", "\\A"),
        ("\\o101", "\\A"),
        ("\\u", "\\u"),
        ("\\o", "\\o"),
        ("[\\a\\b]", "[\\a \\b]"),
        ("(\\()", "(\\()"),
        (r#""\u0041\101\t\b\f\"\\""#, r#""AA\t\u0008\u000c\"\\""#),
        (r#""\uD83D\uDE00""#, "\"😀\""),
        ("\"a\nb\"", r#""a\nb""#),
        (",, {:a,1 ; comment\n :b 2,}", "{:a 1 :b 2}"),
        ("#_ a #_ #_ b c d", "d"),
        ("[a #_b]", "[a]"),
        ("{:a #_ :x 1 #_ 2}", "{:a 1}"),
        (
            "#:person{:name 1 \"s\" 2 :_/x 3 :other/y 4 z 5}",
            "{:person/name 1 \"s\" 2 :x 3 :other/y 4 person/z 5}",
        ),
        ("#:a {}", "{}"),
        ("#inst \"2020\"", "#inst \"2020-01-01T00:00:00.000-00:00\""),
        ("#inst\"2020-01-01T01:00:00+01:00\"", "#inst \"2020-01-01T00:00:00.000-00:00\""),
        ("#uuid \"F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6\"", "#uuid \"f81d4fae-7dec-11d0-a765-00a0c91e6bf6\""),
        ("#my/tag[1]", "#my/tag [1]"),
        ("\u{feff}1", "1"),
        ("[##Inf ##-Inf ##NaN]", "[##Inf ##-Inf ##NaN]"),
        ("{1 2, 1N 3, 1.0 4}", "{1.0 4 1N 3 1 2}"),
    ];
    for (text, canonical) in cases {
        assert_eq!(read(text), read(canonical), "{text}");
        let written = read(text).to_string();
        assert_eq!(read(&written), read(text), "{text} was written as {written}");
    }
}

#[test]
fn each_literal_has_its_node() {
    let kinds = [
        ("nil", "nil"),
        ("true", "a boolean"),
        ("-9223372036854775808", "a long"),
        ("42N", "a bigint"),
        ("1e5", "a double"),
        ("1.50M", "a bigdec"),
        ("\\newline", "a character"),
        ("nil?", "a symbol"),
        (":nil", "a keyword"),
        ("#float 1.5", "a tagged form"),
    ];
    for (text, kind) in kinds {
        assert_eq!(read(text).kind_name(), kind, "{text}");
    }
}

#[test]
fn names_of_queries_and_code_are_symbols() {
    for text in [
        "?e",
        "$",
        "%",
        ".",
        "clojure.core/str",
        "-",
        "+",
        "...",
        "_",
        "/",
        "a/-",
        "->x",
        "+a",
        "<=",
        "é",
        "ns//",
        "a'",
        "x#",
    ] {
        let form = read(text);
        assert_eq!(form.as_symbol().map(|symbol| symbol.as_str()), Some(text));
    }
    let form = read("clojure.core/str");
    let symbol = form.as_symbol().expect("a symbol");
    assert_eq!((symbol.namespace(), symbol.name()), (Some("clojure.core"), "str"));
    for text in [":a", ":a/b", ":1", ":a.b/c?", ":/", ":a:b", ":_/x", ":<"] {
        assert_eq!(read(text).as_keyword().map(|keyword| keyword.as_str()), Some(&text[1..]));
    }
}

#[test]
fn refusals_have_a_code_and_a_span() {
    let cases = [
        ("", Code::EdnUnexpectedEof, 0..0),
        (" ; nothing", Code::EdnUnexpectedEof, 0..0),
        ("1 2", Code::EdnTrailing, 2..3),
        ("[1 (2 3]", Code::EdnUnbalanced, 7..8),
        (")", Code::EdnUnbalanced, 0..1),
        ("[1 (2 3)", Code::EdnUnexpectedEof, 0..1),
        ("[1 #{2 3", Code::EdnUnexpectedEof, 3..5),
        ("#:a{:b", Code::EdnUnexpectedEof, 0..4),
        ("[1 \"abc", Code::EdnUnexpectedEof, 3..4),
        ("\"a\\\"", Code::EdnUnexpectedEof, 0..1),
        ("#_", Code::EdnUnexpectedEof, 0..2),
        ("[#_]", Code::EdnBadTagged, 1..3),
        ("[#foo]", Code::EdnBadTagged, 1..5),
        ("{:a 1 :b}", Code::EdnOddMap, 6..8),
        ("{:a 1 :a 2}", Code::EdnDuplicateKey, 6..8),
        ("#{[1] 2 [1]}", Code::EdnDuplicateKey, 8..11),
        ("#{{:a 1 :b #{1 2}} {:b #{2 1} :a 1}}", Code::EdnDuplicateKey, 19..35),
        ("#:a{:b 1 :a/b 2}", Code::EdnDuplicateKey, 9..13),
        ("\"\\q\"", Code::EdnInvalidString, 1..3),
        ("\"\\é\"", Code::EdnInvalidString, 1..4),
        ("\"\\uD800\"", Code::EdnInvalidString, 1..7),
        ("\"\\uD800\\u0041\"", Code::EdnInvalidString, 1..13),
        ("\"\\uDC00\"", Code::EdnInvalidString, 1..7),
        ("\"\\u00\"", Code::EdnInvalidString, 1..3),
        ("\"\\400\"", Code::EdnInvalidString, 1..5),
        ("\\uD800", Code::EdnInvalidToken, 0..6),
        ("\\bogus", Code::EdnInvalidToken, 0..6),
        ("\\", Code::EdnUnexpectedEof, 0..1),
        ("::a", Code::EdnInvalidToken, 0..3),
        (":", Code::EdnInvalidToken, 0..1),
        (":a/", Code::EdnInvalidToken, 0..3),
        ("/a", Code::EdnInvalidToken, 0..2),
        (":a/b/c", Code::EdnInvalidToken, 0..6),
        (":a\u{202e}b", Code::EdnInvalidToken, 0..6),
        ("a\u{a0}b", Code::EdnInvalidToken, 0..4),
        ("a\u{0}", Code::EdnInvalidToken, 0..2),
        ("'a", Code::EdnInvalidToken, 0..2),
        ("@a", Code::EdnInvalidToken, 0..2),
        ("^a", Code::EdnInvalidToken, 0..2),
        ("#\"re\"", Code::EdnInvalidToken, 0..1),
        ("#(a)", Code::EdnInvalidToken, 0..1),
        ("##Infinity", Code::EdnInvalidToken, 0..10),
        ("#::{}", Code::EdnInvalidToken, 0..3),
        ("#:a/b{}", Code::EdnInvalidToken, 0..5),
        ("#:a[]", Code::EdnInvalidToken, 0..3),
        ("012", Code::EdnInvalidNumber, 0..3),
        ("0x1F", Code::EdnInvalidNumber, 0..4),
        ("1/2", Code::EdnInvalidNumber, 0..3),
        ("1a", Code::EdnInvalidNumber, 0..2),
        ("1.5N", Code::EdnInvalidNumber, 0..4),
        ("1e", Code::EdnInvalidNumber, 0..2),
        ("-1-", Code::EdnInvalidNumber, 0..3),
        (".5", Code::EdnInvalidNumber, 0..2),
        ("1e400", Code::ValueOutOfRange, 0..5),
        ("-1e400", Code::ValueOutOfRange, 0..6),
        ("1e99999M", Code::ValueOutOfRange, 0..8),
        ("#inst \"2026-02-30\"", Code::EdnBadInst, 6..18),
        ("#inst 5", Code::EdnBadInst, 6..7),
        ("#uuid \"x\"", Code::EdnBadUuid, 6..9),
        ("#uuid \"é1d4fae-7dec-11d0-a765-00a0c91e6bf6\"", Code::EdnBadUuid, 6..44),
    ];
    for (text, code, range) in cases {
        assert_eq!(refused(text), (code, Span { start: range.start, end: range.end }), "{text:?}");
    }
}

#[test]
fn spans_cover_each_form() {
    let text = "\u{feff} [é #{:a} {b \"c\"}] #t #_x 5";
    let forms = read_all(text).expect("two forms");
    let shown = |form: &Edn| text[form.span.start as usize..form.span.end as usize].to_owned();
    assert_eq!(shown(&forms[0]), "[é #{:a} {b \"c\"}]");
    assert_eq!(shown(&forms[1]), "#t #_x 5");
    let items = forms[0].as_seq().expect("a vector");
    assert_eq!(items.iter().map(shown).collect::<Vec<_>>(), ["é", "#{:a}", "{b \"c\"}"]);
    assert_eq!(shown(items[2].get("none").unwrap_or(&items[2].as_map().expect("a map")[0].1)), "\"c\"");
}

#[test]
fn forms_come_one_at_a_time_and_stop_at_an_error() {
    let mut forms = Forms::new("{:a 1}\n{:b 2} ] {:c 3}");
    assert_eq!(forms.next().expect("one").expect("good"), read("{:a 1}"));
    assert_eq!(forms.position(), 6);
    let second = forms.next().expect("two").expect("good");
    assert_eq!((second.span.start, second.span.end), (7, 13));
    assert_eq!(forms.next().expect("three").expect_err("a bracket").code(), Code::EdnUnbalanced);
    assert!(forms.next().is_none());
}

#[test]
fn names_used_again_share_their_text() {
    let forms = read_all(":person/name {:person/name 1}").expect("two forms");
    let first = forms[0].as_keyword().expect("a keyword");
    let second = forms[1].as_map().expect("a map")[0].0.as_keyword().expect("a keyword");
    assert!(std::sync::Arc::ptr_eq(first.shared(), second.shared()));
}

#[test]
fn nesting_is_limited_for_every_kind_of_it() {
    let nested =
        |open: &str, close: &str, depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
    for (open, close) in [("[", "]"), ("(", ")"), ("#{", "}"), ("{1 ", "}"), ("#t ", ""), ("#:a{:b ", "}")] {
        read(&nested(open, close, DEPTH_LIMIT));
        assert_eq!(refused(&nested(open, close, DEPTH_LIMIT + 1)).0, Code::EdnTooDeep, "{open}");
        assert_eq!(refused(&nested(open, "", 100_000)).0, Code::EdnTooDeep, "{open}");
    }
    assert_eq!(refused(&"#_".repeat(100_000)).0, Code::EdnTooDeep);
}

/// A megabyte each of what costs a careless reader the square of it. The bound is loose: the square would take hours.
#[test]
fn hostile_texts_cost_linear_time() {
    let count = 100_000;
    let numbers: String = (0..count).map(|n| format!("{n} ")).collect();
    let nested_keys = (10..110).fold("1".to_owned(), |inner, n| format!("#{{{inner} {n}1 {{[{n}] 2}}}}"));
    let texts = [
        format!("#{{{numbers}}}"),
        format!("{{{}}}", (0..count).map(|n| format!("[{n}] {n} ")).collect::<String>()),
        format!("[{}]", "\"\\n\" ".repeat(count)),
        format!("\"{}\"", "\\n".repeat(count * 5)),
        format!("[{}]", "; comment\n,".repeat(count)),
        format!("[{}]", "#_ a ".repeat(count)),
        format!("[{nested_keys} {nested_keys}]"),
        "x".repeat(count * 10),
        format!("\"{}", "x".repeat(count * 10)),
        "9".repeat(count * 10),
        format!("{}.{}M", "9".repeat(count * 5), "9".repeat(count * 5)),
    ];
    for text in texts {
        let start = Instant::now();
        let outcome = read_one(&text);
        let took = start.elapsed();
        let expected = [None, Some(Code::EdnUnexpectedEof), Some(Code::ValueOutOfRange)];
        assert!(expected.contains(&outcome.as_ref().err().map(crate::Error::code)), "{outcome:?}");
        assert!(took < Duration::from_secs(5), "{} took {took:?}", &text[..40]);
    }
}

/// Every prefix and every single-byte change of a text with all kinds of forms ends in a form or an error with a span
/// inside the text.
#[test]
fn damaged_texts_never_panic() {
    let text = "{:a [1 -2.5e3 3N 4.50M \\a \\u0041 \"s\\n\\uD83D\\uDE00\"] #{x/y nil} #inst \"2020-01-01T00:00:00.000-00:00\" \
                #uuid \"f81d4fae-7dec-11d0-a765-00a0c91e6bf6\" #:n{:k #_ d (true)} ##NaN é}";
    let check = |text: &str| {
        if let Some(span) = read_all(text).err().and_then(|error| error.span()) {
            assert!(span.start <= span.end && span.end as usize <= text.len(), "{text}");
        }
    };
    for cut in (0..text.len()).filter(|&cut| text.is_char_boundary(cut)) {
        check(&text[..cut]);
        for replacement in ["", "\"", "\\", "#", "}", "(", "é", "0", "-", "/", ":", "u"] {
            let next = text[cut..].chars().next().map_or(0, char::len_utf8);
            check(&format!("{}{replacement}{}", &text[..cut], &text[cut + next..]));
        }
    }
}

#[test]
fn doubles_keep_their_sign_and_bits() {
    let Node::Double(zero) = read("-0.0").node else { panic!("a double") };
    assert!(zero.is_sign_negative());
    assert_ne!(read("-0.0"), read("0.0"));
    assert_eq!(read("##NaN"), read("##NaN"));
    assert_ne!(read("1.0M"), read("1.00M"));
    assert_ne!(read("(1)"), read("[1]"));
}
