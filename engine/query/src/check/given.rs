//! Inputs that identify entities: `:person/ann`, `[:email "ann"]`, `8N`.
//!
//! Patterns see the id that such an input stands for, functions and the result what was given. So a variable of an
//! input that stands in a pattern on a database where the two may differ becomes two.

use annals_db::{Schema, ValueType};
use annals_edn::Node;
use rustc_hash::{FxHashMap, FxHashSet};

use super::{Given, Identifier, InputShape, Role};
use crate::ast::{Clause, Input, Pattern, Query, SourceId, Term, Var, VarId, visit_vars};

/// Splits what must be split.
pub(super) fn split(query: &mut Query, databases: &[bool], inputs: &[InputShape]) -> Vec<Given> {
    let mut bound: Vec<VarId> = Vec::new();
    for input in &query.inputs {
        if let Input::Binding(binding, _) = input {
            bound.extend(binding.vars());
        }
    }
    bound.sort_unstable();
    bound.dedup();
    if bound.is_empty() {
        return Vec::new();
    }
    let mut given = Vec::new();
    for var in bound {
        let mut finder = Finder { query, inputs, databases, best: None, seen: FxHashSet::default() };
        finder.clauses(&query.clauses, var, None);
        if let Some((source, role)) = finder.best {
            given.push(Given { given: var, resolved: var, source, role });
        }
    }
    for entry in &mut given {
        entry.resolved = VarId(query.vars.len() as u32);
        query.vars.push(Var { name: query.vars[entry.given.0 as usize].name.clone() });
    }
    let resolved: FxHashMap<VarId, VarId> = given.iter().map(|entry| (entry.given, entry.resolved)).collect();
    if !resolved.is_empty() {
        substitute(&mut query.clauses, databases, &resolved);
    }
    given
}

/// The constants in calls of rules that identify something of a database.
pub(super) fn constants(query: &Query, databases: &[bool], inputs: &[InputShape]) -> Vec<Identifier> {
    let mut found = Vec::new();
    let mut caller = None;
    add_constants(query, databases, inputs, &query.clauses, &mut caller, &mut found);
    for branch in query.rules.iter().flat_map(|rule| &rule.branches) {
        add_constants(query, databases, inputs, &branch.clauses, &mut caller, &mut found);
    }
    found
}

/// `caller` is the first source that a rule is called on: bodies of rules are taken to read that one.
fn add_constants(
    query: &Query,
    databases: &[bool],
    inputs: &[InputShape],
    clauses: &[Clause],
    caller: &mut Option<SourceId>,
    found: &mut Vec<Identifier>,
) {
    super::calls::visit(clauses, &mut |clause| {
        let Clause::Rule(call) = clause else { return Ok(()) };
        let source = if call.source == SourceId::CALLER { *caller } else { Some(call.source) };
        let Some(source) = source else { return Ok(()) };
        caller.get_or_insert(source);
        for (at, arg) in call.args.iter().enumerate() {
            let Term::Const(constant) = *arg else { continue };
            let mut finder = Finder { query, inputs, databases, best: None, seen: FxHashSet::default() };
            finder.seen.insert((call.rule, at, source));
            for branch in &query.rules[call.rule].branches {
                finder.clauses(&branch.clauses, branch.head[at], Some(source));
            }
            found.extend(finder.best.map(|(source, role)| Identifier { constant, source, role }));
        }
        Ok(())
    })
    .expect("the visitor refuses nothing");
}

/// Looks for the role of one variable.
struct Finder<'a> {
    query: &'a Query,
    inputs: &'a [InputShape],
    databases: &'a [bool],
    best: Option<(SourceId, Role)>,
    /// rules and arguments that were looked at
    seen: FxHashSet<(usize, usize, SourceId)>,
}

impl Finder<'_> {
    /// `caller` is the source of a rule's body.
    fn clauses(&mut self, clauses: &[Clause], var: VarId, caller: Option<SourceId>) {
        for clause in clauses {
            match clause {
                Clause::Pattern(pattern) => self.pattern(pattern, var, caller),
                Clause::Not(not) => self.clauses(&not.clauses, var, caller),
                Clause::Or(or) => or.branches.iter().for_each(|branch| self.clauses(branch, var, caller)),
                Clause::Rule(call) => {
                    let source = caller.unwrap_or(call.source);
                    for (at, arg) in call.args.iter().enumerate() {
                        if *arg == Term::Var(var) && self.seen.insert((call.rule, at, source)) {
                            let query = self.query;
                            for branch in &query.rules[call.rule].branches {
                                self.clauses(&branch.clauses, branch.head[at], Some(source));
                            }
                        }
                    }
                }
                Clause::Predicate(_) | Clause::Function(..) => {}
            }
        }
    }

    fn pattern(&mut self, pattern: &Pattern, var: VarId, caller: Option<SourceId>) {
        let source = if pattern.source == SourceId::CALLER { caller } else { Some(pattern.source) };
        let Some(source) = source.filter(|source| self.databases.get(source.0 as usize) == Some(&true))
        else {
            return;
        };
        let is = |term: Term| term == Term::Var(var);
        let role = if is(pattern.e()) || is(pattern.tx()) {
            Some(Role::Entity)
        } else if is(pattern.a()) {
            Some(Role::Attribute)
        } else if is(pattern.v()) {
            self.value_role(source, pattern.a())
        } else {
            None
        };
        let rank = |role: &Role| match role {
            Role::Entity => 0,
            Role::Attribute => 1,
            Role::ValueOf(_) => 2,
        };
        if let Some(role) = role
            && self.best.as_ref().is_none_or(|(_, best)| rank(&role) < rank(best))
        {
            self.best = Some((source, role));
        }
    }

    /// What a value of that attribute stands for, if it may differ from what is given.
    fn value_role(&self, source: SourceId, attribute: Term) -> Option<Role> {
        let Term::Const(id) = attribute else { return None };
        let InputShape::Db(schema) = &self.inputs[self.query.sources[source.0 as usize].input] else {
            return None;
        };
        let attribute = attribute_of(schema, &self.query.constant(id).node)?;
        match attribute.value_type {
            Some(ValueType::Ref) => Some(Role::Entity),
            Some(ValueType::Long | ValueType::BigInt | ValueType::Float) => Some(Role::ValueOf(attribute.id)),
            _ => None,
        }
    }
}

fn attribute_of<'a>(schema: &'a Schema, form: &Node) -> Option<&'a annals_db::Attribute> {
    match form {
        Node::Keyword(ident) => schema.attribute_of(ident).map(|attribute| &**attribute),
        Node::Long(id) => {
            let a = annals_db::EntityId::from_long(*id)?.as_attr()?;
            schema.attribute(a).map(|attribute| &**attribute)
        }
        _ => None,
    }
}

/// Puts the resolved variables where databases are read.
fn substitute(clauses: &mut [Clause], databases: &[bool], resolved: &FxHashMap<VarId, VarId>) {
    let replace = |term: &mut Term| {
        if let Term::Var(var) = term
            && let Some(to) = resolved.get(var)
        {
            *var = *to;
        }
    };
    for clause in clauses {
        match clause {
            Clause::Pattern(pattern) if databases.get(pattern.source.0 as usize) == Some(&true) => {
                pattern.terms.iter_mut().take(4).for_each(replace);
            }
            Clause::Rule(call) => call.args.iter_mut().for_each(replace),
            Clause::Not(not) => {
                substitute(&mut not.clauses, databases, resolved);
                not.join = joined(&not.join, 0, &[&not.clauses], resolved).0;
            }
            Clause::Or(or) => {
                or.branches.iter_mut().for_each(|branch| substitute(branch, databases, resolved));
                let branches: Vec<&[Clause]> = or.branches.iter().map(Vec::as_slice).collect();
                (or.join, or.required) = joined(&or.join, or.required, &branches, resolved);
            }
            _ => {}
        }
    }
}

/// The variables to join, each in the forms in which the clauses use it, and how many of them are required.
fn joined(
    join: &[VarId],
    required: usize,
    branches: &[&[Clause]],
    resolved: &FxHashMap<VarId, VarId>,
) -> (Vec<VarId>, usize) {
    let mut used = FxHashSet::default();
    for clause in branches.iter().copied().flatten() {
        visit_vars(clause, &mut |var| {
            used.insert(var);
        });
    }
    let (mut vars, mut count) = (Vec::with_capacity(join.len()), 0);
    for (at, var) in join.iter().enumerate() {
        let twin = resolved.get(var).filter(|twin| used.contains(twin));
        if used.contains(var) || twin.is_none() {
            vars.push(*var);
        }
        vars.extend(twin);
        if at < required {
            count = vars.len();
        }
    }
    (vars, count)
}
