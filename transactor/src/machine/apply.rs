//! The rules: what each command does to the state. The only authority over what is committed.
//!
//! A batch counts only in the epoch that is open, a section only where it continues its database's chain: `first_t` is
//! the next t and `prev_lineage` the chain's end. So what an old leader left in the log, or what was evaluated on a
//! value that never came to be, changes nothing, whatever Raft does with it.

use annals_db::Incarnation;
use bytes::Bytes;

use super::Position;
use super::checkpoint::Journal;
use super::command::{BuildStart, Command, CreateDb, PublishRoot, RetireRoots, Section};
use super::result::{CommandResult, Refusal, SectionResult};
use super::state::{Build, Database, Lineage, RootRef, State};
use crate::encoding::Malformed;

/// One committed transaction, as every member sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The database.
    pub incarnation: Incarnation,
    /// The epoch in which it was evaluated.
    pub epoch: u64,
    /// Its number.
    pub t: u64,
    /// The chain before it.
    pub prev_lineage: Lineage,
    /// The chain after it.
    pub lineage: Lineage,
    /// `:db/txInstant`, milliseconds.
    pub instant: i64,
    /// The encoded `TxBody`.
    pub body: Bytes,
}

/// What an applied entry calls for outside the machine. Performed by every member, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A leader opened this epoch.
    Epoch(u64),
    /// A transaction is committed.
    Committed(Frame),
    /// A database exists.
    Created(Incarnation),
    /// A database is gone.
    Dropped(Incarnation),
    /// A root is the newest of its database.
    Published(Incarnation, RootRef),
}

/// The state and the journal from which covered snapshots are made.
#[derive(Debug, Default)]
pub struct Machine {
    state: State,
    pub(super) journal: Journal,
}

impl Machine {
    /// The replicated state after the last applied entry.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Replaces everything by a snapshot's state.
    pub fn install(&mut self, position: Position, state: State) {
        self.journal = Journal::starting_at(position, state.clone());
        self.state = state;
    }

    /// Notes an entry without a command.
    pub fn skip(&mut self, position: Position) {
        self.journal.skip(position);
    }

    /// Applies the command at `position`, appending what it calls for to `actions`.
    ///
    /// # Errors
    /// A command of an unknown kind or version: this member must stop, for skipping it would fork its state.
    pub fn apply(
        &mut self,
        position: Position,
        command: Bytes,
        actions: &mut Vec<Action>,
    ) -> Result<CommandResult, Malformed> {
        let command = Command::decode(command)?;
        let result = apply(&mut self.state, position.index, &command, actions);
        match &command {
            Command::Batch { sections, .. } => self.journal.advance(position, &self.state, sections),
            _ => self.journal.record(position, command),
        }
        Ok(result)
    }
}

/// Pure: the new state and the actions are a function of the old state, the index and the command.
pub(super) fn apply(
    state: &mut State,
    index: u64,
    command: &Command,
    actions: &mut Vec<Action>,
) -> CommandResult {
    match command {
        Command::OpenEpoch(_) => open_epoch(state, index, actions),
        Command::Batch { epoch, sections } => batch(state, *epoch, sections, actions),
        Command::CreateDb(create) => create_db(state, create, actions),
        Command::DropDb(incarnation) => drop_db(state, *incarnation, actions),
        Command::BuildStart(start) => build_start(state, index, start),
        Command::BuildAbort(build) => {
            state.builds.remove(build);
            CommandResult::Done
        }
        Command::PublishRoot(publish) => publish_root(state, publish, actions),
        Command::RetireRoots(retire) => retire_roots(state, retire),
    }
}

fn open_epoch(state: &mut State, index: u64, actions: &mut Vec<Action>) -> CommandResult {
    state.epoch = index;
    state.builds.clear();
    actions.push(Action::Epoch(index));
    CommandResult::Epoch(index)
}

fn batch(state: &mut State, epoch: u64, sections: &[Section], actions: &mut Vec<Action>) -> CommandResult {
    if epoch != state.epoch {
        return CommandResult::Stale;
    }
    CommandResult::Batch(sections.iter().map(|section| one_section(state, section, actions)).collect())
}

fn one_section(state: &mut State, section: &Section, actions: &mut Vec<Action>) -> SectionResult {
    let Some(database) = state.databases.get_mut(&section.incarnation) else {
        return SectionResult::NotFound;
    };
    if section.first_t != database.t + 1 || section.prev_lineage != database.lineage {
        return SectionResult::Stale;
    }
    for tx in &section.txs {
        let prev_lineage = database.lineage;
        database.t += 1;
        database.lineage = prev_lineage.next(&tx.body);
        database.next_counter = tx.next_counter;
        database.last_instant = tx.instant;
        actions.push(Action::Committed(Frame {
            incarnation: section.incarnation,
            epoch: state.epoch,
            t: database.t,
            prev_lineage,
            lineage: database.lineage,
            instant: tx.instant,
            body: tx.body.clone(),
        }));
    }
    SectionResult::Applied(database.lineage)
}

fn create_db(state: &mut State, create: &CreateDb, actions: &mut Vec<Action>) -> CommandResult {
    if let Some(incarnation) = state.named(&create.name) {
        return CommandResult::Refused(Refusal::Exists(incarnation));
    }
    if state.databases.contains_key(&create.incarnation) {
        return CommandResult::Refused(Refusal::Exists(create.incarnation));
    }
    let database = Database {
        name: create.name.clone(),
        options: create.options,
        t: 0,
        lineage: Lineage::default(),
        next_counter: 0,
        last_instant: 0,
        roots: Vec::new(),
    };
    state.databases.insert(create.incarnation, database);
    actions.push(Action::Created(create.incarnation));
    CommandResult::Created(create.incarnation)
}

fn drop_db(state: &mut State, incarnation: Incarnation, actions: &mut Vec<Action>) -> CommandResult {
    if state.databases.remove(&incarnation).is_none() {
        return CommandResult::Refused(Refusal::NotFound);
    }
    state.builds.retain(|_, build| build.incarnation != incarnation);
    actions.push(Action::Dropped(incarnation));
    CommandResult::Dropped(incarnation)
}

fn build_start(state: &mut State, index: u64, start: &BuildStart) -> CommandResult {
    let Some(database) = state.databases.get(&start.incarnation) else {
        return CommandResult::Refused(Refusal::NotFound);
    };
    if database.root().map(|root| root.hash) != start.base {
        return CommandResult::Refused(Refusal::BaseMoved);
    }
    state.builds.insert(index, Build { incarnation: start.incarnation, base: start.base });
    CommandResult::Build(index)
}

fn publish_root(state: &mut State, publish: &PublishRoot, actions: &mut Vec<Action>) -> CommandResult {
    let running = state.builds.get(&publish.build);
    if running.is_none_or(|build| build.incarnation != publish.incarnation || build.base != publish.base) {
        return CommandResult::Refused(Refusal::BuildOver);
    }
    let Some(database) = state.databases.get_mut(&publish.incarnation) else {
        return CommandResult::Refused(Refusal::NotFound);
    };
    if database.root().map(|root| root.hash) != publish.base {
        return CommandResult::Refused(Refusal::BaseMoved);
    }
    let covered = database.root().map_or(0, |root| root.covers_t);
    if publish.root.covers_t <= covered || publish.root.covers_t > database.t {
        return CommandResult::Refused(Refusal::Covers);
    }
    database.roots.push(publish.root);
    state.builds.remove(&publish.build);
    actions.push(Action::Published(publish.incarnation, publish.root));
    CommandResult::Done
}

fn retire_roots(state: &mut State, retire: &RetireRoots) -> CommandResult {
    let Some(database) = state.databases.get_mut(&retire.incarnation) else {
        return CommandResult::Refused(Refusal::NotFound);
    };
    let newest = database.root().map(|root| root.hash);
    database.roots.retain(|root| Some(root.hash) == newest || !retire.hashes.contains(&root.hash));
    CommandResult::Done
}

#[cfg(test)]
mod tests;
