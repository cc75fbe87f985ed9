//! Deadlines, sizes, and requests that are not what they should be.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use annals_edn::Code;
use annals_transport::Limits;
use annals_wire::from_status;
use annals_wire::v1;
use annals_wire::v1::query_service_client::QueryServiceClient;
use http::uri::PathAndQuery;
use tonic::Request;

use crate::stand::{PATIENCE, Stand, pull};

#[tokio::test]
async fn a_stream_ends_at_its_deadline_and_its_producer_with_it() {
    let stand = Stand::start().await;
    let mut request = Request::new(v1::QueryRequest::default());
    request.set_timeout(Duration::from_millis(300));
    let begun = Instant::now();
    let mut stream =
        QueryServiceClient::new(stand.reader()).query(request).await.expect("a stream").into_inner();
    let (messages, end) = loop_until_end(&mut stream).await;
    let error = from_status(&end.expect_err("cut off"));
    assert_eq!(error.code(), Code::DeadlineExceeded, "{error:?}");
    assert!(messages > 0, "the stream ran before its end");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    dropped(&stand).await;
}

/// Waits until the server has let go of one call's work.
async fn dropped(stand: &Stand) {
    let deadline = Instant::now() + PATIENCE;
    while stand.dropped_work.load(Ordering::SeqCst) == 0 {
        assert!(Instant::now() < deadline, "the work was not dropped");
        tokio::task::yield_now().await;
    }
}

async fn loop_until_end(
    stream: &mut tonic::Streaming<v1::QueryResponse>,
) -> (usize, Result<(), tonic::Status>) {
    let mut messages = 0;
    loop {
        match tokio::time::timeout(PATIENCE, stream.message()).await.expect("an end in time") {
            Ok(Some(_)) => messages += 1,
            Ok(None) => return (messages, Ok(())),
            Err(status) => return (messages, Err(status)),
        }
    }
}

fn flood() -> v1::QueryRequest {
    v1::QueryRequest { query: "flood".into(), ..Default::default() }
}

#[tokio::test]
async fn a_producer_that_never_waits_ends_at_its_deadline_too() {
    let stand = Stand::start().await;
    let mut request = Request::new(flood());
    request.set_timeout(Duration::from_millis(300));
    let mut stream =
        QueryServiceClient::new(stand.reader()).query(request).await.expect("a stream").into_inner();
    let (messages, end) = loop_until_end(&mut stream).await;
    assert_eq!(from_status(&end.expect_err("cut off")).code(), Code::DeadlineExceeded);
    assert!(messages > 2, "it was a stream");
    dropped(&stand).await;
}

#[tokio::test]
async fn a_stream_that_nobody_reads_loses_its_producer() {
    let limits = Limits { stream_stall_timeout: Duration::from_millis(300), ..Limits::clients() };
    let stand = Stand::with_limits(limits).await;
    let mut stream =
        QueryServiceClient::new(stand.reader()).query(flood()).await.expect("a stream").into_inner();
    stream.message().await.expect("a first message");
    dropped(&stand).await;
    // Whoever reads on finds what was sent, then the reason.
    let (_, end) = loop_until_end(&mut stream).await;
    assert_eq!(from_status(&end.expect_err("cut off")).code(), Code::StreamStalled);
}

#[tokio::test]
async fn a_stream_that_nobody_reads_ends_at_its_deadline() {
    let stand = Stand::start().await;
    let mut request = Request::new(flood());
    request.set_timeout(Duration::from_millis(500));
    let mut stream =
        QueryServiceClient::new(stand.reader()).query(request).await.expect("a stream").into_inner();
    stream.message().await.expect("a first message");
    dropped(&stand).await;
}

#[tokio::test]
async fn a_unary_call_ends_at_its_deadline_on_the_server_too() {
    let stand = Stand::start().await;
    let mut request = Request::new(v1::PullRequest { pattern: "wait".into(), ..Default::default() });
    request.set_timeout(Duration::from_millis(200));
    let status = tokio::time::timeout(PATIENCE, QueryServiceClient::new(stand.reader()).pull(request))
        .await
        .expect("in time")
        .expect_err("too late");
    assert_eq!(from_status(&status).code(), Code::DeadlineExceeded);
    dropped(&stand).await;
}

#[tokio::test]
async fn a_malformed_timeout_is_the_callers_fault() {
    let stand = Stand::start().await;
    let mut request = Request::new(v1::PullRequest::default());
    request.metadata_mut().insert("grpc-timeout", "-1S".parse().unwrap());
    let status = QueryServiceClient::new(stand.reader()).pull(request).await.expect_err("a refusal");
    assert_eq!(from_status(&status).code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_message_over_the_limit_is_resource_exhausted() {
    let stand = Stand::start().await;
    let status = pull(stand.reader(), &"x".repeat(5000)).await.expect_err("too large");
    assert_eq!(status.code(), tonic::Code::ResourceExhausted, "{status:?}");
    let error = from_status(&status);
    assert_eq!(error.code(), Code::MessageTooLarge);
    assert!(error.message().contains("4096 bytes"), "{error:?}");
}

#[tokio::test]
async fn what_is_not_protobuf_is_invalid() {
    let stand = Stand::start().await;
    // A request of another type whose field 1 is a string where a message is expected.
    let request = v1::BasisRequest { database: "\u{ff}\u{ff}".into() };
    let mut grpc = tonic::client::Grpc::new(stand.reader());
    grpc.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<v1::BasisRequest, v1::PullResponse>::default();
    let path = PathAndQuery::from_static("/annals.v1.QueryService/Pull");
    let status = grpc.unary(Request::new(request), path, codec).await.expect_err("a refusal");
    assert_eq!(status.code(), tonic::Code::InvalidArgument, "{status:?}");
    assert_eq!(from_status(&status).code(), Code::InvalidArgument);
}

#[tokio::test]
async fn unknown_methods_are_unsupported() {
    let stand = Stand::start().await;
    let mut grpc = tonic::client::Grpc::new(stand.reader());
    for path in ["/annals.v1.QueryService/Nope", "/nobody.Service/Call"] {
        grpc.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<v1::BasisRequest, v1::PullResponse>::default();
        let path = PathAndQuery::from_static(path);
        let status = grpc.unary(Request::new(v1::BasisRequest::default()), path.clone(), codec).await;
        let error = from_status(&status.expect_err("a refusal"));
        assert_eq!(error.code(), Code::Unsupported, "{path}: {error:?}");
    }
}

#[tokio::test]
async fn a_panic_is_an_error_and_the_connection_lives() {
    let stand = Stand::start().await;
    let channel = stand.reader();
    let status = QueryServiceClient::new(channel.clone()).next(v1::NextRequest::default()).await;
    assert_eq!(from_status(&status.expect_err("a defect")).code(), Code::Internal);
    pull(channel, "x").await.expect("the same connection still answers");
}
