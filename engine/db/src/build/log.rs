//! The log tree with more transactions at its end.

use std::borrow::Cow;
use std::sync::Arc;

use super::directory::{Child, OldTree, directories};
use super::writer::Writer;
use crate::Result;
use crate::id::T;
use crate::log::TxBody;
use crate::segment::log_leaf::LogRow;
use crate::segment::{Entry, Kind, LogLeaf, LogTree, TreeRef, log_tree};

/// What the rows of a log leaf may weigh, in bytes.
const LEAF_WEIGHT: usize = 256 << 10;
/// A last leaf that takes less than this at rest is written anew with what follows.
const SMALL_LEAF_BYTES: u64 = 64 << 10;

/// The log `old`, which the root names `top`, and behind it `bodies`.
pub(super) fn append(
    writer: &mut Writer<'_>,
    old: Option<(&LogTree, Option<&TreeRef>)>,
    bodies: &[Arc<TxBody>],
) -> Result<Option<TreeRef>> {
    let inner = match old {
        Some((log, top)) => OldTree::read(&**log.port(), top)?,
        None => OldTree::default(),
    };
    let old = old.map(|(log, _)| log);
    let kept = old.map_or(&[][..], LogTree::entries).iter().cloned().enumerate();
    let mut entries: Vec<Child> = kept.map(|(at, entry)| Child { entry, origin: Some(at) }).collect();
    let small = !bodies.is_empty() && entries.last().is_some_and(|last| last.entry.stored < SMALL_LEAF_BYTES);
    let last = match old.filter(|_| small) {
        Some(log) => Some(log.leaf(entries.len() - 1)?),
        None => None,
    };
    let mut rows: Vec<LogRow<'_>> = Vec::new();
    let mut first = bodies.first().map_or(T(1), |body| body.t);
    if let Some(leaf) = &last {
        entries.pop();
        first = leaf.first();
        rows.extend(leaf.rows());
    }
    rows.extend(bodies.iter().map(|body| new_row(body)));
    let mut rows = rows.as_slice();
    while !rows.is_empty() {
        let count = fitting(rows);
        let (some, rest) = rows.split_at(count);
        entries.push(Child { entry: leaf(writer, first, some)?, origin: None });
        first = T(first.0 + count as u64);
        rows = rest;
    }
    directories(writer, entries, &inner)
}

fn leaf(writer: &mut Writer<'_>, first: T, rows: &[LogRow<'_>]) -> Result<Entry> {
    let mut entry = writer.seal(Kind::LogLeaf, &LogLeaf::encode(first, rows))?;
    entry.sep = log_tree::sep(first, rows[0].instant);
    entry.count = rows.len() as u64;
    entry.span.add(first.0, 0);
    entry.span.add(first.0 + rows.len() as u64 - 1, 0);
    Ok(entry)
}

fn fitting(rows: &[LogRow<'_>]) -> usize {
    let mut sum = 0;
    let over = rows.iter().position(|row| {
        sum += row.weight();
        sum > LEAF_WEIGHT
    });
    over.unwrap_or(rows.len()).max(1)
}

fn new_row(body: &TxBody) -> LogRow<'static> {
    let bytes = body.encode();
    LogRow {
        instant: body.instant,
        next_counter: body.next_counter,
        client_id: body.client_id,
        request_hash: body.request_hash,
        digest: *blake3::hash(&bytes).as_bytes(),
        body: Cow::Owned(bytes),
    }
}
