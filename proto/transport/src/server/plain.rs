//! A second port for probes that cannot speak TLS: health over plain HTTP, nothing else.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use annals_edn::Error;
use axum::Router;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tower::Service;

use super::{accept, limits::Limits};
use crate::health::{self, Readiness};

/// Probes at once.
const CONNECTIONS: usize = 64;

/// A bound plain port.
pub(super) struct Plain {
    listener: TcpListener,
    pub(super) local_addr: SocketAddr,
}

impl Plain {
    pub(super) fn bind(listen: &str) -> Result<Self, Error> {
        let (listener, local_addr) = super::bind(listen)?;
        Ok(Self { listener, local_addr })
    }

    /// Serves on the current runtime until `stop`.
    pub(super) fn serve(
        self,
        readiness: Readiness,
        limits: &Limits,
        stop: CancellationToken,
    ) -> Result<(), Error> {
        let listener = tokio::net::TcpListener::from_std(self.listener).map_err(super::internal)?;
        let router = health::routes(readiness);
        let header_read_timeout = limits.header_read_timeout;
        let each = move |stream: TcpStream, _: SocketAddr, permit: OwnedSemaphorePermit| {
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(header_read_timeout).keep_alive(false);
            let router = router.clone();
            async move {
                let service = service_fn(move |request| answer(router.clone(), request));
                // A probe that hangs up early is no event.
                let _ = http.serve_connection(TokioIo::new(stream), service).await;
                drop(permit);
            }
        };
        tokio::spawn(accept::run(listener, Arc::new(Semaphore::new(CONNECTIONS)), stop, each));
        Ok(())
    }
}

async fn answer(
    mut router: Router,
    request: Request<Incoming>,
) -> Result<axum::response::Response, Infallible> {
    router.call(request).await
}
