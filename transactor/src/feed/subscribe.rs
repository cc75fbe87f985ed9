//! One subscriber: a cursor a database over the rings, read on as fast as its connection takes it.
//!
//! A task a subscriber, with one message between it and the connection: a slow one holds its own cursor back and
//! nothing else. It ends when the subscriber goes, the process drains, or the subscriber's chain is not ours.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use annals_db::Incarnation;
use annals_edn::{Code, Error};
use annals_wire::db::limits_to_wire;
use annals_wire::feed::FeedItem;
use annals_wire::v1::subscribe_request::Request as Ask;
use annals_wire::v1::subscribe_response::Message;
use annals_wire::{to_status, v1};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use super::ring::Read;
use super::subscribers::Entry;
use crate::committed::Slot;
use crate::engine::Engine;
use crate::group::Group;
use crate::machine::{Lineage, RootRef};
use crate::raft::RaftStatus;

const HEARTBEAT: Duration = Duration::from_millis(500);
/// Frames sent as one message.
const BATCH_BYTES: usize = 1 << 20;
/// A subscriber that takes nothing for so long is cut off.
const STALLED: Duration = Duration::from_secs(30);
/// For the first message of the subscriber.
const GREETING: Duration = Duration::from_secs(10);

type Out = Result<FeedItem, Status>;

/// Starts the feed of one subscriber.
pub(crate) async fn start<E: Engine>(
    group: Group<E>,
    draining: CancellationToken,
    mut requests: Streaming<v1::SubscribeRequest>,
) -> Result<BoxStream<'static, Out>, Status> {
    let greeting = tokio::time::timeout(GREETING, requests.message()).await;
    let first = greeting.map_err(|_| Status::deadline_exceeded("the subscriber said nothing"))??;
    let Some(Ask::Start(start)) = first.and_then(|request| request.request) else {
        return Err(to_status(&Error::new(Code::InvalidArgument, "a subscription opens with a start")));
    };
    let (out, out_rx) = mpsc::channel(1);
    let entry = group.parts().subscribers.enter(start.subscriber.clone().unwrap_or_default());
    let subscription =
        Subscription { group, out, entry, wanted: Wanted::of(&start), cursors: BTreeMap::new() };
    tokio::spawn(subscription.run(start.positions, requests, draining));
    let stream =
        futures_util::stream::unfold(out_rx, |mut rx| async move { rx.recv().await.map(|item| (item, rx)) });
    Ok(stream.boxed())
}

enum Wanted {
    All,
    Names(Vec<String>),
}

impl Wanted {
    fn of(start: &v1::SubscribeStart) -> Self {
        if start.all { Wanted::All } else { Wanted::Names(start.names.clone()) }
    }

    fn includes(&self, name: &str) -> bool {
        match self {
            Wanted::All => true,
            Wanted::Names(names) => names.iter().any(|wanted| wanted == name),
        }
    }
}

struct Cursor<E: Engine> {
    slot: Arc<Slot<E>>,
    t: u64,
    lineage: Lineage,
    /// Told to read a root; silent until it resumes behind it.
    behind: bool,
}

struct Subscription<E: Engine> {
    group: Group<E>,
    out: mpsc::Sender<Out>,
    entry: Entry,
    wanted: Wanted,
    cursors: BTreeMap<Incarnation, Cursor<E>>,
}

/// Why a subscription ends.
enum End {
    /// Its subscriber went.
    Gone,
    /// With this status.
    Told(Status),
}

impl<E: Engine> Subscription<E> {
    async fn run(
        mut self,
        positions: Vec<v1::FeedPosition>,
        requests: Streaming<v1::SubscribeRequest>,
        draining: CancellationToken,
    ) {
        let end = tokio::select! {
            end = self.follow(positions, requests) => end,
            () = draining.cancelled() => {
                End::Told(to_status(&Error::new(Code::Draining, "this transactor is shutting down")))
            }
        };
        if let End::Told(status) = end {
            // The subscriber may be gone by now, which is as well.
            let _ = self.out.send_timeout(Err(status), Duration::from_secs(1)).await;
        }
    }

    async fn follow(
        &mut self,
        positions: Vec<v1::FeedPosition>,
        mut requests: Streaming<v1::SubscribeRequest>,
    ) -> End {
        let mut pulse = self.group.committed().pulse();
        let mut catalog = self.group.committed().catalog();
        let mut status = self.group.parts().raft.status();
        let mut ticks = interval(HEARTBEAT);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let positions: BTreeMap<_, _> = positions.iter().filter_map(position_of).collect();
        if let Err(end) = self.catalog(&positions, true).await {
            return end;
        }
        loop {
            // Both are marked as seen before they are read: what comes meanwhile is seen in the next round, and a
            // database whose pulse came while the last message went out is not forgotten.
            pulse.borrow_and_update();
            if catalog.has_changed().is_ok_and(|changed| changed) {
                catalog.borrow_and_update();
                if let Err(end) = self.catalog(&BTreeMap::new(), false).await {
                    return end;
                }
            }
            if let Err(end) = self.catch_up().await {
                return end;
            }
            let step = tokio::select! {
                changed = pulse.changed() => changed.map_err(|_| End::Gone),
                _ = status.changed() => self.heartbeat().await,
                _ = ticks.tick() => self.heartbeat().await,
                request = requests.message() => self.hear(request),
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    /// Sends what has come and gone in the catalog since last time.
    async fn catalog(
        &mut self,
        positions: &BTreeMap<Incarnation, (u64, Lineage)>,
        snapshot: bool,
    ) -> Result<(), End> {
        let slots = self.group.committed().all();
        let dropped: Vec<Incarnation> = self
            .cursors
            .keys()
            .filter(|id| !slots.iter().any(|slot| slot.incarnation == **id))
            .copied()
            .collect();
        dropped.iter().for_each(|id| drop(self.cursors.remove(id)));
        let fresh: Vec<_> = slots
            .into_iter()
            .filter(|slot| self.wanted.includes(&slot.name) && !self.cursors.contains_key(&slot.incarnation))
            .collect();
        if !snapshot && fresh.is_empty() && dropped.is_empty() {
            return Ok(());
        }
        let databases = fresh.iter().map(|slot| crate::service::database_info(slot)).collect();
        let dropped = dropped.into_iter().map(incarnation_bytes).collect();
        for slot in fresh {
            let (t, lineage) = positions.get(&slot.incarnation).copied().unwrap_or_default();
            self.cursors.insert(slot.incarnation, Cursor { slot, t, lineage, behind: false });
        }
        let limits = Some(limits_to_wire(&self.group.parts().engine.limits()));
        self.say(Message::Catalog(v1::CatalogUpdate { snapshot, databases, dropped, limits })).await
    }

    /// Reads every cursor to its tip.
    async fn catch_up(&mut self) -> Result<(), End> {
        let ids: Vec<Incarnation> = self.cursors.keys().copied().collect();
        for id in ids {
            while let Some(item) = self.next(id)? {
                self.send(item).await?;
            }
        }
        Ok(())
    }

    /// The next message of one database; `None` at its tip.
    fn next(&mut self, id: Incarnation) -> Result<Option<FeedItem>, End> {
        let Some(cursor) = self.cursors.get_mut(&id).filter(|cursor| !cursor.behind) else { return Ok(None) };
        let tip = cursor.slot.tip();
        if cursor.t == 0 && tip.t > 0 && tip.root.is_some() {
            cursor.behind = true;
            return Ok(tip.root.map(|root| message(Message::Behind(behind(id, &root)))));
        }
        let read = cursor.slot.ring().read(cursor.t, cursor.lineage, (tip.t, tip.lineage), BATCH_BYTES);
        match read {
            Read::Frames(frames) => {
                let Some(last) = frames.last() else { return Ok(None) };
                (cursor.t, cursor.lineage) = (last.t, last.lineage);
                Ok(Some(FeedItem::Frames(frames.into_iter().map(|frame| frame.encoded).collect())))
            }
            Read::Behind => {
                cursor.behind = true;
                Ok(tip.root.map(|root| message(Message::Behind(behind(id, &root)))))
            }
            Read::Diverged => {
                let text = format!(
                    "the subscriber's {} at t {} is not of this group's history",
                    cursor.slot.name, cursor.t
                );
                Err(End::Told(to_status(
                    &Error::new(Code::Diverged, text).hint("drop it and read the root anew"),
                )))
            }
        }
    }

    fn hear(&mut self, request: Result<Option<v1::SubscribeRequest>, Status>) -> Result<(), End> {
        let Ok(Some(request)) = request else { return Err(End::Gone) };
        match request.request {
            Some(Ask::Ack(ack)) => self.acknowledge(&ack),
            Some(Ask::Resume(resume)) => {
                let position = resume.position.as_ref().and_then(position_of);
                if let Some((id, (t, lineage))) = position
                    && let Some(cursor) = self.cursors.get_mut(&id)
                {
                    *cursor = Cursor { slot: Arc::clone(&cursor.slot), t, lineage, behind: false };
                }
            }
            Some(Ask::Start(_)) | None => {}
        }
        Ok(())
    }

    fn acknowledge(&self, ack: &v1::SubscribeAck) {
        let progress = |position: &v1::FeedPosition| {
            let (id, (t, _)) = position_of(position)?;
            let slot = self.group.committed().get(id)?;
            let (name, incarnation) = (slot.name.clone(), incarnation_bytes(id));
            Some(v1::DatabaseProgress { name, incarnation, t, lag: slot.t().saturating_sub(t), root_t: 0 })
        };
        self.entry.applied(ack.term, ack.applied.iter().filter_map(progress).collect());
    }

    async fn heartbeat(&mut self) -> Result<(), End> {
        let status = self.group.parts().raft.status().borrow().clone();
        let tips: Vec<_> = self.cursors.iter().map(|(id, cursor)| (*id, cursor.slot.tip())).collect();
        let committed = |(id, tip): &(Incarnation, crate::committed::Tip<E::Value>)| v1::FeedPosition {
            incarnation: incarnation_bytes(*id),
            t: tip.t,
            lineage: Bytes::copy_from_slice(&tip.lineage.0),
        };
        let heartbeat = v1::FeedHeartbeat {
            committed: tips.iter().map(committed).collect(),
            roots: tips.iter().filter_map(|(id, tip)| Some(behind(*id, tip.root.as_ref()?))).collect(),
            epoch: self.group.committed().epoch(),
            term: status.term,
            leader_id: status.leader.unwrap_or_default(),
            leader_endpoint: self.leader_endpoint(&status),
            wall_ms: crate::clock::now_ms(),
        };
        self.say(Message::Heartbeat(heartbeat)).await
    }

    fn leader_endpoint(&self, status: &RaftStatus) -> String {
        let parts = self.group.parts();
        match status.leader {
            Some(leader) if leader == parts.raft.node_id() => parts.process.endpoint.clone(),
            Some(leader) => {
                status.members.get(&leader).map_or_else(String::new, |(member, _)| member.addr.clone())
            }
            None => String::new(),
        }
    }

    async fn say(&self, what: Message) -> Result<(), End> {
        self.send(message(what)).await
    }

    async fn send(&self, item: FeedItem) -> Result<(), End> {
        let deadline = Instant::now() + STALLED;
        match tokio::time::timeout_at(deadline, self.out.send(Ok(item))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => {
                Err(End::Told(to_status(&Error::new(Code::StreamStalled, "the subscriber reads nothing"))))
            }
        }
    }
}

fn message(what: Message) -> FeedItem {
    FeedItem::Message(v1::SubscribeResponse { message: Some(what) })
}

fn behind(id: Incarnation, root: &RootRef) -> v1::FeedBehind {
    v1::FeedBehind {
        incarnation: incarnation_bytes(id),
        root_hash: Bytes::copy_from_slice(&root.hash),
        root_t: root.covers_t,
        lineage: Bytes::copy_from_slice(&root.lineage.0),
        root_number: root.number,
    }
}

fn incarnation_bytes(id: Incarnation) -> Bytes {
    Bytes::copy_from_slice(&id.0.to_be_bytes())
}

fn position_of(position: &v1::FeedPosition) -> Option<(Incarnation, (u64, Lineage))> {
    let incarnation = Incarnation(u128::from_be_bytes(position.incarnation.as_ref().try_into().ok()?));
    let lineage = Lineage(position.lineage.as_ref().try_into().ok()?);
    Some((incarnation, (position.t, lineage)))
}
