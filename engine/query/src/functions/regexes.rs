//! Regular expressions, in time linear in the text. A pattern is a string.

use std::cell::RefCell;

use annals_db::Value;
use annals_edn::{Code, Error};
use regex::{Captures, Regex, RegexBuilder};

use super::text::text;
use crate::datum::Datum;

type Answer = Result<Datum, Error>;

/// The most bytes a compiled pattern may take.
const MAX_COMPILED_BYTES: usize = 1 << 20;

/// How many compiled patterns a thread keeps: those of the query it runs.
const MAX_KEPT: usize = 32;

thread_local! {
    static KEPT: RefCell<Vec<Regex>> = const { RefCell::new(Vec::new()) };
}

fn compiled<T>(pattern: &str, run: impl FnOnce(&Regex) -> T) -> Result<T, Error> {
    KEPT.with_borrow_mut(|kept| {
        let at = match kept.iter().rposition(|regex| regex.as_str() == pattern) {
            Some(at) => at,
            None => {
                let regex = RegexBuilder::new(pattern).size_limit(MAX_COMPILED_BYTES).build();
                if kept.len() == MAX_KEPT {
                    kept.remove(0);
                }
                kept.push(regex.map_err(|error| invalid(pattern, &error))?);
                kept.len() - 1
            }
        };
        Ok(run(&kept[at]))
    })
}

fn invalid(pattern: &str, error: &regex::Error) -> Error {
    let reason = match error {
        regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
        other => {
            other.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
        }
    };
    Error::new(Code::FunctionFailed, format!("invalid regular expression: {reason}"))
        .with("pattern", pattern)
        .hint("back-references and look-around are not offered: matching takes linear time")
}

/// The match, or a vector of it and its groups.
fn groups(captures: &Captures<'_>) -> Datum {
    let group = |at: usize| captures.get(at).map_or(Datum::Nil, |found| Datum::text(found.as_str()));
    match captures.len() {
        1 => group(0),
        count => Datum::vector((0..count).map(group).collect()),
    }
}

pub(super) fn re_pattern(args: &[Datum]) -> Answer {
    compiled(text("re-pattern", &args[0])?, |_| ())?;
    Ok(args[0].clone())
}

pub(super) fn re_find(args: &[Datum]) -> Answer {
    let (pattern, whole) = (text("re-find", &args[0])?, text("re-find", &args[1])?);
    compiled(pattern, |regex| regex.captures(whole).as_ref().map_or(Datum::Nil, groups))
}

pub(super) fn re_matches(args: &[Datum]) -> Answer {
    let (pattern, whole) = (text("re-matches", &args[0])?, text("re-matches", &args[1])?);
    compiled(&format!("^(?:{pattern})$"), |regex| match regex.captures(whole) {
        Some(captures) if captures[0].len() == whole.len() => groups(&captures),
        _ => Datum::Nil,
    })
}

pub(super) fn re_seq(args: &[Datum]) -> Answer {
    let (pattern, whole) = (text("re-seq", &args[0])?, text("re-seq", &args[1])?);
    compiled(pattern, |regex| {
        let all: Vec<Datum> = regex.captures_iter(whole).map(|found| groups(&found)).collect();
        if all.is_empty() { Datum::Nil } else { Datum::vector(all) }
    })
}

/// All matches replaced; `$1` and `${name}` in the replacement are groups.
pub(super) fn re_replace(args: &[Datum]) -> Answer {
    let (whole, pattern) = (text("re-replace", &args[0])?, text("re-replace", &args[1])?);
    let by = text("re-replace", &args[2])?;
    compiled(pattern, |regex| Datum::text(&regex.replace_all(whole, by)))
}

/// Without a limit, or with 0, empty parts at the end are dropped; a limit above 0 is the most parts, one below 0 none.
pub(super) fn split(args: &[Datum]) -> Answer {
    let (whole, pattern) = (text("split", &args[0])?, text("split", &args[1])?);
    let limit = match args.get(2) {
        None => 0,
        Some(Datum::Value(Value::Long(n))) => *n,
        Some(datum) => return Err(super::scalar::wrong("split", "a whole number of parts", datum)),
    };
    compiled(pattern, |regex| {
        let mut parts = parts(regex, whole, usize::try_from(limit).ok().filter(|most| *most > 0));
        while limit == 0 && parts.len() > 1 && parts.last().is_some_and(|part| part.is_empty()) {
            parts.pop();
        }
        Datum::vector(parts.into_iter().map(Datum::text).collect())
    })
}

/// What stands between the matches. An empty match at the beginning separates nothing.
fn parts<'a>(regex: &Regex, whole: &'a str, most: Option<usize>) -> Vec<&'a str> {
    let (mut parts, mut from) = (Vec::new(), 0);
    for found in regex.find_iter(whole).filter(|found| found.end() > 0) {
        if most.is_some_and(|most| parts.len() + 1 >= most) {
            break;
        }
        parts.push(&whole[from..found.start()]);
        from = found.end();
    }
    parts.push(&whole[from..]);
    parts
}
