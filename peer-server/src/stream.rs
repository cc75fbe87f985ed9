//! From a producer to a client: a worker thread, a queue of one chunk, and the client's own pace.
//!
//! The worker runs until the client has taken what is queued; HTTP/2 flow control and the queue of one bound what a
//! slow client makes the server hold. A result that fits the first chunk is answered in one piece, without a queue.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use annals_edn::{Code, Error};
use annals_wire::{to_status, v1};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::Status;

use crate::Result;
use crate::cursor::token::Lead;
use crate::cursor::{Producer, Sink};

/// The target size of a chunk when the client names none.
pub const CHUNK_BYTES: usize = 256 << 10;
/// The most a client may ask for.
pub const CHUNK_BYTES_MAX: usize = 1 << 20;
/// A client that takes nothing for this long is cut off; it can resume.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest lead value of a token; where it is longer, rows are counted from an earlier one.
const LEAD_BYTES: usize = 128;
/// Marks are at least so many rows apart: a run that begins at one makes hardly more rows again.
const MARK_ROWS: u64 = 256;
/// What a worker is given to say that its time has passed.
const GRACE: Duration = Duration::from_millis(100);
/// Chunks that wait for the client.
const QUEUED: usize = 1;

/// Part of a result's stream.
#[derive(Clone, Debug)]
pub enum Event {
    /// first
    Header(v1::ResultHeader),
    /// rows
    Chunk(v1::Chunk),
    /// last
    Trailer(v1::ResultTrailer),
}

/// A result's stream.
pub type Events = Pin<Box<dyn Stream<Item = Result<Event, Status>> + Send>>;

/// Set when nobody wants the result any more: dropped by the client, or out of time.
#[derive(Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// The flag that the query engine looks at.
    #[must_use]
    pub fn flag(&self) -> &AtomicBool {
        &self.0
    }

    /// True when it is set.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Stops whoever looks.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Cancels when dropped: held by the stream, which goes when the client does.
struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Makes the token behind so many rows, given where a run can begin.
pub type Tokens = Box<dyn Fn(u64, Option<Lead>) -> Vec<u8> + Send>;

/// How a result is to be delivered.
pub struct Delivery {
    /// target size of a chunk
    pub chunk_bytes: usize,
    /// when to give up
    pub deadline: Instant,
    /// rows left out because an earlier stream delivered them
    pub rows_before: u64,
    /// where the run began, if not at the first row
    pub lead: Option<Lead>,
    /// the token behind so many rows
    pub token: Tokens,
}

/// Worker threads, so many at once.
#[derive(Clone)]
pub struct Workers {
    permits: Arc<Semaphore>,
}

impl Workers {
    /// At most `limit` results at once.
    #[must_use]
    pub fn new(limit: usize) -> Workers {
        Workers { permits: Arc::new(Semaphore::new(limit)) }
    }

    /// Runs `start` on a worker and streams what it produces. Answers once the first chunk is there, or everything is.
    ///
    /// # Errors
    /// What the producer fails with before its first chunk; `OVERLOADED` when no worker is free in time.
    pub async fn run<S>(&self, cancel: Cancel, delivery: Delivery, start: S) -> Result<Events, Status>
    where
        S: FnOnce() -> Result<Box<dyn Producer>> + Send + 'static,
    {
        let guard = CancelOnDrop(cancel.clone());
        let permit = self.permit(delivery.deadline).await.map_err(|error| to_status(&error))?;
        let (first, ready) = oneshot::channel();
        let deadline = delivery.deadline;
        tokio::task::spawn_blocking(move || work(start, delivery, &cancel, first, permit));
        let left = patience(deadline);
        let first = tokio::time::timeout(left, ready).await.map_err(|_| to_status(&out_of_time()))?;
        let first = first
            .map_err(|_| to_status(&Error::new(Code::Internal, "the worker ended without an answer")))?;
        let First { events, rest } = first.map_err(|error| to_status(&error))?;
        let head = tokio_stream::iter(events.into_iter().map(Ok));
        Ok(match rest {
            None => Box::pin(head),
            Some(rest) => Box::pin(head.chain(ReceiverStream::new(rest)).map(move |event| {
                let _held = &guard;
                event
            })),
        })
    }

    /// Runs `work` on a worker and answers what it does. `cancel` is set when nobody waits for it any more.
    ///
    /// # Errors
    /// Those of `work`; `OVERLOADED` when no worker is free in time, `DEADLINE_EXCEEDED`.
    pub async fn call<R, W>(&self, cancel: Cancel, deadline: Instant, work: W) -> Result<R>
    where
        R: Send + 'static,
        W: FnOnce() -> Result<R> + Send + 'static,
    {
        let _guard = CancelOnDrop(cancel);
        let permit = self.permit(deadline).await?;
        let run = tokio::task::spawn_blocking(move || {
            let _held = permit;
            work()
        });
        tokio::time::timeout(patience(deadline), run)
            .await
            .map_err(|_| out_of_time())?
            .map_err(|_| Error::new(Code::Internal, "the worker ended without an answer"))?
    }

    async fn permit(&self, deadline: Instant) -> Result<OwnedSemaphorePermit> {
        let left = deadline.saturating_duration_since(Instant::now());
        match tokio::time::timeout(left, self.permits.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(Error::new(Code::Overloaded, "every worker is busy").hint("retry after a pause")),
        }
    }
}

/// What a worker says first: the events so far, and where more come from.
struct First {
    events: Vec<Event>,
    rest: Option<mpsc::Receiver<Result<Event, Status>>>,
}

/// How long to wait for a worker: a little longer than it has, as it can say what it was at when time ran out.
fn patience(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now()) + GRACE
}

fn out_of_time() -> Error {
    Error::new(Code::DeadlineExceeded, "the time for this result has passed")
}

/// The worker: produces until the end, the client's disappearance or the deadline.
fn work<S>(
    start: S,
    delivery: Delivery,
    cancel: &Cancel,
    first: oneshot::Sender<Result<First>>,
    permit: OwnedSemaphorePermit,
) where
    S: FnOnce() -> Result<Box<dyn Producer>>,
{
    let _held = permit;
    let begun = Instant::now();
    let mut producer = match start() {
        Ok(producer) => producer,
        Err(error) => {
            let _ = first.send(Err(error));
            return;
        }
    };
    let header = producer.header();
    let basis_t = header.basis_t;
    let way = Way::Opening(first, vec![Event::Header(header)]);
    let passed = delivery.lead.clone().map(|lead| Mark { rows: delivery.rows_before, lead });
    let mut outlet = Outlet { delivery, cancel, rows: 0, passed, ahead: VecDeque::new(), way };
    let ended = producer.run(&mut outlet).map(|stats| v1::ResultTrailer {
        row_count: outlet.delivery.rows_before + outlet.rows,
        elapsed_us: begun.elapsed().as_micros() as u64,
        basis_t,
        stats,
    });
    outlet.end(ended);
}

/// The client's end as a worker sees it.
struct Outlet<'a> {
    delivery: Delivery,
    cancel: &'a Cancel,
    rows: u64,
    /// the last mark that the rows sent have reached
    passed: Option<Mark>,
    ahead: VecDeque<Mark>,
    way: Way,
}

/// A place behind so many rows of the result, and how a run can begin there.
struct Mark {
    rows: u64,
    lead: Lead,
}

impl Mark {
    /// The lead of the place behind `rows` rows, which is not before this one.
    fn behind(&self, rows: u64) -> Lead {
        Lead { value: self.lead.value.clone(), rows: self.lead.rows + rows - self.rows }
    }
}

/// How events reach the client: gathered for the first answer, or queued behind it.
enum Way {
    Opening(oneshot::Sender<Result<First>>, Vec<Event>),
    Queue(mpsc::Sender<Result<Event, Status>>),
    Gone,
}

impl Sink for Outlet<'_> {
    fn chunk_bytes(&self) -> usize {
        self.delivery.chunk_bytes
    }

    fn take(&mut self, mut chunk: v1::Chunk, more: bool) -> Result<bool> {
        if Instant::now() >= self.delivery.deadline {
            return Err(out_of_time());
        }
        self.rows += u64::from(chunk.row_count);
        chunk.rows_sent = self.delivery.rows_before + self.rows;
        while let Some(mark) = self.ahead.pop_front_if(|mark| mark.rows <= chunk.rows_sent) {
            self.passed = Some(mark);
        }
        let lead = self.passed.as_ref().map(|mark| mark.behind(chunk.rows_sent));
        chunk.resume_token = (self.delivery.token)(chunk.rows_sent, lead).into();
        match &mut self.way {
            Way::Opening(_, events) => {
                events.push(Event::Chunk(chunk));
                if more {
                    self.open_queue();
                }
            }
            Way::Queue(sender) => send(sender, Ok(Event::Chunk(chunk)))?,
            Way::Gone => {}
        }
        Ok(!matches!(self.way, Way::Gone) && !self.cancel.is_set())
    }

    fn mark(&mut self, ahead: u64, lead: Lead) {
        let rows = self.delivery.rows_before + self.rows + ahead;
        let is_far = self.ahead.back().is_none_or(|last| last.rows + MARK_ROWS <= rows);
        if is_far && lead.value.len() <= LEAD_BYTES {
            self.ahead.push_back(Mark { rows, lead });
        }
    }
}

impl Outlet<'_> {
    /// Answers with what is there and goes on behind it.
    fn open_queue(&mut self) {
        if let Way::Opening(first, events) = std::mem::replace(&mut self.way, Way::Gone) {
            let (sender, rest) = mpsc::channel(QUEUED);
            if first.send(Ok(First { events, rest: Some(rest) })).is_ok() {
                self.way = Way::Queue(sender);
            }
        }
    }

    fn end(self, ended: Result<v1::ResultTrailer>) {
        match (self.way, ended) {
            (Way::Opening(first, mut events), Ok(trailer)) => {
                events.push(Event::Trailer(trailer));
                let _ = first.send(Ok(First { events, rest: None }));
            }
            (Way::Opening(first, _), Err(error)) => {
                let _ = first.send(Err(error));
            }
            (Way::Queue(sender), ended) => {
                let event = ended.map(Event::Trailer).map_err(|error| to_status(&error));
                let _ = send(&sender, event);
            }
            (Way::Gone, _) => {}
        }
    }
}

/// Queues an event at the client's pace.
fn send(sender: &mpsc::Sender<Result<Event, Status>>, event: Result<Event, Status>) -> Result<()> {
    let waited = tokio::runtime::Handle::current()
        .block_on(async { tokio::time::timeout(STALL_TIMEOUT, sender.reserve()).await });
    match waited {
        Ok(Ok(slot)) => {
            slot.send(event);
            Ok(())
        }
        Ok(Err(_)) => Err(Error::new(Code::Cancelled, "the client is gone")),
        Err(_) => {
            Err(Error::new(Code::StreamStalled, format!("the client took nothing for {STALL_TIMEOUT:?}")))
        }
    }
}
