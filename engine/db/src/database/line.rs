//! Along the line of a database: applying, branching, going back, and the log.

use std::sync::Arc;

use annals_edn::{Code, Error};

use super::{Db, Held, Point};
use crate::Result;
use crate::datom::Datom;
use crate::id::{AttrId, T};
use crate::log::TxBody;
use crate::novelty::{Layer, Marks};
use crate::range::{Batch, Columns, Range};

impl Db {
    /// This value after one decided transaction, which must continue it (`t == basis + 1`). O(datoms) and, when the
    /// schema changes, O(schema). Shares the novelty when this value is the newest of its line, branches otherwise.
    ///
    /// Only the owner of a line (who applies what was committed) may apply to its newest value. Speculation and `with`
    /// start from [`Db::fork`].
    ///
    /// # Errors
    /// `DIVERGED` when the body does not continue this value.
    pub fn apply(&self, body: &Arc<TxBody>) -> Result<Db> {
        self.check_chain(body)?;
        let known = match self.known.schema.apply(body)? {
            None => self.known.clone(),
            Some(schema) => Arc::new(self.known.changed(body.t, schema, |a| self.is_virgin(a))),
        };
        let keep_history = self.origin.options.keep_history;
        let marks = |datom: &Datom| Marks {
            in_avet: known.avet.contains(&datom.a),
            unkept: !datom.added
                && (!keep_history || known.schema.attribute(datom.a).is_some_and(|a| a.no_history)),
        };
        let mut layers = self.layers.clone();
        let top = layers.last_mut().expect("a value has the line's layer");
        match top.layer.append(self.basis, body, marks) {
            Some(end) => (top.end, top.upto) = (end, body.t.0),
            None => {
                let layer = Layer::new(self.basis.0, top.layer.tuning);
                let end = layer.append(self.basis, body, marks).expect("a fresh layer takes what follows");
                layers.push(Held { layer: Arc::new(layer), end, upto: body.t.0 });
            }
        }
        Ok(Db {
            origin: self.origin.clone(),
            known,
            layers,
            view: self.view,
            basis: body.t,
            next_counter: body.next_counter,
            last_instant: body.instant,
        })
    }

    /// The same value on a private branch: what is applied to it shares nothing with the line. For `with`, and for the
    /// writer's speculation ahead of the commit. O(1).
    #[must_use]
    pub fn fork(&self) -> Db {
        let mut fork = self.clone();
        let tuning = fork.layers.last().expect("a value has the line's layer").layer.tuning;
        let basis = self.basis.0;
        // A fork of a fork without transactions needs no layer between.
        if fork.layers.len() > 2 && fork.layers.last().is_some_and(|held| held.layer.base == basis) {
            fork.layers.pop();
        }
        fork.layers.push(Held { layer: Arc::new(Layer::new(basis, tuning)), end: 0, upto: basis });
        fork
    }

    fn check_chain(&self, body: &TxBody) -> Result<()> {
        let diverged = |what: String| Err(Error::new(Code::Diverged, what));
        if body.t.0 != self.basis.0 + 1 {
            return diverged(format!("transaction {} does not follow basis {}", body.t.0, self.basis.0));
        }
        if body.instant < self.last_instant {
            return diverged(format!("transaction {} goes back in time", body.t.0));
        }
        if body.next_counter < self.next_counter {
            return diverged(format!("transaction {} gives entity ids out again", body.t.0));
        }
        Ok(())
    }

    /// True when the attribute never had a datom, retracted ones included.
    fn is_virgin(&self, a: AttrId) -> bool {
        let everything = Db { view: super::View { history: true, ..Default::default() }, ..self.clone() };
        let mut batch = Batch::new(None);
        let first = everything.scan(&Range::attr(a), Columns::NONE).next(&mut batch);
        matches!(first, Ok(false))
    }

    /// This database as it stood at `t`, schema included. Clears no view.
    ///
    /// # Errors
    /// `BASIS_NOT_REACHED` in the future, `BASIS_COLLECTED` when the rows for it are gone.
    pub fn at(&self, t: T) -> Result<Db> {
        if t > self.basis {
            let message = format!("t {} lies beyond basis {}", t.0, self.basis.0);
            return Err(Error::new(Code::BasisNotReached, message)
                .with("t", t.0)
                .with("basis", self.basis.0));
        }
        if t == self.basis {
            return Ok(self.clone());
        }
        let known = self.known.at(t).ok_or_else(|| collected(t))?;
        let mut layers = self.layers.clone();
        // The bootstrap and the line's layer stay even when nothing of them is seen.
        while layers.len() > 2 && layers[layers.len() - 1].layer.base >= t.0 {
            layers.pop();
        }
        let top = layers.last_mut().expect("a value has the line's layer");
        if t.0 < top.layer.base {
            return Err(collected(t));
        }
        (top.end, top.upto) = (top.layer.end_at(t.0), t.0);
        let row = self.row(t);
        Ok(Db {
            origin: self.origin.clone(),
            known: Arc::new(known),
            layers,
            view: self.view,
            basis: t,
            next_counter: row.map_or(crate::bootstrap::FIRST_COUNTER, |row| row.next_counter),
            last_instant: row.map_or(i64::MIN, |row| row.instant),
        })
    }

    /// The t a point in time means: a t itself, or the last transaction not after an instant. O(log n).
    ///
    /// # Errors
    /// Only of the store.
    pub fn point(&self, point: Point) -> Result<T> {
        let instant = match point {
            Point::T(t) => return Ok(t),
            Point::Instant(instant) => instant,
        };
        let (mut low, mut high) = (0, self.basis.0);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            if self.row(T(middle)).is_some_and(|row| row.instant <= instant) {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        Ok(T(low))
    }

    /// The decided transactions `start..end`, oldest first; at most `limit`. Ends at the basis; views do not narrow it.
    ///
    /// # Errors
    /// Only of the store.
    pub fn log(&self, start: T, end: T, limit: usize) -> Result<Vec<Arc<TxBody>>> {
        let end = end.0.min(self.basis.0 + 1);
        let bodies = (start.0.max(1)..end).take(limit).filter_map(|t| self.body(t));
        Ok(bodies.map(Arc::new).collect())
    }

    /// The transaction that a client's transaction id became.
    ///
    /// # Errors
    /// Only of the store.
    pub fn transaction_by_client_id(&self, id: u128) -> Result<Option<Arc<TxBody>>> {
        Ok(self.t_of_client(id).and_then(|t| self.body(t.0)).map(Arc::new))
    }

    pub(super) fn t_of_client(&self, id: u128) -> Option<T> {
        let within = |held: &Held| held.layer.client(id).filter(|t| held.layer.base < *t && *t <= held.upto);
        self.layers.iter().rev().find_map(within).map(T)
    }

    /// The row of `t` in the transaction table.
    pub(super) fn row(&self, t: T) -> Option<&crate::novelty::layer::TxRow> {
        self.holder(t.0).map(|held| held.layer.row(t.0))
    }

    fn body(&self, t: u64) -> Option<TxBody> {
        self.holder(t).map(|held| held.layer.body(t))
    }

    fn holder(&self, t: u64) -> Option<&Held> {
        self.layers.iter().rev().find(|held| held.layer.base < t && t <= held.upto)
    }
}

fn collected(t: T) -> Error {
    Error::new(Code::BasisCollected, format!("the rows that t {} needs are gone", t.0))
}
