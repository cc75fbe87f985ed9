//! `annals transactor` and `annals peer-server`: the same processes as the binaries of those names.

use std::io::Read;
use std::process::ExitCode;
use std::sync::Arc;

use annals_transactor::config::Config;
use annals_transactor::engine_db::DbEngine;
use annals_transactor::node::Node;

use super::dev::children::READY_PREFIX;
use super::dev::signals::Signals;
use crate::args::ServerArguments;
use crate::commands::Outcome;

pub async fn transactor(arguments: &ServerArguments) -> Outcome {
    let mut signals = Signals::listen()?;
    let config = Config::read(&arguments.config)?;
    let node = Node::start(&config, Arc::new(DbEngine::of(&config)?)).await?;
    let address = node.local_addr();
    tokio::select! {
        () = async {
            node.ready().await;
            println!("{READY_PREFIX}{address}");
            std::future::pending().await
        } => {}
        () = signals.received() => {}
        () = input_closed(arguments.stop_with_input) => {}
    }
    node.stop().await;
    Ok(ExitCode::SUCCESS)
}

pub async fn peer_server(arguments: &ServerArguments) -> Outcome {
    let mut signals = Signals::listen()?;
    let config = annals_peer_server::Config::load(&arguments.config)?;
    let server = annals_peer_server::PeerServer::start(config).await?;
    tokio::select! {
        outcome = async {
            server.ready().await?;
            println!("{READY_PREFIX}{}", server.local_addr());
            Err(server.failed().await)
        } => outcome?,
        () = signals.received() => {}
        () = input_closed(arguments.stop_with_input) => {}
    }
    server.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// Waits until standard input ends, or for ever if that is not asked for. A thread of its own reads it, so that a
/// read that never returns does not hold up the end of the process.
async fn input_closed(asked: bool) {
    if !asked {
        return std::future::pending().await;
    }
    let (sender, closed) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while matches!(std::io::stdin().read(&mut buffer), Ok(read) if read > 0) {}
        drop(sender);
    });
    let _ = closed.await;
}
