//! Datalog queries and pull over database values: parse, check, plan, run.
//!
//! What it is not: it knows no socket, clock or source of randomness. Deadlines reach it as a cancel flag, seeds as
//! parameters. Called by the peer library, and by the transactor for stored functions.
//!
//! Reading order: [`ast`] the tree, [`parse`] EDN to tree, [`check`] what must hold before anything runs, [`resolve`]
//! constants against a database, [`datum`] what flows, [`functions`] what is called, [`pull`], [`answer`].

pub mod answer;
pub mod ast;
pub mod check;
pub mod datum;
pub mod functions;
pub mod parse;
pub mod pull;
pub mod resolve;

pub use ast::Query;
pub use check::{CheckedQuery, Given, InputShape, Role, check};
pub use datum::{Datum, DatumColumn};
pub use parse::{parse, parse_text};
