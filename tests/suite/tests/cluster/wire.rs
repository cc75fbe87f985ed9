//! The contract without the client library: unary `Next` on either peer, and who may call what.

use std::time::Duration;

use annals_client::{Profile, Row};
use annals_transport::{Channel, ConnectOptions, TlsFiles, TlsIdentity, connect};
use annals_wire::v1::database_service_client::DatabaseServiceClient;
use annals_wire::v1::next_request::Request as Asked;
use annals_wire::v1::query_service_client::QueryServiceClient;
use annals_wire::v1::raft_service_client::RaftServiceClient;
use annals_wire::v1::segment_service_client::SegmentServiceClient;
use annals_wire::{Rows, v1};

use crate::load::{self, DATABASE, ITEMS};
use crate::server::Folder;

const ROWS: usize = 50_000;

fn channel(profile: &Profile, endpoint: &str) -> Channel {
    let files = TlsFiles { ca: profile.ca.clone(), cert: profile.cert.clone(), key: profile.key.clone() };
    let identity = TlsIdentity::load(files).expect("the certificates are there");
    connect(endpoint, &identity, &ConnectOptions::client()).expect("an endpoint")
}

fn request(t: u64) -> v1::QueryRequest {
    let level = v1::ReadLevel { level: Some(v1::read_level::Level::AtLeastT(t)) };
    let database = v1::DatabaseValue {
        name: DATABASE.to_string(),
        read_level: Some(level),
        view: Some(v1::View::default()),
        ..v1::DatabaseValue::default()
    };
    let options = v1::StreamOptions { chunk_bytes: 32 << 10, ..v1::StreamOptions::default() };
    v1::QueryRequest {
        database: Some(database),
        query: ITEMS.to_string(),
        args: Vec::new(),
        options: Some(options),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn next_goes_on_at_either_peer() {
    let folder = Folder::new("next");
    let _dev = folder.dev(&["--nodes", "1", "--peers", "2"]);
    let client = folder.client();
    load::create(&client).await;
    let t = load::fill(&client, ROWS).await;
    for peer in [0, 1] {
        let synced = folder.client_of(peer).sync(DATABASE, Some(t), Duration::from_secs(20)).await;
        synced.expect("the peer catches up");
    }
    let profile = folder.profile();
    let mut peers: Vec<_> = profile
        .endpoints
        .iter()
        .map(|endpoint| {
            QueryServiceClient::new(channel(&profile, endpoint)).max_decoding_message_size(8 << 20)
        })
        .collect();
    let (mut request, mut rows, mut calls) = (request(t), Vec::<Row>::new(), 0);
    loop {
        let asked = v1::NextRequest { request: Some(Asked::Query(request.clone())) };
        let answer = peers[calls % 2].next(asked).await.expect("a chunk").into_inner();
        calls += 1;
        if let Some(chunk) = answer.chunk {
            let read = Rows::new(&chunk).expect("a chunk is well formed");
            rows.extend((0..read.len()).map(|at| read.row(at).expect("a row")));
            request.options.as_mut().expect("made with options").resume_token = chunk.resume_token;
        }
        if answer.trailer.is_some() {
            break;
        }
    }
    assert!(calls > 4, "only {calls} chunks");
    let whole = client.query(DATABASE, ITEMS, &[], &annals_client::Read::default()).await.expect("the query");
    assert!(rows == load::rows(whole).await, "chunk by chunk differs");
    assert_eq!(rows.len(), ROWS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_may_not_speak_for_a_node() {
    let folder = Folder::new("access");
    let _dev = folder.dev(&[]);
    let profile = folder.profile();
    let to_transactor = channel(&profile, &profile.transactors[0]);
    let vote = RaftServiceClient::new(to_transactor.clone()).vote(v1::VoteRequest::default()).await;
    assert_eq!(vote.expect_err("no member").code(), tonic::Code::PermissionDenied);
    let read =
        RaftServiceClient::new(to_transactor.clone()).read_index(v1::ReadIndexRequest::default()).await;
    assert_eq!(read.expect_err("no member").code(), tonic::Code::PermissionDenied);
    let fetch = SegmentServiceClient::new(to_transactor).fetch(v1::FetchRequest::default()).await;
    assert_eq!(fetch.expect_err("no node").code(), tonic::Code::PermissionDenied);
    load::create(&folder.client()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_calls_without_a_certificate() {
    let folder = Folder::new("anonymous");
    let _dev = folder.dev(&[]);
    let profile = folder.profile();
    let nobody = TlsIdentity::anonymous(profile.ca.clone()).expect("the authority is there");
    for endpoint in profile.endpoints.iter().chain(&profile.transactors) {
        let channel = connect(endpoint, &nobody, &ConnectOptions::client()).expect("an endpoint");
        let mut databases = DatabaseServiceClient::new(channel.clone());
        let list = databases.list_databases(v1::ListDatabasesRequest::default());
        assert_eq!(list.await.expect_err("refused").code(), tonic::Code::Unauthenticated, "{endpoint}");
        let vote = RaftServiceClient::new(channel).vote(v1::VoteRequest::default()).await;
        assert_eq!(vote.expect_err("refused").code(), tonic::Code::Unauthenticated, "{endpoint}");
    }
    load::create(&folder.client()).await;
}
