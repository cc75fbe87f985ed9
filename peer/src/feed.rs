//! The subscription: one stream from one transactor at a time, taken up at another when it breaks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use annals_db::Limits;
use annals_edn::{Code, Error};
use annals_transport::{ConnectOptions, TlsIdentity};
use annals_wire::db::limits_from_wire;
use annals_wire::from_status;
use annals_wire::v1;
use annals_wire::v1::feed_service_client::FeedServiceClient;
use annals_wire::v1::subscribe_request::Request;
use annals_wire::v1::subscribe_response::Message;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Streaming;

use crate::Result;
use crate::databases::Databases;
use crate::peer::{Config, Selection};

/// A transactor that says nothing for this long is taken for dead: heartbeats come twice a second.
const SILENCE: Duration = Duration::from_secs(3);
/// The pause before the next transactor is tried once all have failed; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// The most bytes of one feed message: a batch is 1 MiB, a large transaction travels alone.
const MESSAGE_BYTES: usize = 64 << 20;
/// While frames come, how old what the transactors know of this peer may become. Heartbeats do the rest.
const ACKNOWLEDGE_EVERY: Duration = Duration::from_millis(50);
/// Acknowledgements that may wait to be sent.
const OUTGOING: usize = 8;

/// What the feed has learnt about the group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// the transactor we listen to, empty when none answers
    pub source: String,
    /// the current term
    pub term: u64,
    /// the leader's id, 0 if unknown
    pub leader_id: u64,
    /// where the leader listens
    pub leader_endpoint: String,
    /// a catalog has been seen since the start
    pub catalog_seen: bool,
    /// what one transaction may be, as the transactor we listen to decides
    pub limits: Limits,
}

/// The task that keeps the databases current.
pub(crate) struct Feed {
    pub(crate) config: Config,
    pub(crate) identity: TlsIdentity,
    pub(crate) databases: Arc<Databases>,
    pub(crate) group: watch::Sender<Group>,
    pub(crate) stop: CancellationToken,
}

impl Feed {
    /// Runs until stopped: listens to one transactor, moves on when the stream ends.
    pub(crate) async fn run(self) {
        let (mut at, mut failures) = (self.config.first_transactor(), 0u32);
        while !self.stop.is_cancelled() {
            let endpoint = self.config.transactors[at % self.config.transactors.len()].clone();
            let ended = tokio::select! {
                () = self.stop.cancelled() => return,
                ended = self.listen(&endpoint) => ended,
            };
            let heard = self.group.borrow().source == endpoint;
            self.group.send_modify(|group| group.source.clear());
            tracing::info!(%endpoint, error = %ended.err().map_or_else(String::new, |e| e.to_string()), "feed ended");
            failures = if heard { 0 } else { failures + 1 };
            at += 1;
            if failures as usize >= self.config.transactors.len() {
                let pause = FIRST_PAUSE * 2u32.pow((failures / self.config.transactors.len() as u32).min(6));
                tokio::select! {
                    () = self.stop.cancelled() => return,
                    () = tokio::time::sleep(pause.min(LONGEST_PAUSE)) => {}
                }
            }
        }
    }

    /// Follows one transactor until its stream ends or falls silent.
    async fn listen(&self, endpoint: &str) -> Result<()> {
        let channel = annals_transport::connect(endpoint, &self.identity, &ConnectOptions::node())?;
        let mut client = FeedServiceClient::new(channel).max_decoding_message_size(MESSAGE_BYTES);
        let (send, receive) = mpsc::channel(OUTGOING);
        let start = v1::SubscribeRequest { request: Some(Request::Start(self.start())) };
        send.send(start).await.map_err(|_| Error::new(Code::Internal, "the feed's own queue is closed"))?;
        let answer = tokio::time::timeout(SILENCE, client.subscribe(ReceiverStream::new(receive))).await;
        let mut stream =
            answer.map_err(|_| silent(endpoint))?.map_err(|status| from_status(&status))?.into_inner();
        let mut acknowledged = Instant::now();
        while let Some(message) = self.next(endpoint, &mut stream).await? {
            let mut reply = self.take(endpoint, message)?;
            if reply.is_none() && acknowledged.elapsed() >= ACKNOWLEDGE_EVERY {
                reply = Some(self.acknowledgement());
            }
            if let Some(reply) = reply {
                acknowledged = Instant::now();
                // A full queue only delays an acknowledgement; the next one says the same and more.
                let _ = send.try_send(reply);
            }
        }
        Ok(())
    }

    async fn next(
        &self,
        endpoint: &str,
        stream: &mut Streaming<v1::SubscribeResponse>,
    ) -> Result<Option<Message>> {
        let message = tokio::time::timeout(SILENCE, stream.message()).await.map_err(|_| silent(endpoint))?;
        Ok(message.map_err(|status| from_status(&status))?.and_then(|response| response.message))
    }

    fn start(&self) -> v1::SubscribeStart {
        let (all, names) = match &self.config.selection {
            Selection::All => (true, Vec::new()),
            Selection::Names(names) => (false, names.clone()),
        };
        let positions = self.databases.all().iter().map(|database| database.position()).collect();
        v1::SubscribeStart { subscriber: Some(self.config.subscriber.clone()), all, names, positions }
    }

    /// Applies one message; answers with what the transactor should hear. Reading a root blocks: then the runtime's
    /// other tasks move to another thread, which is why a peer needs a runtime of several.
    fn take(&self, endpoint: &str, message: Message) -> Result<Option<v1::SubscribeRequest>> {
        match message {
            Message::Catalog(update) => {
                tokio::task::block_in_place(|| self.databases.take_catalog(&update))?;
                self.group.send_modify(|group| {
                    group.source = endpoint.to_string();
                    group.catalog_seen = true;
                    group.limits = update.limits.as_ref().map_or(group.limits, limits_from_wire);
                });
                Ok(None)
            }
            Message::Frames(batch) => {
                self.databases.take_frames(&batch.frames)?;
                Ok(None)
            }
            Message::Behind(behind) => {
                tokio::task::block_in_place(|| self.databases.take_behind(&behind))?;
                let position =
                    self.databases.by_incarnation(&behind.incarnation).map(|database| database.position());
                let resume = v1::SubscribeResume { position };
                Ok(Some(v1::SubscribeRequest { request: Some(Request::Resume(resume)) }))
            }
            Message::Heartbeat(heartbeat) => {
                self.heartbeat(&heartbeat);
                for root in heartbeat.roots.iter().filter(|root| self.databases.is_newer(root)) {
                    tokio::task::block_in_place(|| self.databases.take_root(root))?;
                }
                Ok(Some(self.acknowledgement()))
            }
        }
    }

    fn heartbeat(&self, heartbeat: &v1::FeedHeartbeat) {
        for position in &heartbeat.committed {
            if let Some(database) = self.databases.by_incarnation(&position.incarnation) {
                database.knows_committed(position.t);
            }
        }
        self.group.send_if_modified(|group| {
            let (term, leader) = (heartbeat.term, heartbeat.leader_id);
            let changed = group.term != term || group.leader_id != leader;
            group.term = term;
            group.leader_id = leader;
            group.leader_endpoint.clone_from(&heartbeat.leader_endpoint);
            changed
        });
    }

    fn acknowledgement(&self) -> v1::SubscribeRequest {
        let applied = self.databases.all().iter().map(|database| database.position()).collect();
        let ack = v1::SubscribeAck { applied, leases: Vec::new(), term: self.group.borrow().term };
        v1::SubscribeRequest { request: Some(Request::Ack(ack)) }
    }
}

fn silent(endpoint: &str) -> Error {
    Error::new(Code::Unreachable, format!("the transactor at {endpoint} said nothing for {SILENCE:?}"))
}
