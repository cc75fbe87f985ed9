//! Streams whose client does not read.
//!
//! HTTP/2 asks a body for more only while the client has room, so a body cannot end itself when its client stops
//! reading: nobody polls it. The connection looks after them instead. A stream past its deadline, or one whose client
//! took nothing for [`crate::Limits::stream_stall_timeout`], loses its producer at once; the client, should it read
//! on, finds the reason in the trailers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use annals_edn::{Code, Error};
use axum::body::Body;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::body::deadline_exceeded;

/// The longest time between two looks.
const LOOK_MAX: Duration = Duration::from_secs(1);

/// The streams of one connection. In the extensions of its requests as `Arc<Watch>`.
pub(crate) struct Watch {
    stall_timeout: Duration,
    streams: Mutex<Vec<Weak<Stream>>>,
    first: Notify,
}

/// One watched body.
pub(crate) struct Stream {
    deadline: Option<Instant>,
    /// True while the client is the one to act: the last frame was handed over and no more was asked for.
    handed_over: AtomicBool,
    state: Mutex<State>,
}

pub(crate) struct State {
    /// `None` once it has ended.
    pub(crate) body: Option<Body>,
    /// Why we ended it.
    pub(crate) reason: Option<Error>,
    last_frame: Instant,
}

impl Watch {
    pub(crate) fn new(stall_timeout: Duration) -> Self {
        Self { stall_timeout, streams: Mutex::default(), first: Notify::new() }
    }

    /// Takes a body into care.
    pub(crate) fn add(&self, body: Body, deadline: Option<Instant>) -> Arc<Stream> {
        let state = State { body: Some(body), reason: None, last_frame: Instant::now() };
        let handed_over = AtomicBool::new(false);
        let stream = Arc::new(Stream { deadline, handed_over, state: Mutex::new(state) });
        lock(&self.streams).push(Arc::downgrade(&stream));
        self.first.notify_one();
        stream
    }

    /// Looks after the streams for ever. Run beside the connection.
    pub(crate) async fn run(&self) {
        loop {
            if lock(&self.streams).is_empty() {
                self.first.notified().await;
            }
            tokio::time::sleep((self.stall_timeout / 4).min(LOOK_MAX)).await;
            self.look(Instant::now());
        }
    }

    /// Ends what is over; linear in the streams of the connection.
    fn look(&self, now: Instant) {
        let streams: Vec<Arc<Stream>> = {
            let mut streams = lock(&self.streams);
            streams.retain(|stream| stream.strong_count() > 0);
            streams.iter().filter_map(Weak::upgrade).collect()
        };
        for stream in streams {
            stream.look(now, self.stall_timeout);
        }
    }
}

impl Stream {
    /// The body, or why there is none.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Notes whether a poll gave a frame away.
    pub(crate) fn note(&self, state: &mut State, frame: bool) {
        self.handed_over.store(frame, Ordering::Relaxed);
        if frame {
            state.last_frame = Instant::now();
        }
    }

    fn look(&self, now: Instant, stall_timeout: Duration) {
        let mut state = self.state();
        let late = self.deadline.is_some_and(|deadline| deadline <= now);
        let stalled = self.handed_over.load(Ordering::Relaxed)
            && now.saturating_duration_since(state.last_frame) >= stall_timeout;
        if state.body.is_some() && (late || stalled) {
            state.reason = Some(if late { deadline_exceeded() } else { stream_stalled(stall_timeout) });
            let body = state.body.take();
            drop(state);
            drop(body);
        }
    }
}

fn stream_stalled(timeout: Duration) -> Error {
    Error::new(
        Code::StreamStalled,
        format!("nothing was read from the stream for {} s", timeout.as_secs_f32()),
    )
    .hint("read faster, or continue with the last resume token")
}

/// Nothing panics while these are held; a poisoned lock is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
