//! Sends the batches of a file, in order, and falls back to single lines where it must.

use std::path::Path;
use std::time::Duration;

use annals_client::{Client, Edn, Kind, Read, TxId};
use annals_edn::render::render;
use annals_edn::{Code, Error, Node};

use super::file::ImportFile;
use super::plan::Batch;

/// How long one transaction may take, retries included.
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
    pub datoms: usize,
}

/// Importing one file into one database.
pub struct Sender<'a> {
    client: &'a Client,
    database: &'a str,
    file: &'a ImportFile,
    tally: Tally,
}

impl<'a> Sender<'a> {
    pub fn new(client: &'a Client, database: &'a str, file: &'a ImportFile) -> Sender<'a> {
        Sender { client, database, file, tally: Tally::default() }
    }

    /// What has been done so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Commits one batch: whole if that is the same as line by line and the writer accepts it, else line by line.
    ///
    /// # Errors
    /// Only what stops the import: nobody answers, no right, no such database. Refused lines are reported and counted.
    pub async fn batch(&mut self, batch: &Batch) -> Result<(), Error> {
        let Some(first) = batch.lines.first() else { return Ok(()) };
        let id = self.file.id(self.database, batch.range.clone());
        if self.committed(self.file.line_id(self.database, first.at)).await? {
            return self.lines(batch).await;
        }
        if batch.may_differ() && self.meets(batch).await? {
            // What it meets may be its own work of an earlier run.
            if self.committed(id).await? {
                self.tally.skipped += batch.lines.len();
                return Ok(());
            }
            return self.lines(batch).await;
        }
        let text = self.text_of(batch);
        match self.client.transact_as(self.database, &text, id, TIMEOUT).await {
            Ok(report) => {
                self.count(report.replayed, batch.lines.len(), report.datoms.len());
                Ok(())
            }
            Err(error) if is_about_the_data(&error) => self.lines(batch).await,
            Err(error) => Err(error),
        }
    }

    async fn lines(&mut self, batch: &Batch) -> Result<(), Error> {
        for line in &batch.lines {
            let text = format!("[{}]", &self.file.line(line.at)[..line.end]);
            let id = self.file.line_id(self.database, line.at);
            match self.client.transact_as(self.database, &text, id, TIMEOUT).await {
                Ok(report) => self.count(report.replayed, 1, report.datoms.len()),
                Err(error) if is_about_the_data(&error) => self.refused(line.at, &error, &text),
                Err(error) => return Err(error),
            }
        }
        Ok(())
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

    fn count(&mut self, replayed: bool, lines: usize, datoms: usize) {
        if replayed {
            self.tally.skipped += lines;
        } else {
            self.tally.lines += lines;
            self.tally.datoms += datoms;
        }
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
