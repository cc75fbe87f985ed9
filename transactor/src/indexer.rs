//! Turns novelty into segments, and lets the log before them go.
//!
//! The writer builds: it announces a build in the log, writes the segments of what is committed, and publishes the root
//! through the log. Every member then *adopts* the root by itself: reads it, drops the novelty it covers, takes a
//! snapshot and purges its log. A build that fails or loses its lead leaves garbage in the store and nothing else.
//!
//! A task a member; it stops with the process. Building and adopting run on threads that may block.

use std::sync::Arc;
use std::time::Duration;

use annals_edn::{Code, Error};
use tokio::time::{MissedTickBehavior, interval};

use crate::committed::Slot;
use crate::config::IndexConfig;
use crate::engine::{Engine, IndexJob};
use crate::group::Group;
use crate::machine::{BuildStart, Command, CommandResult, PublishRoot, RootRef};

const TICK: Duration = Duration::from_millis(200);

/// Runs until dropped.
pub async fn run<E: Engine>(group: Group<E>, config: IndexConfig) {
    if !group.parts().engine.indexes() {
        return;
    }
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        adopt_published(&group).await;
        if group.committed().novelty_bytes() >= config.threshold_bytes && leads(&group) {
            let largest = group.parts().replica.novelty().into_iter().next();
            if let Some((slot, bytes)) = largest {
                tracing::info!(database = slot.name, bytes, "index build starts");
                report(&slot, build(&group, &slot).await);
            }
        }
    }
}

/// Builds what no root covers yet, adopts and purges: what a member does before it stops, so that it starts quickly.
pub async fn finish<E: Engine>(group: &Group<E>) {
    if !group.parts().engine.indexes() {
        return;
    }
    for (slot, bytes) in group.parts().replica.novelty() {
        if bytes > 0 && leads(group) {
            report(&slot, build(group, &slot).await);
        }
    }
    adopt_published(group).await;
}

fn leads<E: Engine>(group: &Group<E>) -> bool {
    group.parts().raft.leadership().borrow().is_some()
}

fn report<E: Engine>(slot: &Slot<E>, outcome: Result<RootRef, Error>) {
    match outcome {
        Ok(root) => {
            tracing::info!(database = slot.name, t = root.covers_t, number = root.number, "root published")
        }
        Err(error) => tracing::warn!(database = slot.name, %error, "index build failed"),
    }
}

async fn build<E: Engine>(group: &Group<E>, slot: &Arc<Slot<E>>) -> Result<RootRef, Error> {
    let incarnation = slot.incarnation;
    let base = slot.tip().root;
    let base_hash = base.map(|root| root.hash);
    let start = Command::BuildStart(BuildStart { incarnation, base: base_hash });
    let CommandResult::Build(build) = group.command(&start).await? else {
        return Err(Error::new(Code::Internal, "the build was not let in"));
    };
    let tip = slot.tip();
    let number = base.map_or(0, |root| root.number) + 1;
    let job = IndexJob { incarnation, build, base, number, lineage: tip.lineage };
    let engine = Arc::clone(&group.parts().engine);
    let built = blocking(move || engine.build(&tip.value, &job)).await;
    let root = match built {
        Ok(root) => root,
        Err(error) => {
            // Without effect on anything but the book of running builds; a new epoch clears that anyway.
            drop(group.command(&Command::BuildAbort(build)).await);
            return Err(error);
        }
    };
    let publish = PublishRoot { incarnation, build, base: base_hash, root, holders: Vec::new() };
    match group.command(&Command::PublishRoot(publish)).await? {
        CommandResult::Done => {}
        refused => return Err(Error::new(Code::Internal, format!("the root was not accepted: {refused:?}"))),
    }
    adopt_published(group).await;
    Ok(root)
}

/// Adopts every root that is newer than the one read here, then lets the log go as far as roots allow.
async fn adopt_published<E: Engine>(group: &Group<E>) {
    let mut any = false;
    for slot in group.committed().all() {
        let Some(root) = slot.tip().root else { continue };
        let adopted = group.parts().replica.adopted(slot.incarnation);
        if adopted.is_some_and(|adopted| adopted.number >= root.number) || slot.t() < root.covers_t {
            continue;
        }
        let (replica, incarnation) = (group.parts().replica.clone(), slot.incarnation);
        match blocking(move || replica.adopt(incarnation, root)).await {
            Ok(()) => any = true,
            Err(error) => tracing::warn!(database = slot.name, %error, "root not adopted yet"),
        }
    }
    if any {
        group.parts().raft.snapshot().await;
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|panic| Err(Error::new(Code::Internal, format!("index work failed: {panic}"))))
}
