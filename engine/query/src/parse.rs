//! EDN to tree. Knows the grammar, nothing of databases: names of attributes stay constants.

use annals_edn::{Edn, Error};

use crate::ast::Query;

/// Parses a query in list form, map form, or as text.
///
/// # Errors
/// `INVALID_QUERY`, `INVALID_CLAUSE`, `NOT_A_BINDING_FORM`, `UNKNOWN_FUNCTION`, `INVALID_AGGREGATE`, `INVALID_PULL` and
/// their kin, each with the span at fault; for text also `EDN_…`.
pub fn parse(form: &Edn) -> Result<Query, Error> {
    let _ = form;
    unimplemented!()
}

/// Parses a query given as text.
///
/// # Errors
/// As [`parse`].
pub fn parse_text(text: &str) -> Result<Query, Error> {
    parse(&annals_edn::read_one(text)?)
}
