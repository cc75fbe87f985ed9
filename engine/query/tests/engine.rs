//! The query engine as its callers see it: prepare, run, resume, stop.

#[path = "engine/cancel.rs"]
mod cancel;
#[path = "engine/errors.rs"]
mod errors;
#[path = "engine/explain.rs"]
mod explain;
#[path = "engine/orders.rs"]
mod orders;
#[path = "engine/plans.rs"]
mod plans;
#[path = "engine/refusals.rs"]
mod refusals;
#[path = "engine/rules.rs"]
mod rules;
#[path = "engine/stream.rs"]
mod stream;
#[path = "engine/support.rs"]
mod support;
#[path = "engine/views.rs"]
mod views;
