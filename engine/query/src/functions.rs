//! Functions, predicates and aggregates: which there are, how many arguments they take, what they answer.
//!
//! Reading order: [`names`] what a symbol means, [`compare`] and [`number`] order and arithmetic, the tables of scalar
//! functions ([`scalar`] and the files by subject), [`database`] those that read, [`batch`] calls over columns,
//! [`aggregate`].
//!
//! Names are resolved when a query is parsed; a call at run time costs no look-up. A call that fails marks its row
//! ([`Evaluated::errors`]) and goes on, so that which error a query reports does not depend on its plan.

pub(crate) mod aggregate;
mod batch;
mod bits;
mod collections;
pub mod compare;
mod database;
#[cfg(test)]
mod list;
mod maps;
mod math;
mod names;
pub mod number;
mod reading;
mod regexes;
mod scalar;
mod sequences;
#[cfg(test)]
mod tests;
mod text;

use annals_db::Db;
use annals_edn::{Edn, Error};

use crate::datum::{Datum, DatumColumn};

pub(crate) use names::nearest;
pub(crate) use text::plain as plain_text;

/// A function or predicate of a clause. The variants that a planner or executor treats specially stand alone; all
/// others are [`Function::Scalar`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Function {
    /// `< <= > >=`: two arguments, any types; may become bounds of a scan
    Compare(Comparison),
    /// `=`: any number of arguments
    Equal,
    /// `not=` (any number) and `!=` (two)
    NotEqual,
    /// `==`: numbers by value
    SameNumber,
    /// `+ - * /`
    Arithmetic(Arithmetic),
    /// `(ground constant)`
    Ground,
    /// `(get-else $ ?e :a default)`
    GetElse,
    /// `(get-some $ ?e :a …)`
    GetSome,
    /// `(missing? $ ?e :a)`
    Missing,
    /// `(tuple ?a …)`
    Tuple,
    /// `(untuple ?t)`
    Untuple,
    /// `(q query $ …)`
    Query,
    /// `(fulltext $ :a "words")`: refused
    Fulltext,
    /// `(tx-ids ?log start end)`
    TxIds,
    /// `(tx-data ?log ?tx)`
    TxData,
    /// every pure function of one value from values
    Scalar(Scalar),
}

/// An order comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// The four operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arithmetic {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
}

/// A pure function: index into the table of scalar functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scalar(pub(crate) u16);

/// An aggregate with its constant argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Aggregate {
    /// `(min ?x)`
    Min,
    /// `(max ?x)`
    Max,
    /// `(min n ?x)`: vector, ascending
    MinN(u64),
    /// `(max n ?x)`: vector, descending
    MaxN(u64),
    /// `(count ?x)`
    Count,
    /// `(count-distinct ?x)`
    CountDistinct,
    /// `(sum ?x)`
    Sum,
    /// `(avg ?x)`
    Avg,
    /// `(median ?x)`
    Median,
    /// a stored query function, by the number of the constant that spells it out: see [`crate::stored`]
    Stored(u32),
    /// `(variance ?x)`, of the population
    Variance,
    /// `(stddev ?x)`, of the population
    Stddev,
    /// `(distinct ?x)`: set
    Distinct,
    /// `(rand ?x)`
    Rand,
    /// `(rand n ?x)`: vector of n, with repeats
    RandN(u64),
    /// `(sample n ?x)`: vector of at most n, distinct
    Sample(u64),
}

/// One argument of a batch of calls.
#[derive(Clone, Copy)]
pub enum Operand<'a> {
    /// a value a row
    Column(&'a DatumColumn),
    /// one value for all rows
    Const(&'a Datum),
    /// a database
    Db(&'a Db),
    /// a relation given as input: its rows
    Relation(&'a Datum),
    /// the query of a nested `q`, as written (a datum would forget which were lists)
    Form(&'a Edn),
}

/// What a batch of calls answered: a value a row, and of the rows that failed, ascending, why (their value is nil).
#[derive(Debug)]
pub struct Evaluated {
    /// a value a row
    pub column: DatumColumn,
    /// failed rows
    pub errors: Vec<(u32, Error)>,
}

/// How a nested `q` is run. The executor gives one; `query` is the query form, `args` its arguments.
pub trait Nested {
    /// Runs `query` and answers its result.
    ///
    /// # Errors
    /// Whatever the nested query is refused with.
    fn run(&self, query: &Edn, args: &[Operand<'_>]) -> Result<Datum, Error>;
}
