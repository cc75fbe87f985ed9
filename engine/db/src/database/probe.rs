//! Batched look-ups: many keys of one attribute in one forward pass. The work-horses of joins.

mod source;

use std::cmp::Ordering;

use smallvec::SmallVec;

use super::Db;
use super::point::table_place;
use super::trees::Row;
use crate::Result;
use crate::column::Column;
use crate::id::{AttrId, EntityId};
use crate::novelty::Seek;
use crate::order::Index;
use crate::range::{Batch, Columns, Probe, Range};
use crate::scan::cursor::Span;
use crate::scan::table::TableColumn;
use crate::scan::window::{Mark, Marks, Window};
use crate::value::{ValueRef, ValueType};
use source::{RunSource, Source, TreeSource, Wanted};

impl Db {
    /// For each of `entities` (ascending), its values of `a`, in value order. One forward pass: O(log distance) a key
    /// and source.
    ///
    /// # Errors
    /// Only of the store.
    pub fn probe_entities(&self, a: AttrId, entities: &[u64], with_t: bool) -> Result<Probe> {
        let window = self.netting_window();
        let ty = self.schema().attribute(a).and_then(|attribute| attribute.value_type);
        let mut probe = Probe { input: Vec::new(), e: Vec::new(), v: Column::of(ty), t: Vec::new() };
        let mut sources = self.probe_sources(Index::Aevt, a, &window);
        for (i, &e) in entities.iter().enumerate() {
            if let Some((column, t)) = table_place(EntityId(e), a) {
                let held = self.table_value(column, t, &window)?;
                held.iter().for_each(|v| probe.push_value(i, v.as_ref(), t.0, with_t));
                continue;
            }
            let key = Wanted { e: Some(e), v: None };
            probe_key(&mut sources, &window, &key, |_, v, t| probe.push_value(i, v, t, with_t))?;
        }
        Ok(probe)
    }

    /// For each of `values` (ascending in index order; matched by identity), the entities that have it for `a`,
    /// ascending. One forward pass over AVET, or over AEVT with a look-up a row where AVET does not hold `a`.
    ///
    /// # Errors
    /// Only of the store.
    pub fn probe_values(&self, a: AttrId, values: &Column, with_t: bool) -> Result<Probe> {
        let mut probe =
            Probe { input: Vec::new(), e: Vec::new(), v: Column::Mixed(Vec::new()), t: Vec::new() };
        if !self.avet_is_whole(a) || TableColumn::of_attr(a).is_some() {
            self.probe_by_scan(a, values, with_t, &mut probe)?;
            return Ok(probe);
        }
        let window = self.netting_window();
        let mut sources = self.probe_sources(Index::Avet, a, &window);
        for i in 0..values.len() {
            let key = Wanted { e: None, v: Some(values.get(i)) };
            probe_key(&mut sources, &window, &key, |e, _, t| probe.push_entity(i, e, t, with_t))?;
        }
        Ok(probe)
    }

    fn probe_by_scan(&self, a: AttrId, values: &Column, with_t: bool, probe: &mut Probe) -> Result<()> {
        let ty = self.schema().attribute(a).and_then(|attribute| attribute.value_type);
        let netting = Db { view: super::View { history: false, ..self.view }, ..self.clone() };
        let mut batch = Batch::new(ty);
        let mut scan = netting.scan(&Range::attr(a), Columns::E.with(Columns::V).with(Columns::T));
        let mut found: Vec<(u32, u64, u64)> = Vec::new();
        while scan.next(&mut batch)? {
            for row in 0..batch.rows {
                let first = lower(values, &batch.v.get(row));
                let same = |&i: &usize| values.get(i).identical(&batch.v.get(row));
                let inputs = (first..values.len()).take_while(same);
                found.extend(inputs.map(|i| (i as u32, batch.e[row], batch.t[row])));
            }
        }
        found.sort_unstable();
        found.into_iter().for_each(|(i, e, t)| probe.push_entity(i as usize, e, t, with_t));
        Ok(())
    }

    fn probe_sources(&self, index: Index, a: AttrId, window: &Window) -> SmallVec<[Source<'_>; 6]> {
        let mut sources = SmallVec::new();
        let seek = Seek { a: Some(a.0), ..Seek::default() };
        for held in self.layers() {
            let Some(span) = Span::of(window, held) else { continue };
            let levels = held.layer.levels(index, held.end);
            let runs = levels.runs().filter_map(|run| RunSource::open(held, run, span, &seek, window));
            sources.extend(runs.map(Source::Run));
        }
        let trees = self.trees(index, window).into_iter();
        sources.extend(trees.map(|(tree, role)| Source::Tree(TreeSource::open(tree, role, a, window))));
        sources
    }
}

/// The first row of `values` not before `v`, by identity.
fn lower(values: &Column, v: &ValueRef<'_>) -> usize {
    let (mut low, mut high) = (0, values.len());
    while low < high {
        let middle = low + (high - low) / 2;
        if crate::novelty::event::cmp_class(&values.get(middle), v) == Ordering::Less {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// Collects what the sources have of one key; `found` gets entity, value and t of what holds, in index order.
fn probe_key(
    sources: &mut [Source<'_>],
    window: &Window,
    key: &Wanted<'_>,
    mut found: impl FnMut(u64, ValueRef<'_>, u64),
) -> Result<()> {
    let mut hits: SmallVec<[(usize, usize); 6]> = SmallVec::new();
    for (i, source) in sources.iter_mut().enumerate() {
        let rows = source.seek(key)?;
        if rows > 0 {
            hits.push((i, rows));
        }
    }
    // Identical decimals of two scales stand apart, so their entities are not in order.
    let in_order = key.v.is_none_or(|v| !matches!(v.value_type(), ValueType::BigDec | ValueType::Tuple));
    if let [(i, rows)] = hits[..]
        && in_order
        && sources[i].is_clear()
    {
        (0..rows).for_each(|row| sources[i].show(row, &mut found));
        return Ok(());
    }
    let mut events: SmallVec<[(Row<'_>, Mark); 8]> = SmallVec::new();
    for (i, rows) in hits {
        sources[i].marks(rows, &mut events);
    }
    let order = |x: &Row<'_>, y: &Row<'_>| match key.v {
        None => x.v().cmp_index(&y.v()),
        Some(_) => x.e().cmp(&y.e()),
    };
    events.sort_by(|(x, _), (y, _)| order(x, y));
    for fact in events.chunk_by(|(x, _), (y, _)| order(x, y) == Ordering::Equal) {
        if let Some(t) = net(window, fact.iter().map(|(_, mark)| *mark)) {
            found(fact[0].0.e().0, fact[0].0.v(), t);
        }
    }
    Ok(())
}

fn net(window: &Window, marks: impl Iterator<Item = Mark>) -> Option<u64> {
    let mut marks: Marks = marks.collect();
    window.net(&mut marks);
    marks.first().map(|mark| mark.t)
}

impl Probe {
    fn push_value(&mut self, input: usize, v: ValueRef<'_>, t: u64, with_t: bool) {
        self.input.push(input as u32);
        self.v.push(v);
        if with_t {
            self.t.push(t);
        }
    }

    fn push_entity(&mut self, input: usize, e: u64, t: u64, with_t: bool) {
        self.input.push(input as u32);
        self.e.push(e);
        if with_t {
            self.t.push(t);
        }
    }
}
