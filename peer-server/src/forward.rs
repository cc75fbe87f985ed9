//! Passing calls on to the writer.
//!
//! A transaction goes to the transactor that leads, if known, else to any, which passes it on or names the leader. It
//! is sent again, bytes unopened, while that is safe: it carries the client's id, so it is applied once however often
//! it arrives.

mod stream;

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use annals_edn::{Code, Error};
use annals_peer::Peer;
use annals_transport::{Channel, ConnectOptions, TlsIdentity};
use annals_wire::{from_status, is_broken, to_status};
use tonic::{Request, Response, Status};

use crate::Result;

/// The pause after every transactor has refused once; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// The most bytes of one answer: a report holds a transaction's datoms.
pub(crate) const MESSAGE_BYTES: usize = 64 << 20;

pub use stream::Responses;

/// Channels to the transactors, made on first use.
pub struct Forward {
    peer: Peer,
    identity: TlsIdentity,
    channels: Mutex<HashMap<String, Channel>>,
}

impl Forward {
    /// To the transactors that `peer` knows.
    #[must_use]
    pub fn new(peer: Peer, identity: TlsIdentity) -> Forward {
        Forward { peer, identity, channels: Mutex::default() }
    }

    fn channel(&self, endpoint: &str) -> Result<Channel> {
        let mut channels = self.channels.lock().expect("no holder panics");
        if let Some(channel) = channels.get(endpoint) {
            return Ok(channel.clone());
        }
        let channel = annals_transport::connect(endpoint, &self.identity, &ConnectOptions::node())?;
        channels.insert(endpoint.to_string(), channel.clone());
        Ok(channel)
    }

    /// Sends an idempotent call to the transactors, the leader first, until one answers or `deadline` passes.
    ///
    /// # Errors
    /// The writer's refusal as it came; else the last reason why nobody answered.
    pub async fn call<Q, A, F, C>(&self, message: &Q, deadline: Instant, call: C) -> Result<A, Status>
    where
        Q: Clone,
        F: Future<Output = Result<Response<A>, Status>>,
        C: Fn(Channel, Request<Q>) -> F,
    {
        let mut pause = FIRST_PAUSE;
        let mut last = to_status(&Error::new(Code::Unreachable, "no transactor answered"));
        loop {
            for endpoint in self.peer.by_likelihood() {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(last);
                }
                let mut request = Request::new(message.clone());
                request.set_timeout(left);
                let channel = self.channel(&endpoint).map_err(|error| to_status(&error))?;
                match call(channel, request).await {
                    Ok(answer) => return Ok(answer.into_inner()),
                    Err(status) if may_go_elsewhere(&status) => last = status,
                    Err(status) => return Err(status),
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            tokio::time::sleep(pause.min(left)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// True when another transactor, or the same one later, may answer.
fn may_go_elsewhere(status: &Status) -> bool {
    is_broken(status) || from_status(status).kind() == annals_edn::Kind::Unavailable
}
