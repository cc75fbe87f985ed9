//! Sections into entries, entries into Raft, in order. While entries are in flight, sections gather; when none is, the
//! first section leaves at once. No timer.

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
const MAX_KIB_IN_FLIGHT: usize = 16 << 10;

/// What an entry in flight holds until it is settled.
pub(super) struct Permits {
    _entry: OwnedSemaphorePermit,
    _bytes: OwnedSemaphorePermit,
}

pub(super) fn spawn<E: Engine>(
    shared: Arc<Shared<E>>,
    raft: RaftHandle,
    sections: mpsc::Receiver<Job<E>>,
    flights: mpsc::Sender<Flight<E>>,
) {
    let submitter = Submitter {
        raft,
        sections,
        flights,
        held_back: None,
        entries: Arc::new(Semaphore::new(MAX_ENTRIES_IN_FLIGHT)),
        kib: Arc::new(Semaphore::new(MAX_KIB_IN_FLIGHT)),
    };
    tokio::spawn(async move {
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
    kib: Arc<Semaphore>,
}

impl<E: Engine> Submitter<E> {
    async fn run(mut self) {
        while let Some(first) = self.next().await {
            let entry = acquire(&self.entries, 1).await;
            let jobs = self.gather(first);
            if !self.send(entry, jobs).await {
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

    /// Whatever is ready and fits beside `first`.
    fn gather(&mut self, first: Job<E>) -> Vec<Job<E>> {
        let (epoch, mut bytes) = (first.epoch, first.section.encoded_len());
        let mut jobs = vec![first];
        while let Ok(job) = self.sections.try_recv() {
            bytes += job.section.encoded_len();
            if job.epoch != epoch || bytes > SECTION_BYTES {
                self.held_back = Some(job);
                break;
            }
            jobs.push(job);
        }
        jobs
    }

    async fn send(&mut self, entry: OwnedSemaphorePermit, mut jobs: Vec<Job<E>>) -> bool {
        let epoch = jobs[0].epoch;
        let sections: Vec<_> = jobs.iter_mut().map(Job::take_section).collect();
        let command = Command::Batch { epoch: epoch.epoch, sections }.encode();
        let kib = (command.len() >> 10).clamp(1, MAX_KIB_IN_FLIGHT);
        let permits = Permits { _entry: entry, _bytes: acquire(&self.kib, kib).await };
        let outcome = self.raft.propose(command, epoch.term).await;
        self.flights.send(Flight { epoch, jobs, outcome: Box::pin(outcome), permits }).await.is_ok()
    }
}

async fn acquire(semaphore: &Arc<Semaphore>, count: usize) -> OwnedSemaphorePermit {
    let count = u32::try_from(count).expect("permits are few");
    Arc::clone(semaphore).acquire_many_owned(count).await.expect("the semaphore is never closed")
}
