//! Three transactors as processes over one store, killed and started again at any moment while clients write and
//! indexes are built: nothing acknowledged is lost, nothing is there twice, and all members end alike.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use annals_transport::{Authority, Channel, ConnectOptions, Identity, Role, TlsFiles, TlsIdentity, connect};
use annals_wire::v1;
use annals_wire::v1::database_service_client::DatabaseServiceClient;
use annals_wire::v1::transact_service_client::TransactServiceClient;
use bytes::Bytes;
use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(60);
const MEMBERS: u16 = 3;
const LANES: u64 = 8;
const ROUNDS: usize = 9;
const SCHEMA: &str = "[{:db/ident :p/name :db/valueType :db.type/string :db/cardinality :db.cardinality/one
   :db/unique :db.unique/value}]";
/// Small enough that roots are published all the time.
const INDEX_THRESHOLD_BYTES: u64 = 20_000;

struct Cluster {
    dir: TempDir,
    ports: Vec<u16>,
    client: TlsIdentity,
}

/// A process that dies with the test.
struct Running(Child);

impl Running {
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already gone if the test killed it.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Cluster {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::create(&dir.path().join("ca"), "chaos").unwrap();
        let sockets: Vec<_> =
            (0..MEMBERS).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let ports: Vec<u16> = sockets.iter().map(|socket| socket.local_addr().unwrap().port()).collect();
        let tester = Identity::client("chaos", "tester", &[Role::Admin]).unwrap();
        let client = TlsIdentity::load(authority.issue(&tester, &[], dir.path(), "client").unwrap()).unwrap();
        let this = Self { dir, ports, client };
        for id in 1..=usize::from(MEMBERS) {
            let identity = Identity::node("chaos", &id.to_string()).unwrap();
            let tls = authority.issue(&identity, &[], this.dir.path(), &format!("node-{id}")).unwrap();
            std::fs::write(this.config(id), this.text(id, &tls)).unwrap();
        }
        this
    }

    fn config(&self, id: usize) -> PathBuf {
        self.dir.path().join(format!("node-{id}.toml"))
    }

    fn text(&self, id: usize, tls: &TlsFiles) -> String {
        let members = self
            .ports
            .iter()
            .zip(1..)
            .map(|(port, id)| format!("{{ id = {id}, addr = \"localhost:{port}\" }}"));
        format!(
            "cluster_id = \"chaos\"\nnode_id = {id}\nlisten = \"127.0.0.1:{}\"\ndata_dir = \"data-{id}\"\n\
             store = \"file://{}\"\nbootstrap = {}\nmembers = [{}]\n\
             tls = {{ ca = {:?}, cert = {:?}, key = {:?} }}\nindex = {{ threshold_bytes = {INDEX_THRESHOLD_BYTES} }}\n",
            self.ports[id - 1],
            self.dir.path().join("store").display(),
            id == 1,
            members.collect::<Vec<_>>().join(", "),
            tls.ca,
            tls.cert,
            tls.key,
        )
    }

    fn start(&self, id: usize) -> Running {
        let child = Command::new(env!("CARGO_BIN_EXE_annals-transactor"))
            .args(["--config".into(), self.config(id)])
            .args(["--log-level", "error"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Running(child)
    }

    fn channel(&self, id: usize) -> Channel {
        let endpoint = format!("localhost:{}", self.ports[id - 1]);
        connect(&endpoint, &self.client, &ConnectOptions::client()).unwrap()
    }

    fn clients(&self) -> Vec<TransactServiceClient<Channel>> {
        (1..=self.ports.len()).map(|id| TransactServiceClient::new(self.channel(id))).collect()
    }

    /// What member `id` has: t, chain, and the t of its root.
    async fn basis(&self, id: usize) -> Option<(u64, Bytes, u64)> {
        let call = v1::BasisRequest { database: "people".into() };
        let answer = DatabaseServiceClient::new(self.channel(id)).basis(call).await.ok()?;
        answer.into_inner().database.map(|database| (database.t, database.lineage, database.root_t))
    }

    async fn create(&self) {
        let until = Instant::now() + DEADLINE;
        let call =
            v1::CreateDatabaseRequest { name: "people".into(), if_not_exists: true, ..Default::default() };
        let mut client = DatabaseServiceClient::new(self.channel(1));
        while let Err(status) = client.create_database(call.clone()).await {
            assert!(Instant::now() < until, "{status}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn call(id: u64) -> v1::TransactRequest {
    let tx_data = if id == 0 { SCHEMA.to_owned() } else { format!("[{{:p/name \"person {id}\"}}]") };
    let tx_id = Bytes::copy_from_slice(&u128::from(id).to_be_bytes());
    v1::TransactRequest { database: "people".into(), tx_id, tx_data, timeout_ms: 2_000, ..Default::default() }
}

/// Sends until some member answers, always under the same id, as client libraries do.
async fn transact(clients: &mut [TransactServiceClient<Channel>], id: u64) -> v1::TransactResponse {
    let until = Instant::now() + DEADLINE;
    let mut at = usize::try_from(id).unwrap();
    loop {
        at = (at + 1) % clients.len();
        match clients[at].transact(call(id)).await {
            Ok(answer) => return answer.into_inner(),
            Err(status) => assert!(Instant::now() < until, "transaction {id}: {status:?}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Members killed one after another, and now and then two at once, each started again a moment later.
async fn harass(cluster: &Cluster, running: &mut [Running], written: &AtomicU64) {
    for round in 0..ROUNDS {
        let before = written.load(Ordering::Relaxed);
        let until = Instant::now() + DEADLINE;
        while written.load(Ordering::Relaxed) < before + 300 {
            assert!(Instant::now() < until, "writing does not go on in round {round}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let victims: Vec<usize> =
            if round % 3 == 2 { vec![round % 3, (round + 1) % 3] } else { vec![round % 3] };
        victims.iter().for_each(|victim| running[*victim].kill());
        tokio::time::sleep(Duration::from_millis(100 + 150 * (round as u64 % 4))).await;
        for victim in victims {
            running[victim] = cluster.start(victim + 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_that_are_killed_at_any_moment_lose_and_repeat_nothing() {
    let cluster = Arc::new(Cluster::new());
    let mut running: Vec<_> = (1..=usize::from(MEMBERS)).map(|id| cluster.start(id)).collect();
    cluster.create().await;
    transact(&mut cluster.clients(), 0).await;
    let (written, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(u64::MAX)));
    let acknowledged = Arc::new(Mutex::new(BTreeMap::new()));
    let lanes: Vec<_> = (0..LANES)
        .map(|lane| {
            let (cluster, written, stop) = (Arc::clone(&cluster), Arc::clone(&written), Arc::clone(&stop));
            let acknowledged = Arc::clone(&acknowledged);
            tokio::spawn(async move {
                let mut clients = cluster.clients();
                for count in 0.. {
                    if stop.load(Ordering::Relaxed) == 0 {
                        return;
                    }
                    let id = 1 + lane + count * LANES;
                    let answer = transact(&mut clients, id).await;
                    acknowledged.lock().unwrap().insert(id, answer.report.unwrap().t);
                    written.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    harass(&cluster, &mut running, &written).await;
    stop.store(0, Ordering::Relaxed);
    for lane in lanes {
        lane.await.unwrap();
    }

    let acknowledged = std::mem::take(&mut *acknowledged.lock().unwrap());
    let mut ts: Vec<u64> = acknowledged.values().copied().collect();
    ts.sort_unstable();
    let count = u64::try_from(acknowledged.len()).unwrap();
    assert_eq!(ts, (2..=count + 1).collect::<Vec<_>>(), "every t is given once and none is left out");
    let mut clients = cluster.clients();
    for (id, t) in acknowledged.iter().step_by(7) {
        let answer = transact(&mut clients, *id).await;
        assert_eq!((answer.replayed, answer.report.unwrap().t), (true, *t), "transaction {id}");
    }
    let until = Instant::now() + DEADLINE;
    loop {
        let (a, b, c) = (cluster.basis(1).await, cluster.basis(2).await, cluster.basis(3).await);
        let alike = |basis: &Option<(u64, Bytes, u64)>| {
            basis.as_ref().is_some_and(|(t, lineage, root)| {
                *t == count + 1 && *root > 0 && a.as_ref().is_some_and(|(_, first, _)| first == lineage)
            })
        };
        if alike(&a) && alike(&b) && alike(&c) {
            return;
        }
        assert!(Instant::now() < until, "the members do not come to the same end: {a:?} {b:?} {c:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
