//! The floor: a unary call of tonic over rustls that does nothing, with messages as long as those of a point query.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use annals_transport::{Authority, Identity, TlsFiles};
use annals_wire::v1::transact_service_client::TransactServiceClient;
use annals_wire::v1::transact_service_server::{TransactService, TransactServiceServer};
use annals_wire::v1::{
    TransactRequest, TransactResponse, TransactionReport, TxStatusRequest, TxStatusResponse,
};
use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

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
        let client = TransactServiceClient::new(connect(address.trim(), &files).await?);
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

async fn connect(address: &str, files: &TlsFiles) -> Result<Channel> {
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(std::fs::read(&files.ca)?))
        .identity(tonic::transport::Identity::from_pem(
            std::fs::read(&files.cert)?,
            std::fs::read(&files.key)?,
        ))
        .domain_name("localhost");
    let endpoint = Endpoint::from_shared(format!("https://{address}"))?.tls_config(tls)?.tcp_nodelay(true);
    let endpoint = endpoint
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
    Ok(endpoint.connect().await?)
}

/// Serves until standard input closes; prints the address first.
pub fn serve(pki: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let read = |name: &str| std::fs::read(pki.join(name)).with_context(|| format!("cannot read {name}"));
    let identity = tonic::transport::Identity::from_pem(read("server.pem")?, read("server.key")?);
    let tls =
        ServerTlsConfig::new().identity(identity).client_ca_root(Certificate::from_pem(read("ca.pem")?));
    runtime.spawn(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        Server::builder()
            .tls_config(tls)?
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .add_service(TransactServiceServer::new(Nothing))
            .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)))
            .await?;
        anyhow::Ok(())
    });
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Answers at once.
struct Nothing;

#[tonic::async_trait]
impl TransactService for Nothing {
    async fn transact(&self, _: Request<TransactRequest>) -> Result<Response<TransactResponse>, Status> {
        let report =
            TransactionReport { lineage: vec![7; ANSWER_BYTES].into(), ..TransactionReport::default() };
        Ok(Response::new(TransactResponse { report: Some(report), replayed: false }))
    }

    async fn tx_status(&self, _: Request<TxStatusRequest>) -> Result<Response<TxStatusResponse>, Status> {
        Ok(Response::new(TxStatusResponse::default()))
    }
}
