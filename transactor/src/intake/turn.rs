//! A database's turn on an evaluator: what has settled, what is still sound, then requests until the turn is over.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use annals_edn::Error;

use super::actor::{Actor, Desk, Gated, Speculation, Work};
use super::chain::not_applied;
use super::gate::{Epoch, Phase};
use super::pending::reused;
use super::{Receipt, Shared, db_not_found};
use crate::engine::{Decision, Engine, Known};
use crate::machine::{Lineage, Section, Tx};
use crate::raft::not_leader;

const TURN_TRANSACTIONS: usize = 64;
const TURN_TIME: Duration = Duration::from_millis(1);
/// A section is handed over at this size, so that an entry stays near it.
pub(super) const SECTION_BYTES: usize = 256 << 10;

/// A transaction in a section, and what its caller will be told.
pub(super) struct Accepted {
    pub(super) work: Work,
    pub(super) receipt: Receipt,
}

/// A section on its way into an entry.
pub(super) struct Job<E: Engine> {
    pub(super) actor: Arc<Actor<E>>,
    pub(super) epoch: Epoch,
    pub(super) section: Section,
    pub(super) accepted: Vec<Accepted>,
}

impl<E: Engine> Job<E> {
    /// Moves the section out, into its entry; the callers stay.
    pub(super) fn take_section(&mut self) -> Section {
        let empty = Section { txs: Vec::new(), ..self.section };
        std::mem::replace(&mut self.section, empty)
    }
}

/// What a turn leaves.
pub(super) struct Turn<E: Engine> {
    pub(super) job: Option<Job<E>>,
    /// Requests wait that could be evaluated at once.
    pub(super) more: bool,
}

/// Takes a turn. Evaluates nothing unless the member serves and the database's speculation is sound.
pub(super) fn take<E: Engine>(shared: &Shared<E>, actor: &Arc<Actor<E>>) -> Turn<E> {
    let mut desk = actor.desk();
    // The inbox first, then the phase: a request that came in after an epoch closed must not see the epoch as open.
    actor.collect(&mut desk);
    let epoch = match shared.gate.phase() {
        Phase::Serving(epoch) => epoch,
        Phase::Opening => {
            desk.forget();
            return Turn { job: None, more: false };
        }
        Phase::Following { leader } => {
            desk.forget();
            turn_away(shared, actor, &mut desk, &not_leader(leader));
            return Turn { job: None, more: false };
        }
    };
    if shared.committed.get(actor.slot.incarnation).is_none() {
        desk.forget();
        turn_away(shared, actor, &mut desk, &db_not_found(Some(&actor.slot.name)));
        return Turn { job: None, more: false };
    }
    release_gated(actor, &mut desk);
    if !make_sound(actor, &mut desk, epoch) {
        return Turn { job: None, more: false };
    }
    let job = evaluate(shared, actor, &mut desk, epoch);
    desk.unsettled += usize::from(job.is_some());
    Turn { job, more: !desk.queue.is_empty() }
}

/// Makes sure that there is a value to evaluate on. False while sections of doubtful fate are out.
fn make_sound<E: Engine>(actor: &Actor<E>, desk: &mut Desk<E>, epoch: Epoch) -> bool {
    if desk.speculation.as_ref().is_some_and(|speculation| speculation.epoch != epoch) {
        desk.forget();
    }
    if desk.speculation.as_ref().is_some_and(|speculation| speculation.line != actor.slot.line()) {
        desk.poisoned = true;
    }
    if desk.poisoned {
        desk.forget();
        if desk.unsettled > 0 {
            return false;
        }
        desk.poisoned = false;
    }
    if desk.speculation.is_none() {
        // Everything before the epoch's opening is applied, and nothing of this database is under way behind it.
        if desk.unsettled > 0 {
            desk.poisoned = true;
            return false;
        }
        actor.slot.expect_nothing();
        // The line first: a value newer than its line is only rebased once more.
        let line = actor.slot.line();
        let tip = actor.slot.tip();
        desk.speculation =
            Some(Speculation { epoch, line, value: tip.value, t: tip.t, lineage: tip.lineage });
    }
    true
}

fn evaluate<E: Engine>(
    shared: &Shared<E>,
    actor: &Arc<Actor<E>>,
    desk: &mut Desk<E>,
    epoch: Epoch,
) -> Option<Job<E>> {
    let started = Instant::now();
    let speculation = desk.speculation.as_ref()?;
    let mut section = Section {
        incarnation: actor.slot.incarnation,
        first_t: speculation.t + 1,
        prev_lineage: speculation.lineage,
        txs: Vec::new(),
    };
    let (mut accepted, mut bytes) = (Vec::new(), 0);
    for done in 0.. {
        if done >= TURN_TRANSACTIONS || bytes >= SECTION_BYTES || (done > 0 && started.elapsed() >= TURN_TIME)
        {
            break;
        }
        let Some(mut work) = desk.queue.pop_front() else { break };
        uncount(shared, &mut work);
        if let Some((tx, work, receipt)) = one(shared, actor, desk, work) {
            bytes += tx.body.len();
            section.txs.push(tx);
            accepted.push(Accepted { work, receipt });
        }
    }
    (!accepted.is_empty()).then(|| Job { actor: Arc::clone(actor), epoch, section, accepted })
}

/// Judges one request on the speculative value; an accepted one advances it.
fn one<E: Engine>(
    shared: &Shared<E>,
    actor: &Actor<E>,
    desk: &mut Desk<E>,
    work: Work,
) -> Option<(Tx, Work, Receipt)> {
    if desk.is_cut(&work) {
        refuse(actor, desk, work, not_applied());
        return None;
    }
    let speculation = desk.speculation.as_mut()?;
    match shared.engine.find(&speculation.value, work.request.tx_id) {
        Ok(None) => {}
        Ok(Some(known)) => {
            let answer = replay(actor, &work, known);
            actor.answer(&work, answer);
            return None;
        }
        Err(error) => {
            actor.answer(&work, Err(error));
            return None;
        }
    }
    match shared.engine.evaluate(&speculation.value, &work.request, crate::clock::now_ms()) {
        Ok(Decision { after, t, tx }) => {
            debug_assert_eq!(t, speculation.t + 1, "the engine numbers transactions densely");
            let lineage = speculation.lineage.next(&tx.body);
            actor.slot.expect(speculation.line, lineage, after.clone());
            speculation.value = after;
            speculation.t = t;
            speculation.lineage = lineage;
            let receipt = receipt(actor, t, &tx, lineage);
            Some((tx, work, receipt))
        }
        Err(error) => {
            refuse(actor, desk, work, error);
            None
        }
    }
}

fn receipt<E: Engine>(actor: &Actor<E>, t: u64, tx: &Tx, lineage: Lineage) -> Receipt {
    let incarnation = actor.slot.incarnation;
    Receipt { incarnation, t, body: tx.body.clone(), lineage: Some(lineage), replayed: false }
}

fn replay<E: Engine>(actor: &Actor<E>, work: &Work, known: Known) -> Result<Receipt, Error> {
    if known.request_hash != work.request.request_hash {
        return Err(reused());
    }
    let incarnation = actor.slot.incarnation;
    Ok(Receipt { incarnation, t: known.t, body: known.body, lineage: None, replayed: true })
}

/// A refusal tells of the value it was judged on, so it waits until that value is committed.
fn refuse<E: Engine>(actor: &Actor<E>, desk: &mut Desk<E>, work: Work, error: Error) {
    let basis = desk.speculation.as_ref().map_or(0, |speculation| speculation.t);
    if basis <= actor.slot.t() {
        actor.answer(&work, Err(error));
    } else {
        desk.cut.extend(work.chain.clone().filter(|_| !desk.is_cut(&work)));
        desk.gated.push_back(Gated { basis, work, error });
    }
}

fn release_gated<E: Engine>(actor: &Actor<E>, desk: &mut Desk<E>) {
    let committed = actor.slot.t();
    // Void sections leave the basis uncommitted, and what was judged on it is judged again.
    while let Some(gated) = desk.gated.pop_front_if(|gated| gated.basis <= committed) {
        actor.answer(&gated.work, Err(gated.error));
    }
    desk.cut.retain(|chain| !chain.is_ended());
}

fn turn_away<E: Engine>(shared: &Shared<E>, actor: &Actor<E>, desk: &mut Desk<E>, error: &Error) {
    for mut work in desk.queue.drain(..) {
        uncount(shared, &mut work);
        actor.answer(&work, Err(error.clone()));
    }
}

fn uncount<E: Engine>(shared: &Shared<E>, work: &mut Work) {
    if std::mem::take(&mut work.counted) {
        shared.queued_bytes.fetch_sub(work.request.tx_data.len(), Ordering::Relaxed);
    }
}
