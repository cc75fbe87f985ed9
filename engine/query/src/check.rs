//! Everything that can be wrong with a query before it runs: binding, arity, safety, rules, inputs.
//!
//! Reading order: [`arguments`] inputs against what is given for them, [`calls`] rules and calls of them,
//! [`components`] recursion and strata, [`safety`] what must be bound before a clause can run, [`canonical`] the order of
//! the result, [`given`] inputs that identify entities.

mod arguments;
mod calls;
mod canonical;
mod components;
mod given;
mod safety;
#[cfg(test)]
mod tests;

pub(crate) use calls::visit;

use std::sync::Arc;

use annals_db::Schema;
use annals_edn::{Edn, Error};

use crate::ast::{ConstId, OrderKey, Query, SourceId, VarId};

/// What an argument is, as far as checking and planning care.
#[derive(Clone, Debug)]
pub enum InputShape {
    /// a database value
    Db(Arc<Schema>),
    /// anything else
    Data,
}

/// A query that can run: normalised, its rules in it, every variable bound by something.
#[derive(Clone, Debug)]
pub struct CheckedQuery {
    /// the query, with [`Query::rules`] filled and called rules resolved
    pub query: Query,
    /// variables of inputs that stand where a database has entities, attributes or typed values: clauses use
    /// `resolved`, functions and the result use `given`
    pub given: Vec<Given>,
    /// constants in calls of rules that stand where a database has entities, attributes or typed values
    pub identifiers: Vec<Identifier>,
    /// the order of the result: basis variables (see [`Query::basis`]) by which rows are sorted after `order_by`,
    /// all of them, entities first, as DESIGN §9 says; `column` indexes the basis
    pub canonical: Vec<OrderKey>,
    /// for each source, whether it is a database
    pub databases: Vec<bool>,
}

/// An input variable in two forms. Whoever binds inputs resolves each given value against the source; one that
/// resolves to nothing gives no row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Given {
    /// as the caller gave it; bound by the input only
    pub given: VarId,
    /// as the database knows it
    pub resolved: VarId,
    /// the database
    pub source: SourceId,
    /// as what
    pub role: Role,
}

/// A constant given to a rule that identifies something. One that identifies nothing matches nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identifier {
    /// as written
    pub constant: ConstId,
    /// the database
    pub source: SourceId,
    /// as what
    pub role: Role,
}

/// What a resolved input stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// an entity: id, ident or lookup ref
    Entity,
    /// an attribute: ident or id
    Attribute,
    /// a value of this attribute
    ValueOf(annals_db::AttrId),
}

/// Checks `query` with the rules given as `%` (if it has that input) and what the arguments are.
///
/// # Errors
/// `UNBOUND_QUERY_VARIABLES`, `INSUFFICIENT_BINDING`, `UNKNOWN_RULE`, `INVALID_RULE`, `UNSTRATIFIABLE`,
/// `TOO_FEW_INPUTS`, `ARGS_MISMATCH` and their kin, with span and hint.
pub fn check(query: &Query, rules: Option<&Edn>, inputs: &[InputShape]) -> Result<CheckedQuery, Error> {
    let mut query = query.clone();
    let databases = arguments::check(&query, inputs)?;
    calls::add_rules(&mut query, rules)?;
    calls::limit(&query)?;
    calls::resolve(&mut query)?;
    components::find(&mut query)?;
    arguments::check_sources(&query, &databases)?;
    safety::check(&query, &databases)?;
    let canonical = canonical::order(&query, &databases);
    let given = given::split(&mut query, &databases, inputs);
    let identifiers = given::constants(&query, &databases, inputs);
    Ok(CheckedQuery { query, given, identifiers, canonical, databases })
}
