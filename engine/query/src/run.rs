//! Running: batches of rows through the steps of a plan.
//!
//! Reading order: [`frame`] batches, [`keys`] rows by key, [`bulk`] many rows, [`context`] what a run works with, [`meter`] what it
//! takes, [`pipe`] pipelines; then
//! the steps: [`lookup`], [`join`], [`apply`], [`nested`], [`graph`] and [`closure`], [`fixpoint`].

pub(crate) mod apply;
pub(crate) mod bulk;
pub(crate) mod closure;
pub(crate) mod context;
pub(crate) mod fixpoint;
pub(crate) mod frame;
pub(crate) mod graph;
pub(crate) mod ints;
pub(crate) mod join;
pub(crate) mod keys;
pub(crate) mod lookup;
pub(crate) mod meter;
pub(crate) mod nested;
pub(crate) mod pipe;
pub(crate) mod subquery;
