//! Datalog queries and pull over database values: parse, check, plan, run.
//!
//! What it is not: it knows no socket, clock or source of randomness. Deadlines reach it as a cancel flag, seeds as
//! parameters. Called by the peer library, and by the transactor for stored functions.
//!
//! Reading order: [`ast`] the tree, [`mod@parse`] EDN to tree, [`mod@check`] what must hold before anything runs, [`resolve`]
//! constants against a database, [`datum`] what flows, [`functions`] what is called; then [`prepare`] the entry,
//! [`plan`] logical form and search, [`bind`] arguments, [`source`] what patterns read, [`run`] steps over batches,
//! [`rows`], [`order`] and [`group`] the result; [`mod@pull`], [`entity`], [`mod@answer`]; [`stored`] functions kept as data, [`mod@filter`] values
//! filtered by them.

pub mod answer;
pub mod ast;
mod bind;
pub mod check;
pub mod datum;
pub mod entity;
mod filter;
pub mod functions;
mod group;
mod order;
pub mod parse;
mod plan;
mod prepare;
pub mod pull;
pub mod resolve;
mod rows;
mod run;
mod source;
mod stored;

pub use answer::{Shaper, answer};
pub use ast::Query;
pub use bind::Argument;
pub use check::{CheckedQuery, Given, InputShape, Role, check};
pub use datum::{Datum, DatumColumn};
pub use entity::{Entity, Navigated, entities};
pub use filter::filter;
pub use parse::{parse, parse_inputs, parse_text};
pub use plan::explain::{Actual, Explanation, Inner, Operator, Planned, Ran};
pub use prepare::Prepared;
pub use pull::{IndexPull, Pattern, Pull, index_pull, pull, pull_many, pull_many_until};
pub use rows::{Position, RowBatch, Rows};
pub use run::context::{Counters, QueryCtx, QueryLimits};
pub use run::meter::{Clock, Spent, Timer};
pub use stored::Datalog;
