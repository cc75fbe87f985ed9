//! Sections into entries, entries into Raft, in order. An entry leaves at once while fewer than two are in flight; else
//! sections gather until one has landed or the entry is full. So a lone transaction waits for nobody, and many share a
//! sync. No timer.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::Shared;
use super::settle::Flight;
use super::turn::{Job, SECTION_BYTES};
use crate::engine::Engine;
use crate::machine::Command;
use crate::raft::RaftHandle;

/// Entries proposed and not settled.
pub(super) const MAX_ENTRIES_IN_FLIGHT: usize = 8;
/// Those of them that may be less than full: one that is synced, and one behind it.
const MAX_SMALL_IN_FLIGHT: usize = 2;
/// From here on an entry is full.
const FULL_BYTES: usize = SECTION_BYTES / 2;
const MAX_KIB_IN_FLIGHT: usize = 16 << 10;

/// What an entry in flight holds until it is settled.
pub(super) struct Permits {
    _entry: OwnedSemaphorePermit,
    _small: Option<OwnedSemaphorePermit>,
    _bytes: OwnedSemaphorePermit,
}

pub(super) fn spawn<E: Engine>(
    shared: Arc<Shared<E>>,
    raft: &RaftHandle,
    sections: mpsc::Receiver<Job<E>>,
    flights: mpsc::Sender<Flight<E>>,
) {
    let submitter = Submitter {
        raft: raft.clone(),
        sections,
        flights,
        held_back: None,
        entries: Arc::new(Semaphore::new(MAX_ENTRIES_IN_FLIGHT)),
        small: Arc::new(Semaphore::new(MAX_SMALL_IN_FLIGHT)),
        kib: Arc::new(Semaphore::new(MAX_KIB_IN_FLIGHT)),
    };
    raft.spawn(async move {
        // The shared state outlives its tasks, so that a late answer finds its caller.
        let _shared = shared;
        submitter.run().await;
    });
}

struct Submitter<E: Engine> {
    raft: RaftHandle,
    sections: mpsc::Receiver<Job<E>>,
    flights: mpsc::Sender<Flight<E>>,
    /// A section that did not fit the last entry.
    held_back: Option<Job<E>>,
    entries: Arc<Semaphore>,
    small: Arc<Semaphore>,
    kib: Arc<Semaphore>,
}

/// An entry in the making.
struct Gathered<E: Engine> {
    jobs: Vec<Job<E>>,
    bytes: usize,
}

impl<E: Engine> Submitter<E> {
    async fn run(mut self) {
        while let Some(first) = self.next().await {
            let entry = acquire(&self.entries, 1).await;
            let mut gathered = Gathered { bytes: first.section.encoded_len(), jobs: vec![first] };
            let small = Arc::clone(&self.small);
            let small = tokio::select! {
                biased;
                small = acquire(&small, 1) => Some(small),
                () = self.fill(&mut gathered) => None,
            };
            while self.held_back.is_none() && !gathered.is_full() {
                let Ok(job) = self.sections.try_recv() else { break };
                self.add(&mut gathered, job);
            }
            if !self.send(entry, small, gathered.jobs).await {
                return;
            }
        }
    }

    async fn next(&mut self) -> Option<Job<E>> {
        match self.held_back.take() {
            Some(job) => Some(job),
            None => self.sections.recv().await,
        }
    }

    /// Gathers until nothing more fits; for ever if nothing comes.
    async fn fill(&mut self, gathered: &mut Gathered<E>) {
        while self.held_back.is_none() && !gathered.is_full() {
            match self.sections.recv().await {
                Some(job) => self.add(gathered, job),
                None => std::future::pending().await,
            }
        }
    }

    fn add(&mut self, gathered: &mut Gathered<E>, job: Job<E>) {
        let bytes = gathered.bytes + job.section.encoded_len();
        if job.epoch != gathered.jobs[0].epoch || bytes > SECTION_BYTES {
            self.held_back = Some(job);
        } else {
            gathered.bytes = bytes;
            gathered.jobs.push(job);
        }
    }

    async fn send(
        &mut self,
        entry: OwnedSemaphorePermit,
        small: Option<OwnedSemaphorePermit>,
        mut jobs: Vec<Job<E>>,
    ) -> bool {
        let epoch = jobs[0].epoch;
        let sections: Vec<_> = jobs.iter_mut().map(Job::take_section).collect();
        let command = Command::Batch { epoch: epoch.epoch, sections }.encode();
        let kib = (command.len() >> 10).clamp(1, MAX_KIB_IN_FLIGHT);
        let permits = Permits { _entry: entry, _small: small, _bytes: acquire(&self.kib, kib).await };
        let outcome = self.raft.propose(command, epoch.term).await;
        self.flights.send(Flight { epoch, jobs, outcome: Box::pin(outcome), permits }).await.is_ok()
    }
}

impl<E: Engine> Gathered<E> {
    fn is_full(&self) -> bool {
        self.bytes >= FULL_BYTES
    }
}

async fn acquire(semaphore: &Arc<Semaphore>, count: usize) -> OwnedSemaphorePermit {
    let count = u32::try_from(count).expect("permits are few");
    Arc::clone(semaphore).acquire_many_owned(count).await.expect("the semaphore is never closed")
}
