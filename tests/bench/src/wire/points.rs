//! What takes microseconds: point queries beside a bare call, and durable transactions beside a bare fdatasync.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use annals_client::{Client, Read};
use anyhow::{Context, Result, ensure};

use super::floor::Floor;
use super::node::Node;
use super::{DATABASE, SUITE, figure, load, p50};
use crate::report::Report;

/// Turns that each side gets.
const TURNS: usize = 7;
/// Calls of a turn.
const CALLS: usize = 1000;
/// Transactions, and syncs, of a turn.
const COMMITS: usize = 200;
/// Transactions under way at once.
const IN_FLIGHT: usize = 64;
/// How long the rate of those is measured in a turn.
const RATE: Duration = Duration::from_secs(1);
/// Bytes of one synced append.
const PAGE: usize = 4096;

const POINT: &str = "[:find ?n :in $ ?k :where [?e :item/key ?k] [?e :item/name ?n]]";

/// A point query by a unique value, a pull by lookup ref, and the floor, in turns.
pub async fn queries(report: &mut Report, node: &Node, client: &Client) -> Result<()> {
    let mut floor = Floor::start(node.folder()).await?;
    let (mut bare, mut point, mut pull) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..=TURNS {
        let (mut bares, mut points, mut pulls) = (Vec::new(), Vec::new(), Vec::new());
        for n in 0..CALLS {
            let key = (turn * CALLS + n) as u64 * 7919 % load::ITEMS;
            bares.push(timed(floor.call(POINT.len() + 32)).await?);
            points.push(timed(query(client, key)).await?);
            pulls.push(timed(pulled(client, key)).await?);
        }
        // The first turn warms up.
        if turn > 0 {
            bare.push(p50(bares));
            point.push(p50(points));
            pull.push(p50(pulls));
        }
    }
    let (bare, point, pull) = (figure(bare), figure(point), figure(pull));
    report.system(SUITE, "unary-call", "bare tonic", bare, "us");
    report.figure(SUITE, "point-query", point, "us");
    report.figure(SUITE, "point-pull", pull, "us");
    let times = point.median / bare.median;
    report.note(SUITE, &format!("a point query takes {times:.2} times a bare call"));
    Ok(())
}

async fn query(client: &Client, key: u64) -> Result<()> {
    let mut rows = client.query(DATABASE, POINT, &[key.to_string()], &Read::default()).await?;
    let mut count = 0;
    while rows.next().await?.is_some() {
        count += 1;
    }
    ensure!(count == 1, "{count} rows for item {key}");
    Ok(())
}

async fn pulled(client: &Client, key: u64) -> Result<()> {
    let entity = [format!("[:item/key {key}]")];
    let found = client.pull(DATABASE, "[:item/name]", &entity, &Read::default()).await?;
    ensure!(found.len() == 1 && found[0].to_string().contains(&load::name(key)), "item {key} is not pulled");
    Ok(())
}

/// Microseconds.
async fn timed(call: impl Future<Output = Result<()>>) -> Result<f64> {
    let started = Instant::now();
    call.await?;
    Ok(started.elapsed().as_secs_f64() * 1e6)
}

/// Transactions of one datom: one after another beside synced appends, then many in flight.
pub async fn transactions(report: &mut Report, node: &Node, client: &Client) -> Result<()> {
    let mut log = Log::create(&node.folder().join("fdatasync"))?;
    let next = Arc::new(AtomicU64::new(0));
    let (mut syncs, mut commits, mut sequential, mut rates) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for turn in 0..=TURNS {
        let mut synced = Vec::new();
        let mut committed = Vec::new();
        for _ in 0..COMMITS {
            let started = Instant::now();
            log.append()?;
            synced.push(started.elapsed().as_secs_f64() * 1e6);
            committed.push(timed(commit(client, &next)).await?);
        }
        let rate = rate(client, &next).await?;
        if turn > 0 {
            sequential.push(1e6 * COMMITS as f64 / committed.iter().sum::<f64>());
            syncs.push(p50(synced));
            commits.push(p50(committed));
            rates.push(rate);
        }
    }
    let (sync, commit) = (figure(syncs), figure(commits));
    let (sequential, rate) = (figure(sequential), figure(rates));
    report.system(SUITE, "append-4k", "fdatasync", sync, "us");
    report.figure(SUITE, "commit", commit, "us");
    report.figure(SUITE, "commit-rate-1", sequential, "tx/s");
    report.figure(SUITE, &format!("commit-rate-{IN_FLIGHT}"), rate, "tx/s");
    let above = (commit.median - sync.median) / 1e3;
    let times = rate.median / sequential.median;
    report.note(SUITE, &format!("a commit takes {above:.3} ms more than fdatasync"));
    report.note(SUITE, &format!("{IN_FLIGHT} in flight commit {times:.1} times as many as one"));
    Ok(())
}

async fn commit(client: &Client, next: &AtomicU64) -> Result<()> {
    let n = next.fetch_add(1, Ordering::Relaxed);
    let report = client.transact(DATABASE, &format!("[[:db/add \"new\" :note/number {n}]]")).await?;
    ensure!(!report.datoms.is_empty(), "a commit of one datom reports none");
    Ok(())
}

async fn rate(client: &Client, next: &Arc<AtomicU64>) -> Result<f64> {
    let started = Instant::now();
    let tasks: Vec<_> = (0..IN_FLIGHT)
        .map(|_| {
            let (client, next) = (client.clone(), next.clone());
            tokio::spawn(async move {
                let mut done = 0u32;
                while started.elapsed() < RATE {
                    commit(&client, &next).await?;
                    done += 1;
                }
                anyhow::Ok(done)
            })
        })
        .collect();
    let mut done = 0;
    for task in tasks {
        done += task.await??;
    }
    Ok(f64::from(done) / started.elapsed().as_secs_f64())
}

/// A file that grows by synced pages, as a log does.
struct Log(File);

impl Log {
    fn create(path: &Path) -> Result<Log> {
        File::create(path).map(Log).with_context(|| format!("cannot create {}", path.display()))
    }

    fn append(&mut self) -> Result<()> {
        self.0.write_all(&[7; PAGE])?;
        Ok(self.0.sync_data()?)
    }
}
