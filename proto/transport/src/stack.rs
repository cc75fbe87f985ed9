//! What every call passes on its way to a service, from the outside in.
//!
//! 1. [`authorize`]: nothing of a call from a caller without the right runs, not even its decoding.
//! 2. [`deadline`]: counts the call, refuses it while draining, and ends it when its time is up, body included. Inside
//!    of 1, so that refusals cost no timer; outside of 3, so that its own statuses need no tidying.
//! 3. [`statuses`]: panics and tonic's own statuses become ours, next to where they are made.
//! 4. the router of all services.
//!
//! Beside it, [`watch`] ends streams whose client does not read.
//!
//! No layer spawns or moves a call to another thread.

pub(crate) mod authorize;
pub(crate) mod body;
pub(crate) mod deadline;
pub(crate) mod statuses;
pub(crate) mod watch;

use std::time::Duration;

use axum::Router;

use crate::health::Readiness;
use authorize::Authorize;
use deadline::Deadlines;
use statuses::Statuses;

/// The whole stack; cheap to clone, once a call.
pub(crate) type Stack = Authorize<Deadlines<Statuses<Router>>>;

/// Puts the stack together.
pub(crate) fn build(router: Router, readiness: Readiness, call_timeout_max: Duration) -> Stack {
    Authorize::new(Deadlines::new(Statuses::new(router), readiness, call_timeout_max))
}
