//! Batched look-ups in a tree: leaf by leaf, in the columns of those that are read often; key by key where sources must
//! be netted.

use std::cmp::Ordering;
use std::ops::Range as Rows;
use std::sync::Arc;

use smallvec::SmallVec;

use super::source::{Keys, Wanted, find_lines};
use crate::Result;
use crate::id::{AttrId, EntityId};
use crate::novelty::event::cmp_class;
use crate::range::{Key, Probe};
use crate::scan::tree::{self, Role};
use crate::scan::window::Window;
use crate::segment::{Edge, Leaf, Tree};
use crate::value::ValueType;

/// The rows of one attribute in one tree. Only the leaves of the key sought last are held.
pub(super) struct TreeSource<'a> {
    tree: &'a Tree,
    a: AttrId,
    /// the position of the first leaf held among the tree's
    first: usize,
    /// the leaf of the key, and those after it that go on with the key; each with its rows of the attribute
    leaves: SmallVec<[(Arc<Leaf>, Rows<usize>); 1]>,
    /// the rows of the key, leaf by leaf
    hits: SmallVec<[Rows<usize>; 1]>,
    /// there is no row at or after the key
    ended: bool,
    pub(super) clear: bool,
    /// what is shown of a row is told by the row alone
    pub(super) simple: bool,
    window: Window,
}

impl<'a> TreeSource<'a> {
    pub(super) fn open(tree: &'a Tree, role: Role, a: AttrId, window: &Window) -> TreeSource<'a> {
        let spans = || tree.entries().iter().map(|entry| entry.span);
        let shown = || spans().all(|span| window.lo <= span.added_min.0 && span.added_max.0 <= window.hi);
        let clear = role == Role::Current && !window.careful && shown();
        let simple = role != Role::Closing && !window.careful;
        TreeSource {
            tree,
            a,
            first: 0,
            leaves: SmallVec::new(),
            hits: SmallVec::new(),
            ended: false,
            clear,
            simple,
            window: *window,
        }
    }

    /// What a simple tree has of all keys: those of one leaf at a time.
    pub(super) fn find_all(&self, keys: &Keys<'_>, with_t: bool, probe: &mut Probe) -> Result<()> {
        self.find_by_leaf(keys, with_t, probe)?;
        // Keys that are given twice and lie in two leaves are found leaf by leaf.
        probe.sort();
        Ok(())
    }

    fn find_by_leaf(&self, keys: &Keys<'_>, with_t: bool, probe: &mut Probe) -> Result<()> {
        let (mut key, mut least) = (0, 0);
        while key < keys.len() {
            let at = self.leaf_of(&keys.wanted(key)).max(least);
            if at >= self.tree.entries().len() {
                return Ok(());
            }
            let leaf = self.tree.leaf(at)?;
            let rows = leaf.attr_rows(self.a);
            let Some(last) = rows.clone().next_back() else {
                // The attribute starts in the next leaf, or the leaf is beyond it.
                if leaf.attributes().next().is_none_or(|a| a > self.a) {
                    return Ok(());
                }
                least = at + 1;
                continue;
            };
            // What comes after the last row can only be in later leaves; what equals it can be there too.
            let behind = tree::gallop(key..keys.len(), |i| order(&leaf, last, &keys.wanted(i)).is_ge());
            if behind > key {
                self.find_in((at, &leaf), rows, keys, key..behind, with_t, probe);
            }
            // Some key may be given twice.
            let same = |i: &usize| order(&leaf, last, &keys.wanted(*i)).is_eq();
            key = (key..behind).rev().take_while(same).last().unwrap_or(behind);
            least = at + 1;
        }
        Ok(())
    }

    /// The leaf where a key starts.
    fn leaf_of(&self, key: &Wanted<'_>) -> usize {
        let key = Key { a: Some(self.a), e: key.e.map(EntityId), v: search_value(key) };
        self.tree.leaf_at(&Edge { key: &key, after: false })
    }

    /// What one leaf has of some keys.
    fn find_in(
        &self,
        (at, leaf): (usize, &Leaf),
        rows: Rows<usize>,
        keys: &Keys<'_>,
        some: Rows<usize>,
        with_t: bool,
        probe: &mut Probe,
    ) {
        if let Some(dense) = self.tree.dense(at, leaf, some.len().min(rows.len())) {
            let covered = !leaf.is_history() && self.tree.covers(at, &self.window);
            if let (Some(seen), Some(of)) = (dense.seen(&self.window, covered), dense.lines.of(self.a.0)) {
                find_lines(seen, of, dense.base, keys, some, with_t, probe);
            }
            return;
        }
        let mut rows = rows;
        for i in some {
            let key = keys.wanted(i);
            rows.start = tree::gallop(rows.clone(), |row| order(leaf, row, &key).is_lt());
            for row in rows.clone().take_while(|&row| order(leaf, row, &key).is_eq()) {
                let t = leaf.t(row).0;
                let ended = leaf.ended(row).is_some_and(|ended| ended.0 <= self.window.hi);
                match key.v {
                    _ if ended || !self.window.shows(t) => {}
                    None => probe.push_value(i, leaf.v(row), t, with_t),
                    Some(_) => probe.push_entity(i, leaf.e(row).0, t, with_t),
                }
            }
        }
    }

    pub(super) fn seek(&mut self, key: &Wanted<'_>) -> Result<usize> {
        self.hits.clear();
        if self.ended {
            return Ok(0);
        }
        // The last leaf held is the only one that can have rows of this key if the key goes beyond it.
        let order = |leaf: &Leaf, i: usize| order(leaf, i, key);
        let within =
            |(leaf, rows): &(Arc<Leaf>, Rows<usize>)| !rows.is_empty() && order(leaf, rows.end - 1).is_ge();
        match self.leaves.iter().position(within) {
            Some(at) => {
                self.leaves.drain(..at);
                self.first += at;
            }
            None => self.descend(key)?,
        }
        let mut count = 0;
        for at in 0.. {
            if at == self.leaves.len() && !self.go_on(key)? {
                break;
            }
            let (leaf, rows) = &mut self.leaves[at];
            rows.start = tree::gallop(rows.clone(), |i| order(leaf, i) == Ordering::Less);
            let same = tree::gallop(rows.clone(), |i| order(leaf, i) != Ordering::Greater);
            self.hits.push(rows.start..same);
            count += same - rows.start;
            if same < rows.end {
                break;
            }
        }
        Ok(count)
    }

    /// Finds the leaf where the key starts.
    fn descend(&mut self, key: &Wanted<'_>) -> Result<()> {
        self.leaves.clear();
        let key = Key { a: Some(self.a), e: key.e.map(EntityId), v: search_value(key) };
        match self.tree.leaf_for(&key)? {
            Some((at, leaf)) => {
                self.first = at;
                let rows = leaf.attr_rows(self.a);
                self.leaves.push((leaf, rows));
            }
            None => self.ended = true,
        }
        Ok(())
    }

    /// Holds the next leaf too, if it can go on with the key; false at the end of the attribute.
    fn go_on(&mut self, key: &Wanted<'_>) -> Result<bool> {
        let next = self.first + self.leaves.len();
        if self.leaves.is_empty() || next >= self.tree.entries().len() {
            return Ok(false);
        }
        let leaf = self.tree.leaf(next)?;
        let rows = leaf.attr_rows(self.a);
        let goes_on = !rows.is_empty() && order(&leaf, rows.start, key).is_le();
        // A leaf that starts beyond the key is still where a later key may lie.
        if !rows.is_empty() || self.leaves.iter().all(|(_, rows)| rows.is_empty()) {
            self.leaves.push((leaf, rows));
        }
        Ok(goes_on)
    }

    pub(super) fn row(&self, mut i: usize) -> (&Leaf, usize) {
        for ((leaf, _), hits) in self.leaves.iter().zip(&self.hits) {
            if i < hits.len() {
                return (leaf, hits.start + i);
            }
            i -= hits.len();
        }
        unreachable!("only rows that were counted are asked for")
    }
}

/// The order of row `i` against the key.
fn order(leaf: &Leaf, i: usize, key: &Wanted<'_>) -> Ordering {
    match (key.e, key.v) {
        (Some(e), _) => leaf.e(i).0.cmp(&e),
        (None, Some(v)) => cmp_class(&leaf.v(i), &v),
        (None, None) => Ordering::Equal,
    }
}

/// The value to descend by: none for decimals, of which several scales may stand before the one asked for.
fn search_value(key: &Wanted<'_>) -> Option<crate::Value> {
    let v = key.v.filter(|v| !matches!(v.value_type(), ValueType::BigDec | ValueType::Tuple))?;
    Some(v.to_value())
}
