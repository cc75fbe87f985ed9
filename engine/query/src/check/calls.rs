//! Rules joined to a query, and every call of a rule matched with its rule.

use annals_edn::{Code, Edn, Error};

use crate::ast::{Clause, Input, Query, Rule, RuleCall};
use crate::functions::nearest;
use crate::parse::names::Names;
use crate::parse::rules;

/// Parses the rules given for `%` into the query.
pub(super) fn add_rules(query: &mut Query, rules: Option<&Edn>) -> Result<(), Error> {
    let takes_rules = query.inputs.iter().any(|input| matches!(input, Input::Rules(_)));
    let Some(form) = rules.filter(|_| takes_rules) else { return Ok(()) };
    let mut calls = 0;
    visit(&query.clauses, &mut |clause| {
        if let Clause::Predicate(call) | Clause::Function(call, _) = clause {
            calls = calls.max(call.number + 1);
        }
        Ok(())
    })?;
    let (vars, constants) = (std::mem::take(&mut query.vars), std::mem::take(&mut query.constants));
    let mut names = Names::for_rules(vars, constants, calls);
    // Spans of rules point into another text than the query's, so they are not shown.
    let parsed = rules::parse(form, &mut names).map_err(Error::without_span);
    (query.vars, query.constants) = (names.vars, names.constants);
    query.rules = parsed?;
    Ok(())
}

/// The most clauses of a query with its rules; the checks take time in the square of it at worst.
const MAX_CLAUSES: usize = 4_000;

/// Refuses a query of too many clauses.
pub(super) fn limit(query: &Query) -> Result<(), Error> {
    let mut count = 0;
    let rules = query.rules.iter().flat_map(|rule| &rule.branches).map(|branch| branch.clauses.as_slice());
    for clauses in std::iter::once(query.clauses.as_slice()).chain(rules) {
        visit(clauses, &mut |_| {
            count += 1;
            Ok(())
        })?;
    }
    if count <= MAX_CLAUSES {
        return Ok(());
    }
    let message = format!("the query has {count} clauses, and {MAX_CLAUSES} are allowed");
    Err(Error::new(Code::QueryTooComplex, message).with("limit", MAX_CLAUSES))
}

/// Sets [`RuleCall::rule`] of every call.
pub(super) fn resolve(query: &mut Query) -> Result<(), Error> {
    let Query { rules, clauses, inputs, .. } = query;
    let known: Vec<(annals_edn::Symbol, usize)> =
        rules.iter().map(|rule| (rule.name.clone(), rule.arity)).collect();
    let takes_rules = inputs.iter().any(|input| matches!(input, Input::Rules(_)));
    let mut set = |call: &mut RuleCall| match known.iter().position(|(name, _)| *name == call.name) {
        Some(at) if known[at].1 != call.args.len() => Err(arity(call, known[at].1)),
        Some(at) => {
            call.rule = at;
            Ok(())
        }
        None => Err(unknown(call, takes_rules, known.iter().map(|(name, _)| name.as_str()))),
    };
    set_rules(clauses, &mut set)?;
    for branch in rules.iter_mut().flat_map(|rule: &mut Rule| &mut rule.branches) {
        set_rules(&mut branch.clauses, &mut set)?;
    }
    Ok(())
}

fn arity(call: &RuleCall, takes: usize) -> Error {
    let arguments = if takes == 1 { "1 argument".to_owned() } else { format!("{takes} arguments") };
    let message = format!("the rule {} takes {arguments}, not {}", call.name, call.args.len());
    Error::new(Code::ArgsMismatch, message)
        .at(call.at.0)
        .with("rule", &call.name)
        .hint("give one argument for each variable of the rule's head; _ stands for any")
}

fn unknown<'a>(call: &RuleCall, takes_rules: bool, known: impl Iterator<Item = &'a str>) -> Error {
    let error = Error::new(Code::UnknownRule, format!("no rule is named {}", call.name)).at(call.at.0);
    let error = error.with("rule", &call.name);
    match nearest(call.name.as_str(), known) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None if !takes_rules => {
            error.hint("add % to :in and give the rules; a call of a function stands in a vector")
        }
        None => error,
    }
}

fn set_rules(
    clauses: &mut [Clause],
    set: &mut impl FnMut(&mut RuleCall) -> Result<(), Error>,
) -> Result<(), Error> {
    for clause in clauses {
        match clause {
            Clause::Rule(call) => set(call)?,
            Clause::Not(not) => set_rules(&mut not.clauses, set)?,
            Clause::Or(or) => {
                for branch in &mut or.branches {
                    set_rules(branch, set)?;
                }
            }
            Clause::Pattern(_) | Clause::Predicate(_) | Clause::Function(..) => {}
        }
    }
    Ok(())
}

/// Calls `visit` for every clause, those inside not and or after the one they stand in.
pub(crate) fn visit(
    clauses: &[Clause],
    visit_one: &mut impl FnMut(&Clause) -> Result<(), Error>,
) -> Result<(), Error> {
    for clause in clauses {
        visit_one(clause)?;
        match clause {
            Clause::Not(not) => visit(&not.clauses, visit_one)?,
            Clause::Or(or) => {
                for branch in &or.branches {
                    visit(branch, visit_one)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}
