//! Walks along an index and filtered results, taken by unary calls at two peers in turns; entities and counts.

use std::time::Duration;

use annals_client::{Client, Edn, Read, Row, Walk};
use annals_wire::v1::next_request::Request as Asked;
use annals_wire::{Rows, v1};

use crate::load::{self, DATABASE, ITEMS};
use crate::server::Folder;
use crate::wire::{Peer, peers, request};

const ROWS: usize = 20_000;

/// The rows of a result that is taken by unary calls; `asked` makes the request that goes on at a token.
async fn chunk_by_chunk(peers: &[Peer], asked: impl Fn(Vec<u8>) -> Asked) -> Vec<Row> {
    let (mut rows, mut token) = (Vec::new(), Vec::new());
    for call in 0.. {
        let next = v1::NextRequest { request: Some(asked(token.clone())) };
        let answer = peers[call % peers.len()].clone().next(next).await.expect("a chunk").into_inner();
        if let Some(chunk) = answer.chunk {
            let read = Rows::new(&chunk).expect("a chunk is well formed");
            rows.extend((0..read.len()).map(|at| read.row(at).expect("a row")));
            token = chunk.resume_token.to_vec();
        }
        if answer.trailer.is_some() {
            assert!(call > 3, "only {call} chunks");
            return rows;
        }
    }
    unreachable!("a result ends")
}

/// Says where two results part.
fn same(rows: &[Row], whole: &[Row]) {
    let differ = rows.iter().zip(whole).position(|(x, y)| x != y);
    assert_eq!(differ.map(|at| (at, &rows[at], &whole[at])), None);
    assert_eq!(rows.len(), whole.len());
}

fn options(token: Vec<u8>) -> Option<v1::StreamOptions> {
    Some(v1::StreamOptions {
        chunk_bytes: 32 << 10,
        resume_token: token.into(),
        ..v1::StreamOptions::default()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn walks_and_filtered_results_go_on_at_either_peer() {
    let folder = Folder::new("walks");
    let _dev = folder.dev(&["--nodes", "1", "--peers", "2"]);
    let client = folder.client();
    load::create(&client).await;
    client.transact(DATABASE, "[{:db/ident :item/n :db/index true}]").await.expect("it is indexed");
    let even = "[{:db/ident :f/even? :db/fn {:params [?a ?v] :where [(or-join [?a ?v] (and [?x :db/ident :item/n] [(!= ?x ?a)]) (and [?a :db/ident :item/n] [(even? ?v)]))]}}]";
    client.transact(DATABASE, even).await.expect("the predicate");
    let t = load::fill(&client, ROWS).await;
    for peer in [0, 1] {
        let synced = folder.client_of(peer).sync(DATABASE, Some(t), Duration::from_secs(20)).await;
        synced.expect("the peer catches up");
    }
    let peers = peers(&folder);
    let filtered = Read { filters: vec!["(f/even? ?a ?v)".to_owned()], ..Read::default() };
    let value =
        v1::DatabaseValue { filters: filtered.filters.clone(), ..request(t).database.expect("made with it") };

    walked(&client, &peers, &filtered, &value).await;

    let whole = load::rows(client.query(DATABASE, ITEMS, &[], &filtered).await.expect("the query")).await;
    assert_eq!(whole.len(), ROWS / 2);
    let rows = chunk_by_chunk(&peers, |token| {
        let database = Some(value.clone());
        Asked::Query(v1::QueryRequest { database, options: options(token), ..request(t) })
    })
    .await;
    same(&rows, &whole);

    let mode = v1::DatomsMode::Datoms;
    let components = [":item/n".to_owned()];
    let whole = client.datoms(DATABASE, v1::IndexKind::Aevt, mode, &components, &filtered).await;
    let whole = load::rows(whole.expect("the datoms")).await;
    assert_eq!(whole.len(), ROWS / 2);
    let rows = chunk_by_chunk(&peers, |token| {
        Asked::Datoms(v1::DatomsRequest {
            database: Some(value.clone()),
            index: v1::IndexKind::Aevt.into(),
            mode: mode.into(),
            components: components.to_vec(),
            options: options(token),
        })
    })
    .await;
    same(&rows, &whole);

    counts_and_entities(&client, &filtered).await;
}

async fn walked(client: &Client, peers: &[Peer], filtered: &Read, value: &v1::DatabaseValue) {
    let walk = Walk {
        index: v1::IndexKind::Avet,
        selector: "[:item/n]".to_owned(),
        start: vec![":item/n".to_owned(), "15000".to_owned()],
        reverse: true,
    };
    let whole = load::rows(client.index_pull(DATABASE, &walk, filtered).await.expect("the walk")).await;
    assert_eq!(whole.len(), 7501);
    assert_eq!(whole[1][0].get("item/n").and_then(Edn::as_long), Some(14_998));
    let rows = chunk_by_chunk(peers, |token| {
        Asked::IndexPull(v1::IndexPullRequest {
            database: Some(value.clone()),
            index: walk.index.into(),
            selector: walk.selector.clone(),
            start: walk.start.clone(),
            reverse: true,
            options: options(token),
        })
    })
    .await;
    same(&rows, &whole);
}

async fn counts_and_entities(client: &Client, filtered: &Read) {
    let stats = client.db_stats(DATABASE, filtered).await.expect("the counts");
    let items = stats.attributes.iter().find(|held| held.ident == "item/n").expect("items are counted");
    assert_eq!(
        (items.datoms, items.current, items.entities),
        (ROWS as u64 / 2, ROWS as u64 / 2, ROWS as u64 / 2)
    );
    let entity =
        client.entity(DATABASE, &[":item/n".to_owned()], &[], filtered).await.expect("the attribute");
    assert_eq!(entity[0].get("db/index").and_then(Edn::as_bool), Some(true));
    let late = Read {
        options: v1::StreamOptions { timeout_ms: 1, ..v1::StreamOptions::default() },
        filters: vec!["(f/even? ?a ?v)".to_owned(); 16],
        ..Read::default()
    };
    let refused = client.db_stats(DATABASE, &late).await.expect_err("sixteen filters take longer than this");
    assert_eq!(refused.code(), annals_client::Code::DeadlineExceeded);
}
