//! Connections to the endpoints of one kind of process, with failover.
//!
//! A [`Pool`] prefers the endpoint that answered last (its caches are warm and its cursors live) and moves on when
//! that one fails. Connections are made on first use, once an endpoint, and shared by all calls.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use annals_edn::{Code, Error};
use annals_transport::{ConnectOptions, TlsIdentity};
use annals_wire::{from_status, is_broken};
use tonic::Status;
use tonic::transport::Channel;

use crate::Result;

/// The first pause after every endpoint has failed once; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause between rounds over the endpoints.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The endpoints of one kind of process.
pub struct Pool {
    kind: &'static str,
    endpoints: Vec<String>,
    identity: TlsIdentity,
    channels: Mutex<Vec<Option<Channel>>>,
    preferred: AtomicUsize,
}

/// One try of a call: which endpoint to use, how long is left, and how to go on when it fails.
pub struct Attempts<'a> {
    pool: &'a Pool,
    deadline: Instant,
    at: usize,
    failed: usize,
    pause: Duration,
}

impl Pool {
    /// A pool of `endpoints`; connects to nothing yet. `kind` is for messages: "peer server", "transactor".
    #[must_use]
    pub fn new(kind: &'static str, endpoints: Vec<String>, identity: TlsIdentity) -> Pool {
        let channels = Mutex::new(vec![None; endpoints.len()]);
        Pool { kind, endpoints, identity, channels, preferred: AtomicUsize::new(0) }
    }

    /// Tries for one call that may take until `deadline`.
    #[must_use]
    pub fn attempts(&self, deadline: Instant) -> Attempts<'_> {
        let at = self.preferred.load(Ordering::Relaxed);
        Attempts { pool: self, deadline, at, failed: 0, pause: FIRST_PAUSE }
    }

    fn channel(&self, at: usize) -> Result<Channel> {
        let mut channels = self.channels.lock().expect("no holder panics");
        if let Some(channel) = &channels[at] {
            return Ok(channel.clone());
        }
        let channel =
            annals_transport::connect(&self.endpoints[at], &self.identity, &ConnectOptions::client())?;
        channels[at] = Some(channel.clone());
        Ok(channel)
    }
}

impl Attempts<'_> {
    /// The channel to try now.
    ///
    /// # Errors
    /// `CONFIG` when the profile names no endpoint of this kind or an impossible one.
    pub fn channel(&self) -> Result<Channel> {
        if self.pool.endpoints.is_empty() {
            return Err(Error::new(Code::Config, format!("the profile names no {}", self.pool.kind)));
        }
        self.pool.channel(self.at % self.pool.endpoints.len())
    }

    /// What is left until the deadline.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// The endpoint answered: the next call starts with it.
    pub fn succeeded(&self) {
        self.pool.preferred.store(self.at, Ordering::Relaxed);
    }

    /// Moves on to the next endpoint if `status` says that this one cannot answer, pausing after each full round.
    ///
    /// # Errors
    /// The error that `status` is, when trying elsewhere would not help or the deadline has passed.
    pub async fn failed(&mut self, status: Status) -> Result<()> {
        if !is_transient(&status) {
            return Err(from_status(&status));
        }
        self.at += 1;
        self.failed += 1;
        let all_failed = self.failed.is_multiple_of(self.pool.endpoints.len().max(1));
        let pause = if all_failed { self.pause } else { Duration::ZERO };
        // A certificate that is not trusted now will not be later; a basis that no endpoint has is not being waited for.
        let code = from_status(&status).code();
        let hopeless = all_failed && matches!(code, Code::Unauthenticated | Code::BasisNotReached);
        if hopeless || self.left() <= pause {
            return Err(self.gave_up(&status));
        }
        if all_failed {
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }

    fn gave_up(&self, status: &Status) -> Error {
        let last = from_status(status);
        if last.code() != Code::Unreachable {
            return last;
        }
        let endpoints = self.pool.endpoints.join(", ");
        Error::new(
            Code::Unreachable,
            format!("no {} answered at {endpoints}: {}", self.pool.kind, last.message()),
        )
        .hint("check that the server runs, and the endpoints and certificates of the profile")
    }
}

/// True when another endpoint, or the same one later, may answer the very same call.
#[must_use]
pub fn is_transient(status: &Status) -> bool {
    status.code() == tonic::Code::Unavailable || is_broken(status)
}
