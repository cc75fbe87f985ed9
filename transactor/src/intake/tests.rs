//! The writer over a real Raft group of one: order, resends, refusals, poisoned epochs, restarts, kill -9.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::time::Duration;

use annals_db::Options;

use super::*;
use crate::machine::{Command, CommandResult, CreateDb};
use crate::raft::{Member, Outcome, RaftConfig};
use crate::replica::Replica;
use crate::testing::Sums;

const DB: Incarnation = Incarnation(7);
const DEADLINE: Duration = Duration::from_secs(10);

struct Rig {
    raft: RaftHandle,
    committed: Arc<Committed<Sums>>,
    intake: Intake<Sums>,
}

impl Rig {
    async fn start(dir: Option<&Path>) -> Rig {
        let engine = Arc::new(Sums::default());
        let committed = Arc::new(Committed::default());
        let replica = Replica::new(Arc::clone(&engine), Arc::clone(&committed));
        let config = RaftConfig::new("test", 1, dir.map(Path::to_owned));
        let nowhere = Arc::new(|_, _: &Member| {
            tonic::transport::Channel::from_static("http://127.0.0.1:9").connect_lazy()
        });
        let nowhere = crate::raft::Channels::new(nowhere);
        let raft = RaftHandle::start(config, Box::new(replica), nowhere).await.unwrap();
        raft.initialize(BTreeMap::from([(1, Member::default())])).await.unwrap();
        let intake = Intake::start(engine, Arc::clone(&committed), raft.clone(), 1, None);
        let rig = Rig { raft, committed, intake };
        rig.serving().await;
        rig.create().await;
        rig
    }

    async fn serving(&self) -> gate::Epoch {
        let mut phase = self.intake.phase();
        let serving = phase.wait_for(|phase| matches!(phase, Phase::Serving(_)));
        match *tokio::time::timeout(DEADLINE, serving).await.unwrap().unwrap() {
            Phase::Serving(epoch) => epoch,
            other => panic!("{other:?}"),
        }
    }

    async fn create(&self) {
        let term = self.raft.leadership().borrow().unwrap();
        let create = CreateDb { incarnation: DB, name: "sums".into(), options: Options::default() };
        let outcome = self.raft.propose(Command::CreateDb(create).encode(), term).await.await;
        assert!(matches!(outcome, Outcome::Applied { .. }), "{outcome:?}");
    }

    fn submit(&self, id: u128, text: &str) -> Result<oneshot::Receiver<Answer>, Error> {
        self.intake.submit(DB, Request::new(id, Bytes::from(text.to_owned())))
    }

    async fn transact(&self, id: u128, text: &str) -> Answer {
        tokio::time::timeout(DEADLINE, self.submit(id, text)?).await.unwrap().unwrap()
    }

    async fn stop(self) {
        self.intake.stop();
        self.raft.shutdown().await;
    }

    fn total(&self) -> i64 {
        self.committed.get(DB).unwrap().tip().value.total
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_are_numbered_in_order_and_answered_when_committed() {
    let rig = Rig::start(None).await;
    let calls: Vec<_> = (1..=500).map(|id| rig.submit(id, "add 1").unwrap()).collect();
    for (t, call) in (1..).zip(calls) {
        let receipt = call.await.unwrap().unwrap();
        assert_eq!((receipt.t, receipt.replayed), (t, false));
        assert!(rig.committed.get(DB).unwrap().t() >= t, "answered before it was applied");
    }
    assert_eq!(rig.total(), 500);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resend_is_answered_with_the_first_commit() {
    let rig = Rig::start(None).await;
    let first = rig.transact(1, "add 5").await.unwrap();
    let again = rig.transact(1, "add 5").await.unwrap();
    assert_eq!((again.t, &again.body, again.replayed), (first.t, &first.body, true));
    assert_eq!(rig.transact(1, "add 6").await.unwrap_err().code(), Code::TransactionIdReused);
    assert_eq!(rig.total(), 5);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resends_under_way_share_one_commit() {
    let rig = Rig::start(None).await;
    let calls: Vec<_> = (0..50).map(|_| rig.submit(9, "add 1").unwrap()).collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().t, 1);
    }
    assert_eq!(rig.total(), 1);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_waits_for_the_commit_of_what_it_saw() {
    let rig = Rig::start(None).await;
    let mut calls = Vec::new();
    for round in 0..100 {
        calls.push((true, round, rig.submit(round * 2, "add 1").unwrap()));
        calls.push((false, round, rig.submit(round * 2 + 1, "cas -1 0").unwrap()));
    }
    for (accepted, round, call) in calls {
        let answer = call.await.unwrap();
        let seen = rig.committed.get(DB).unwrap().t();
        assert!(u128::from(seen) > round, "round {round} answered at t {seen}");
        assert_eq!(answer.map_err(|error| error.code()).err(), (!accepted).then_some(Code::CasFailed));
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poisoned_epoch_loses_and_repeats_nothing() {
    let rig = Rig::start(None).await;
    let mut calls = Vec::new();
    let mut epochs = BTreeSet::new();
    for id in 1..=2_000 {
        calls.push(rig.submit(id, "add 1").unwrap());
        if id % 250 == 0 {
            let epoch = rig.serving().await;
            epochs.insert(epoch.epoch);
            rig.intake.shared.gate.poison(epoch);
        }
    }
    let mut seen = BTreeSet::new();
    for call in calls {
        seen.insert(tokio::time::timeout(DEADLINE, call).await.unwrap().unwrap().unwrap().t);
    }
    assert_eq!(seen, (1..=2_000).collect());
    assert_eq!((rig.total(), epochs.len()), (2_000, 8));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_large_or_of_no_database_is_refused_at_once() {
    let rig = Rig::start(None).await;
    let huge = Request::new(1, Bytes::from(vec![b' '; MAX_REQUEST_BYTES + 1]));
    assert_eq!(rig.intake.submit(DB, huge).unwrap_err().code(), Code::TransactionTooLarge);
    let lost = rig.intake.submit(Incarnation(1), Request::new(1, Bytes::new()));
    assert_eq!(lost.unwrap_err().code(), Code::DbNotFound);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_database_answers_what_waits() {
    let rig = Rig::start(None).await;
    rig.transact(1, "add 1").await.unwrap();
    let term = rig.raft.leadership().borrow().unwrap();
    let calls: Vec<_> = (2..50).map(|id| rig.submit(id, "add 1").unwrap()).collect();
    let outcome = rig.raft.propose(Command::DropDb(DB).encode(), term).await.await;
    assert!(matches!(outcome, Outcome::Applied { result: CommandResult::Dropped(DB), .. }));
    for call in calls {
        let answer = tokio::time::timeout(DEADLINE, call).await.unwrap().unwrap();
        assert!(answer.is_ok() || answer.unwrap_err().code() == Code::DbNotFound);
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_finds_every_transaction_and_every_id() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::start(Some(dir.path())).await;
    for id in 1..=20 {
        rig.transact(id, "add 2").await.unwrap();
    }
    rig.stop().await;
    let rig = Rig::start(Some(dir.path())).await;
    assert_eq!(rig.total(), 40);
    assert!(rig.transact(20, "add 2").await.unwrap().replayed);
    assert_eq!(rig.transact(21, "add 2").await.unwrap().t, 21);
    rig.stop().await;
}

const CHILD_DIR: &str = "ANNALS_TEST_CHILD_DIR";

/// Not a test of its own: the process that the next test kills. It prints each id once its transaction is acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_writes_until_it_is_killed() {
    let Ok(dir) = std::env::var(CHILD_DIR) else { return };
    let rig = Arc::new(Rig::start(Some(Path::new(&dir))).await);
    let first = u128::from(rig.committed.get(DB).unwrap().t()) * 1_000;
    let tasks: Vec<_> = (0..8)
        .map(|lane| {
            let rig = Arc::clone(&rig);
            tokio::spawn(async move {
                for count in 0.. {
                    let id = first + 1 + lane + count * 8;
                    rig.transact(id, "add 1").await.unwrap();
                    let mut out = std::io::stdout().lock();
                    writeln!(out, "acknowledged {id}").and_then(|()| out.flush()).unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_loses_no_acknowledged_transaction() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    for _ in 0..3 {
        let mut child = Process::new(std::env::current_exe().unwrap())
            .args(["--exact", "intake::tests::child_that_writes_until_it_is_killed", "--nocapture"])
            .env(CHILD_DIR, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let id =
            |line: String| line.split("acknowledged ").nth(1).and_then(|id| id.trim().parse::<u128>().ok());
        let mut count = 0;
        while count < 300 {
            let line = lines.next().expect("the child writes until it is killed").unwrap();
            count += id(line).map_or(0, |id| usize::from(acknowledged.insert(id)));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged.extend(lines.map_while(Result::ok).filter_map(id));
    }
    let rig = Rig::start(Some(dir.path())).await;
    let mut ts = BTreeSet::new();
    for id in &acknowledged {
        let again = rig.transact(*id, "add 1").await.unwrap();
        assert!(again.replayed, "transaction {id} was acknowledged and lost");
        assert!(ts.insert(again.t), "t {} was given twice", again.t);
    }
    let committed = rig.committed.get(DB).unwrap().tip();
    assert_eq!(i64::try_from(committed.t).unwrap(), committed.value.total, "each was applied once");
    assert!(acknowledged.len() >= 900);
    rig.stop().await;
}

/// Hands in transactions of one stream.
fn submit_all(rig: &Rig, chain: &Chain, texts: &[(u128, &str)]) -> Vec<oneshot::Receiver<Answer>> {
    let hand_in = |(id, text): &(u128, &str)| {
        let request = Request::new(*id, Bytes::from((*text).to_owned()));
        match rig.intake.submit_in(chain, DB, request).unwrap() {
            Submitted::Queued(answer) => answer,
            Submitted::Joined(_) => panic!("transaction {id} is under way already"),
        }
    };
    texts.iter().map(hand_in).collect()
}

async fn codes(calls: Vec<oneshot::Receiver<Answer>>) -> Vec<Option<Code>> {
    let mut codes = Vec::new();
    for call in calls {
        let answer = tokio::time::timeout(DEADLINE, call).await.unwrap().unwrap();
        codes.push(answer.err().map(|error| error.code()));
    }
    codes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_behind_a_refusal_of_a_stream_is_applied() {
    let rig = Rig::start(None).await;
    for round in 0..50 {
        let (chain, first, before) = (Chain::default(), 1_000 * (round + 1), rig.total());
        // Other calls stand between those of the stream, and are none of its business.
        let others: Vec<_> = (0..3).map(|n| rig.submit(first + 100 + n, "add 10").unwrap()).collect();
        let texts = [(first, "add 1"), (first + 1, "add 1"), (first + 2, "cas -1 0"), (first + 3, "add 1")];
        let mut calls = submit_all(&rig, &chain, &texts);
        let more = rig.submit(first + 200, "add 10").unwrap();
        calls.extend(submit_all(&rig, &chain, &[(first + 4, "add 1")]));
        let refused = [None, None, Some(Code::CasFailed), Some(Code::NotApplied), Some(Code::NotApplied)];
        assert_eq!(codes(calls).await, refused);
        assert!(chain.is_ended());
        assert_eq!(codes(submit_all(&rig, &chain, &[(first + 5, "add 1")])).await, [Some(Code::NotApplied)]);
        assert_eq!(codes(others.into_iter().chain([more]).collect()).await, [None; 4]);
        assert_eq!(rig.total() - before, 42);
        // What was not applied may be sent again, under the same id.
        assert!(!rig.transact(first + 3, "add 1").await.unwrap().replayed);
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_keeps_its_order_through_poisoned_epochs() {
    let rig = Rig::start(None).await;
    for round in 0..5u128 {
        let (chain, before) = (Chain::default(), rig.committed.get(DB).unwrap().t());
        let mut calls = Vec::new();
        for n in 0..500 {
            let text = if n == 400 { "cas -1 0" } else { "add 1" };
            calls.extend(submit_all(&rig, &chain, &[(1_000 * (round + 1) + n, text)]));
            if n % 60 == 59 {
                let epoch = rig.serving().await;
                rig.intake.shared.gate.poison(epoch);
            }
        }
        for (n, call) in (1..).zip(calls) {
            let answer = tokio::time::timeout(DEADLINE, call).await.unwrap().unwrap();
            match n {
                ..=400 => assert_eq!(answer.unwrap().t, before + n, "out of order"),
                401 => assert_eq!(answer.unwrap_err().code(), Code::CasFailed),
                _ => assert_eq!(answer.unwrap_err().code(), Code::NotApplied),
            }
        }
        assert_eq!(rig.committed.get(DB).unwrap().t(), before + 400);
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_was_turned_away_stays_so() {
    let rig = Rig::start(None).await;
    // The member leads all the time and opens an epoch at once, so it takes a few attempts to be turned away.
    let (mut id, mut chain) = (1, Chain::default());
    loop {
        rig.intake.shared.gate.follow(None);
        match codes(submit_all(&rig, &chain, &[(id, "add 0")])).await[0] {
            Some(code) => break assert_eq!(code, Code::NotLeader),
            None => (id, chain) = (id + 1, Chain::default()),
        }
    }
    rig.serving().await;
    // What comes behind in the same stream must not overtake the one that was turned away.
    assert_eq!(codes(submit_all(&rig, &chain, &[(id + 1, "add 1")])).await, [Some(Code::NotApplied)]);
    assert_eq!(rig.total(), 0);
    let again = [(id, "add 0"), (id + 1, "add 1")];
    assert_eq!(codes(submit_all(&rig, &Chain::default(), &again)).await, [None; 2]);
    assert_eq!(rig.total(), 1);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resumed_stream_joins_what_is_under_way() {
    let rig = Rig::start(None).await;
    // Nothing is evaluated while no epoch is open, so the first stream's requests wait.
    let epoch = rig.serving().await;
    let (old, new) = (Chain::default(), Chain::default());
    rig.intake.shared.gate.poison(epoch);
    let calls = submit_all(&rig, &old, &[(1, "add 1"), (2, "cas -1 0"), (3, "add 1")]);
    let request = Request::new(2, Bytes::from_static(b"cas -1 0"));
    match rig.intake.submit_in(&new, DB, request).unwrap() {
        Submitted::Joined(answer) => {
            assert_eq!(codes(calls).await, [None, Some(Code::CasFailed), Some(Code::NotApplied)]);
            assert_eq!(codes(vec![answer]).await, [Some(Code::CasFailed)]);
        }
        // The epoch was opened anew and the first stream answered in the meantime.
        Submitted::Queued(answer) => assert_eq!(codes(vec![answer]).await, [Some(Code::CasFailed)]),
    }
    assert_eq!(rig.total(), 1);
    rig.stop().await;
}
