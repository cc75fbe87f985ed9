//! Counting a range of a tree from its directory and the root's statistics, without reading a leaf.
//!
//! Whole leaves count exactly. Within a leaf or two the directory says little, there the statistics tell: datoms of an
//! attribute exactly, of one value or one entity on the average, between two bounds by where they lie among the numbers
//! around them.

use std::ops::Bound;

use crate::id::AttrId;
use crate::order::Index;
use crate::range::{Key, Range};
use crate::segment::{AttrStats, Stats, Tree};
use crate::value::{Value, ValueRef};

/// So few leaves tell less than the statistics.
const FEW_LEAVES: usize = 2;
/// The part of an attribute between two bounds of which nothing is known.
const UNKNOWN_PART: f64 = 0.3;

/// About how many rows of `tree`, one of the present, `range` has.
pub(super) fn count(tree: &Tree, stats: &Stats, range: &Range) -> u64 {
    let leaves = tree.leaf_range(range);
    let most: u64 = tree.entries()[leaves.clone()].iter().map(|entry| entry.count).sum();
    let few = leaves.len() <= FEW_LEAVES;
    let told = match prefix(range) {
        Some(Key { e: None, a: Some(a), v: None }) if range.index != Index::Eavt => Some(datoms(stats, *a)),
        Some(key) if few => of_prefix(tree, stats, key),
        Some(_) => None,
        None => between(tree, stats, range),
    };
    told.unwrap_or_else(|| tree.count(range)).min(most)
}

fn prefix(range: &Range) -> Option<&Key> {
    match (&range.start, &range.end) {
        (Bound::Included(start), Bound::Included(end)) if start == end => Some(start),
        _ => None,
    }
}

fn datoms(stats: &Stats, a: AttrId) -> u64 {
    stats.attribute(a).map_or(0, |of| of.datoms)
}

/// The average over what the prefix is one of.
fn of_prefix(tree: &Tree, stats: &Stats, key: &Key) -> Option<u64> {
    let average = |all: u64, of: u64| all.div_ceil(of.max(1));
    match (tree.index(), key.a, key.e, &key.v) {
        (Index::Eavt, None, Some(_), _) => {
            // The attribute that has most is one that many entities have.
            let of = stats.largest()?;
            Some(average(tree.len(), of.distinct_entities()))
        }
        (_, Some(_), Some(_), Some(_)) => Some(1),
        (_, Some(a), Some(_), None) => {
            stats.attribute(a).map(|of| average(of.datoms, of.distinct_entities()))
        }
        (_, Some(a), None, Some(_)) => stats.attribute(a).map(|of| average(of.datoms, of.distinct_values())),
        _ => None,
    }
}

/// An AVET range of one attribute between two values.
fn between(tree: &Tree, stats: &Stats, range: &Range) -> Option<u64> {
    let key = |bound: &'_ Bound<Key>| match bound {
        Bound::Included(key) | Bound::Excluded(key) => Some(key.clone()),
        Bound::Unbounded => None,
    };
    let (start, end) = (key(&range.start)?, key(&range.end)?);
    let a = start.a.filter(|a| tree.index() == Index::Avet && Some(*a) == end.a)?;
    let of = stats.attribute(a)?;
    let leaves = tree.leaf_range(&Range::attr_by_value(a));
    if leaves.len() <= FEW_LEAVES {
        let least = part(of, start.v.as_ref(), 0.0);
        let most = part(of, end.v.as_ref(), 1.0);
        let part = least.zip(most).map_or(UNKNOWN_PART, |(least, most)| (most - least).max(0.0));
        return Some((of.datoms as f64 * part).round() as u64);
    }
    let inside = tree.leaf_range(range);
    let counts = |at: usize| tree.entries()[at].count as f64;
    let whole: f64 = inside.clone().map(counts).sum();
    let (Some(first), Some(last)) = (inside.clone().next(), inside.clone().next_back()) else {
        return Some(0);
    };
    let before = counts(first) * within(tree, a, first, start.v.as_ref(), 0.0);
    let after = counts(last) * (1.0 - within(tree, a, last, end.v.as_ref(), 1.0));
    Some((whole - before - after).max(0.0).round() as u64).map(|count| count.min(of.datoms))
}

/// Where `v` lies between the least and the greatest value of an attribute, from 0 to 1.
fn part(of: &AttrStats, v: Option<&Value>, without: f64) -> Option<f64> {
    let Some(v) = v else { return Some(without) };
    ratio(number(v)?, number(of.min.as_ref()?)?, number(of.max.as_ref()?)?)
}

/// The same in one leaf, told by the borders around it; a half where they tell nothing.
fn within(tree: &Tree, a: AttrId, at: usize, v: Option<&Value>, without: f64) -> f64 {
    let Some(v) = v else { return without };
    let border = |at: usize| {
        let sep = &tree.entries().get(at)?.sep;
        number(sep.v.as_ref().filter(|_| sep.a == Some(a))?)
    };
    let told = || ratio(number(v)?, border(at)?, border(at + 1)?);
    told().unwrap_or(0.5)
}

fn ratio(v: f64, least: f64, most: f64) -> Option<f64> {
    (most > least).then(|| ((v - least) / (most - least)).clamp(0.0, 1.0))
}

fn number(v: &Value) -> Option<f64> {
    match v.as_ref() {
        ValueRef::Long(x) | ValueRef::Instant(x) => Some(x as f64),
        ValueRef::Double(x) => Some(x),
        ValueRef::Float(x) => Some(x.into()),
        _ => None,
    }
}
