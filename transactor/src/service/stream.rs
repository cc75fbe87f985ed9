//! One stream of transactions: read while there is room, handed to the writer in order, answered in order.
//!
//! It runs as its call's response: what is not asked for is not computed, and a client that does not read its answers
//! stops being read itself. It ends with the first refusal, when the client has sent all and heard all, or when the
//! process drains and what was under way is answered.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use annals_edn::{Code, Error};
use annals_wire::v1::transact_stream_request::Request as Message;
use annals_wire::{from_status, to_status, v1};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use super::incarnation_of;
use super::transact::tx_id_of;
use crate::committed::Slot;
use crate::engine::{Engine, Request};
use crate::group::Group;
use crate::intake::{Answer, Chain, Phase, Submitted, unknown_outcome};
use crate::raft::not_leader;

/// Transactions without an answer.
const MAX_IN_FLIGHT: usize = 1024;
/// Their bytes: beyond it nothing is read.
const MAX_BYTES_IN_FLIGHT: usize = 16 << 20;
/// For the first message.
const GREETING: Duration = Duration::from_secs(10);
/// Between attempts to hand in what the writer has no room for.
const RETRY: Duration = Duration::from_millis(20);

/// The answers of a stream.
pub(super) type Responses = BoxStream<'static, Result<v1::TransactStreamResponse, Status>>;

/// Takes up a stream, if this member writes.
pub(super) async fn start<E: Engine>(
    group: Group<E>,
    draining: CancellationToken,
    mut requests: Streaming<v1::TransactStreamRequest>,
) -> Result<Responses, Status> {
    let greeting = tokio::time::timeout(GREETING, requests.message()).await;
    let first = greeting.map_err(|_| Status::deadline_exceeded("the stream did not open in time"))??;
    let session = match first.and_then(|request| request.request) {
        Some(Message::Start(start)) => Session::open(group, draining, requests, &start),
        _ => Err(Error::new(Code::InvalidArgument, "a stream of transactions opens with a start")),
    };
    let session = session.map_err(|error| to_status(&error))?;
    let next = |mut session: Session<E>| async move { session.next().await.map(|answer| (answer, session)) };
    Ok(futures_util::stream::unfold(session, next).boxed())
}

struct Session<E: Engine> {
    group: Group<E>,
    slot: Arc<Slot<E>>,
    omit_datoms: bool,
    draining: CancellationToken,
    requests: Streaming<v1::TransactStreamRequest>,
    chain: Chain,
    /// Handed in and not answered, oldest first.
    waiting: VecDeque<Waiting>,
    bytes: usize,
    /// Read, and refused for want of room: to be handed in again.
    held: Option<Request>,
    /// The youngest waiting is another call's: nothing may be handed in behind it.
    joined: bool,
    /// More may come from the client.
    reads: bool,
}

struct Waiting {
    answer: oneshot::Receiver<Answer>,
    size: usize,
}

enum Event {
    Answered(Answer),
    Read(Result<Option<v1::TransactStreamRequest>, Status>),
    Retry,
    Draining,
}

impl<E: Engine> Session<E> {
    fn open(
        group: Group<E>,
        draining: CancellationToken,
        requests: Streaming<v1::TransactStreamRequest>,
        start: &v1::TransactStreamStart,
    ) -> Result<Self, Error> {
        group.sound()?;
        if let Phase::Following { leader } = *group.parts().intake.phase().borrow() {
            return Err(not_leader(leader));
        }
        let slot = group.database(&start.database, incarnation_of(&start.incarnation)?)?;
        Ok(Self {
            group,
            slot,
            omit_datoms: start.omit_datoms,
            draining,
            requests,
            chain: Chain::default(),
            waiting: VecDeque::new(),
            bytes: 0,
            held: None,
            joined: false,
            reads: true,
        })
    }

    /// The next answer; `None` behind the last.
    async fn next(&mut self) -> Option<Result<v1::TransactStreamResponse, Status>> {
        while self.reads || self.held.is_some() || !self.waiting.is_empty() {
            match self.event().await {
                Event::Answered(answer) => return Some(self.report(answer)),
                Event::Read(read) => self.take(read),
                Event::Retry => self.hand_in_held(),
                Event::Draining => self.reads = false,
            }
        }
        None
    }

    async fn event(&mut self) -> Event {
        let (has_room, holds, reads) = (self.has_room(), self.held.is_some(), self.reads);
        let Self { group, waiting, requests, draining, .. } = self;
        tokio::select! {
            biased;
            answer = oldest(waiting) => Event::Answered(answer),
            read = read(group, requests), if has_room => Event::Read(read),
            () = tokio::time::sleep(RETRY), if holds => Event::Retry,
            () = draining.cancelled(), if reads => Event::Draining,
        }
    }

    fn has_room(&self) -> bool {
        let room = self.waiting.len() < MAX_IN_FLIGHT && self.bytes < MAX_BYTES_IN_FLIGHT;
        room && self.reads && self.held.is_none() && !self.joined && !self.chain.is_ended()
    }

    fn take(&mut self, read: Result<Option<v1::TransactStreamRequest>, Status>) {
        let message = match read {
            Ok(Some(message)) => message.request,
            Ok(None) => return self.reads = false,
            // Too large, or not what it should be; or the client is gone, and nobody hears.
            Err(status) => return self.refuse(from_status(&status)),
        };
        let request = match message {
            Some(Message::Transaction(transaction)) => request_of(transaction),
            _ => Err(Error::new(Code::InvalidArgument, "behind its start a stream holds transactions only")),
        };
        match request {
            Ok(request) => self.hand_in(request),
            Err(error) => self.refuse(error),
        }
    }

    fn hand_in(&mut self, request: Request) {
        let size = request.tx_data.len();
        let intake = &self.group.parts().intake;
        let answer = match intake.submit_in(&self.chain, self.slot.incarnation, request.clone()) {
            Ok(Submitted::Queued(answer)) => answer,
            Ok(Submitted::Joined(answer)) => {
                self.joined = true;
                answer
            }
            Err(error) if error.code() == Code::Overloaded => return self.held = Some(request),
            Err(error) => return self.refuse(error),
        };
        self.bytes += size;
        self.waiting.push_back(Waiting { answer, size });
    }

    fn hand_in_held(&mut self) {
        if let Some(request) = self.held.take() {
            self.hand_in(request);
        }
    }

    /// Answers the request just read, in its turn, and reads no more.
    fn refuse(&mut self, error: Error) {
        let (sender, answer) = oneshot::channel();
        // The receiver is right here.
        let _ = sender.send(Err(error));
        self.waiting.push_back(Waiting { answer, size: 0 });
        self.reads = false;
    }

    /// Tells the oldest waiting's answer. Anything but a commit is the last thing told.
    fn report(&mut self, answer: Answer) -> Result<v1::TransactStreamResponse, Status> {
        if let Some(answered) = self.waiting.pop_front() {
            self.bytes -= answered.size;
            self.joined &= !self.waiting.is_empty();
        }
        let engine = &self.group.parts().engine;
        let report = answer.and_then(|receipt| {
            let report = engine.report(&self.slot.tip().value, &receipt, !self.omit_datoms)?;
            Ok(v1::TransactResponse { report: Some(report), replayed: receipt.replayed })
        });
        match report {
            Ok(committed) => Ok(v1::TransactStreamResponse { committed: Some(committed) }),
            Err(error) => {
                self.waiting.clear();
                self.held = None;
                self.reads = false;
                Err(to_status(&error))
            }
        }
    }
}

/// The answer of the oldest; never where nothing waits.
async fn oldest(waiting: &mut VecDeque<Waiting>) -> Answer {
    match waiting.front_mut() {
        Some(oldest) => (&mut oldest.answer).await.unwrap_or_else(|_| Err(unknown_outcome())),
        None => std::future::pending().await,
    }
}

/// The next request, no faster than the index lets writers go.
async fn read<E: Engine>(
    group: &Group<E>,
    requests: &mut Streaming<v1::TransactStreamRequest>,
) -> Result<Option<v1::TransactStreamRequest>, Status> {
    if let Some(pause) = group.parts().intake.pause() {
        tokio::time::sleep(pause).await;
    }
    requests.message().await
}

fn request_of(transaction: v1::StreamedTransaction) -> Result<Request, Error> {
    Ok(Request::new(tx_id_of(&transaction.tx_id)?, Bytes::from(transaction.tx_data)))
}
