//! `annals-transactor --config FILE`: one transactor in a process of its own.

use std::path::PathBuf;
use std::process::ExitCode;

use annals_transport::process;
use annals_transport::telemetry::LogFormat;
use clap::Parser;

/// Queries take and drop many blocks of a few kilobytes, on which the C library's allocator spends a third of a small
/// query's time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A member of the Raft group that decides transactions
#[derive(Parser)]
#[command(name = "annals-transactor", version)]
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
    let arguments = Arguments::parse();
    process::run(arguments.log_format, &arguments.log_level, |stop| async move {
        annals_transactor::process::run(&arguments.config, stop, |_| {}).await
    })
}
