//! A listener: TLS, HTTP/2 and every service of a process on one port.
//!
//! What it is: accept loop, handshakes, connections, drain. What it is not: it knows no service; they come as
//! [`Routes`]. Called by the `main` of each process. Owns the socket and a task a connection. A connection fails
//! alone; binding is the only step that fails as a whole. Stops by [`Handle::drain`], with a hard limit.

mod accept;
pub(crate) mod connection;
pub(crate) mod limits;
mod plain;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use annals_edn::{Code, Error};
use annals_wire::v1::FILE_DESCRIPTOR_SET;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;

use crate::health::{self, Readiness, State};
use crate::stack::{self, Stack};
use crate::tls::TlsIdentity;
use limits::Limits;
use plain::Plain;

/// From the end of the last call to the closing of connections that did not close by themselves.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A bound socket that does not accept yet.
pub struct Server {
    listener: TcpListener,
    local_addr: SocketAddr,
    identity: TlsIdentity,
    limits: Limits,
    readiness: Readiness,
    health: Routes,
    plain: Option<Plain>,
}

/// What the accept loop and all connections share.
struct Shared {
    identity: TlsIdentity,
    limits: Limits,
    connections: Arc<Semaphore>,
    handshakes: Semaphore,
    stack: Stack,
    readiness: Readiness,
    running: TaskTracker,
    stop: CancellationToken,
}

/// A listener at work. Dropping it stops nothing.
#[derive(Clone)]
pub struct Handle {
    local_addr: SocketAddr,
    readiness: Readiness,
    running: TaskTracker,
    stop: CancellationToken,
}

impl Server {
    /// Binds `listen`, a host and port; port 0 takes any free one. Processes bind everything before they do work.
    ///
    /// # Errors
    /// [`Code::Config`] if the address is not free or not ours, or `identity` is not fit for a server.
    pub fn bind(listen: &str, identity: TlsIdentity, limits: Limits) -> Result<Self, Error> {
        identity.server_config()?;
        let (listener, local_addr) = bind(listen)?;
        let (reporter, service) = tonic_health::server::health_reporter();
        let readiness = Readiness::new(reporter);
        Ok(Self {
            listener,
            local_addr,
            identity,
            limits,
            readiness,
            health: Routes::new(service),
            plain: None,
        })
    }

    /// Binds a second port, which answers `/health`, `/livez` and `/readyz` over plain HTTP to probes that cannot
    /// speak TLS. Returns its address too.
    ///
    /// # Errors
    /// [`Code::Config`] if the address is not free or not ours.
    pub fn with_plain_health(self, listen: &str) -> Result<(Self, SocketAddr), Error> {
        let plain = Plain::bind(listen)?;
        let address = plain.local_addr;
        Ok((Self { plain: Some(plain), ..self }, address))
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// What probes are told. Starts as [`State::Starting`].
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// Accepts on the current runtime. Health and reflection are added to `services`.
    ///
    /// # Errors
    /// [`Code::Internal`] if the runtime refuses the socket.
    pub fn serve(mut self, services: Routes) -> Result<Handle, Error> {
        let listener = tokio::net::TcpListener::from_std(self.listener.try_clone().map_err(internal)?)
            .map_err(internal)?;
        let plain = self.plain.take();
        let (shared, handle) = self.share(services);
        shared.serve_plain(plain)?;
        tokio::spawn(shared.accept(listener));
        Ok(handle)
    }

    /// Accepts on `threads` threads, each with a runtime of its own: a call stays on one thread from socket to
    /// socket, which costs less than handing it over. Services must not block; heavy work belongs elsewhere.
    ///
    /// # Errors
    /// [`Code::Internal`] if a thread or runtime cannot be had.
    pub fn serve_on_threads(mut self, services: Routes, threads: usize) -> Result<Handle, Error> {
        let listeners = (0..threads.max(1))
            .map(|_| self.listener.try_clone())
            .collect::<Result<Vec<_>, _>>()
            .map_err(internal)?;
        let mut plain = self.plain.take();
        let (shared, handle) = self.share(services);
        for (number, listener) in listeners.into_iter().enumerate() {
            shared.start_thread(number, listener, plain.take())?;
        }
        Ok(handle)
    }

    fn share(self, services: Routes) -> (Arc<Shared>, Handle) {
        let router = self
            .health
            .clone()
            .into_axum_router()
            .merge(strip_fallback(services))
            .merge(strip_fallback(reflection()))
            .merge(health::routes(self.readiness.clone()));
        let (running, stop) = (TaskTracker::new(), CancellationToken::new());
        let shared = Shared {
            connections: Arc::new(Semaphore::new(self.limits.connections)),
            handshakes: Semaphore::new(self.limits.handshakes),
            stack: stack::build(router, self.readiness.clone(), self.limits.call_timeout_max),
            identity: self.identity,
            limits: self.limits,
            readiness: self.readiness.clone(),
            running: running.clone(),
            stop: stop.clone(),
        };
        let handle = Handle { local_addr: self.local_addr, readiness: self.readiness, running, stop };
        (Arc::new(shared), handle)
    }
}

impl Shared {
    /// The accept loop of the TLS port.
    fn accept(
        self: &Arc<Self>,
        listener: tokio::net::TcpListener,
    ) -> impl Future<Output = ()> + Send + use<> {
        let shared = self.clone();
        let each = move |stream, peer, permit| {
            shared.running.track_future(connection::run(stream, peer, permit, shared.clone()))
        };
        accept::run(listener, self.connections.clone(), self.stop.clone(), each)
    }

    fn serve_plain(&self, plain: Option<Plain>) -> Result<(), Error> {
        match plain {
            Some(plain) => plain.serve(self.readiness.clone(), &self.limits, self.stop.clone()),
            None => Ok(()),
        }
    }

    fn start_thread(
        self: &Arc<Self>,
        number: usize,
        listener: TcpListener,
        plain: Option<Plain>,
    ) -> Result<(), Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(internal)?;
        let accept = {
            let _inside = runtime.enter();
            self.serve_plain(plain)?;
            self.accept(tokio::net::TcpListener::from_std(listener).map_err(internal)?)
        };
        std::thread::Builder::new()
            .name(format!("annals-serve-{number}"))
            .spawn(move || runtime.block_on(accept))
            .map(|_| ())
            .map_err(internal)
    }
}

impl Handle {
    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// What probes are told.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// Refuses new calls, asks connections to go elsewhere, waits for running calls at most `limit`, then closes
    /// everything. True if no call was cut off. Health answers until the end.
    pub async fn drain(&self, limit: Duration) -> bool {
        self.readiness.set(State::Draining).await;
        let finished = tokio::time::timeout(limit, self.readiness.idle()).await.is_ok();
        if finished {
            // The last answers may still lie in buffers; connections close by themselves once those are sent.
            self.running.close();
            let _ = tokio::time::timeout(LAST_WORDS, self.running.wait()).await;
        }
        self.stop.cancel();
        finished
    }
}

/// A bound, nonblocking socket and its address.
fn bind(listen: &str) -> Result<(TcpListener, SocketAddr), Error> {
    let bound = TcpListener::bind(listen).and_then(|listener| {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    });
    bound.map_err(|error| {
        Error::new(Code::Config, format!("cannot listen on {listen}: {error}")).with("listen", listen)
    })
}

/// Two routers can be merged if at most one has a fallback; tonic gives one to each.
fn strip_fallback(routes: Routes) -> axum::Router {
    routes.into_axum_router().reset_fallback()
}

fn reflection() -> Routes {
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let v1 = builder().build_v1().expect("our descriptors are well formed: a test decodes them");
    let v1alpha = builder().build_v1alpha().expect("our descriptors are well formed: a test decodes them");
    Routes::new(v1).add_service(v1alpha)
}

fn internal(error: std::io::Error) -> Error {
    Error::new(Code::Internal, format!("cannot serve: {error}"))
}
