//! Batched look-ups: many keys of one attribute in one forward pass. The work-horses of joins.

use std::cmp::Ordering;
use std::sync::Arc;

use smallvec::SmallVec;

use super::{Db, Held};
use crate::Result;
use crate::column::Column;
use crate::id::{AttrId, EntityId};
use crate::novelty::run::gallop;
use crate::novelty::{Event, Layer, Run, Seek};
use crate::order::Index;
use crate::range::{Batch, Columns, Probe, Range};
use crate::scan::cursor::{Span, TableColumn};
use crate::scan::window::{Mark, Marks, Window};
use crate::value::{ValueRef, ValueType};

impl Db {
    /// For each of `entities` (ascending), its values of `a`, in value order. One forward pass: O(log distance) a key
    /// and source.
    ///
    /// # Errors
    /// Only of the store.
    pub fn probe_entities(&self, a: AttrId, entities: &[u64], with_t: bool) -> Result<Probe> {
        let window = self.netting_window();
        let ty = self.schema().attribute(a).map(|attribute| attribute.value_type);
        let v = ty.map_or_else(|| Column::Mixed(Vec::new()), Column::of);
        let mut probe = Probe { input: Vec::new(), e: Vec::new(), v, t: Vec::new() };
        let mut sources = self.probe_sources(Index::Aevt, a, &window);
        let column = TableColumn::of_attr(a);
        for (i, &e) in entities.iter().enumerate() {
            if let Some(column) = column
                && let Some(t) = EntityId(e).as_t()
            {
                let held = self.table_value(column, t, &window);
                held.iter().for_each(|v| probe.push_value(i, v.as_ref(), t.0, with_t));
                continue;
            }
            probe_entity(&mut sources, &window, e, |v, t| probe.push_value(i, v, t, with_t));
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
            probe_value(&mut sources, &window, a, values.get(i), |e, t| probe.push_entity(i, e, t, with_t));
        }
        Ok(probe)
    }

    fn probe_by_scan(&self, a: AttrId, values: &Column, with_t: bool, probe: &mut Probe) -> Result<()> {
        let ty = self.schema().attribute(a).map(|attribute| attribute.value_type);
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
            sources.extend(levels.runs().filter_map(|run| Source::open(held, run, span, &seek, window)));
        }
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

/// The rows of one attribute in one run, from the newest key on.
struct Source<'a> {
    layer: &'a Layer,
    run: Arc<Run>,
    at: usize,
    end: usize,
    span: Span,
    clear: bool,
}

impl<'a> Source<'a> {
    fn open(
        held: &'a Held,
        run: &Arc<Run>,
        span: Span,
        seek: &Seek<'_>,
        window: &Window,
    ) -> Option<Source<'a>> {
        let layer = &*held.layer;
        let (at, end) = (run.lower(layer.events(), seek), run.upper(layer.events(), seek));
        let clear = run.plain && span.covers(run) && !window.careful;
        (at < end).then(|| Source { layer, run: run.clone(), at, end, span, clear })
    }

    fn event(&self, i: usize) -> &'a Event {
        &self.layer.events()[self.run.positions[i] as usize]
    }

    /// Goes to the first row that is not `below`.
    fn seek(&mut self, below: impl Fn(&Event) -> bool) {
        let events = self.layer.events();
        self.at = gallop(&self.run.positions[..self.end], self.at, |&at| below(&events[at as usize]));
    }

    /// How many rows from here on are `same`.
    fn same(&self, same: impl Fn(&Event) -> bool) -> usize {
        (self.at..self.end).take_while(|&i| same(self.event(i))).count()
    }

    fn t(&self, event: &Event) -> u64 {
        self.layer.base + u64::from(event.t)
    }

    fn marks(&self, rows: usize) -> impl Iterator<Item = (&'a Event, Mark)> {
        let events = (self.at..self.at + rows).map(|i| self.event(i));
        events
            .filter(|event| event.t <= self.span.read)
            .map(|event| (event, Mark { t: self.t(event), added: event.added(), unkept: event.unkept() }))
    }
}

fn probe_entity(
    sources: &mut [Source<'_>],
    window: &Window,
    e: u64,
    mut found: impl FnMut(ValueRef<'_>, u64),
) {
    let mut hits: SmallVec<[(usize, usize); 6]> = SmallVec::new();
    for (i, source) in sources.iter_mut().enumerate() {
        source.seek(|event| event.e < e);
        let rows = source.same(|event| event.e == e);
        if rows > 0 {
            hits.push((i, rows));
        }
    }
    if let [(i, rows)] = hits[..]
        && sources[i].clear
    {
        let source = &sources[i];
        (source.at..source.at + rows)
            .map(|i| source.event(i))
            .for_each(|event| found(event.v(), source.t(event)));
        return;
    }
    let mut events: SmallVec<[(&Event, Mark); 8]> =
        hits.iter().flat_map(|&(i, rows)| sources[i].marks(rows)).collect();
    events.sort_by(|(x, _), (y, _)| x.v().cmp_index(&y.v()));
    for fact in events.chunk_by(|(x, _), (y, _)| x.v().cmp_index(&y.v()) == Ordering::Equal) {
        if let Some(t) = net(window, fact.iter().map(|(_, mark)| *mark)) {
            found(fact[0].0.v(), t);
        }
    }
}

fn probe_value(
    sources: &mut [Source<'_>],
    window: &Window,
    a: AttrId,
    v: ValueRef<'_>,
    mut found: impl FnMut(u64, u64),
) {
    let seek = Seek { e: None, a: Some(a.0), v: Some(v) };
    let mut hits: SmallVec<[(usize, usize); 6]> = SmallVec::new();
    for (i, source) in sources.iter_mut().enumerate() {
        source.seek(|event| seek.cmp_event(Index::Avet, event) == Ordering::Less);
        let rows = source.same(|event| seek.cmp_event(Index::Avet, event) == Ordering::Equal);
        if rows > 0 {
            hits.push((i, rows));
        }
    }
    // Identical decimals of two scales stand apart, so their entities are not in order.
    let one_value = !matches!(v.value_type(), ValueType::BigDec | ValueType::Tuple);
    if let [(i, rows)] = hits[..]
        && sources[i].clear
        && one_value
    {
        let source = &sources[i];
        (source.at..source.at + rows)
            .map(|i| source.event(i))
            .for_each(|event| found(event.e, source.t(event)));
        return;
    }
    let mut events: SmallVec<[(u64, Mark); 8]> = SmallVec::new();
    for (i, rows) in hits {
        events.extend(sources[i].marks(rows).map(|(event, mark)| (event.e, mark)));
    }
    events.sort_by_key(|(e, _)| *e);
    for fact in events.chunk_by(|(x, _), (y, _)| x == y) {
        if let Some(t) = net(window, fact.iter().map(|(_, mark)| *mark)) {
            found(fact[0].0, t);
        }
    }
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
