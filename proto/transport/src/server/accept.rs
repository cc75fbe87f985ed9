//! The accept loop, and its patience when the machine has nothing left to accept with.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

const BACKOFF_MIN: Duration = Duration::from_millis(10);
const BACKOFF_MAX: Duration = Duration::from_secs(1);
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Accepts until `stop`; one task a connection, at most as many as `permits`.
pub(super) async fn run<F>(
    listener: TcpListener,
    permits: Arc<Semaphore>,
    stop: CancellationToken,
    each: impl Fn(TcpStream, SocketAddr, OwnedSemaphorePermit) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    tokio::select! {
        () = accept(listener, permits, each) => {}
        () = stop.cancelled() => {}
    }
}

async fn accept<F>(
    listener: TcpListener,
    permits: Arc<Semaphore>,
    each: impl Fn(TcpStream, SocketAddr, OwnedSemaphorePermit) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut backoff = Backoff::default();
    loop {
        let Ok(permit) = permits.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, peer)) => {
                backoff.reset();
                tokio::spawn(each(stream, peer, permit));
            }
            Err(error) => {
                if let Some(pause) = backoff.after(&error, Instant::now()) {
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }
}

/// Pauses that double while accepting fails for want of resources, and a log line now and then.
#[derive(Default)]
struct Backoff {
    pause: Option<Duration>,
    logged: Option<Instant>,
}

impl Backoff {
    fn reset(&mut self) {
        self.pause = None;
    }

    /// How long to wait after `error`; not at all if only that one connection failed.
    fn after(&mut self, error: &io::Error, now: Instant) -> Option<Duration> {
        if is_of_one_connection(error) {
            return None;
        }
        if self.logged.is_none_or(|logged| now.duration_since(logged) >= LOG_EVERY) {
            self.logged = Some(now);
            tracing::error!(%error, "cannot accept connections");
        }
        let pause = self.pause.map_or(BACKOFF_MIN, |pause| (pause * 2).min(BACKOFF_MAX));
        self.pause = Some(pause);
        Some(pause)
    }
}

/// True if the peer is at fault; everything else is want of file descriptors or memory.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn want_of_descriptors_is_waited_out_with_growing_pauses() {
        let emfile = io::Error::from_raw_os_error(24);
        let (mut backoff, now) = (Backoff::default(), Instant::now());
        let pauses: Vec<_> = (0..9).filter_map(|_| backoff.after(&emfile, now)).collect();
        assert_eq!((pauses[0], pauses[1], pauses[8]), (BACKOFF_MIN, BACKOFF_MIN * 2, BACKOFF_MAX));
        assert_eq!(backoff.after(&io::ErrorKind::ConnectionAborted.into(), now), None);
        backoff.reset();
        assert_eq!(backoff.after(&emfile, now), Some(BACKOFF_MIN));
    }
}
