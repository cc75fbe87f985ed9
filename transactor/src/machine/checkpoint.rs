//! Which past state may become a snapshot. A snapshot at index L promises everything up to L, but scalars and root
//! hashes hold only what roots cover; so the journal keeps the commands since the last checkpoint (transaction bodies
//! cut away) and finds the newest index at which every database's t lies within its adopted root.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use annals_db::Incarnation;
use bytes::{Bytes, BytesMut};

use super::Position;
use super::apply::{Machine, apply};
use super::command::{Command, Section};
use super::state::{Database, Lineage, RootRef, State, get_incarnation, get_root, put_incarnation, put_root};
use crate::encoding::{Malformed, Reader, put_count};

/// What one entry changed, small enough to keep.
#[derive(Debug)]
enum Change {
    /// Nothing replicated.
    Nothing,
    /// A batch: the scalars that its sections left.
    Advanced(Vec<Advance>),
    /// Any other command, applied again.
    Command(Box<Command>),
}

#[derive(Debug)]
struct Advance {
    incarnation: Incarnation,
    t: u64,
    lineage: Lineage,
    next_counter: u64,
    last_instant: i64,
}

/// The state at the last checkpoint and what happened since.
#[derive(Debug, Default)]
pub(super) struct Journal {
    base: State,
    base_position: Position,
    changes: VecDeque<(Position, Change)>,
}

impl Journal {
    pub(super) fn starting_at(base_position: Position, base: State) -> Self {
        Self { base, base_position, changes: VecDeque::new() }
    }

    pub(super) fn skip(&mut self, position: Position) {
        self.changes.push_back((position, Change::Nothing));
    }

    /// Records a command that is not a batch.
    pub(super) fn record(&mut self, position: Position, command: Command) {
        self.changes.push_back((position, Change::Command(Box::new(command))));
    }

    /// Records a batch by the scalars it left in `state`.
    pub(super) fn advance(&mut self, position: Position, state: &State, sections: &[Section]) {
        let touched: BTreeSet<Incarnation> = sections.iter().map(|section| section.incarnation).collect();
        let advance = |incarnation: Incarnation| {
            let database = state.databases.get(&incarnation)?;
            Some(Advance {
                incarnation,
                t: database.t,
                lineage: database.lineage,
                next_counter: database.next_counter,
                last_instant: database.last_instant,
            })
        };
        self.changes
            .push_back((position, Change::Advanced(touched.into_iter().filter_map(advance).collect())));
    }

    /// Moves the base to the newest covered index. O(changes).
    fn settle(&mut self, adopted: &BTreeMap<Incarnation, RootRef>) {
        let uncovered = |incarnation: &Incarnation, database: &Database| {
            database.t > adopted.get(incarnation).map_or(0, |root| root.covers_t)
        };
        let mut state = self.base.clone();
        let mut open: BTreeSet<Incarnation> = state
            .databases
            .iter()
            .filter(|(id, database)| uncovered(id, database))
            .map(|(id, _)| *id)
            .collect();
        let mut covered = None;
        for (count, (position, change)) in self.changes.iter().enumerate() {
            redo(&mut state, *position, change, &mut open);
            open.retain(|id| state.databases.get(id).is_some_and(|database| uncovered(id, database)));
            if open.is_empty() {
                covered = Some((count + 1, state.clone(), *position));
            }
        }
        if let Some((count, state, position)) = covered {
            self.base = state;
            self.base_position = position;
            self.changes.drain(..count);
        }
    }
}

fn redo(state: &mut State, position: Position, change: &Change, touched: &mut BTreeSet<Incarnation>) {
    match change {
        Change::Nothing => {}
        Change::Command(command) => drop(apply(state, position.index, command, &mut Vec::new())),
        Change::Advanced(advances) => {
            for advance in advances {
                let Some(database) = state.databases.get_mut(&advance.incarnation) else { continue };
                database.t = advance.t;
                database.lineage = advance.lineage;
                database.next_counter = advance.next_counter;
                database.last_instant = advance.last_instant;
                touched.insert(advance.incarnation);
            }
        }
    }
}

impl Machine {
    /// The newest state that `adopted` roots wholly cover: its position and its bytes, the adopted roots beside it.
    /// `None` before any entry is covered.
    pub fn checkpoint(&mut self, adopted: &BTreeMap<Incarnation, RootRef>) -> Option<(Position, Bytes)> {
        self.journal.settle(adopted);
        if self.journal.base_position == Position::default() {
            return None;
        }
        let base = &self.journal.base;
        let reading: Vec<_> = adopted.iter().filter(|(id, _)| base.databases.contains_key(id)).collect();
        let mut out = BytesMut::from(&base.encode()[..]);
        put_count(&mut out, reading.len());
        for (incarnation, root) in reading {
            put_incarnation(&mut out, *incarnation);
            put_root(&mut out, root);
        }
        Some((self.journal.base_position, out.freeze()))
    }

    /// Reads what [`Machine::checkpoint`] wrote: the state and the reading root of each database that has one.
    ///
    /// # Errors
    /// Damage, or another version's bytes.
    pub fn read_checkpoint(bytes: Bytes) -> Result<(State, BTreeMap<Incarnation, RootRef>), Malformed> {
        let mut reader = Reader::new(bytes);
        let state = State::decode(&mut reader)?;
        let mut reading = BTreeMap::new();
        for _ in 0..reader.count(80)? {
            reading.insert(get_incarnation(&mut reader)?, get_root(&mut reader)?);
        }
        reader.end()?;
        Ok((state, reading))
    }
}
