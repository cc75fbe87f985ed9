//! The limits of a listener. tonic's own defaults leave several of these off.

use std::time::Duration;

/// Every limit of a listener, with its unit in its name or type.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at once; further ones wait in the kernel's queue.
    pub connections: usize,
    /// TLS handshakes at once.
    pub handshakes: usize,
    /// From accept to the end of the handshake.
    pub handshake_timeout: Duration,
    /// For the head of an HTTP/1 request.
    pub header_read_timeout: Duration,
    /// Calls at once on one connection.
    pub streams_per_connection: u32,
    /// Streams that we reset for the client's errors before the connection is closed.
    pub local_error_resets: usize,
    /// Streams that the client reset before we took them up.
    pub pending_accept_resets: usize,
    /// Size of a request's headers.
    pub header_list_bytes: u32,
    /// Unsent bytes of one stream.
    pub send_buffer_bytes: usize,
    /// What a client may send on one stream ahead of our reading.
    pub stream_window_bytes: u32,
    /// What a client may send on all streams ahead of our reading.
    pub connection_window_bytes: u32,
    /// Between pings on a silent connection.
    pub keepalive_interval: Duration,
    /// For the answer to a ping.
    pub keepalive_timeout: Duration,
    /// After this, give or take a tenth, the client is asked to connect anew, so that load spreads.
    pub connection_age: Option<Duration>,
    /// From that request to the cut.
    pub connection_age_grace: Duration,
    /// A stream is ended when its client has read nothing for so long.
    pub stream_stall_timeout: Duration,
    /// The longest deadline of a call; the deadline of calls that bring none.
    pub call_timeout_max: Duration,
}

impl Limits {
    /// For a port that clients reach.
    #[must_use]
    pub fn clients() -> Self {
        Self {
            connections: 10_000,
            handshakes: 256,
            handshake_timeout: Duration::from_secs(5),
            header_read_timeout: Duration::from_secs(5),
            streams_per_connection: 128,
            local_error_resets: 1024,
            pending_accept_resets: 20,
            header_list_bytes: 16 << 10,
            send_buffer_bytes: 400 << 10,
            stream_window_bytes: 1 << 20,
            connection_window_bytes: 4 << 20,
            keepalive_interval: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(10),
            connection_age: Some(Duration::from_secs(30 * 60)),
            connection_age_grace: Duration::from_secs(60),
            stream_stall_timeout: Duration::from_secs(30),
            call_timeout_max: Duration::from_secs(3600),
        }
    }

    /// For a port that nodes reach: replication must not trip the protections against strangers.
    #[must_use]
    pub fn nodes() -> Self {
        Self {
            streams_per_connection: 1024,
            pending_accept_resets: 1024,
            stream_window_bytes: 4 << 20,
            connection_window_bytes: 16 << 20,
            connection_age: None,
            ..Self::clients()
        }
    }
}
