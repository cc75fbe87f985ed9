//! The body of an answer: the service's, ended when the call's time is up.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use annals_edn::{Code, Error};
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::health::CallGuard;

pin_project! {
    /// A body with a deadline. Holds the call's guard, so that a call counts as running until it is sent or dropped.
    pub(crate) struct CallBody {
        // Dropped at the deadline, which stops whoever produces it.
        #[pin]
        inner: Option<Body>,
        deadline: Option<Instant>,
        #[pin]
        sleep: Option<Sleep>,
        _guard: Option<CallGuard>,
    }
}

impl CallBody {
    pub(crate) fn new(inner: Body, deadline: Option<Instant>, guard: Option<CallGuard>) -> Self {
        Self { inner: Some(inner), deadline, sleep: None, _guard: guard }
    }

    /// A whole answer that says no.
    pub(crate) fn refusal(error: &Error) -> Response<CallBody> {
        let (parts, ()) = annals_wire::to_status(error).into_http::<()>().into_parts();
        Response::from_parts(parts, CallBody::new(Body::empty(), None, None))
    }
}

/// The error of a call whose time is up.
pub(crate) fn deadline_exceeded() -> Error {
    Error::new(Code::DeadlineExceeded, "the call's deadline has passed")
        .hint("allow more time, or ask for less at once")
}

/// Ready when the deadline has passed. The timer is made at the first wait: most calls never need one.
pub(crate) fn poll_deadline(
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

impl http_body::Body for CallBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut this = self.project();
        let Some(inner) = this.inner.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        // A producer that is always ready must not outrun its deadline.
        let late = this.deadline.is_some_and(|deadline| this.sleep.is_some() && deadline <= Instant::now());
        if !late && let Poll::Ready(frame) = inner.poll_frame(cx) {
            return Poll::Ready(frame);
        }
        if !late {
            ready!(poll_deadline(*this.deadline, this.sleep, cx));
        }
        this.inner.set(None);
        let mut trailers = HeaderMap::new();
        match annals_wire::to_status(&deadline_exceeded()).add_header(&mut trailers) {
            Ok(()) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            Err(status) => Poll::Ready(Some(Err(axum::Error::new(status)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), http_body::Body::size_hint)
    }
}
