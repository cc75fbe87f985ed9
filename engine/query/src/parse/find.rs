//! `:find`, `:with` and the return maps.

use std::sync::Arc;

use annals_edn::{Code, Edn, Error, Node, Symbol};

use super::names::Names;
use super::sections::Sections;
use super::{invalid, source, symbol, variable};
use crate::ast::{At, Find, FindElem, FindShape, Input, KeyKind, PullSpec, ReturnMap, VarId};
use crate::functions::Aggregate;
use crate::pull::Pattern;

/// The columns and their shape.
pub(super) fn parse(sections: &Sections<'_>, names: &mut Names, inputs: &[Input]) -> Result<Find, Error> {
    let forms = sections.find.expect("a complete query has :find").forms;
    let (shape, columns) = match forms {
        [Edn { node: Node::Vector(inner), span }] => match inner.as_slice() {
            [] => return Err(invalid(*span, ":find is empty")),
            [column, dots] if is(dots, "...") => (FindShape::Collection, std::slice::from_ref(column)),
            columns => (FindShape::Tuple, columns),
        },
        [column, dot] if is(dot, ".") => (FindShape::Scalar, std::slice::from_ref(column)),
        columns => (FindShape::Relation, columns),
    };
    let mut element = |form| element(form, names, inputs);
    let elements = columns.iter().map(&mut element).collect::<Result<_, _>>()?;
    Ok(Find { shape, elements })
}

fn is(form: &Edn, text: &str) -> bool {
    symbol(form).is_some_and(|name| name.as_str() == text)
}

fn element(form: &Edn, names: &mut Names, inputs: &[Input]) -> Result<FindElem, Error> {
    if variable(form).is_some() {
        return Ok(FindElem::Var(column_var(form, names)?, At(form.span)));
    }
    let Node::List(items) = &form.node else { return Err(not_a_variable(form)) };
    match items.as_slice() {
        [head, rest @ ..] if is(head, "pull") => pull(form, rest, names, inputs),
        [head, rest @ ..] => match symbol(head) {
            Some(name) => aggregate(form, name, rest, names),
            None => Err(not_a_variable(head)),
        },
        [] => Err(not_a_variable(form)),
    }
}

fn column_var(form: &Edn, names: &mut Names) -> Result<VarId, Error> {
    let name = variable(form).ok_or_else(|| not_a_variable(form))?;
    names.known_var(name).ok_or_else(|| unbound(name, form))
}

/// A column that no clause or input mentions.
fn unbound(name: &Symbol, form: &Edn) -> Error {
    Error::new(Code::UnboundQueryVariables, format!("nothing binds {name}"))
        .at(form.span)
        .with("variable", name)
        .hint(format!("bind {name} by a clause of :where that is not in a not, or as an input"))
}

fn not_a_variable(form: &Edn) -> Error {
    invalid(form.span, "a column of :find is a variable, an aggregate or a pull")
}

fn pull(form: &Edn, args: &[Edn], names: &mut Names, inputs: &[Input]) -> Result<FindElem, Error> {
    let (from, var, pattern) = match args {
        [from, var, pattern] => {
            let name = source(from).ok_or_else(|| invalid(from.span, "not a data source"))?;
            (names.source(name, from.span)?, var, pattern)
        }
        [var, pattern] => (names.default_source(form.span)?, var, pattern),
        _ => return Err(Error::new(Code::InvalidPull, "pull takes an entity and a pattern").at(form.span)),
    };
    let var = column_var(var, names)?;
    let pattern = match symbol(pattern) {
        Some(name) if variable(pattern).is_none() => PullSpec::Input(pull_input(name, pattern, inputs)?),
        Some(_) => {
            let error = Error::new(Code::InvalidPull, "a pull pattern is no variable").at(pattern.span);
            return Err(error.hint("name it by a plain symbol in :in and here"));
        }
        None => PullSpec::Literal(Arc::new(Pattern::parse(pattern)?)),
    };
    Ok(FindElem::Pull { source: from, var, pattern, at: At(form.span) })
}

fn pull_input(name: &Symbol, form: &Edn, inputs: &[Input]) -> Result<usize, Error> {
    let found = inputs.iter().position(|input| matches!(input, Input::Pull(known, _) if known == name));
    found.ok_or_else(|| {
        Error::new(Code::InvalidPull, format!("no input is named {name}"))
            .at(form.span)
            .hint(format!("add {name} to :in, or write the pattern as a vector"))
    })
}

/// What linking makes of a stored aggregate: `(annals/aggregate [query rules name] ?x)`.
pub(crate) const STORED: &str = "annals/aggregate";

fn aggregate(form: &Edn, name: &Symbol, args: &[Edn], names: &mut Names) -> Result<FindElem, Error> {
    if let (STORED, [spelled, var]) = (name.as_str(), args) {
        let constant = names.constant(spelled, true);
        let var = column_var(var, names)?;
        return Ok(FindElem::Aggregate { aggregate: Aggregate::Stored(constant.0), var, at: At(form.span) });
    }
    let (number, var) = match args {
        [var] => (None, var),
        [number, var] => match number.node {
            Node::Long(n) if n >= 0 => (Some(n as u64), var),
            _ => {
                // One that takes no number is wrong in another way.
                Aggregate::resolve(name, Some(1)).map_err(|error| error.at(form.span))?;
                let message = format!("the n of {name} is a whole number written out, 0 or more");
                return Err(invalid(number.span, message));
            }
        },
        _ => {
            return Err(invalid(form.span, format!("{name} takes one variable, or a number and a variable")));
        }
    };
    let aggregate = Aggregate::resolve(name, number).map_err(|error| error.at(form.span))?;
    Ok(FindElem::Aggregate { aggregate, var: column_var(var, names)?, at: At(form.span) })
}

/// `:with`
pub(super) fn with(sections: &Sections<'_>, names: &mut Names) -> Result<Vec<VarId>, Error> {
    let Some(part) = sections.with else { return Ok(Vec::new()) };
    if part.forms.is_empty() {
        return Err(invalid(part.span, ":with is empty"));
    }
    let mut vars = Vec::with_capacity(part.forms.len());
    for form in part.forms {
        let name = variable(form).ok_or_else(|| invalid(form.span, ":with takes variables"))?;
        vars.push(names.known_var(name).ok_or_else(|| unbound(name, form))?);
    }
    Ok(vars)
}

/// `:keys`, `:syms` or `:strs`
pub(super) fn return_map(sections: &Sections<'_>, find: &Find) -> Result<Option<ReturnMap>, Error> {
    let all =
        [(KeyKind::Keys, sections.keys), (KeyKind::Syms, sections.syms), (KeyKind::Strs, sections.strs)];
    let mut given = all.into_iter().filter_map(|(kind, part)| part.map(|part| (kind, part)));
    let Some((kind, part)) = given.next() else { return Ok(None) };
    if let Some((_, second)) = given.next() {
        return Err(invalid(second.span, "a query has one of :keys, :syms and :strs"));
    }
    if find.shape != FindShape::Relation {
        return Err(invalid(part.span, "return maps are for relations: find without brackets and dot"));
    }
    let name = |form: &Edn| match symbol(form) {
        Some(name) if !name.as_str().starts_with(['?', '$', '%']) => Ok(name.clone()),
        _ => Err(invalid(form.span, "the keys of return maps are plain symbols")),
    };
    let names: Vec<Symbol> = part.forms.iter().map(name).collect::<Result<_, _>>()?;
    if names.len() != find.elements.len() {
        let message = format!("{} columns but {} keys", find.elements.len(), names.len());
        return Err(invalid(part.span, message).hint("give one symbol a column"));
    }
    let repeated = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name));
    if let Some((at, name)) = repeated {
        return Err(invalid(part.forms[at].span, format!("two columns have the key {name}")));
    }
    Ok(Some(ReturnMap { kind, names }))
}
