//! Counting a range without reading it.

mod trees;

use std::ops::Bound;

use super::Db;
use crate::Result;
use crate::novelty::Run;
use crate::order::Index;
use crate::range::{Key, Range};
use crate::scan::cursor::{RunCursor, Span};
use crate::scan::table::{TableColumn, TableCursor};
use crate::scan::tree::Role;
use crate::scan::window::Window;

/// A run of which only a part is shown is counted row by row up to this many rows, then at evenly spread ones.
const COUNTED_ROWS: usize = 256;
/// Rows that stand for all of a long part of a run.
const SAMPLED_ROWS: usize = 64;

impl Db {
    /// About how many rows `range` has under the present view: exact on whole index entries and on novelty, an
    /// estimate at the edges, and where a basis is so old that it sees a part of a long run only. An attribute that
    /// AVET does not hold counts as its whole. Reads no leaf. O(log n).
    ///
    /// # Errors
    /// Only of the store.
    pub fn count(&self, range: &Range) -> Result<u64> {
        let hi = self.view.as_of.map_or(self.basis.0, |t| t.0.min(self.basis.0));
        let window = Window { lo: 0, hi, history: false, read: hi, careful: false };
        let range = self.countable(range);
        let mut net = 0;
        for held in self.layers() {
            let Some(span) = Span::of(&window, held) else { continue };
            for run in held.layer.levels(range.index, held.end).runs() {
                net +=
                    RunCursor::open(&held.layer, run, span, &range, false).map_or(0, |part| count_run(&part));
            }
        }
        let present = Window { hi: self.basis.0, read: self.basis.0, ..window };
        for (tree, role) in self.trees(range.index, &present) {
            net += match (role, self.base()) {
                (Role::Current, Some(base)) => trees::count(tree, &base.stats, &range) as i64,
                _ => -(tree.count(&range) as i64),
            };
        }
        for column in TableColumn::ALL {
            net += TableCursor::open(self, column, &window, &range)?.map_or(0, |table| table.len() as i64);
        }
        Ok(net.max(0) as u64)
    }

    /// An AVET range of an attribute that AVET does not hold becomes the attribute's AEVT range.
    fn countable(&self, range: &Range) -> Range {
        let (Bound::Included(Key { a: Some(a), .. }) | Bound::Excluded(Key { a: Some(a), .. })) = range.start
        else {
            return range.clone();
        };
        match range.index {
            Index::Avet if !self.avet_is_whole(a) => Range::attr(a),
            _ => range.clone(),
        }
    }
}

/// Assertions less retractions: novelty is free of redundancy, so that is what holds.
fn count_run(part: &RunCursor) -> i64 {
    let rows = part.end - part.at;
    let shown = |run: &Run| part.span.covers(run);
    if shown(&part.run) {
        let retracted = part.run.retracted(part.layer.events(), part.at, part.end);
        return rows as i64 - 2 * retracted as i64;
    }
    let sign = |event: &crate::novelty::Event| if event.added() { 1 } else { -1 };
    let shown = |i: usize| Some(part.event(i)).filter(|event| part.span.shows(event)).map_or(0, sign);
    if rows <= COUNTED_ROWS {
        return (part.at..part.end).map(shown).sum();
    }
    let sum: i64 = (0..SAMPLED_ROWS).map(|i| shown(part.at + i * rows / SAMPLED_ROWS)).sum();
    sum * rows as i64 / SAMPLED_ROWS as i64
}
