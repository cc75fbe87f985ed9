//! Results that outlive their peer server.

use std::collections::BTreeMap;

use annals_client::{Client, Read, Results};
use annals_wire::v1;

use crate::load::{self, DATABASE, ITEMS};
use crate::server::{Folder, signal};

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
