//! The evaluator threads and the queue of databases that have something to do.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use tokio::sync::mpsc;

use super::Shared;
use super::actor::Actor;
use super::turn::{self, Job};
use crate::engine::Engine;

struct Ready<E: Engine> {
    actors: VecDeque<Arc<Actor<E>>>,
    stopped: bool,
}

/// Who is ready, and where finished sections go.
pub(super) struct Workers<E: Engine> {
    ready: Mutex<Ready<E>>,
    news: Condvar,
    sections: mpsc::Sender<Job<E>>,
}

impl<E: Engine> Workers<E> {
    pub(super) fn new(sections: mpsc::Sender<Job<E>>) -> Self {
        let ready = Mutex::new(Ready { actors: VecDeque::new(), stopped: false });
        Self { ready, news: Condvar::new(), sections }
    }

    /// Gives the actor a turn soon; at most one place in the queue an actor.
    pub(super) fn schedule(&self, actor: &Arc<Actor<E>>) {
        if actor.claim() {
            self.lock().actors.push_back(Arc::clone(actor));
            self.news.notify_one();
        }
    }

    /// True after [`Workers::stop`].
    pub(super) fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.news.notify_all();
    }

    fn next(&self) -> Option<Arc<Actor<E>>> {
        let idle = |ready: &mut Ready<E>| ready.actors.is_empty() && !ready.stopped;
        let mut ready = self.news.wait_while(self.lock(), idle).expect("no holder of the ready queue panics");
        if ready.stopped { None } else { ready.actors.pop_front() }
    }

    fn lock(&self) -> MutexGuard<'_, Ready<E>> {
        self.ready.lock().expect("no holder of the ready queue panics")
    }
}

/// Starts `count` evaluator threads; they end with [`Workers::stop`].
pub(super) fn spawn<E: Engine>(shared: &Arc<Shared<E>>, count: usize) {
    for number in 0..count.max(1) {
        let shared = Arc::clone(shared);
        std::thread::Builder::new()
            .name(format!("evaluator-{number}"))
            .spawn(move || {
                while let Some(actor) = shared.workers.next() {
                    give_turn(&shared, &actor);
                }
            })
            .expect("the process may start its few threads");
    }
}

fn give_turn<E: Engine>(shared: &Shared<E>, actor: &Arc<Actor<E>>) {
    let turn = turn::take(shared, actor);
    if let Some(job) = turn.job {
        // Full while as many entries as may be are in flight: that is what holds evaluation back.
        if shared.workers.sections.blocking_send(job).is_err() {
            tracing::debug!("the submitter has stopped; sections are dropped");
        }
    }
    if actor.release() || turn.more {
        shared.workers.schedule(actor);
    }
}
