//! The logical form that plans are searched in: conjunctions of nodes over numbered variables.
//!
//! Made by [`super::lower`] from a checked query: constants are variables whose value binding knows, rules that do not
//! recurse are gone (their bodies stand in their callers), attributes are resolved against the schema. No literal is
//! left, so one logical form serves every query of its shape.

use std::sync::Arc;

use annals_db::Attribute;
use annals_edn::{Edn, Span, Symbol};
use rustc_hash::FxHashMap;

use crate::ast::{Binding, Clause, ConstId, SourceId, VarId};
use crate::functions::Function;

use super::physical::Part;
use super::vars::VarSet;

/// A whole query, ready to be planned.
#[derive(Clone, Debug)]
pub(crate) struct Logic {
    /// `:where` and the inputs that are relations
    pub main: Conj,
    /// how many variables, those of inlined rules included
    pub width: usize,
    /// variables that have one value for the whole run, and where it comes from
    pub fixed: Vec<(VarId, Fixed)>,
    /// the clauses that nodes come from, by number of origin
    pub written: Vec<Written>,
    /// variables that lowering made for one that was written
    pub names: FxHashMap<VarId, VarId>,
}

/// A clause as it was written.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    /// the clause
    pub clause: Clause,
    /// the rule in whose body it stands
    pub rule: Option<Symbol>,
}

/// Which clause something comes from: index into [`Logic::written`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin(pub u32);

impl Origin {
    /// No clause: inputs, equalities of repeated variables, what the planner adds.
    pub(crate) const NONE: Origin = Origin(u32::MAX);
}

/// Where the one value of a variable comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fixed {
    /// a constant of the query
    Const(ConstId),
    /// an input, or a slot of an input that is a tuple
    Input(usize, Option<usize>),
    /// an input as the database knows it: index into the query's given variables
    Given(usize),
}

/// All of these hold. The order is the written one; it breaks ties of the planner.
pub(crate) type Conj = Vec<Node>;

/// One condition.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    /// a pattern on a database
    Data(DataPattern),
    /// a pattern on a relation
    Tuple(TuplePattern),
    /// an input that is a collection or a relation
    Rows(RowsInput),
    /// two variables are identical
    Same(VarId, VarId),
    /// a predicate holds
    Filter(Call),
    /// a function's result is bound
    Bind(Call, Binding),
    /// no solution
    Not(NotNode),
    /// a solution of some branch
    Or(OrNode),
    /// a call of a recursive rule
    Rule(RuleNode),
    /// within a recursive rule: a call of a rule of the same component
    Table(TableNode),
}

/// What stands in the attribute's place.
#[derive(Clone, Debug)]
pub(crate) enum Attr {
    /// an attribute of the schema
    Known(Arc<Attribute>),
    /// a variable over attributes' entity ids
    Var(VarId),
    /// any
    Blank,
}

/// `[e a v tx op]`. `None` is a blank; no variable stands twice.
#[derive(Clone, Debug)]
pub(crate) struct DataPattern {
    /// which database
    pub source: SourceId,
    /// entity
    pub e: Option<VarId>,
    /// attribute
    pub a: Attr,
    /// value
    pub v: Option<VarId>,
    /// transaction entity
    pub tx: Option<VarId>,
    /// asserted or retracted
    pub op: Option<VarId>,
    /// where it stood
    pub at: Span,
    /// its clause
    pub origin: Origin,
}

/// A pattern on a relation; no variable stands twice.
#[derive(Clone, Debug)]
pub(crate) struct TuplePattern {
    /// which relation
    pub source: SourceId,
    /// by position
    pub terms: Vec<Option<VarId>>,
    /// where it stood
    pub at: Span,
    /// its clause
    pub origin: Origin,
}

/// The rows of an input binding.
#[derive(Clone, Debug)]
pub(crate) struct RowsInput {
    /// which input
    pub input: usize,
    /// one a slot
    pub slots: Vec<Option<VarId>>,
    /// one slot: the rows are the values themselves
    pub collection: bool,
    /// slots in the form that the database knows: slot, index into the query's given variables, variable
    pub resolved: Vec<(usize, usize, VarId)>,
}

/// A call; constants are variables here.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// which function
    pub function: Function,
    /// its arguments
    pub args: Vec<CallArg>,
    /// place among the calls as written
    pub number: u32,
    /// where it stood
    pub at: Span,
    /// its clause
    pub origin: Origin,
}

/// An argument of a call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum CallArg {
    /// a variable
    Var(VarId),
    /// a database or a relation
    Source(SourceId),
    /// the query of a nested `q`
    Form(Arc<Edn>),
}

/// not-join.
#[derive(Clone, Debug)]
pub(crate) struct NotNode {
    /// bound outside
    pub join: Vec<VarId>,
    /// what must have no solution
    pub body: Conj,
    /// its clause
    pub origin: Origin,
}

/// or-join, or a rule of several branches.
#[derive(Clone, Debug)]
pub(crate) struct OrNode {
    /// shared with the outside
    pub join: Vec<VarId>,
    /// those of `join` that must be bound outside
    pub required: VarSet,
    /// conjunctions
    pub branches: Vec<Conj>,
    /// its clause
    pub origin: Origin,
}

/// A call of a recursive rule.
#[derive(Clone, Debug)]
pub(crate) struct RuleNode {
    /// the component's rules
    pub program: Arc<Program>,
    /// which of them is called
    pub goal: usize,
    /// no variable stands twice
    pub args: Vec<VarId>,
    /// its clause
    pub origin: Origin,
}

/// Within a recursive rule: the table of a rule of its component.
#[derive(Clone, Debug)]
pub(crate) struct TableNode {
    /// index into [`Program::preds`]; once the program is planned, a table
    pub pred: usize,
    /// which rows of it
    pub part: Part,
    /// no variable stands twice
    pub args: Vec<VarId>,
    /// its clause
    pub origin: Origin,
}

/// A strongly connected component of recursive rules, on one source.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// its rules
    pub preds: Vec<Pred>,
}

/// All branches of one recursive rule.
#[derive(Clone, Debug)]
pub(crate) struct Pred {
    /// how many arguments
    pub arity: usize,
    /// which must be bound at a call
    pub required: Vec<bool>,
    /// head and body, one a branch; no variable stands twice in a head
    pub branches: Vec<(Vec<VarId>, Conj)>,
}

impl DataPattern {
    /// Every variable.
    pub(crate) fn vars(&self) -> impl Iterator<Item = VarId> + '_ {
        let a = match self.a {
            Attr::Var(var) => Some(var),
            _ => None,
        };
        [self.e, a, self.v, self.tx, self.op].into_iter().flatten()
    }
}

impl RowsInput {
    /// Every variable, those of slots first.
    pub(crate) fn vars(&self) -> impl Iterator<Item = VarId> + '_ {
        self.slots.iter().flatten().copied().chain(self.resolved.iter().map(|(_, _, var)| *var))
    }
}

impl Call {
    /// Its variables.
    pub(crate) fn vars(&self) -> impl Iterator<Item = VarId> + '_ {
        self.args.iter().filter_map(|arg| match arg {
            CallArg::Var(var) => Some(*var),
            CallArg::Source(_) | CallArg::Form(_) => None,
        })
    }
}

impl Node {
    /// What it shares with its neighbours: every variable that it reads or binds.
    pub(crate) fn vars(&self) -> VarSet {
        match self {
            Node::Data(x) => x.vars().collect(),
            Node::Tuple(x) => x.terms.iter().flatten().copied().collect(),
            Node::Rows(x) => x.vars().collect(),
            Node::Same(x, y) => [*x, *y].into_iter().collect(),
            Node::Filter(call) => call.vars().collect(),
            Node::Bind(call, binding) => call.vars().chain(binding.vars()).collect(),
            Node::Not(x) => x.join.iter().copied().collect(),
            Node::Or(x) => x.join.iter().copied().collect(),
            Node::Rule(x) => x.args.iter().copied().collect(),
            Node::Table(x) => x.args.iter().copied().collect(),
        }
    }

    /// The clause that it comes from.
    pub(crate) fn origin(&self) -> Origin {
        match self {
            Node::Data(x) => x.origin,
            Node::Tuple(x) => x.origin,
            Node::Filter(call) | Node::Bind(call, _) => call.origin,
            Node::Not(x) => x.origin,
            Node::Or(x) => x.origin,
            Node::Rule(x) => x.origin,
            Node::Table(x) => x.origin,
            Node::Rows(_) | Node::Same(..) => Origin::NONE,
        }
    }

    /// What must be bound before it can run.
    pub(crate) fn needs(&self) -> VarSet {
        match self {
            Node::Filter(call) | Node::Bind(call, _) => call.vars().collect(),
            Node::Not(x) => x.join.iter().copied().collect(),
            Node::Or(x) => x.required.clone(),
            Node::Rule(x) => {
                let required = &x.program.preds[x.goal].required;
                x.args.iter().zip(required).filter(|(_, required)| **required).map(|(var, _)| *var).collect()
            }
            _ => VarSet::default(),
        }
    }
}
