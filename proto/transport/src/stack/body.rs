//! The body of an answer: the service's, ended when the call's time is up.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use annals_edn::{Code, Error};
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::watch::{State, Stream, Watch};
use crate::health::CallGuard;

type Polled = Poll<Option<Result<Frame<Bytes>, axum::Error>>>;

/// A body with a deadline. Holds the call's guard, so that a call counts as running until it is sent or dropped.
pub(crate) struct CallBody {
    source: Source,
    deadline: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
    watch: Option<Arc<Watch>>,
    _guard: Option<CallGuard>,
}

enum Source {
    /// Not yet more than one frame: most calls end here.
    Short {
        body: Body,
        frames: u8,
    },
    /// A stream, which the connection looks after.
    Watched(Arc<Stream>),
    Ended,
}

impl CallBody {
    pub(crate) fn new(
        body: Body,
        deadline: Option<Instant>,
        watch: Option<Arc<Watch>>,
        guard: Option<CallGuard>,
    ) -> Self {
        Self { source: Source::Short { body, frames: 0 }, deadline, sleep: None, watch, _guard: guard }
    }

    /// A whole answer that says no.
    pub(crate) fn refusal(error: &Error) -> Response<CallBody> {
        let (parts, ()) = annals_wire::to_status(error).into_http::<()>().into_parts();
        Response::from_parts(parts, CallBody::new(Body::empty(), None, None, None))
    }

    /// Hands the body over to the connection's watch if it turned out to be a stream.
    fn watch_if_stream(&mut self, pending: bool) {
        let is_stream = |frames: u8| pending || frames > 2;
        match (&mut self.source, &self.watch) {
            (Source::Short { body, frames }, Some(watch)) if is_stream(*frames) => {
                let stream = watch.add(std::mem::take(body), self.deadline);
                self.source = Source::Watched(stream);
            }
            _ => {}
        }
    }

    /// The last frame of a body that we end.
    fn end(&mut self, reason: &Error) -> Polled {
        self.source = Source::Ended;
        let mut trailers = HeaderMap::new();
        match annals_wire::to_status(reason).add_header(&mut trailers) {
            Ok(()) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            Err(status) => Poll::Ready(Some(Err(axum::Error::new(status)))),
        }
    }

    fn poll_source(&mut self, cx: &mut Context<'_>) -> Result<Polled, Error> {
        let deadline = self.deadline;
        let is_late = || deadline.is_some_and(|deadline| deadline <= Instant::now());
        match &mut self.source {
            Source::Ended => Ok(Poll::Ready(None)),
            Source::Short { body, frames } => {
                *frames = frames.saturating_add(1);
                Ok(http_body::Body::poll_frame(Pin::new(body), cx))
            }
            Source::Watched(_) if is_late() => Err(deadline_exceeded()),
            Source::Watched(stream) => {
                let mut guard = stream.state();
                let state: &mut State = &mut guard;
                let Some(body) = &mut state.body else {
                    return Err(state.reason.take().unwrap_or_else(deadline_exceeded));
                };
                let polled = http_body::Body::poll_frame(Pin::new(body), cx);
                stream.note(state, polled.is_ready());
                Ok(polled)
            }
        }
    }
}

/// The error of a call whose time is up.
pub(crate) fn deadline_exceeded() -> Error {
    Error::new(Code::DeadlineExceeded, "the call's deadline has passed")
        .hint("allow more time, or ask for less at once")
}

impl http_body::Body for CallBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled {
        let this = &mut *self;
        let polled = match this.poll_source(cx) {
            Ok(polled) => polled,
            Err(reason) => return this.end(&reason),
        };
        this.watch_if_stream(polled.is_pending());
        if polled.is_ready() {
            return polled;
        }
        // The timer is made at the first wait: most calls never need one.
        let Some(deadline) = this.deadline else { return Poll::Pending };
        let sleep = this.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        match sleep.as_mut().poll(cx) {
            Poll::Ready(()) => this.end(&deadline_exceeded()),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Short { body, .. } => body.is_end_stream(),
            Source::Watched(_) => false,
            Source::Ended => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Short { body, .. } => body.size_hint(),
            Source::Watched(_) => SizeHint::default(),
            Source::Ended => SizeHint::with_exact(0),
        }
    }
}
