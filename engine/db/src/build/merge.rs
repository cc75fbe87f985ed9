//! A tree with changes: leaves that no change falls into are kept as they are.

use std::cmp::Ordering;

use rustc_hash::FxHashSet;

use super::changes::Change;
use super::directory::{OldTree, directories};
use super::writer::{Leaves, OwnedRow, Writer};
use crate::Result;
use crate::id::AttrId;
use crate::order::Index;
use crate::segment::{Leaf, Tree, TreeRef};

/// A tree as a job finds it: opened, and as the root names it.
pub(crate) type Old<'a> = (&'a Tree, Option<&'a TreeRef>);

/// The tree `old` with `changes`, which are in its order, and without the attributes `dropped`.
pub(crate) fn merge(
    writer: &mut Writer<'_>,
    index: Index,
    history: bool,
    old: Option<Old<'_>>,
    changes: &[Change],
    dropped: &FxHashSet<AttrId>,
) -> Result<Option<TreeRef>> {
    let mut leaves = Leaves::new(index, history);
    let mut rest = changes;
    let entries = old.map_or(&[][..], |(tree, _)| tree.entries());
    for (at, entry) in entries.iter().enumerate() {
        let own = match entries.get(at + 1) {
            Some(next) => rest.partition_point(|change| !next.sep.admits(index, &change.fact())),
            None => rest.len(),
        };
        let (own, later) = rest.split_at(own);
        rest = later;
        let small = leaves.is_small(writer.limits);
        if own.is_empty() && !small && dropped.is_empty() {
            leaves.flush(writer)?;
            leaves.keep(at, entry.clone());
            continue;
        }
        let leaf = old.expect("entries are of a tree").0.leaf(at)?;
        let untouched = own.is_empty() && !small && !leaf.attributes().any(|a| dropped.contains(&a));
        if untouched {
            leaves.flush(writer)?;
            leaves.keep(at, entry.clone());
            continue;
        }
        leaves.begin(&entry.sep);
        rewrite(writer, &mut leaves, index, history, &leaf, own, dropped)?;
    }
    for change in rest {
        put(writer, &mut leaves, change)?;
    }
    let leaves = leaves.finish(writer)?;
    let old = match old {
        Some((tree, top)) => OldTree::read(&**tree.port(), top)?,
        None => OldTree::default(),
    };
    directories(writer, leaves, &old)
}

/// The rows of one leaf with its changes.
fn rewrite(
    writer: &mut Writer<'_>,
    leaves: &mut Leaves,
    index: Index,
    history: bool,
    leaf: &Leaf,
    changes: &[Change],
    dropped: &FxHashSet<AttrId>,
) -> Result<()> {
    let mut changes = changes.iter().peekable();
    for row in 0..leaf.len() {
        let datom = leaf.row(row);
        let mut replaced = false;
        while let Some(change) = changes.peek() {
            let order = match history {
                true => index.cmp(&change.fact(), &datom),
                false => index.cmp_eav(&change.fact(), &datom),
            };
            if order == Ordering::Greater {
                break;
            }
            replaced |= order == Ordering::Equal;
            put(writer, leaves, change)?;
            changes.next();
        }
        if !replaced && !dropped.contains(&datom.a) {
            let (e, a, v, t) = (datom.e.0, datom.a, datom.v.to_value(), datom.t.0);
            let ended = leaf.ended(row).map_or(0, |t| t.0);
            leaves.push(writer, OwnedRow { e, a, v, t, ended })?;
        }
    }
    changes.try_for_each(|change| put(writer, leaves, change))
}

fn put(writer: &mut Writer<'_>, leaves: &mut Leaves, change: &Change) -> Result<()> {
    let Some(t) = change.live else { return Ok(()) };
    let Change { e, a, v, ended, .. } = change.clone();
    leaves.push(writer, OwnedRow { e, a, v, t, ended })
}
