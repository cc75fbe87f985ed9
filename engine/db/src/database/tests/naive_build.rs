//! A naive index job: the model's datoms as trees of tiny leaves, so that every border is met.

use std::borrow::Cow;
use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::model::Model;
use super::random::Random;
use crate::bootstrap::attr;
use crate::datom::DatomRef;
use crate::segment::base::CLIENT_ID;
use crate::segment::envelope::seal;
use crate::segment::leaf_writer::{Row, encode_leaf};
use crate::segment::log_leaf::LogRow;
use crate::segment::sep::Sep;
use crate::segment::{
    Base, Build, Entry, Inner, Kind, LevelRef, LogLeaf, MemoryPort, Root, SchemaSegment, Span, Stats,
    TreeRef, log_tree,
};
use crate::{AttrId, Datom, EntityId, Incarnation, Index, T, Value};

/// A fact with the t that added it and, in a history tree, the one that ended it.
type Interval = (Datom, Option<T>);

/// The model as a root and its segments.
pub(super) fn build(
    model: &Model,
    incarnation: Incarnation,
    random: &mut Random,
    port: &Arc<MemoryPort>,
) -> Base {
    let build = Build { incarnation, raft_index: random.below(1 << 40) };
    let mut writer = Writer { build, port: port.clone(), random };
    let (current, history, exact_from) = intervals(model);
    let kept = model.schema().attributes().filter(|attribute| attribute.kept_in_avet());
    let kept: Vec<AttrId> = kept.map(|attribute| attribute.id).filter(|&a| a != attr::TX_ID).collect();
    // Not every attribute is listed: what is not is read from AEVT.
    let avet: FxHashSet<AttrId> = kept.into_iter().filter(|_| !writer.random.one_in(6)).collect();
    let split = if writer.random.one_in(3) { T(writer.random.below(model.basis().0)) } else { T(0) };
    let levels = [young(&current, &history, split), old(current, history, split)];
    let only_base = usize::from(split == T(0));
    let levels = levels[only_base..].iter().map(|level| writer.level(level, &avet)).collect();
    let last = model.line.last().expect("a root covers a transaction");
    let schema = SchemaSegment::encode(model.schema(), &avet);
    let root = Root {
        t: last.t,
        lineage: [0; 16],
        next_counter: last.next_counter,
        last_instant: last.instant,
        exact_from,
        options: model.options,
        previous: None,
        schema: writer.put(Kind::Schema, &schema).hash,
        stats: writer.put(Kind::Stats, &Stats::default().encode()).hash,
        log: writer.log(model),
        ids: writer.ids(model),
        levels,
    };
    let root = writer.put(Kind::Root, &root.encode()).hash;
    Base::open(root, writer.port).unwrap()
}

/// Live rows and intervals.
type Rows = (Vec<Interval>, Vec<Interval>);

/// What a root at `split` had: what ended later was live then.
fn old(current: Vec<Interval>, history: Vec<Interval>, split: T) -> Rows {
    if split == T(0) {
        return (current, history);
    }
    let (ended, later): Rows = history.into_iter().partition(|(_, end)| end.is_some_and(|t| t <= split));
    let reopened = later.into_iter().map(|(datom, _)| (datom, None));
    let live = current.into_iter().chain(reopened).filter(|(datom, _)| datom.t <= split);
    (live.collect(), ended)
}

/// What happened after `split`: new live rows, and the intervals that ended.
fn young(current: &[Interval], history: &[Interval], split: T) -> Rows {
    let live = current.iter().filter(|(datom, _)| datom.t > split);
    let ended = history.iter().filter(|(_, end)| end.is_some_and(|t| t > split));
    (live.cloned().collect(), ended.cloned().collect())
}

/// Live facts, kept intervals, and the t of the last dropped interval's end.
fn intervals(model: &Model) -> (Vec<Interval>, Vec<Interval>, T) {
    let (mut current, mut history, mut exact_from): (Vec<Interval>, Vec<Interval>, T) = Default::default();
    for datom in model.line.iter().flat_map(|body| &body.datoms) {
        if datom.added {
            current.push((datom.clone(), None));
            continue;
        }
        let Some(start) = current.iter().position(|(held, _)| super::model::same_fact(held, datom)) else {
            continue;
        };
        let (held, _) = current.remove(start);
        if model.is_kept(datom) {
            history.push((held, Some(datom.t)));
        } else {
            exact_from = datom.t;
        }
    }
    (current, history, exact_from)
}

struct Writer<'r> {
    build: Build,
    port: Arc<MemoryPort>,
    random: &'r mut Random,
}

impl Writer<'_> {
    fn put(&mut self, kind: Kind, payload: &[u8]) -> Entry {
        let (hash, stored) = seal(kind, self.build, payload);
        self.port.put(hash, &stored);
        Entry {
            sep: Sep::default(),
            hash,
            count: 0,
            retractions: 0,
            span: Span::EMPTY,
            stored: stored.len() as u64,
        }
    }

    fn level(&mut self, (current, history): &Rows, avet: &FxHashSet<AttrId>) -> LevelRef {
        let mut level = LevelRef::default();
        for index in Index::ALL {
            let listed = |(datom, _): &&Interval| index != Index::Avet || avet.contains(&datom.a);
            let mut of = |rows: &[Interval]| self.tree(index, rows.iter().filter(listed).cloned().collect());
            level.current[index as usize] = of(current);
            level.history[index as usize] = of(history);
        }
        level
    }

    fn tree(&mut self, index: Index, mut rows: Vec<Interval>) -> Option<TreeRef> {
        rows.sort_by(|(x, _), (y, _)| index.cmp(&x.as_ref(), &y.as_ref()));
        let mut leaves = Vec::new();
        let mut before: Option<Datom> = None;
        while !rows.is_empty() {
            let size = rows.len().min(1 + self.random.below(6) as usize);
            let leaf: Vec<Interval> = rows.drain(..size).collect();
            let mut entry = self.leaf(index, &leaf);
            let first: DatomRef<'_> = leaf[0].0.as_ref();
            if let Some(before) = &before {
                entry.sep = Sep::between(index, &before.as_ref(), &first);
            }
            before = leaf.last().map(|(datom, _)| datom.clone());
            leaves.push(entry);
        }
        self.above(leaves)
    }

    fn leaf(&mut self, index: Index, rows: &[Interval]) -> Entry {
        let row = |(datom, ended): &'_ Interval| (datom.clone(), ended.map_or(0, |t| t.0));
        let owned: Vec<(Datom, u64)> = rows.iter().map(row).collect();
        let encoded: Vec<Row<'_>> = owned
            .iter()
            .map(|(d, ended)| Row { e: d.e.0, a: d.a.0, v: d.v.as_ref(), t: d.t.0, ended: *ended })
            .collect();
        let payload = encode_leaf(index, rows[0].1.is_some(), &encoded);
        let mut entry = self.put(Kind::Leaf, &payload);
        entry.count = rows.len() as u64;
        encoded.iter().for_each(|row| entry.span.add(row.t, row.ended));
        entry
    }

    /// Directories of two or more over directories, up to one node.
    fn above(&mut self, mut entries: Vec<Entry>) -> Option<TreeRef> {
        let mut height = 0;
        while entries.len() > 1 {
            let mut parents = Vec::new();
            while !entries.is_empty() {
                let size = entries.len().min(2 + self.random.below(4) as usize);
                let children: Vec<Entry> = entries.drain(..size).collect();
                let mut parent = self.put(Kind::Inner, &Inner::encode(false, &children));
                parent.sep = children[0].sep.clone();
                parent.count = children.iter().map(|child| child.count).sum();
                children.iter().for_each(|child| parent.span.merge(&child.span));
                parents.push(parent);
            }
            entries = parents;
            height += 1;
        }
        let Entry { hash, count, span, stored, .. } = entries.pop()?;
        Some(TreeRef { hash, height, count, span, stored })
    }

    fn log(&mut self, model: &Model) -> Option<TreeRef> {
        let mut leaves = Vec::new();
        let mut bodies = &model.line[..];
        while !bodies.is_empty() {
            let (some, rest) = bodies.split_at(bodies.len().min(1 + self.random.below(5) as usize));
            let rows: Vec<LogRow<'_>> = some
                .iter()
                .map(|body| LogRow {
                    instant: body.instant,
                    next_counter: body.next_counter,
                    client_id: body.client_id,
                    request_hash: body.request_hash,
                    digest: body.digest(),
                    body: Cow::Owned(body.encode()),
                })
                .collect();
            let mut entry = self.put(Kind::LogLeaf, &LogLeaf::encode(some[0].t, &rows));
            entry.sep = log_tree::sep(some[0].t, some[0].instant);
            entry.count = some.len() as u64;
            some.iter().for_each(|body| entry.span.add(body.t.0, 0));
            leaves.push(entry);
            bodies = rest;
        }
        self.above(leaves)
    }

    fn ids(&mut self, model: &Model) -> Option<TreeRef> {
        let row = |body: &Arc<crate::TxBody>| {
            let v = Value::Uuid(body.client_id?);
            let datom = Datom { e: EntityId::of_tx(body.t), a: CLIENT_ID, v, t: body.t, added: true };
            Some((datom, None))
        };
        self.tree(Index::Avet, model.line.iter().filter_map(row).collect())
    }
}
