//! Planning: checked query to logical form, logical form to steps.
//!
//! Reading order: [`logic`] the logical form, [`lower`] how it is made, [`physical`] the steps, [`estimate`] counts,
//! [`cost`] candidates, [`search`] the order of nodes, [`emit`] steps from it, [`distinct`] proofs of distinctness,
//! [`point`] queries about one entity, [`closure`], [`demand`] and [`tail`] recursive rules, [`vars`] sets of variables,
//! [`explain`] a plan as text and data, [`written`] clauses as text.

pub(crate) mod closure;
pub(crate) mod cost;
pub(crate) mod demand;
pub(crate) mod distinct;
pub(crate) mod emit;
pub(crate) mod estimate;
pub(crate) mod explain;
pub(crate) mod logic;
pub(crate) mod lower;
pub(crate) mod physical;
pub(crate) mod point;
pub(crate) mod search;
pub(crate) mod tail;
pub(crate) mod vars;
pub(crate) mod written;
