//! What became of each fact that novelty speaks of: whether it holds now, and which intervals it closed on the way.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::Result;
use crate::database::Db;
use crate::datom::{Datom, DatomRef};
use crate::id::{AttrId, EntityId, T};
use crate::log::TxBody;
use crate::order::Index;
use crate::segment::{Base, Leaf};
use crate::value::Value;

/// What a tree shall have of one fact.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// entity
    pub(crate) e: u64,
    /// attribute
    pub(crate) a: AttrId,
    /// value
    pub(crate) v: Value,
    /// the t that added it; none when it holds no more
    pub(crate) live: Option<u64>,
    /// the t that ended it, in history trees
    pub(crate) ended: u64,
    /// the trees had the fact as live before
    pub(crate) known: bool,
}

impl Change {
    /// Row `row` of a history leaf.
    pub(crate) fn interval(leaf: &Leaf, row: usize) -> Change {
        let datom = leaf.row(row);
        Change {
            e: datom.e.0,
            a: datom.a,
            v: datom.v.to_value(),
            live: Some(datom.t.0),
            ended: leaf.ended(row).map_or(0, |t| t.0),
            known: false,
        }
    }

    /// The fact, as rows compare.
    pub(crate) fn fact(&self) -> DatomRef<'_> {
        let t = T(self.live.unwrap_or(0));
        DatomRef { e: EntityId(self.e), a: self.a, v: self.v.as_ref(), t, added: true }
    }

    /// The order of a tree: by fact, then the newest first.
    pub(crate) fn cmp(&self, other: &Change, index: Index) -> Ordering {
        index.cmp(&self.fact(), &other.fact())
    }
}

/// Novelty, settled.
#[derive(Default)]
pub(crate) struct Changes {
    /// facts that came or went, one entry a fact
    pub(crate) current: Vec<Change>,
    /// intervals that ended and are kept
    pub(crate) ended: Vec<Change>,
    /// the end of the last interval that is not kept
    pub(crate) exact_from: T,
}

impl Changes {
    /// Settles the transactions `bodies`, which follow the root `base` and lead to `db`.
    pub(crate) fn of(db: &Db, base: Option<&Base>, bodies: &[Arc<TxBody>]) -> Result<Changes> {
        let index = Index::Eavt;
        let mut events: Vec<&Datom> = bodies.iter().flat_map(|body| &body.datoms).collect();
        // Oldest first within a fact, a retraction before an assertion of the same transaction.
        events.sort_by(|x, y| {
            let (x, y) = (x.as_ref(), y.as_ref());
            index.cmp_eav(&x, &y).then(x.t.cmp(&y.t)).then(x.added.cmp(&y.added))
        });
        let mut changes = Changes::default();
        let old = base.map(|base| Db::open(base.clone()));
        for fact in events.chunk_by(|x, y| index.cmp_eav(&x.as_ref(), &y.as_ref()).is_eq()) {
            let first = fact[0];
            let before = match &old {
                Some(old) => old.indexed_as_written(first.e, first.a, &first.v.as_ref())?.map(|t| t.0),
                None => None,
            };
            changes.settle(db, before, fact);
        }
        Ok(changes)
    }

    fn settle(&mut self, db: &Db, before: Option<u64>, events: &[&Datom]) {
        let mut live = before;
        for event in events {
            if event.added {
                live = live.or(Some(event.t.0));
                continue;
            }
            let Some(added) = live.take() else { continue };
            if db.keeps(event) {
                let (e, a, v) = (event.e.0, event.a, event.v.clone());
                self.ended.push(Change { e, a, v, live: Some(added), ended: event.t.0, known: false });
            } else {
                self.exact_from = self.exact_from.max(event.t);
            }
        }
        if live != before {
            let Datom { e, a, v, .. } = events[0];
            let known = before.is_some();
            self.current.push(Change { e: e.0, a: *a, v: v.clone(), live, ended: 0, known });
        }
    }
}
