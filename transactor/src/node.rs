//! A whole transactor in a process: everything bound, started, joined and stopped in order.
//!
//! [`Node::start`] binds first and works after; [`Node::stop`] hands the lead over, drains, and leaves durable state
//! whole. `annals dev`, `annals transactor` and the binary of its own all run this.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use annals_edn::{Code, Error};
use annals_transport::{ConnectOptions, Handle, Limits, Server, State, TlsIdentity, connect};
use tokio::task::JoinHandle;

use crate::committed::Committed;
use crate::config::Config;
use crate::engine::Engine;
use crate::feed::Subscribers;
use crate::group::{Group, Parts};
use crate::indexer;
use crate::intake::{Intake, Phase};
use crate::raft::{Channels, Member, RaftConfig, RaftHandle, Role};
use crate::replica::Replica;
use crate::service::{ProcessInfo, routes};

const DRAIN_LIMIT: Duration = Duration::from_secs(5);
/// For the index build before a stop.
const FINISH_LIMIT: Duration = Duration::from_secs(20);
/// A leader that has heard from no majority for so long publishes nothing more.
const QUORUM_LIMIT: Duration = Duration::from_secs(2);
const HAND_OVER_LIMIT: Duration = Duration::from_secs(1);
const TLS_RELOAD_INTERVAL: Duration = Duration::from_secs(30);

/// A running transactor.
pub struct Node<E: Engine> {
    group: Group<E>,
    server: Handle,
    tasks: Vec<JoinHandle<()>>,
}

impl<E: Engine> Node<E> {
    /// Starts a transactor; it is ready once the group has a leader it follows or is.
    ///
    /// # Errors
    /// The address is taken, the certificates do not fit, the data directory is locked, another's or damaged.
    pub async fn start(config: &Config, engine: Arc<E>) -> Result<Self, Error> {
        config.check()?;
        let tls = TlsIdentity::load(config.tls_files())?;
        let mut server = Server::bind(&config.listen, tls.clone(), Limits::nodes())?;
        if let Some(listen) = &config.health_listen {
            server = server.with_plain_health(listen)?.0;
        }
        let endpoint = endpoint(config, server.local_addr());
        let group = build(config, engine, &tls, &endpoint).await?;
        let readiness = server.readiness();
        let handle = server.serve(routes(&group, readiness.draining()))?;
        if config.bootstrap || config.members.len() <= 1 {
            found(config, &group, &endpoint).await?;
        }
        let reload = tls.clone();
        let tasks = vec![
            tokio::spawn(announce(group.clone(), handle.clone())),
            tokio::spawn(indexer::run(group.clone(), config.index)),
            tokio::spawn(async move { reload.watch(TLS_RELOAD_INTERVAL).await }),
        ];
        tracing::info!(node = config.node_id, %endpoint, "transactor started");
        Ok(Self { group, server: handle, tasks })
    }

    /// What it offers, for callers in the same process.
    #[must_use]
    pub fn group(&self) -> &Group<E> {
        &self.group
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// Waits until this member writes or follows a leader.
    pub async fn ready(&self) {
        until_ready(&self.group).await;
    }

    /// Hands the lead over where somebody can take it, finishes what runs, and stops.
    pub async fn stop(self) {
        self.server.readiness().set(State::Draining).await;
        self.tasks.iter().for_each(JoinHandle::abort);
        let why = tokio::select! {
            () = indexer::finish(&self.group) => None,
            () = quorum_lost(&self.group) => Some("no majority is left to publish it"),
            () = tokio::time::sleep(FINISH_LIMIT) => Some("it takes too long"),
        };
        if let Some(why) = why {
            tracing::warn!(why, "the last index build is given up; the log keeps what it would have covered");
        }
        hand_over(&self.group).await;
        self.server.drain(DRAIN_LIMIT).await;
        self.group.parts().intake.stop();
        self.group.parts().raft.shutdown().await;
        tracing::info!(node = self.group.parts().raft.node_id(), "transactor stopped");
    }
}

/// Where others reach this member: as its members list says, else at the port it got.
fn endpoint(config: &Config, bound: SocketAddr) -> String {
    let configured = config.members.iter().find(|member| member.id == config.node_id);
    configured.map_or_else(|| format!("localhost:{}", bound.port()), |member| member.addr.clone())
}

async fn build<E: Engine>(
    config: &Config,
    engine: Arc<E>,
    tls: &TlsIdentity,
    endpoint: &str,
) -> Result<Group<E>, Error> {
    let committed = Arc::new(Committed::default());
    let replica = Replica::new(Arc::clone(&engine), Arc::clone(&committed));
    let channels = channels(tls.clone());
    let raft_config = RaftConfig::new(&config.cluster_id, config.node_id, config.data_dir.clone());
    let raft = RaftHandle::start(raft_config, Box::new(replica.clone()), channels.clone()).await?;
    let admission = engine.indexes().then_some(config.index.max_bytes);
    let intake = Intake::start(Arc::clone(&engine), committed, raft.clone(), evaluators(), admission);
    let process = ProcessInfo { endpoint: endpoint.to_owned(), version: env!("CARGO_PKG_VERSION") };
    let subscribers = Subscribers::default();
    Ok(Group::new(Parts { engine, replica, raft, intake, channels, subscribers, process }))
}

/// A core is left to Raft and the network.
fn evaluators() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get() - 1).max(1)
}

fn channels(tls: TlsIdentity) -> Channels {
    let options = ConnectOptions::node();
    Channels::new(Arc::new(move |id, member: &Member| {
        connect(&member.addr, &tls, &options).unwrap_or_else(|error| {
            // Addresses are checked when a group is founded; one that is none now is a member that never answers.
            tracing::error!(%error, id, addr = member.addr, "a member's address is not one");
            tonic::transport::Endpoint::from_static("https://address.invalid:1").connect_lazy()
        })
    }))
}

async fn found<E: Engine>(config: &Config, group: &Group<E>, endpoint: &str) -> Result<(), Error> {
    let mut members = config.members();
    if members.is_empty() {
        let member = Member { addr: endpoint.to_owned(), name: format!("transactor-{}", config.node_id) };
        members.insert(config.node_id, member);
    }
    group.parts().raft.initialize(members).await
}

async fn announce<E: Engine>(group: Group<E>, server: Handle) {
    until_ready(&group).await;
    server.readiness().set(State::Ready).await;
    tracing::info!(node = group.parts().raft.node_id(), "ready");
}

async fn until_ready<E: Engine>(group: &Group<E>) {
    let mut status = group.parts().raft.status();
    let mut phase = group.parts().intake.phase();
    loop {
        let leader = status.borrow_and_update().leader;
        let serving = matches!(*phase.borrow_and_update(), Phase::Serving(_));
        if serving || leader.is_some_and(|leader| leader != group.parts().raft.node_id()) {
            return;
        }
        tokio::select! {
            changed = status.changed() => if changed.is_err() { return },
            changed = phase.changed() => if changed.is_err() { return },
        }
    }
}

/// Resolves when this member leads and no majority confirms it: the rest of the group is stopping too, or cut off.
async fn quorum_lost<E: Engine>(group: &Group<E>) {
    let raft = &group.parts().raft;
    loop {
        match tokio::time::timeout(QUORUM_LIMIT, raft.read_index_as_leader()).await {
            Err(_) => return,
            Ok(Err(error)) if error.code() == Code::Unreachable => return,
            Ok(_) => tokio::time::sleep(QUORUM_LIMIT / 4).await,
        }
    }
}

async fn hand_over<E: Engine>(group: &Group<E>) {
    let raft = &group.parts().raft;
    let mut status = raft.status();
    let (role, next) = {
        let status = status.borrow();
        let other =
            |(id, (_, votes)): (&u64, &(Member, bool))| (*votes && *id != raft.node_id()).then_some(*id);
        (status.role, status.members.iter().find_map(other))
    };
    let (Role::Leader, Some(next)) = (role, next) else { return };
    if raft.transfer_leader(next).await.is_ok() {
        // Without an answer in time the others elect by themselves.
        let _ = tokio::time::timeout(HAND_OVER_LIMIT, status.wait_for(|status| status.role != Role::Leader))
            .await;
    }
}

#[cfg(test)]
mod tests;
