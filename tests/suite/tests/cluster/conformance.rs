//! Every case file against the doors of a running cluster: the thin client over gRPC, and a peer embedded in this process.
//!
//! `ANNALS_CASE=area/id` runs one case and prints each step with its answer.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use annals_peer::{Config, Selection as Databases};
use annals_suite::embedded::Embedded;
use annals_suite::remote::Remote;
use annals_suite::system::System;
use annals_suite::{Differences, Pending, Selection, run_files};
use annals_transport::{TlsFiles, TlsIdentity};
use annals_wire::v1;

use crate::server::Folder;

fn files(root: &Path) -> Vec<PathBuf> {
    let entries = ["oracle", "annals", "mbrainz"].iter().flat_map(|folder| {
        let entries = std::fs::read_dir(root.join(folder)).expect("the cases are there");
        entries.map(|entry| entry.expect("an entry").path())
    });
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|end| end == "edn")).collect();
    files.sort();
    files
}

fn answers_every_case(system: Arc<dyn System>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance");
    let selection = Selection {
        only: std::env::var("ANNALS_CASE").ok(),
        pending: Pending::read(&root.join("pending.edn")).expect("the list of pending cases"),
        differences: Differences::read(&root.join("differences.edn")).expect("the list of differences"),
    };
    let tally = run_files(system, &files(&root), &selection).expect("the case files");
    assert!(tally.is_good(), "cases failed; see above");
}

#[test]
fn the_thin_client_answers_every_case() {
    let folder = Folder::new("client-cases");
    let _dev = folder.dev(&["--nodes", "1", "--peers", "2"]);
    answers_every_case(Arc::new(Remote::new(folder.client()).expect("a runtime")));
}

#[test]
fn an_embedded_peer_answers_every_case() {
    let folder = Folder::new("peer-cases");
    let _dev = folder.dev(&["--nodes", "1"]);
    let (profile, pki) = (folder.profile(), folder.path().join("pki"));
    let files = TlsFiles { ca: profile.ca, cert: pki.join("peer-1.pem"), key: pki.join("peer-1.key") };
    let config = Config {
        transactors: profile.transactors,
        selection: Databases::All,
        subscriber: v1::SubscriberInfo { id: "embedded".to_owned(), ..v1::SubscriberInfo::default() },
    };
    let identity = TlsIdentity::load(files).expect("the certificates are there");
    let store = folder.path().join("store").canonicalize().expect("the store is there");
    let peer = Embedded::start(folder.client(), config, identity, &format!("file://{}", store.display()));
    answers_every_case(Arc::new(peer.expect("the peer follows the group")));
}
