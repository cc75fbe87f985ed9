//! The client's end: a channel to one endpoint, over TLS with our certificate, made anew by itself when it breaks.
//!
//! The endpoint's host name is checked against the server's certificate. Certificates are read at each connect, so a
//! renewed one is used from the next connection on.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use annals_edn::{Code, Error};
use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::AsyncBufReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

use crate::tls::TlsIdentity;

/// How a channel behaves.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// For TCP and TLS together.
    pub connect_timeout: Duration,
    /// Between pings, idle or not.
    pub keepalive_interval: Duration,
    /// For the answer to a ping.
    pub keepalive_timeout: Duration,
    /// What the server may send on one stream ahead of our reading.
    pub stream_window_bytes: u32,
    /// What the server may send on all streams ahead of our reading.
    pub connection_window_bytes: u32,
}

impl ConnectOptions {
    /// For clients.
    #[must_use]
    pub fn client() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            keepalive_interval: Duration::from_secs(20),
            keepalive_timeout: Duration::from_secs(10),
            stream_window_bytes: 1 << 20,
            connection_window_bytes: 4 << 20,
        }
    }

    /// Between nodes: failures show sooner, replication gets a wider window.
    #[must_use]
    pub fn node() -> Self {
        Self {
            connect_timeout: Duration::from_secs(1),
            keepalive_interval: Duration::from_secs(5),
            keepalive_timeout: Duration::from_secs(5),
            stream_window_bytes: 4 << 20,
            connection_window_bytes: 16 << 20,
        }
    }
}

/// A channel to `endpoint` (`host:port` or `https://host:port`). Connects at the first call; cheap to clone. Must be
/// called inside a tokio runtime.
///
/// # Errors
/// [`Code::Config`] if the endpoint is not one. A server that cannot be reached shows at the first call.
pub fn connect(endpoint: &str, identity: &TlsIdentity, options: &ConnectOptions) -> Result<Channel, Error> {
    let (uri, address) = parse(endpoint)?;
    let settings = Endpoint::from(uri)
        .http2_keep_alive_interval(options.keepalive_interval)
        .keep_alive_timeout(options.keepalive_timeout)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(options.stream_window_bytes)
        .initial_connection_window_size(options.connection_window_bytes)
        .http2_max_header_list_size(64 << 10);
    let (identity, timeout) = (identity.clone(), options.connect_timeout);
    let address = Arc::new(address);
    Ok(settings.connect_with_connector_lazy(service_fn(move |_: Uri| {
        let (identity, address) = (identity.clone(), address.clone());
        async move {
            tokio::time::timeout(timeout, open(&address, &identity))
                .await
                .unwrap_or_else(|_| Err(named(&address, io::ErrorKind::TimedOut, "no connection in time")))
                .map(TokioIo::new)
        }
    })))
}

/// Where to connect, and the name the certificate must carry.
struct Address {
    host: String,
    port: u16,
    name: ServerName<'static>,
}

fn parse(endpoint: &str) -> Result<(Uri, Address), Error> {
    let bad = || {
        Error::new(Code::Config, format!("not an endpoint: {endpoint:?}"))
            .hint("write host:port, for example localhost:4400")
            .with("endpoint", endpoint)
    };
    let authority = endpoint.strip_prefix("https://").unwrap_or(endpoint).trim_end_matches('/');
    let uri: Uri = format!("https://{authority}").parse().map_err(|_| bad())?;
    let host = uri.host().ok_or_else(bad)?.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = uri.port_u16().ok_or_else(bad)?;
    if authority.contains(['/', '@', '?']) {
        return Err(bad());
    }
    let name = ServerName::try_from(host.clone()).map_err(|_| bad())?;
    Ok((uri, Address { host, port, name }))
}

async fn open(address: &Address, identity: &TlsIdentity) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect((address.host.as_str(), address.port))
        .await
        .map_err(|error| named(address, error.kind(), error))?;
    stream.set_nodelay(true)?;
    let mut tls = TlsConnector::from(identity.client_config())
        .connect(address.name.clone(), stream)
        .await
        .map_err(|error| named(address, error.kind(), error))?;
    // In TLS 1.3 a server judges the client's certificate after the client believes it is done. Its first bytes, the
    // HTTP/2 settings, or the alert in their place tell; waiting for them here keeps the reason from getting lost.
    match tls.fill_buf().await {
        Ok([]) => Err(named(address, io::ErrorKind::UnexpectedEof, "the server closed the connection")),
        Ok(_) => Ok(tls),
        Err(error) => Err(named(address, error.kind(), error)),
    }
}

/// The error with the endpoint's name in it: "connection refused" alone helps nobody.
fn named(address: &Address, kind: io::ErrorKind, error: impl std::fmt::Display) -> io::Error {
    io::Error::new(kind, format!("{}:{}: {error}", address.host, address.port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_host_and_port() {
        for good in ["localhost:4400", "https://db.example.com:1/", "127.0.0.1:80", "[::1]:4400"] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for bad in ["", "localhost", "http://localhost:1", "a b:1", "h:99999", "u@h:1", "h:1/path", "h:1?q"] {
            assert_eq!(parse(bad).err().map(|error| error.code()), Some(Code::Config), "{bad}");
        }
        assert_eq!(parse("[::1]:4400").expect("legal").1.host, "::1");
    }
}
