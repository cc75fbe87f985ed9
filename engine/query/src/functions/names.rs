//! What the symbols of calls and aggregates mean, and how many arguments they take.

use annals_edn::{Code, Error, Symbol};

use super::scalar::{self, TABLE};
use super::{Aggregate, Arithmetic, Comparison, Function, Scalar};

/// The least and the most arguments.
type Arity = (usize, usize);

const ANY: usize = usize::MAX;

/// Those that are not in the table of scalar functions.
pub(super) const SPECIAL: [(&str, Function, Arity); 21] = [
    ("<", Function::Compare(Comparison::Less), (2, 2)),
    ("<=", Function::Compare(Comparison::LessOrEqual), (2, 2)),
    (">", Function::Compare(Comparison::Greater), (2, 2)),
    (">=", Function::Compare(Comparison::GreaterOrEqual), (2, 2)),
    ("=", Function::Equal, (1, ANY)),
    ("not=", Function::NotEqual, (1, ANY)),
    ("!=", Function::NotEqual, (2, 2)),
    ("==", Function::SameNumber, (1, ANY)),
    ("+", Function::Arithmetic(Arithmetic::Add), (0, ANY)),
    ("-", Function::Arithmetic(Arithmetic::Subtract), (1, ANY)),
    ("*", Function::Arithmetic(Arithmetic::Multiply), (0, ANY)),
    ("/", Function::Arithmetic(Arithmetic::Divide), (2, 2)),
    ("ground", Function::Ground, (1, 1)),
    ("get-else", Function::GetElse, (4, 4)),
    ("get-some", Function::GetSome, (3, ANY)),
    ("missing?", Function::Missing, (3, 3)),
    ("tuple", Function::Tuple, (1, ANY)),
    ("untuple", Function::Untuple, (1, 1)),
    ("q", Function::Query, (1, ANY)),
    ("tx-ids", Function::TxIds, (3, 3)),
    ("tx-data", Function::TxData, (2, 2)),
];

pub(super) const AGGREGATES: [&str; 11] = [
    "min",
    "max",
    "count",
    "count-distinct",
    "sum",
    "avg",
    "median",
    "variance",
    "stddev",
    "distinct",
    "rand",
];

impl Function {
    /// The function of that name, called with so many arguments.
    ///
    /// # Errors
    /// `UNKNOWN_FUNCTION` with the nearest name; `ARGS_MISMATCH`; `UNSUPPORTED` for `fulltext`.
    pub fn resolve(name: &Symbol, args: usize) -> Result<Function, Error> {
        let plain = plain(name.as_str());
        if plain == "fulltext" {
            return Err(Error::new(Code::Unsupported, "fulltext search is not offered")
                .hint("use re-find or clojure.string/includes? on the attribute"));
        }
        let (function, arity) = special(plain)
            .or_else(|| scalar::find(plain).map(|at| (Function::Scalar(at), TABLE[at.0 as usize].arity)))
            .ok_or_else(|| unknown(name, plain))?;
        match args < arity.0 || args > arity.1 {
            true => Err(mismatch(name, arity, args)),
            false => Ok(function),
        }
    }

    /// Whether the constant in that position decides what is read, and so belongs to the shape of a plan.
    #[must_use]
    pub fn decides_plan(self, position: usize) -> bool {
        match self {
            Function::GetElse | Function::Missing => position == 2,
            Function::GetSome => position >= 2,
            Function::Query => position == 0,
            _ => false,
        }
    }

    /// Whether it reads a database or runs a query: then its arguments may be sources.
    #[must_use]
    pub fn reads(self) -> bool {
        matches!(
            self,
            Function::GetElse
                | Function::GetSome
                | Function::Missing
                | Function::Query
                | Function::Fulltext
                | Function::TxIds
                | Function::TxData
        )
    }

    /// Its name as written without a namespace.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Function::Scalar(Scalar(at)) => TABLE[at as usize].name,
            Function::Fulltext => "fulltext",
            _ => SPECIAL.iter().find(|(_, function, _)| *function == self).map_or("?", |(name, _, _)| name),
        }
    }
}

fn special(name: &str) -> Option<(Function, Arity)> {
    SPECIAL.iter().find(|(known, _, _)| *known == name).map(|(_, function, arity)| (*function, *arity))
}

/// The name without the namespaces that need not be written.
fn plain(name: &str) -> &str {
    let stripped =
        ["clojure.core/", "datomic.api/", "annals/"].iter().find_map(|prefix| name.strip_prefix(prefix));
    match stripped {
        Some(rest) if !rest.is_empty() => rest,
        _ => name,
    }
}

fn unknown(name: &Symbol, plain: &str) -> Error {
    let error =
        Error::new(Code::UnknownFunction, format!("no function is named {name}")).with("function", name);
    let known = || SPECIAL.iter().map(|(name, _, _)| *name).chain(TABLE.iter().map(|entry| entry.name));
    let bare = |name: &'static str| {
        name.rsplit_once('/').filter(|(_, bare)| !bare.is_empty()).map_or(name, |(_, bare)| bare)
    };
    // Who writes no namespace may have forgotten it.
    let near = match plain.contains('/') {
        true => nearest(plain, known()),
        false => nearest(plain, known().map(bare)).and_then(|near| {
            known().find(|name| *name == near).or_else(|| known().find(|name| bare(name) == near))
        }),
    };
    match near {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => error.hint("docs/query-functions.md lists what queries may call"),
    }
}

fn mismatch(name: &Symbol, (least, most): Arity, args: usize) -> Error {
    let takes = match (least, most) {
        (1, 1) => "1 argument".to_owned(),
        (least, ANY) => format!("at least {least} arguments"),
        (least, most) if least == most => format!("{least} arguments"),
        (least, most) => format!("{least} to {most} arguments"),
    };
    Error::new(Code::ArgsMismatch, format!("{name} takes {takes}, not {args}"))
        .with("function", name)
        .hint(format!("call {name} with {takes}; docs/query-functions.md says what each is"))
}

impl Aggregate {
    /// The aggregate of that name, with or without a number before the variable.
    ///
    /// # Errors
    /// `INVALID_AGGREGATE` with the nearest name; `ARGS_MISMATCH`.
    pub fn resolve(name: &Symbol, number: Option<u64>) -> Result<Aggregate, Error> {
        let plain = plain(name.as_str());
        Ok(match (plain, number) {
            ("min", None) => Aggregate::Min,
            ("max", None) => Aggregate::Max,
            ("min", Some(n)) => Aggregate::MinN(n),
            ("max", Some(n)) => Aggregate::MaxN(n),
            ("count", None) => Aggregate::Count,
            ("count-distinct", None) => Aggregate::CountDistinct,
            ("sum", None) => Aggregate::Sum,
            ("avg", None) => Aggregate::Avg,
            ("median", None) => Aggregate::Median,
            ("variance", None) => Aggregate::Variance,
            ("stddev", None) => Aggregate::Stddev,
            ("distinct", None) => Aggregate::Distinct,
            ("rand", None) => Aggregate::Rand,
            ("rand", Some(n)) => Aggregate::RandN(n),
            ("sample", Some(n)) => Aggregate::Sample(n),
            ("sample", None) => return Err(mismatch(name, (2, 2), 1)),
            _ if AGGREGATES.contains(&plain) => return Err(mismatch(name, (1, 1), 2)),
            _ => return Err(unknown_aggregate(name, plain)),
        })
    }
}

fn unknown_aggregate(name: &Symbol, plain: &str) -> Error {
    let error = Error::new(Code::InvalidAggregate, format!("no aggregate is named {name}"));
    let error = error.with("aggregate", name);
    match nearest(plain, AGGREGATES.iter().copied().chain(["sample", "pull"])) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => error.hint(format!("the aggregates are {} sample", AGGREGATES.join(" "))),
    }
}

/// The name most like `name`, if one is near enough to have been meant.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let best = known.map(|known| (distance(name, known), known)).min_by_key(|(distance, _)| *distance)?;
    (best.0 <= 1 + name.chars().count() / 4 && best.0 < name.chars().count()).then_some(best.1)
}

/// Letters to insert, delete, replace or swap with a neighbour.
fn distance(x: &str, y: &str) -> usize {
    let (x, y): (Vec<char>, Vec<char>) = (x.chars().take(64).collect(), y.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=y.len()).collect()];
    for i in 1..=x.len() {
        let mut row = vec![i];
        for j in 1..=y.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(x[i - 1] != y[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && x[i - 1] == y[j - 2] && x[i - 2] == y[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[x.len()][y.len()]
}
