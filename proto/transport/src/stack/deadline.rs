//! Counts calls, refuses them while draining, and holds each to its deadline.
//!
//! The deadline is the client's `grpc-timeout`, at most [`crate::Limits::call_timeout_max`]; services find it as
//! [`Deadline`] in the request's extensions and may set themselves a nearer one. It covers the body too: a stream that
//! overruns ends with DEADLINE_EXCEEDED in its trailers, and its producer is dropped.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use annals_edn::{Code, Error};
use axum::body::Body;
use http::{HeaderMap, Request, Response};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};
use tower::Service;

use super::body::{CallBody, deadline_exceeded};
use super::watch::Watch;
use crate::access;
use crate::health::{CallGuard, Readiness, State};

/// When the call that carries it must be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline(pub Instant);

/// The layer.
#[derive(Clone)]
pub(crate) struct Deadlines<S> {
    inner: S,
    readiness: Readiness,
    timeout_max: Duration,
}

impl<S> Deadlines<S> {
    pub(crate) fn new(inner: S, readiness: Readiness, timeout_max: Duration) -> Self {
        Self { inner, readiness, timeout_max }
    }

    /// The call's deadline and guard; streams between nodes have neither.
    fn admit<B>(&self, request: &Request<B>) -> Result<(Option<Instant>, Option<CallGuard>), Error> {
        let path = request.uri().path();
        let asked = parse_timeout(request.headers())?;
        if access::between_nodes(path) {
            return Ok((asked.map(|timeout| Instant::now() + timeout), None));
        }
        let open = access::required(path) == access::Access::Open;
        if !open && self.readiness.state() == State::Draining {
            return Err(Error::new(Code::Draining, "this process is shutting down")
                .hint("call another endpoint, or this one again when it is back"));
        }
        let timeout = asked.unwrap_or(self.timeout_max).min(self.timeout_max);
        let guard = (!open).then(|| self.readiness.begin_call());
        Ok((Some(Instant::now() + timeout), guard))
    }
}

impl<S, B> Service<Request<B>> for Deadlines<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<CallBody>;
    type Error = Infallible;
    type Future = Timed<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        match self.admit(&request) {
            Err(refusal) => Timed {
                inner: None,
                deadline: None,
                sleep: None,
                watch: None,
                guard: None,
                refusal: Some(refusal),
            },
            Ok((deadline, guard)) => {
                if let Some(deadline) = deadline {
                    request.extensions_mut().insert(Deadline(deadline));
                }
                let watch = request.extensions_mut().remove::<Arc<Watch>>();
                let inner = Some(self.inner.call(request));
                Timed { inner, deadline, sleep: None, watch, guard, refusal: None }
            }
        }
    }
}

pin_project! {
    /// The inner answer, or a refusal, or too late.
    pub(crate) struct Timed<F> {
        #[pin]
        inner: Option<F>,
        deadline: Option<Instant>,
        #[pin]
        sleep: Option<Sleep>,
        watch: Option<Arc<Watch>>,
        guard: Option<CallGuard>,
        refusal: Option<Error>,
    }
}

impl<F> Future for Timed<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = Result<Response<CallBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some(inner) = this.inner.as_mut().as_pin_mut() {
            if let Poll::Ready(Ok(response)) = inner.poll(cx) {
                let (watch, guard) = (this.watch.take(), this.guard.take());
                let body = |body| CallBody::new(body, *this.deadline, watch, guard);
                return Poll::Ready(Ok(response.map(body)));
            }
            if poll_deadline(*this.deadline, this.sleep, cx).is_pending() {
                return Poll::Pending;
            }
            this.inner.set(None);
        }
        let refusal = this.refusal.take().unwrap_or_else(deadline_exceeded);
        Poll::Ready(Ok(CallBody::refusal(&refusal)))
    }
}

/// Ready when the deadline has passed. The timer is made at the first wait: most calls never need one.
fn poll_deadline(
    deadline: Option<Instant>,
    mut sleep: Pin<&mut Option<Sleep>>,
    cx: &mut Context<'_>,
) -> Poll<()> {
    let Some(deadline) = deadline else { return Poll::Pending };
    if sleep.is_none() {
        sleep.set(Some(sleep_until(deadline)));
    }
    sleep.as_pin_mut().expect("it was set above").poll(cx)
}

/// `grpc-timeout`: up to eight digits and a unit.
fn parse_timeout(headers: &HeaderMap) -> Result<Option<Duration>, Error> {
    let Some(value) = headers.get("grpc-timeout") else { return Ok(None) };
    let parsed = value.to_str().ok().and_then(|text| {
        let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let count: u64 = digits.parse().ok()?;
        match unit {
            "H" => Some(Duration::from_secs(count * 3600)),
            "M" => Some(Duration::from_secs(count * 60)),
            "S" => Some(Duration::from_secs(count)),
            "m" => Some(Duration::from_millis(count)),
            "u" => Some(Duration::from_micros(count)),
            "n" => Some(Duration::from_nanos(count)),
            _ => None,
        }
    });
    match parsed {
        Some(timeout) => Ok(Some(timeout.min(Duration::from_secs(365 * 86_400)))),
        None => Err(Error::new(Code::InvalidArgument, "malformed grpc-timeout header")
            .hint("up to eight digits and one of H, M, S, m, u, n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeout(text: &str) -> Option<Option<Duration>> {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-timeout", text.parse().expect("a header value"));
        parse_timeout(&headers).ok()
    }

    #[test]
    fn timeouts_are_read_by_the_book() {
        assert_eq!(timeout("300m"), Some(Some(Duration::from_millis(300))));
        assert_eq!(timeout("1S"), Some(Some(Duration::from_secs(1))));
        assert_eq!(timeout("99999999H"), Some(Some(Duration::from_secs(365 * 86_400))));
        for bad in ["", "S", "-1S", "999999999H", "abc", "1s", "1 S", "１S"] {
            assert_eq!(timeout(bad), None, "{bad}");
        }
        assert_eq!(parse_timeout(&HeaderMap::new()).ok(), Some(None));
    }
}
