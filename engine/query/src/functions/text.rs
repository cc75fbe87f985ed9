//! Scalar functions on text and names. Positions in text are characters (code points).

use std::fmt::{Debug, LowerExp};
use std::sync::Arc;

use annals_db::Value;
use annals_edn::{Error, Keyword, Symbol};

use super::scalar::wrong;
use crate::datum::Datum;

type Answer = Result<Datum, Error>;

/// The text of a string.
pub(super) fn text<'a>(function: &str, datum: &'a Datum) -> Result<&'a str, Error> {
    match datum {
        Datum::Value(Value::String(text)) => Ok(text),
        _ => Err(wrong(function, "a string", datum)),
    }
}

fn is(args: &[Datum], test: fn(&Value) -> bool) -> Answer {
    Ok(Datum::bool(args[0].value().is_some_and(test)))
}

pub(super) fn is_string(args: &[Datum]) -> Answer {
    is(args, |value| matches!(value, Value::String(_)))
}

pub(super) fn is_keyword(args: &[Datum]) -> Answer {
    is(args, |value| matches!(value, Value::Keyword(_)))
}

pub(super) fn is_symbol(args: &[Datum]) -> Answer {
    is(args, |value| matches!(value, Value::Symbol(_)))
}

pub(super) fn is_boolean(args: &[Datum]) -> Answer {
    is(args, |value| matches!(value, Value::Boolean(_)))
}

pub(super) fn is_inst(args: &[Datum]) -> Answer {
    is(args, |value| matches!(value, Value::Instant(_)))
}

pub(super) fn is_uuid(args: &[Datum]) -> Answer {
    is(args, |value| matches!(value, Value::Uuid(_)))
}

pub(super) fn is_uri(args: &[Datum]) -> Answer {
    is(args, |value| matches!(value, Value::Uri(_)))
}

pub(super) fn is_bytes(args: &[Datum]) -> Answer {
    is(args, |value| matches!(value, Value::Bytes(_)))
}

pub(super) fn is_char(args: &[Datum]) -> Answer {
    Ok(Datum::bool(matches!(args[0], Datum::Char(_))))
}

/// A keyword or a symbol, as `keyword` and `symbol` ask, with a namespace or without, as `qualified` asks.
fn is_name(datum: &Datum, keyword: bool, symbol: bool, qualified: Option<bool>) -> Answer {
    let namespaced = match datum {
        Datum::Value(Value::Keyword(name)) if keyword => Some(name.namespace().is_some()),
        Datum::Value(Value::Symbol(name)) if symbol => Some(name.namespace().is_some()),
        _ => None,
    };
    Ok(Datum::bool(namespaced.is_some_and(|found| qualified.is_none_or(|wanted| wanted == found))))
}

pub(super) fn is_ident(args: &[Datum]) -> Answer {
    is_name(&args[0], true, true, None)
}

pub(super) fn is_simple_ident(args: &[Datum]) -> Answer {
    is_name(&args[0], true, true, Some(false))
}

pub(super) fn is_qualified_ident(args: &[Datum]) -> Answer {
    is_name(&args[0], true, true, Some(true))
}

pub(super) fn is_simple_keyword(args: &[Datum]) -> Answer {
    is_name(&args[0], true, false, Some(false))
}

pub(super) fn is_qualified_keyword(args: &[Datum]) -> Answer {
    is_name(&args[0], true, false, Some(true))
}

pub(super) fn is_simple_symbol(args: &[Datum]) -> Answer {
    is_name(&args[0], false, true, Some(false))
}

pub(super) fn is_qualified_symbol(args: &[Datum]) -> Answer {
    is_name(&args[0], false, true, Some(true))
}

pub(super) fn inst_ms(args: &[Datum]) -> Answer {
    match &args[0] {
        Datum::Value(Value::Instant(ms)) => Ok(Datum::long(*ms)),
        datum => Err(wrong("inst-ms", "an instant", datum)),
    }
}

/// What `str` makes of one argument: text as it is, nil nothing, everything else as it is written.
pub(crate) fn plain(datum: &Datum) -> String {
    match datum {
        Datum::Nil => String::new(),
        Datum::Char(char) => char.to_string(),
        Datum::Value(Value::String(text) | Value::Uri(text)) => text.to_string(),
        Datum::Value(Value::BigInt(x)) => x.to_string(),
        Datum::Value(Value::BigDec(x)) => x.to_string(),
        Datum::Value(Value::Double(x)) => floating(x, *x),
        Datum::Value(Value::Float(x)) => floating(x, f64::from(*x)),
        Datum::Value(Value::Uuid(_)) => unquoted(datum, "#uuid "),
        Datum::Value(Value::Instant(_)) => unquoted(datum, "#inst "),
        _ => datum.to_edn().to_string(),
    }
}

/// A floating number of that size as Java writes it: `1.0`, `1.0E21`, `Infinity`.
fn floating(number: &(impl Debug + LowerExp), size: f64) -> String {
    let plain = size == 0.0 || (1e-3..1e7).contains(&size.abs());
    if size.is_nan() || plain {
        return format!("{number:?}");
    }
    if size.is_infinite() {
        return if size > 0.0 { "Infinity".to_owned() } else { "-Infinity".to_owned() };
    }
    let shortest = format!("{number:e}");
    let (digits, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let point = if digits.contains('.') { "" } else { ".0" };
    format!("{digits}{point}E{exponent}")
}

/// The text inside a tagged literal.
fn unquoted(datum: &Datum, tag: &str) -> String {
    let written = datum.to_edn().to_string();
    written.trim_start_matches(tag).trim_matches('"').to_owned()
}

pub(super) fn str(args: &[Datum]) -> Answer {
    match args {
        [one] => Ok(Datum::text(&plain(one))),
        _ => Ok(Datum::text(&args.iter().map(plain).collect::<String>())),
    }
}

pub(super) fn subs(args: &[Datum]) -> Answer {
    let whole = text("subs", &args[0])?;
    let index = |datum: &Datum| match datum {
        Datum::Value(Value::Long(n)) if *n >= 0 => Ok(*n as usize),
        _ => Err(wrong("subs", "positions in the string", datum)),
    };
    let start = index(&args[1])?;
    let len = whole.chars().count();
    let end = args.get(2).map_or(Ok(len), index)?;
    if start > end || end > len {
        return Err(wrong("subs", "positions in the string", args.last().expect("subs has arguments")));
    }
    Ok(Datum::text(&whole.chars().skip(start).take(end - start).collect::<String>()))
}

pub(super) fn name(args: &[Datum]) -> Answer {
    match &args[0] {
        Datum::Value(Value::Keyword(keyword)) => Ok(Datum::text(keyword.name())),
        Datum::Value(Value::Symbol(symbol)) => Ok(Datum::text(symbol.name())),
        Datum::Value(Value::String(_)) => Ok(args[0].clone()),
        datum => Err(wrong("name", "a keyword, symbol or string", datum)),
    }
}

pub(super) fn namespace(args: &[Datum]) -> Answer {
    let namespace = match &args[0] {
        Datum::Value(Value::Keyword(keyword)) => keyword.namespace(),
        Datum::Value(Value::Symbol(symbol)) => symbol.namespace(),
        datum => return Err(wrong("namespace", "a keyword or symbol", datum)),
    };
    Ok(namespace.map_or(Datum::Nil, Datum::text))
}

/// The text of a name to be made, of one argument or of namespace and name.
fn joined(function: &str, args: &[Datum]) -> Result<Arc<str>, Error> {
    let part = |datum: &Datum| match datum {
        Datum::Value(Value::Keyword(keyword)) => Ok(keyword.as_str().to_owned()),
        Datum::Value(Value::Symbol(symbol)) => Ok(symbol.as_str().to_owned()),
        datum => text(function, datum).map(str::to_owned),
    };
    Ok(match args {
        [Datum::Nil, name] => part(name)?.into(),
        [namespace, name] => format!("{}/{}", part(namespace)?, part(name)?).into(),
        _ => part(&args[0])?.into(),
    })
}

pub(super) fn keyword(args: &[Datum]) -> Answer {
    Ok(Datum::Value(Value::Keyword(Keyword::new(joined("keyword", args)?))))
}

pub(super) fn symbol(args: &[Datum]) -> Answer {
    Ok(Datum::Value(Value::Symbol(Symbol::new(joined("symbol", args)?))))
}

fn two<'a>(function: &str, args: &'a [Datum]) -> Result<(&'a str, &'a str), Error> {
    Ok((text(function, &args[0])?, text(function, &args[1])?))
}

pub(super) fn starts_with(args: &[Datum]) -> Answer {
    let (whole, part) = two("starts-with?", args)?;
    Ok(Datum::bool(whole.starts_with(part)))
}

pub(super) fn ends_with(args: &[Datum]) -> Answer {
    let (whole, part) = two("ends-with?", args)?;
    Ok(Datum::bool(whole.ends_with(part)))
}

pub(super) fn includes(args: &[Datum]) -> Answer {
    let (whole, part) = two("includes?", args)?;
    Ok(Datum::bool(whole.contains(part)))
}

pub(super) fn upper_case(args: &[Datum]) -> Answer {
    Ok(Datum::text(&text("upper-case", &args[0])?.to_uppercase()))
}

pub(super) fn lower_case(args: &[Datum]) -> Answer {
    Ok(Datum::text(&text("lower-case", &args[0])?.to_lowercase()))
}

pub(super) fn capitalize(args: &[Datum]) -> Answer {
    let whole = text("capitalize", &args[0])?;
    let first = whole.chars().next().map_or(0, char::len_utf8);
    Ok(Datum::text(&(whole[..first].to_uppercase() + &whole[first..].to_lowercase())))
}

pub(super) fn trim(args: &[Datum]) -> Answer {
    Ok(Datum::text(text("trim", &args[0])?.trim()))
}

pub(super) fn triml(args: &[Datum]) -> Answer {
    Ok(Datum::text(text("triml", &args[0])?.trim_start()))
}

pub(super) fn trimr(args: &[Datum]) -> Answer {
    Ok(Datum::text(text("trimr", &args[0])?.trim_end()))
}

pub(super) fn is_blank(args: &[Datum]) -> Answer {
    match &args[0] {
        Datum::Nil => Ok(Datum::bool(true)),
        datum => Ok(Datum::bool(text("blank?", datum)?.trim().is_empty())),
    }
}

pub(super) fn reverse(args: &[Datum]) -> Answer {
    Ok(Datum::text(&text("reverse", &args[0])?.chars().rev().collect::<String>()))
}

pub(super) fn trim_newline(args: &[Datum]) -> Answer {
    Ok(Datum::text(text("trim-newline", &args[0])?.trim_end_matches(['\n', '\r'])))
}

pub(super) fn join(args: &[Datum]) -> Answer {
    let items = super::collections::items("join", args.last().expect("join has arguments"))?;
    let separator = if args.len() == 2 { plain(&args[0]) } else { String::new() };
    Ok(Datum::text(&items.iter().map(plain).collect::<Vec<_>>().join(&separator)))
}

pub(super) fn replace(args: &[Datum]) -> Answer {
    let (whole, part) = two("replace", args)?;
    Ok(Datum::text(&whole.replace(part, text("replace", &args[2])?)))
}

pub(super) fn replace_first(args: &[Datum]) -> Answer {
    let (whole, part) = two("replace-first", args)?;
    Ok(Datum::text(&whole.replacen(part, text("replace-first", &args[2])?, 1)))
}

/// The position in characters of a place in bytes.
fn characters_before(whole: &str, found: Option<usize>) -> Answer {
    Ok(found.map_or(Datum::Nil, |at| Datum::long(whole[..at].chars().count() as i64)))
}

pub(super) fn index_of(args: &[Datum]) -> Answer {
    let (whole, part) = two("index-of", args)?;
    let from = match args.get(2) {
        None => 0,
        Some(Datum::Value(Value::Long(n))) => usize::try_from(*n).unwrap_or(0),
        Some(datum) => return Err(wrong("index-of", "a position in the string", datum)),
    };
    let start = whole.char_indices().map(|(at, _)| at).chain([whole.len()]).nth(from);
    let found = start.and_then(|start| whole[start..].find(part).map(|at| at + start));
    characters_before(whole, found)
}

pub(super) fn last_index_of(args: &[Datum]) -> Answer {
    let (whole, part) = two("last-index-of", args)?;
    characters_before(whole, whole.rfind(part))
}

pub(super) fn split_lines(args: &[Datum]) -> Answer {
    let mut lines: Vec<&str> = text("split-lines", &args[0])?.split('\n').collect();
    lines.iter_mut().for_each(|line| *line = line.strip_suffix('\r').unwrap_or(line));
    while lines.len() > 1 && lines.last().is_some_and(|line| line.is_empty()) {
        lines.pop();
    }
    Ok(Datum::vector(lines.into_iter().map(Datum::text).collect()))
}
