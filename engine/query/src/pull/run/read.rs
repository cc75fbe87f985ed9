//! The way down: what the entities of each level have, and who comes after them.

use std::sync::Arc;

use annals_db::{Attribute, Batch, Column, Columns, EntityId, Range, ValueRef};
use annals_edn::{Code, Edn, Error};
use rustc_hash::FxHashMap;

use super::super::layout::{Child, Slot};
use super::super::pattern::{DEFAULT_LIMIT, Wildcard};
use super::{ID, MAX_DEPTH, MAX_NODES, NONE, Node, Read, Run, SKIP, Shown, SlotRef, Step, Visit};

/// Entities that are read at a time, before the cancel flag is looked at again.
const CHUNK: usize = 8192;

/// An attribute found by a wildcard: which, the entities that have it by position, their values.
type Found = (Arc<Attribute>, Vec<u32>, Column);

impl Run<'_, '_> {
    /// Reads everything that the pattern asks of `entities`, ascending and distinct.
    pub(super) fn read(&mut self, entities: &[u64]) -> Result<(), Error> {
        let nodes = entities.iter().map(|&entity| self.root(0, entity)).collect();
        self.visits.push(Visit { level: 0, nodes, read: Vec::new() });
        let mut next = 0;
        while next < self.visits.len() {
            self.pull.check()?;
            self.nodes += self.visits[next].nodes.len();
            if self.nodes > MAX_NODES {
                let message = format!("the pull visits more than {MAX_NODES} entities");
                return Err(Error::new(Code::PullTooDeep, message).hint("bound the recursion"));
            }
            let read = self.visit(next)?;
            self.visits[next].read = read;
            next += 1;
        }
        Ok(())
    }

    /// A node that begins a path.
    fn root(&mut self, level: usize, entity: u64) -> Node {
        if !self.layout.levels[level].on_path {
            return Node { entity, path: NONE, seen: false };
        }
        let depth = |slot: &Slot| match slot.child {
            Child::Recur(depth) => Some(depth.unwrap_or(u64::MAX)),
            _ => None,
        };
        let left = self.layout.levels[level].slots.iter().filter_map(depth).collect();
        self.steps.push(Step { entity, parent: NONE, depth: 0, left });
        Node { entity, path: self.steps.len() as u32 - 1, seen: false }
    }

    /// A node one step further on the path of `parent`.
    fn step(&mut self, parent: Node, entity: u64, left: Box<[u64]>) -> Result<Node, Error> {
        let depth = self.steps[parent.path as usize].depth + 1;
        if depth > MAX_DEPTH {
            let message = format!("the pull goes deeper than {MAX_DEPTH} entities");
            return Err(Error::new(Code::PullTooDeep, message).hint("bound the recursion"));
        }
        let mut above = parent.path;
        let mut seen = false;
        while above != NONE && !seen {
            let step = &self.steps[above as usize];
            seen = step.entity == entity;
            above = step.parent;
        }
        self.steps.push(Step { entity, parent: parent.path, depth, left });
        Ok(Node { entity, path: self.steps.len() as u32 - 1, seen })
    }

    fn visit(&mut self, at: usize) -> Result<Vec<Read>, Error> {
        let level = self.visits[at].level;
        let nodes = std::mem::take(&mut self.visits[at].nodes);
        let mut keys: Vec<u64> = nodes.iter().map(|node| node.entity).collect();
        if !keys.is_sorted_by(|x, y| x < y) {
            keys.sort_unstable();
            keys.dedup();
        }
        let mut read = Vec::new();
        let mut recursive = 0;
        for slot in 0..self.layout.levels[level].slots.len() {
            let found = self.slot(level, slot, &keys, &nodes, recursive)?;
            recursive += usize::from(matches!(self.layout.levels[level].slots[slot].child, Child::Recur(_)));
            read.extend(found);
        }
        if let Some(wildcard) = self.layout.levels[level].wildcard {
            self.everything(level, wildcard, &keys, &nodes, &mut read)?;
        }
        self.visits[at].nodes = nodes;
        Ok(read)
    }

    /// Reads one slot of a level; `recursive` is its number among the recursive ones.
    fn slot(
        &mut self,
        level: usize,
        at: usize,
        keys: &[u64],
        nodes: &[Node],
        recursive: usize,
    ) -> Result<Option<Read>, Error> {
        let slot = &self.layout.levels[level].slots[at];
        let (child, limit, reverse) = (slot.child, slot.limit(), slot.reverse);
        let Some(attribute) = slot.attribute.clone() else { return Ok(self.absent(at, nodes)) };
        let mut is_ref = attribute.is_ref();
        if reverse && !is_ref {
            return Ok(self.absent(at, nodes));
        }
        let (input, mut values) = self.probe(&attribute, reverse, keys)?;
        if attribute.value_type.is_none()
            && child != Child::Value
            && let Some(ids) = ids(&values)
        {
            (values, is_ref) = (ids, true);
        }
        if !is_ref && child != Child::Value && !values.is_empty() {
            let message = format!("{} is no reference, so it has no sub-pattern", attribute.ident);
            return Err(Error::new(Code::InvalidAttrSpec, message).with("attribute", &attribute.ident));
        }
        let spans = spans(&input, keys, nodes, limit);
        let shown = match child {
            Child::Value => Shown::Value,
            Child::Id => Shown::Id,
            Child::Level(child) => self.children(level, child, &values, &spans, nodes)?,
            Child::Recur(_) => self.recur(level, recursive, &values, &spans, nodes)?,
        };
        Ok(Some(Read { slot: SlotRef::Slot(at), values, spans, shown }))
    }

    /// A slot without any value.
    fn absent(&self, at: usize, nodes: &[Node]) -> Option<Read> {
        let (values, spans) = (Column::Mixed(Vec::new()), vec![(0, 0); nodes.len()]);
        Some(Read { slot: SlotRef::Slot(at), values, spans, shown: Shown::Value })
    }

    /// The values of an attribute, or what refers to the keys by it, and whose they are.
    fn probe(&self, attribute: &Attribute, reverse: bool, keys: &[u64]) -> Result<(Vec<u32>, Column), Error> {
        let db = self.pull.db;
        let (mut input, mut found) = (Vec::new(), Column::Mixed(Vec::new()));
        for (chunk, keys) in keys.chunks(CHUNK).enumerate() {
            self.pull.check()?;
            let (numbers, values) = match reverse {
                true => {
                    let probe = db.probe_values(attribute.id, &Column::Ref(keys.to_vec()), false)?;
                    (probe.input, Column::Ref(probe.e))
                }
                false => {
                    let probe = db.probe_entities(attribute.id, keys, false)?;
                    (probe.input, probe.v)
                }
            };
            if chunk == 0 {
                (input, found) = (numbers, values);
            } else {
                input.extend(numbers.iter().map(|number| number + (chunk * CHUNK) as u32));
                found.extend_range(&values, 0..values.len());
            }
        }
        Ok((input, found))
    }

    /// A visit of another level by all entities referred to, each once if its path does not matter.
    fn children(
        &mut self,
        level: usize,
        child: usize,
        values: &Column,
        spans: &[(u32, u32)],
        nodes: &[Node],
    ) -> Result<Shown, Error> {
        // Components go on along the path of the entity they belong to, so that a cycle of them ends. A path that
        // recursion took to that entity is not theirs.
        let (continues, recurs) = {
            let (from, to) = (&self.layout.levels[level], &self.layout.levels[child]);
            (from.wildcard.is_some() && to.whole, from.recurs())
        };
        let mut visited = Vec::new();
        let mut known: FxHashMap<u64, u32> = FxHashMap::default();
        let (mut shown, mut starts) = (Vec::new(), Vec::with_capacity(spans.len()));
        for (node, &(first, count)) in nodes.iter().zip(spans) {
            starts.push(shown.len() as u32);
            let owner = if continues && recurs { self.root(child, node.entity) } else { *node };
            for at in first..first + count {
                let entity = reference(values, at)?;
                if continues {
                    let next = self.step(owner, entity, Box::default())?;
                    shown.push(if next.seen { ID } else { visited.len() as u32 });
                    if !next.seen {
                        visited.push(next);
                    }
                    continue;
                }
                let number = match known.get(&entity) {
                    Some(number) => *number,
                    None => {
                        visited.push(self.root(child, entity));
                        known.insert(entity, visited.len() as u32 - 1);
                        visited.len() as u32 - 1
                    }
                };
                shown.push(number);
            }
        }
        Ok(self.add_visit(child, visited, shown, starts))
    }

    fn add_visit(&mut self, level: usize, nodes: Vec<Node>, shown: Vec<u32>, starts: Vec<u32>) -> Shown {
        if !nodes.is_empty() {
            self.visits.push(Visit { level, nodes, read: Vec::new() });
        }
        Shown::Visit { visit: self.visits.len() - 1, nodes: shown, starts }
    }

    /// A visit of the same level, one step further on each path.
    fn recur(
        &mut self,
        level: usize,
        recursive: usize,
        values: &Column,
        spans: &[(u32, u32)],
        nodes: &[Node],
    ) -> Result<Shown, Error> {
        let shows_ids = self.layout.levels[level].id.is_some();
        let (mut visited, mut shown) = (Vec::new(), Vec::new());
        let mut starts = Vec::with_capacity(spans.len());
        for (node, &(first, count)) in nodes.iter().zip(spans) {
            starts.push(shown.len() as u32);
            let mut left = self.steps[node.path as usize].left.clone();
            let spent = left[recursive] == 0;
            left[recursive] = left[recursive].saturating_sub(1);
            for at in first..first + count {
                if spent || node.seen {
                    shown.push(if shows_ids { ID } else { SKIP });
                    continue;
                }
                let entity = reference(values, at)?;
                shown.push(visited.len() as u32);
                visited.push(self.step(*node, entity, left.clone())?);
            }
        }
        Ok(self.add_visit(level, visited, shown, starts))
    }

    /// Every attribute of the entities that no slot of the level names.
    fn everything(
        &mut self,
        level: usize,
        wildcard: Wildcard,
        keys: &[u64],
        nodes: &[Node],
        read: &mut Vec<Read>,
    ) -> Result<(), Error> {
        let found = self.scan(level, keys)?;
        let everything = self.layout.everything(Some(wildcard));
        for (attribute, input, values) in found {
            let is_ref = attribute.is_ref();
            let child = match is_ref {
                false => Child::Value,
                true if attribute.component => Child::Level(everything),
                true => Child::Id,
            };
            let key = match wildcard {
                Wildcard::Text => Edn::string(attribute.ident.to_string()),
                Wildcard::Symbol => Edn::keyword(attribute.ident.shared().clone()),
            };
            let limit = Some(DEFAULT_LIMIT);
            let attribute = Some(attribute);
            let slot = Slot { attribute, reverse: false, key, limit, default: None, xform: None, child };
            let spans = spans(&input, keys, nodes, slot.limit());
            let shown = match child {
                Child::Level(child) => self.children(level, child, &values, &spans, nodes)?,
                Child::Id => Shown::Id,
                _ => Shown::Value,
            };
            read.push(Read { slot: SlotRef::Found(Box::new(slot)), values, spans, shown });
        }
        Ok(())
    }

    /// The attributes of the entities with their values, by attribute; without those that a slot names.
    fn scan(&self, level: usize, keys: &[u64]) -> Result<Vec<Found>, Error> {
        let db = self.pull.db;
        let slots = &self.layout.levels[level].slots;
        let named: Vec<_> = slots
            .iter()
            .filter(|slot| !slot.reverse)
            .filter_map(|slot| slot.attribute.as_ref().map(|attribute| attribute.id))
            .collect();
        let mut found: Vec<(Arc<Attribute>, Vec<u32>, Column)> = Vec::new();
        let mut places: FxHashMap<u32, usize> = FxHashMap::default();
        let mut batch = Batch::new(None);
        for (input, key) in keys.iter().enumerate() {
            if input % 256 == 0 {
                self.pull.check()?;
            }
            let mut scan = db.scan(&Range::entity(EntityId(*key)), Columns::A.with(Columns::V));
            while scan.next(&mut batch)? {
                for row in 0..batch.rows {
                    let a = annals_db::AttrId(batch.a[row]);
                    let Some(attribute) = db.schema().attribute(a).filter(|_| !named.contains(&a)) else {
                        continue;
                    };
                    let place = *places.entry(a.0).or_insert_with(|| {
                        found.push((attribute.clone(), Vec::new(), Column::of(attribute.value_type)));
                        found.len() - 1
                    });
                    found[place].1.push(input as u32);
                    found[place].2.push(batch.v.get(row));
                }
            }
        }
        found.sort_by_key(|(attribute, _, _)| attribute.id);
        Ok(found)
    }
}

/// Of each node, its first value and how many are shown.
fn spans(input: &[u32], keys: &[u64], nodes: &[Node], limit: usize) -> Vec<(u32, u32)> {
    let mut of_key = vec![(0u32, 0u32); keys.len()];
    let mut at = 0;
    while at < input.len() {
        let key = input[at];
        let count = input[at..].iter().take_while(|other| **other == key).count();
        of_key[key as usize] = (at as u32, count.min(limit) as u32);
        at += count;
    }
    if keys.len() == nodes.len() && nodes.iter().zip(keys).all(|(node, key)| node.entity == *key) {
        return of_key;
    }
    let of_node = |node: &Node| of_key[keys.binary_search(&node.entity).expect("every node is a key")];
    nodes.iter().map(of_node).collect()
}

/// Values without a declared type as the ids that they may stand for, if all of them may.
fn ids(values: &Column) -> Option<Column> {
    let id = |row| values.get(row).as_integer().and_then(EntityId::from_long).map(|e| e.0);
    (0..values.len()).map(id).collect::<Option<Vec<u64>>>().map(Column::Ref)
}

fn reference(values: &Column, at: u32) -> Result<u64, Error> {
    match values.get(at as usize) {
        ValueRef::Ref(e) => Ok(e.0),
        _ => Err(Error::new(Code::Internal, "a reference is no id")),
    }
}
