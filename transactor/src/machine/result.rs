//! What an applied entry answers to the leader that proposed it. Nothing of it is stored.

use annals_db::Incarnation;

use super::state::Lineage;

/// The answer to one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandResult {
    /// An entry without a command, or one whose whole answer is that it happened.
    Done,
    /// The epoch that an `OpenEpoch` opened: its own index.
    Epoch(u64),
    /// One verdict a section.
    Batch(Vec<SectionResult>),
    /// The batch belongs to a closed epoch: nothing of it happened.
    Stale,
    /// The database exists now.
    Created(Incarnation),
    /// The database is gone now.
    Dropped(Incarnation),
    /// The build that a `BuildStart` opened: its own index.
    Build(u64),
    /// Nothing happened, for this reason.
    Refused(Refusal),
}

/// The verdict on one section of a batch; a section is atomic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectionResult {
    /// Every transaction of it is committed; the chain now ends here.
    Applied(Lineage),
    /// It does not continue the chain: nothing of it happened.
    Stale,
    /// Its database is gone.
    NotFound,
}

/// Why a command changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A database of that name exists.
    Exists(Incarnation),
    /// No such database.
    NotFound,
    /// The build is over, or an epoch ended it.
    BuildOver,
    /// The root was built upon another root than the newest.
    BaseMoved,
    /// The root covers nothing new, or what is not committed.
    Covers,
}
