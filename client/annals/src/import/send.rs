//! Sends the batches of a file, in order, in one stream of transactions, and falls back to single lines where it must.
//!
//! What is refused, and what was sent behind it and therefore not applied, comes back: the refused batch as its lines,
//! the rest as it was. So the order of the file is kept, and nothing is sent before what precedes it is decided.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use annals_client::stream::MAX_IN_FLIGHT;
use annals_client::{Client, Edn, Kind, Outcome, Read, Report, StreamOptions, TransactStream, TxId};
use annals_edn::render::render;
use annals_edn::{Code, Error, Node, Span};

use super::file::ImportFile;
use super::plan::Batch;

/// How long to wait for the next outcome, retries included.
const TIMEOUT: Duration = Duration::from_secs(120);

/// What importing came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// lines committed by this run
    pub lines: usize,
    /// lines that an earlier run had committed
    pub skipped: usize,
    /// lines refused
    pub bad: usize,
    /// datoms committed by this run
    pub datoms: u64,
}

impl Tally {
    /// Lines that are done with.
    pub fn done(&self) -> u64 {
        (self.lines + self.skipped + self.bad) as u64
    }
}

/// What is one transaction.
enum Work {
    /// A batch as a whole.
    Whole(Arc<Batch>),
    /// The line at this place in its batch.
    Line(Arc<Batch>, usize),
}

impl Work {
    fn lines_of(batch: &Arc<Batch>) -> impl DoubleEndedIterator<Item = Work> + use<'_> {
        (0..batch.lines.len()).map(|place| Work::Line(Arc::clone(batch), place))
    }
}

/// Importing one file into one database.
pub struct Sender<'a> {
    client: &'a Client,
    database: &'a str,
    file: &'a ImportFile,
    stream: TransactStream,
    /// To be sent, in order.
    todo: VecDeque<Work>,
    /// Under way, oldest first.
    sent: VecDeque<Work>,
    /// How much may be under way: little after a refusal, because everything behind one is sent again.
    window: usize,
    tally: Tally,
}

impl<'a> Sender<'a> {
    pub fn new(client: &'a Client, database: &'a str, file: &'a ImportFile) -> Sender<'a> {
        let stream = client.transact_stream(database, StreamOptions { datoms: false, timeout: TIMEOUT });
        let (todo, sent) = (VecDeque::new(), VecDeque::new());
        Sender { client, database, file, stream, todo, sent, window: MAX_IN_FLIGHT, tally: Tally::default() }
    }

    /// What has been done so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Sends one batch: whole if that is the same as line by line, else its lines. `begun`: an earlier run was sending
    /// it line by line.
    ///
    /// # Errors
    /// Only what stops the import: nobody answers, no right, no such database. Refused lines are reported and counted.
    pub async fn batch(&mut self, batch: Batch, begun: bool) -> Result<(), Error> {
        let batch = Arc::new(batch);
        if begun {
            self.todo.extend(Work::lines_of(&batch));
        } else if batch.may_differ() {
            // What it depends on may be under way.
            self.finish().await?;
            if !self.meets(&batch).await? {
                self.todo.push_back(Work::Whole(batch));
            } else if self.committed(self.file.id(self.database, batch.range.clone())).await? {
                // What it meets is its own work of an earlier run.
                self.tally.skipped += batch.lines.len();
            } else {
                self.todo.extend(Work::lines_of(&batch));
            }
        } else {
            self.todo.push_back(Work::Whole(batch));
        }
        self.send().await
    }

    /// Waits until everything is decided.
    ///
    /// # Errors
    /// As [`Sender::batch`].
    pub async fn finish(&mut self) -> Result<(), Error> {
        while !self.sent.is_empty() || !self.todo.is_empty() {
            self.send().await?;
            self.outcome().await?;
        }
        Ok(())
    }

    /// Sends what there is to send.
    async fn send(&mut self) -> Result<(), Error> {
        while let Some(work) = self.todo.front() {
            if self.stream.is_full() || self.sent.len() >= self.window {
                self.outcome().await?;
                continue;
            }
            let (id, text) = self.transaction(work);
            self.sent.extend(self.todo.pop_front());
            self.stream.send(id, text).await?;
        }
        Ok(())
    }

    fn transaction(&self, work: &Work) -> (TxId, String) {
        match work {
            Work::Whole(batch) => (self.file.id(self.database, batch.range.clone()), self.text_of(batch)),
            Work::Line(batch, place) => {
                let line = &batch.lines[*place];
                let text = format!("[{}]", &self.file.line(line.at)[..line.end]);
                (self.file.line_id(self.database, line.at), text)
            }
        }
    }

    fn text_of(&self, batch: &Batch) -> String {
        let mut text = String::from("[");
        for line in &batch.lines {
            text.push_str(&self.file.line(line.at)[..line.end]);
            text.push('\n');
        }
        text.push(']');
        text
    }

    /// Takes the outcome of the oldest under way.
    async fn outcome(&mut self) -> Result<(), Error> {
        let Some((_, outcome)) = self.stream.next().await? else { return Ok(()) };
        let Some(work) = self.sent.pop_front() else { return Ok(()) };
        match outcome {
            Outcome::Committed(report) => self.committed_now(&work, &report),
            Outcome::Refused(error) => self.refused_now(work, error).await?,
            // Taken where the refusal is.
            Outcome::NotApplied => return Err(Error::new(Code::Internal, "nothing was refused before this")),
        }
        Ok(())
    }

    fn committed_now(&mut self, work: &Work, report: &Report) {
        let lines = match work {
            Work::Whole(batch) => batch.lines.len(),
            Work::Line(..) => 1,
        };
        self.window = (self.window * 2).min(MAX_IN_FLIGHT);
        if report.replayed {
            self.tally.skipped += lines;
        } else {
            self.tally.lines += lines;
            self.tally.datoms += report.datom_count;
        }
    }

    /// A refused batch goes line by line, then everything behind it again.
    async fn refused_now(&mut self, work: Work, error: Error) -> Result<(), Error> {
        if !is_about_the_data(&error) {
            return Err(error);
        }
        self.window = 1;
        while let Some((_, outcome)) = self.stream.next().await? {
            debug_assert!(matches!(outcome, Outcome::NotApplied), "nothing behind a refusal is applied");
        }
        self.sent.drain(..).rev().for_each(|behind| self.todo.push_front(behind));
        match work {
            Work::Whole(batch) => {
                Work::lines_of(&batch).rev().for_each(|line| self.todo.push_front(line));
            }
            Work::Line(batch, place) => {
                let line = &batch.lines[place];
                // What was sent has a bracket before the line.
                let error = match error.span() {
                    Some(span) => error.moved_to(Span {
                        start: span.start.saturating_sub(1),
                        end: span.end.saturating_sub(1),
                    }),
                    None => error,
                };
                let (file, at) = (self.file, line.at);
                self.refused(at, &error, &file.line(at)[..line.end]);
            }
        }
        Ok(())
    }

    /// True when the database has any of the unique values that several lines of the batch name.
    async fn meets(&self, batch: &Batch) -> Result<bool, Error> {
        for (attribute, values) in batch.shared() {
            if values.iter().any(|value| !is_plain(value)) {
                return Ok(true);
            }
            let query = format!("[:find ?v . :in $ [?v ...] :where [_ {attribute} ?v]]");
            let values: Vec<String> = values.iter().map(ToString::to_string).collect();
            let args = [format!("[{}]", values.join(" "))];
            let mut found = self.client.query(self.database, &query, &args, &Read::default()).await?;
            if found.next().await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn committed(&self, id: TxId) -> Result<bool, Error> {
        Ok(self.client.transaction_status(self.database, id).await?.is_some())
    }

    /// Reports a line that is not imported, with file, line and reason.
    pub fn refused(&mut self, at: usize, error: &Error, text: &str) {
        self.tally.bad += 1;
        report(&self.file.path, at, error, text);
    }
}

/// Prints why line `at` (from 0) of `path` is not imported.
fn report(path: &Path, at: usize, error: &Error, text: &str) {
    eprintln!("{}:{}: {}", path.display(), at + 1, render(error, text));
}

/// True for refusals that another grouping of the lines, or none, may turn: the data is at fault, not the way there.
fn is_about_the_data(error: &Error) -> bool {
    let data = matches!(error.kind(), Kind::Incorrect | Kind::Conflict | Kind::Unsupported);
    let size = matches!(error.code(), Code::TransactionTooLarge | Code::MessageTooLarge);
    (data || size) && !matches!(error.code(), Code::DbName | Code::Config | Code::TransactionIdReused)
}

/// True for a value that a query can be given as it is: no nested entity, no lookup ref.
fn is_plain(value: &Edn) -> bool {
    !matches!(value.node, Node::Map(_) | Node::Vector(_) | Node::List(_) | Node::Set(_) | Node::Nil)
}
