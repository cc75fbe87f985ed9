//! The physical form: pipelines of steps over batches of rows.
//!
//! A pipeline takes seed rows (one row of constants for the whole query) and passes them through its steps; every
//! step keeps the order of its input, so that what the first scan delivers in order arrives in order. Steps may own
//! pipelines: the build side of a hash join, the body of a not, the branches of an or, the rules of a fixpoint.

use std::ops::Bound;
use std::sync::Arc;

use annals_db::Index;

use crate::ast::{Binding, VarId};

use super::logic::{Call, DataPattern, Origin, RowsInput, TuplePattern};
use super::vars::VarSet;

/// How a whole query runs.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// what makes the rows
    pub root: Pipeline,
    /// the variable by which the rows arrive in ascending index order
    pub lead: Option<VarId>,
    /// rows are distinct by the variables that are kept
    pub distinct: bool,
    /// rows are distinct by `lead` alone
    pub single: bool,
    /// how many variables
    pub width: usize,
    /// how many steps, those of inner pipelines included: the numbers of counters
    pub steps: usize,
}

/// Steps, first to last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pipeline {
    /// shared with the operators that run them
    pub steps: Vec<Arc<Step>>,
    /// rows it is thought to make
    pub rows: f64,
    /// what it is thought to cost, nanoseconds
    pub cost: f64,
}

/// One step.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// number of its counters
    pub id: usize,
    /// what it does
    pub kind: StepKind,
    /// variables that are still needed after it
    pub keep: VarSet,
    /// rows it is thought to make
    pub rows: f64,
    /// what it is thought to cost by itself, nanoseconds
    pub cost: f64,
    /// the clause it comes from
    pub origin: Origin,
}

/// What a step does.
#[derive(Clone, Debug)]
pub(crate) enum StepKind {
    /// joins every row with a scan of the pattern that its constants restrict
    Scan(ScanStep),
    /// joins with what the source finds by the bound variables
    Lookup(LookupStep),
    /// joins with the rows of an input
    Rows(RowsInput),
    /// joins with the rows of another pipeline, by the variables that both bind
    Hash(HashStep),
    /// keeps rows in which both are identical, or gives one the value of the other
    Same(VarId, VarId),
    /// keeps rows for which a predicate holds
    Filter(Call),
    /// binds what a function returns
    Bind(Call, Binding),
    /// keeps one row of those that are identical in what is kept
    Distinct(Vec<VarId>),
    /// keeps rows for which the body has no solution
    Not(NotStep),
    /// joins with the union of the branches
    Union(UnionStep),
    /// joins with the result of a recursive rule
    Fix(FixStep),
    /// joins with the transitive closure of a relation
    Closure(ClosureStep),
    /// within a recursive rule: joins with the rows of a table
    Table(TableStep),
}

/// A scan of a database or a relation.
#[derive(Clone, Debug)]
pub(crate) struct ScanStep {
    /// what is read
    pub pattern: Reading,
    /// which index, for a database
    pub index: Index,
    /// bounds of the value, as variables that are fixed
    pub bounds: (Bound<VarId>, Bound<VarId>),
}

/// A pattern on either kind of source.
#[derive(Clone, Debug)]
pub(crate) enum Reading {
    /// on a database
    Data(DataPattern),
    /// on a relation
    Tuple(TuplePattern),
}

/// A batched look-up in a database.
#[derive(Clone, Debug)]
pub(crate) struct LookupStep {
    /// what is read
    pub pattern: DataPattern,
    /// by which variable
    pub by: By,
    /// one key may have very many rows
    pub many: bool,
}

/// What a look-up starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// the entity
    Entity,
    /// the value
    Value,
    /// the attribute
    Attribute,
}

/// A hash join: the other pipeline is run once, on the constants alone.
#[derive(Clone, Debug)]
pub(crate) struct HashStep {
    /// makes the rows of the table
    pub build: Pipeline,
    /// joined by
    pub keys: Vec<VarId>,
    /// added
    pub outs: Vec<VarId>,
}

/// An anti-join: the body runs on the distinct join values of each batch.
#[derive(Clone, Debug)]
pub(crate) struct NotStep {
    /// bound outside, and what the body is seeded with
    pub join: Vec<VarId>,
    /// numbers the seeds
    pub seed: VarId,
    /// what must have no solution
    pub body: Pipeline,
}

/// A union: the branches run on the distinct values of what is bound.
#[derive(Clone, Debug)]
pub(crate) struct UnionStep {
    /// bound outside
    pub bound: Vec<VarId>,
    /// bound by the branches
    pub outs: Vec<VarId>,
    /// numbers the seeds
    pub seed: VarId,
    /// one a branch
    pub branches: Vec<Pipeline>,
}

/// A recursive rule, by semi-naive iteration from the values of its bound arguments.
#[derive(Clone, Debug)]
pub(crate) struct FixStep {
    /// rules of tables
    pub program: Arc<FixPlan>,
    /// arguments, in order
    pub args: Vec<VarId>,
    /// which of them are bound at the call
    pub bound: Vec<bool>,
}

/// Tables and the rules that fill them. Table 0 is the goal.
#[derive(Clone, Debug)]
pub(crate) struct FixPlan {
    /// columns of each table
    pub arities: Vec<usize>,
    /// the table of the goal's demand, seeded with the bound arguments
    pub demand: Option<usize>,
    /// what fills them
    pub rules: Vec<FixRule>,
}

/// One way to fill a table.
#[derive(Clone, Debug)]
pub(crate) struct FixRule {
    /// which table
    pub table: usize,
    /// its columns
    pub head: Vec<VarId>,
    /// makes rows that bind the head
    pub body: Pipeline,
    /// the table whose newest rows it reads; without one it runs in the first round only
    pub delta: Option<usize>,
}

/// Within a recursive rule: a table, whole or what the last round added.
#[derive(Clone, Debug)]
pub(crate) struct TableStep {
    /// which table
    pub table: usize,
    /// its columns
    pub args: Vec<VarId>,
    /// which part
    pub part: Part,
    /// those of `args` that are bound before
    pub keys: Vec<VarId>,
}

/// A part of a table in semi-naive iteration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// before the last round
    Old,
    /// what the last round added
    Delta,
    /// both
    Whole,
}

/// A transitive closure.
#[derive(Clone, Debug)]
pub(crate) struct ClosureStep {
    /// reached from
    pub from: VarId,
    /// reached
    pub to: VarId,
    /// which ends are bound before
    pub bound: (bool, bool),
    /// the relation
    pub edge: Edge,
}

/// The relation whose closure is taken.
#[derive(Clone, Debug)]
pub(crate) enum Edge {
    /// a reference attribute
    Attribute(DataPattern),
    /// any conjunction of two ends
    Body {
        /// its ends
        ends: (VarId, VarId),
        /// seeded with the first end
        forward: Box<Pipeline>,
        /// seeded with the second end
        backward: Box<Pipeline>,
        /// seeded with nothing
        whole: Box<Pipeline>,
    },
}
