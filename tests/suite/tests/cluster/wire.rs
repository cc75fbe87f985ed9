//! The contract without the client library: unary `Next` on either peer, and who may call what.

use std::time::Duration;

use annals_client::{Code, Profile, Row};
use annals_edn::{Edn, read_one};
use annals_transport::{Channel, ConnectOptions, TlsFiles, TlsIdentity, connect};
use annals_wire::v1::database_service_client::DatabaseServiceClient;
use annals_wire::v1::next_request::Request as Asked;
use annals_wire::v1::query_service_client::QueryServiceClient;
use annals_wire::v1::raft_service_client::RaftServiceClient;
use annals_wire::v1::segment_service_client::SegmentServiceClient;
use annals_wire::{Rows, from_status, v1};

use crate::load::{self, DATABASE, ITEMS};
use crate::server::Folder;

const ROWS: usize = 50_000;

fn channel(profile: &Profile, endpoint: &str) -> Channel {
    let files = TlsFiles { ca: profile.ca.clone(), cert: profile.cert.clone(), key: profile.key.clone() };
    let identity = TlsIdentity::load(files).expect("the certificates are there");
    connect(endpoint, &identity, &ConnectOptions::client()).expect("an endpoint")
}

pub(crate) fn request(t: u64) -> v1::QueryRequest {
    let level = v1::ReadLevel { level: Some(v1::read_level::Level::AtLeastT(t)) };
    let database = v1::DatabaseValue {
        name: DATABASE.to_string(),
        read_level: Some(level),
        view: Some(v1::View::default()),
        ..v1::DatabaseValue::default()
    };
    let options =
        v1::StreamOptions { chunk_bytes: 32 << 10, want_stats: true, ..v1::StreamOptions::default() };
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
    let peers = peers(&folder);
    for (query, streams) in [
        (ITEMS, true),
        ("[:find ?n :where [_ :item/n ?n]]", false),
        ("[:find (pull ?e [:item/n]) ?n :where [?e :item/n ?n]]", true),
        ("[:find ?n ?e :where [?e :item/n ?n] :order-by [[?n :desc]]]", false),
    ] {
        let request = v1::QueryRequest { query: query.to_string(), ..request(t) };
        let whole = client.query(DATABASE, query, &[], &annals_client::Read::default()).await;
        let whole = load::rows(whole.expect("the query")).await;
        assert_eq!(whole.len(), ROWS);
        let (rows, read) = chunk_by_chunk(&peers, request.clone()).await;
        assert!(rows == whole, "chunk by chunk at two peers differs: {query}");
        // Each chunk is made by a run of its own, which begins at the rows that are left if a scan delivers them.
        assert!(!streams || read < ROWS as i64 / 2, "the last run read {read} datoms: {query}");
        // Another request, so that no run of the one before is met.
        let mut request = request;
        request.options.as_mut().expect("made with options").limit = Some(1 << 40);
        let (rows, read) = chunk_by_chunk(&peers[..1], request).await;
        assert!(rows == whole, "chunk by chunk at one peer differs: {query}");
        // The peer keeps the run of the first chunk for all others.
        assert!(read >= ROWS as i64, "the run that ended had read {read} datoms: {query}");
    }
}

pub(crate) type Peer = QueryServiceClient<Channel>;

/// Every peer server of a cluster.
pub(crate) fn peers(folder: &Folder) -> Vec<Peer> {
    let profile = folder.profile();
    let peer = |endpoint: &String| {
        QueryServiceClient::new(channel(&profile, endpoint)).max_decoding_message_size(8 << 20)
    };
    profile.endpoints.iter().map(peer).collect()
}

/// The rows of a result that is taken by unary calls, at the peers in turns; the datoms that the last run read.
async fn chunk_by_chunk(peers: &[Peer], mut request: v1::QueryRequest) -> (Vec<Row>, i64) {
    let mut rows = Vec::new();
    for call in 0.. {
        let asked = v1::NextRequest { request: Some(Asked::Query(request.clone())) };
        let answer = peers[call % peers.len()].clone().next(asked).await.expect("a chunk").into_inner();
        if let Some(chunk) = answer.chunk {
            let read = Rows::new(&chunk).expect("a chunk is well formed");
            rows.extend((0..read.len()).map(|at| read.row(at).expect("a row")));
            request.options.as_mut().expect("made with options").resume_token = chunk.resume_token;
        }
        if let Some(trailer) = answer.trailer {
            assert!(call > 3, "only {call} chunks");
            assert_eq!(trailer.row_count, rows.len() as u64);
            let stats = read_one(&trailer.stats).expect("statistics were asked for");
            let datoms = stats.get("run").and_then(|run| run.get("datoms")).and_then(Edn::as_long);
            return (rows, datoms.expect("datoms are counted"));
        }
    }
    unreachable!("a result ends")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_of_one_request_and_one_database() {
    let folder = Folder::new("tokens");
    let _dev = folder.dev(&["--nodes", "1", "--peers", "2"]);
    let client = folder.client();
    load::create(&client).await;
    let t = load::fill(&client, ROWS).await;
    let profile = folder.profile();
    let mut peer = QueryServiceClient::new(channel(&profile, &profile.endpoints[0]));
    let mut asked = request(t);
    let first =
        peer.next(v1::NextRequest { request: Some(Asked::Query(asked.clone())) }).await.expect("a chunk");
    let token = first.into_inner().chunk.expect("there are rows").resume_token;
    asked.options.as_mut().expect("made with options").resume_token = token;

    let other = v1::QueryRequest { query: "[:find ?e :where [?e :item/n _]]".to_string(), ..asked.clone() };
    let refused =
        peer.next(v1::NextRequest { request: Some(Asked::Query(other)) }).await.expect_err("refused");
    assert_eq!(from_status(&refused).code(), Code::CursorMismatch);
    client.delete_database(DATABASE).await.expect("it is there");
    load::create(&client).await;
    // The peer that answered may go on where it was; another begins with the database of that name.
    let synced = folder.client_of(1).sync(DATABASE, None, Duration::from_secs(20)).await;
    synced.expect("the peer catches up");
    let mut peer = QueryServiceClient::new(channel(&profile, &profile.endpoints[1]));
    let refused =
        peer.next(v1::NextRequest { request: Some(Asked::Query(asked)) }).await.expect_err("refused");
    assert_eq!(from_status(&refused).code(), Code::CursorExpired);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_is_stopped_is_never_ready() {
    let folder = Folder::new("stopped");
    let dev = folder.dev(&[]);
    let profile = folder.profile();
    let files = TlsFiles { ca: profile.ca, cert: profile.cert, key: profile.key };
    dev.kill();
    let config = annals_peer::Config {
        transactors: profile.transactors,
        selection: annals_peer::Selection::All,
        subscriber: v1::SubscriberInfo::default(),
    };
    let store = format!("file://{}", folder.path().join("store").display());
    let roots = annals_peer::roots::stored(&store).expect("a folder");
    let identity = TlsIdentity::load(files).expect("the certificates are there");
    let peer = annals_peer::Peer::start(config, identity, roots).expect("a transactor is named");
    peer.stop().await;
    assert_eq!(peer.ready().await.expect_err("it follows nobody").code(), Code::NotReady);
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
