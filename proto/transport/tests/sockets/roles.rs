//! Who gets in without a certificate, and who with the wrong role.

use annals_edn::Code;
use annals_transport::{Role, State, TlsIdentity};
use annals_wire::from_status;
use annals_wire::v1;
use annals_wire::v1::query_service_client::QueryServiceClient;
use annals_wire::v1::raft_service_client::RaftServiceClient;
use annals_wire::v1::segment_service_client::SegmentServiceClient;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::stand::{Stand, pull};

#[tokio::test]
async fn without_a_certificate_only_health_answers() {
    let stand = Stand::start().await;
    let health = HealthClient::new(stand.anonymous()).check(HealthCheckRequest::default()).await;
    assert_eq!(health.expect("an answer").into_inner().status, ServingStatus::Serving as i32);
    let error = from_status(&pull(stand.anonymous(), "x").await.expect_err("a refusal"));
    assert_eq!(error.code(), Code::Unauthenticated);
    assert!(error.hint_text().is_some_and(|hint| hint.contains("tls.cert")), "{error:?}");
    let error = from_status(&list_services(stand.anonymous()).await.expect_err("a refusal"));
    assert_eq!(error.code(), Code::Unauthenticated);
}

async fn list_services(channel: annals_transport::Channel) -> Result<Vec<String>, tonic::Status> {
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = ServerReflectionClient::new(channel)
        .server_reflection_info(tokio_stream::once(request))
        .await?
        .into_inner();
    let answer = answers.message().await?.and_then(|answer| answer.message_response);
    match answer {
        Some(MessageResponse::ListServicesResponse(list)) => {
            Ok(list.service.into_iter().map(|service| service.name).collect())
        }
        other => panic!("not a list: {other:?}"),
    }
}

#[tokio::test]
async fn reflection_lists_the_services_to_those_who_may_ask() {
    let stand = Stand::start().await;
    let names = list_services(stand.reader()).await.expect("an answer");
    for name in ["annals.v1.QueryService", "annals.v1.RaftService", "grpc.health.v1.Health"] {
        assert!(names.iter().any(|listed| listed == name), "{name} in {names:?}");
    }
}

#[tokio::test]
async fn calls_between_nodes_are_not_for_clients() {
    let stand = Stand::start().await;
    let files = stand.client_files("boss", &[Role::Admin]);
    let boss = stand.channel(&TlsIdentity::load(files).unwrap());
    let refused = RaftServiceClient::new(boss.clone()).vote(v1::VoteRequest::default()).await;
    assert_eq!(from_status(&refused.expect_err("a refusal")).code(), Code::RoleMissing);
    let refused = SegmentServiceClient::new(boss).fetch(v1::FetchRequest::default()).await;
    assert_eq!(from_status(&refused.expect_err("a refusal")).code(), Code::RoleMissing);
    // A node passes, and finds that this server has no such service.
    let node = stand.channel(&stand.identity);
    let status = RaftServiceClient::new(node).vote(v1::VoteRequest::default()).await.expect_err("no service");
    assert_eq!(from_status(&status).code(), Code::Unsupported, "{status:?}");
}

#[tokio::test]
async fn a_certificate_without_roles_is_not_enough() {
    let stand = Stand::start().await;
    let files = stand.client_files("nobody", &[]);
    let nobody = stand.channel(&TlsIdentity::load(files).unwrap());
    let error = from_status(&pull(nobody, "x").await.expect_err("a refusal"));
    assert_eq!(error.code(), Code::RoleMissing);
    assert_eq!(error.details(), [("role".into(), "reader".to_owned())]);
}

#[tokio::test]
async fn grpc_health_follows_the_readiness() {
    let stand = Stand::start().await;
    let mut client = HealthClient::new(stand.anonymous());
    let request = HealthCheckRequest { service: "annals.v1.QueryService".into() };
    let mut status = async || client.check(request.clone()).await.expect("an answer").into_inner().status;
    assert_eq!(status().await, ServingStatus::Serving as i32);
    stand.handle.readiness().set(State::Starting).await;
    assert_eq!(status().await, ServingStatus::NotServing as i32);
    stand.handle.readiness().set(State::Ready).await;
    assert_eq!(status().await, ServingStatus::Serving as i32);
}

#[tokio::test]
async fn the_client_of_a_stream_is_refused_before_the_stream() {
    let stand = Stand::start().await;
    let refused = QueryServiceClient::new(stand.anonymous()).query(v1::QueryRequest::default()).await;
    assert_eq!(from_status(&refused.expect_err("a refusal")).code(), Code::Unauthenticated);
}
