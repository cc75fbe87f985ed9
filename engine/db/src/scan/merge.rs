//! The one merge of all sorted sources, a stretch at a time.
//!
//! The source with the least head gives all its rows up to the next source's head in one go; only facts that lie in
//! several sources are netted one by one. The sources are kept in the order of their heads, so a step costs a
//! comparison or two, not one a source.

use std::cmp::Ordering;

use smallvec::SmallVec;

use super::cursor::Cursor;
use super::emit;
use super::window::{Marks, Window};
use crate::Result;
use crate::datom::DatomRef;
use crate::id::T;
use crate::order::Index;
use crate::range::{Batch, Columns};

/// Sources under one index, each at its least row not yet emitted.
pub(crate) struct Merge {
    index: Index,
    window: Window,
    columns: Columns,
    cursors: Vec<Cursor>,
    /// the sources that have rows left, by their heads; what is not in it has yet to be loaded and placed
    order: SmallVec<[usize; 8]>,
    unplaced: SmallVec<[usize; 8]>,
}

impl Merge {
    pub(crate) fn new(index: Index, window: Window, columns: Columns, cursors: Vec<Cursor>) -> Merge {
        let unplaced = (0..cursors.len()).collect();
        Merge { index, window, columns, cursors, order: SmallVec::new(), unplaced }
    }

    /// Emits rows until the batch is full or the sources are at their end.
    pub(crate) fn fill(&mut self, batch: &mut Batch) -> Result<()> {
        while !emit::is_full(batch) {
            self.place()?;
            let Some(&least) = self.order.first() else { return Ok(()) };
            let ties = self.ties();
            if ties > 1 || self.window.careful || self.cursors[least].shows_facts_only(&self.window) {
                self.fact(ties, batch);
            } else {
                self.stretch(batch)?;
            }
        }
        Ok(())
    }

    /// Loads the sources that moved and puts them where their heads belong; those at their end leave.
    fn place(&mut self) -> Result<()> {
        while let Some(moved) = self.unplaced.last().copied() {
            self.cursors[moved].load()?;
            self.unplaced.pop();
            let Some(head) = self.cursors[moved].head() else { continue };
            let before = |&&other: &&usize| self.cmp_head(other, &head) == Ordering::Less;
            let place = self.order.iter().take_while(before).count();
            self.order.insert(place, moved);
        }
        Ok(())
    }

    fn cmp_head(&self, cursor: usize, row: &DatomRef<'_>) -> Ordering {
        let head = self.cursors[cursor].head().expect("a placed source has a head");
        self.index.cmp_eav(&head, row)
    }

    /// How many sources have the least head's fact.
    fn ties(&self) -> usize {
        let [least, others @ ..] = &self.order[..] else { return 0 };
        let Some(head) = self.cursors[*least].head().filter(|_| !others.is_empty()) else { return 1 };
        1 + others.iter().take_while(|&&other| self.cmp_head(other, &head) == Ordering::Equal).count()
    }

    fn stretch(&mut self, batch: &mut Batch) -> Result<()> {
        let least = self.order.remove(0);
        self.unplaced.push(least);
        let Some(&next) = self.order.first() else {
            return self.cursors[least].emit(None, self.columns, &self.window, batch);
        };
        let [cursor, next] = self.cursors.get_disjoint_mut([least, next]).expect("two different sources");
        cursor.emit(next.head().as_ref(), self.columns, &self.window, batch)
    }

    /// Nets the fact at the head of the first `ties` sources and goes past it.
    fn fact(&mut self, ties: usize, batch: &mut Batch) {
        let mut marks = Marks::new();
        let mut passed: SmallVec<[usize; 8]> = SmallVec::new();
        passed.extend(self.order[..ties].iter().map(|&at| self.cursors[at].peek_fact(&mut marks)));
        self.window.net(&mut marks);
        let head = self.cursors[self.order[0]].head().expect("a placed source has a head");
        for mark in &marks {
            emit::row(batch, self.columns, &DatomRef { t: T(mark.t), added: mark.added, ..head });
        }
        self.unplaced.extend(self.order.drain(..ties));
        for (&at, rows) in self.unplaced.iter().zip(passed) {
            self.cursors[at].advance(rows);
        }
    }
}
