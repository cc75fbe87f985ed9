//! `annals-transactor --config FILE`: one transactor in a process of its own.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use annals_edn::{Code, Error};
use annals_transactor::config::Config;
use annals_transactor::engine_db::DbEngine;
use annals_transport::telemetry::{self, LogFormat};
use clap::Parser;

/// A member of the Raft group that decides transactions.
#[derive(Parser)]
#[command(name = "annals-transactor", version)]
struct Arguments {
    /// Configuration, TOML.
    #[arg(long)]
    config: PathBuf,
    /// How log lines are written: text or json.
    #[arg(long, default_value = "text")]
    log_format: LogFormat,
    /// From which level up: error, warn, info, debug, trace.
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
    let config = Config::read(&arguments.config)?;
    let internal = |error: std::io::Error| Error::new(Code::Internal, error.to_string());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(internal)?;
    runtime.block_on(async {
        let mut terminate =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).map_err(internal)?;
        let shutdown = async move {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        };
        annals_transactor::node::run(&config, Arc::new(DbEngine::of(&config)?), shutdown).await
    })
}
