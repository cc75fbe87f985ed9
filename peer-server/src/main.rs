//! `annals-peer-server --config FILE`: one peer server in a process of its own.

use std::path::PathBuf;
use std::process::ExitCode;

use annals_edn::{Code, Error};
use annals_peer_server::{Config, PeerServer};
use annals_transport::telemetry::{self, LogFormat};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

/// Answers queries of thin clients from database values that follow the group.
#[derive(Parser)]
#[command(name = "annals-peer-server", version)]
struct Arguments {
    /// The configuration, TOML
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// How log lines look: text or json
    #[arg(long, default_value = "text")]
    log_format: LogFormat,
    /// What is logged: error, warn, info, debug, trace
    #[arg(long, default_value = "info")]
    log_level: String,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:?}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Error> {
    telemetry::init(arguments.log_format, &arguments.log_level)?;
    let config = Config::load(&arguments.config)?;
    let internal = |error: std::io::Error| Error::new(Code::Internal, error.to_string());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(internal)?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).map_err(internal)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(internal)?;
        let server = PeerServer::start(config).await?;
        tokio::select! {
            ready = server.ready() => ready?,
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        server.stop().await;
        Ok(())
    })
}
