//! Three members and two peer servers: the leader dies under load and comes back.

use std::time::{Duration, Instant};

use annals_client::{Client, Read};
use annals_wire::v1;

use crate::load::{self, DATABASE, ITEMS, Writers};
use crate::server::{Folder, Process, signal};

/// How long writes may stand still when the leader dies.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Asks for the status until `good`, each question a round trip.
async fn status_when(client: &Client, good: impl Fn(&v1::StatusResponse) -> bool) -> v1::StatusResponse {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let status = client.status().await;
        match status {
            Ok(status) if good(&status) => return status,
            other => assert!(Instant::now() < deadline, "not in time: {other:?}"),
        }
        tokio::task::yield_now().await;
    }
}

fn leader(status: &v1::StatusResponse) -> Option<&v1::ProcessStatus> {
    status.members.iter().find(|member| member.role() == v1::ProcessRole::Leader && member.reachable)
}

/// The t of the database on a process.
fn t_of(process: &v1::ProcessStatus) -> Option<u64> {
    process.databases.iter().find(|database| database.name == DATABASE).map(|database| database.t)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_dies_under_load() {
    let folder = Folder::new("leader");
    let _dev = folder.dev(&["--nodes", "3", "--peers", "2"]);
    let client = folder.client();
    load::create(&client).await;
    let status = status_when(&client, |status| leader(status).is_some()).await;
    let old = leader(&status).expect("just seen").clone();
    let mut writers = Writers::start(&client, 8);
    writers.wait(100).await;

    signal("KILL", old.pid);
    let killed = Instant::now();
    while writers.next().await.begun < killed {}
    let pause = killed.elapsed();
    assert!(pause < LONGEST_PAUSE, "writes stood still for {pause:?}");
    writers.wait(100).await;
    let acknowledged = writers.stop().await;
    load::assert_exactly_once(&acknowledged, &load::counts(&client).await);

    let number = old.id.trim_start_matches(|c: char| !c.is_ascii_digit());
    let config = folder.path().join(format!("node-{number}.toml"));
    let _again = Process::start(&["transactor".as_ref(), "--config".as_ref(), config.as_os_str()]);
    let status = status_when(&client, |status| {
        let all: Vec<_> = status.members.iter().chain(&status.peers).map(t_of).collect();
        all.len() == 5 && all[0].is_some() && all.iter().all(|t| *t == all[0])
    })
    .await;
    assert_eq!(status.members.iter().filter(|member| member.reachable).count(), 3);
    let t = t_of(&status.members[0]).expect("just seen");
    let [one, two] = [client_rows(&folder, 0, t).await, client_rows(&folder, 1, t).await];
    assert_eq!(one.0, t);
    assert_eq!(one, two, "the peers differ");
}

/// The basis and the chunks of the query at one peer server.
async fn client_rows(folder: &Folder, peer: usize, t: u64) -> (u64, Vec<v1::Chunk>) {
    let client = folder.client_of(peer);
    client.sync(DATABASE, Some(t), Duration::from_secs(10)).await.expect("the peer catches up");
    let results = client.query(DATABASE, ITEMS, &[], &Read::default()).await.expect("the query");
    (results.header().basis_t, load::chunks(results).await)
}
