//! Tree to text: the canonical one-line form, which reads back equal. Allocates nothing but the text's own growth.
//!
//! Elements are separated by one space, commas are not written; maps and sets keep their order. Names are written as
//! they are, so a keyword or symbol that a program made from text that [`crate::is_name`] rejects does not read back.

#[cfg(test)]
mod tests;

use std::fmt::{self, Write};

use bigdecimal::BigDecimal;

use crate::instant;
use crate::{Edn, Node};

/// Appends `form` to `out`, a string that can be used again for the next one.
pub fn write(out: &mut String, form: &Edn) {
    write_node(out, &form.node).expect("writing to a string cannot fail");
}

impl fmt::Display for Edn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_node(f, &self.node)
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_node(f, self)
    }
}

fn write_node(out: &mut impl Write, node: &Node) -> fmt::Result {
    match node {
        Node::Nil => out.write_str("nil"),
        Node::Bool(value) => write!(out, "{value}"),
        Node::Char(value) => write_char(out, *value),
        Node::Long(value) => write!(out, "{value}"),
        Node::BigInt(value) => write!(out, "{value}N"),
        Node::Double(value) => write_double(out, *value),
        Node::BigDec(value) => write_decimal(out, value),
        Node::Str(text) => write_string(out, text),
        Node::Keyword(keyword) => write!(out, ":{}", keyword.as_str()),
        Node::Symbol(symbol) => out.write_str(symbol.as_str()),
        Node::Instant(millis) => write_instant(out, *millis),
        Node::Uuid(bits) => write_uuid(out, *bits),
        Node::List(items) => write_items(out, "(", items, ')'),
        Node::Vector(items) => write_items(out, "[", items, ']'),
        Node::Set(items) => write_items(out, "#{", items, '}'),
        Node::Map(entries) => write_entries(out, entries),
        Node::Tagged(tag, form) => {
            write!(out, "#{} ", tag.as_str())?;
            write_node(out, &form.node)
        }
    }
}

fn write_items(out: &mut impl Write, open: &str, items: &[Edn], close: char) -> fmt::Result {
    out.write_str(open)?;
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.write_char(' ')?;
        }
        write_node(out, &item.node)?;
    }
    out.write_char(close)
}

fn write_entries(out: &mut impl Write, entries: &[(Edn, Edn)]) -> fmt::Result {
    out.write_char('{')?;
    for (at, (key, value)) in entries.iter().enumerate() {
        if at > 0 {
            out.write_char(' ')?;
        }
        write_node(out, &key.node)?;
        out.write_char(' ')?;
        write_node(out, &value.node)?;
    }
    out.write_char('}')
}

/// The fewest digits that read back as the same double; always with a point or an exponent.
///
/// # Errors
/// Those of `out`.
pub fn write_double(out: &mut impl Write, value: f64) -> fmt::Result {
    match value {
        _ if value.is_nan() => out.write_str("##NaN"),
        f64::INFINITY => out.write_str("##Inf"),
        f64::NEG_INFINITY => out.write_str("##-Inf"),
        _ => write!(out, "{value:?}"),
    }
}

/// Digits and scale: `1.50M`, and `1E+3M` or `1E-9M` where plain digits would be padded.
fn write_decimal(out: &mut impl Write, value: &BigDecimal) -> fmt::Result {
    let (unscaled, scale) = value.as_bigint_and_scale();
    let text = unscaled.to_string();
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |digits| ("-", digits));
    let count = i64::try_from(digits.len()).expect("digits fit memory");
    let leading_exponent = count - 1 - scale;
    out.write_str(sign)?;
    if scale == 0 {
        out.write_str(digits)?;
    } else if scale > 0 && leading_exponent >= -6 {
        write_plain(out, digits, scale)?;
    } else {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        write!(out, "{first}{point}{rest}E{leading_exponent:+}")?;
    }
    out.write_char('M')
}

fn write_plain(out: &mut impl Write, digits: &str, scale: i64) -> fmt::Result {
    let scale = usize::try_from(scale).expect("a positive scale");
    match digits.len().checked_sub(scale) {
        Some(whole) if whole > 0 => write!(out, "{}.{}", &digits[..whole], &digits[whole..]),
        _ => write!(out, "0.{digits:0>scale$}"),
    }
}

fn write_instant(out: &mut impl Write, millis: i64) -> fmt::Result {
    out.write_str("#inst \"")?;
    instant::write(out, millis)?;
    out.write_char('"')
}

fn write_uuid(out: &mut impl Write, bits: u128) -> fmt::Result {
    let group = |shift: u32, mask: u128| bits >> shift & mask;
    write!(
        out,
        "#uuid \"{:08x}-{:04x}-{:04x}-{:04x}-{:012x}\"",
        group(96, 0xffff_ffff),
        group(80, 0xffff),
        group(64, 0xffff),
        group(48, 0xffff),
        group(0, 0xffff_ffff_ffff)
    )
}

/// The text in quotes; what could not be seen, or would turn the text around it, is escaped.
fn write_string(out: &mut impl Write, text: &str) -> fmt::Result {
    out.write_char('"')?;
    let mut run = 0;
    for (at, c) in text.char_indices() {
        let escape = match c {
            '"' => "\\\"",
            '\\' => "\\\\",
            '\n' => "\\n",
            '\r' => "\\r",
            '\t' => "\\t",
            _ if must_escape(c) => "",
            _ => continue,
        };
        out.write_str(&text[run..at])?;
        run = at + c.len_utf8();
        if escape.is_empty() {
            write!(out, "\\u{:04x}", u32::from(c))?;
        } else {
            out.write_str(escape)?;
        }
    }
    out.write_str(&text[run..])?;
    out.write_char('"')
}

/// All of these lie in the basic plane, so that four hexadecimal digits hold them.
fn must_escape(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2028}' | '\u{2029}'
        )
        || matches!(c, '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn write_char(out: &mut impl Write, c: char) -> fmt::Result {
    match c {
        '\n' => out.write_str("\\newline"),
        ' ' => out.write_str("\\space"),
        '\t' => out.write_str("\\tab"),
        '\r' => out.write_str("\\return"),
        '\u{8}' => out.write_str("\\backspace"),
        '\u{c}' => out.write_str("\\formfeed"),
        _ if must_escape(c) => write!(out, "\\u{:04x}", u32::from(c)),
        _ => write!(out, "\\{c}"),
    }
}
