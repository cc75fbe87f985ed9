//! One connection: handshake, HTTP, age, end.

use std::convert::Infallible;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tower::Service as _;

use super::Shared;
use crate::certificate::Facts;
use crate::identity::Principal;
use crate::stack::Stack;
use crate::stack::watch::Watch;

/// Where a call comes from; in the extensions of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteAddr(pub SocketAddr);

/// Drives a connection: asks it to end at its age or when the server drains, cuts it a grace later or when the server
/// stops. A macro because hyper's two connection types share these methods but no trait.
macro_rules! until_end {
    ($connection:expr, $shared:expr) => {{
        let mut connection = std::pin::pin!($connection);
        let drain = drain_begins($shared.readiness.draining());
        tokio::select! {
            result = connection.as_mut() => result,
            () = $shared.stop.cancelled() => Ok(()),
            () = old_age($shared.limits.connection_age) => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    result = connection.as_mut() => result,
                    () = $shared.stop.cancelled() => Ok(()),
                    () = tokio::time::sleep($shared.limits.connection_age_grace) => Ok(()),
                }
            }
            () = drain => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    result = connection.as_mut() => result,
                    () = $shared.stop.cancelled() => Ok(()),
                }
            }
        }
    }};
}
/// Serves one connection until it ends by itself, by age or with the server. The permit counts it.
pub(super) async fn run(
    stream: TcpStream,
    peer: SocketAddr,
    permit: OwnedSemaphorePermit,
    shared: Arc<Shared>,
) {
    let handshake = tokio::time::timeout(shared.limits.handshake_timeout, handshake(stream, &shared));
    match handshake.await {
        Ok(Ok((tls, cluster))) => serve(tls, &cluster, peer, &shared).await,
        Ok(Err(error)) => tracing::debug!(%peer, %error, "handshake failed"),
        Err(_) => tracing::debug!(%peer, "handshake timed out"),
    }
    drop(permit);
}

/// The handshake, with the settings and the cluster of this moment.
async fn handshake(
    stream: TcpStream,
    shared: &Shared,
) -> Result<(TlsStream<TcpStream>, String), Box<dyn std::error::Error + Send + Sync>> {
    stream.set_nodelay(true)?;
    let _permit = shared.handshakes.acquire().await?;
    let (config, cluster) = shared.identity.server_config()?;
    Ok((TlsAcceptor::from(config).accept(stream).await?, cluster))
}

async fn serve(tls: TlsStream<TcpStream>, cluster: &str, peer: SocketAddr, shared: &Shared) {
    let (_, session) = tls.get_ref();
    let is_http2 = session.alpn_protocol() == Some(b"h2");
    let principal = session
        .peer_certificates()
        .and_then(|chain| chain.first())
        .and_then(|certificate| Facts::read(certificate).ok())
        .map(|facts| Arc::new(Principal::new(cluster, &facts.uris, &facts.hosts)));
    let watch = Arc::new(Watch::new(shared.limits.stream_stall_timeout));
    let stack = shared.stack.clone();
    let calls = Calls { stack, principal, peer: RemoteAddr(peer), watch: watch.clone() };
    let io = TokioIo::new(tls);
    let connection = async {
        match is_http2 {
            true => until_end!(http2(shared).serve_connection(io, calls), shared),
            false => until_end!(http1(shared).serve_connection(io, calls), shared),
        }
    };
    let result = tokio::select! {
        result = connection => result,
        () = watch.run() => Ok(()),
    };
    if let Err(error) = result {
        tracing::debug!(%peer, %error, "connection ended");
    }
}

/// Ends when draining begins; never for a connection made since, which is there to ask about health.
async fn drain_begins(draining: CancellationToken) {
    match draining.is_cancelled() {
        true => std::future::pending().await,
        false => draining.cancelled().await,
    }
}

/// Ends after the age, spread by a tenth to both sides so that clients do not come back all at once.
async fn old_age(age: Option<Duration>) {
    match age {
        None => std::future::pending().await,
        Some(age) => {
            let spread = RandomState::new().hash_one(0) % 2_000;
            let factor = 0.9 + f64::from(u32::try_from(spread).unwrap_or_default()) / 10_000.0;
            tokio::time::sleep(age.mul_f64(factor)).await;
        }
    }
}

fn http2(shared: &Shared) -> http2::Builder<TokioExecutor> {
    let limits = &shared.limits;
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams_per_connection)
        .max_local_error_reset_streams(limits.local_error_resets)
        .max_pending_accept_reset_streams(limits.pending_accept_resets)
        .max_header_list_size(limits.header_list_bytes)
        .max_send_buf_size(limits.send_buffer_bytes)
        .initial_stream_window_size(limits.stream_window_bytes)
        .initial_connection_window_size(limits.connection_window_bytes)
        .keep_alive_interval(limits.keepalive_interval)
        .keep_alive_timeout(limits.keepalive_timeout);
    builder
}

fn http1(shared: &Shared) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(shared.limits.header_read_timeout)
        .max_buf_size(64 << 10);
    builder
}

/// The calls of one connection, which all have one caller.
struct Calls {
    stack: Stack,
    principal: Option<Arc<Principal>>,
    peer: RemoteAddr,
    watch: Arc<Watch>,
}

impl hyper::service::Service<Request<Incoming>> for Calls {
    type Response = Response<crate::stack::body::CallBody>;
    type Error = Infallible;
    type Future = <Stack as tower::Service<Request<Incoming>>>::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer);
        request.extensions_mut().insert(self.watch.clone());
        if let Some(principal) = &self.principal {
            request.extensions_mut().insert(principal.clone());
        }
        self.stack.clone().call(request)
    }
}
