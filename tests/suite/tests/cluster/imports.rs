//! Transactions in a stream, and imports, which are made of them: refused in the middle, killed at either end.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use annals_client::{Client, Outcome, Read, StreamOptions, TxId};
use annals_edn::Code;
use annals_wire::v1;

use crate::load::{self, DATABASE};
use crate::server::{Folder, Process, errors, signal};

/// Enough, in batches of [`BATCH`], that a command is killed long before it is through.
const LINES: usize = 60_000;
const BATCH: usize = 20;

/// A port that nobody listens on at this moment.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it is bound").port()
}

/// A node that listens at an address of our choice.
fn dev_at(folder: &Folder, listen: &str) -> Process {
    let data = folder.path().to_str().expect("the temporary directory is named in UTF-8");
    Process::start(&["dev", "--listen", listen, "--data", data])
}

fn write(folder: &Folder, lines: impl Iterator<Item = String>) -> PathBuf {
    let file = folder.path().join("items.edn");
    std::fs::write(&file, lines.collect::<String>()).expect("the folder is writable");
    file
}

fn items() -> impl Iterator<Item = String> {
    (0..LINES).map(|n| format!("{{:item/n {n}}}\n"))
}

fn arguments(file: &Path, batch: usize) -> [OsString; 5] {
    ["import".into(), "--batch".into(), batch.to_string().into(), DATABASE.into(), file.into()]
}

/// Starts an import and waits until some of it is committed.
async fn begun(folder: &Folder, client: &Client, file: &Path) -> Child {
    let patience = Duration::from_secs(20);
    let before = client.sync(DATABASE, None, patience).await.expect("a basis");
    let import = folder.command(&arguments(file, BATCH)).spawn().expect("annals starts");
    client.sync(DATABASE, Some(before + 10), patience).await.expect("the import goes on");
    import
}

/// Waits for the import to end well; everything must be there once.
async fn assert_whole(import: Child, client: &Client) {
    let ended = import.wait_with_output().expect("it is ours");
    assert!(ended.status.success(), "{}", errors(&ended));
    let counts = load::counts(client).await;
    assert_eq!(counts.len(), LINES);
    load::assert_exactly_once(&[], &counts);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_behind_a_refusal_is_applied() {
    let folder = Folder::new("refusal");
    let _dev = folder.dev(&[]);
    let client = folder.client();
    load::create(&client).await;
    let mut stream = client.transact_stream(DATABASE, StreamOptions::default());
    let ids: Vec<TxId> = (0..1000).map(|_| TxId::random()).collect();
    for (n, id) in ids.iter().enumerate() {
        let value = if n == 600 { "\"six hundred\"".to_string() } else { n.to_string() };
        stream.send(*id, format!("[{{:item/n {value}}}]")).await.expect("there is room");
    }
    let mut t = 0;
    for (n, id) in ids.iter().enumerate() {
        let (of, outcome) = stream.next().await.expect("an outcome").expect("one for each");
        assert_eq!(of, *id);
        match (n, outcome) {
            (..600, Outcome::Committed(report)) => {
                assert!(report.t > t && report.datoms.len() == 2 && report.datom_count == 2, "{report:?}");
                t = report.t;
            }
            (600, Outcome::Refused(error)) => assert_eq!(error.code(), Code::WrongTypeForAttribute),
            (601.., Outcome::NotApplied) => {}
            (n, other) => panic!("transaction {n}: {other:?}"),
        }
    }
    assert!(stream.next().await.expect("no error").is_none());
    assert_eq!(load::counts(&client).await.len(), 600);
    // The stream goes on; what was committed is told again, what was not is committed now.
    stream.send(ids[599], "[{:item/n 599}]").await.expect("there is room");
    stream.send(ids[601], "[{:item/n 601}]").await.expect("there is room");
    for (replayed, t) in [(true, t), (false, t + 1)] {
        match stream.next().await.expect("an outcome") {
            Some((_, Outcome::Committed(report))) => assert_eq!((report.replayed, report.t), (replayed, t)),
            other => panic!("{other:?}"),
        }
    }
    let mut nowhere = client.transact_stream("nowhere", StreamOptions::default());
    let refused = nowhere.send(TxId::random(), "[]").await.expect_err("there is no such database");
    assert_eq!(refused.code(), Code::DbNotFound);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_batches_go_line_by_line_in_the_order_of_the_file() {
    let folder = Folder::new("batches");
    let _dev = folder.dev(&[]);
    let client = folder.client();
    load::create(&client).await;
    let schema = "[{:db/ident :last/key :db/valueType :db.type/long :db/cardinality :db.cardinality/one :db/unique :db.unique/identity}
                   {:db/ident :last/n :db/valueType :db.type/long :db/cardinality :db.cardinality/one}]";
    client.transact(DATABASE, schema).await.expect("the schema");
    // Every fifth line writes its number over that of the one before. Some batches of 20 therefore conflict, others
    // have a bad line; with one of ten there is neither.
    let line = |n: usize| match n {
        137 | 1_502 => "{:item/n \"bad\"}\n".to_string(),
        n if n % 50 == 0 => format!("{{:last/key 1 :last/n {n}}}\n"),
        n if n < 400 && n % 5 == 0 => format!("{{:last/key 1 :last/n {n}}}\n"),
        n => format!("{{:item/n {n}}}\n"),
    };
    let file = write(&folder, (0..2_000).map(line));
    for (run, summary) in [(0, "1998 lines"), (1, "1998 lines were imported before")] {
        let ended = folder.run(&arguments(&file, 20), "");
        assert_eq!(ended.status.code(), Some(12), "{}", errors(&ended));
        let said = String::from_utf8_lossy(&ended.stdout).into_owned();
        assert!(said.contains(summary) && said.contains("2 bad lines"), "run {run}: {said}");
        for line in [138, 1_503] {
            let place = format!("{}:{line}:", file.display());
            assert!(errors(&ended).contains(&place), "{place} is not named: {}", errors(&ended));
        }
    }
    let items = load::counts(&client).await;
    load::assert_exactly_once(&[], &items);
    let written: Vec<usize> = (0..2_000).filter(|n| n % 50 == 0 || (*n < 400 && n % 5 == 0)).collect();
    assert_eq!(items.len(), 2_000 - 2 - written.len());
    assert_eq!(history(&client).await.into_values().collect::<Vec<_>>(), written);
}

/// The numbers that were written over one another, by transaction.
async fn history(client: &Client) -> BTreeMap<u64, usize> {
    let query = "[:find ?tx ?n :where [?e :last/n ?n ?tx true]]";
    let read = Read { view: v1::View { history: true, ..v1::View::default() }, ..Read::default() };
    let results = client.query(DATABASE, query, &[], &read).await.expect("the query");
    let rows = load::rows(results).await;
    let number = |form: &annals_client::Edn| form.to_string().parse::<u64>().expect("a number");
    rows.iter().map(|row| (number(&row[0]), number(&row[1]) as usize)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_is_taken_up_where_it_was_killed() {
    let folder = Folder::new("import");
    let _dev = folder.dev(&[]);
    let client = folder.client();
    load::create(&client).await;
    let file = write(&folder, items());
    let mut first = begun(&folder, &client, &file).await;
    first.kill().expect("it is ours");
    assert!(!first.wait().expect("it is ours").success(), "it was through before it was killed");
    let second = folder.command(&arguments(&file, BATCH)).spawn().expect("annals starts");
    assert_whole(second, &client).await;
    let third = folder.run(&arguments(&file, BATCH), "");
    let said = String::from_utf8_lossy(&third.stdout).into_owned();
    assert!(said.starts_with("0 lines, 0 datoms") && said.contains(&format!("{LINES} lines were")), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_outlives_its_server() {
    let folder = Folder::new("server");
    let listen = format!("127.0.0.1:{}", free_port());
    let dev = dev_at(&folder, &listen);
    load::create(&folder.client()).await;
    let file = write(&folder, items());
    let import = begun(&folder, &folder.client(), &file).await;
    dev.kill();
    let dev = dev_at(&folder, &listen);
    assert_whole(import, &folder.client()).await;
    assert_eq!(dev.terminate(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_outlives_its_leader_and_its_peer() {
    let folder = Folder::new("members");
    let _dev = folder.dev(&["--nodes", "3", "--peers", "2"]);
    let client = folder.client();
    load::create(&client).await;
    let file = write(&folder, items());
    let import = begun(&folder, &client, &file).await;
    let status = client.status().await.expect("the status");
    let leads = |member: &&v1::ProcessStatus| member.role() == v1::ProcessRole::Leader && member.reachable;
    signal("KILL", status.members.iter().find(leads).expect("a leader").pid);
    let peer = &folder.profile().endpoints[0];
    signal("KILL", status.peers.iter().find(|process| process.endpoint == *peer).expect("the peer").pid);
    assert_whole(import, &folder.client_of(1)).await;
}
