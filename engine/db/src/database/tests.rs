//! A database value against a naive model: every datom in a list, nested loops.

mod model;
mod smoke;
