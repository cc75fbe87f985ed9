//! Whether a process may be sent work, told to everyone who asks: `/health`, `/livez`, `/readyz` and grpc.health.v1.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use axum::Router;
use axum::routing::get;
use http::StatusCode;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

/// The services that grpc.health.v1 answers for, beside the empty name.
const SERVICES: [&str; 4] = [
    "annals.v1.QueryService",
    "annals.v1.TransactService",
    "annals.v1.DatabaseService",
    "annals.v1.AdminService",
];

/// The life of a process, as its probes see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not yet fit for work.
    Starting,
    /// Serving.
    Ready,
    /// Finishing what it has; new calls are refused.
    Draining,
}

/// Shared by the server, which answers probes from it, and the process, which sets it. Clones are one.
#[derive(Clone)]
pub struct Readiness(Arc<Inner>);

struct Inner {
    state: AtomicU8,
    reporter: HealthReporter,
    calls: AtomicUsize,
    idle: Notify,
    draining: CancellationToken,
}

impl Readiness {
    pub(crate) fn new(reporter: HealthReporter) -> Self {
        Self(Arc::new(Inner {
            state: AtomicU8::new(State::Starting as u8),
            reporter,
            calls: AtomicUsize::new(0),
            idle: Notify::new(),
            draining: CancellationToken::new(),
        }))
    }

    /// The state now.
    #[must_use]
    pub fn state(&self) -> State {
        match self.0.state.load(Ordering::Acquire) {
            0 => State::Starting,
            1 => State::Ready,
            _ => State::Draining,
        }
    }

    /// Changes the state; a process that drains stays so.
    pub async fn set(&self, state: State) {
        let before = self.0.state.fetch_max(state as u8, Ordering::AcqRel);
        if state == State::Starting && before == State::Ready as u8 {
            let (from, to) = (State::Ready as u8, State::Starting as u8);
            // Losing this race means that draining has begun, which is what then stands.
            let _ = self.0.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
        }
        if self.state() == State::Draining {
            self.0.draining.cancel();
        }
        self.report().await;
    }

    /// Tells grpc.health.v1.
    pub(crate) async fn report(&self) {
        let status = match self.state() {
            State::Ready => ServingStatus::Serving,
            State::Starting | State::Draining => ServingStatus::NotServing,
        };
        for service in SERVICES.into_iter().chain([""]) {
            self.0.reporter.set_service_status(service, status).await;
        }
    }

    /// Cancelled when draining begins: streams without an end of their own should end then.
    #[must_use]
    pub fn draining(&self) -> CancellationToken {
        self.0.draining.clone()
    }

    /// Counts a call until the guard is dropped.
    pub(crate) fn begin_call(&self) -> CallGuard {
        self.0.calls.fetch_add(1, Ordering::AcqRel);
        CallGuard(self.0.clone())
    }

    /// Waits until no counted call is running.
    pub(crate) async fn idle(&self) {
        loop {
            let notified = self.0.idle.notified();
            if self.0.calls.load(Ordering::Acquire) == 0 {
                return;
            }
            notified.await;
        }
    }
}

/// One running call.
pub(crate) struct CallGuard(Arc<Inner>);

impl Drop for CallGuard {
    fn drop(&mut self) {
        if self.0.calls.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}

/// The HTTP side.
pub(crate) fn routes(readiness: Readiness) -> Router {
    let ready = move || {
        let state = readiness.state();
        async move {
            match state {
                State::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting"),
                State::Ready => (StatusCode::OK, "ok"),
                State::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
            }
        }
    };
    Router::new()
        .route("/health", get(|| async { "ok" }))
        .route("/livez", get(|| async { "ok" }))
        .route("/readyz", get(ready))
}
