//! Whether this member may write. One small state, because everything that doubts speculation must close it at once.

use tokio::sync::watch;

use crate::raft::NodeId;

/// The writer's life cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Another member leads, or nobody does.
    Following {
        /// Who, if known.
        leader: Option<NodeId>,
    },
    /// This member leads and waits for its epoch to be applied; requests wait.
    Opening,
    /// Speculation is sound.
    Serving(Epoch),
}

/// A stretch of sound speculation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// The term it was opened in.
    pub term: u64,
    /// The index of its `OpenEpoch`.
    pub epoch: u64,
}

/// Shared by all parts of the writer.
pub(super) struct Gate {
    phase: watch::Sender<Phase>,
}

impl Gate {
    pub(super) fn new() -> Self {
        Self { phase: watch::channel(Phase::Following { leader: None }).0 }
    }

    pub(super) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    pub(super) fn watch(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    pub(super) fn follow(&self, leader: Option<NodeId>) {
        self.set(Phase::Following { leader });
    }

    pub(super) fn opening(&self) {
        self.set(Phase::Opening);
    }

    pub(super) fn serve(&self, epoch: Epoch) {
        self.set(Phase::Serving(epoch));
    }

    /// Ends `epoch` if it is still the open one.
    pub(super) fn poison(&self, epoch: Epoch) {
        self.phase.send_if_modified(|phase| {
            let open = *phase == Phase::Serving(epoch);
            if open {
                *phase = Phase::Opening;
            }
            open
        });
    }

    fn set(&self, phase: Phase) {
        self.phase.send_if_modified(|known| std::mem::replace(known, phase) != phase);
    }
}
