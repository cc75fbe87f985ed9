//! The log: t -> transaction, as a tree of log leaves. A separator holds the first t of its leaf and that transaction's
//! instant, so that both look-ups are a binary search over the directory.

use std::sync::Arc;

use super::Segment;
use super::bytes::damaged;
use super::inner::Entry;
use super::log_leaf::LogLeaf;
use super::port::SegmentPort;
use super::sep::Sep;
use super::tree::{TreeRef, read_levels};
use crate::Result;
use crate::id::{EntityId, T};
use crate::log::TxBody;
use crate::value::Value;

/// The log up to a root.
#[derive(Clone)]
pub struct LogTree {
    port: Arc<dyn SegmentPort>,
    entries: Arc<[Entry]>,
    end: T,
}

pub(crate) fn sep(first: T, instant: i64) -> Sep {
    Sep { e: Some(EntityId(first.0)), a: None, v: Some(Value::Instant(instant)), shared: false }
}

pub(crate) fn first_t(entry: &Entry) -> T {
    T(entry.sep.e.map_or(1, |e| e.0))
}

fn first_instant(entry: &Entry) -> i64 {
    match entry.sep.v {
        Some(Value::Instant(instant)) => instant,
        _ => i64::MIN,
    }
}

impl LogTree {
    /// Opens a log; `None` is the empty one. Reads every inner node.
    ///
    /// # Errors
    /// `SEGMENT_UNAVAILABLE`, `DATA_LOSS` from the port.
    pub fn open(top: Option<&TreeRef>, port: &Arc<dyn SegmentPort>) -> Result<LogTree> {
        let entries = match top {
            Some(top) => read_levels(&**port, top)?.swap_remove(0).entries,
            None => Vec::new(),
        };
        let end = top.map_or(1, |top| top.count + 1);
        Ok(LogTree { port: port.clone(), entries: entries.into(), end: T(end) })
    }

    /// Where its segments come from.
    pub(crate) fn port(&self) -> &Arc<dyn SegmentPort> {
        &self.port
    }

    /// One more than the last t; transactions are `1..end`.
    #[must_use]
    pub fn end(&self) -> T {
        self.end
    }

    /// Leaf entries, in order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The leaf of `t` and its row; `None` outside the log. O(log leaves).
    ///
    /// # Errors
    /// `SEGMENT_UNAVAILABLE`, `DATA_LOSS` from the port.
    pub fn row(&self, t: T) -> Result<Option<(Arc<LogLeaf>, usize)>> {
        if t.0 == 0 || t >= self.end {
            return Ok(None);
        }
        let at = self.entries.partition_point(|entry| first_t(entry) <= t);
        let leaf = self.leaf(at.saturating_sub(1))?;
        let row = leaf.row_of(t).ok_or_else(|| damaged("the log has a hole"))?;
        Ok(Some((leaf, row)))
    }

    /// Leaf number `at` of [`LogTree::entries`].
    ///
    /// # Errors
    /// `SEGMENT_UNAVAILABLE`, `DATA_LOSS` from the port.
    pub fn leaf(&self, at: usize) -> Result<Arc<LogLeaf>> {
        log_leaf(&*self.port, &self.entries[at])
    }

    /// The transactions `start..end`, oldest first; at most `limit`.
    ///
    /// # Errors
    /// `SEGMENT_UNAVAILABLE`, `DATA_LOSS` from the port.
    pub fn bodies(&self, start: T, end: T, limit: usize) -> Result<Vec<Arc<TxBody>>> {
        let mut bodies = Vec::new();
        let mut next = start.max(T(1));
        while bodies.len() < limit && next < end {
            let Some((leaf, row)) = self.row(next)? else { break };
            let wanted = (limit - bodies.len()).min((end.0 - next.0) as usize);
            let last = leaf.len().min(row.saturating_add(wanted));
            for row in row..last {
                bodies.push(Arc::new(leaf.body(row)?));
            }
            next = T(next.0 + (last - row) as u64);
        }
        Ok(bodies)
    }

    /// The last t whose instant is not after `instant`; 0 before the first. O(log n).
    ///
    /// # Errors
    /// `SEGMENT_UNAVAILABLE`, `DATA_LOSS` from the port.
    pub fn t_at(&self, instant: i64) -> Result<T> {
        let at = self.entries.partition_point(|entry| first_instant(entry) <= instant);
        if at == 0 {
            return Ok(T(0));
        }
        let leaf = self.leaf(at - 1)?;
        Ok(T(leaf.first().0 + leaf.rows_until(instant) as u64 - 1))
    }
}

pub(crate) fn log_leaf(port: &dyn SegmentPort, entry: &Entry) -> Result<Arc<LogLeaf>> {
    let segment = port.get(&[entry.hash])?.pop().ok_or_else(|| damaged("the port answered nothing"))?;
    match &*segment {
        Segment::LogLeaf(leaf) if leaf.first() == first_t(entry) && leaf.len() as u64 == entry.count => {
            Ok(leaf.clone())
        }
        _ => Err(damaged("a log names another kind of segment").with("segment", entry.hash)),
    }
}
