//! One module a subcommand.

mod cert;
mod datoms;
mod db;
#[cfg(feature = "dev")]
mod dev;
mod entity;
mod explain;
mod import;
mod index;
mod log;
mod pull;
mod query;
#[cfg(feature = "dev")]
mod serve;
mod status;
mod transact;
mod tx;

use std::path::Path;
use std::process::ExitCode;

use annals_client::{Client, Profile, Read, With};
use annals_wire::v1;

use crate::args::{Arguments, Command, LogFormat, PageArguments, ViewArguments};
use crate::failure::Failure;

/// What a command ends with.
pub type Outcome = Result<ExitCode, Failure>;

/// Runs the command on a runtime of its own.
pub fn run(arguments: Arguments) -> Outcome {
    start_logging(&arguments)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(dispatch(arguments));
    // What still runs on threads that block, an index build that was given up, ends with the process.
    runtime.shutdown_background();
    outcome
}

async fn dispatch(arguments: Arguments) -> Outcome {
    let profile = arguments.profile.as_deref();
    match arguments.command {
        #[cfg(feature = "dev")]
        Command::Dev(command) => dev::run(command).await,
        #[cfg(feature = "dev")]
        Command::Transactor(command) => serve::transactor(&command).await,
        #[cfg(feature = "dev")]
        Command::PeerServer(command) => serve::peer_server(&command).await,
        Command::Cert { command } => cert::run(command),
        Command::Db { command } => db::run(&connect(profile)?, command).await,
        Command::Transact(command) => transact::run(&connect(profile)?, &command).await,
        Command::Tx { command } => tx::run(&connect(profile)?, command).await,
        Command::Import(command) => import::run(&connect(profile)?, &command).await,
        Command::Query(command) => query::run(&connect(profile)?, &command).await,
        Command::Explain(command) => explain::run(&connect(profile)?, &command).await,
        Command::Pull(command) => pull::run(&connect(profile)?, &command).await,
        Command::Entity(command) => entity::run(&connect(profile)?, &command).await,
        Command::Datoms(command) => datoms::run(&connect(profile)?, &command).await,
        Command::IndexRange(command) => index::range(&connect(profile)?, &command).await,
        Command::IndexPull(command) => index::pull(&connect(profile)?, &command).await,
        Command::Log(command) => log::run(&connect(profile)?, &command).await,
        Command::Status { format } => status::run(&connect(profile)?, format).await,
    }
}

/// Servers log from info on, commands only warnings, unless told otherwise.
fn start_logging(arguments: &Arguments) -> Result<(), Failure> {
    #[cfg(feature = "dev")]
    let serves =
        matches!(arguments.command, Command::Dev(_) | Command::Transactor(_) | Command::PeerServer(_));
    #[cfg(not(feature = "dev"))]
    let serves = false;
    let level = arguments.log_level.as_deref().unwrap_or(if serves { "info" } else { "error" });
    let format = match arguments.log_format {
        LogFormat::Text => annals_transport::telemetry::LogFormat::Text,
        LogFormat::Json => annals_transport::telemetry::LogFormat::Json,
    };
    Ok(annals_transport::telemetry::init(format, level)?)
}

fn connect(profile: Option<&Path>) -> Result<Client, Failure> {
    let profile = Profile::load(&Profile::locate(profile))?;
    Ok(Client::new(&profile)?)
}

/// How the arguments of a reading command say to read.
fn read(view: &ViewArguments, page: Option<&PageArguments>) -> Result<Read, Failure> {
    let mut with = With::new();
    for file in &view.with {
        with = transact::transactions(&transact::text_of(file)?)?.into_iter().fold(with, With::and);
    }
    Ok(Read {
        with,
        filters: view.filter.clone(),
        view: v1::View { as_of: view.as_of, since: view.since, history: view.history },
        options: v1::StreamOptions {
            timeout_ms: view.timeout.map_or(0, |timeout| timeout.as_millis() as u32),
            offset: page.map_or(0, |page| page.offset),
            limit: page.and_then(|page| page.limit),
            ..v1::StreamOptions::default()
        },
    })
}
