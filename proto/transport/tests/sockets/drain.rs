//! Health over plain HTTPS, and how a server ends.

use std::sync::Arc;
use std::time::Duration;

use annals_edn::Code;
use annals_transport::{Limits, Routes, Server, State};
use annals_wire::from_status;
use annals_wire::v1;
use annals_wire::v1::query_service_client::QueryServiceClient;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::stand::{PATIENCE, Stand, pull};

/// Status line and body of a GET without a client certificate.
async fn get(stand: &Stand, path: &str) -> (String, String) {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(stand.ca()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(stand.handle.local_addr()).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut tls = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    tls.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(PATIENCE, tls.read_to_string(&mut answer)).await.expect("in time").unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("a whole answer");
    (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
}

#[tokio::test]
async fn health_answers_over_https_without_a_certificate() {
    let stand = Stand::start().await;
    for path in ["/health", "/livez", "/readyz"] {
        assert_eq!(get(&stand, path).await, ("HTTP/1.1 200 OK".into(), "ok".into()), "{path}");
    }
    stand.handle.readiness().set(State::Starting).await;
    assert_eq!(get(&stand, "/livez").await.0, "HTTP/1.1 200 OK");
    assert_eq!(get(&stand, "/readyz").await, ("HTTP/1.1 503 Service Unavailable".into(), "starting".into()));
}

#[tokio::test]
async fn the_plain_port_answers_health_and_nothing_else() {
    let stand = Stand::start().await;
    let server = Server::bind("127.0.0.1:0", stand.identity.clone(), Limits::clients()).unwrap();
    let (server, address) = server.with_plain_health("127.0.0.1:0").unwrap();
    let handle = server.serve(Routes::default()).unwrap();
    let get = async |path: &str| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("in time").unwrap();
        answer.lines().next().unwrap_or_default().to_owned()
    };
    assert_eq!(get("/readyz").await, "HTTP/1.1 503 Service Unavailable");
    handle.readiness().set(State::Ready).await;
    assert_eq!(get("/readyz").await, "HTTP/1.1 200 OK");
    assert_eq!(get("/annals.v1.QueryService/Pull").await, "HTTP/1.1 404 Not Found");
}

#[tokio::test]
async fn a_drain_lets_calls_finish_and_refuses_new_ones() {
    let stand = Stand::start().await;
    let mut request = tonic::Request::new(v1::QueryRequest::default());
    request.set_timeout(Duration::from_millis(400));
    let mut stream =
        QueryServiceClient::new(stand.reader()).query(request).await.expect("a stream").into_inner();
    stream.message().await.expect("a message");
    let handle = stand.handle.clone();
    let drain = tokio::spawn(async move { handle.drain(PATIENCE).await });
    stand.handle.readiness().draining().cancelled().await;

    let error = from_status(&pull(stand.reader(), "x").await.expect_err("a refusal"));
    assert_eq!(error.code(), Code::Draining);
    assert_eq!(get(&stand, "/readyz").await.0, "HTTP/1.1 503 Service Unavailable");
    let mut end = Ok(Some(v1::QueryResponse::default()));
    while matches!(end, Ok(Some(_))) {
        end = tokio::time::timeout(PATIENCE, stream.message()).await.expect("in time");
    }
    // It ran on to its own deadline rather than being cut off.
    assert_eq!(from_status(&end.expect_err("its deadline")).code(), Code::DeadlineExceeded);
    assert!(drain.await.unwrap(), "no call was cut off");
}

#[tokio::test]
async fn a_drain_has_a_hard_limit() {
    let stand = Stand::start().await;
    let mut stream = QueryServiceClient::new(stand.reader())
        .query(v1::QueryRequest::default())
        .await
        .unwrap()
        .into_inner();
    stream.message().await.expect("a message");
    assert!(!stand.handle.drain(Duration::from_millis(100)).await, "a call was running");
    let mut end = Ok(Some(v1::QueryResponse::default()));
    while matches!(end, Ok(Some(_))) {
        end = tokio::time::timeout(PATIENCE, stream.message()).await.expect("in time");
    }
    assert_eq!(from_status(&end.expect_err("cut off")).code(), Code::Unreachable);
}

#[tokio::test]
async fn an_old_connection_is_asked_to_leave_and_calls_go_on_over_a_new_one() {
    let limits = Limits {
        connection_age: Some(Duration::from_millis(200)),
        connection_age_grace: Duration::from_secs(10),
        ..Limits::clients()
    };
    let stand = Stand::with_limits(limits).await;
    let channel = stand.reader();
    let mut request = tonic::Request::new(v1::QueryRequest::default());
    request.set_timeout(Duration::from_millis(800));
    let mut stream = QueryServiceClient::new(channel.clone()).query(request).await.unwrap().into_inner();
    let mut end = Ok(Some(v1::QueryResponse::default()));
    while matches!(end, Ok(Some(_))) {
        end = tokio::time::timeout(PATIENCE, stream.message()).await.expect("in time");
    }
    assert_eq!(from_status(&end.expect_err("its deadline")).code(), Code::DeadlineExceeded, "age cut it off");
    let again = async || loop {
        match pull(channel.clone(), "x").await {
            // The channel notices the farewell with its next call; that call was never sent.
            Err(status) if from_status(&status).code() == Code::Unreachable => tokio::task::yield_now().await,
            answer => return answer,
        }
    };
    tokio::time::timeout(PATIENCE, again()).await.expect("in time").expect("an answer");
}
