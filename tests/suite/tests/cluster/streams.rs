//! Results that outlive their peer server, and imports that outlive their process.

use std::collections::BTreeMap;

use annals_client::{Client, Read, Results};
use annals_wire::v1;

use crate::load::{self, DATABASE, ITEMS};
use crate::server::{Folder, errors, signal};

/// Rows of the cut results: several megabytes, more than any buffer on the way holds.
const ROWS: usize = 200_000;

fn small_chunks() -> Read {
    let options = v1::StreamOptions { chunk_bytes: 32 << 10, ..v1::StreamOptions::default() };
    Read { options, ..Read::default() }
}

async fn open(client: &Client, datoms: bool) -> Results {
    let read = small_chunks();
    if datoms {
        let mode = v1::DatomsMode::default();
        client.datoms(DATABASE, v1::IndexKind::Aevt, mode, &[":item/n".to_string()], &read).await
    } else {
        client.query(DATABASE, ITEMS, &[], &read).await
    }
    .expect("the result begins")
}

/// Begins a result at the first endpoint of `client`, kills that peer, and reads on.
async fn cut(client: &Client, datoms: bool, pid: u32) -> (usize, Vec<annals_client::Row>) {
    let mut results = open(client, datoms).await;
    let mut rows = Vec::new();
    for _ in 0..1000 {
        rows.push(results.next().await.expect("a row").expect("there are more rows"));
    }
    signal("KILL", pid);
    while let Some(row) = results.next().await.expect("the other peer carries on") {
        rows.push(row);
    }
    (results.resumed(), rows)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_outlives_its_peer() {
    let folder = Folder::new("streams");
    let _dev = folder.dev(&["--nodes", "1", "--peers", "3"]);
    let client = folder.client_of(2);
    load::create(&client).await;
    let t = load::fill(&client, ROWS).await;
    let peers: BTreeMap<String, u32> = client
        .status()
        .await
        .expect("the status")
        .peers
        .into_iter()
        .map(|peer| (peer.endpoint, peer.pid))
        .collect();
    let profile = folder.profile();
    for (peer, datoms) in [(0, false), (1, true)] {
        let mut from_here = profile.clone();
        from_here.endpoints.drain(..peer);
        let from_here = Client::new(&from_here).expect("the certificates are there");
        from_here
            .sync(DATABASE, Some(t), std::time::Duration::from_secs(20))
            .await
            .expect("the peer catches up");
        let (resumed, rows) = cut(&from_here, datoms, peers[&profile.endpoints[peer]]).await;
        let whole = load::rows(open(&client, datoms).await).await;
        assert_eq!(resumed, 1, "datoms: {datoms}");
        assert_eq!(whole.len(), ROWS);
        assert!(rows == whole, "the cut result differs, datoms: {datoms}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_is_taken_up_where_it_was_killed() {
    let folder = Folder::new("import");
    let _dev = folder.dev(&[]);
    let client = folder.client();
    load::create(&client).await;
    let file = folder.path().join("items.edn");
    let lines: String = (0..20_000).map(|n| format!("{{:item/n {n}}}\n")).collect();
    std::fs::write(&file, lines).expect("the folder is writable");
    let arguments =
        ["import".as_ref(), "--batch".as_ref(), "200".as_ref(), DATABASE.as_ref(), file.as_os_str()];
    let before = client.sync(DATABASE, None, std::time::Duration::from_secs(10)).await.expect("a basis");
    let mut first = folder.command(&arguments).spawn().expect("annals starts");
    let reached = client.sync(DATABASE, Some(before + 10), std::time::Duration::from_secs(20)).await;
    reached.expect("the import goes on");
    first.kill().expect("it is ours");
    first.wait().expect("it is ours");

    let second = folder.run(&arguments, "");
    assert!(second.status.success(), "{}", errors(&second));
    let counts = load::counts(&client).await;
    assert_eq!(counts.len(), 20_000);
    load::assert_exactly_once(&[], &counts);

    std::fs::write(&file, "{:item/n 1000001}\n{:item/m 1}\n{:item/n \"one\"}\n").expect("writable");
    let bad = folder.run(&arguments, "");
    assert_eq!(bad.status.code(), Some(12), "{}", errors(&bad));
    for line in [2, 3] {
        let place = format!("{}:{line}", file.display());
        assert!(errors(&bad).contains(&place), "{place} is not named: {}", errors(&bad));
    }
}
