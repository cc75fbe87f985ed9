//! Transactions in a stream: committed in the order sent, many under way at once, each applied once.
//!
//! A [`TransactStream`] holds what it has sent and not heard of. When its call breaks, it opens another, at the next
//! peer server if need be, and sends that again under the same ids: what was committed is answered as replayed. After a
//! refusal nothing that was sent behind it is applied; it is told so, transaction by transaction.

use std::collections::VecDeque;
use std::time::Duration;

use annals_edn::{Code, Error};
use annals_wire::v1::transact_service_client::TransactServiceClient;
use annals_wire::v1::transact_stream_request::Request as Message;
use annals_wire::{from_status, v1};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::Result;
use crate::client::{Client, DEFAULT_TIMEOUT, MESSAGE_BYTES};
use crate::pool::is_transient;
use crate::transact::{Report, TxId};

/// Transactions without an outcome: with so many a stream is full.
pub const MAX_IN_FLIGHT: usize = 1024;
/// Their bytes: with so many a stream is full.
pub const MAX_BYTES_IN_FLIGHT: usize = 8 << 20;
/// The pause before the first call that follows one without a single answer; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What reports hold and how long to be patient.
#[derive(Clone, Copy, Debug)]
pub struct StreamOptions {
    /// whether reports hold their datoms
    pub datoms: bool,
    /// the longest time without an outcome while something is under way
    pub timeout: Duration,
}

impl Default for StreamOptions {
    fn default() -> Self {
        StreamOptions { datoms: true, timeout: DEFAULT_TIMEOUT }
    }
}

/// What became of a transaction.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It is committed.
    Committed(Report),
    /// It is not applied, for this reason, and neither is anything sent behind it.
    Refused(Error),
    /// It was sent behind a refused one, and is not applied.
    NotApplied,
}

/// A stream of transactions to one database. Send while it is not full, take outcomes until there are none. Dropping it
/// leaves what has no outcome undecided.
pub struct TransactStream {
    client: Client,
    database: String,
    options: StreamOptions,
    /// Sent and without an outcome, oldest first.
    unanswered: VecDeque<Sent>,
    bytes: usize,
    call: Option<Call>,
    /// Calls that broke since the last answer.
    broken: u32,
    /// What is unanswered stands behind a refused transaction.
    cut: bool,
    deadline: Instant,
}

struct Sent {
    id: TxId,
    tx_data: String,
}

struct Call {
    requests: mpsc::Sender<v1::TransactStreamRequest>,
    responses: Streaming<v1::TransactStreamResponse>,
}

impl Client {
    /// A stream of transactions to `database`. Opens its first call with the first transaction.
    #[must_use]
    pub fn transact_stream(&self, database: &str, options: StreamOptions) -> TransactStream {
        TransactStream {
            client: self.clone(),
            database: database.to_string(),
            options,
            unanswered: VecDeque::new(),
            bytes: 0,
            call: None,
            broken: 0,
            cut: false,
            deadline: Instant::now(),
        }
    }
}

impl TransactStream {
    /// True when an outcome must be taken before more can be sent. One transaction always has room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.unanswered.len() >= MAX_IN_FLIGHT || self.bytes >= MAX_BYTES_IN_FLIGHT
    }

    /// Sends `tx_data` (EDN, one vector of forms) under `id`, behind everything sent before. Its outcome comes by
    /// [`TransactStream::next`].
    ///
    /// # Errors
    /// `OVERLOADED` when the stream is full. `UNREACHABLE`, or what refuses the stream as a whole, when a call is opened
    /// for it; the transaction is under way all the same, and `next` tries again.
    pub async fn send(&mut self, id: TxId, tx_data: impl Into<String>) -> Result<()> {
        if self.is_full() {
            return Err(Error::new(Code::Overloaded, "the stream is full").hint("take an outcome first"));
        }
        if self.unanswered.is_empty() {
            self.deadline = Instant::now() + self.options.timeout;
        }
        let sent = Sent { id, tx_data: tx_data.into() };
        self.bytes += sent.tx_data.len();
        if let Some(call) = &self.call {
            // There is room for all that may be unanswered; a call that has ended shows when its answers are read.
            let _ = call.requests.try_send(sent.message());
        }
        self.unanswered.push_back(sent);
        if self.call.is_none() && !self.cut {
            self.open().await?;
        }
        Ok(())
    }

    /// The outcome of the oldest transaction without one; `None` when there is none.
    ///
    /// # Errors
    /// `UNKNOWN_OUTCOME` when nothing was heard for the timeout; `UNREACHABLE` when nobody answers; what refuses the
    /// stream as a whole (no right, no such database). Transactions without an outcome stay under way.
    pub async fn next(&mut self) -> Result<Option<(TxId, Outcome)>> {
        loop {
            if self.unanswered.is_empty() {
                return Ok(None);
            }
            if self.cut {
                return Ok(self.answered().map(|id| (id, Outcome::NotApplied)));
            }
            let Some(call) = &mut self.call else {
                self.open().await?;
                continue;
            };
            let answer = tokio::time::timeout_at(self.deadline, call.responses.message()).await;
            match answer.map_err(|_| unheard(self.options.timeout))? {
                Ok(Some(response)) => return self.committed(response),
                Ok(None) => self.give_up_call().await,
                Err(status) if breaks_only_the_call(&status) => self.give_up_call().await,
                Err(status) => return Ok(self.refused(from_status(&status))),
            }
        }
    }

    fn committed(&mut self, response: v1::TransactStreamResponse) -> Result<Option<(TxId, Outcome)>> {
        let report = Report::from_wire(response.committed.unwrap_or_default())?;
        self.broken = 0;
        self.client.saw(&self.database, report.t);
        Ok(self.answered().map(|id| (id, Outcome::Committed(report))))
    }

    fn refused(&mut self, error: Error) -> Option<(TxId, Outcome)> {
        self.call = None;
        self.broken = 0;
        let id = self.answered()?;
        self.cut = !self.unanswered.is_empty();
        Some((id, Outcome::Refused(error)))
    }

    /// Takes the oldest off the books.
    fn answered(&mut self) -> Option<TxId> {
        let sent = self.unanswered.pop_front()?;
        self.bytes -= sent.tx_data.len();
        self.cut &= !self.unanswered.is_empty();
        self.deadline = Instant::now() + self.options.timeout;
        Some(sent.id)
    }

    async fn give_up_call(&mut self) {
        self.call = None;
        if self.broken > 0 {
            let pause = FIRST_PAUSE * 2u32.pow(self.broken.min(6) - 1);
            tokio::time::sleep(pause.min(LONGEST_PAUSE)).await;
        }
        self.broken += 1;
    }

    /// Opens a call and sends everything unanswered again.
    async fn open(&mut self) -> Result<()> {
        let client = self.client.clone();
        let mut attempts = client.shared.peers.attempts(self.deadline.into_std());
        loop {
            // One more than may be unanswered: the start.
            let (requests, outbound) = mpsc::channel(MAX_IN_FLIGHT + 1);
            let first = std::iter::once(self.start()).chain(self.unanswered.iter().map(Sent::message));
            // There is room for all of them, and the receiver is right here.
            first.for_each(|message| drop(requests.try_send(message)));
            let mut service =
                TransactServiceClient::new(attempts.channel()?).max_decoding_message_size(MESSAGE_BYTES);
            let opened = service.transact_stream(ReceiverStream::new(outbound));
            match tokio::time::timeout_at(self.deadline, opened).await {
                Ok(Ok(responses)) => {
                    attempts.succeeded();
                    self.call = Some(Call { requests, responses: responses.into_inner() });
                    return Ok(());
                }
                Ok(Err(status)) => attempts.failed(status).await?,
                Err(_) => return Err(unheard(self.options.timeout)),
            }
        }
    }

    fn start(&self) -> v1::TransactStreamRequest {
        let start = v1::TransactStreamStart {
            database: self.database.clone(),
            incarnation: Vec::new().into(),
            omit_datoms: !self.options.datoms,
        };
        v1::TransactStreamRequest { request: Some(Message::Start(start)) }
    }
}

impl Sent {
    fn message(&self) -> v1::TransactStreamRequest {
        let transaction =
            v1::StreamedTransaction { tx_id: self.id.0.to_vec().into(), tx_data: self.tx_data.clone() };
        v1::TransactStreamRequest { request: Some(Message::Transaction(transaction)) }
    }
}

/// True for ends that say nothing about the transactions without an answer.
fn breaks_only_the_call(status: &Status) -> bool {
    let code = from_status(status).code();
    is_transient(status) || matches!(code, Code::Unreachable | Code::DeadlineExceeded | Code::Overloaded)
}

fn unheard(timeout: Duration) -> Error {
    Error::new(Code::UnknownOutcome, format!("no transaction of the stream was answered for {timeout:?}"))
        .hint("send the same transactions again under the same ids to learn their outcome")
}
