//! Writers whose every transaction is known by a number, and the count of what became of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use annals_client::{Client, Edn, Read, Results, Row, TxId};
use annals_edn::Node;
use annals_wire::v1;
use annals_wire::v1::TimePoint;
use annals_wire::v1::time_point::Point;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// The database that the tests write to.
pub const DATABASE: &str = "items";
/// Finds every item.
pub const ITEMS: &str = "[:find ?e ?n :where [?e :item/n ?n]]";
/// Not unique: a transaction applied twice must show as two entities.
const SCHEMA: &str = "[{:db/ident :item/n :db/valueType :db.type/long :db/cardinality :db.cardinality/one}]";

/// Creates the database with its attribute.
pub async fn create(client: &Client) {
    client.create_database(DATABASE, v1::DatabaseOptions::default(), false).await.expect("a new database");
    client.sync(DATABASE, None, Duration::from_secs(20)).await.expect("the peers learn of it");
    client.transact(DATABASE, SCHEMA).await.expect("the schema");
}

/// Items `0..count`, in transactions of 10,000. Answers with the last t.
pub async fn fill(client: &Client, count: usize) -> u64 {
    let mut t = 0;
    for from in (0..count).step_by(10_000) {
        let maps: String = (from..count.min(from + 10_000)).map(|n| format!("{{:item/n {n}}}")).collect();
        t = client.transact(DATABASE, &format!("[{maps}]")).await.expect("items are accepted").t;
    }
    t
}

/// An acknowledged item and when its call began.
pub struct Acknowledged {
    pub n: i64,
    pub begun: Instant,
}

/// Concurrent writers of one item a transaction; they end when this is dropped.
pub struct Writers {
    tasks: JoinSet<()>,
    acknowledged: mpsc::UnboundedReceiver<Acknowledged>,
    seen: Vec<i64>,
}

impl Writers {
    pub fn start(client: &Client, count: usize) -> Writers {
        let (sender, acknowledged) = mpsc::unbounded_channel();
        let numbers = Arc::new(AtomicU64::new(0));
        let mut tasks = JoinSet::new();
        for _ in 0..count {
            let (client, sender, numbers) = (client.clone(), sender.clone(), Arc::clone(&numbers));
            tasks.spawn(async move {
                loop {
                    let n = numbers.fetch_add(1, Ordering::Relaxed) as i64;
                    let (begun, data) = (Instant::now(), format!("[{{:item/n {n}}}]"));
                    let timeout = Duration::from_secs(30);
                    if client.transact_as(DATABASE, &data, TxId::random(), timeout).await.is_ok() {
                        let _ = sender.send(Acknowledged { n, begun });
                    }
                }
            });
        }
        Writers { tasks, acknowledged, seen: Vec::new() }
    }

    /// Waits for the next acknowledgement.
    pub async fn next(&mut self) -> Acknowledged {
        let next = tokio::time::timeout(Duration::from_secs(30), self.acknowledged.recv()).await;
        let next = next.expect("writes go on").expect("the writers run");
        self.seen.push(next.n);
        next
    }

    /// Waits for so many acknowledgements.
    pub async fn wait(&mut self, count: usize) {
        for _ in 0..count {
            self.next().await;
        }
    }

    /// Ends the writers wherever they are; every acknowledged number.
    pub async fn stop(mut self) -> Vec<i64> {
        self.tasks.shutdown().await;
        while let Ok(last) = self.acknowledged.try_recv() {
            self.seen.push(last.n);
        }
        self.seen
    }
}

/// All rows of a result.
pub async fn rows(mut results: Results) -> Vec<Row> {
    let mut rows = Vec::new();
    while let Some(row) = results.next().await.expect("the result goes on") {
        rows.push(row);
    }
    rows
}

/// All chunks of a result, without their tokens.
pub async fn chunks(mut results: Results) -> Vec<v1::Chunk> {
    let mut chunks = Vec::new();
    while let Some(mut chunk) = results.next_chunk().await.expect("the result goes on") {
        chunk.resume_token = Default::default();
        chunks.push(chunk);
    }
    chunks
}

fn long(form: &Edn) -> i64 {
    match form.node {
        Node::Long(n) => n,
        ref other => panic!("{other:?} is no long"),
    }
}

/// How often each item is there, by the query and by the log, which must agree.
pub async fn counts(client: &Client) -> BTreeMap<i64, usize> {
    let mut counts = BTreeMap::new();
    let results = client.query(DATABASE, ITEMS, &[], &Read::default()).await.expect("the query");
    // Both at one basis: what was in flight may still commit between the two reads.
    let end = TimePoint { point: Some(Point::TOrTx(results.header().basis_t as i64 + 1)) };
    for row in rows(results).await {
        *counts.entry(long(&row[1])).or_default() += 1;
    }
    let mut logged: BTreeMap<i64, usize> = BTreeMap::new();
    let log = client.log(DATABASE, None, Some(end), &Read::default()).await.expect("the log");
    for row in rows(log).await {
        // t, then the datom.
        if row[2].to_string() == ":item/n" {
            *logged.entry(long(&row[3])).or_default() += 1;
        }
    }
    assert_eq!(counts, logged, "the index and the log differ");
    counts
}

/// Asserts that each acknowledged item is there once and nothing is there twice.
pub fn assert_exactly_once(acknowledged: &[i64], counts: &BTreeMap<i64, usize>) {
    let lost: Vec<_> = acknowledged.iter().filter(|n| !counts.contains_key(n)).collect();
    assert!(lost.is_empty(), "acknowledged, and lost: {lost:?}");
    let twice: Vec<_> = counts.iter().filter(|(_, count)| **count != 1).collect();
    assert!(twice.is_empty(), "applied more than once: {twice:?}");
}
