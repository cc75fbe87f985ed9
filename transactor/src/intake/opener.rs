//! Opens an epoch whenever this member leads and none is open.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::Shared;
use super::gate::{Epoch, Phase};
use crate::engine::Engine;
use crate::machine::{Command, CommandResult, OpenEpoch};
use crate::raft::{Outcome, RaftHandle, RaftStatus};

/// Between attempts while a new leader has no quorum yet.
const RETRY: Duration = Duration::from_millis(5);

pub(super) fn spawn<E: Engine>(shared: Arc<Shared<E>>, raft: RaftHandle) {
    tokio::spawn(async move {
        let mut opener = Opener {
            leadership: raft.leadership(),
            status: raft.status(),
            phase: shared.gate.watch(),
            boot_id: uuid::Uuid::new_v4().as_u128(),
            shared,
            raft,
        };
        while opener.step().await.is_some() {}
    });
}

struct Opener<E: Engine> {
    shared: Arc<Shared<E>>,
    raft: RaftHandle,
    leadership: watch::Receiver<Option<u64>>,
    status: watch::Receiver<RaftStatus>,
    phase: watch::Receiver<Phase>,
    boot_id: u128,
}

impl<E: Engine> Opener<E> {
    /// One reaction to a change; `None` when Raft or the intake has stopped.
    async fn step(&mut self) -> Option<()> {
        if self.shared.workers.is_stopped() {
            return None;
        }
        let term = *self.leadership.borrow_and_update();
        let leader = self.status.borrow_and_update().leader;
        let phase = *self.phase.borrow_and_update();
        match (term, phase) {
            (None, Phase::Following { leader: known }) if known == leader => {}
            (None, _) => {
                self.shared.gate.follow(leader);
                self.shared.wake_all();
            }
            (Some(term), Phase::Serving(epoch)) if epoch.term == term => {}
            (Some(term), _) => self.open(term).await,
        }
        if *self.leadership.borrow() != term {
            return Some(());
        }
        tokio::select! {
            changed = self.leadership.changed() => changed.ok(),
            changed = self.status.changed() => changed.ok(),
            changed = self.phase.changed() => changed.ok(),
        }
    }

    async fn open(&mut self, term: u64) {
        self.shared.gate.opening();
        self.shared.wake_all();
        while *self.leadership.borrow() == Some(term) && !self.shared.workers.is_stopped() {
            let (node, boot_id) = (self.raft.node_id(), self.boot_id);
            let open = Command::OpenEpoch(OpenEpoch { node, boot_id, wall_ms: crate::clock::now_ms() });
            match self.raft.propose(open.encode(), term).await.await {
                Outcome::Applied { result: CommandResult::Epoch(epoch), .. } => {
                    if self.shared.committed.epoch() == epoch {
                        tracing::info!(term, epoch, "epoch open: this member writes");
                        self.shared.gate.serve(Epoch { term, epoch });
                        self.shared.wake_all();
                        return;
                    }
                }
                Outcome::Applied { .. } | Outcome::NotAppended { .. } | Outcome::Unknown => {}
            }
            tokio::time::sleep(RETRY).await;
        }
    }
}
