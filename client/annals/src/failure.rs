//! How a command fails: what goes to standard error, and the exit code by kind.

use std::process::ExitCode;

use annals_edn::render::render;
use annals_edn::{Code, Error};

/// An error and the source text it points into.
pub struct Failure {
    error: Error,
    source: String,
}

impl Failure {
    /// An error about `source`, whose span is shown with a caret.
    pub fn in_source(error: Error, source: &str) -> Failure {
        Failure { error, source: source.to_string() }
    }

    /// Prints the error and answers with the exit code of its kind.
    pub fn report(&self) -> ExitCode {
        eprintln!("{}", render(&self.error, &self.source));
        ExitCode::from(self.error.kind().exit_code())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure { error, source: String::new() }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Error::new(Code::Storage, error.to_string()).into()
    }
}
