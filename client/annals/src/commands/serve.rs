//! `annals transactor` and `annals peer-server`: the same processes as the binaries of those names.

use std::io::Read;
use std::net::SocketAddr;
use std::process::ExitCode;

use annals_transport::process::Signals;

use super::dev::children::READY_PREFIX;
use crate::args::ServerArguments;
use crate::commands::Outcome;

pub async fn transactor(arguments: &ServerArguments) -> Outcome {
    let stop = stopped(Signals::listen()?, arguments.stop_with_input);
    annals_transactor::process::run(&arguments.config, stop, say_ready).await?;
    Ok(ExitCode::SUCCESS)
}

pub async fn peer_server(arguments: &ServerArguments) -> Outcome {
    let stop = stopped(Signals::listen()?, arguments.stop_with_input);
    annals_peer_server::run(&arguments.config, stop, say_ready).await?;
    Ok(ExitCode::SUCCESS)
}

fn say_ready(address: SocketAddr) {
    println!("{READY_PREFIX}{address}");
}

/// Waits for a signal, or for the end of standard input where that is asked for.
async fn stopped(mut signals: Signals, with_input: bool) {
    tokio::select! {
        () = signals.received() => {}
        () = input_closed(with_input) => {}
    }
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
