//! Rules, as given for `%`: a vector of `[(name ?a ?b) clause …]`, the text of one, or nil.

use annals_edn::{Code, Edn, Error, Node};

use super::names::Names;
use super::{clauses, elements, symbol, variable};
use crate::ast::{At, Branch, Rule, VarId};

/// All rules, by name in order of first appearance. Components and recursion are the check's to find.
pub(crate) fn parse(form: &Edn, names: &mut Names) -> Result<Vec<Rule>, Error> {
    let form = &match &form.node {
        Node::Str(text) => unplaced(&annals_edn::read_one(text)?),
        _ => unplaced(form),
    };
    let forms = match &form.node {
        Node::Nil => &[][..],
        Node::Set(items) => items,
        _ => elements(form).ok_or_else(|| invalid(form, "rules are a vector of rules"))?,
    };
    let mut rules: Vec<Rule> = Vec::new();
    for form in forms {
        add(form, names, &mut rules)?;
    }
    Ok(rules)
}

/// The same form without its places in the text, which is not the query's.
fn unplaced(form: &Edn) -> Edn {
    let all = |items: &[Edn]| items.iter().map(unplaced).collect();
    Edn::new(match &form.node {
        Node::List(items) => Node::List(all(items)),
        Node::Vector(items) => Node::Vector(all(items)),
        Node::Set(items) => Node::Set(all(items)),
        Node::Map(entries) => {
            Node::Map(entries.iter().map(|(key, value)| (unplaced(key), unplaced(value))).collect())
        }
        Node::Tagged(tag, form) => Node::Tagged(tag.clone(), Box::new(unplaced(form))),
        other => other.clone(),
    })
}

fn invalid(form: &Edn, message: impl Into<String>) -> Error {
    Error::new(Code::InvalidRule, message).at(form.span)
}

fn add(form: &Edn, names: &mut Names, rules: &mut Vec<Rule>) -> Result<(), Error> {
    let Some([head_form, body @ ..]) = elements(form) else {
        return Err(invalid(form, "a rule is a vector of a head and clauses"));
    };
    let Node::List(head_items) = &head_form.node else {
        return Err(invalid(head_form, "the head of a rule is a list: (name ?a ?b)"));
    };
    let Some(name) = head_items.first().and_then(symbol).filter(|_| variable(&head_items[0]).is_none())
    else {
        return Err(invalid(head_form, "the head of a rule begins with its name"));
    };
    if matches!(name.as_str(), "not" | "not-join" | "or" | "or-join" | "and") {
        return Err(invalid(head_form, format!("no rule can be named {name}")));
    }
    if body.is_empty() {
        return Err(invalid(form, format!("the rule {name} has no body")));
    }
    let outer = names.enter();
    let parsed = head(&head_items[1..], names)
        .and_then(|(head, required)| Ok((head, required, clauses::conjunction(body, names)?)));
    names.leave(outer);
    let (head, required, clauses) = parsed?;
    let branch = Branch { head, clauses, at: At(form.span) };
    join(rules, name, branch, required, head_form)
}

/// Adds a branch to the rule of its name.
fn join(
    rules: &mut Vec<Rule>,
    name: &annals_edn::Symbol,
    branch: Branch,
    required: usize,
    head_form: &Edn,
) -> Result<(), Error> {
    let arity = branch.head.len();
    let at = rules.iter().position(|rule| rule.name == *name).unwrap_or_else(|| {
        let (name, required) = (name.clone(), vec![false; arity]);
        let rule = Rule { name, arity, required, branches: vec![], component: 0, recursive: false };
        rules.push(rule);
        rules.len() - 1
    });
    let rule = &mut rules[at];
    if rule.arity != arity {
        let message = format!("the rule {name} takes {} arguments here and {arity} there", rule.arity);
        return Err(invalid(head_form, message));
    }
    rule.required[..required].iter_mut().for_each(|required| *required = true);
    rule.branches.push(branch);
    Ok(())
}

/// The head variables, and how many of them, from the first, stand in brackets.
fn head(items: &[Edn], names: &mut Names) -> Result<(Vec<VarId>, usize), Error> {
    let (required, rest) = match items {
        [Edn { node: Node::Vector(required), .. }, rest @ ..] => (required.as_slice(), rest),
        items => (&[][..], items),
    };
    let mut vars: Vec<VarId> = Vec::with_capacity(required.len() + rest.len());
    for item in required.iter().chain(rest) {
        let Some(name) = variable(item) else {
            return Err(invalid(item, "the head of a rule has only variables")
                .hint("required ones stand first, in one vector"));
        };
        if names.known_var(name).is_some() {
            return Err(invalid(item, format!("{name} stands twice in the head of a rule")));
        }
        vars.push(names.var(name));
    }
    Ok((vars, required.len()))
}
