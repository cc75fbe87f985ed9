//! A server process from outside: its log lines, its runtime, the signals that stop it, its exit code.

use std::future::Future;
use std::io;
use std::process::ExitCode;

use annals_edn::render::render;
use annals_edn::{Code, Error};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::telemetry::{self, LogFormat};

/// The signals that mean: stop cleanly. Once listened for they do not kill the process.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Catches Ctrl-C and SIGTERM from now on.
    ///
    /// # Errors
    /// The system's, when it lets no handler be set.
    pub fn listen() -> io::Result<Signals> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for either.
    pub async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// The whole of a server's `main`: sets logging up, starts a runtime, and runs `body`, which is to end when the future
/// that it gets resolves: at Ctrl-C or SIGTERM. Exits with 0, or prints the error and exits with the code of its kind.
pub fn run<F>(format: LogFormat, level: &str, body: impl FnOnce(Stop) -> F) -> ExitCode
where
    F: Future<Output = Result<(), Error>>,
{
    match try_run(format, level, body) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", render(&error, ""));
            ExitCode::from(error.kind().exit_code())
        }
    }
}

/// Resolves when the process is told to stop.
pub type Stop = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

fn try_run<F>(format: LogFormat, level: &str, body: impl FnOnce(Stop) -> F) -> Result<(), Error>
where
    F: Future<Output = Result<(), Error>>,
{
    telemetry::init(format, level)?;
    let internal = |error: io::Error| Error::new(Code::Internal, error.to_string());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(internal)?;
    let done = runtime.block_on(async {
        let mut signals = Signals::listen().map_err(internal)?;
        body(Box::pin(async move { signals.received().await })).await
    });
    // What still runs on threads that block, an index build that was given up, ends with the process.
    runtime.shutdown_background();
    done
}
