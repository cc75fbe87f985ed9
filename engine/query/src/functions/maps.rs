//! Scalar functions on maps and sets.

use annals_db::Value;
use annals_edn::Error;

use super::collections::items;
use super::compare::equal;
use super::scalar::wrong;
use crate::datum::Datum;

type Answer = Result<Datum, Error>;

/// The entries of a map; nil has none.
pub(super) fn entries(function: &str, datum: &Datum) -> Result<Vec<(Datum, Datum)>, Error> {
    match datum {
        Datum::Map(entries) => Ok(entries.to_vec()),
        Datum::Nil => Ok(Vec::new()),
        _ => Err(wrong(function, "a map", datum)),
    }
}

/// A map; of equal keys the last wins.
pub(super) fn map_of(mut entries: Vec<(Datum, Datum)>) -> Datum {
    entries.reverse();
    Datum::map(entries)
}

/// Adds to a map what `conj` and `into` may add: a pair or a map.
pub(super) fn add_entry(function: &str, all: &mut Vec<(Datum, Datum)>, entry: &Datum) -> Result<(), Error> {
    if let Datum::Map(more) = entry {
        all.extend_from_slice(more);
        return Ok(());
    }
    match entry.items().as_deref() {
        Some([key, value]) => all.push((key.clone(), value.clone())),
        _ => return Err(wrong(function, "pairs for a map", entry)),
    }
    Ok(())
}

pub(super) fn hash_map(args: &[Datum]) -> Answer {
    assoc_all("hash-map", Vec::new(), args)
}

fn assoc_all(function: &str, mut all: Vec<(Datum, Datum)>, args: &[Datum]) -> Answer {
    if args.len() % 2 == 1 {
        return Err(wrong(function, "keys and values", args.last().expect("an odd number is not 0")));
    }
    all.extend(args.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())));
    Ok(map_of(all))
}

fn or_nil(items: Vec<Datum>) -> Datum {
    if items.is_empty() { Datum::Nil } else { Datum::vector(items) }
}

pub(super) fn keys(args: &[Datum]) -> Answer {
    Ok(or_nil(entries("keys", &args[0])?.into_iter().map(|(key, _)| key).collect()))
}

pub(super) fn vals(args: &[Datum]) -> Answer {
    Ok(or_nil(entries("vals", &args[0])?.into_iter().map(|(_, value)| value).collect()))
}

pub(super) fn find(args: &[Datum]) -> Answer {
    let found = entries("find", &args[0])?.into_iter().find(|(key, _)| equal(key, &args[1]));
    Ok(found.map_or(Datum::Nil, |(key, value)| Datum::vector(vec![key, value])))
}

/// In a vector, at a position of it or just past its end.
fn assoc_vector(mut all: Vec<Datum>, args: &[Datum]) -> Answer {
    for pair in args.chunks(2) {
        let at = match (&pair[0], pair.get(1)) {
            (Datum::Value(Value::Long(n)), Some(_)) => usize::try_from(*n).ok().filter(|at| *at <= all.len()),
            _ => None,
        };
        match at.ok_or_else(|| wrong("assoc", "positions and values for a vector", &pair[0]))? {
            at if at == all.len() => all.push(pair[1].clone()),
            at => all[at] = pair[1].clone(),
        }
    }
    Ok(Datum::vector(all))
}

pub(super) fn assoc(args: &[Datum]) -> Answer {
    match &args[0] {
        Datum::Vector(_) | Datum::Value(Value::Tuple(_)) => {
            assoc_vector(items("assoc", &args[0])?, &args[1..])
        }
        map => assoc_all("assoc", entries("assoc", map)?, &args[1..]),
    }
}

pub(super) fn dissoc(args: &[Datum]) -> Answer {
    let mut all = entries("dissoc", &args[0])?;
    all.retain(|(key, _)| !args[1..].iter().any(|gone| equal(key, gone)));
    Ok(Datum::map(all))
}

pub(super) fn merge(args: &[Datum]) -> Answer {
    let all: Vec<_> = args.iter().map(|map| entries("merge", map)).collect::<Result<_, _>>()?;
    Ok(map_of(all.concat()))
}

pub(super) fn select_keys(args: &[Datum]) -> Answer {
    let wanted = items("select-keys", &args[1])?;
    let mut all = entries("select-keys", &args[0])?;
    all.retain(|(key, _)| wanted.iter().any(|known| equal(key, known)));
    Ok(Datum::map(all))
}

pub(super) fn zipmap(args: &[Datum]) -> Answer {
    let (keys, values) = (items("zipmap", &args[0])?, items("zipmap", &args[1])?);
    Ok(map_of(keys.into_iter().zip(values).collect()))
}

pub(super) fn frequencies(args: &[Datum]) -> Answer {
    let mut all = items("frequencies", &args[0])?;
    all.sort_by(Datum::cmp_index);
    let runs = all.chunk_by(|x, y| x.cmp_index(y).is_eq());
    Ok(Datum::map(runs.map(|run| (run[0].clone(), Datum::long(run.len() as i64))).collect()))
}

fn set_items(function: &str, datum: &Datum) -> Result<Vec<Datum>, Error> {
    match datum {
        Datum::Set(items) => Ok(items.to_vec()),
        Datum::Nil => Ok(Vec::new()),
        _ => Err(wrong(function, "sets", datum)),
    }
}

pub(super) fn disj(args: &[Datum]) -> Answer {
    let mut all = set_items("disj", &args[0])?;
    all.retain(|item| !args[1..].contains(item));
    Ok(Datum::set(all))
}

pub(super) fn union(args: &[Datum]) -> Answer {
    let sets: Vec<_> = args.iter().map(|set| set_items("union", set)).collect::<Result<_, _>>()?;
    Ok(Datum::set(sets.concat()))
}

/// What of the first set the others have, or have not.
fn narrowed(function: &str, args: &[Datum], kept: bool) -> Answer {
    let mut all = set_items(function, &args[0])?;
    for other in &args[1..] {
        let other: rustc_hash::FxHashSet<Datum> = set_items(function, other)?.into_iter().collect();
        all.retain(|item| other.contains(item) == kept);
    }
    Ok(Datum::set(all))
}

pub(super) fn intersection(args: &[Datum]) -> Answer {
    narrowed("intersection", args, true)
}

pub(super) fn difference(args: &[Datum]) -> Answer {
    narrowed("difference", args, false)
}

fn within(function: &str, small: &Datum, great: &Datum) -> Answer {
    let great: rustc_hash::FxHashSet<Datum> = set_items(function, great)?.into_iter().collect();
    Ok(Datum::bool(set_items(function, small)?.iter().all(|item| great.contains(item))))
}

pub(super) fn is_subset(args: &[Datum]) -> Answer {
    within("subset?", &args[0], &args[1])
}

pub(super) fn is_superset(args: &[Datum]) -> Answer {
    within("superset?", &args[1], &args[0])
}
