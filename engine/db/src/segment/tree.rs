//! One tree of one index, opened for reading: the whole directory in memory, leaves through the port.
//!
//! Inner nodes are read once, when the tree is opened, and kept as one flat list of leaf entries (about 130 bytes a leaf
//! of 8,192 datoms), so that every descent is one binary search. Clones share the list.

use std::ops::Range as Rows;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};

use super::Segment;
use super::bytes::{Reader, damaged, put_varint};
use super::hash::Hash;
use super::inner::{Entry, Span};
use super::leaf::{Dense, Leaf};
use super::port::SegmentPort;
use super::sep::{Edge, Sep};
use crate::Result;
use crate::order::Index;
use crate::range::{Key, Range};
use crate::scan::window::Window;

/// The deepest a tree may be; 512 children a node reach any size with fewer.
const MAX_HEIGHT: u8 = 8;

/// Where a tree remembers a leaf that it was given, for as long as others hold it: a cache answers by hash in a quarter
/// of a microsecond, this in a twentieth of that.
#[derive(Default)]
struct Slot {
    leaf: RwLock<Weak<Leaf>>,
    uses: AtomicU32,
}

/// Of so many uses of a leaf the port hears of one, so that a cache knows what is wanted.
const USES_PER_ASKING: u32 = 64;

impl Slot {
    fn known(&self) -> Option<Arc<Leaf>> {
        if self.uses.fetch_add(1, Ordering::Relaxed) % USES_PER_ASKING == USES_PER_ASKING - 1 {
            return None;
        }
        self.leaf.read().unwrap_or_else(PoisonError::into_inner).upgrade()
    }

    fn keep(&self, leaf: &Arc<Leaf>) {
        let mut held = self.leaf.write().unwrap_or_else(PoisonError::into_inner);
        if !std::ptr::eq(held.as_ptr(), Arc::as_ptr(leaf)) {
            *held = Arc::downgrade(leaf);
        }
    }
}

/// How the root names a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeRef {
    /// the topmost node
    pub hash: Hash,
    /// inner levels above the leaves; 0 when the topmost node is the only leaf
    pub height: u8,
    /// rows
    pub count: u64,
    /// bounds of their t
    pub span: Span,
    /// stored bytes of the topmost node
    pub stored: u64,
}

impl TreeRef {
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.hash.0);
        out.push(self.height);
        put_varint(out, self.count);
        self.span.put(out);
        put_varint(out, self.stored);
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<TreeRef> {
        Ok(TreeRef {
            hash: Hash(reader.array()?),
            height: reader.u8()?,
            count: reader.varint()?,
            span: Span::read(reader)?,
            stored: reader.varint()?,
        })
    }

    fn entry(&self) -> Entry {
        let TreeRef { hash, count, span, stored, .. } = *self;
        Entry { sep: Sep::default(), hash, count, retractions: 0, span, stored }
    }
}

/// The nodes of one height, in order: their entries in their parents, and where each parent's children start.
pub(crate) struct Level {
    pub(crate) entries: Vec<Entry>,
    /// for each parent the position of its first child, then the number of children in all
    pub(crate) starts: Vec<usize>,
}

/// A whole tree but for its leaves, the leaf entries first, the topmost node last. One batched fetch a level.
pub(crate) fn read_levels(port: &dyn SegmentPort, top: &TreeRef) -> Result<Vec<Level>> {
    if top.height > MAX_HEIGHT {
        return Err(damaged("a tree is too high"));
    }
    let mut levels = vec![Level { entries: vec![top.entry()], starts: vec![0, 1] }];
    for _ in 0..top.height {
        let parents = &levels[0].entries;
        let hashes: Vec<Hash> = parents.iter().map(|entry| entry.hash).collect();
        let mut level = Level { entries: Vec::new(), starts: vec![0] };
        for segment in port.get(&hashes)? {
            level.entries.extend_from_slice(&segment.as_inner()?.entries);
            level.starts.push(level.entries.len());
        }
        levels.insert(0, level);
    }
    Ok(levels)
}

/// A tree of datoms.
#[derive(Clone)]
pub struct Tree {
    index: Index,
    port: Arc<dyn SegmentPort>,
    entries: Arc<[Entry]>,
    leaves: Arc<[Slot]>,
    /// rows before each leaf, and in all at the end
    before: Arc<[u64]>,
}

impl Tree {
    /// Opens a tree; `None` is the empty one. Reads every inner node.
    ///
    /// # Errors
    /// `SEGMENT_UNAVAILABLE`, `DATA_LOSS` from the port.
    pub fn open(index: Index, top: Option<&TreeRef>, port: &Arc<dyn SegmentPort>) -> Result<Tree> {
        let entries = match top {
            Some(top) => read_levels(&**port, top)?.swap_remove(0).entries,
            None => Vec::new(),
        };
        let mut before = Vec::with_capacity(entries.len() + 1);
        before.push(0);
        before.extend(entries.iter().scan(0_u64, |sum, entry| {
            *sum = sum.saturating_add(entry.count);
            Some(*sum)
        }));
        let leaves = entries.iter().map(|_| Slot::default()).collect();
        Ok(Tree { index, port: port.clone(), entries: entries.into(), leaves, before: before.into() })
    }

    /// The index.
    #[must_use]
    pub fn index(&self) -> Index {
        self.index
    }

    /// Where its segments come from.
    pub(crate) fn port(&self) -> &Arc<dyn SegmentPort> {
        &self.port
    }

    /// Rows in all.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.before[self.entries.len()]
    }

    /// True without rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Leaf entries, in order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Bytes at rest of all leaves.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        self.entries.iter().map(|entry| entry.stored).sum()
    }

    /// The leaves that can hold rows of `range`, as positions among [`Tree::entries`]. O(log leaves).
    #[must_use]
    pub fn leaf_range(&self, range: &Range) -> Rows<usize> {
        debug_assert_eq!(range.index, self.index);
        let (start, end) = Edge::of(range);
        let start = start.map_or(0, |edge| self.leaf_at(&edge));
        let end = end.map_or(self.entries.len(), |edge| {
            let parts = edge.parts(self.index);
            self.entries.partition_point(|entry| entry.sep.before(self.index, &edge, &parts))
        });
        start..end.max(start)
    }

    pub(crate) fn leaf_at(&self, edge: &Edge<'_>) -> usize {
        let parts = edge.parts(self.index);
        self.entries
            .partition_point(|entry| entry.sep.at_or_before(self.index, edge, &parts))
            .saturating_sub(1)
    }

    /// Leaf number `at` of [`Tree::entries`].
    ///
    /// # Errors
    /// `SEGMENT_UNAVAILABLE`, `DATA_LOSS` from the port.
    pub fn leaf(&self, at: usize) -> Result<Arc<Leaf>> {
        let slot = &self.leaves[at];
        if let Some(leaf) = slot.known() {
            return Ok(leaf);
        }
        let leaf = leaf(&*self.port, self.index, &self.entries[at])?;
        slot.keep(&leaf);
        Ok(leaf)
    }

    /// The leaf as columns, if it was read often enough to be worth them (see [`Leaf::dense`]).
    pub(crate) fn dense<'l>(&self, at: usize, leaf: &'l Leaf, reading: usize) -> Option<&'l Dense> {
        let (dense, grown) = leaf.dense(reading);
        if grown {
            self.port.grown(&self.entries[at].hash);
        }
        dense
    }

    /// True when `window` shows every row of leaf `at` of a tree of the present.
    pub(crate) fn covers(&self, at: usize, window: &Window) -> bool {
        let span = self.entries[at].span;
        window.lo <= span.added_min.0 && span.added_max.0 <= window.hi
    }

    /// Tells the port that these leaves will be asked for.
    pub fn prefetch(&self, leaves: Rows<usize>) {
        let hashes: Vec<Hash> = self.entries[leaves].iter().map(|entry| entry.hash).collect();
        self.port.prefetch(&hashes);
    }

    /// The leaf where rows with the prefix `key` start, as its position and itself; `None` in an empty tree. A prefix may
    /// continue in the next leaf.
    ///
    /// # Errors
    /// `SEGMENT_UNAVAILABLE`, `DATA_LOSS` from the port.
    pub fn leaf_for(&self, key: &Key) -> Result<Option<(usize, Arc<Leaf>)>> {
        if self.entries.is_empty() {
            return Ok(None);
        }
        let at = self.leaf_at(&Edge { key, after: false });
        Ok(Some((at, self.leaf(at)?)))
    }

    /// The parts of `range`, leaf by leaf, in order; each has at least one row.
    #[must_use]
    pub fn leaves(&self, range: &Range) -> Leaves {
        Leaves { tree: self.clone(), next: self.leaf_range(range), range: range.clone() }
    }

    /// About how many rows `range` has: exact on whole leaves, half a leaf at each of two edges. Reads no leaf.
    #[must_use]
    pub fn count(&self, range: &Range) -> u64 {
        let leaves = self.leaf_range(range);
        let all = self.before[leaves.end] - self.before[leaves.start];
        let edge = |at: usize, cut: bool| if cut { self.entries[at].count / 2 } else { 0 };
        match leaves.len() {
            0 => 0,
            1 if leaves.end == self.entries.len() && leaves.start == 0 && is_whole(range) => all,
            // One leaf says little about a prefix inside it: a deeper prefix is a smaller part.
            1 => (all / estimate_divisor(range)).max(1),
            _ => {
                let (start, end) = Edge::of(range);
                all - edge(leaves.start, start.is_some() && leaves.start > 0)
                    - edge(leaves.end - 1, end.is_some() && leaves.end < self.entries.len())
            }
        }
    }
}

fn is_whole(range: &Range) -> bool {
    let (start, end) = Edge::of(range);
    start.is_none() && end.is_none()
}

fn estimate_divisor(range: &Range) -> u64 {
    let (start, end) = Edge::of(range);
    let depth = |edge: Option<Edge<'_>>| {
        edge.map_or(0, |edge| edge.parts(range.index).iter().flatten().count() as u32)
    };
    match (depth(start), depth(end)) {
        (0, 0) => 1,
        (0, _) | (_, 0) => 2,
        (start, end) => 8_u64.pow(start.min(end) - 1).max(2),
    }
}

pub(crate) fn leaf(port: &dyn SegmentPort, index: Index, entry: &Entry) -> Result<Arc<Leaf>> {
    let segment = port.get(&[entry.hash])?.pop().ok_or_else(|| damaged("the port answered nothing"))?;
    match &*segment {
        Segment::Leaf(leaf) if leaf.index() == index && leaf.len() as u64 == entry.count => Ok(leaf.clone()),
        _ => Err(damaged("a directory names another kind of segment").with("segment", entry.hash)),
    }
}

/// Iterates over the parts of a range. Owns what it needs.
pub struct Leaves {
    tree: Tree,
    range: Range,
    next: Rows<usize>,
}

/// How many leaves a scan announces to the port ahead of reading them.
const PREFETCH_LEAVES: usize = 8;

impl Iterator for Leaves {
    type Item = Result<(Arc<Leaf>, Rows<usize>)>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(at) = self.next.next() {
            if !self.next.is_empty() && at % PREFETCH_LEAVES == 0 {
                self.tree.prefetch(at + 1..self.next.end.min(at + 1 + PREFETCH_LEAVES));
            }
            match self.tree.leaf(at) {
                Ok(leaf) => {
                    let rows = leaf.rows(&self.range);
                    if !rows.is_empty() {
                        return Some(Ok((leaf, rows)));
                    }
                }
                Err(error) => return Some(Err(error)),
            }
        }
        None
    }
}
