//! The writer: turns requests into entries of the log while this member leads.
//!
//! Requests are evaluated on *speculative* values, ahead of the log, and nothing speculative leaves: a success is told
//! when its entry is applied, a refusal when the value it was judged on is committed. Whatever makes speculation doubtful
//! (a proposal that was not appended, an unknown fate, a lost lead) closes the epoch: speculation is dropped, what was
//! not appended is evaluated anew, and a new epoch is opened behind everything that may still be in the log.
//!
//! ```text
//! submit -> actor's inbox -> evaluator thread -> section -> submitter -> entry -> settler -> answer
//! ```
//!
//! A database is an actor: one evaluator at a time, 64 transactions or a millisecond a turn. All queues are bounded.
//! It stops with [`Intake::stop`]; requests that have no answer by then get none but `UNKNOWN_OUTCOME`.

mod actor;
mod chain;
mod gate;
mod opener;
mod pending;
mod settle;
mod submit;
mod turn;
mod workers;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use annals_db::Incarnation;
use annals_edn::{Code, Error};
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::committed::Committed;
use crate::engine::{Engine, Request};
use crate::machine::Lineage;
use crate::raft::RaftHandle;

use actor::Actor;
use gate::Gate;
use workers::Workers;

pub use chain::Chain;
pub use gate::{Epoch, Phase};
pub(crate) use settle::unknown_outcome;

/// The longest request text, in bytes. What it expands to has limits of its own.
pub const MAX_REQUEST_BYTES: usize = 8 << 20;
/// Requests waiting for evaluation, in bytes over all databases; beyond it new ones are refused as busy.
pub const MAX_QUEUED_BYTES: usize = 64 << 20;
/// The longest a writer is held back for the index's sake.
const MAX_PAUSE: Duration = Duration::from_millis(200);
/// Sections evaluated but not yet in an entry.
const SECTION_QUEUE: usize = 64;

/// A committed transaction, as its client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The database.
    pub incarnation: Incarnation,
    /// Its number.
    pub t: u64,
    /// The encoded `TxBody`: instant, tempids and datoms.
    pub body: Bytes,
    /// The chain after it; unknown where an old transaction is told again.
    pub lineage: Option<Lineage>,
    /// An earlier call had committed it.
    pub replayed: bool,
}

/// What a request comes to.
pub type Answer = Result<Receipt, Error>;

/// A request of a stream, handed in.
#[derive(Debug)]
pub enum Submitted {
    /// In line behind what its stream handed in before.
    Queued(oneshot::Receiver<Answer>),
    /// Under way already by another call, whose answer it shares. It stands in that call's place in line: a stream
    /// hands in nothing more before the answer is there.
    Joined(oneshot::Receiver<Answer>),
}

/// The writer of one member. Clones share it.
pub struct Intake<E: Engine> {
    shared: Arc<Shared<E>>,
}

impl<E: Engine> Clone for Intake<E> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

pub(crate) struct Shared<E: Engine> {
    engine: Arc<E>,
    committed: Arc<Committed<E>>,
    gate: Gate,
    actors: Mutex<HashMap<Incarnation, Arc<Actor<E>>>>,
    workers: Workers<E>,
    queued_bytes: AtomicUsize,
    /// Novelty beyond it is not added to; none where nothing turns novelty into segments.
    max_novelty_bytes: Option<u64>,
}

impl<E: Engine> Intake<E> {
    /// Starts evaluators, submitter, settler and the task that opens epochs. Call on the runtime that shall run that.
    #[must_use]
    pub fn start(
        engine: Arc<E>,
        committed: Arc<Committed<E>>,
        raft: RaftHandle,
        evaluators: usize,
        max_novelty_bytes: Option<u64>,
    ) -> Self {
        let (sections, sections_rx) = mpsc::channel(SECTION_QUEUE);
        let shared = Arc::new(Shared {
            engine,
            committed,
            gate: Gate::new(),
            actors: Mutex::default(),
            workers: Workers::new(sections),
            queued_bytes: AtomicUsize::new(0),
            max_novelty_bytes,
        });
        workers::spawn(&shared, evaluators);
        // On Raft's own threads: the way from the evaluator to the log and back takes no further hop.
        let settlements = settle::spawn(Arc::clone(&shared), &raft);
        submit::spawn(Arc::clone(&shared), &raft, sections_rx, settlements);
        opener::spawn(Arc::clone(&shared), raft);
        Self { shared }
    }

    /// Queues a request for `incarnation`; the receiver resolves to its answer. A resend of a request that is under way
    /// waits for the same answer.
    ///
    /// # Errors
    /// `DB_NOT_FOUND`, `TX_ID_REUSED`, `TX_TOO_LARGE`, `OVERLOADED`; nothing was queued then.
    pub fn submit(
        &self,
        incarnation: Incarnation,
        request: Request,
    ) -> Result<oneshot::Receiver<Answer>, Error> {
        self.enter(incarnation, request, None).map(|(answer, _)| answer)
    }

    /// The same as the next request of a stream: it is evaluated behind those that the stream handed in before, and not
    /// at all once one of them is answered otherwise than by a commit. One caller a chain, one database a chain.
    ///
    /// # Errors
    /// As [`Intake::submit`].
    pub fn submit_in(
        &self,
        chain: &Chain,
        incarnation: Incarnation,
        request: Request,
    ) -> Result<Submitted, Error> {
        let (answer, new) = self.enter(incarnation, request, Some(chain.clone()))?;
        Ok(if new { Submitted::Queued(answer) } else { Submitted::Joined(answer) })
    }

    /// The receiver of the answer, and whether the request is new.
    fn enter(
        &self,
        incarnation: Incarnation,
        request: Request,
        chain: Option<Chain>,
    ) -> Result<(oneshot::Receiver<Answer>, bool), Error> {
        let size = request.tx_data.len();
        if size > MAX_REQUEST_BYTES {
            let message = format!("transaction of {size} bytes is over the limit of {MAX_REQUEST_BYTES}");
            return Err(
                Error::new(Code::TransactionTooLarge, message).hint("send it as several transactions")
            );
        }
        // Counted before it can be evaluated, so that the count never falls below what waits.
        let waiting = Counted::new(&self.shared.queued_bytes, size)?;
        if self.shared.max_novelty_bytes.is_some_and(|max| self.shared.committed.novelty_bytes() > max) {
            let error = Error::new(Code::Overloaded, "the index is behind; transactions wait for it");
            return Err(error.hint("try again in a moment").with("retry-after-ms", 200));
        }
        let actor = self.shared.actor(incarnation)?;
        let (waiter, answer) = oneshot::channel();
        let new = actor.enter(request, chain, waiter)?;
        if new {
            waiting.keep();
            self.shared.workers.schedule(&actor);
        }
        Ok((answer, new))
    }

    /// How long a caller should hold back before its next request: nothing up to a quarter of the most novelty there
    /// may be, then growing, so that writers slow down before they are refused.
    #[must_use]
    pub fn pause(&self) -> Option<Duration> {
        let max = self.shared.max_novelty_bytes?;
        let over = self.shared.committed.novelty_bytes().checked_sub(max / 4)?;
        let share = over as f64 / (max - max / 4).max(1) as f64;
        Some(MAX_PAUSE.mul_f64(share.min(1.0).powi(2)))
    }

    /// Whether this member writes now, and if not, who does.
    #[must_use]
    pub fn phase(&self) -> tokio::sync::watch::Receiver<Phase> {
        self.shared.gate.watch()
    }

    /// Stops the evaluators. Tasks end when the Raft host has stopped.
    pub fn stop(&self) {
        self.shared.workers.stop();
        self.shared.gate.follow(None);
    }
}

impl<E: Engine> Shared<E> {
    fn actor(&self, incarnation: Incarnation) -> Result<Arc<Actor<E>>, Error> {
        let slot = self.committed.get(incarnation).ok_or_else(|| db_not_found(None))?;
        let mut actors = self.actors.lock().expect("no holder of the actors panics");
        Ok(Arc::clone(actors.entry(incarnation).or_insert_with(|| Arc::new(Actor::new(slot)))))
    }

    /// Lets every actor look at the phase again.
    fn wake_all(&self) {
        let actors: Vec<_> =
            self.actors.lock().expect("no holder of the actors panics").values().cloned().collect();
        actors.iter().for_each(|actor| self.workers.schedule(actor));
    }
}

/// Bytes counted as waiting; taken off again unless kept.
struct Counted<'a> {
    total: &'a AtomicUsize,
    size: usize,
}

impl<'a> Counted<'a> {
    fn new(total: &'a AtomicUsize, size: usize) -> Result<Self, Error> {
        let this = Self { total, size };
        if total.fetch_add(size, Ordering::Relaxed) + size > MAX_QUEUED_BYTES {
            return Err(
                Error::new(Code::Overloaded, "too many transactions are waiting").with("retry-after-ms", 100)
            );
        }
        Ok(this)
    }

    fn keep(mut self) {
        self.size = 0;
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.total.fetch_sub(self.size, Ordering::Relaxed);
    }
}

pub(crate) fn db_not_found(name: Option<&str>) -> Error {
    let message = match name {
        Some(name) => format!("there is no database {name}"),
        None => "the database is gone".to_owned(),
    };
    Error::new(Code::DbNotFound, message)
}

#[cfg(test)]
mod tests;
