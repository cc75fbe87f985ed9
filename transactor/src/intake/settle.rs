//! What became of each entry, told in order: to the callers at once, to the actors for their books.

use std::pin::Pin;
use std::sync::Arc;

use annals_edn::{Code, Error};
use tokio::sync::mpsc;

use super::actor::Settled;
use super::gate::Epoch;
use super::submit::{MAX_ENTRIES_IN_FLIGHT, Permits};
use super::turn::Job;
use super::{Shared, db_not_found};
use crate::engine::Engine;
use crate::machine::{CommandResult, SectionResult};
use crate::raft::{Outcome, RaftHandle};

/// An entry in flight.
pub(super) struct Flight<E: Engine> {
    pub(super) epoch: Epoch,
    pub(super) jobs: Vec<Job<E>>,
    pub(super) outcome: Pin<Box<dyn Future<Output = Outcome> + Send>>,
    pub(super) permits: Permits,
}

/// What became of one section.
enum Fate {
    Committed,
    Void,
    Gone,
    Unknown,
}

pub(super) fn spawn<E: Engine>(shared: Arc<Shared<E>>, raft: &RaftHandle) -> mpsc::Sender<Flight<E>> {
    let (tx, mut flights) = mpsc::channel::<Flight<E>>(MAX_ENTRIES_IN_FLIGHT);
    raft.spawn(async move {
        while let Some(flight) = flights.recv().await {
            let outcome = flight.outcome.await;
            land(&shared, flight.epoch, flight.jobs, outcome);
            drop(flight.permits);
        }
    });
    tx
}

fn land<E: Engine>(shared: &Shared<E>, epoch: Epoch, jobs: Vec<Job<E>>, outcome: Outcome) {
    let fates: Vec<Fate> = match outcome {
        Outcome::Applied { result: CommandResult::Batch(results), .. } => {
            results.into_iter().map(fate_of).collect()
        }
        Outcome::Applied { .. } | Outcome::NotAppended { .. } => {
            shared.gate.poison(epoch);
            jobs.iter().map(|_| Fate::Void).collect()
        }
        Outcome::Unknown => {
            // Before any caller hears of it: whoever resends must meet a new epoch.
            shared.gate.poison(epoch);
            jobs.iter().map(|_| Fate::Unknown).collect()
        }
    };
    for (job, fate) in jobs.into_iter().zip(fates) {
        settle(shared, job, &fate);
    }
}

fn fate_of(result: SectionResult) -> Fate {
    match result {
        SectionResult::Applied(_) => Fate::Committed,
        SectionResult::Stale => Fate::Void,
        SectionResult::NotFound => Fate::Gone,
    }
}

fn settle<E: Engine>(shared: &Shared<E>, job: Job<E>, fate: &Fate) {
    let Job { actor, accepted, .. } = job;
    let settled = match fate {
        Fate::Committed => {
            for one in accepted {
                actor.answer(&one.work, Ok(one.receipt));
            }
            Settled::Committed
        }
        Fate::Void => Settled::Void(accepted.into_iter().map(|one| one.work).collect()),
        Fate::Gone | Fate::Unknown => {
            let error = if matches!(fate, Fate::Gone) {
                db_not_found(Some(&actor.slot.name))
            } else {
                unknown_outcome()
            };
            for one in accepted {
                actor.answer(&one.work, Err(error.clone()));
            }
            Settled::Answered
        }
    };
    actor.settle(settled);
    shared.workers.schedule(&actor);
}

pub(crate) fn unknown_outcome() -> Error {
    Error::new(Code::UnknownOutcome, "the transaction may or may not have been committed")
        .hint("send it again under the same transaction id: it is committed at most once")
}
