//! `:in`, and the binding forms that inputs and functions share.

use annals_edn::{Code, Edn, Error, Node};

use super::names::Names;
use super::sections::Sections;
use super::{is_blank, source, symbol, variable};
use crate::ast::{At, Binding, Input};

/// The inputs; a query without `:in` has the one input `$`.
pub(super) fn parse(sections: &Sections<'_>, names: &mut Names) -> Result<Vec<Input>, Error> {
    let Some(part) = sections.in_ else {
        let id = names.add_source(&annals_edn::Symbol::new("$"), 0);
        return Ok(vec![Input::Source(id, At::default())]);
    };
    let mut inputs = Vec::with_capacity(part.forms.len());
    for (at, form) in part.forms.iter().enumerate() {
        inputs.push(input(at, form, &inputs, names)?);
    }
    Ok(inputs)
}

fn input(number: usize, form: &Edn, before: &[Input], names: &mut Names) -> Result<Input, Error> {
    let at = At(form.span);
    if let Some(name) = source(form) {
        if names.sources.iter().any(|known| known.name == *name) {
            return Err(super::invalid(form.span, format!(":in names {name} twice")));
        }
        return Ok(Input::Source(names.add_source(name, number), at));
    }
    match symbol(form) {
        Some(name) if name.as_str() == "%" => {
            match before.iter().any(|input| matches!(input, Input::Rules(_))) {
                true => Err(super::invalid(form.span, ":in names % twice")),
                false => Ok(Input::Rules(at)),
            }
        }
        Some(name) if variable(form).is_none() && !is_blank(form) => Ok(Input::Pull(name.clone(), at)),
        _ => Ok(Input::Binding(binding(form, names)?, at)),
    }
}

/// `?x`, `_`, `[?x _]`, `[?x ...]` or `[[?x _]]`.
pub(super) fn binding(form: &Edn, names: &mut Names) -> Result<Binding, Error> {
    if is_blank(form) {
        return Ok(Binding::Blank);
    }
    if let Some(name) = variable(form) {
        return Ok(Binding::Scalar(names.var(name)));
    }
    let Node::Vector(items) = &form.node else { return Err(not_a_binding(form)) };
    match items.as_slice() {
        [] => Err(not_a_binding(form)),
        [one, dots] if symbol(dots).is_some_and(|name| name.as_str() == "...") => {
            Ok(Binding::Collection(slot(one, names)?))
        }
        [Edn { node: Node::Vector(row), .. }] if !row.is_empty() => Ok(Binding::Relation(slots(row, names)?)),
        items => Ok(Binding::Tuple(slots(items, names)?)),
    }
}

fn slots(items: &[Edn], names: &mut Names) -> Result<Vec<Option<crate::ast::VarId>>, Error> {
    items.iter().map(|item| slot(item, names)).collect()
}

fn slot(form: &Edn, names: &mut Names) -> Result<Option<crate::ast::VarId>, Error> {
    match variable(form) {
        Some(name) => Ok(Some(names.var(name))),
        None if is_blank(form) => Ok(None),
        None => Err(not_a_binding(form)),
    }
}

fn not_a_binding(form: &Edn) -> Error {
    Error::new(Code::NotABindingForm, "not a binding form")
        .at(form.span)
        .hint("bindings are ?x, [?x ?y], [?x ...] and [[?x ?y]]")
}
