//! EDN to tree. Knows the grammar, nothing of databases: names of attributes stay constants.
//!
//! Reading order: [`sections`] cuts a query into its parts, [`names`] numbers what is named, then one file a part.

mod clauses;
mod find;
mod inputs;
pub(crate) mod names;
mod order;
pub(crate) mod rules;
mod sections;

use annals_edn::{Code, Edn, Error, Node, Span, Symbol};
pub(crate) use find::STORED as STORED_AGGREGATE;

use crate::ast::{Find, FindShape, Query};
use names::Names;
use sections::Sections;

/// Parses a query in list form, map form, or as text.
///
/// # Errors
/// `INVALID_QUERY`, `INVALID_CLAUSE`, `NOT_A_BINDING_FORM`, `UNKNOWN_FUNCTION`, `INVALID_AGGREGATE`, `INVALID_PULL` and
/// their kin, each with the span at fault; for text also `EDN_…`.
pub fn parse(form: &Edn) -> Result<Query, Error> {
    if let Node::Str(text) = &form.node {
        return parse_text(text);
    }
    let sections = Sections::of(form)?;
    let mut names = Names::default();
    let inputs = inputs::parse(&sections, &mut names)?;
    let clauses = match sections.where_ {
        Some(part) => clauses::conjunction(part.forms, &mut names)?,
        None => Vec::new(),
    };
    let find = find::parse(&sections, &mut names, &inputs)?;
    let with = find::with(&sections, &mut names)?;
    let return_map = find::return_map(&sections, &find)?;
    let order_by = order::order_by(&sections, &find, &with, &names)?;
    let limit = order::limit(&sections)?;
    let offset = order::offset(&sections)?;
    Ok(Query {
        find,
        return_map,
        with,
        inputs,
        clauses,
        order_by,
        limit,
        offset,
        vars: names.vars,
        sources: names.sources,
        constants: names.constants,
        rules: Vec::new(),
    })
}

/// Only what a query takes: its inputs and sources. Nothing else of it is looked at, which may call functions that only
/// a database knows.
///
/// # Errors
/// As [`parse`], of its sections and of `:in`.
pub fn parse_inputs(form: &Edn) -> Result<Query, Error> {
    let held;
    let form = match &form.node {
        Node::Str(text) => {
            held = annals_edn::read_one(text)?;
            &held
        }
        _ => form,
    };
    let sections = Sections::of(form)?;
    let mut names = Names::default();
    let inputs = inputs::parse(&sections, &mut names)?;
    Ok(Query {
        find: Find { shape: FindShape::Relation, elements: Vec::new() },
        return_map: None,
        with: Vec::new(),
        inputs,
        clauses: Vec::new(),
        order_by: Vec::new(),
        limit: None,
        offset: 0,
        vars: names.vars,
        sources: names.sources,
        constants: names.constants,
        rules: Vec::new(),
    })
}

/// Parses a query given as text.
///
/// # Errors
/// As [`parse`]; `QUERY_EMPTY` for text without a form.
pub fn parse_text(text: &str) -> Result<Query, Error> {
    if annals_edn::Forms::new(text).next().is_none() {
        return Err(Error::new(Code::QueryEmpty, "the query is empty").hint("write [:find … :where …]"));
    }
    let form = annals_edn::read_one(text)?;
    match form.node {
        Node::Str(_) => Err(invalid(form.span, "a query is a vector or a map, not text in text")),
        _ => parse(&form),
    }
}

/// An `INVALID_QUERY` at a place.
pub(crate) fn invalid(span: Span, message: impl Into<String>) -> Error {
    Error::new(Code::InvalidQuery, message).at(span)
}

/// A variable: a symbol with a question mark first.
pub(crate) fn variable(form: &Edn) -> Option<&Symbol> {
    symbol(form).filter(|name| name.as_str().starts_with('?'))
}

/// A source: a symbol with a dollar sign first.
pub(crate) fn source(form: &Edn) -> Option<&Symbol> {
    symbol(form).filter(|name| name.as_str().starts_with('$'))
}

/// `_`
pub(crate) fn is_blank(form: &Edn) -> bool {
    symbol(form).is_some_and(|name| name.as_str() == "_")
}

/// Any symbol.
pub(crate) fn symbol(form: &Edn) -> Option<&Symbol> {
    match &form.node {
        Node::Symbol(name) => Some(name),
        _ => None,
    }
}

/// A list's or vector's elements.
pub(crate) fn elements(form: &Edn) -> Option<&[Edn]> {
    match &form.node {
        Node::List(items) | Node::Vector(items) => Some(items),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
