//! `:order-by`, `:limit` and `:offset`.
//!
//! `:order-by` takes columns of `:find` or variables of `:with`, each followed by `:asc` (the default) or `:desc`;
//! brackets around them are allowed and mean nothing.

use annals_edn::{Edn, Error, Node};

use super::names::Names;
use super::sections::{Part, Sections};
use super::{elements, invalid, symbol, variable};
use crate::ast::{Find, FindElem, OrderKey, VarId};

/// The keys of `:order-by`.
pub(super) fn order_by(
    sections: &Sections<'_>,
    find: &Find,
    with: &[VarId],
    names: &Names,
) -> Result<Vec<OrderKey>, Error> {
    let Some(part) = sections.order_by else { return Ok(Vec::new()) };
    let mut keys: Vec<OrderKey> = Vec::new();
    let mut flat = Vec::new();
    part.forms.iter().for_each(|form| flatten(form, &mut flat));
    for form in flat {
        match (&form.node, keys.last_mut()) {
            (Node::Keyword(word), Some(key)) => match word.as_str() {
                "asc" => key.descending = false,
                "desc" => key.descending = true,
                _ => return Err(invalid(form.span, "a direction is :asc or :desc")),
            },
            _ => keys.push(OrderKey { column: column(form, find, with, names)?, descending: false }),
        }
    }
    if keys.is_empty() {
        return Err(invalid(part.span, ":order-by is empty"));
    }
    Ok(keys)
}

fn flatten<'a>(form: &'a Edn, into: &mut Vec<&'a Edn>) {
    match &form.node {
        Node::Vector(items) => items.iter().for_each(|item| flatten(item, into)),
        _ => into.push(form),
    }
}

fn column(form: &Edn, find: &Find, with: &[VarId], names: &Names) -> Result<usize, Error> {
    let found = match variable(form) {
        Some(name) => names.known_var(name).and_then(|var| {
            let shown = |elem: &FindElem| matches!(elem, FindElem::Var(column, _) if *column == var);
            let hidden = || with.iter().position(|&kept| kept == var).map(|at| at + find.elements.len());
            find.elements.iter().position(shown).or_else(hidden)
        }),
        None => find.elements.iter().position(|elem| is_aggregate(form, elem, names)),
    };
    found.ok_or_else(|| {
        invalid(form.span, "not a column to order by")
            .hint("order by variables or aggregates of :find, or variables of :with")
    })
}

/// Whether `form` is the aggregate of that column, written again.
fn is_aggregate(form: &Edn, elem: &FindElem, names: &Names) -> bool {
    let FindElem::Aggregate { aggregate, var, .. } = elem else { return false };
    let Some([head, args @ .., last]) = elements(form) else { return false };
    let number = match args {
        [] => None,
        [Edn { node: Node::Long(n), .. }] => Some(*n as u64),
        _ => return false,
    };
    let Some(name) = symbol(head) else { return false };
    let same_var = variable(last).and_then(|name| names.known_var(name)) == Some(*var);
    if let crate::functions::Aggregate::Stored(constant) = aggregate {
        let spelled = names.constants[*constant as usize].form.as_seq().unwrap_or_default();
        return same_var && spelled.last().and_then(symbol) == Some(name);
    }
    same_var && crate::functions::Aggregate::resolve(name, number).is_ok_and(|found| found == *aggregate)
}

/// `:limit`; nil and -1 mean all.
pub(super) fn limit(sections: &Sections<'_>) -> Result<Option<u64>, Error> {
    match sections.limit {
        None => Ok(None),
        Some(part) => match part.forms {
            [Edn { node: Node::Nil | Node::Long(-1), .. }] => Ok(None),
            _ => Ok(Some(whole(part, "limit")?)),
        },
    }
}

/// `:offset`
pub(super) fn offset(sections: &Sections<'_>) -> Result<u64, Error> {
    sections.offset.map_or(Ok(0), |part| whole(part, "offset"))
}

fn whole(part: Part<'_>, name: &str) -> Result<u64, Error> {
    match part.forms {
        [Edn { node: Node::Long(n), .. }] if *n >= 0 => Ok(*n as u64),
        _ => Err(invalid(part.span, format!(":{name} takes one whole number"))),
    }
}
