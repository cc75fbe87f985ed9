//! Checked query to logical form: constants become variables, non-recursive rules their bodies.

use std::sync::Arc;

use annals_db::Db;
use annals_edn::{Code, Error};
use rustc_hash::FxHashMap;

use crate::ast::{self, Arg, Binding, Clause, ConstId, Query, RuleCall, SourceId, Term, VarId};
use crate::check::{CheckedQuery, Given};
use crate::datum::Datum;
use crate::functions::Function;
use crate::resolve;

use super::logic::{
    Attr, Call, CallArg, Conj, DataPattern, Fixed, Logic, Node, NotNode, OrNode, Origin, Pred, Program,
    RowsInput, RuleNode, TableNode, TuplePattern, Written,
};
use super::physical::Part;
use super::vars::VarSet;

/// The most nodes a query may have once its rules stand in it.
const MAX_NODES: usize = 10_000;

/// Lowers `checked`; `databases` by source number.
///
/// # Errors
/// `NOT_AN_ENTITY` for unknown attributes, `QUERY_TOO_COMPLEX` when rules multiply beyond measure.
pub(crate) fn lower(checked: &CheckedQuery, databases: &[Option<&Db>]) -> Result<Logic, Error> {
    let query = &checked.query;
    let mut lowering = Lowering {
        query,
        given: &checked.given,
        databases,
        width: query.vars.len() as u32,
        consts: FxHashMap::default(),
        fixed: Vec::new(),
        written: Vec::with_capacity(query.clauses.len()),
        names: FxHashMap::default(),
        rule: None,
        origin: Origin::NONE,
        component: None,
    };
    let mut main = lowering.inputs();
    let scope = Scope { names: FxHashMap::default(), caller: SourceId(0), open: true };
    for clause in &query.clauses {
        lowering.clause(clause, &scope, &mut main)?;
    }
    let Lowering { width, fixed, written, names, .. } = lowering;
    Ok(Logic { main, width: width as usize, fixed, written, names })
}

struct Lowering<'a> {
    query: &'a Query,
    given: &'a [Given],
    databases: &'a [Option<&'a Db>],
    width: u32,
    consts: FxHashMap<ConstId, VarId>,
    fixed: Vec<(VarId, Fixed)>,
    written: Vec<Written>,
    names: FxHashMap<VarId, VarId>,
    /// the rule whose body is being lowered
    rule: Option<usize>,
    /// the clause that is being lowered
    origin: Origin,
    /// the recursive component whose bodies are being lowered, and its rules
    component: Option<(usize, Vec<usize>)>,
}

/// How names of one body are read.
struct Scope {
    names: FxHashMap<VarId, VarId>,
    /// what a rule's body reads by default
    caller: SourceId,
    /// names not in the table stand for themselves
    open: bool,
}

impl Scope {
    fn source(&self, source: SourceId) -> SourceId {
        if source == SourceId::CALLER { self.caller } else { source }
    }
}

impl Lowering<'_> {
    fn fresh(&mut self) -> VarId {
        self.width += 1;
        VarId(self.width - 1)
    }

    /// Inputs: single values are fixed variables, the rest are nodes.
    fn inputs(&mut self) -> Conj {
        let mut nodes = Conj::new();
        for (input, form) in self.query.inputs.iter().enumerate() {
            let ast::Input::Binding(binding, _) = form else { continue };
            match binding {
                Binding::Blank => {}
                Binding::Scalar(var) => self.fix(*var, Fixed::Input(input, None), &mut nodes),
                Binding::Tuple(slots) => self.tuple_input(input, slots, &mut nodes),
                Binding::Collection(var) => {
                    nodes.push(self.rows_input(input, vec![*var], true));
                }
                Binding::Relation(slots) => {
                    let slots = self.distinct_terms(slots.clone(), &mut nodes);
                    nodes.push(self.rows_input(input, slots, false));
                }
            }
        }
        nodes
    }

    fn tuple_input(&mut self, input: usize, slots: &[Option<VarId>], nodes: &mut Conj) {
        let slots = self.distinct_terms(slots.to_vec(), nodes);
        for (slot, var) in slots.into_iter().enumerate() {
            if let Some(var) = var {
                self.fix(var, Fixed::Input(input, Some(slot)), nodes);
            }
        }
    }

    /// Fixes `var`, and the forms in which databases know it.
    fn fix(&mut self, var: VarId, value: Fixed, nodes: &mut Conj) {
        if self.fixed.iter().any(|(known, _)| *known == var) {
            let twin = self.fresh();
            nodes.push(Node::Same(var, twin));
            return self.fixed.push((twin, value));
        }
        self.fixed.push((var, value));
        let given = self.given.iter().enumerate().filter(|(_, given)| given.given == var);
        self.fixed.extend(given.map(|(i, given)| (given.resolved, Fixed::Given(i))));
    }

    fn rows_input(&mut self, input: usize, slots: Vec<Option<VarId>>, collection: bool) -> Node {
        let mut resolved = Vec::new();
        for (slot, var) in slots.iter().enumerate() {
            let given = self.given.iter().enumerate().filter(|(_, given)| Some(given.given) == *var);
            resolved.extend(given.map(|(i, given)| (slot, i, given.resolved)));
        }
        Node::Rows(RowsInput { input, slots, collection, resolved })
    }

    /// Gives a variable that stands a second time a name of its own, and says that both are the same.
    fn distinct_terms(&mut self, mut terms: Vec<Option<VarId>>, nodes: &mut Conj) -> Vec<Option<VarId>> {
        for i in 1..terms.len() {
            if let Some(var) = terms[i].filter(|_| terms[..i].contains(&terms[i])) {
                let twin = self.fresh();
                self.names.insert(twin, self.names.get(&var).copied().unwrap_or(var));
                terms[i] = Some(twin);
                nodes.push(Node::Same(var, twin));
            }
        }
        terms
    }

    /// Notes where the nodes that follow come from.
    fn enter(&mut self, clause: &Clause) -> Result<(), Error> {
        self.origin = Origin(self.written.len() as u32);
        if self.written.len() < MAX_NODES {
            let rule = self.rule.map(|rule| self.query.rules[rule].name.clone());
            self.written.push(Written { clause: clause.clone(), rule });
            return Ok(());
        }
        let message = format!("the query has more than {MAX_NODES} clauses once its rules stand in it");
        Err(Error::new(Code::QueryTooComplex, message).with("limit", MAX_NODES))
    }

    fn var(&mut self, var: VarId, scope: &mut FxHashMap<VarId, VarId>, open: bool) -> VarId {
        if let Some(known) = scope.get(&var) {
            return *known;
        }
        if open {
            return var;
        }
        let fresh = self.fresh();
        self.names.insert(fresh, var);
        scope.insert(var, fresh);
        fresh
    }

    fn constant(&mut self, id: ConstId) -> VarId {
        if let Some(var) = self.consts.get(&id) {
            return *var;
        }
        let var = self.fresh();
        self.consts.insert(id, var);
        self.fixed.push((var, Fixed::Const(id)));
        var
    }

    fn conj(&mut self, clauses: &[Clause], scope: &mut Scope) -> Result<Conj, Error> {
        let mut out = Conj::new();
        for clause in clauses {
            self.clause_in(clause, scope, &mut out)?;
        }
        Ok(out)
    }

    fn clause(&mut self, clause: &Clause, scope: &Scope, out: &mut Conj) -> Result<(), Error> {
        let mut scope = Scope { names: scope.names.clone(), caller: scope.caller, open: scope.open };
        self.clause_in(clause, &mut scope, out)
    }

    fn clause_in(&mut self, clause: &Clause, scope: &mut Scope, out: &mut Conj) -> Result<(), Error> {
        self.enter(clause)?;
        let origin = self.origin;
        match clause {
            Clause::Pattern(pattern) => self.pattern(pattern, scope, out),
            Clause::Predicate(call) => {
                let call = self.call(call, scope);
                out.push(Node::Filter(call));
                Ok(())
            }
            Clause::Function(call, binding) => {
                let call = self.call(call, scope);
                let binding = self.binding(binding, scope);
                out.push(Node::Bind(call, binding));
                Ok(())
            }
            // Nothing is negated: every row stays.
            Clause::Not(not) if not.clauses.is_empty() => Ok(()),
            Clause::Not(not) => {
                let join = not.join.iter().map(|v| self.var(*v, &mut scope.names, scope.open)).collect();
                let body = self.conj(&not.clauses, scope)?;
                out.push(Node::Not(NotNode { join, body, origin }));
                Ok(())
            }
            Clause::Or(or) => self.or(or, scope, out),
            Clause::Rule(call) => self.rule(call, scope, out),
        }
    }

    fn or(&mut self, or: &ast::Or, scope: &mut Scope, out: &mut Conj) -> Result<(), Error> {
        let origin = self.origin;
        let join: Vec<VarId> = or.join.iter().map(|v| self.var(*v, &mut scope.names, scope.open)).collect();
        let mut required: VarSet = join[..or.required].iter().copied().collect();
        let mut branches = Vec::with_capacity(or.branches.len());
        for branch in &or.branches {
            branches.push(self.conj(branch, scope)?);
        }
        self.require(&join, &branches, &mut required);
        out.push(Node::Or(OrNode { join, required, branches, origin }));
        Ok(())
    }

    /// Adds to `required` what some branch cannot bind even from all the others, then what it cannot bind from these.
    fn require(&self, join: &[VarId], branches: &[Conj], required: &mut VarSet) {
        for var in join {
            let others: VarSet = join.iter().copied().filter(|other| other != var).collect();
            if branches.iter().any(|branch| !self.binds(branch, &others).has(*var)) {
                required.add(*var);
            }
        }
        for branch in branches {
            let bound = self.binds(branch, required);
            required.extend(join.iter().copied().filter(|var| !bound.has(*var)));
        }
    }

    /// The variables that a conjunction can bind from `given`.
    fn binds(&self, body: &[Node], given: &VarSet) -> VarSet {
        let mut bound: VarSet = self.fixed.iter().map(|(var, _)| *var).collect();
        bound.join(given);
        loop {
            let before = bound.clone();
            for node in body {
                let ready = match node {
                    Node::Filter(_) | Node::Not(_) => false,
                    Node::Same(x, y) => bound.has(*x) || bound.has(*y),
                    _ => bound.covers(&node.needs()),
                };
                if ready {
                    bound.join(&node.vars());
                }
            }
            if bound == before {
                return bound;
            }
        }
    }

    fn term(&mut self, term: Term, scope: &mut Scope) -> Option<VarId> {
        match term {
            Term::Var(var) => Some(self.var(var, &mut scope.names, scope.open)),
            Term::Const(id) => Some(self.constant(id)),
            Term::Blank => None,
        }
    }

    fn pattern(&mut self, pattern: &ast::Pattern, scope: &mut Scope, out: &mut Conj) -> Result<(), Error> {
        let source = scope.source(pattern.source);
        let (at, origin) = (pattern.at.0, self.origin);
        let Some(db) = self.databases.get(source.0 as usize).copied().flatten() else {
            let terms = pattern.terms.iter().map(|term| self.term(*term, scope)).collect();
            let terms = self.distinct_terms(terms, out);
            out.push(Node::Tuple(TuplePattern { source, terms, at, origin }));
            return Ok(());
        };
        let known = match pattern.a() {
            Term::Const(id) => {
                let form = self.query.constant(id);
                let found = Datum::from_edn(form).and_then(|datum| resolve::attribute(db, &datum));
                Some(found.map_err(|error| error.at(form.span))?)
            }
            _ => None,
        };
        let mut terms: Vec<Option<VarId>> = Vec::with_capacity(5);
        for i in 0..5 {
            let skip = i == 1 && known.is_some();
            terms.push(if skip { None } else { self.term(pattern.term(i), scope) });
        }
        let terms = self.distinct_terms(terms, out);
        let a = match (known, terms[1]) {
            (Some(attribute), _) => Attr::Known(attribute),
            (None, Some(var)) => Attr::Var(var),
            (None, None) => Attr::Blank,
        };
        let [e, v, tx, op] = [terms[0], terms[2], terms[3], terms[4]];
        out.push(Node::Data(DataPattern { source, e, a, v, tx, op, at, origin }));
        Ok(())
    }

    fn call(&mut self, call: &ast::Call, scope: &mut Scope) -> Call {
        let arg = |arg: &Arg| match arg {
            Arg::Var(var) => CallArg::Var(self.var(*var, &mut scope.names, scope.open)),
            Arg::Const(id)
                if call.function == Function::Query
                    && (call.args.first() == Some(arg) || is_rules(self.query.constant(*id))) =>
            {
                CallArg::Form(Arc::new(self.query.constant(*id).clone()))
            }
            Arg::Const(id) => CallArg::Var(self.constant(*id)),
            Arg::Source(source) => {
                let source = if *source == SourceId::CALLER { scope.caller } else { *source };
                CallArg::Source(source)
            }
        };
        let args = call.args.iter().map(arg).collect();
        Call { function: call.function, args, number: call.number, at: call.at.0, origin: self.origin }
    }

    fn binding(&mut self, binding: &Binding, scope: &mut Scope) -> Binding {
        let mut rename = |var: VarId| self.var(var, &mut scope.names, scope.open);
        match binding {
            Binding::Blank => Binding::Blank,
            Binding::Scalar(var) => Binding::Scalar(rename(*var)),
            Binding::Collection(var) => Binding::Collection(var.map(rename)),
            Binding::Tuple(slots) => Binding::Tuple(slots.iter().map(|slot| slot.map(&mut rename)).collect()),
            Binding::Relation(slots) => {
                Binding::Relation(slots.iter().map(|slot| slot.map(&mut rename)).collect())
            }
        }
    }

    /// A call of a rule: its body if it does not recurse, its table inside its own component, a program otherwise.
    fn rule(&mut self, call: &RuleCall, scope: &mut Scope, out: &mut Conj) -> Result<(), Error> {
        let origin = self.origin;
        let source = scope.source(call.source);
        let mut args: Vec<Option<VarId>> = call.args.iter().map(|term| self.term(*term, scope)).collect();
        for arg in args.iter_mut().filter(|arg| arg.is_none()) {
            *arg = Some(self.fresh());
        }
        let args = self.distinct_terms(args, out);
        let args: Vec<VarId> = args.into_iter().flatten().collect();
        let rule = &self.query.rules[call.rule];
        if !rule.recursive {
            return self.inline(call.rule, &args, source, out);
        }
        if let Some((component, members)) = &self.component
            && *component == rule.component
        {
            let pred = members.iter().position(|member| *member == call.rule);
            let pred = pred.expect("a component lists its own rules");
            out.push(Node::Table(TableNode { pred, part: Part::Whole, args, origin }));
            return Ok(());
        }
        let (program, goal) = self.program(call.rule, source)?;
        out.push(Node::Rule(RuleNode { program: Arc::new(program), goal, args, origin }));
        Ok(())
    }

    fn inline(&mut self, at: usize, args: &[VarId], source: SourceId, out: &mut Conj) -> Result<(), Error> {
        let (origin, rule) = (self.origin, &self.query.rules[at]);
        let mut branches = Vec::with_capacity(rule.branches.len());
        for branch in &rule.branches {
            branches.push(self.body(at, branch, args, source)?);
        }
        if branches.len() == 1 {
            out.append(&mut branches[0]);
            return Ok(());
        }
        let required = args.iter().zip(&rule.required).filter(|(_, required)| **required);
        let required: VarSet = required.map(|(var, _)| *var).collect();
        out.push(Node::Or(OrNode { join: args.to_vec(), required, branches, origin }));
        Ok(())
    }

    /// A branch's body with its head variables named `args`.
    fn body(
        &mut self,
        rule: usize,
        branch: &ast::Branch,
        args: &[VarId],
        source: SourceId,
    ) -> Result<Conj, Error> {
        let mut names = FxHashMap::default();
        let mut same = Conj::new();
        for (head, arg) in branch.head.iter().zip(args) {
            if let Some(first) = names.insert(*head, *arg) {
                names.insert(*head, first);
                same.push(Node::Same(first, *arg));
            }
        }
        let mut scope = Scope { names, caller: source, open: false };
        let outer = self.rule.replace(rule);
        let mut body = self.conj(&branch.clauses, &mut scope)?;
        self.rule = outer;
        body.append(&mut same);
        Ok(body)
    }

    fn program(&mut self, rule: usize, source: SourceId) -> Result<(Program, usize), Error> {
        let component = self.query.rules[rule].component;
        let rules = self.query.rules.iter().enumerate();
        let members: Vec<usize> =
            rules.filter(|(_, rule)| rule.component == component).map(|(i, _)| i).collect();
        let goal = members.iter().position(|member| *member == rule).expect("a rule is of its component");
        let outer = self.component.replace((component, members.clone()));
        let mut preds = Vec::with_capacity(members.len());
        for member in members {
            preds.push(self.pred(member, source)?);
        }
        self.component = outer;
        Ok((Program { preds }, goal))
    }

    fn pred(&mut self, at: usize, source: SourceId) -> Result<Pred, Error> {
        let rule = &self.query.rules[at];
        let mut branches = Vec::with_capacity(rule.branches.len());
        for branch in &rule.branches {
            let head: Vec<VarId> = (0..rule.arity).map(|_| self.fresh()).collect();
            self.names.extend(head.iter().copied().zip(branch.head.iter().copied()));
            let body = self.body(at, branch, &head, source)?;
            branches.extend(flatten(body).into_iter().map(|body| (head.clone(), body)));
        }
        Ok(Pred { arity: rule.arity, required: rule.required.clone(), branches })
    }
}

/// An or whose branches call the rules of the component becomes one body a branch, so that such calls stand in no or.
fn flatten(body: Conj) -> Vec<Conj> {
    let recurses = |node: &Node| matches!(node, Node::Or(or) if or.branches.iter().any(calls_table));
    let Some(at) = body.iter().position(recurses) else { return vec![body] };
    let Node::Or(or) = body[at].clone() else { return vec![body] };
    let with = |branch: &Conj| {
        let rest = body.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, node)| node.clone());
        rest.chain(branch.iter().cloned()).collect::<Conj>()
    };
    or.branches.iter().flat_map(|branch| flatten(with(branch))).collect()
}

fn calls_table(body: &Conj) -> bool {
    body.iter().any(|node| match node {
        Node::Table(_) => true,
        Node::Or(or) => or.branches.iter().any(calls_table),
        _ => false,
    })
}

/// A vector of rules, `[[(name ?x) …] …]`: as a datum it would forget which parts were lists.
fn is_rules(form: &annals_edn::Edn) -> bool {
    use annals_edn::Node::{List, Vector};
    let Vector(rules) = &form.node else { return false };
    let head = |rule: &annals_edn::Edn| match &rule.node {
        Vector(parts) => parts.first().is_some_and(|head| matches!(head.node, List(_))),
        _ => false,
    };
    rules.first().is_some_and(head)
}
