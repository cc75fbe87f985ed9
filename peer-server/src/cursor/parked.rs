//! Runs that wait for the next `Next`.
//!
//! A peer that has answered one chunk of a result keeps the run that made it, so that the chunk behind it is there
//! already. Whatever is kept may be dropped at any time: a token says all that is needed to begin again, here or at
//! another peer.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::stream::Events;

/// Runs kept; each holds a worker.
const RUNS: usize = 64;
/// How long a run is kept: less than its worker waits for somebody to take the next chunk.
const LIFETIME: Duration = Duration::from_secs(20);

/// Runs by the token behind the last chunk that was taken of them.
#[derive(Default)]
pub struct Parked {
    runs: Mutex<VecDeque<Run>>,
}

struct Run {
    token: Vec<u8>,
    since: Instant,
    events: Events,
}

impl Parked {
    /// Keeps what follows `token`. The run that has been here longest goes if there are too many.
    pub fn put(&self, token: Vec<u8>, events: Events) {
        let mut runs = self.runs.lock().expect("no holder panics");
        forget_old(&mut runs);
        if runs.len() == RUNS {
            runs.pop_front();
        }
        runs.push_back(Run { token, since: Instant::now(), events });
    }

    /// What follows `token`, if it is still here.
    pub fn take(&self, token: &[u8]) -> Option<Events> {
        let mut runs = self.runs.lock().expect("no holder panics");
        forget_old(&mut runs);
        let at = runs.iter().position(|run| run.token == token)?;
        runs.remove(at).map(|run| run.events)
    }
}

/// Dropping the events of a run stops it.
fn forget_old(runs: &mut VecDeque<Run>) {
    while runs.front().is_some_and(|run| run.since.elapsed() >= LIFETIME) {
        runs.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_taken_once_and_the_oldest_goes_first() {
        let parked = Parked::default();
        for token in 0..=RUNS as u8 {
            parked.put(vec![token], Box::pin(tokio_stream::empty()));
        }
        assert!(parked.take(&[0]).is_none(), "one too many");
        assert!(parked.take(&[1]).is_some());
        assert!(parked.take(&[1]).is_none(), "taken before");
        assert!(parked.take(&[RUNS as u8]).is_some());
    }
}
