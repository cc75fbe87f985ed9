//! A layer: one arena of events with its transaction rows and its sorted runs.
//!
//! The line of a database has one layer a generation, shared by every value of the line and every thread; `with` and
//! the writer's speculation open a private one above it. Appending is for whoever continues the newest value; any
//! other value branches. Nothing here blocks a reader on the writer; readers wait for one another only while one of
//! them sorts what is new.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use rustc_hash::FxHashMap;

use super::Events;
use super::event::{Event, Marks};
use super::newest::Newest;
use super::sorted::{Levels, Sorted, Tuning};
use crate::datom::Datom;
use crate::id::{EntityId, T};
use crate::log::TxBody;
use crate::order::Index;
use crate::value::Value;

/// A row of the transaction table.
#[derive(Debug)]
pub(crate) struct TxRow {
    pub(crate) instant: i64,
    pub(crate) client_id: Option<u128>,
    pub(crate) request_hash: u64,
    pub(crate) next_counter: u64,
    pub(crate) tempids: Box<[(Arc<str>, EntityId)]>,
    /// one past its last event in the arena
    pub(crate) end: u32,
}

/// An arena and what is derived from it.
#[derive(Debug)]
pub(crate) struct Layer {
    /// the t its events count from; the first row is that of `base + 1`
    pub(crate) base: u64,
    pub(crate) tuning: Tuning,
    events: Events,
    rows: boxcar::Vec<TxRow>,
    clients: RwLock<FxHashMap<u128, u64>>,
    /// the t of the newest row; held while a transaction is appended
    tip: Mutex<u64>,
    /// events of whole transactions
    published: AtomicU32,
    /// some event ends an interval that may not be shown
    unkept: AtomicBool,
    newest: Newest,
    sorted: [Sorted; 3],
}

impl Layer {
    pub(crate) fn new(base: u64, tuning: Tuning) -> Layer {
        Layer {
            base,
            tuning,
            events: Events::new(),
            rows: boxcar::Vec::new(),
            clients: RwLock::default(),
            tip: Mutex::new(base),
            published: AtomicU32::new(0),
            unkept: AtomicBool::new(false),
            newest: Newest::default(),
            sorted: Index::ALL.map(|index| Sorted::new(index, tuning)),
        }
    }

    /// A layer of datoms that no transaction made: the bootstrap, at t 0.
    pub(crate) fn of_datoms(datoms: &[Datom], marks: impl Fn(&Datom) -> Marks) -> Layer {
        let layer = Layer::new(0, Tuning::default());
        for datom in datoms {
            layer.events.push(Event::new(datom, 0, marks(datom)));
        }
        layer.published.store(datoms.len() as u32, Ordering::Release);
        // No transaction may ever continue it.
        *layer.tip() = u64::MAX;
        layer
    }

    /// Appends `body` if the newest transaction here is `basis`, and answers the arena's new end; `None` when somebody
    /// was faster or the arena is full, and the caller must branch.
    pub(crate) fn append(&self, basis: T, body: &TxBody, marks: impl Fn(&Datom) -> Marks) -> Option<u32> {
        let mut tip = self.tip();
        let start = self.published.load(Ordering::Acquire);
        let end = start.checked_add(u32::try_from(body.datoms.len()).ok()?)?;
        let t = u32::try_from(body.t.0.checked_sub(self.base)?).ok()?;
        if *tip != basis.0 {
            return None;
        }
        for datom in &body.datoms {
            let marks = marks(datom);
            if marks.unkept {
                self.unkept.store(true, Ordering::Release);
            }
            self.events.push(Event::new(datom, t, marks));
        }
        self.newest.follow(&body.datoms, start, |datom| marks(datom).one);
        self.rows.push(TxRow {
            instant: body.instant,
            client_id: body.client_id,
            request_hash: body.request_hash,
            next_counter: body.next_counter,
            tempids: body.tempids.as_slice().into(),
            end,
        });
        if let Some(id) = body.client_id {
            self.clients.write().unwrap_or_else(PoisonError::into_inner).entry(id).or_insert(body.t.0);
        }
        self.published.store(end, Ordering::Release);
        *tip = body.t.0;
        Some(end)
    }

    fn tip(&self) -> MutexGuard<'_, u64> {
        self.tip.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn events(&self) -> &Events {
        &self.events
    }

    pub(crate) fn hides_history(&self) -> bool {
        self.unkept.load(Ordering::Acquire)
    }

    /// The newest event about `a` of `e`, known only where a value was replaced here.
    pub(crate) fn newest(&self, e: EntityId, a: crate::AttrId) -> Option<u32> {
        self.newest.get(e, a)
    }

    /// The sorted runs of `index`, with at least the events below `needed`.
    pub(crate) fn levels(&self, index: Index, needed: u32) -> arc_swap::Guard<Arc<Levels>> {
        self.sorted[index as usize].levels(&self.events, needed, &self.published)
    }

    /// The row of `t`, which must be one of this layer's.
    pub(crate) fn row(&self, t: u64) -> &TxRow {
        &self.rows[(t - self.base - 1) as usize]
    }

    /// The t that a client's id became, here or not.
    pub(crate) fn client(&self, id: u128) -> Option<u64> {
        self.clients.read().unwrap_or_else(PoisonError::into_inner).get(&id).copied()
    }

    /// One past the last event at `t`, `base` included.
    pub(crate) fn end_at(&self, t: u64) -> u32 {
        if t == self.base { 0 } else { self.row(t).end }
    }

    /// The whole transaction of `t`, rebuilt from its row and its events.
    pub(crate) fn body(&self, t: u64) -> TxBody {
        let row = self.row(t);
        let events = self.end_at(t - 1)..row.end;
        let datom = |at: u32| {
            let event = &self.events[at as usize];
            let v: Value = event.value();
            Datom { e: EntityId(event.e), a: crate::AttrId(event.a()), v, t: T(t), added: event.added() }
        };
        TxBody {
            t: T(t),
            instant: row.instant,
            client_id: row.client_id,
            request_hash: row.request_hash,
            next_counter: row.next_counter,
            tempids: row.tempids.to_vec(),
            datoms: events.map(datom).collect(),
        }
    }
}
