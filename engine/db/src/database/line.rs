//! Along the line of a database: applying, branching, going back, and the log.

use std::sync::Arc;

use annals_edn::{Code, Error, Keyword};

use smallvec::SmallVec;

use super::{Db, Held, Point};
use crate::Result;
use crate::bootstrap::attr;
use crate::datom::Datom;
use crate::id::{AttrId, EntityId, T};
use crate::log::TxBody;
use crate::novelty::Layer;
use crate::range::{Batch, Columns, Range};
use crate::value::Value;

/// More layers than this are brought together before anything is added: every read looks into each.
const MAX_LAYERS: usize = 8;

impl Db {
    /// This value after one decided transaction, which must continue it (`t == basis + 1`). O(datoms) and, when the
    /// schema changes, O(schema). Shares the novelty when this value is the newest of its line, branches otherwise.
    ///
    /// Only the owner of a line applies to its newest value: what was committed, or what it expects to be committed. If
    /// that is discarded, the line goes on from the committed value as a branch, until the next root. Everybody else
    /// (`with`) starts from [`Db::fork`].
    ///
    /// # Errors
    /// `DIVERGED` when the body does not continue this value.
    pub fn apply(&self, body: &Arc<TxBody>) -> Result<Db> {
        self.check_chain(body)?;
        if self.layers.len() > MAX_LAYERS {
            return self.flattened().apply(body);
        }
        let known = match self.known.schema.apply(body)? {
            None => self.known.clone(),
            Some(schema) => Arc::new(self.known.changed(body.t, schema, |a| self.is_virgin(a))),
        };
        let marks = |datom: &Datom| self.origin.marks(&known.schema, &known.avet, datom);
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
            filters: self.filters.clone(),
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

    /// The ident that an entity had at `t`; the newest one where the past does not tell. O(log versions) for what came
    /// since the newest root, a point read for what is older.
    ///
    /// # Errors
    /// Only of the store.
    pub fn ident_at(&self, e: EntityId, t: T) -> Result<Option<Keyword>> {
        if let Some((schema, _)) = self.known.version_at(t) {
            return Ok(schema.ident(e).cloned());
        }
        let then = self.as_of(t).values(e, attr::IDENT)?.pop();
        Ok(match then {
            Some((Value::Keyword(ident), _)) => Some(ident),
            _ => self.schema().ident(e).cloned(),
        })
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
        let everything =
            Db { view: super::View { history: true, ..Default::default() }, ..self.unfiltered() };
        let mut batch = Batch::new(None);
        let first = everything.scan(&Range::attr(a), Columns::NONE).next(&mut batch);
        matches!(first, Ok(false))
    }

    /// This database as it stood at `t`, schema included. Clears no view. Exact for every t since the newest root, and
    /// for older ones as long as no index job dropped a row they need.
    ///
    /// # Errors
    /// `BASIS_NOT_REACHED` in the future, `BASIS_COLLECTED` when the rows for it are gone; those of the store.
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
        if t < self.base_t() && self.base().is_some_and(|base| t < base.root.exact_from) {
            return Err(Error::new(Code::BasisCollected, format!("the rows that t {} needs are gone", t.0))
                .with("t", t.0));
        }
        let row = self.transaction(t)?;
        let mut at = Db {
            origin: self.origin.clone(),
            known: self.known.clone(),
            layers: self.layers_at(t),
            view: self.view,
            filters: self.filters.clone(),
            basis: t,
            next_counter: row.map_or_else(|| self.options().first_counter(), |row| row.next_counter),
            last_instant: row.map_or(i64::MIN, |row| row.instant),
        };
        at.known = match self.known.at(t) {
            Some(known) => Arc::new(known),
            None => Arc::new(at.rebuilt_known()?),
        };
        Ok(at)
    }

    fn layers_at(&self, t: T) -> SmallVec<[Held; 2]> {
        let mut layers = self.layers.clone();
        // The bootstrap and the line's layer stay even when nothing of them is seen.
        while layers.len() > 2 && layers[layers.len() - 1].layer.base >= t.0 {
            layers.pop();
        }
        let top = layers.last_mut().expect("a value has the line's layer");
        top.end = if t.0 > top.layer.base { top.layer.end_at(t.0) } else { 0 };
        top.upto = t.0.max(top.layer.base);
        layers
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
        let base = self.base_t().0.min(self.basis.0);
        let (mut low, mut high) = (base, self.basis.0);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            if self.transaction(T(middle))?.is_some_and(|row| row.instant <= instant) {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        match self.base() {
            Some(base) if low <= base.t().0 => Ok(base.log.t_at(instant)?.min(T(low))),
            _ => Ok(T(low)),
        }
    }

    /// The decided transactions `start..end`, oldest first; at most `limit`. Ends at the basis; views do not narrow it.
    ///
    /// # Errors
    /// Only of the store.
    pub fn log(&self, start: T, end: T, limit: usize) -> Result<Vec<Arc<TxBody>>> {
        let start = start.0.max(1);
        let end = end.0.min(self.basis.0 + 1);
        let old = self.base_t().0 + 1;
        let mut bodies = match self.base() {
            Some(base) if start < old => base.log.bodies(T(start), T(end.min(old)), limit)?,
            _ => Vec::new(),
        };
        let more = limit - bodies.len();
        bodies.extend((start.max(old)..end).take(more).filter_map(|t| self.novel(t)).map(Arc::new));
        Ok(bodies)
    }

    /// The transaction that a client's transaction id became.
    ///
    /// # Errors
    /// Only of the store.
    pub fn transaction_by_client_id(&self, id: u128) -> Result<Option<Arc<TxBody>>> {
        match self.t_of_client(id)? {
            Some(t) => Ok(self.log(t, T(t.0 + 1), 1)?.pop()),
            None => Ok(None),
        }
    }

    /// The row of `t` in the transaction table; `None` at t 0 and beyond the basis.
    ///
    /// # Errors
    /// Only of the store.
    pub fn transaction(&self, t: T) -> Result<Option<Transaction>> {
        if let Some(held) = self.holder(t.0) {
            let row = held.layer.row(t.0);
            let (instant, client_id) = (row.instant, row.client_id);
            let (request_hash, next_counter) = (row.request_hash, row.next_counter);
            return Ok(Some(Transaction { t, instant, client_id, request_hash, next_counter }));
        }
        let Some(base) = self.base().filter(|_| t <= self.basis) else { return Ok(None) };
        Ok(base.log.row(t)?.map(|(leaf, i)| Transaction {
            t,
            instant: leaf.instant(i),
            client_id: leaf.client_id(i),
            request_hash: leaf.request_hash(i),
            next_counter: leaf.next_counter(i),
        }))
    }

    pub(super) fn t_of_client(&self, id: u128) -> Result<Option<T>> {
        let within = |held: &Held| held.layer.client(id).filter(|t| held.layer.base < *t && *t <= held.upto);
        if let Some(t) = self.layers.iter().rev().find_map(within) {
            return Ok(Some(T(t)));
        }
        let old = self.base().map(|base| base.t_of_client_id(id)).transpose()?.flatten();
        Ok(old.filter(|t| *t <= self.basis))
    }

    pub(super) fn novel(&self, t: u64) -> Option<TxBody> {
        self.holder(t).map(|held| held.layer.body(t))
    }

    fn holder(&self, t: u64) -> Option<&Held> {
        self.layers.iter().rev().find(|held| held.layer.base < t && t <= held.upto)
    }
}

/// A row of the transaction table: a transaction without its datoms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// its number
    pub t: T,
    /// `:db/txInstant`, milliseconds since 1970
    pub instant: i64,
    /// the transaction id that the client chose
    pub client_id: Option<u128>,
    /// 64-bit hash of the request bytes
    pub request_hash: u64,
    /// the database's entity counter after it
    pub next_counter: u64,
}
