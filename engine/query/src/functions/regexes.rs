//! Regular expressions, in time linear in the text. A pattern is a string.

use std::cell::RefCell;

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
    compiled(pattern, |regex| Datum::vector(regex.captures_iter(whole).map(|found| groups(&found)).collect()))
}

pub(super) fn split(args: &[Datum]) -> Answer {
    let (whole, pattern) = (text("split", &args[0])?, text("split", &args[1])?);
    compiled(pattern, |regex| {
        let mut parts: Vec<&str> = regex.split(whole).collect();
        while parts.len() > 1 && parts.last().is_some_and(|part| part.is_empty()) {
            parts.pop();
        }
        Datum::vector(parts.into_iter().map(Datum::text).collect())
    })
}
