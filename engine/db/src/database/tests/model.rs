//! The naive model: the datoms of a line in log order, filtered and sorted by the letter of the rules.

use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::Arc;

use crate::bootstrap::{self, attr};
use crate::{AttrId, Datom, Db, EntityId, Index, Key, Options, Range, Schema, T, TxBody, Value, View};

/// A database value as a list. One element of `line` a transaction.
#[derive(Clone)]
pub(super) struct Model {
    pub(super) options: Options,
    pub(super) line: Vec<Arc<TxBody>>,
    /// the schema after each transaction, the bootstrap's first
    pub(super) schemas: Vec<Arc<Schema>>,
    pub(super) view: View,
}

impl Model {
    pub(super) fn empty(options: Options) -> Model {
        Model { options, line: vec![], schemas: vec![Schema::bootstrap()], view: View::default() }
    }

    pub(super) fn apply(&self, body: &Arc<TxBody>) -> Model {
        let mut next = self.clone();
        next.line.push(body.clone());
        let schema = self.schema().apply(body).unwrap().map_or(self.schema().clone(), Arc::new);
        next.schemas.push(schema);
        next
    }

    pub(super) fn at(&self, t: T) -> Model {
        let mut at = self.clone();
        at.line.truncate(t.0 as usize);
        at.schemas.truncate(t.0 as usize + 1);
        at
    }

    pub(super) fn schema(&self) -> &Arc<Schema> {
        self.schemas.last().unwrap()
    }

    pub(super) fn basis(&self) -> T {
        T(self.line.len() as u64)
    }

    /// Every datom up to the basis, in log order, `:db/txInstant` and client ids included.
    fn log(&self) -> Vec<Datom> {
        let mut all = bootstrap::datoms().to_vec();
        for body in &self.line {
            let e = EntityId::of_tx(body.t);
            all.push(Datom {
                e,
                a: attr::TX_INSTANT,
                v: Value::Instant(body.instant),
                t: body.t,
                added: true,
            });
            let id = body.client_id.map(Value::Uuid);
            all.extend(id.map(|v| Datom { e, a: attr::TX_ID, v, t: body.t, added: true }));
            all.extend(body.datoms.iter().cloned());
        }
        all
    }

    /// Without the intervals that ended while their attribute kept no history.
    fn shown(&self) -> Vec<Datom> {
        let mut shown: Vec<Datom> = Vec::new();
        for datom in self.log() {
            if !datom.added && !self.is_kept(&datom) {
                let start = shown.iter().rposition(|held| same_fact(held, &datom)).expect("an interval ends");
                shown.remove(start);
            } else {
                shown.push(datom);
            }
        }
        shown
    }

    /// The interval that this retraction ends stays readable.
    pub(super) fn is_kept(&self, datom: &Datom) -> bool {
        let schema = &self.schemas[datom.t.0 as usize];
        self.options.keep_history && !schema.attribute(datom.a).is_some_and(|a| a.no_history)
    }

    /// What the view shows, in log order.
    pub(super) fn visible(&self) -> Vec<Datom> {
        let View { as_of, since, history } = self.view;
        let mut shown = self.shown();
        shown.retain(|datom| as_of.is_none_or(|t| datom.t <= t) && since.is_none_or(|t| datom.t > t));
        if history {
            return shown;
        }
        let newest = |i: usize, datom: &Datom| !shown[i + 1..].iter().any(|later| same_fact(later, datom));
        let holds = |(i, datom): &(usize, &Datom)| datom.added && newest(*i, datom);
        shown.iter().enumerate().filter(holds).map(|(_, datom)| datom.clone()).collect()
    }

    /// The rows of `range`, in index order.
    pub(super) fn rows(&self, visible: &[Datom], range: &Range) -> Vec<Datom> {
        let named = |a: AttrId| {
            [&range.start, &range.end].into_iter().all(|bound| key(bound).is_some_and(|key| key.a == Some(a)))
        };
        let one_entity = key(&range.start).and_then(|key| key.e).is_some()
            && key(&range.start).map(|key| key.e) == key(&range.end).map(|key| key.e);
        let kept = |a: AttrId| self.schema().attribute(a).is_some_and(|attribute| attribute.kept_in_avet());
        let listed = |a: AttrId| match range.index {
            Index::Eavt => a != attr::TX_ID || (named(a) && one_entity),
            Index::Aevt => a != attr::TX_ID || named(a),
            Index::Avet => named(a) || (kept(a) && a != attr::TX_ID),
        };
        let mut rows: Vec<Datom> =
            visible.iter().filter(|datom| listed(datom.a) && inside(range, datom)).cloned().collect();
        rows.sort_by(|x, y| range.index.cmp(&x.as_ref(), &y.as_ref()));
        rows
    }
}

/// The model of a view.
pub(super) fn viewed(db: &Db, model: &Model, view: View) -> (Db, Model) {
    let mut seen = db.clone();
    if let Some(t) = view.as_of {
        seen = seen.as_of(t);
    }
    if let Some(t) = view.since {
        seen = seen.since(t);
    }
    if view.history {
        seen = seen.history();
    }
    (seen, Model { view, ..model.clone() })
}

pub(super) fn same_fact(x: &Datom, y: &Datom) -> bool {
    x.e == y.e && x.a == y.a && x.v.cmp_index(&y.v) == Ordering::Equal
}

fn key(bound: &Bound<Key>) -> Option<&Key> {
    match bound {
        Bound::Included(key) | Bound::Excluded(key) => Some(key),
        Bound::Unbounded => None,
    }
}

fn inside(range: &Range, datom: &Datom) -> bool {
    let after = match &range.start {
        Bound::Unbounded => true,
        Bound::Included(key) => prefix_order(range.index, datom, key) != Ordering::Less,
        Bound::Excluded(key) => prefix_order(range.index, datom, key) == Ordering::Greater,
    };
    after
        && match &range.end {
            Bound::Unbounded => true,
            Bound::Included(key) => prefix_order(range.index, datom, key) != Ordering::Greater,
            Bound::Excluded(key) => prefix_order(range.index, datom, key) == Ordering::Less,
        }
}

/// The order of a datom against a prefix, component by component.
fn prefix_order(index: Index, datom: &Datom, key: &Key) -> Ordering {
    let e = key.e.map(|e| datom.e.cmp(&e));
    let a = key.a.map(|a| datom.a.cmp(&a));
    let exact = index == Index::Avet && key.e.is_some();
    let same = |v: &Value| !exact && datom.v.identical(v);
    let v = key.v.as_ref().map(|v| if same(v) { Ordering::Equal } else { datom.v.cmp_index(v) });
    let components = match index {
        Index::Eavt => [e, a, v],
        Index::Aevt => [a, e, v],
        Index::Avet => [a, v, e],
    };
    components.into_iter().map_while(|order| order).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}
