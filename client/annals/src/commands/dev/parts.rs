//! One process: a transactor and a peer server side by side, talking over loopback as they would anywhere.

use std::sync::Arc;

use annals_edn::{Code, Error};
use annals_peer_server::PeerServer;
use annals_transactor::config::Config;
use annals_transactor::engine_db::DbEngine;
use annals_transactor::node::Node;

use super::config;
use super::layout::Layout;
use crate::args::DevArguments;

/// The two parts.
pub struct Parts {
    transactor: Node<DbEngine>,
    server: PeerServer,
}

/// Starts both. They become ready in their own time.
pub async fn start(layout: &Layout, arguments: &DevArguments) -> Result<Parts, Error> {
    check_free(&arguments.listen)?;
    let members = config::transactors(layout, 1)?;
    let mut transactor = Config::read(&members[0].config)?;
    if arguments.memory {
        transactor.data_dir = None;
        transactor.store = None;
    }
    let engine = DbEngine::of(&transactor)?;
    let transactor = Node::start(&transactor, Arc::new(engine)).await?;
    let addresses = [transactor.local_addr().to_string()];
    let peers = config::peers(layout, 1, &arguments.listen, &addresses)?;
    let server = PeerServer::start(annals_peer_server::Config::load(&peers[0].config)?).await?;
    Ok(Parts { transactor, server })
}

/// Refuses an address in use before anything is started or written for it.
fn check_free(listen: &str) -> Result<(), Error> {
    std::net::TcpListener::bind(listen).map(drop).map_err(|error| {
        Error::new(Code::Config, format!("cannot listen on {listen}: {error}"))
            .hint("choose another with --listen HOST:PORT; port 0 takes any free one")
    })
}

impl Parts {
    /// Waits until both are ready.
    pub async fn ready(&mut self) -> Result<(), Error> {
        self.transactor.ready().await;
        self.server.ready().await
    }

    /// Where the peer server and the transactor listen.
    pub fn endpoints(&self) -> (Vec<String>, Vec<String>) {
        (vec![self.server.local_addr().to_string()], vec![self.transactor.local_addr().to_string()])
    }

    /// Waits until one of them ends by itself.
    pub async fn failed(&mut self) -> Error {
        self.server.failed().await
    }

    /// Drains the peer server, then stops the transactor.
    pub async fn stop(self) {
        self.server.stop().await;
        self.transactor.stop().await;
    }
}
