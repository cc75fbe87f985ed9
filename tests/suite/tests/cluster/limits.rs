//! Resources that run out: a client that stops reading, an interrupted command, a full disk.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use annals_client::{Client, Read, TxId};
use annals_wire::v1;

use crate::load::{self, DATABASE, ITEMS};
use crate::server::{Folder, PATIENCE, errors, signal};

/// Datoms of the large database.
const ROWS: usize = 1_000_000;
/// What a stalled result may cost a server, in KiB.
const MOST_GROWTH: u64 = 64 << 10;

/// Resident memory of a process, in KiB; `None` where there is no /proc.
fn resident(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

async fn begin(client: &Client, datoms: bool) -> annals_client::Results {
    let read = Read::default();
    if datoms {
        let components = [":item/n".to_string()];
        client.datoms(DATABASE, v1::IndexKind::Aevt, v1::DatomsMode::default(), &components, &read).await
    } else {
        client.query(DATABASE, ITEMS, &[], &read).await
    }
    .expect("the result begins")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_stops_reading_costs_little() {
    let folder = Folder::new("stalled");
    let _dev = folder.dev(&["--nodes", "1", "--peers", "2"]);
    let client = folder.client_of(0);
    load::create(&client).await;
    load::fill(&client, ROWS).await;
    let status = client.status().await.expect("the status");
    let endpoint = &folder.profile().endpoints[0];
    let pid = status.peers.iter().find(|peer| peer.endpoint == *endpoint).expect("the peer is known").pid;
    for datoms in [true, false] {
        // Once to the end, so that what a whole scan leaves in caches is not counted.
        let mut whole = begin(&client, datoms).await;
        while whole.next_chunk().await.expect("the result goes on").is_some() {}
        assert_eq!(whole.trailer().expect("at the end").row_count as usize, ROWS);
        let Some(before) = resident(pid) else {
            let _ = std::io::stderr().write_all(b"SKIPPED a_client_that_stops_reading_costs_little\n");
            return;
        };
        let mut stalled = begin(&client, datoms).await;
        stalled.next_chunk().await.expect("the first chunk").expect("there are many");
        // Further round trips on the same connection give the server time to run ahead, if it does.
        for _ in 0..500 {
            client.sync(DATABASE, None, Duration::from_secs(10)).await.expect("the server answers");
            let growth = resident(pid).expect("it runs").saturating_sub(before);
            assert!(growth < MOST_GROWTH, "{growth} KiB more, datoms: {datoms}");
        }
        drop(stalled);
        // Abandoned results leave nothing behind.
        for _ in 0..50 {
            let mut abandoned = begin(&client, datoms).await;
            abandoned.next_chunk().await.expect("the first chunk").expect("there are many");
        }
        let growth = resident(pid).expect("it runs").saturating_sub(before);
        assert!(growth < MOST_GROWTH, "{growth} KiB more after abandoned results, datoms: {datoms}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_query_leaves_the_server_alive() {
    let folder = Folder::new("interrupt");
    let _dev = folder.dev(&[]);
    load::create(&folder.client()).await;
    load::fill(&folder.client(), 200_000).await;
    let mut query =
        folder.command(&["query", "--format", "ndjson", DATABASE, ITEMS]).spawn().expect("annals");
    let mut output = BufReader::new(query.stdout.take().expect("its output is a pipe"));
    let mut line = String::new();
    output.read_line(&mut line).expect("a row");
    assert!(!line.is_empty(), "the query has begun");
    // Its output is not read any further, so it cannot have ended.
    signal("INT", query.id());
    drop(output);
    let ended = query.wait_with_output().expect("it is ours");
    assert_eq!(ended.status.signal(), Some(2), "{}", errors(&ended));
    let list = folder.run(&["db", "list"], "");
    assert!(list.status.success(), "the server is gone: {}", errors(&list));
}

/// Processor time of a process so far, in ticks (10 ms); `None` where there is no /proc.
fn processor_ticks(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}

/// Waits until the processor time that the process uses in a fifth of a second is as `wanted`.
async fn until_ticks(pid: u32, wanted: impl Fn(u64) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let before = processor_ticks(pid).expect("it runs");
        tokio::time::sleep(Duration::from_millis(200)).await;
        let used = processor_ticks(pid).expect("it runs") - before;
        if wanted(used) {
            return;
        }
        assert!(Instant::now() < deadline, "{used} ticks in a fifth of a second");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_stops_computing_when_its_client_is_interrupted() {
    let folder = Folder::new("cancel");
    let dev = folder.dev(&[]);
    if processor_ticks(dev.pid()).is_none() {
        let _ =
            std::io::stderr().write_all(b"SKIPPED a_server_stops_computing_when_its_client_is_interrupted\n");
        return;
    }
    load::create(&folder.client()).await;
    load::fill(&folder.client(), 200_000).await;
    // A query of 200,000 rows for each of 200,000 rows, none of which is delivered before the last is counted.
    let pairs = "[:find (max ?c) . :where [_ :item/n ?x]
                  [(q [:find (count ?e) . :in $ ?x :where [?e :item/n ?y] [(< ?y ?x)]] $ ?x) ?c]]";
    let query = folder.command(&["query", "--timeout", "10m", DATABASE, pairs]).spawn().expect("annals");
    until_ticks(dev.pid(), |used| used >= 5).await;
    signal("INT", query.id());
    let ended = query.wait_with_output().expect("it is ours");
    assert_eq!(ended.status.signal(), Some(2), "{}", errors(&ended));
    until_ticks(dev.pid(), |used| used <= 3).await;
}

/// A small file system on a folder, taken away when dropped.
struct SmallDisk<'a>(&'a Path);

impl SmallDisk<'_> {
    /// `None` where this process may not mount.
    fn on(folder: &Path) -> Option<SmallDisk<'_>> {
        mount(&["-t", "tmpfs", "-o", "size=24m", "tmpfs"], folder).then_some(SmallDisk(folder))
    }

    fn grow(&self) {
        assert!(mount(&["-o", "remount,size=512m"], self.0), "a mounted disk grows");
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

fn mount(options: &[&str], folder: &Path) -> bool {
    let output = Command::new("mount").args(options).arg(folder).output();
    output.is_ok_and(|output| output.status.success())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_loses_nothing() {
    let folder = Folder::new("full");
    let Some(disk) = SmallDisk::on(folder.path()) else {
        let _ = std::io::stderr().write_all(b"SKIPPED a_full_disk_loses_nothing\n");
        return;
    };
    let dev = folder.dev(&[]);
    let client = folder.client();
    load::create(&client).await;
    let text = "x".repeat(100_000);
    let mut acknowledged = Vec::new();
    let refusal = loop {
        let n = acknowledged.len() as i64;
        assert!(n < 1000, "100 MB fit on a disk of 24");
        let data = format!("[{{:item/n {n} :db/doc \"{text}\"}}]");
        match client.transact_as(DATABASE, &data, TxId::random(), Duration::from_secs(5)).await {
            Ok(_) => acknowledged.push(n),
            Err(error) => break error,
        }
    };
    assert!(acknowledged.len() > 10, "refused too early: {refusal}");
    dev.kill();
    disk.grow();
    let _dev = folder.dev(&[]);
    load::assert_exactly_once(&acknowledged, &load::counts(&folder.client()).await);
    folder.client().transact(DATABASE, "[{:item/n -1}]").await.expect("writes go on");
}
