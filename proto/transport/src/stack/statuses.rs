//! The innermost layer: what tonic or a panic says becomes an error of ours.
//!
//! tonic answers OUT_OF_RANGE to a message over the limit and INTERNAL to one that does not decode; both would read as
//! our fault. A panic in a service becomes INTERNAL instead of a broken stream.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use annals_edn::{Code, Error};
use axum::body::Body;
use http::{HeaderMap, Request, Response};
use pin_project_lite::pin_project;
use tower::Service;

/// The layer.
#[derive(Clone)]
pub(crate) struct Statuses<S> {
    inner: S,
}

impl<S> Statuses<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S, B> Service<Request<B>> for Statuses<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Tidied<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        Tidied { inner: self.inner.call(request) }
    }
}

pin_project! {
    /// The inner answer, tidied.
    pub(crate) struct Tidied<F> {
        #[pin]
        inner: F,
    }
}

impl<F> Future for Tidied<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let inner = self.project().inner;
        match catch_unwind(AssertUnwindSafe(|| inner.poll(cx))) {
            Ok(poll) => poll.map(|answer| answer.map(tidy)),
            Err(_) => {
                tracing::error!("a service panicked");
                Poll::Ready(Ok(refusal(&Error::new(Code::Internal, "the call failed by a defect of ours"))))
            }
        }
    }
}

fn tidy(response: Response<Body>) -> Response<Body> {
    match foreign_error(response.headers()) {
        Some(error) => refusal(&error),
        None => response,
    }
}

/// Our error for a status that tonic made before a service saw the call.
fn foreign_error(headers: &HeaderMap) -> Option<Error> {
    let code = headers.get("grpc-status")?.as_bytes();
    if headers.contains_key("grpc-status-details-bin") {
        return None;
    }
    let status = tonic::Status::from_header_map(headers)?;
    let message = status.message();
    match code {
        b"11" if message.contains("message length too large") => {
            let limit = message.rsplit(": ").next().unwrap_or("unknown");
            Some(
                Error::new(Code::MessageTooLarge, format!("the message is over the limit of {limit}"))
                    .hint("split the request"),
            )
        }
        b"13" if message.contains("decode Protobuf") => {
            Some(Error::new(Code::InvalidArgument, "the message is not valid protobuf of this call's type"))
        }
        b"13" if message.contains("protocol error") || message.contains("Unexpected EOF") => {
            Some(Error::new(Code::InvalidArgument, "the message is not framed as gRPC demands"))
        }
        b"12" if message.is_empty() => {
            Some(Error::new(Code::Unsupported, "no such service or method").hint("list them with reflection"))
        }
        _ => None,
    }
}

fn refusal(error: &Error) -> Response<Body> {
    annals_wire::to_status(error).into_http()
}
