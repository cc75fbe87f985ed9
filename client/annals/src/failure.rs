//! How a command fails: what goes to standard error, and the exit code by kind.

use std::process::ExitCode;

use annals_edn::render::render;
use annals_edn::{Code, Error};

/// An error and the source text it points into.
pub struct Failure {
    error: Error,
    source: String,
    /// standard output was closed by a reader that has seen enough, as `head` does
    closed: bool,
}

impl Failure {
    /// An error about `source`, whose span is shown with a caret.
    pub fn in_source(error: Error, source: &str) -> Failure {
        Failure { error, source: source.to_string(), closed: false }
    }

    /// An error about one of the arguments is shown in that argument's text, any other in the query.
    pub fn in_query(error: Error, query: &str, arguments: &[String]) -> Failure {
        let number = error.details().iter().find(|(name, _)| name == "argument");
        let at = number.and_then(|(_, number)| number.parse::<usize>().ok());
        let argument = at.and_then(|at| arguments.get(at.checked_sub(1)?));
        Failure::in_source(error, argument.map_or(query, String::as_str))
    }

    /// Prints the error and answers with the exit code of its kind.
    pub fn report(&self) -> ExitCode {
        if self.closed {
            return ExitCode::SUCCESS;
        }
        eprintln!("{}", render(&self.error, &self.source));
        ExitCode::from(self.error.kind().exit_code())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure { error, source: String::new(), closed: false }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        let closed = error.kind() == std::io::ErrorKind::BrokenPipe;
        Failure { closed, ..Error::new(Code::Storage, error.to_string()).into() }
    }
}
