//! Scalar functions that ask collections, and the commonest that make them.

use annals_db::Value;
use annals_edn::{Code, Error};

use super::compare::{compare, equal};
use super::scalar::wrong;
use crate::datum::Datum;

type Answer = Result<Datum, Error>;

/// The most elements that `range` makes.
pub(super) const MAX_RANGE: i64 = 1_000_000;

/// The elements of a collection or the characters of a string; nil has none.
pub(super) fn items(function: &str, datum: &Datum) -> Result<Vec<Datum>, Error> {
    match datum {
        Datum::Nil => Ok(Vec::new()),
        Datum::Value(Value::String(text)) => Ok(text.chars().map(Datum::Char).collect()),
        _ => datum.items().ok_or_else(|| wrong(function, "a collection", datum)),
    }
}

pub(super) fn vec(args: &[Datum]) -> Answer {
    Ok(Datum::vector(items("vec", &args[0])?))
}

pub(super) fn set(args: &[Datum]) -> Answer {
    Ok(Datum::set(items("set", &args[0])?))
}

pub(super) fn count(args: &[Datum]) -> Answer {
    let count = match &args[0] {
        Datum::Value(Value::String(text)) => text.chars().count(),
        Datum::Value(Value::Tuple(slots)) => slots.len(),
        Datum::Map(entries) => entries.len(),
        Datum::Vector(items) | Datum::Set(items) => items.len(),
        datum => items("count", datum)?.len(),
    };
    Ok(Datum::long(count as i64))
}

pub(super) fn is_empty(args: &[Datum]) -> Answer {
    Ok(Datum::bool(items("empty?", &args[0])?.is_empty()))
}

pub(super) fn first(args: &[Datum]) -> Answer {
    Ok(items("first", &args[0])?.into_iter().next().unwrap_or(Datum::Nil))
}

pub(super) fn second(args: &[Datum]) -> Answer {
    Ok(items("second", &args[0])?.into_iter().nth(1).unwrap_or(Datum::Nil))
}

pub(super) fn last(args: &[Datum]) -> Answer {
    Ok(items("last", &args[0])?.pop().unwrap_or(Datum::Nil))
}

pub(super) fn rest(args: &[Datum]) -> Answer {
    Ok(Datum::vector(items("rest", &args[0])?.into_iter().skip(1).collect()))
}

fn index(datum: &Datum) -> Option<usize> {
    match datum {
        Datum::Value(Value::Long(n)) => usize::try_from(*n).ok(),
        _ => None,
    }
}

pub(super) fn nth(args: &[Datum]) -> Answer {
    if let Datum::Set(_) | Datum::Map(_) = &args[0] {
        return Err(wrong("nth", "a vector or a string", &args[0]));
    }
    let found = index(&args[1]).and_then(|at| items("nth", &args[0]).ok()?.into_iter().nth(at));
    match (found, args.get(2)) {
        (Some(item), _) => Ok(item),
        (None, None) if args[0] == Datum::Nil => Ok(Datum::Nil),
        (None, Some(default)) => Ok(default.clone()),
        (None, None) => Err(wrong("nth", "a collection and a position in it", &args[1])),
    }
}

/// What `get` finds, `None` when there is nothing.
fn find(collection: &Datum, key: &Datum) -> Option<Datum> {
    match collection {
        Datum::Map(entries) => {
            entries.iter().find(|(known, _)| equal(known, key)).map(|(_, value)| value.clone())
        }
        Datum::Set(items) => items.iter().find(|item| *item == key).cloned(),
        Datum::Value(Value::Tuple(slots)) => slots.get(index(key)?).cloned().map(Datum::from),
        Datum::Vector(items) => items.get(index(key)?).cloned(),
        Datum::Value(Value::String(text)) => text.chars().nth(index(key)?).map(Datum::Char),
        _ => None,
    }
}

pub(super) fn get(args: &[Datum]) -> Answer {
    let default = || args.get(2).cloned().unwrap_or(Datum::Nil);
    Ok(find(&args[0], &args[1]).unwrap_or_else(default))
}

pub(super) fn get_in(args: &[Datum]) -> Answer {
    let path = items("get-in", &args[1])?;
    let found = path.iter().try_fold(args[0].clone(), |inside, key| find(&inside, key));
    Ok(found.unwrap_or_else(|| args.get(2).cloned().unwrap_or(Datum::Nil)))
}

pub(super) fn contains(args: &[Datum]) -> Answer {
    match &args[0] {
        Datum::Value(Value::String(_) | Value::Tuple(_)) | Datum::Nil => {}
        Datum::Value(_) | Datum::Char(_) => return Err(wrong("contains?", "a collection", &args[0])),
        Datum::Vector(_) | Datum::Set(_) | Datum::Map(_) => {}
    }
    let at_nil = |slots: &[Option<Value>]| index(&args[1]).is_some_and(|at| at < slots.len());
    Ok(Datum::bool(match &args[0] {
        Datum::Value(Value::Tuple(slots)) => at_nil(slots),
        collection => find(collection, &args[1]).is_some(),
    }))
}

pub(super) fn concat(args: &[Datum]) -> Answer {
    let parts: Vec<Vec<Datum>> = args.iter().map(|part| items("concat", part)).collect::<Result<_, _>>()?;
    Ok(Datum::vector(parts.concat()))
}

pub(super) fn distinct(args: &[Datum]) -> Answer {
    let mut seen = rustc_hash::FxHashSet::default();
    let mut all = items("distinct", &args[0])?;
    all.retain(|item| seen.insert(item.clone()));
    Ok(Datum::vector(all))
}

pub(super) fn sort(args: &[Datum]) -> Answer {
    let mut all = items("sort", &args[0])?;
    all.sort_by(compare);
    Ok(Datum::vector(all))
}

pub(super) fn reverse(args: &[Datum]) -> Answer {
    let mut all = items("reverse", &args[0])?;
    all.reverse();
    Ok(Datum::vector(all))
}

/// How many to take; fewer than none is none.
pub(super) fn how_many(datum: &Datum) -> Option<usize> {
    match datum {
        Datum::Value(Value::Long(..0)) => Some(0),
        _ => index(datum),
    }
}

pub(super) fn take(args: &[Datum]) -> Answer {
    let count = how_many(&args[0]).ok_or_else(|| wrong("take", "a number and a collection", &args[0]))?;
    Ok(Datum::vector(items("take", &args[1])?.into_iter().take(count).collect()))
}

pub(super) fn drop(args: &[Datum]) -> Answer {
    let count = how_many(&args[0]).ok_or_else(|| wrong("drop", "a number and a collection", &args[0]))?;
    Ok(Datum::vector(items("drop", &args[1])?.into_iter().skip(count).collect()))
}

pub(super) fn range(args: &[Datum]) -> Answer {
    let long = |datum: &Datum| match datum {
        Datum::Value(Value::Long(n)) => Ok(*n),
        _ => Err(wrong("range", "longs", datum)),
    };
    let numbers: Vec<i64> = args.iter().map(long).collect::<Result<_, _>>()?;
    let (start, end, step) = match numbers[..] {
        [end] => (0, end, 1),
        [start, end] => (start, end, 1),
        [start, end, step] if step != 0 => (start, end, step),
        _ => return Err(wrong("range", "a step other than 0", &args[2])),
    };
    let count = (i128::from(end) - i128::from(start) + i128::from(step) - i128::from(step.signum()))
        / i128::from(step);
    if count > i128::from(MAX_RANGE) {
        return Err(Error::new(Code::FunctionFailed, format!("a range has at most {MAX_RANGE} elements")));
    }
    Ok(Datum::vector((0..count.max(0) as i64).map(|at| Datum::long(start + at * step)).collect()))
}

pub(super) fn is_vector(args: &[Datum]) -> Answer {
    Ok(Datum::bool(matches!(args[0], Datum::Vector(_) | Datum::Value(Value::Tuple(_)))))
}

pub(super) fn is_map(args: &[Datum]) -> Answer {
    Ok(Datum::bool(matches!(args[0], Datum::Map(_))))
}

pub(super) fn is_set(args: &[Datum]) -> Answer {
    Ok(Datum::bool(matches!(args[0], Datum::Set(_))))
}

pub(super) fn is_coll(args: &[Datum]) -> Answer {
    Ok(Datum::bool(args[0].items().is_some()))
}
