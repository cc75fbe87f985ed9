//! `annals transact`: each top-level vector of the input is one transaction, committed in order; stops at the first
//! refusal. They travel in one stream, in which nothing behind a refused one is applied. `--dry-run` commits none. With
//! `--id` the input is one transaction, and sending it again answers the report of the first time.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use annals_client::{Client, Outcome, Read as Reading, StreamOptions, TransactStream, TxId, With};
use annals_edn::reader::Forms;
use annals_edn::{Code, Error, Span};

use crate::args::TransactArguments;
use crate::commands::Outcome as Ended;
use crate::failure::Failure;

/// How long a peer may take to have what was committed.
const CATCHING_UP: Duration = Duration::from_secs(2);

pub async fn run(client: &Client, arguments: &TransactArguments) -> Ended {
    let source = text_of(&arguments.file)?;
    let id = arguments.id.as_deref().map(TxId::parse).transpose()?;
    if id.is_some() && Forms::new(&source).count() > 1 {
        let message = "one id is for one transaction, and the input has several";
        return Err(Error::new(Code::InvalidArgument, message).into());
    }
    if arguments.dry_run {
        return speculate(client, &arguments.database, &source).await;
    }
    let stream = client.transact_stream(&arguments.database, StreamOptions::default());
    let mut sender = Sender { stream, source: &source, starts: VecDeque::new(), last: None };
    for form in Forms::new(&source) {
        let span = match form {
            Ok(form) => form.span,
            Err(error) => {
                // What stands before the malformed form is committed and told first.
                sender.finish().await?;
                return Err(Failure::in_source(error, &source));
            }
        };
        sender.send(id.unwrap_or_else(TxId::random), span).await?;
    }
    sender.finish().await?;
    if let Some(t) = sender.last {
        // The next command is a process that knows nothing of this one, and would read what its peer has: wait for it.
        // What is committed stays so where the peer does not come up in time.
        let _ = client.sync(&arguments.database, Some(t), CATCHING_UP).await;
    }
    Ok(ExitCode::SUCCESS)
}

/// Transactions under way, and where each begins in the source.
struct Sender<'a> {
    stream: TransactStream,
    source: &'a str,
    starts: VecDeque<u32>,
    /// the t of the last that is committed
    last: Option<u64>,
}

impl Sender<'_> {
    async fn send(&mut self, id: TxId, span: Span) -> Result<(), Failure> {
        while self.stream.is_full() {
            self.outcome().await?;
        }
        self.starts.push_back(span.start);
        let text = &self.source[span.start as usize..span.end as usize];
        Ok(self.stream.send(id, text).await?)
    }

    async fn finish(&mut self) -> Result<(), Failure> {
        while !self.starts.is_empty() {
            self.outcome().await?;
        }
        Ok(())
    }

    /// Prints the oldest report.
    async fn outcome(&mut self) -> Result<(), Failure> {
        let Some((_, outcome)) = self.stream.next().await? else { return Ok(()) };
        let start = self.starts.pop_front().unwrap_or_default();
        match outcome {
            Outcome::Committed(report) => {
                self.last = Some(report.t);
                let mut line = report.to_edn().to_string();
                line.push('\n');
                Ok(std::io::stdout().write_all(line.as_bytes())?)
            }
            Outcome::Refused(error) => Err(Failure::in_source(moved(error, start), self.source)),
            // Behind a refusal, which ended the command.
            Outcome::NotApplied => Ok(()),
        }
    }
}

/// Reports what every transaction of `source` would do after those before it.
async fn speculate(client: &Client, database: &str, source: &str) -> Ended {
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
