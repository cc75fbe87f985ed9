//! Scalar functions that make one sequence of others. What is a lazy sequence elsewhere is a vector here.

use annals_db::Value;
use annals_edn::{Code, Error};

use super::collections::{MAX_RANGE, how_many, items};
use super::maps;
use super::scalar::wrong;
use crate::datum::Datum;

type Answer = Result<Datum, Error>;

fn or_nil(items: Vec<Datum>) -> Datum {
    if items.is_empty() { Datum::Nil } else { Datum::vector(items) }
}

pub(super) fn seq(args: &[Datum]) -> Answer {
    Ok(or_nil(items("seq", &args[0])?))
}

pub(super) fn not_empty(args: &[Datum]) -> Answer {
    Ok(if items("not-empty", &args[0])?.is_empty() { Datum::Nil } else { args[0].clone() })
}

pub(super) fn next(args: &[Datum]) -> Answer {
    Ok(or_nil(items("next", &args[0])?.into_iter().skip(1).collect()))
}

pub(super) fn ffirst(args: &[Datum]) -> Answer {
    match items("ffirst", &args[0])?.first() {
        Some(first) => Ok(items("ffirst", first)?.into_iter().next().unwrap_or(Datum::Nil)),
        None => Ok(Datum::Nil),
    }
}

pub(super) fn butlast(args: &[Datum]) -> Answer {
    let mut all = items("butlast", &args[0])?;
    all.pop();
    Ok(or_nil(all))
}

pub(super) fn cons(args: &[Datum]) -> Answer {
    let mut all = vec![args[0].clone()];
    all.extend(items("cons", &args[1])?);
    Ok(Datum::vector(all))
}

/// `conj` and `into`: to a map pairs or maps, to a set, to a vector or a list.
fn added(function: &str, to: &Datum, more: &[Datum]) -> Answer {
    if let Datum::Map(_) = to {
        let mut all = maps::entries(function, to)?;
        more.iter().try_for_each(|entry| maps::add_entry(function, &mut all, entry))?;
        return Ok(maps::map_of(all));
    }
    let mut all = items(function, to)?;
    all.extend_from_slice(more);
    Ok(if let Datum::Set(_) = to { Datum::set(all) } else { Datum::vector(all) })
}

pub(super) fn conj(args: &[Datum]) -> Answer {
    added("conj", &args[0], &args[1..])
}

pub(super) fn into(args: &[Datum]) -> Answer {
    added("into", &args[0], &items("into", &args[1])?)
}

pub(super) fn is_distinct(args: &[Datum]) -> Answer {
    let mut seen = rustc_hash::FxHashSet::default();
    Ok(Datum::bool(args.iter().all(|item| seen.insert(item))))
}

fn counted(function: &str, datum: &Datum) -> Result<usize, Error> {
    how_many(datum).ok_or_else(|| wrong(function, "a number and a collection", datum))
}

pub(super) fn take_last(args: &[Datum]) -> Answer {
    let (count, all) = (counted("take-last", &args[0])?, items("take-last", &args[1])?);
    let from = all.len().saturating_sub(count);
    Ok(or_nil(all[from..].to_vec()))
}

pub(super) fn drop_last(args: &[Datum]) -> Answer {
    let (count, from) = match args {
        [count, from] => (counted("drop-last", count)?, from),
        _ => (1, &args[0]),
    };
    let mut all = items("drop-last", from)?;
    all.truncate(all.len().saturating_sub(count));
    Ok(Datum::vector(all))
}

/// A size of at least one.
fn size(function: &str, datum: &Datum) -> Result<usize, Error> {
    let found = how_many(datum).filter(|size| *size > 0);
    found.ok_or_else(|| wrong(function, "a number above 0 and a collection", datum))
}

pub(super) fn take_nth(args: &[Datum]) -> Answer {
    let step = size("take-nth", &args[0])?;
    Ok(Datum::vector(items("take-nth", &args[1])?.into_iter().step_by(step).collect()))
}

pub(super) fn repeat(args: &[Datum]) -> Answer {
    let count = counted("repeat", &args[0])?;
    if count > MAX_RANGE as usize {
        let message = format!("repeat makes at most {MAX_RANGE} elements");
        return Err(Error::new(Code::FunctionFailed, message));
    }
    Ok(Datum::vector(vec![args[1].clone(); count]))
}

pub(super) fn interleave(args: &[Datum]) -> Answer {
    let all: Vec<Vec<Datum>> = args.iter().map(|part| items("interleave", part)).collect::<Result<_, _>>()?;
    let least = all.iter().map(Vec::len).min().unwrap_or(0);
    Ok(Datum::vector((0..least).flat_map(|at| all.iter().map(move |part| part[at].clone())).collect()))
}

pub(super) fn interpose(args: &[Datum]) -> Answer {
    let all = items("interpose", &args[1])?;
    let pairs = all.into_iter().flat_map(|item| [args[0].clone(), item]);
    Ok(Datum::vector(pairs.skip(1).collect()))
}

pub(super) fn partition(args: &[Datum]) -> Answer {
    let (size, all) = (size("partition", &args[0])?, items("partition", &args[1])?);
    Ok(Datum::vector(all.chunks_exact(size).map(|part| Datum::vector(part.to_vec())).collect()))
}

pub(super) fn partition_all(args: &[Datum]) -> Answer {
    let (size, all) = (size("partition-all", &args[0])?, items("partition-all", &args[1])?);
    Ok(Datum::vector(all.chunks(size).map(|part| Datum::vector(part.to_vec())).collect()))
}

fn is_sequence(datum: &Datum) -> bool {
    matches!(datum, Datum::Vector(_) | Datum::Value(Value::Tuple(_)))
}

/// The elements of vectors in vectors, to any depth; of what is no vector, nothing.
pub(super) fn flatten(args: &[Datum]) -> Answer {
    let mut flat = Vec::new();
    // What is still to be looked at, the next last.
    let mut left: Vec<Datum> = if is_sequence(&args[0]) { vec![args[0].clone()] } else { Vec::new() };
    while let Some(datum) = left.pop() {
        match is_sequence(&datum) {
            true => left.extend(items("flatten", &datum)?.into_iter().rev()),
            false => flat.push(datum),
        }
    }
    Ok(Datum::vector(flat))
}

/// The elements of a vector or tuple.
fn vector_items(function: &str, datum: &Datum) -> Result<Vec<Datum>, Error> {
    match is_sequence(datum) {
        true => items(function, datum),
        false => Err(wrong(function, "a vector", datum)),
    }
}

pub(super) fn subvec(args: &[Datum]) -> Answer {
    let all = vector_items("subvec", &args[0])?;
    let end = args.get(2).map_or(Some(all.len()), how_many);
    match (how_many(&args[1]), end) {
        (Some(start), Some(end)) if start <= end && end <= all.len() => {
            Ok(Datum::vector(all[start..end].to_vec()))
        }
        _ => Err(wrong("subvec", "positions in the vector", &args[1])),
    }
}

pub(super) fn peek(args: &[Datum]) -> Answer {
    Ok(vector_items("peek", &args[0])?.pop().unwrap_or(Datum::Nil))
}

pub(super) fn pop(args: &[Datum]) -> Answer {
    let mut all = vector_items("pop", &args[0])?;
    match all.pop() {
        Some(_) => Ok(Datum::vector(all)),
        None => Err(wrong("pop", "a vector with elements", &args[0])),
    }
}

pub(super) fn empty(args: &[Datum]) -> Answer {
    Ok(match &args[0] {
        Datum::Set(_) => Datum::set(Vec::new()),
        Datum::Map(_) => Datum::map(Vec::new()),
        datum if is_sequence(datum) => Datum::vector(Vec::new()),
        _ => Datum::Nil,
    })
}

pub(super) fn is_sequential(args: &[Datum]) -> Answer {
    Ok(Datum::bool(is_sequence(&args[0])))
}

pub(super) fn is_associative(args: &[Datum]) -> Answer {
    Ok(Datum::bool(is_sequence(&args[0]) || matches!(args[0], Datum::Map(_))))
}
