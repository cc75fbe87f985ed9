//! Who waits for which transaction id. An id is here from the moment its request is accepted until it is answered, so a
//! resend always meets either its first call under way or its committed transaction.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard};

use annals_edn::{Code, Error};
use tokio::sync::oneshot;

use super::Answer;

struct Waiting {
    request_hash: u64,
    callers: Vec<oneshot::Sender<Answer>>,
}

/// The calls under way of one database.
#[derive(Default)]
pub(super) struct Pending {
    ids: Mutex<HashMap<u128, Waiting>>,
}

impl Pending {
    /// Notes a caller. True if its request is new, false if it joined one under way.
    ///
    /// # Errors
    /// `TX_ID_REUSED`: the id is under way with other bytes.
    pub(super) fn join(
        &self,
        tx_id: u128,
        request_hash: u64,
        caller: oneshot::Sender<Answer>,
    ) -> Result<bool, Error> {
        match self.lock().entry(tx_id) {
            Entry::Vacant(entry) => {
                entry.insert(Waiting { request_hash, callers: vec![caller] });
                Ok(true)
            }
            Entry::Occupied(entry) if entry.get().request_hash != request_hash => Err(reused()),
            Entry::Occupied(mut entry) => {
                entry.get_mut().callers.push(caller);
                Ok(false)
            }
        }
    }

    /// Answers all callers of `tx_id`. Those that gave up are passed over.
    pub(super) fn answer(&self, tx_id: u128, answer: Answer) {
        let Some(waiting) = self.lock().remove(&tx_id) else { return };
        let mut callers = waiting.callers.into_iter();
        let Some(first) = callers.next() else { return };
        for caller in callers {
            drop(caller.send(answer.clone()));
        }
        drop(first.send(answer));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u128, Waiting>> {
        self.ids.lock().expect("no holder of the pending calls panics")
    }
}

pub(super) fn reused() -> Error {
    Error::new(Code::TransactionIdReused, "this transaction id belongs to another transaction")
        .hint("draw a new id for each transaction; repeat one only to send the same bytes again")
}
