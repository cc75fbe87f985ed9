//! Starting and stopping a peer server.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use annals_edn::{Code, Error};
use annals_peer::{Peer, Selection};
use annals_transport::{CancellationToken, Handle, Limits, Server, State, TlsIdentity};
use annals_wire::v1;
use tokio::task::JoinHandle;

use crate::Result;
use crate::config::Config;
use crate::cursor::parked::Parked;
use crate::forward::Forward;
use crate::services::{Shared, routes};
use crate::stream::Workers;

/// How long running results may take to end once the server drains.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);
/// Results that run at once.
const WORKERS: usize = 256;
/// How often certificate files are looked at.
const CERTIFICATE_INTERVAL: Duration = Duration::from_secs(10);

/// A running peer server.
pub struct PeerServer {
    peer: Peer,
    handle: Handle,
    stop: CancellationToken,
    certificates: JoinHandle<()>,
}

impl PeerServer {
    /// Binds, starts to follow the group, and accepts calls. It is ready when [`PeerServer::ready`] says so.
    ///
    /// # Errors
    /// `CONFIG` when the address, a certificate or the store cannot be used.
    pub async fn start(config: Config) -> Result<PeerServer> {
        let identity = TlsIdentity::load(config.tls_files())?;
        let server = Server::bind(&config.listen, identity.clone(), Limits::clients())?;
        let endpoint = config.advertise.clone().unwrap_or_else(|| server.local_addr().to_string());
        let roots = annals_peer::roots::stored(&config.store)?;
        let peer = Peer::start(
            annals_peer::Config {
                transactors: config.transactors.clone(),
                selection: config.databases.clone().map_or(Selection::All, Selection::Names),
                subscriber: v1::SubscriberInfo {
                    id: config.id.clone(),
                    endpoint: endpoint.clone(),
                    pid: std::process::id(),
                    version: env!("CARGO_PKG_VERSION").to_string(),
                },
            },
            identity.clone(),
            roots,
        )?;
        let shared = Arc::new(Shared {
            id: config.id,
            endpoint,
            cluster_id: config.cluster_id,
            forward: Forward::new(peer.clone(), identity.clone()),
            peer: peer.clone(),
            functions: Arc::default(),
            plans: Arc::default(),
            limits: config.limits.into(),
            workers: Workers::new(WORKERS),
            parked: Parked::default(),
            draining: server.readiness().draining(),
        });
        let handle = server.serve(routes(shared))?;
        let certificates = tokio::spawn(identity.watch(CERTIFICATE_INTERVAL));
        Ok(PeerServer { peer, handle, stop: CancellationToken::new(), certificates })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.handle.local_addr()
    }

    /// Waits until the peer has reached the group's basis at start; from then on `/readyz` says so too.
    ///
    /// # Errors
    /// `NOT_READY` when the server is stopped first.
    pub async fn ready(&self) -> Result<()> {
        self.peer.ready().await?;
        self.handle.readiness().set(State::Ready).await;
        Ok(())
    }

    /// Waits until the server ends by itself; it does not, short of [`PeerServer::stop`].
    pub async fn failed(&self) -> Error {
        self.stop.cancelled().await;
        Error::new(Code::Draining, "the peer server was stopped")
    }

    /// Refuses new calls, lets running ones end, and stops.
    pub async fn stop(&self) {
        if !self.handle.drain(DRAIN_LIMIT).await {
            tracing::warn!("calls were cut off after {DRAIN_LIMIT:?}");
        }
        self.peer.stop().await;
        self.certificates.abort();
        self.stop.cancel();
    }
}

/// Runs the peer server that the file `config` describes until `stop` resolves; `ready` hears where it listens once it
/// has caught up with the group.
///
/// # Errors
/// Those of [`Config::load`] and [`PeerServer::start`].
pub async fn run(
    config: &Path,
    stop: impl Future<Output = ()>,
    ready: impl FnOnce(SocketAddr),
) -> Result<()> {
    let server = PeerServer::start(Config::load(config)?).await?;
    tokio::select! {
        outcome = async {
            server.ready().await?;
            ready(server.local_addr());
            Err(server.failed().await)
        } => outcome?,
        () = stop => {}
    }
    server.stop().await;
    Ok(())
}
