//! The rules of apply, one test a rule.

use std::collections::BTreeMap;

use annals_db::{Incarnation, Options};
use bytes::Bytes;

use super::super::command::{OpenEpoch, Tx};
use super::*;

const DB: Incarnation = Incarnation(7);

struct Rig {
    machine: Machine,
    index: u64,
    actions: Vec<Action>,
    entries: Vec<Bytes>,
}

impl Rig {
    fn new() -> Self {
        let mut rig = Rig { machine: Machine::default(), index: 0, actions: Vec::new(), entries: Vec::new() };
        rig.open_epoch();
        rig.create(DB, "music");
        rig
    }

    fn apply(&mut self, command: Command) -> CommandResult {
        self.index += 1;
        let bytes = command.encode();
        self.entries.push(bytes.clone());
        let position = Position { term: 1, index: self.index };
        self.machine.apply(position, bytes, &mut self.actions).unwrap()
    }

    fn open_epoch(&mut self) -> u64 {
        let open = Command::OpenEpoch(OpenEpoch { node: 1, boot_id: 9, wall_ms: 0 });
        match self.apply(open) {
            CommandResult::Epoch(epoch) => epoch,
            other => panic!("{other:?}"),
        }
    }

    fn create(&mut self, incarnation: Incarnation, name: &str) -> CommandResult {
        self.apply(Command::CreateDb(CreateDb {
            incarnation,
            name: name.into(),
            options: Options::default(),
        }))
    }

    fn section(&self, incarnation: Incarnation, bodies: &[&'static str]) -> Section {
        let database = &self.machine.state().databases[&incarnation];
        let tx = |body: &&'static str| Tx {
            instant: 5,
            next_counter: 1000,
            body: Bytes::from_static(body.as_bytes()),
        };
        let (first_t, prev_lineage) = (database.t + 1, database.lineage);
        Section { incarnation, first_t, prev_lineage, txs: bodies.iter().map(tx).collect() }
    }

    fn commit(&mut self, bodies: &[&'static str]) -> CommandResult {
        let (epoch, section) = (self.machine.state().epoch, self.section(DB, bodies));
        self.apply(Command::Batch { epoch, sections: vec![section] })
    }

    fn t(&self) -> u64 {
        self.machine.state().databases[&DB].t
    }

    fn publish(&mut self, covers_t: u64, hash: u8) -> CommandResult {
        let base = self.machine.state().databases[&DB].root().map(|root| root.hash);
        let CommandResult::Build(build) =
            self.apply(Command::BuildStart(BuildStart { incarnation: DB, base }))
        else {
            panic!("build refused");
        };
        let root = RootRef { number: 1, hash: [hash; 32], covers_t, lineage: Lineage::default() };
        self.apply(Command::PublishRoot(PublishRoot { incarnation: DB, build, base, root, holders: vec![1] }))
    }
}

#[test]
fn transactions_are_numbered_and_chained() {
    let mut rig = Rig::new();
    rig.actions.clear();
    let result = rig.commit(&["a", "b"]);
    let expected = Lineage::default().next(b"a").next(b"b");
    assert_eq!(result, CommandResult::Batch(vec![SectionResult::Applied(expected)]));
    let frames: Vec<(u64, Lineage)> = rig
        .actions
        .iter()
        .map(|action| match action {
            Action::Committed(frame) => (frame.t, frame.lineage),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(frames, [(1, Lineage::default().next(b"a")), (2, expected)]);
}

#[test]
fn a_batch_of_a_closed_epoch_changes_nothing() {
    let mut rig = Rig::new();
    let (old, section) = (rig.machine.state().epoch, rig.section(DB, &["late"]));
    assert_ne!(rig.open_epoch(), old);
    rig.actions.clear();
    assert_eq!(rig.apply(Command::Batch { epoch: old, sections: vec![section] }), CommandResult::Stale);
    assert_eq!((rig.t(), rig.actions.len()), (0, 0));
}

#[test]
fn a_hole_in_the_chain_is_stale_and_poisons_only_its_database() {
    let mut rig = Rig::new();
    let other = Incarnation(8);
    rig.create(other, "books");
    let mut hole = rig.section(DB, &["x"]);
    hole.first_t += 1;
    let mut fork = rig.section(DB, &["y"]);
    fork.prev_lineage = Lineage([1; 16]);
    let (good, epoch) = (rig.section(other, &["z"]), rig.machine.state().epoch);
    let CommandResult::Batch(results) = rig.apply(Command::Batch { epoch, sections: vec![hole, fork, good] })
    else {
        panic!("the epoch is open");
    };
    assert_eq!(results[..2], [SectionResult::Stale, SectionResult::Stale]);
    assert!(matches!(results[2], SectionResult::Applied(_)));
    assert_eq!(rig.t(), 0);
}

#[test]
fn two_sections_of_one_database_follow_one_another() {
    let mut rig = Rig::new();
    let first = rig.section(DB, &["a"]);
    let mut second = rig.section(DB, &["b"]);
    second.first_t = 2;
    second.prev_lineage = first.prev_lineage.next(b"a");
    let epoch = rig.machine.state().epoch;
    rig.apply(Command::Batch { epoch, sections: vec![first, second] });
    assert_eq!(rig.t(), 2);
}

#[test]
fn a_dropped_database_takes_no_more_transactions_and_frees_its_name() {
    let mut rig = Rig::new();
    let section = rig.section(DB, &["a"]);
    assert_eq!(rig.apply(Command::DropDb(DB)), CommandResult::Dropped(DB));
    let epoch = rig.machine.state().epoch;
    let result = rig.apply(Command::Batch { epoch, sections: vec![section] });
    assert_eq!(result, CommandResult::Batch(vec![SectionResult::NotFound]));
    assert_eq!(rig.create(Incarnation(9), "music"), CommandResult::Created(Incarnation(9)));
}

#[test]
fn a_name_is_given_once() {
    let mut rig = Rig::new();
    assert_eq!(rig.create(Incarnation(8), "music"), CommandResult::Refused(Refusal::Exists(DB)));
}

#[test]
fn a_new_epoch_ends_running_builds() {
    let mut rig = Rig::new();
    rig.commit(&["a"]);
    let CommandResult::Build(build) =
        rig.apply(Command::BuildStart(BuildStart { incarnation: DB, base: None }))
    else {
        panic!("build refused");
    };
    rig.open_epoch();
    let root = RootRef { number: 1, hash: [1; 32], covers_t: 1, lineage: Lineage::default() };
    let publish = PublishRoot { incarnation: DB, build, base: None, root, holders: vec![] };
    assert_eq!(rig.apply(Command::PublishRoot(publish)), CommandResult::Refused(Refusal::BuildOver));
}

#[test]
fn a_root_must_cover_something_new_and_committed() {
    let mut rig = Rig::new();
    rig.commit(&["a", "b"]);
    assert_eq!(rig.publish(3, 1), CommandResult::Refused(Refusal::Covers));
    assert_eq!(rig.publish(2, 2), CommandResult::Done);
    assert_eq!(rig.publish(2, 3), CommandResult::Refused(Refusal::Covers));
}

#[test]
fn equal_entries_give_equal_bytes() {
    let mut rig = Rig::new();
    rig.commit(&["a", "b"]);
    rig.publish(1, 1);
    rig.commit(&["c"]);
    let mut other = Machine::default();
    let mut actions = Vec::new();
    for (index, entry) in (1..).zip(&rig.entries) {
        other.apply(Position { term: 1, index }, entry.clone(), &mut actions).unwrap();
    }
    assert_eq!(other.state().encode(), rig.machine.state().encode());
    assert_eq!(actions, rig.actions);
}

#[test]
fn an_unknown_command_stops_the_member() {
    let mut machine = Machine::default();
    let unknown = Bytes::from_static(&[1, 200]);
    assert!(machine.apply(Position { term: 1, index: 1 }, unknown, &mut Vec::new()).is_err());
}

#[test]
fn a_checkpoint_is_taken_at_the_newest_covered_index() {
    let mut rig = Rig::new();
    assert!(
        rig.machine.checkpoint(&BTreeMap::new()).is_some_and(|(at, _)| at.index == 2),
        "nothing to cover yet"
    );
    rig.commit(&["a", "b"]);
    let covered = rig.index;
    rig.commit(&["c"]);
    rig.publish(2, 1);
    let adopted = BTreeMap::from([(DB, *rig.machine.state().databases[&DB].root().unwrap())]);
    let (position, bytes) = rig.machine.checkpoint(&adopted).unwrap();
    assert_eq!(position.index, covered);
    let (state, reading) = Machine::read_checkpoint(bytes).unwrap();
    assert_eq!((state.databases[&DB].t, state.databases[&DB].roots.len()), (2, 0));
    assert_eq!(reading, adopted);
}

#[test]
fn replay_from_a_checkpoint_ends_in_the_same_state() {
    let mut rig = Rig::new();
    rig.commit(&["a", "b"]);
    rig.publish(2, 1);
    let adopted = BTreeMap::from([(DB, *rig.machine.state().databases[&DB].root().unwrap())]);
    rig.commit(&["c"]);
    let (position, bytes) = rig.machine.checkpoint(&adopted).unwrap();
    let mut other = Machine::default();
    other.install(position, Machine::read_checkpoint(bytes).unwrap().0);
    for (index, entry) in (1..).zip(&rig.entries).filter(|(index, _)| *index > position.index) {
        other.apply(Position { term: 1, index }, entry.clone(), &mut Vec::new()).unwrap();
    }
    assert_eq!(other.state(), rig.machine.state());
}
