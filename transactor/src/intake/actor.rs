//! One database's writer: what waits, what it is evaluated on, what is under way.
//!
//! The inbox is written by callers and by the settler, for a moment each; everything else belongs to the evaluator whose
//! turn it is.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use annals_edn::Error;
use tokio::sync::oneshot;

use super::Answer;
use super::chain::Chain;
use super::gate::Epoch;
use super::pending::Pending;
use crate::committed::Slot;
use crate::engine::{Engine, Request};
use crate::machine::Lineage;

/// A request in its place in line.
pub(super) struct Work {
    /// Order of arrival; work that comes back goes to where it was.
    pub(super) order: u64,
    pub(super) request: Request,
    /// Its bytes count as waiting. Only on first arrival: what comes back was admitted already.
    pub(super) counted: bool,
    /// The stream whose order it keeps.
    pub(super) chain: Option<Chain>,
}

/// What the settler tells the actor of a section.
pub(super) enum Settled {
    /// Committed; all of it is answered.
    Committed,
    /// Nothing of it happened: to be evaluated again, on what is committed when all sections are settled.
    Void(Vec<Work>),
    /// Answered otherwise (unknown, database gone).
    Answered,
}

#[derive(Default)]
pub(super) struct Inbox {
    arrivals: VecDeque<Work>,
    pub(super) settled: VecDeque<Settled>,
    next_order: u64,
}

/// The value that the next request is evaluated on.
pub(super) struct Speculation<V> {
    pub(super) epoch: Epoch,
    /// The slot's line when it began; an older one is given up as soon as nothing is in flight.
    pub(super) line: u64,
    pub(super) value: V,
    pub(super) t: u64,
    pub(super) lineage: Lineage,
}

/// A refusal that waits for the value it was judged on.
pub(super) struct Gated {
    pub(super) basis: u64,
    pub(super) work: Work,
    pub(super) error: Error,
}

/// What only the evaluator touches.
pub(super) struct Desk<E: Engine> {
    pub(super) queue: VecDeque<Work>,
    pub(super) speculation: Option<Speculation<E::Value>>,
    pub(super) gated: VecDeque<Gated>,
    /// Streams of which a request is among the gated: what follows in them must wait with it.
    pub(super) cut: Vec<Chain>,
    /// Sections handed to the submitter and not settled yet.
    pub(super) unsettled: usize,
    /// A section came back void: evaluate nothing before all are settled.
    pub(super) poisoned: bool,
}

/// One database's writer.
pub(crate) struct Actor<E: Engine> {
    pub(super) slot: Arc<Slot<E>>,
    pub(super) pending: Pending,
    inbox: Mutex<Inbox>,
    desk: Mutex<Desk<E>>,
    /// In the ready queue or having a turn.
    scheduled: AtomicBool,
}

impl<E: Engine> Actor<E> {
    pub(super) fn new(slot: Arc<Slot<E>>) -> Self {
        let desk = Desk {
            queue: VecDeque::new(),
            speculation: None,
            gated: VecDeque::new(),
            cut: Vec::new(),
            unsettled: 0,
            poisoned: false,
        };
        Self {
            slot,
            pending: Pending::default(),
            inbox: Mutex::default(),
            desk: Mutex::new(desk),
            scheduled: AtomicBool::new(false),
        }
    }

    /// Takes in a request. True if there is new work.
    ///
    /// # Errors
    /// `TX_ID_REUSED`.
    pub(super) fn enter(
        &self,
        request: Request,
        chain: Option<Chain>,
        caller: oneshot::Sender<Answer>,
    ) -> Result<bool, Error> {
        if !self.pending.join(request.tx_id, request.request_hash, caller)? {
            return Ok(false);
        }
        let mut inbox = self.inbox();
        let order = inbox.next_order;
        inbox.next_order += 1;
        inbox.arrivals.push_back(Work { order, request, counted: true, chain });
        Ok(true)
    }

    /// Answers all who wait for `work`. Anything but a commit ends its stream first.
    pub(super) fn answer(&self, work: &Work, answer: Answer) {
        if let (Err(_), Some(chain)) = (&answer, &work.chain) {
            chain.end();
        }
        self.pending.answer(work.request.tx_id, answer);
    }

    pub(super) fn settle(&self, settled: Settled) {
        self.inbox().settled.push_back(settled);
    }

    /// Empties the inbox onto the desk.
    pub(super) fn collect(&self, desk: &mut Desk<E>) {
        let mut inbox = self.inbox();
        desk.queue.append(&mut inbox.arrivals);
        let settled = std::mem::take(&mut inbox.settled);
        drop(inbox);
        settled.into_iter().for_each(|settled| desk.settle(settled));
    }

    pub(super) fn desk(&self) -> MutexGuard<'_, Desk<E>> {
        self.desk.lock().expect("an evaluator that panicked has left the desk in an unknown state")
    }

    /// True if the caller must put it into the ready queue.
    pub(super) fn claim(&self) -> bool {
        !self.scheduled.swap(true, Ordering::AcqRel)
    }

    /// Ends a turn; true if something came in meanwhile.
    pub(super) fn release(&self) -> bool {
        self.scheduled.store(false, Ordering::Release);
        let inbox = self.inbox();
        !inbox.arrivals.is_empty() || !inbox.settled.is_empty()
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().expect("no holder of the inbox panics")
    }
}

impl<E: Engine> Desk<E> {
    fn settle(&mut self, settled: Settled) {
        self.unsettled -= 1;
        match settled {
            Settled::Committed => {}
            Settled::Void(work) => {
                self.put_back(work);
                self.poisoned = true;
            }
            Settled::Answered => self.poisoned = true,
        }
    }

    /// Returns work to its places in line.
    pub(super) fn put_back(&mut self, work: Vec<Work>) {
        let mut line: Vec<Work> = work.into_iter().chain(std::mem::take(&mut self.queue)).collect();
        line.sort_by_key(|work| work.order);
        self.queue = line.into();
    }

    /// Whether something before it in its stream was refused, told or not.
    pub(super) fn is_cut(&self, work: &Work) -> bool {
        let cut = |chain: &Chain| chain.is_ended() || self.cut.iter().any(|cut| cut.is(chain));
        work.chain.as_ref().is_some_and(cut)
    }

    /// Forgets everything speculative; gated refusals will be judged again.
    pub(super) fn forget(&mut self) {
        self.speculation = None;
        self.cut.clear();
        let gated = std::mem::take(&mut self.gated);
        self.put_back(gated.into_iter().map(|gated| gated.work).collect());
    }
}
