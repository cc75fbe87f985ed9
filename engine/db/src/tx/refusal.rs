//! Which refusal a transaction gets when several of its forms are wrong.
//!
//! A stage looks at every form before it refuses, and the least code of the table wins, so the answer does not depend on
//! the order of the forms. What is not the transaction's fault (storage) and what makes going on pointless (limits)
//! ends the stage at once.

use annals_edn::{Code, Error, Kind};

use crate::Result;
use crate::database::Db;
use crate::form::form;
use crate::id::AttrId;
use crate::identify::show;
use crate::value::Value;

/// The worst refusal so far.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    worst: Option<Error>,
}

impl Refusals {
    /// Remembers `error` if its code comes before what is there; passes on what must end the stage.
    pub(super) fn note(&mut self, error: Error) -> Result<()> {
        if ends_the_stage(&error) {
            return Err(error);
        }
        let earlier = |worst: &Error| (worst.code() as u16) <= error.code() as u16;
        if !self.worst.as_ref().is_some_and(earlier) {
            self.worst = Some(error);
        }
        Ok(())
    }

    /// Notes the error of a step, if it had one.
    pub(super) fn check(&mut self, step: Result<()>) -> Result<()> {
        step.or_else(|error| self.note(error))
    }

    /// Ends the stage: the worst refusal, if there was one.
    pub(super) fn finish(self) -> Result<()> {
        self.worst.map_or(Ok(()), Err)
    }
}

fn ends_the_stage(error: &Error) -> bool {
    matches!(error.kind(), Kind::Unavailable | Kind::Interrupted | Kind::Fault)
        || matches!(error.code(), Code::TransactionTooLarge | Code::FuelExhausted)
}

/// A value for a message, as EDN.
pub(super) fn show_value(value: &Value) -> String {
    show(&form(value))
}

/// An attribute for a message.
pub(super) fn attribute_name(db: &Db, a: AttrId) -> String {
    db.schema().ident(a.entity()).map_or_else(|| format!("{a:?}"), ToString::to_string)
}

/// Entities that each want the partition of the other.
pub(super) fn cycle() -> Error {
    Error::new(Code::CycleInAffinity, "tempids want each other's partition, and none has one")
}
