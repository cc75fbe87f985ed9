//! `annals.v1.FeedService`, by hand: its answers are bytes that were encoded when they were applied, so it goes round
//! the generated server, which would encode them again for every subscriber.

use std::convert::Infallible;
use std::task::{Context, Poll};

use annals_wire::feed::{FeedCodec, FeedItem};
use annals_wire::v1;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, StreamingService};
use tonic::{Request, Response, Status, Streaming};

use crate::engine::Engine;
use crate::feed::subscribe;
use crate::group::Group;

const SUBSCRIBE: &str = "/annals.v1.FeedService/Subscribe";

/// The service of one member. Clones share it.
pub(super) struct Service<E: Engine> {
    group: Group<E>,
    draining: CancellationToken,
}

impl<E: Engine> Service<E> {
    pub(super) fn new(group: Group<E>, draining: CancellationToken) -> Self {
        Self { group, draining }
    }
}

impl<E: Engine> Clone for Service<E> {
    fn clone(&self) -> Self {
        Self { group: self.group.clone(), draining: self.draining.clone() }
    }
}

impl<E: Engine> NamedService for Service<E> {
    const NAME: &'static str = "annals.v1.FeedService";
}

impl<E: Engine> tower::Service<http::Request<Body>> for Service<E> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            if request.uri().path() != SUBSCRIBE {
                return Ok(Status::unimplemented("the feed has one call: Subscribe").into_http());
            }
            Ok(Grpc::new(FeedCodec).streaming(Subscribe(this), request).await)
        })
    }
}

struct Subscribe<E: Engine>(Service<E>);

impl<E: Engine> StreamingService<v1::SubscribeRequest> for Subscribe<E> {
    type Response = FeedItem;
    type ResponseStream = BoxStream<'static, Result<FeedItem, Status>>;
    type Future = BoxFuture<'static, Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<v1::SubscribeRequest>>) -> Self::Future {
        let Service { group, draining } = self.0.clone();
        Box::pin(
            async move { subscribe::start(group, draining, request.into_inner()).await.map(Response::new) },
        )
    }
}
