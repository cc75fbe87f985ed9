//! The floor: a unary call of tonic over rustls that does nothing, with messages as long as those of a point query.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use annals_transport::{Authority, ConnectOptions, Identity, TlsIdentity, connect};
use annals_wire::v1::transact_service_client::TransactServiceClient;
use annals_wire::v1::transact_service_server::{TransactService, TransactServiceServer};
use annals_wire::v1::{
    TransactRequest, TransactResponse, TransactStreamRequest, TransactStreamResponse, TransactionReport,
    TxStatusRequest, TxStatusResponse,
};
use anyhow::{Context, Result};
use futures_util::stream;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::TLS13;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status, Streaming};

use super::socket::Socket;

const CLUSTER: &str = "floor";
/// Bytes of an answer: a small row, its header and its trailer.
const ANSWER_BYTES: usize = 128;
/// Windows as wide as the product's.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;

/// A floor server in a process of its own, and a client of it.
pub struct Floor {
    child: Child,
    client: TransactServiceClient<Channel>,
}

impl Floor {
    /// Makes certificates in `folder`, starts this executable again as a floor server, and connects.
    pub async fn start(folder: &Path) -> Result<Floor> {
        let pki = folder.join("floor");
        let authority = Authority::open_or_create(&pki, CLUSTER)?;
        authority.ensure(&Identity::node(CLUSTER, "floor-1")?, &[], &pki, "server")?;
        let files = authority.ensure(&Identity::client(CLUSTER, "bench", &[])?, &[], &pki, "client")?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg("floor")
            .arg(&pki)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut address = String::new();
        let output = child.stdout.take().context("the output is piped")?;
        BufReader::new(output).read_line(&mut address)?;
        let identity = TlsIdentity::load(files)?;
        let channel = connect(address.trim(), &identity, &ConnectOptions::client())?;
        let client = TransactServiceClient::new(channel);
        Ok(Floor { child, client })
    }

    /// One call with a request of about `bytes` bytes.
    pub async fn call(&mut self, bytes: usize) -> Result<()> {
        let request = TransactRequest {
            tx_id: vec![7; 16].into(),
            tx_data: "x".repeat(bytes),
            timeout_ms: 60_000,
            ..TransactRequest::default()
        };
        let mut request = Request::new(request);
        request.set_timeout(Duration::from_secs(60));
        self.client.transact(request).await?;
        Ok(())
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves until standard input closes; prints the address first.
pub fn serve(pki: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let acceptor = TlsAcceptor::from(Arc::new(tls(pki)?));
    runtime.spawn(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        // One client connects once, so the next connection is not awaited before the handshake of this one is done.
        let sockets = stream::unfold((listener, acceptor), |(listener, acceptor)| async {
            let socket = accept(&listener, &acceptor).await;
            Some((socket, (listener, acceptor)))
        });
        Server::builder()
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .add_service(TransactServiceServer::new(Nothing))
            .serve_with_incoming(sockets)
            .await?;
        anyhow::Ok(())
    });
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// TLS 1.3 by ring, as the product has it.
fn tls(pki: &Path) -> Result<ServerConfig> {
    let chain = CertificateDer::pem_file_iter(pki.join("server.pem"))?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(pki.join("server.key"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13])?;
    let mut config = builder.with_no_client_auth().with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

async fn accept(listener: &TcpListener, acceptor: &TlsAcceptor) -> std::io::Result<Socket> {
    let (plain, _) = listener.accept().await?;
    plain.set_nodelay(true)?;
    Ok(Socket(acceptor.accept(plain).await?))
}

/// Answers at once.
struct Nothing;

#[tonic::async_trait]
impl TransactService for Nothing {
    type TransactStreamStream = stream::Empty<Result<TransactStreamResponse, Status>>;

    async fn transact(&self, _: Request<TransactRequest>) -> Result<Response<TransactResponse>, Status> {
        let report =
            TransactionReport { lineage: vec![7; ANSWER_BYTES].into(), ..TransactionReport::default() };
        Ok(Response::new(TransactResponse { report: Some(report), replayed: false }))
    }

    async fn tx_status(&self, _: Request<TxStatusRequest>) -> Result<Response<TxStatusResponse>, Status> {
        Ok(Response::new(TxStatusResponse::default()))
    }

    async fn transact_stream(
        &self,
        _: Request<Streaming<TransactStreamRequest>>,
    ) -> Result<Response<Self::TransactStreamStream>, Status> {
        Ok(Response::new(stream::empty()))
    }
}
