//! Handshakes: whose certificate is good, and how certificates change while connections live.

use annals_edn::Code;
use annals_transport::{Authority, ConnectOptions, Identity, Role, TlsFiles, TlsIdentity, connect};
use annals_wire::from_status;

use crate::stand::{CLUSTER, Folder, Stand, other_authority, pull};

#[tokio::test]
async fn a_client_with_a_certificate_is_known_by_its_identity() {
    let stand = Stand::start().await;
    let answer = pull(stand.reader(), "x").await.expect("an answer");
    let texts: Vec<String> = answer.values.into_iter().map(text).collect();
    assert_eq!(texts, ["annals://test/client/reader?roles=reader", "true", "x"]);
}

fn text(value: annals_wire::v1::Value) -> String {
    match value.kind {
        Some(annals_wire::v1::value::Kind::StringValue(text)) => text,
        other => panic!("not a string: {other:?}"),
    }
}

#[tokio::test]
async fn a_client_of_another_authority_is_turned_away() {
    let stand = Stand::start().await;
    let other = other_authority(&stand.folder.0);
    let identity = Identity::client(CLUSTER, "mallory", &[Role::Admin]).unwrap();
    let files = other.issue(&identity, &[], &stand.folder.0, "mallory").unwrap();
    // It trusts the server, so that only the server can object.
    let mixed = stand.folder.0.join("both.pem");
    let both = [files.ca.clone(), stand.ca()].map(|path| std::fs::read_to_string(path).unwrap()).concat();
    std::fs::write(&mixed, both).unwrap();
    let identity = TlsIdentity::load(TlsFiles { ca: mixed, ..files }).unwrap();
    let status = pull(stand.channel(&identity), "x").await.expect_err("a refusal");
    let error = from_status(&status);
    assert_eq!(error.code(), Code::Unauthenticated, "{error:?} from {status:?}");
}

#[tokio::test]
async fn a_server_of_another_authority_is_not_trusted() {
    let stand = Stand::start().await;
    let other = other_authority(&stand.folder.0);
    let identity = TlsIdentity::anonymous(other.certificate()).unwrap();
    let status = pull(stand.channel(&identity), "x").await.expect_err("no trust");
    let error = from_status(&status);
    assert_eq!(error.code(), Code::Unauthenticated, "{error:?} from {status:?}");
    assert!(error.message().contains("not trusted"), "{error:?}");
}

#[tokio::test]
async fn the_host_name_is_checked() {
    let stand = Stand::start().await;
    let identity = TlsIdentity::load(stand.client_files("reader", &[Role::Reader])).unwrap();
    // 127.0.0.2 reaches the loopback on Linux, but is not in the certificate.
    let server = annals_transport::Server::bind(
        "0.0.0.0:0",
        stand.identity.clone(),
        annals_transport::Limits::clients(),
    )
    .unwrap();
    let port = server.local_addr().port();
    let _handle = server.serve(annals_transport::Routes::default()).unwrap();
    let channel = connect(&format!("127.0.0.2:{port}"), &identity, &ConnectOptions::client()).unwrap();
    let error = from_status(&pull(channel, "x").await.expect_err("another name"));
    assert_eq!(error.code(), Code::Unauthenticated, "{error:?}");
    assert!(error.message().contains("127.0.0.2"), "{error:?}");
}

#[tokio::test]
async fn nobody_listening_is_unreachable_and_says_where() {
    let stand = Stand::start().await;
    let identity = TlsIdentity::anonymous(stand.ca()).unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let channel = connect(&format!("localhost:{free}"), &identity, &ConnectOptions::client()).unwrap();
    let error = from_status(&pull(channel, "x").await.expect_err("nobody"));
    assert_eq!(error.code(), Code::Unreachable, "{error:?}");
    assert!(error.message().contains(&format!("localhost:{free}")), "{error:?}");
}

#[tokio::test]
async fn certificates_change_under_a_running_server() {
    let stand = Stand::start().await;
    let before = stand.reader();
    pull(before.clone(), "x").await.expect("an answer before");
    assert!(!stand.identity.reload().unwrap(), "nothing changed yet");

    // A new authority takes over: the server presents its certificate, and trusts both while clients move.
    let other = other_authority(&stand.folder.0);
    let node = Identity::node(CLUSTER, "1").unwrap();
    other.issue(&node, &[], &stand.folder.0, "node").unwrap();
    let both = [stand.ca(), other.certificate()].map(|path| std::fs::read_to_string(path).unwrap()).concat();
    std::fs::write(stand.ca(), both).unwrap();
    assert!(stand.identity.reload().unwrap());

    pull(before, "x").await.expect("the old connection lives on");
    let client = Identity::client(CLUSTER, "fresh", &[Role::Reader]).unwrap();
    let files = other.issue(&client, &[], &stand.folder.0, "fresh").unwrap();
    pull(stand.channel(&TlsIdentity::load(files).unwrap()), "x").await.expect("the new authority's client");
}

#[tokio::test]
async fn a_broken_replacement_is_not_taken_into_use() {
    let stand = Stand::start().await;
    std::fs::write(stand.folder.0.join("node.pem"), "not a certificate").unwrap();
    let error = stand.identity.reload().expect_err("broken");
    assert_eq!(error.code(), Code::Config);
    assert!(error.message().contains("node.pem"), "{error:?}");
    pull(stand.reader(), "x").await.expect("the old settings still serve");
}

#[test]
fn a_key_that_does_not_fit_is_refused() {
    let folder = Folder::new();
    let authority = Authority::open_or_create(&folder.0, CLUSTER).unwrap();
    let node = Identity::node(CLUSTER, "1").unwrap();
    let one = authority.issue(&node, &[], &folder.0, "one").unwrap();
    let two = authority.issue(&node, &[], &folder.0, "two").unwrap();
    let mixed = TlsFiles { key: two.key, ..one };
    assert_eq!(TlsIdentity::load(mixed).err().map(|error| error.code()), Some(Code::Config));
}

#[test]
fn an_authority_is_kept_and_certificates_are_renewed_only_when_needed() {
    let folder = Folder::new();
    let authority = Authority::open_or_create(&folder.0, CLUSTER).unwrap();
    let node = Identity::node(CLUSTER, "1").unwrap();
    let files = authority.ensure(&node, &["db.example.com".into()], &folder.0, "node").unwrap();
    let first = std::fs::read(&files.cert).unwrap();

    let again = Authority::open_or_create(&folder.0, CLUSTER).unwrap();
    again.ensure(&node, &["db.example.com".into()], &folder.0, "node").unwrap();
    assert_eq!(std::fs::read(&files.cert).unwrap(), first, "a good certificate is kept");
    again.ensure(&node, &["other.example.com".into()], &folder.0, "node").unwrap();
    assert_ne!(std::fs::read(&files.cert).unwrap(), first, "a new host needs a new one");

    let error = Authority::open_or_create(&folder.0, "another").err().expect("another cluster");
    assert_eq!(error.code(), Code::Config);
    assert!(Authority::create(&folder.0, CLUSTER).is_err(), "an authority is never replaced");
}

#[cfg(unix)]
#[test]
fn keys_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let authority = Authority::open_or_create(&folder.0, CLUSTER).unwrap();
    let files = authority.ensure(&Identity::node(CLUSTER, "1").unwrap(), &[], &folder.0, "node").unwrap();
    for key in [folder.0.join("ca.key"), files.key] {
        assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600, "{key:?}");
    }
}
