//! The clauses of `:where` and of rules.

use annals_edn::{Code, Edn, Error, Node, Span, Symbol};
use rustc_hash::FxHashSet;

use super::names::Names;
use super::{inputs, is_blank, source, symbol, variable};
use crate::ast::{Arg, At, Call, Clause, Not, Or, Pattern, RuleCall, Term, VarId};
use crate::functions::Function;

/// A conjunction, in the order written.
pub(super) fn conjunction(forms: &[Edn], names: &mut Names) -> Result<Vec<Clause>, Error> {
    forms.iter().filter(|form| !is_empty_not(form)).map(|form| clause(form, names)).collect()
}

/// `(not)` excludes nothing.
fn is_empty_not(form: &Edn) -> bool {
    matches!(form.as_list(), Some([head]) if head.as_symbol().is_some_and(|name| name.as_str() == "not"))
}

fn clause(form: &Edn, names: &mut Names) -> Result<Clause, Error> {
    match &form.node {
        Node::Vector(items) => match items.as_slice() {
            [] => Err(invalid(form, "a clause is empty")),
            [Edn { node: Node::List(call), span }, rest @ ..] => expression(form, call, *span, rest, names),
            items => pattern(form, items, names),
        },
        Node::List(items) => match items.as_slice() {
            [] => Err(invalid(form, "a clause is empty")),
            [first, rest @ ..] => match source(first) {
                Some(name) => scoped(form, name, first.span, rest, names),
                None => compound(form, items, names),
            },
        },
        _ => Err(invalid(form, "not a clause").hint("a clause is a vector or a list")),
    }
}

fn invalid(form: &Edn, message: impl Into<String>) -> Error {
    Error::new(Code::InvalidClause, message).at(form.span)
}

/// `($source not …)` and its kin: clauses inside read that source.
fn scoped(form: &Edn, name: &Symbol, at: Span, rest: &[Edn], names: &mut Names) -> Result<Clause, Error> {
    let outer = names.default_source(form.span).ok();
    names.set_default(names.source(name, at)?);
    let clause = compound(form, rest, names);
    if let Some(outer) = outer {
        names.set_default(outer);
    }
    clause
}

fn compound(form: &Edn, items: &[Edn], names: &mut Names) -> Result<Clause, Error> {
    let [head, rest @ ..] = items else { return Err(invalid(form, "a clause is empty")) };
    let Some(name) = symbol(head) else {
        return Err(invalid(form, "not a clause").hint("a call of a function stands in a vector: [(f ?x)]"));
    };
    match name.as_str() {
        "not" => not(form, rest, names),
        "not-join" => not_join(form, rest, names),
        "or" => or(form, rest, names),
        "or-join" => or_join(form, rest, names),
        "and" => Err(invalid(form, "and stands only in or and or-join")
            .hint("clauses side by side are a conjunction already")),
        _ if variable(head).is_some() || is_blank(head) => Err(invalid(form, "not a clause")),
        _ => rule_call(form, name, rest, names),
    }
}

fn pattern(form: &Edn, items: &[Edn], names: &mut Names) -> Result<Clause, Error> {
    let (from, items) = match source(&items[0]) {
        Some(name) => (names.source(name, items[0].span)?, &items[1..]),
        None => (names.default_source(form.span)?, items),
    };
    if items.is_empty() {
        return Err(invalid(form, "a pattern is empty"));
    }
    let mut terms = Vec::with_capacity(items.len());
    for (position, item) in items.iter().enumerate() {
        terms.push(term(item, position == 1, names)?);
    }
    Ok(Clause::Pattern(Pattern { source: from, terms, at: At(form.span) }))
}

fn term(form: &Edn, structural: bool, names: &mut Names) -> Result<Term, Error> {
    match &form.node {
        Node::Nil => Err(invalid(form, "nil matches nothing").hint("use _ for anything, or missing?")),
        _ if is_blank(form) => Ok(Term::Blank),
        _ => Ok(match variable(form) {
            Some(name) => Term::Var(names.var(name)),
            None => Term::Const(names.constant(form, structural)),
        }),
    }
}

fn expression(form: &Edn, items: &[Edn], at: Span, rest: &[Edn], names: &mut Names) -> Result<Clause, Error> {
    let number = names.call();
    let [head, args @ ..] = items else { return Err(invalid(form, "a call names a function")) };
    let Some(name) = symbol(head).filter(|_| variable(head).is_none()) else {
        return Err(invalid(form, "a call names a function").hint("functions are symbols"));
    };
    let function = Function::resolve(name, args.len()).map_err(|error| match error.code() {
        Code::UnknownFunction => error.at(head.span),
        _ => error.at(at),
    })?;
    let args = arguments(function, args, names)?;
    let call = Call { function, args, number, at: At(form.span) };
    match rest {
        [] => Ok(Clause::Predicate(call)),
        [binding] => Ok(Clause::Function(call, inputs::binding(binding, names)?)),
        _ => Err(invalid(form, "a call has at most one binding form after it")),
    }
}

fn arguments(function: Function, forms: &[Edn], names: &mut Names) -> Result<Vec<Arg>, Error> {
    let mut args = Vec::with_capacity(forms.len());
    for (position, form) in forms.iter().enumerate() {
        let quoted = quoted(form);
        let arg = match (variable(form), source(form)) {
            (Some(name), _) => Arg::Var(names.var(name)),
            (_, Some(name)) => Arg::Source(names.source(name, form.span)?),
            _ => Arg::Const(names.constant(quoted.unwrap_or(form), function.decides_plan(position))),
        };
        args.push(arg);
    }
    Ok(args)
}

/// What `(quote x)` quotes.
fn quoted(form: &Edn) -> Option<&Edn> {
    match &form.node {
        Node::List(items) => match items.as_slice() {
            [head, inner] if symbol(head).is_some_and(|name| name.as_str() == "quote") => Some(inner),
            _ => None,
        },
        _ => None,
    }
}

fn rule_call(form: &Edn, name: &Symbol, args: &[Edn], names: &mut Names) -> Result<Clause, Error> {
    let from = names.default_source(form.span)?;
    let args = args.iter().map(|arg| match source(arg) {
        Some(_) => Err(invalid(form, "a database is no argument of a rule").hint("write ($db rule ?x)")),
        None => term(arg, false, names),
    });
    let args = args.collect::<Result<_, _>>()?;
    Ok(Clause::Rule(RuleCall { source: from, name: name.clone(), rule: usize::MAX, args, at: At(form.span) }))
}

fn not(form: &Edn, rest: &[Edn], names: &mut Names) -> Result<Clause, Error> {
    let clauses = conjunction(rest, names)?;
    let join = free(&clauses);
    Ok(Clause::Not(Not { join, clauses, at: At(form.span) }))
}

fn not_join(form: &Edn, rest: &[Edn], names: &mut Names) -> Result<Clause, Error> {
    let [head, body @ ..] = rest else { return Err(invalid(form, "not-join takes variables and clauses")) };
    let (shared, required) = join_head(head, names)?;
    if required > 0 {
        return Err(invalid(head, "all variables of not-join are required already"));
    }
    let clauses = inside(&shared, names, |names| conjunction(body, names))?;
    let join = shared.into_iter().map(|(_, var)| var).collect();
    Ok(Clause::Not(Not { join, clauses, at: At(form.span) }))
}

fn or(form: &Edn, rest: &[Edn], names: &mut Names) -> Result<Clause, Error> {
    if rest.is_empty() {
        return Err(invalid(form, "or has no branch"));
    }
    let branches: Vec<Vec<Clause>> = rest.iter().map(|form| branch(form, names)).collect::<Result<_, _>>()?;
    let join = free(&branches[0]);
    let first: FxHashSet<VarId> = join.iter().copied().collect();
    for (clauses, branch_form) in branches.iter().zip(rest) {
        let vars: FxHashSet<VarId> = free(clauses).into_iter().collect();
        if vars != first {
            return Err(different_vars(branch_form, &first, &vars, names));
        }
    }
    Ok(Clause::Or(Or { join, required: 0, branches, at: At(form.span) }))
}

fn different_vars(form: &Edn, first: &FxHashSet<VarId>, vars: &FxHashSet<VarId>, names: &Names) -> Error {
    let mut odd: Vec<&str> =
        first.symmetric_difference(vars).map(|var| names.vars[var.0 as usize].name.as_str()).collect();
    odd.sort_unstable();
    invalid(form, format!("the branches of or use different variables: {}", odd.join(" ")))
        .hint("name the variables to join in an or-join")
}

fn or_join(form: &Edn, rest: &[Edn], names: &mut Names) -> Result<Clause, Error> {
    let [head, body @ ..] = rest else { return Err(invalid(form, "or-join takes variables and branches")) };
    if body.is_empty() {
        return Err(invalid(form, "or-join has no branch"));
    }
    let (shared, required) = join_head(head, names)?;
    let mut branches = Vec::with_capacity(body.len());
    for form in body {
        branches.push(inside(&shared, names, |names| branch(form, names))?);
    }
    let join = shared.into_iter().map(|(_, var)| var).collect();
    Ok(Clause::Or(Or { join, required, branches, at: At(form.span) }))
}

fn branch(form: &Edn, names: &mut Names) -> Result<Vec<Clause>, Error> {
    match &form.node {
        Node::List(items) if items.first().and_then(symbol).is_some_and(|name| name.as_str() == "and") => {
            match items.len() {
                1 => Err(invalid(form, "and is empty")),
                _ => conjunction(&items[1..], names),
            }
        }
        _ => Ok(vec![clause(form, names)?]),
    }
}

/// `[?a ?b]` or `[[?a] ?b]`: the variables, and how many of them, from the first, are required.
fn join_head(form: &Edn, names: &mut Names) -> Result<(Vec<(Symbol, VarId)>, usize), Error> {
    let Node::Vector(items) = &form.node else {
        return Err(invalid(form, "the variables to join stand in a vector"));
    };
    let (required, rest) = match items.as_slice() {
        [Edn { node: Node::Vector(required), .. }, rest @ ..] => (required.as_slice(), rest),
        items => (&[][..], items),
    };
    let mut shared: Vec<(Symbol, VarId)> = Vec::with_capacity(required.len() + rest.len());
    for item in required.iter().chain(rest) {
        let name = variable(item).ok_or_else(|| invalid(item, "not a variable to join"))?;
        if shared.iter().any(|(known, _)| known == name) {
            return Err(invalid(item, format!("{name} is joined twice")));
        }
        shared.push((name.clone(), names.var(name)));
    }
    Ok((shared, required.len()))
}

/// Parses where only the shared variables are those outside.
fn inside<T>(
    shared: &[(Symbol, VarId)],
    names: &mut Names,
    parse: impl FnOnce(&mut Names) -> Result<T, Error>,
) -> Result<T, Error> {
    let outer = names.enter();
    shared.iter().for_each(|(name, var)| names.share(name, *var));
    let parsed = parse(names);
    names.leave(outer);
    parsed
}

/// The variables that clauses share with what stands around them, in order of appearance.
pub(crate) fn free(clauses: &[Clause]) -> Vec<VarId> {
    let mut vars = Vec::new();
    clauses.iter().for_each(|clause| {
        crate::ast::visit_vars(clause, &mut |var| {
            if !vars.contains(&var) {
                vars.push(var);
            }
        })
    });
    vars
}
