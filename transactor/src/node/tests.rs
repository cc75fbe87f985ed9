//! Transactors over mTLS: in this process, and as processes that are killed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use annals_transport::{Authority, Identity, Role as Access, TlsFiles};
use annals_wire::v1;
use annals_wire::v1::admin_service_client::AdminServiceClient;
use annals_wire::v1::database_service_client::DatabaseServiceClient;
use annals_wire::v1::feed_service_client::FeedServiceClient;
use annals_wire::v1::transact_service_client::TransactServiceClient;
use bytes::Bytes;
use tempfile::TempDir;
use tonic::transport::Channel;

use super::*;
use crate::machine::Lineage;
use crate::testing::Sums;

const DEADLINE: Duration = Duration::from_secs(20);

/// Certificates, configuration files and data directories of a group.
struct Cluster {
    dir: TempDir,
    ports: Vec<u16>,
    client: TlsIdentity,
}

impl Cluster {
    fn new(count: u16) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::create(&dir.path().join("ca"), "test").unwrap();
        let free = |_| std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let ports: Vec<u16> =
            (0..count).map(free).collect::<Vec<_>>().iter().map(|l| l.local_addr().unwrap().port()).collect();
        for id in 1..=count {
            let identity = Identity::node("test", &id.to_string()).unwrap();
            authority.issue(&identity, &[], dir.path(), &format!("node-{id}")).unwrap();
        }
        let identity = Identity::client("test", "tester", &[Access::Admin]).unwrap();
        authority.issue(&identity, &[], dir.path(), "client").unwrap();
        let folder = dir.path().to_owned();
        let files = |stem: &str| TlsFiles {
            ca: authority.certificate(),
            cert: folder.join(format!("{stem}.pem")),
            key: folder.join(format!("{stem}.key")),
        };
        let client = TlsIdentity::load(files("client")).unwrap();
        let this = Self { client, ports, dir };
        for (index, port) in this.ports.iter().enumerate() {
            let text = this.text(index + 1, *port, &files(&format!("node-{}", index + 1)));
            std::fs::write(this.path(index + 1), text).unwrap();
        }
        this
    }

    fn text(&self, id: usize, port: u16, tls: &TlsFiles) -> String {
        let member =
            |(index, port): (usize, &u16)| format!("{{ id = {}, addr = \"localhost:{port}\" }}", index + 1);
        let members: Vec<_> = self.ports.iter().enumerate().map(member).collect();
        format!(
            "cluster_id = \"test\"\nnode_id = {id}\nlisten = \"127.0.0.1:{port}\"\ndata_dir = \"data-{id}\"\n\
             bootstrap = {}\nmembers = [{}]\ntls = {{ ca = {:?}, cert = {:?}, key = {:?} }}\n",
            id == 1,
            members.join(", "),
            tls.ca,
            tls.cert,
            tls.key
        )
    }

    fn path(&self, id: usize) -> PathBuf {
        self.dir.path().join(format!("node-{id}.toml"))
    }

    async fn start(&self, id: usize) -> Node<Sums> {
        Node::start(&Config::read(&self.path(id)).unwrap(), Arc::new(Sums::default())).await.unwrap()
    }

    fn spawn(&self, id: usize) -> Running {
        let child = Process::new(std::env::current_exe().unwrap())
            .args(["--exact", "node::tests::child_that_runs_a_transactor", "--nocapture"])
            .env(CHILD_CONFIG, self.path(id))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Running(child)
    }

    fn clients(&self) -> Vec<TransactServiceClient<Channel>> {
        (1..=self.ports.len()).map(|id| TransactServiceClient::new(self.channel(id))).collect()
    }

    fn channel(&self, id: usize) -> Channel {
        let endpoint = format!("localhost:{}", self.ports[id - 1]);
        connect(&endpoint, &self.client, &ConnectOptions::client()).unwrap()
    }

    async fn create(&self, id: usize) {
        let call = v1::CreateDatabaseRequest { name: "sums".into(), ..Default::default() };
        let mut client = DatabaseServiceClient::new(self.channel(id));
        let until = Instant::now() + DEADLINE;
        while let Err(status) = client.create_database(call.clone()).await {
            assert!(Instant::now() < until, "{status}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn status(&self, id: usize) -> Option<v1::StatusResponse> {
        let mut client = AdminServiceClient::new(self.channel(id));
        let status = client.status(v1::StatusRequest { whole_group: true }).await;
        status.ok().map(tonic::Response::into_inner)
    }

    /// Waits until some member tells what `wanted` wants.
    async fn until<T>(&self, wanted: impl Fn(&v1::StatusResponse) -> Option<T>) -> T {
        let until = Instant::now() + DEADLINE;
        loop {
            for id in 1..=self.ports.len() {
                if let Some(found) = self.status(id).await.as_ref().and_then(&wanted) {
                    return found;
                }
            }
            assert!(Instant::now() < until, "the group did not come to it in time");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn leader(&self) -> usize {
        self.until(|status| {
            let leads = |member: &&v1::ProcessStatus| member.role() == v1::ProcessRole::Leader;
            status.members.iter().find(leads).map(|member| member.id.parse().unwrap())
        })
        .await
    }
}

/// A process that dies with the test.
struct Running(Child);

impl Running {
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    fn signal(&self, signal: &str) {
        let sent =
            Process::new("kill").args([format!("-{signal}"), self.0.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already gone if the test killed it.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

const CHILD_CONFIG: &str = "ANNALS_TEST_CHILD_CONFIG";

/// Not a test of its own: the process that other tests start and kill.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_runs_a_transactor() {
    let Ok(path) = std::env::var(CHILD_CONFIG) else { return };
    let config = Config::read(Path::new(&path)).unwrap();
    let _node = Node::start(&config, Arc::new(Sums::default())).await.unwrap();
    std::future::pending::<()>().await;
}

fn add_one(id: u128) -> v1::TransactRequest {
    v1::TransactRequest {
        database: "sums".into(),
        tx_id: Bytes::copy_from_slice(&id.to_be_bytes()),
        tx_data: "add 1".into(),
        timeout_ms: 3_000,
        ..Default::default()
    }
}

/// Sends until some member answers, always under the same id, as client libraries do.
async fn transact(clients: &mut [TransactServiceClient<Channel>], id: u128) -> v1::TransactResponse {
    let until = Instant::now() + DEADLINE;
    for attempt in 0.. {
        let count = clients.len();
        match clients[(id as usize + attempt) % count].transact(add_one(id)).await {
            Ok(answer) => return answer.into_inner(),
            Err(status) => assert!(Instant::now() < until, "{status}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    unreachable!("the loop ends by its deadline")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_passes_calls_on_and_serves_the_feed() {
    let cluster = Cluster::new(3);
    let nodes = [cluster.start(1).await, cluster.start(2).await, cluster.start(3).await];
    let leader = cluster.leader().await;
    let follower = leader % 3 + 1;
    cluster.create(follower).await;
    let mut client = TransactServiceClient::new(cluster.channel(follower));
    let first = client.transact(add_one(1)).await.unwrap().into_inner();
    assert_eq!((first.report.unwrap().t, first.replayed), (1, false));
    assert!(client.transact(add_one(1)).await.unwrap().into_inner().replayed);

    let all = v1::SubscribeStart { all: true, ..Default::default() };
    let start = v1::SubscribeRequest { request: Some(v1::subscribe_request::Request::Start(all)) };
    let node_tls = TlsIdentity::load(Config::read(&cluster.path(follower)).unwrap().tls_files()).unwrap();
    let endpoint = format!("localhost:{}", cluster.ports[follower - 1]);
    let channel = connect(&endpoint, &node_tls, &ConnectOptions::node()).unwrap();
    let (requests, requests_rx) = tokio::sync::mpsc::channel(1);
    requests.send(start).await.unwrap();
    let outgoing =
        futures_util::stream::unfold(requests_rx, |mut rx| async { rx.recv().await.map(|item| (item, rx)) });
    let mut feed = FeedServiceClient::new(channel).subscribe(outgoing).await.unwrap().into_inner();
    let mut seen = Vec::new();
    let mut sent = 1;
    while seen.len() < 50 {
        if sent < 50 {
            sent += 1;
            client.transact(add_one(sent)).await.unwrap();
        }
        let message = tokio::time::timeout(DEADLINE, feed.message()).await.unwrap().unwrap().unwrap();
        if let Some(v1::subscribe_response::Message::Frames(batch)) = message.message {
            seen.extend(batch.frames);
        }
    }
    let mut lineage = Lineage::default();
    for (t, frame) in (1..).zip(&seen) {
        assert_eq!((frame.t, &frame.prev_lineage[..]), (t, &lineage.0[..]));
        lineage = lineage.next(&frame.tx_body);
        assert_eq!(frame.lineage[..], lineage.0[..]);
    }
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_is_no_node() {
    let cluster = Cluster::new(1);
    let node = cluster.start(1).await;
    node.ready().await;
    let feed = FeedServiceClient::new(cluster.channel(1)).subscribe(futures_util::stream::empty()).await;
    assert_eq!(feed.unwrap_err().code(), tonic::Code::PermissionDenied);
    node.stop().await;
}

/// Writers over a group of processes: ids 1, 2, 3, …, each sent until it is acknowledged.
struct Load {
    next: Arc<AtomicU64>,
    acknowledged: Arc<Mutex<Vec<(u64, Instant)>>>,
    lanes: Vec<JoinHandle<()>>,
}

impl Load {
    fn start(cluster: &Arc<Cluster>, lanes: usize) -> Self {
        let (next, acknowledged) = (Arc::new(AtomicU64::new(1)), Arc::new(Mutex::new(Vec::new())));
        let lane = |_| {
            let (cluster, next, done) = (Arc::clone(cluster), Arc::clone(&next), Arc::clone(&acknowledged));
            tokio::spawn(async move {
                let mut clients = cluster.clients();
                loop {
                    let id = next.fetch_add(1, Ordering::Relaxed);
                    if id >= STOPPED {
                        return;
                    }
                    transact(&mut clients, id.into()).await;
                    done.lock().unwrap().push((id, Instant::now()));
                }
            })
        };
        Self { lanes: (0..lanes).map(lane).collect(), next, acknowledged }
    }

    async fn until(&self, count: usize) {
        let until = Instant::now() + DEADLINE;
        while self.acknowledged.lock().unwrap().len() < count {
            assert!(Instant::now() < until, "writing does not go on");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn count(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    /// Ends the load; what was acknowledged, and the longest time without an acknowledgement.
    async fn finish(self) -> (BTreeSet<u64>, Duration) {
        self.next.store(STOPPED, Ordering::Relaxed);
        for lane in self.lanes {
            lane.await.unwrap();
        }
        let acknowledged = std::mem::take(&mut *self.acknowledged.lock().unwrap());
        let gap = acknowledged.windows(2).map(|pair| pair[1].1 - pair[0].1).max().unwrap();
        (acknowledged.into_iter().map(|(id, _)| id).collect(), gap)
    }
}

const STOPPED: u64 = 1 << 40;

/// Everything acknowledged is there once, t is dense, and all members come to the same t.
async fn check(cluster: &Cluster, acknowledged: &BTreeSet<u64>) {
    let mut clients = cluster.clients();
    let mut ts = BTreeSet::new();
    for id in acknowledged {
        let answer = transact(&mut clients, (*id).into()).await;
        assert!(answer.replayed, "transaction {id} was acknowledged and lost");
        assert!(ts.insert(answer.report.unwrap().t), "a t was given twice");
    }
    let count = u64::try_from(acknowledged.len()).unwrap();
    assert_eq!(ts, (1..=count).collect(), "none is there twice");
    let caught_up = |member: &v1::ProcessStatus| member.databases.iter().any(|database| database.t == count);
    cluster
        .until(|status| (status.members.len() == 3 && status.members.iter().all(caught_up)).then_some(()))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_the_leader_loses_nothing_and_costs_seconds_at_most() {
    let cluster = Arc::new(Cluster::new(3));
    let mut processes: Vec<_> = (1..=3).map(|id| cluster.spawn(id)).collect();
    let leader = cluster.leader().await;
    cluster.create(leader).await;
    let load = Load::start(&cluster, 8);
    load.until(1_000).await;
    processes[leader - 1].kill();
    load.until(load.count() + 1_000).await;
    processes[leader - 1] = cluster.spawn(leader);
    load.until(load.count() + 1_000).await;
    let (acknowledged, gap) = load.finish().await;
    assert!(gap < Duration::from_secs(5), "{gap:?}");
    check(&cluster, &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_loses_its_quorum_for_a_while_repeats_and_loses_nothing() {
    let cluster = Arc::new(Cluster::new(3));
    let processes: Vec<_> = (1..=3).map(|id| cluster.spawn(id)).collect();
    let leader = cluster.leader().await;
    cluster.create(leader).await;
    let load = Load::start(&cluster, 32);
    // Longer than the lease, shorter than it takes to forget who led: the leader goes on within its term.
    for pause_ms in [500, 700, 1_200, 2_000] {
        load.until(load.count() + 500).await;
        let others: Vec<_> = (1..=3).filter(|id| *id != leader).collect();
        others.iter().for_each(|id| processes[id - 1].signal("STOP"));
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        others.iter().for_each(|id| processes[id - 1].signal("CONT"));
    }
    // Then the leader itself stands still while the others elect, and finds itself deposed.
    load.until(load.count() + 500).await;
    let leader = cluster.leader().await;
    processes[leader - 1].signal("STOP");
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    processes[leader - 1].signal("CONT");
    load.until(load.count() + 500).await;
    let (acknowledged, _) = load.finish().await;
    check(&cluster, &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_cannot_speak_for_another() {
    let cluster = Cluster::new(2);
    let node = cluster.start(1).await;
    let config = Config::read(&cluster.path(2)).unwrap();
    let tls = TlsIdentity::load(config.tls_files()).unwrap();
    let channel = connect(&format!("localhost:{}", cluster.ports[0]), &tls, &ConnectOptions::node()).unwrap();
    let envelope = |from, to| {
        let (cluster_id, wall_ms) = ("test".into(), 0);
        Some(v1::RaftEnvelope { cluster_id, from_node_id: from, to_node_id: to, wall_ms })
    };
    let mut client = v1::raft_service_client::RaftServiceClient::new(channel);
    for (from, to, expected) in
        [(3, 1, tonic::Code::PermissionDenied), (2, 9, tonic::Code::FailedPrecondition)]
    {
        let vote = v1::VoteRequest { envelope: envelope(from, to), ..Default::default() };
        assert_eq!(client.vote(vote).await.unwrap_err().code(), expected);
    }
    node.stop().await;
}

async fn write(cluster: &Cluster, id: usize, ids: std::ops::Range<u128>) {
    let mut clients = vec![TransactServiceClient::new(cluster.channel(id))];
    for id in ids {
        transact(&mut clients, id).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn published_roots_let_the_log_go_and_a_restart_begins_there() {
    let cluster = Cluster::new(1);
    let sums = Sums { store: Some(Default::default()) };
    let mut config = Config::read(&cluster.path(1)).unwrap();
    config.index.threshold_bytes = 2_000;
    let node = Node::start(&config, Arc::new(sums.clone())).await.unwrap();
    cluster.create(1).await;
    write(&cluster, 1, 1..200).await;
    let slot = node.group().database("sums", None).unwrap();
    let until = Instant::now() + DEADLINE;
    while node.group().parts().replica.adopted(slot.incarnation).is_none_or(|root| root.number < 2) {
        assert!(Instant::now() < until, "two roots come of so much novelty");
        write(&cluster, 1, 200..201).await;
        let next = u128::from(slot.t()) + 1_000;
        write(&cluster, 1, next..next + 50).await;
    }
    let (total, t) = (slot.tip().value.total, slot.t());
    node.stop().await;

    config.index.threshold_bytes = u64::MAX;
    let node = Node::start(&config, Arc::new(sums)).await.unwrap();
    node.ready().await;
    let slot = node.group().database("sums", None).unwrap();
    let tip = slot.tip();
    assert_eq!((tip.value.total, tip.t), (total, t));
    assert_eq!(tip.root.map(|root| root.covers_t), Some(t), "the stop has covered the rest");
    assert_eq!(slot.ring().bytes(), 0, "nothing had to be replayed");
    let mut client = TransactServiceClient::new(cluster.channel(1));
    assert!(client.transact(add_one(7)).await.unwrap().into_inner().replayed);
    assert_eq!(client.transact(add_one(1 << 70)).await.unwrap().into_inner().report.unwrap().t, t + 1);
    node.stop().await;
}

/// A file system of its own, of `size`; `None` where this process may not mount one.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: &Path, size: &str) -> Option<Disk> {
        std::fs::create_dir_all(at).unwrap();
        let mounted = Process::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(at)
            .status();
        mounted.is_ok_and(|status| status.success()).then(|| Disk(at.to_owned()))
    }

    fn grow(&self, size: &str) {
        let grown = Process::new("mount").args(["-o", &format!("remount,size={size}")]).arg(&self.0).status();
        assert!(grown.unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // What stays mounted if this fails goes with the machine.
        drop(Process::new("umount").arg("-l").arg(&self.0).status());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_told_and_loses_nothing() {
    let cluster = Cluster::new(1);
    let mut config = Config::read(&cluster.path(1)).unwrap();
    let Some(disk) = Disk::mount(&cluster.dir.path().join("disk"), "1m") else {
        println!("SKIPPED a_full_disk_is_told_and_loses_nothing");
        return;
    };
    config.data_dir = Some(disk.0.join("data"));
    let node = Node::start(&config, Arc::new(Sums::default())).await.unwrap();
    cluster.create(1).await;
    let mut client = TransactServiceClient::new(cluster.channel(1));
    let (mut acknowledged, mut failures) = (0, Vec::new());
    for id in 1.. {
        let mut call = add_one(id);
        call.tx_data = format!("add {:010000}", 1);
        match client.transact(call).await {
            Ok(_) => acknowledged += 1,
            Err(status) => failures.push(annals_wire::from_status(&status).code()),
        }
        assert!(acknowledged < 200, "a disk of 1 MiB is full by now");
        if failures.len() == 2 {
            break;
        }
    }
    let told = [annals_edn::Code::UnknownOutcome, annals_edn::Code::DiskFull];
    assert!(failures[0] == told[0] || failures[0] == told[1], "{failures:?}");
    assert_eq!(failures[1], told[1]);
    assert!(cluster.status(1).await.is_some(), "the server lives");
    node.stop().await;

    disk.grow("64m");
    let node = Node::start(&config, Arc::new(Sums::default())).await.unwrap();
    node.ready().await;
    let tip = node.group().database("sums", None).unwrap().tip();
    assert!(tip.t == acknowledged || tip.t == acknowledged + 1, "the last one's fate was unknown");
    assert_eq!(u64::try_from(tip.value.total).unwrap(), tip.t);
    node.stop().await;
}
