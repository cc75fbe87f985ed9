//! The outermost layer: who may call what.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use annals_edn::{Code, Error};
use http::{Request, Response, Version};
use pin_project_lite::pin_project;
use tower::Service;

use super::body::CallBody;
use crate::access::{self, Access};
use crate::identity::{Principal, Role};

/// Refuses calls whose caller lacks the role that the path needs.
#[derive(Clone)]
pub(crate) struct Authorize<S> {
    inner: S,
}

impl<S> Authorize<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S, B> Service<Request<B>> for Authorize<S>
where
    S: Service<Request<B>, Response = Response<CallBody>, Error = Infallible>,
{
    type Response = Response<CallBody>;
    type Error = Infallible;
    type Future = Answer<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match judge(&request) {
            Ok(()) => Answer::Inner { inner: self.inner.call(request) },
            Err(refusal) => Answer::Refused { refusal: ready(Ok(CallBody::refusal(&refusal))) },
        }
    }
}

fn judge<B>(request: &Request<B>) -> Result<(), Error> {
    let path = request.uri().path();
    let Access::Needs(role) = access::required(path) else { return Ok(()) };
    let Some(principal) = request.extensions().get::<Arc<Principal>>() else {
        return Err(Error::new(Code::Unauthenticated, "this call needs a client certificate")
            .hint("set tls.cert and tls.key in the profile"));
    };
    if !principal.has(role) {
        return Err(lacking(principal, role));
    }
    if request.version() < Version::HTTP_2 {
        return Err(Error::new(Code::Unsupported, "gRPC calls need HTTP/2"));
    }
    Ok(())
}

fn lacking(principal: &Principal, role: Role) -> Error {
    tracing::info!(principal = principal.name, role = role.as_str(), "call refused");
    Error::new(Code::RoleMissing, format!("this call needs the role {}", role.as_str()))
        .hint(format!("{} does not have it in this cluster", principal.name))
        .with("role", role.as_str())
}

pin_project! {
    /// The inner answer, or a refusal.
    #[project = AnswerProjection]
    pub(crate) enum Answer<F> {
        Inner { #[pin] inner: F },
        Refused { refusal: Ready<Result<Response<CallBody>, Infallible>> },
    }
}

impl<F> Future for Answer<F>
where
    F: Future<Output = Result<Response<CallBody>, Infallible>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            AnswerProjection::Inner { inner } => inner.poll(cx),
            AnswerProjection::Refused { refusal } => Pin::new(refusal).poll(cx),
        }
    }
}
