//! Standing on an index root: opening one, and moving a line to a newer one.

use std::ops::Bound;
use std::sync::Arc;

use annals_edn::{Code, Error};
use rustc_hash::FxHashMap;

use super::known::Known;
use super::{Db, Held, Origin, View, fresh_layers};
use crate::Result;
use crate::bootstrap;
use crate::datom::Datom;
use crate::id::{EntityId, Partition, T};
use crate::log::TxBody;
use crate::novelty::Tuning;
use crate::order::Index;
use crate::range::{Batch, Columns, Key, Range};
use crate::schema::Schema;
use crate::segment::{Base, CountingPort, Reads};

impl Db {
    /// The database as an index root has it, without novelty.
    #[must_use]
    pub fn open(base: Base) -> Db {
        let (t, root) = (base.t(), base.root.clone());
        Db {
            known: Arc::new(Known::of_base(&base)),
            layers: fresh_layers(t, Tuning::default()),
            view: View::default(),
            filters: None,
            basis: t,
            next_counter: root.next_counter,
            last_instant: root.last_instant,
            origin: Arc::new(Origin {
                incarnation: base.incarnation(),
                options: root.options,
                base: Some(base),
            }),
        }
    }

    /// This value on a newer root: a new generation of the line whose arena holds only what the root does not cover. For
    /// the owner of the line; values of the old generation live on beside it. O(datoms newer than the root).
    ///
    /// # Errors
    /// `DIVERGED` when the root is of another database, newer than this value, or older than its own root.
    pub fn adopt(&self, base: Base) -> Result<Db> {
        let t = base.t();
        if base.incarnation() != self.incarnation() || t > self.basis || t < self.base_t() {
            let message = format!("a root at t {} cannot carry a value at t {}", t.0, self.basis.0);
            return Err(Error::new(Code::Diverged, message));
        }
        let known = Arc::new(self.known.rebased(&base));
        let options = self.options();
        let origin = Arc::new(Origin { incarnation: self.incarnation(), options, base: Some(base) });
        Ok(self.regenerated(origin, known))
    }

    /// The same value, reading through a port that counts: what a measured query is given, so that others pay nothing.
    /// Opens the root again, which is counted too: take the difference from here on.
    ///
    /// # Errors
    /// `SEGMENT_UNAVAILABLE`, `DATA_LOSS` from the port.
    pub fn counting(&self, reads: &Arc<Reads>) -> Result<Db> {
        let Some(base) = self.base() else { return Ok(self.clone()) };
        let port = Arc::new(CountingPort { port: base.port().clone(), reads: reads.clone() });
        let base = Base::open(base.hash, port)?;
        let origin = Origin { incarnation: self.incarnation(), options: self.options(), base: Some(base) };
        Ok(Db { origin: Arc::new(origin), ..self.clone() })
    }

    /// The same value with all its layers in one.
    pub(super) fn flattened(&self) -> Db {
        self.regenerated(self.origin.clone(), self.known.clone())
    }

    /// A new generation: what is newer than the origin's root, appended again.
    fn regenerated(&self, origin: Arc<Origin>, known: Arc<Known>) -> Db {
        let base = origin.base.as_ref().map_or(T(0), Base::t);
        let tuning = self.layers[self.layers.len() - 1].layer.tuning;
        let mut layers = fresh_layers(base, tuning);
        let Held { layer, end, upto } = layers.last_mut().expect("fresh layers have the line's");
        for t in base.0 + 1..=self.basis.0 {
            let body = self.novel(t).expect("novelty has every transaction since the root");
            let (schema, avet) = known.version_at(body.t).expect("a line knows every schema since its root");
            let marks = |datom: &Datom| origin.marks(schema, avet, datom);
            *end = layer.append(T(t - 1), &body, marks).expect("a fresh layer takes what follows");
            *upto = t;
        }
        Db { origin, known, layers, ..self.clone() }
    }

    /// What was known of the schema at this basis, from the datoms of the schema alone: for a basis before all that
    /// this line remembers. O(schema changes * schema).
    pub(super) fn rebuilt_known(&self) -> Result<Known> {
        let everything = Db { view: View { history: true, ..View::default() }, ..self.clone() };
        let mut changes: FxHashMap<T, Vec<Datom>> = FxHashMap::default();
        let first_of = |partition| Key { e: Some(EntityId::new(partition, 0)), ..Key::default() };
        let elements = Range {
            index: Index::Eavt,
            start: Bound::Included(first_of(Partition::DB)),
            end: Bound::Excluded(first_of(Partition::TX)),
        };
        everything.gather(&elements, &mut changes, |_| true)?;
        let properties = (bootstrap::attr::IDENT.0..=bootstrap::LAST_PROPERTY.0).map(crate::AttrId);
        for a in properties.chain([bootstrap::attr::ENTITY_ALWAYS]) {
            let range = Range::attr(a);
            everything.gather(&range, &mut changes, |e| e.partition() != Partition::DB)?;
        }
        changes.remove(&T(0));
        let mut changes: Vec<(T, Vec<Datom>)> = changes.into_iter().collect();
        changes.sort_unstable_by_key(|(t, _)| *t);
        let mut schema = Schema::bootstrap();
        for (t, datoms) in changes {
            let body = TxBody {
                t,
                instant: 0,
                client_id: None,
                request_hash: 0,
                next_counter: 0,
                tempids: Vec::new(),
                datoms,
            };
            if let Some(next) = schema.apply(&body)? {
                schema = Arc::new(next);
            }
        }
        let avet = self.base().map_or_else(|| self.known.avet.clone(), |base| base.avet.clone());
        Ok(Known::rebuilt(self.basis, schema, avet))
    }

    fn gather(
        &self,
        range: &Range,
        changes: &mut FxHashMap<T, Vec<Datom>>,
        wanted: impl Fn(EntityId) -> bool,
    ) -> Result<()> {
        let (mut batch, mut scan) = (Batch::new(None), self.scan(range, Columns::ALL));
        while scan.next(&mut batch)? {
            for i in 0..batch.rows {
                let (e, t) = (EntityId(batch.e[i]), T(batch.t[i]));
                if wanted(e) {
                    let (a, v) = (crate::AttrId(batch.a[i]), batch.v.get(i).to_value());
                    changes.entry(t).or_default().push(Datom { e, a, v, t, added: batch.added[i] });
                }
            }
        }
        Ok(())
    }
}
