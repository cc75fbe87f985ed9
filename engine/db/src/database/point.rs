//! Point reads: one entity, one value. The transactor makes several a datom, so little is allocated on the way.

use std::cmp::Ordering;

use smallvec::SmallVec;

use super::trees::Row;
use super::{Db, Held};
use crate::Result;
use crate::bootstrap::attr;
use crate::id::{AttrId, EntityId, T};
use crate::novelty::Seek;
use crate::order::Index;
use crate::range::{Batch, Columns, Key, Range};
use crate::scan::cursor::Span;
use crate::scan::table::TableColumn;
use crate::scan::window::{Mark, Marks, Window};
use crate::schema::Cardinality;
use crate::value::{Value, ValueRef, ValueType};

impl Db {
    /// The values of `a` of one entity with their t, in value order. O(log n). A history view answers what its window
    /// nets to.
    ///
    /// # Errors
    /// Only of the store.
    pub fn values(&self, e: EntityId, a: AttrId) -> Result<SmallVec<[(Value, T); 1]>> {
        let values = self.held_values(e, a)?;
        if self.is_filtered() { self.shown_values(e, a, values) } else { Ok(values) }
    }

    pub(super) fn held_values(&self, e: EntityId, a: AttrId) -> Result<SmallVec<[(Value, T); 1]>> {
        let window = self.netting_window();
        let mut values = SmallVec::new();
        if let Some((column, t)) = table_place(e, a) {
            values.extend(self.table_value(column, t, &window)?.map(|v| (v, t)));
            return Ok(values);
        }
        if let Some(newest) = self.newest_value(e, a, &window) {
            values.push(newest);
            return Ok(values);
        }
        let mut found: SmallVec<[(Value, Mark); 4]> = SmallVec::new();
        let key = Key { e: Some(e), a: Some(a), v: None };
        self.visit(Index::Eavt, &window, &key, |row, marks| {
            found.extend(marks.iter().map(|mark| (row.value(), *mark)));
        })?;
        if let [(value, mark)] = &found[..] {
            if mark.added && window.shows(mark.t) {
                values.push((value.clone(), T(mark.t)));
            }
            return Ok(values);
        }
        found.sort_by(|(x, _), (y, _)| x.cmp_index(y));
        for fact in found.chunk_by(|(x, _), (y, _)| x.cmp_index(y) == Ordering::Equal) {
            let t = net(&window, fact.iter().map(|(_, mark)| *mark));
            values.extend(t.map(|t| (fact[0].0.clone(), t)));
        }
        Ok(values)
    }

    /// The one value of `a` in the present, where novelty knows its newest event: whatever the number of values it
    /// replaced. `None` says nothing.
    fn newest_value(&self, e: EntityId, a: AttrId, window: &Window) -> Option<(Value, T)> {
        let layers = self.layers();
        let (level, at) = layers
            .iter()
            .enumerate()
            .rev()
            .find_map(|(level, held)| Some((level, held.layer.newest(e, a)?)))?;
        let present = window.lo == 0 && window.hi == self.basis().0;
        let one = self.schema().attribute(a)?.cardinality == Cardinality::One;
        let held = &layers[level];
        if !present || !one || at >= held.end {
            return None;
        }
        let seek = Seek { e: Some(e.0), a: Some(a.0), v: None };
        let silent = |held: &Held| {
            let events = held.layer.events();
            let levels = held.layer.levels(Index::Eavt, held.end);
            levels.runs().all(|run| run.lower(events, &seek) == run.upper(events, &seek))
        };
        if !layers[level + 1..].iter().all(silent) {
            return None;
        }
        let event = &held.layer.events()[at as usize];
        event.added().then(|| (event.value(), T(held.layer.base + u64::from(event.t))))
    }

    /// The t of the datom `[e a v]` if it holds; `v` is matched by identity. O(log n).
    ///
    /// # Errors
    /// Only of the store.
    pub fn holds(&self, e: EntityId, a: AttrId, v: &ValueRef<'_>) -> Result<Option<T>> {
        match self.is_held(e, a, v)? {
            Some(t) if self.is_filtered() => Ok(self.shows(e, a, *v, t)?.then_some(t)),
            held => Ok(held),
        }
    }

    fn is_held(&self, e: EntityId, a: AttrId, v: &ValueRef<'_>) -> Result<Option<T>> {
        let window = self.netting_window();
        if let Some((column, t)) = table_place(e, a) {
            let held = self.table_value(column, t, &window)?;
            return Ok(held.filter(|held| held.as_ref().identical(v)).map(|_| t));
        }
        let mut found = Marks::new();
        let seek = Seek { e: Some(e.0), a: Some(a.0), v: Some(*v) };
        self.visit_novelty(Index::Eavt, &window, &seek, |_, mark| found.push(mark));
        if self.base().is_some() {
            let key = Key { e: Some(e), a: Some(a), v: Some(v.to_value()) };
            let range = Range::prefix(Index::Eavt, key);
            self.visit_trees(&window, &range, |_, marks| found.extend_from_slice(marks))?;
        }
        Ok(net(&window, found))
    }

    /// The t of the datom `[e a v]` in the trees, its value as written there: decimals of another scale are other rows.
    ///
    /// # Errors
    /// Only of the store.
    pub(crate) fn indexed_as_written(&self, e: EntityId, a: AttrId, v: &ValueRef<'_>) -> Result<Option<T>> {
        let (window, mut found) = (self.netting_window(), Marks::new());
        let range = Range::prefix(Index::Eavt, Key { e: Some(e), a: Some(a), v: Some(v.to_value()) });
        self.visit_trees(&window, &range, |row, marks| {
            if row.v().cmp_index(v) == Ordering::Equal {
                found.extend_from_slice(marks);
            }
        })?;
        Ok(net(&window, found))
    }

    /// The first entity with that value of `a`, matched by identity: what a lookup ref finds. O(log n + entities that
    /// had the value) where AVET holds `a`, O(datoms of `a`) elsewhere.
    ///
    /// # Errors
    /// Only of the store.
    pub fn lookup(&self, a: AttrId, v: &ValueRef<'_>) -> Result<Option<EntityId>> {
        if a == attr::TX_ID
            && let ValueRef::Uuid(id) = v
        {
            let window = self.netting_window();
            let Some(t) = self.t_of_client(*id)?.filter(|t| window.shows(t.0)) else { return Ok(None) };
            let e = EntityId::of_tx(t);
            return Ok((!self.is_filtered() || self.shows(e, a, *v, t)?).then_some(e));
        }
        if self.avet_is_whole(a) && a != attr::TX_INSTANT && !self.is_filtered() {
            return Ok(self.entities_with(a, v)?.first().map(|&(e, _)| e));
        }
        let netting = Db { view: super::View { history: false, ..self.view }, ..self.clone() };
        let mut batch = Batch::new(None);
        let range = Range::attr_value(a, v.to_value());
        let (mut scan, mut least) = (netting.scan(&range, Columns::E), None);
        while scan.next(&mut batch)? {
            least = batch.e.iter().copied().chain(least).min();
        }
        Ok(least.map(EntityId))
    }

    /// The datoms whose value is a reference to `target`, by attribute, then entity. One seek a ref attribute.
    ///
    /// # Errors
    /// Only of the store.
    pub fn referrers(&self, target: EntityId) -> Result<Vec<(AttrId, EntityId, T)>> {
        let refs = self.schema().attributes().filter(|attribute| attribute.is_ref());
        let mut attrs: SmallVec<[AttrId; 16]> = refs.map(|attribute| attribute.id).collect();
        attrs.sort_unstable();
        let mut found = Vec::new();
        for a in attrs {
            if self.avet_is_whole(a) && !self.is_filtered() {
                let rows = self.entities_with(a, &ValueRef::Ref(target))?;
                found.extend(rows.into_iter().map(|(e, t)| (a, e, t)));
            } else {
                self.scan_referrers(a, target, &mut found)?;
            }
        }
        Ok(found)
    }

    fn scan_referrers(
        &self,
        a: AttrId,
        target: EntityId,
        found: &mut Vec<(AttrId, EntityId, T)>,
    ) -> Result<()> {
        let mut batch = Batch::new(Some(ValueType::Ref));
        let range = Range::attr_value(a, Value::Ref(target));
        let netting = Db { view: super::View { history: false, ..self.view }, ..self.clone() };
        let mut scan = netting.scan(&range, Columns::E.with(Columns::T));
        while scan.next(&mut batch)? {
            let rows = batch.e.iter().zip(&batch.t);
            found.extend(rows.map(|(&e, &t)| (a, EntityId(e), T(t))));
        }
        Ok(())
    }

    /// The entities that have the value, ascending, with the t of the datom. AVET must hold `a` whole.
    fn entities_with(&self, a: AttrId, v: &ValueRef<'_>) -> Result<SmallVec<[(EntityId, T); 2]>> {
        let window = self.netting_window();
        let seek = Seek { e: None, a: Some(a.0), v: Some(*v) };
        let mut found: SmallVec<[(EntityId, Mark); 4]> = SmallVec::new();
        self.visit_novelty(Index::Avet, &window, &seek, |row, mark| found.push((row.e(), mark)));
        if self.base().is_some() {
            let range = Range::attr_value(a, v.to_value());
            self.visit_trees(&window, &range, |row, marks| {
                found.extend(marks.iter().map(|mark| (row.e(), *mark)));
            })?;
        }
        found.sort_by_key(|(e, _)| *e);
        let facts = found.chunk_by(|(x, _), (y, _)| x == y);
        let held = |fact: &[(EntityId, Mark)]| {
            net(&window, fact.iter().map(|(_, mark)| *mark)).map(|t| (fact[0].0, t))
        };
        Ok(facts.filter_map(held).collect())
    }

    /// AVET holds every event of `a` that this value sees.
    pub(crate) fn avet_is_whole(&self, a: AttrId) -> bool {
        self.known.avet.contains(&a)
    }

    /// Every row under a prefix, in no order.
    fn visit(
        &self,
        index: Index,
        window: &Window,
        key: &Key,
        mut visit: impl FnMut(Row<'_>, &[Mark]),
    ) -> Result<()> {
        self.visit_novelty(index, window, &Seek::of(key), |row, mark| visit(row, &[mark]));
        if self.base().is_some() {
            self.visit_trees(window, &Range::prefix(index, key.clone()), |row, marks| visit(row, marks))?;
        }
        Ok(())
    }

    fn visit_novelty(
        &self,
        index: Index,
        window: &Window,
        seek: &Seek<'_>,
        mut visit: impl FnMut(Row<'_>, Mark),
    ) {
        for held in self.layers() {
            let Some(span) = Span::of(window, held) else { continue };
            let events = held.layer.events();
            for run in held.layer.levels(index, held.end).runs() {
                let start = run.lower(events, seek);
                for &at in &run.positions[start..] {
                    let event = &events[at as usize];
                    if seek.cmp_event(index, event) != Ordering::Equal {
                        break;
                    }
                    if event.t <= span.read {
                        let t = held.layer.base + u64::from(event.t);
                        visit(Row::Event(event), Mark { t, added: event.added(), unkept: event.unkept() });
                    }
                }
            }
        }
    }

    /// A value of the transaction table.
    pub(super) fn table_value(&self, column: TableColumn, t: T, window: &Window) -> Result<Option<Value>> {
        if !window.shows(t.0) {
            return Ok(None);
        }
        Ok(self.transaction(t)?.and_then(|row| match column {
            TableColumn::Instant => Some(Value::Instant(row.instant)),
            TableColumn::ClientId => row.client_id.map(Value::Uuid),
        }))
    }

    pub(super) fn netting_window(&self) -> Window {
        Window { history: false, ..self.window() }
    }
}

/// The column and row of the transaction table that hold `[e a]`.
pub(super) fn table_place(e: EntityId, a: AttrId) -> Option<(TableColumn, T)> {
    Some((TableColumn::of_attr(a)?, e.as_t()?))
}

/// The t of the assertion that the events of one fact net to.
fn net(window: &Window, marks: impl IntoIterator<Item = Mark>) -> Option<T> {
    let mut marks: Marks = marks.into_iter().collect();
    window.net(&mut marks);
    marks.first().map(|mark| T(mark.t))
}
