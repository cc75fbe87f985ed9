//! Leaves to directories, up to one node. Inner nodes of the old tree whose children are all kept are named again.

use super::writer::Writer;
use crate::Result;
use crate::segment::sep::Sep;
use crate::segment::tree::{Level, read_levels};
use crate::segment::{Entry, Inner, Kind, SegmentPort, TreeRef};

/// A node on its way into a directory.
#[derive(Clone, Debug)]
pub(crate) struct Child {
    pub(crate) entry: Entry,
    /// which node of the old tree it is, counted among those of its height; none when it is new
    pub(crate) origin: Option<usize>,
}

/// The inner nodes of the tree that a job starts from.
#[derive(Default)]
pub(crate) struct OldTree {
    levels: Vec<Level>,
}

impl OldTree {
    pub(crate) fn read(port: &dyn SegmentPort, top: Option<&TreeRef>) -> Result<OldTree> {
        Ok(OldTree { levels: top.map_or_else(|| Ok(Vec::new()), |top| read_levels(port, top))? })
    }

    /// The parent at `height` whose children are the first of `children`, all of them, and how many they are.
    fn whole_parent(&self, height: usize, children: &[Child]) -> Option<(usize, usize)> {
        let (level, first) = (self.levels.get(height)?, children.first()?.origin?);
        let parent = level.starts.binary_search(&first).ok()?;
        let len = level.starts.get(parent + 1)? - first;
        let own = children.get(..len)?.iter().enumerate();
        let whole = own.clone().all(|(k, child)| child.origin == Some(first + k));
        (whole && height + 1 < self.levels.len()).then_some((parent, len))
    }
}

/// Directories over `children`, up to one node. No child: no tree.
pub(crate) fn directories(
    writer: &mut Writer<'_>,
    mut children: Vec<Child>,
    old: &OldTree,
) -> Result<Option<TreeRef>> {
    // The first leaf takes whatever comes before its rows, even if it once had a left neighbour.
    if let Some(first) = children.first_mut().filter(|first| !first.entry.sep.is_start()) {
        *first = Child { entry: Entry { sep: Sep::default(), ..first.entry.clone() }, origin: None };
    }
    let mut height = 0;
    while children.len() > 1 {
        children = parents(writer, &children, old, height)?;
        height += 1;
    }
    let top = children.pop().map(|child| child.entry);
    let height = u8::try_from(height).expect("every level has at most half the nodes of the one below");
    Ok(top.map(|Entry { hash, count, span, stored, .. }| TreeRef { hash, height, count, span, stored }))
}

/// One level of parents, at most half as many as children and one more: no node but the last has fewer than two.
fn parents(writer: &mut Writer<'_>, children: &[Child], old: &OldTree, height: usize) -> Result<Vec<Child>> {
    let most = writer.limits.children;
    let few = (most / 4).max(2);
    let (mut parents, mut held) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < children.len() {
        let large = |len: usize| len >= few || len == children.len();
        let whole = old.whole_parent(height, &children[at..]).filter(|(_, len)| large(*len));
        match whole.filter(|_| held.is_empty() || held.len() >= few) {
            Some((parent, len)) => {
                flush(writer, &mut parents, &held)?;
                held.clear();
                let entry = old.levels[height + 1].entries[parent].clone();
                parents.push(Child { entry, origin: Some(parent) });
                at += len;
            }
            None => {
                held.push(children[at].entry.clone());
                at += 1;
            }
        }
        if held.len() >= most + few {
            flush(writer, &mut parents, &held[..most])?;
            held.drain(..most);
        }
    }
    flush(writer, &mut parents, &held)?;
    Ok(parents)
}

/// Writes entries as the fewest inner nodes, of nearly equal size.
fn flush(writer: &mut Writer<'_>, parents: &mut Vec<Child>, entries: &[Entry]) -> Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let nodes = entries.len().div_ceil(writer.limits.children);
    for children in entries.chunks(entries.len().div_ceil(nodes)) {
        let mut entry = writer.seal(Kind::Inner, &Inner::encode(false, children))?;
        entry.sep = children[0].sep.clone();
        entry.count = children.iter().map(|child| child.count).sum();
        children.iter().for_each(|child| entry.span.merge(&child.span));
        parents.push(Child { entry, origin: None });
    }
    Ok(())
}
