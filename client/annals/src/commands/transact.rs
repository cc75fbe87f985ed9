//! `annals transact`: each top-level vector of the input is one transaction, committed in order; stops at the first
//! refusal. `--dry-run` commits none. With `--id` the input is one transaction, and sending it again answers the report of the first time.

use std::io::{Read, Write};
use std::path::Path;
use std::process::ExitCode;

use annals_client::{Client, DEFAULT_TIMEOUT, Read as Reading, TxId, With};
use annals_edn::reader::Forms;
use annals_edn::{Code, Error, Span};

use crate::args::TransactArguments;
use crate::commands::Outcome;
use crate::failure::Failure;

pub async fn run(client: &Client, arguments: &TransactArguments) -> Outcome {
    let source = text_of(&arguments.file)?;
    let id = arguments.id.as_deref().map(TxId::parse).transpose()?;
    if id.is_some() && Forms::new(&source).count() > 1 {
        let message = "one id is for one transaction, and the input has several";
        return Err(Error::new(Code::InvalidArgument, message).into());
    }
    if arguments.dry_run {
        return speculate(client, &arguments.database, &source).await;
    }
    for form in Forms::new(&source) {
        let span = form.map_err(|error| Failure::in_source(error, &source))?.span;
        let text = &source[span.start as usize..span.end as usize];
        let id = id.unwrap_or_else(TxId::random);
        let report = client
            .transact_as(&arguments.database, text, id, DEFAULT_TIMEOUT)
            .await
            .map_err(|error| Failure::in_source(moved(error, span.start), &source))?;
        let mut line = report.to_edn().to_string();
        line.push('\n');
        std::io::stdout().write_all(line.as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Reports what every transaction of `source` would do after those before it.
async fn speculate(client: &Client, database: &str, source: &str) -> Outcome {
    let with = transactions(source)?.into_iter().fold(With::new(), With::and);
    let (_, reports) = client.with(database, &Reading { with, ..Reading::default() }).await?;
    for report in reports {
        std::io::stdout().write_all(format!("{}\n", report.to_edn()).as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The top-level forms of a text, each one transaction.
pub fn transactions(source: &str) -> Result<Vec<String>, Failure> {
    let form = |form: Result<annals_edn::Edn, Error>| {
        let span = form.map_err(|error| Failure::in_source(error, source))?.span;
        Ok(source[span.start as usize..span.end as usize].to_string())
    };
    Forms::new(source).map(form).collect()
}

/// The text of a file, or of standard input for `-`.
pub fn text_of(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|mut open| open.read_to_string(&mut text))
    };
    read.map_err(|error| {
        Error::new(Code::FileNotFound, format!("{} cannot be read: {error}", file.display()))
    })?;
    Ok(text)
}

/// An error about a part of a text, as one about the whole.
fn moved(error: Error, by: u32) -> Error {
    match error.span() {
        Some(span) => error.moved_to(Span { start: span.start + by, end: span.end + by }),
        None => error.at(Span { start: by, end: by + 1 }),
    }
}
