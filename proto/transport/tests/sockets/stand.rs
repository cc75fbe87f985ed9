//! A server with a small query service, and certificates to call it with.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use annals_transport::{
    Authority, Channel, ConnectOptions, Deadline, Handle, Identity, Limits, Principal, Role, Routes, Server,
    State, TlsFiles, TlsIdentity, connect,
};
use annals_wire::v1;
use annals_wire::v1::query_service_client::QueryServiceClient;
use annals_wire::v1::query_service_server::{QueryService, QueryServiceServer};
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

pub(crate) const CLUSTER: &str = "test";
/// Longer than anything here takes, shorter than a hang.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A directory that goes away.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name =
            format!("annals-transport-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A running server, its authority, and what its service saw.
pub(crate) struct Stand {
    pub(crate) folder: Folder,
    pub(crate) authority: Authority,
    pub(crate) handle: Handle,
    pub(crate) identity: TlsIdentity,
    pub(crate) dropped_work: Arc<AtomicUsize>,
}

impl Stand {
    pub(crate) async fn start() -> Self {
        Self::with_limits(Limits::clients()).await
    }

    pub(crate) async fn with_limits(limits: Limits) -> Self {
        let folder = Folder::new();
        let authority = Authority::open_or_create(&folder.0.join("ca"), CLUSTER).unwrap();
        let files = authority.ensure(&Identity::node(CLUSTER, "1").unwrap(), &[], &folder.0, "node").unwrap();
        let identity = TlsIdentity::load(files).unwrap();
        let server = Server::bind("127.0.0.1:0", identity.clone(), limits).unwrap();
        let dropped_work = Arc::new(AtomicUsize::new(0));
        let service = Echo { dropped_work: dropped_work.clone() };
        let service = QueryServiceServer::new(service).max_decoding_message_size(4096);
        let handle = server.serve_on_threads(Routes::new(service), 1).unwrap();
        handle.readiness().set(State::Ready).await;
        Self { folder, authority, handle, identity, dropped_work }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("localhost:{}", self.handle.local_addr().port())
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.authority.certificate()
    }

    pub(crate) fn client_files(&self, name: &str, roles: &[Role]) -> TlsFiles {
        let identity = Identity::client(CLUSTER, name, roles).unwrap();
        self.authority.issue(&identity, &[], &self.folder.0, name).unwrap()
    }

    pub(crate) fn reader(&self) -> Channel {
        self.channel(&TlsIdentity::load(self.client_files("reader", &[Role::Reader])).unwrap())
    }

    pub(crate) fn anonymous(&self) -> Channel {
        self.channel(&TlsIdentity::anonymous(self.ca()).unwrap())
    }

    pub(crate) fn channel(&self, identity: &TlsIdentity) -> Channel {
        connect(&self.endpoint(), identity, &ConnectOptions::client()).unwrap()
    }
}

/// An authority of the same name that nobody trusts.
pub(crate) fn other_authority(folder: &Path) -> Authority {
    Authority::create(&folder.join("other-ca"), CLUSTER).unwrap()
}

pub(crate) async fn pull(channel: Channel, pattern: &str) -> Result<v1::PullResponse, Status> {
    let request = v1::PullRequest { pattern: pattern.to_owned(), ..Default::default() };
    tokio::time::timeout(PATIENCE, QueryServiceClient::new(channel).pull(request))
        .await
        .expect("an answer in time")
        .map(Response::into_inner)
}

/// Answers pulls with what it saw; queries with an endless stream, slow or as fast as it can.
struct Echo {
    dropped_work: Arc<AtomicUsize>,
}

type Results<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl QueryService for Echo {
    type QueryStream = Results<v1::QueryResponse>;
    type DatomsStream = Results<v1::DatomsResponse>;
    type LogStream = Results<v1::LogResponse>;
    type IndexPullStream = Results<v1::IndexPullResponse>;

    async fn query(&self, request: Request<v1::QueryRequest>) -> Result<Response<Self::QueryStream>, Status> {
        let work = Work(self.dropped_work.clone());
        if request.into_inner().query == "flood" {
            let chunk = v1::Chunk { resume_token: vec![0; 64 << 10].into(), ..Default::default() };
            let message = Some(v1::query_response::Message::Chunk(chunk));
            let messages = std::iter::repeat_with(move || {
                let _work = &work;
                Ok(v1::QueryResponse { message: message.clone() })
            });
            return Ok(Response::new(Box::pin(tokio_stream::iter(messages))));
        }
        Ok(Response::new(Box::pin(Endless { _work: work, ticks: ticks() })))
    }

    async fn next(&self, _: Request<v1::NextRequest>) -> Result<Response<v1::NextResponse>, Status> {
        panic!("a defect")
    }

    async fn pull(&self, request: Request<v1::PullRequest>) -> Result<Response<v1::PullResponse>, Status> {
        let principal = request.extensions().get::<Arc<Principal>>().map(|principal| principal.name.clone());
        let has_deadline = request.extensions().get::<Deadline>().is_some();
        let texts = [principal.unwrap_or_default(), has_deadline.to_string(), request.into_inner().pattern];
        if texts[2] == "wait" {
            let _work = Work(self.dropped_work.clone());
            std::future::pending::<()>().await;
        }
        let text = |text| v1::Value { kind: Some(v1::value::Kind::StringValue(text)) };
        let values = texts.into_iter().map(text).collect();
        Ok(Response::new(v1::PullResponse { values, ..Default::default() }))
    }

    async fn with(&self, _: Request<v1::WithRequest>) -> Result<Response<v1::WithResponse>, Status> {
        Ok(Response::new(v1::WithResponse::default()))
    }

    async fn datoms(&self, _: Request<v1::DatomsRequest>) -> Result<Response<Self::DatomsStream>, Status> {
        Ok(Response::new(Box::pin(tokio_stream::empty())))
    }

    async fn log(&self, _: Request<v1::LogRequest>) -> Result<Response<Self::LogStream>, Status> {
        Ok(Response::new(Box::pin(tokio_stream::empty())))
    }

    async fn index_pull(
        &self,
        _: Request<v1::IndexPullRequest>,
    ) -> Result<Response<Self::IndexPullStream>, Status> {
        Ok(Response::new(Box::pin(tokio_stream::empty())))
    }

    async fn explain(&self, _: Request<v1::ExplainRequest>) -> Result<Response<v1::ExplainResponse>, Status> {
        Ok(Response::new(v1::ExplainResponse::default()))
    }

    async fn entity(&self, _: Request<v1::EntityRequest>) -> Result<Response<v1::EntityResponse>, Status> {
        Ok(Response::new(v1::EntityResponse::default()))
    }

    async fn db_stats(
        &self,
        _: Request<v1::DbStatsRequest>,
    ) -> Result<Response<v1::DbStatsResponse>, Status> {
        Ok(Response::new(v1::DbStatsResponse::default()))
    }
}

/// A chunk now and then for ever.
struct Endless {
    _work: Work,
    ticks: tokio::time::Interval,
}

fn ticks() -> tokio::time::Interval {
    tokio::time::interval(Duration::from_millis(20))
}

impl Stream for Endless {
    type Item = Result<v1::QueryResponse, Status>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.ticks.poll_tick(cx).map(|_| Some(Ok(v1::QueryResponse::default())))
    }
}

/// Counts when it is dropped.
struct Work(Arc<AtomicUsize>);

impl Drop for Work {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}
