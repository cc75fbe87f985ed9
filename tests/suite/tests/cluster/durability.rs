//! One node: killed under load, stopped, started again; its directory is its own.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::load::{self, Writers};
use crate::server::{Folder, errors};

/// A number that differs from run to run: when to kill.
fn any_of(range: std::ops::Range<u32>) -> u32 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    range.start + now.subsec_micros() % range.len() as u32
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_transactions_survive_kill_and_stop() {
    let folder = Folder::new("kill");
    let dev = folder.dev(&[]);
    let client = folder.client();
    load::create(&client).await;
    let mut writers = Writers::start(&client, 16);
    let count = any_of(200..1000);
    writers.wait(count as usize).await;
    dev.kill();
    let acknowledged = writers.stop().await;

    let dev = folder.dev(&[]);
    let after_kill = load::counts(&folder.client()).await;
    load::assert_exactly_once(&acknowledged, &after_kill);
    assert_eq!(dev.terminate(), Some(0), "SIGTERM leaves cleanly");

    // Stopping wrote an index; the next start reads its root.
    let dev = folder.dev(&[]);
    assert_eq!(load::counts(&folder.client()).await, after_kill);
    assert_eq!(dev.terminate(), Some(0));
}

#[test]
fn a_second_process_is_kept_out() {
    let folder = Folder::new("lock");
    let _dev = folder.dev(&[]);
    let data = folder.path().to_str().expect("UTF-8");
    let second = folder.run(&["dev", "--listen", "127.0.0.1:0", "--data", data], "");
    assert_eq!(second.status.code(), Some(16), "{}", errors(&second));
    assert!(errors(&second).contains(data), "{}", errors(&second));
    let list = folder.run(&["db", "list"], "");
    assert!(list.status.success(), "the first goes on: {}", errors(&list));
}
