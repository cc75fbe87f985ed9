//! What happens to a batch before it is sent: its lines are parsed, on a thread of their own, and the database is asked
//! whether an earlier run was sending it line by line. Some batches ahead of the sending, so that neither waits.

use std::collections::HashSet;
use std::sync::Arc;

use annals_client::Client;
use annals_edn::{Code, Error, Keyword};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::file::ImportFile;
use super::plan::{Batch, Batcher, Line};

/// Batches parsed and not taken up yet.
const PARSED: usize = 4;
/// Batches asked about and not sent yet.
const ASKED: usize = 16;

/// What a file holds, in order.
pub enum Part {
    /// lines to send together
    Batch(Batch),
    /// a line that cannot be sent
    Bad { at: usize, error: Error },
}

/// A part that is ready to be sent.
pub enum Ready {
    /// lines to send together, and whether an earlier run had begun to send them one by one
    Batch { batch: Batch, begun: Begun },
    /// a line that cannot be sent
    Bad { at: usize, error: Error },
}

/// The answer to whether the first line of a batch is committed by itself.
pub struct Begun(JoinHandle<Result<bool, Error>>);

impl Begun {
    /// Waits for it.
    ///
    /// # Errors
    /// Nobody answers.
    pub async fn wait(self) -> Result<bool, Error> {
        let stopped = |error| Error::new(Code::Internal, format!("the question was not asked: {error}"));
        self.0.await.map_err(stopped)?
    }
}

/// The parts of `file`, prepared while they are taken. Ends with the file, or when the receiver is dropped.
pub fn start(
    client: &Client,
    database: &str,
    file: &Arc<ImportFile>,
    unique: HashSet<Keyword>,
    size: usize,
) -> mpsc::Receiver<Ready> {
    let (parsed, mut parts) = mpsc::channel(PARSED);
    let lines = Arc::clone(file);
    tokio::task::spawn_blocking(move || {
        parse(&lines, &unique, size, |part| parsed.blocking_send(part).is_ok());
    });
    let (ready, readies) = mpsc::channel(ASKED);
    let (client, database, file) = (client.clone(), database.to_string(), Arc::clone(file));
    tokio::spawn(async move {
        while let Some(part) = parts.recv().await {
            let part = match part {
                Part::Bad { at, error } => Ready::Bad { at, error },
                Part::Batch(batch) => {
                    let (client, database) = (client.clone(), database.clone());
                    let id = file.line_id(&database, batch.range.start);
                    let ask = async move { Ok(client.transaction_status(&database, id).await?.is_some()) };
                    Ready::Batch { batch, begun: Begun(tokio::spawn(ask)) }
                }
            };
            if ready.send(part).await.is_err() {
                break;
            }
        }
    });
    readies
}

/// Parses line by line and hands over what is whole, until `out` wants no more.
fn parse(file: &ImportFile, unique: &HashSet<Keyword>, size: usize, mut out: impl FnMut(Part) -> bool) {
    let mut batcher = Batcher::new(size);
    for at in 0..file.len() {
        let goes_on = match Line::read(at, file.line(at), unique) {
            Ok(line) => {
                line.into_iter().flat_map(|line| batcher.take(line)).all(|batch| out(Part::Batch(batch)))
            }
            Err(error) => out(Part::Bad { at, error }),
        };
        if !goes_on {
            return;
        }
    }
    if let Some(rest) = batcher.close() {
        out(Part::Batch(rest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_in_the_order_of_the_file() {
        let folder = std::env::temp_dir().join(format!("annals-prepare-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("a.edn");
        std::fs::write(&path, "{:a 1}\n{:a\n{:a 2}\n{:a 3}\n").unwrap();
        let mut parts = Vec::new();
        parse(&ImportFile::read(&path).unwrap(), &HashSet::new(), 2, |part| {
            parts.push(match part {
                Part::Batch(batch) => (batch.range.start, batch.lines.len()),
                Part::Bad { at, .. } => (at, 0),
            });
            true
        });
        assert_eq!(parts, [(1, 0), (0, 2), (3, 1)]);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
