//! Where log lines go and what they look like. Called once, by `main`.

use std::io::IsTerminal;

use annals_edn::{Code, Error};
use tracing_subscriber::EnvFilter;

/// How a log line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl std::str::FromStr for LogFormat {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            _ => Err(Error::new(Code::Config, format!("no log format {text:?}")).hint("text or json")),
        }
    }
}

/// Sends log lines to stderr. `level` is `error`, `warn`, `info`, `debug` or `trace` for our own crates, the libraries
/// below then speak from `warn` up (openraft from `error` up: it warns of every message that an election outdates); or
/// directives such as `info,h2=debug` for full control.
///
/// # Errors
/// [`Code::Config`] if `level` is not legal or logging was set up before.
pub fn init(format: LogFormat, level: &str) -> Result<(), Error> {
    let directives = match level.parse::<tracing::Level>() {
        Ok(tracing::Level::ERROR) | Err(_) => level.to_owned(),
        Ok(own) => format!("warn,openraft=error,annals={own}"),
    };
    let filter = EnvFilter::try_new(directives).map_err(|error| {
        Error::new(Code::Config, format!("no log level {level:?}: {error}"))
            .hint("error, warn, info, debug or trace")
    })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let done = match format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    done.map_err(|error| Error::new(Code::Config, format!("logging is set up already: {error}")))
}
