//! Scalar functions between text and values: parsing, printing, reading.

use std::sync::Arc;

use annals_db::Value;
use annals_edn::{Code, Error, Node};

use super::text::text;
use crate::datum::Datum;

type Answer = Result<Datum, Error>;

/// What was parsed, nil where the text is something else.
fn parsed(value: Option<Value>) -> Answer {
    Ok(value.map_or(Datum::Nil, Datum::Value))
}

pub(super) fn parse_long(args: &[Datum]) -> Answer {
    parsed(text("parse-long", &args[0])?.parse().ok().map(Value::Long))
}

pub(super) fn parse_double(args: &[Datum]) -> Answer {
    let trimmed = text("parse-double", &args[0])?.trim();
    // Names of infinity and NaN have one spelling each.
    let named = trimmed.trim_start_matches(['+', '-']).starts_with(|c: char| c.is_ascii_alphabetic());
    let value = match trimmed.trim_start_matches(['+', '-']) {
        "Infinity" | "NaN" => trimmed.parse().ok(),
        _ if named => None,
        _ => trimmed.parse().ok(),
    };
    parsed(value.map(Value::Double))
}

pub(super) fn parse_boolean(args: &[Datum]) -> Answer {
    parsed(text("parse-boolean", &args[0])?.parse().ok().map(Value::Boolean))
}

pub(super) fn parse_uuid(args: &[Datum]) -> Answer {
    let whole = text("parse-uuid", &args[0])?;
    let form = annals_edn::read_one(&format!("#uuid \"{}\"", whole.replace(['"', '\\'], "?")));
    match form {
        Ok(form) if matches!(form.node, Node::Uuid(_)) => Datum::from_edn(&form),
        _ => Ok(Datum::Nil),
    }
}

/// A number in text, or the refusal of what is none.
fn required(function: &str, args: &[Datum], parse: fn(&[Datum]) -> Answer) -> Answer {
    match parse(args)? {
        Datum::Nil => {
            let message =
                format!("{function} takes the text of a number, not {}", crate::datum::show(&args[0]));
            Err(Error::new(Code::FunctionFailed, message))
        }
        number => Ok(number),
    }
}

pub(super) fn long_of(args: &[Datum]) -> Answer {
    required("Long/parseLong", args, parse_long)
}

pub(super) fn double_of(args: &[Datum]) -> Answer {
    required("Double/parseDouble", args, parse_double)
}

/// The first form of a text; nil of an empty one.
pub(super) fn read_string(args: &[Datum]) -> Answer {
    let whole = text("read-string", &args[0])?;
    match annals_edn::read_all(whole).map_err(Error::without_span)?.first() {
        Some(form) => Datum::from_edn(form).map_err(Error::without_span),
        None => Ok(Datum::Nil),
    }
}

pub(super) fn pr_str(args: &[Datum]) -> Answer {
    let written: Vec<Arc<str>> = args.iter().map(|arg| arg.to_edn().to_string().into()).collect();
    Ok(Datum::text(&written.join(" ")))
}
