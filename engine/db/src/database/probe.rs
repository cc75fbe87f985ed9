//! Batched look-ups: many keys of one attribute in one forward pass. The work-horses of joins.

mod source;
mod tree;

use std::borrow::Cow;
use std::cmp::Ordering;

use smallvec::SmallVec;

use super::Db;
use super::filter::Sought;
use super::trees::Row;
use crate::Result;
use crate::column::Column;
use crate::id::{AttrId, EntityId};
use crate::novelty::{Closings, Seek};
use crate::order::Index;
use crate::range::{Batch, Columns, Probe, Range};
use crate::scan::cursor::Span;
use crate::scan::table::TableColumn;
use crate::scan::window::{Mark, Marks, Window};
use crate::value::{ValueRef, ValueType};
use source::{Keys, RunSource, Source, Wanted};
use tree::TreeSource;

/// So few keys are sought one by one, from the index of entities.
const FEW_KEYS: usize = 2;

impl Db {
    /// For each of `entities` (ascending), its values of `a`, in value order. One forward pass: O(log distance) a key
    /// and source.
    ///
    /// # Errors
    /// Only of the store.
    pub fn probe_entities(&self, a: AttrId, entities: &[u64], with_t: bool) -> Result<Probe> {
        if !self.is_filtered() {
            return self.held_by_entities(a, entities, with_t);
        }
        let probe = self.held_by_entities(a, entities, true)?;
        self.shown_probe(a, probe, Sought::Entities(entities), with_t)
    }

    fn held_by_entities(&self, a: AttrId, entities: &[u64], with_t: bool) -> Result<Probe> {
        let window = self.netting_window();
        let mut probe = self.no_probe(a);
        let from_table = TableColumn::of_attr(a).is_some();
        if entities.len() <= FEW_KEYS || from_table {
            for (i, &e) in entities.iter().enumerate() {
                for (v, t) in self.held_values(EntityId(e), a)? {
                    probe.push_value(i, v.as_ref(), t.0, with_t);
                }
            }
            return Ok(probe);
        }
        self.probe(Index::Aevt, a, &Keys::Entities(entities.into()), &window, with_t)
    }

    /// For each of `values` (ascending in index order; matched by identity), the entities that have it for `a`,
    /// ascending. One forward pass over AVET, or over AEVT with a look-up a row where AVET does not hold `a`.
    ///
    /// # Errors
    /// Only of the store.
    pub fn probe_values(&self, a: AttrId, values: &Column, with_t: bool) -> Result<Probe> {
        if !self.is_filtered() {
            return self.held_by_values(a, values, with_t);
        }
        let probe = self.held_by_values(a, values, true)?;
        self.shown_probe(a, probe, Sought::Values(values), with_t)
    }

    fn held_by_values(&self, a: AttrId, values: &Column, with_t: bool) -> Result<Probe> {
        if !self.avet_is_whole(a) || TableColumn::of_attr(a).is_some() {
            let mut probe = self.no_probe(a);
            self.probe_by_scan(a, values, with_t, &mut probe)?;
            return Ok(probe);
        }
        let window = self.netting_window();
        self.probe(Index::Avet, a, &Keys::Values(Cow::Borrowed(values)), &window, with_t)
    }

    fn no_probe(&self, a: AttrId) -> Probe {
        Probe { input: Vec::new(), e: Vec::new(), v: Column::of(self.value_type(a)), t: Vec::new() }
    }

    fn value_type(&self, a: AttrId) -> Option<ValueType> {
        self.schema().attribute(a).and_then(|attribute| attribute.value_type)
    }

    /// Keys of which every source knows only what holds are sought in each source by itself, in one tight pass; what
    /// the sources find is then put together. Only the keys that some source may end are netted one by one.
    fn probe(
        &self,
        index: Index,
        a: AttrId,
        keys: &Keys<'_>,
        window: &Window,
        with_t: bool,
    ) -> Result<Probe> {
        let mut sources = self.probe_sources(index, a, window, keys.len());
        let simple = sources.iter().filter(|source| source.is_simple()).count();
        if simple == 0 || keys.have_scales() {
            return self.probe_each(a, &mut sources, keys, window, with_t);
        }
        let mut touched: Vec<u32> = Vec::new();
        for source in sources.iter_mut().filter(|source| !source.is_simple()) {
            for i in 0..keys.len() {
                if source.seek(&keys.wanted(i))? > 0 {
                    touched.push(i as u32);
                }
            }
        }
        touched.sort_unstable();
        touched.dedup();
        let mut parts: SmallVec<[Probe; 6]> = SmallVec::new();
        let (rest, numbers) = keys.without(&touched);
        let closing = sources.iter().any(Source::closes);
        for source in sources.iter_mut().filter(|source| source.is_simple()) {
            let mut part = self.no_probe(a);
            source.seek_all(&rest, with_t || closing, &mut part)?;
            parts.push(part);
        }
        for source in sources.iter().filter(|source| source.closes()) {
            let mut closings = Closings::new(self.value_type(a));
            let keys = source.closings(&rest, &mut closings);
            parts.iter_mut().for_each(|part| closings.take_from(&keys, part));
        }
        for part in &mut parts {
            part.renumber(numbers.as_deref());
            if !with_t {
                part.t.clear();
            }
        }
        if !touched.is_empty() {
            let keys = keys.select(&touched);
            let mut sources = self.probe_sources(index, a, window, 0);
            let mut part = self.probe_each(a, &mut sources, &keys, window, with_t)?;
            part.renumber(Some(&touched));
            parts.push(part);
        }
        Ok(merged(parts).unwrap_or_else(|| self.no_probe(a)))
    }

    /// Keys one by one, each in all sources.
    fn probe_each(
        &self,
        a: AttrId,
        sources: &mut [Source<'_>],
        keys: &Keys<'_>,
        window: &Window,
        with_t: bool,
    ) -> Result<Probe> {
        let mut probe = self.no_probe(a);
        for i in 0..keys.len() {
            let key = keys.wanted(i);
            probe_key(sources, window, &key, |e, v, t| match key.v {
                None => probe.push_value(i, v, t, with_t),
                Some(_) => probe.push_entity(i, e, t, with_t),
            })?;
        }
        Ok(probe)
    }

    fn probe_by_scan(&self, a: AttrId, values: &Column, with_t: bool, probe: &mut Probe) -> Result<()> {
        let ty = self.schema().attribute(a).and_then(|attribute| attribute.value_type);
        let netting = Db { view: super::View { history: false, ..self.view }, ..self.unfiltered() };
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

    fn probe_sources(
        &self,
        index: Index,
        a: AttrId,
        window: &Window,
        keys: usize,
    ) -> SmallVec<[Source<'_>; 6]> {
        let mut sources = SmallVec::new();
        let seek = Seek { a: Some(a.0), ..Seek::default() };
        for held in self.layers() {
            let Some(span) = Span::of(window, held) else { continue };
            let levels = held.layer.levels(index, held.end);
            let runs = levels.runs().filter_map(|run| RunSource::open(held, run, span, &seek, window, keys));
            // The bootstrap stands in the trees too: what both have is netted.
            let twice = held.upto == 0 && self.base().is_some();
            sources.extend(runs.map(|run| Source::Run(run.or_twice(twice))));
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

/// What several sources found, none of it twice, in the order of keys, then of values or entities.
fn merged(mut parts: SmallVec<[Probe; 6]>) -> Option<Probe> {
    parts.retain(|part| !part.input.is_empty());
    parts.sort_by_key(|part| part.input[0]);
    let apart = |pair: &[Probe]| pair[0].input.last() < pair[1].input.first();
    if parts.windows(2).all(apart) {
        let mut parts = parts.into_iter();
        let mut all = parts.next()?;
        for part in parts {
            all.input.extend_from_slice(&part.input);
            all.e.extend_from_slice(&part.e);
            all.v.extend_range(&part.v, 0..part.v.len());
            all.t.extend_from_slice(&part.t);
        }
        return Some(all);
    }
    let numbered = |(number, part): (usize, &Probe)| {
        let rows = part.input.iter().enumerate();
        rows.map(|(row, key)| (*key, number as u32, row as u32)).collect::<Vec<_>>()
    };
    let mut order: Vec<(u32, u32, u32)> = parts.iter().enumerate().flat_map(numbered).collect();
    // Each part is in order already, which this sort makes use of.
    order.sort();
    let compare = |x: &(u32, u32, u32), y: &(u32, u32, u32)| {
        let (left, right, i, j) = (&parts[x.1 as usize], &parts[y.1 as usize], x.2 as usize, y.2 as usize);
        match left.e.is_empty() {
            true => left.v.get(i).cmp_index(&right.v.get(j)),
            false => left.e[i].cmp(&right.e[j]),
        }
    };
    for rows in order.chunk_by_mut(|x, y| x.0 == y.0) {
        if rows.first().map(|row| row.1) != rows.last().map(|row| row.1) {
            rows.sort_by(compare);
        }
    }
    let mut all =
        Probe { input: Vec::with_capacity(order.len()), e: Vec::new(), v: parts[0].v.clone(), t: Vec::new() };
    all.v.clear();
    all.input.extend(order.iter().map(|(key, ..)| *key));
    let chosen: Vec<(u32, u32)> = order.into_iter().map(|(_, part, row)| (part, row)).collect();
    let numbers = |column: fn(&Probe) -> &[u64]| -> Vec<u64> {
        let columns: SmallVec<[&[u64]; 6]> = parts.iter().map(column).collect();
        if columns.iter().all(|column| column.is_empty()) {
            return Vec::new();
        }
        chosen.iter().map(|(part, row)| columns[*part as usize][*row as usize]).collect()
    };
    (all.e, all.t) = (numbers(|part| &part.e), numbers(|part| &part.t));
    if all.e.is_empty() {
        let columns: SmallVec<[&Column; 6]> = parts.iter().map(|part| &part.v).collect();
        all.v.extend_chosen(&columns, &chosen);
    }
    Some(all)
}

impl Probe {
    /// Puts what was found of keys that were given twice in the order of keys.
    fn sort(&mut self) {
        if self.input.is_sorted() {
            return;
        }
        let mut order: Vec<u32> = (0..self.input.len() as u32).collect();
        order.sort_by_key(|&row| self.input[row as usize]);
        self.input.sort_unstable();
        for column in [&mut self.e, &mut self.t] {
            if !column.is_empty() {
                *column = order.iter().map(|&row| column[row as usize]).collect();
            }
        }
        if !self.v.is_empty() {
            self.v = self.v.gather(&order);
        }
    }

    /// Gives inputs the numbers that they have among all keys.
    fn renumber(&mut self, numbers: Option<&[u32]>) {
        if let Some(numbers) = numbers {
            self.input.iter_mut().for_each(|number| *number = numbers[*number as usize]);
        }
    }

    pub(super) fn push_value(&mut self, input: usize, v: ValueRef<'_>, t: u64, with_t: bool) {
        self.input.push(input as u32);
        self.v.push(v);
        if with_t {
            self.t.push(t);
        }
    }

    pub(super) fn push_entity(&mut self, input: usize, e: u64, t: u64, with_t: bool) {
        self.input.push(input as u32);
        self.e.push(e);
        if with_t {
            self.t.push(t);
        }
    }
}
