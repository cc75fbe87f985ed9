//! The query as a tree: what [`mod@crate::parse`] makes of EDN and what the planner plans from once [`mod@crate::check`] has
//! passed it.
//!
//! Normalised: `or` is an or-join and `not` a not-join, names are numbers, a variable inside a not, an or or a rule
//! that is not joined with the outside has a number of its own, so equal numbers mean the same variable everywhere.
//! Constants stand in one table and are referred to by number: two queries that differ only in constants that are
//! not `structural` have equal trees (spans never compare), which is what plans are cached by.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use annals_edn::{Edn, Span, Symbol};

use crate::functions::{Aggregate, Function};
use crate::pull::Pattern as PullPattern;

/// A variable: index into [`Query::vars`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VarId(pub u32);

/// A constant: index into [`Query::constants`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConstId(pub u32);

/// A data source: index into [`Query::sources`], or [`SourceId::CALLER`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub u16);

impl SourceId {
    /// In a rule's body: the source that the rule was called on.
    pub const CALLER: SourceId = SourceId(u16::MAX);
}

/// Where something stood in the query's text. Compares equal to every other, so that trees compare by meaning.
#[derive(Clone, Copy, Debug, Default)]
pub struct At(pub Span);

impl PartialEq for At {
    fn eq(&self, _: &At) -> bool {
        true
    }
}

impl Eq for At {}

impl Hash for At {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// A whole query.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Query {
    /// what is found, in which shape
    pub find: Find,
    /// `:keys`, `:syms` or `:strs`
    pub return_map: Option<ReturnMap>,
    /// variables that keep rows apart and are not shown
    pub with: Vec<VarId>,
    /// one an argument, in order
    pub inputs: Vec<Input>,
    /// `:where`, a conjunction, in the order written
    pub clauses: Vec<Clause>,
    /// what the result is sorted by before the canonical order
    pub order_by: Vec<OrderKey>,
    /// at most so many rows
    pub limit: Option<u64>,
    /// without the first so many
    pub offset: u64,
    /// every variable, those of rules included
    pub vars: Vec<Var>,
    /// every source that `:in` names
    pub sources: Vec<Source>,
    /// every constant of the query and its rules
    pub constants: Vec<Constant>,
    /// the rules that `%` holds; empty before [`mod@crate::check`]
    pub rules: Vec<Rule>,
}

/// A variable's name. Two variables of one name in different scopes are two entries.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Var {
    /// with its question mark
    pub name: Symbol,
}

/// A data source and the input that it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    /// with its dollar sign
    pub name: Symbol,
    /// index into [`Query::inputs`]
    pub input: usize,
}

/// A literal. Only a structural one (an attribute, a function argument that decides what is read) takes part in
/// equality: the rest are the parameters of a plan.
#[derive(Clone, Debug)]
pub struct Constant {
    /// the form as written
    pub form: Edn,
    /// it decides the plan
    pub structural: bool,
}

impl PartialEq for Constant {
    fn eq(&self, other: &Self) -> bool {
        self.structural == other.structural && (!self.structural || self.form == other.form)
    }
}

impl Eq for Constant {}

impl Hash for Constant {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.structural.hash(state);
        if let (true, annals_edn::Node::Keyword(name)) = (self.structural, &self.form.node) {
            name.hash(state);
        }
    }
}

/// The shape of the result.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Find {
    /// set of rows, column, one value or one row
    pub shape: FindShape,
    /// the columns
    pub elements: Vec<FindElem>,
}

/// The four shapes of `:find`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FindShape {
    /// `:find ?a ?b`
    Relation,
    /// `:find [?a ...]`
    Collection,
    /// `:find [?a ?b]`
    Tuple,
    /// `:find ?a .`
    Scalar,
}

/// One column of the result.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FindElem {
    /// `?x`
    Var(VarId, At),
    /// `(pull $ ?e pattern)`
    Pull {
        /// the database pulled from
        source: SourceId,
        /// the entity
        var: VarId,
        /// what is pulled
        pattern: PullSpec,
        /// where it stood
        at: At,
    },
    /// `(sum ?x)`
    Aggregate {
        /// which, with its constant arguments
        aggregate: Aggregate,
        /// the variable aggregated
        var: VarId,
        /// where it stood
        at: At,
    },
}

impl FindElem {
    /// The variable that the column is made of.
    #[must_use]
    pub fn var(&self) -> VarId {
        match self {
            FindElem::Var(var, _) | FindElem::Pull { var, .. } | FindElem::Aggregate { var, .. } => *var,
        }
    }
}

/// Where a pull's pattern comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PullSpec {
    /// written in the query
    Literal(Arc<PullPattern>),
    /// the input of that index
    Input(usize),
}

/// What the keys of result maps are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReturnMap {
    /// keyword, symbol or string
    pub kind: KeyKind,
    /// one a column
    pub names: Vec<Symbol>,
}

/// `:keys`, `:syms`, `:strs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// keywords
    Keys,
    /// symbols
    Syms,
    /// strings
    Strs,
}

/// One argument of a query.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// `$name`: a database, or a collection of tuples
    Source(SourceId, At),
    /// `%`
    Rules(At),
    /// a plain symbol: a pull pattern
    Pull(Symbol, At),
    /// variables
    Binding(Binding, At),
}

/// How a value becomes variables, for inputs and for what functions return. A variable may stand in it twice: then
/// both must be equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Binding {
    /// `_`
    Blank,
    /// `?x`
    Scalar(VarId),
    /// `[?x _ ?y]`
    Tuple(Vec<Option<VarId>>),
    /// `[?x ...]`, `[_ ...]`
    Collection(Option<VarId>),
    /// `[[?x _]]`
    Relation(Vec<Option<VarId>>),
}

impl Binding {
    /// The variables it binds, as often as they stand in it.
    pub fn vars(&self) -> impl Iterator<Item = VarId> + '_ {
        let (one, many): (Option<VarId>, &[Option<VarId>]) = match self {
            Binding::Blank => (None, &[]),
            Binding::Scalar(var) => (Some(*var), &[]),
            Binding::Collection(var) => (*var, &[]),
            Binding::Tuple(slots) | Binding::Relation(slots) => (None, slots),
        };
        one.into_iter().chain(many.iter().flatten().copied())
    }
}

/// One position of a pattern or argument of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Term {
    /// a variable
    Var(VarId),
    /// a constant
    Const(ConstId),
    /// `_`, or not written
    Blank,
}

/// One argument of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arg {
    /// a variable
    Var(VarId),
    /// a constant
    Const(ConstId),
    /// a data source
    Source(SourceId),
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Clause {
    /// `[$ e a v tx op]`, on a database or on a relation, whichever the source is
    Pattern(Pattern),
    /// `[(f args)]`: rows for which it is neither false nor nil
    Predicate(Call),
    /// `[(f args) binding]`
    Function(Call, Binding),
    /// not, not-join
    Not(Not),
    /// or, or-join
    Or(Or),
    /// `(rule args)`
    Rule(RuleCall),
}

impl Clause {
    /// Where it stood.
    #[must_use]
    pub fn span(&self) -> Span {
        match self {
            Clause::Pattern(x) => x.at.0,
            Clause::Predicate(x) | Clause::Function(x, _) => x.at.0,
            Clause::Not(x) => x.at.0,
            Clause::Or(x) => x.at.0,
            Clause::Rule(x) => x.at.0,
        }
    }
}

/// A data pattern. On a database at most five terms, in the order e, a, v, tx, op; those not written are blanks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern {
    /// where it reads
    pub source: SourceId,
    /// as many as written
    pub terms: Vec<Term>,
    /// where it stood
    pub at: At,
}

impl Pattern {
    /// Term number `i`, a blank if it was not written.
    #[must_use]
    pub fn term(&self, i: usize) -> Term {
        self.terms.get(i).copied().unwrap_or(Term::Blank)
    }

    /// entity
    #[must_use]
    pub fn e(&self) -> Term {
        self.term(0)
    }

    /// attribute
    #[must_use]
    pub fn a(&self) -> Term {
        self.term(1)
    }

    /// value
    #[must_use]
    pub fn v(&self) -> Term {
        self.term(2)
    }

    /// transaction
    #[must_use]
    pub fn tx(&self) -> Term {
        self.term(3)
    }

    /// asserted or retracted
    #[must_use]
    pub fn op(&self) -> Term {
        self.term(4)
    }
}

/// A call of a function. `number` is its place among the calls as written: of several failing calls the least is
/// reported.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    /// which
    pub function: Function,
    /// its arguments, sources included
    pub args: Vec<Arg>,
    /// place among all calls of the query and its rules
    pub number: u32,
    /// where it stood
    pub at: At,
}

/// Rows for which the conjunction has no solution. All of `join` are bound outside; other variables are local.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Not {
    /// variables shared with the outside
    pub join: Vec<VarId>,
    /// a conjunction
    pub clauses: Vec<Clause>,
    /// where it stood
    pub at: At,
}

/// Rows for which some branch has a solution. What a branch does not bind of `join` must be bound outside. Other
/// variables are local to a branch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Or {
    /// variables shared with the outside, the required ones first
    pub join: Vec<VarId>,
    /// how many of `join`, from the first, were written as required; what else must be bound depends
    /// on the clauses
    pub required: usize,
    /// conjunctions
    pub branches: Vec<Vec<Clause>>,
    /// where it stood
    pub at: At,
}

/// A call of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RuleCall {
    /// the source its body reads
    pub source: SourceId,
    /// its name
    pub name: Symbol,
    /// index into [`Query::rules`], set by [`mod@crate::check`]
    pub rule: usize,
    /// one a head variable
    pub args: Vec<Term>,
    /// where it stood
    pub at: At,
}

/// All rules of one name: a union.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    /// its name
    pub name: Symbol,
    /// how many arguments it takes
    pub arity: usize,
    /// those that were written as required: `(rule [?a] ?b)`; what else must be bound depends on the clauses
    pub required: Vec<bool>,
    /// one a rule of that name
    pub branches: Vec<Branch>,
    /// its strongly connected component, callees first; rules of one component are mutually recursive
    pub component: usize,
    /// it calls itself, directly or not
    pub recursive: bool,
}

/// One rule of a name. Its variables are its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Branch {
    /// one an argument
    pub head: Vec<VarId>,
    /// a conjunction
    pub clauses: Vec<Clause>,
    /// where it stood, in the text of the rules
    pub at: At,
}

/// One key of `:order-by`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OrderKey {
    /// index into the find elements, or past them into `with`
    pub column: usize,
    /// greatest first
    pub descending: bool,
}

impl Query {
    /// The name of a variable.
    #[must_use]
    pub fn name(&self, var: VarId) -> &Symbol {
        &self.vars[var.0 as usize].name
    }

    /// The form of a constant.
    #[must_use]
    pub fn constant(&self, id: ConstId) -> &Edn {
        &self.constants[id.0 as usize].form
    }

    /// The distinct variables that the result is made of: those of the find elements in order, then `:with`. Rows are
    /// distinct by these before aggregation.
    #[must_use]
    pub fn basis(&self) -> Vec<VarId> {
        let mut vars: Vec<VarId> = Vec::new();
        for var in self.find.elements.iter().map(FindElem::var).chain(self.with.iter().copied()) {
            if !vars.contains(&var) {
                vars.push(var);
            }
        }
        vars
    }

    /// True when some column is aggregated.
    #[must_use]
    pub fn aggregates(&self) -> bool {
        self.find.elements.iter().any(|elem| matches!(elem, FindElem::Aggregate { .. }))
    }
}

/// Calls `visit` for every variable that `clause` shares with what stands around it, as often as it stands there.
pub fn visit_vars(clause: &Clause, visit: &mut impl FnMut(VarId)) {
    let mut term = |term: &Term| {
        if let Term::Var(var) = term {
            visit(*var);
        }
    };
    match clause {
        Clause::Pattern(pattern) => pattern.terms.iter().for_each(&mut term),
        Clause::Rule(call) => call.args.iter().for_each(&mut term),
        Clause::Predicate(call) => call.vars().for_each(visit),
        Clause::Function(call, binding) => call.vars().chain(binding.vars()).for_each(visit),
        Clause::Not(Not { join, .. }) | Clause::Or(Or { join, .. }) => join.iter().copied().for_each(visit),
    }
}

impl Call {
    /// The variables among its arguments.
    pub fn vars(&self) -> impl Iterator<Item = VarId> + '_ {
        self.args.iter().filter_map(|arg| match arg {
            Arg::Var(var) => Some(*var),
            _ => None,
        })
    }
}
