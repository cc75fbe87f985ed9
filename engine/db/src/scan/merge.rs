//! The one merge of all sorted sources, a stretch at a time.
//!
//! The source with the least head gives all its rows up to the next source's head in one go; only facts that lie in
//! several sources are netted one by one. O(stretches * sources + rows).

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
    pub(crate) index: Index,
    pub(crate) window: Window,
    pub(crate) columns: Columns,
    pub(crate) cursors: SmallVec<[Cursor; 6]>,
}

/// What the heads say is next.
enum Next {
    End,
    /// this source alone, up to the head of that one
    Stretch(usize, Option<usize>),
    /// the fact at this source's head lies in others too
    Fact(usize),
}

impl Merge {
    /// Emits rows until the batch is full or the sources are at their end.
    pub(crate) fn fill(&mut self, batch: &mut Batch) -> Result<()> {
        while !emit::is_full(batch) {
            self.cursors.iter_mut().try_for_each(Cursor::load)?;
            self.cursors.retain(|cursor| cursor.head().is_some());
            match self.next() {
                Next::End => return Ok(()),
                Next::Fact(at) => self.fact(at, batch),
                Next::Stretch(at, _) if self.must_judge(at) => self.fact(at, batch),
                Next::Stretch(at, bound) => self.stretch(at, bound, batch)?,
            }
        }
        Ok(())
    }

    fn must_judge(&self, at: usize) -> bool {
        self.window.careful || self.cursors[at].shows_facts_only(&self.window)
    }

    fn next(&self) -> Next {
        let mut least: Option<(usize, DatomRef<'_>)> = None;
        let mut second: Option<(usize, DatomRef<'_>)> = None;
        let mut tied = false;
        for (i, cursor) in self.cursors.iter().enumerate() {
            let Some(head) = cursor.head() else { continue };
            let order = least.as_ref().map_or(Ordering::Less, |(_, held)| self.index.cmp_eav(&head, held));
            match order {
                Ordering::Less => {
                    second = least.replace((i, head));
                    tied = false;
                }
                Ordering::Equal => tied = true,
                Ordering::Greater => {
                    let nearer =
                        |(_, held): &(usize, DatomRef<'_>)| self.index.cmp_eav(&head, held) == Ordering::Less;
                    if second.as_ref().is_none_or(nearer) {
                        second = Some((i, head));
                    }
                }
            }
        }
        match least {
            None => Next::End,
            Some((at, _)) if tied => Next::Fact(at),
            Some((at, _)) => Next::Stretch(at, second.map(|(bound, _)| bound)),
        }
    }

    fn stretch(&mut self, at: usize, bound: Option<usize>, batch: &mut Batch) -> Result<()> {
        let Some(bound) = bound else {
            return self.cursors[at].emit(None, self.columns, &self.window, batch);
        };
        let [cursor, bound] = self.cursors.get_disjoint_mut([at, bound]).expect("two different sources");
        cursor.emit(bound.head().as_ref(), self.columns, &self.window, batch)
    }

    /// Nets the fact at the head of source `at` over all sources and goes past it.
    fn fact(&mut self, at: usize, batch: &mut Batch) {
        let mut marks = Marks::new();
        let mut passed: SmallVec<[usize; 6]> = SmallVec::from_elem(0, self.cursors.len());
        let Some(head) = self.cursors[at].head() else { return };
        for (i, cursor) in self.cursors.iter().enumerate() {
            let same = |row: DatomRef<'_>| self.index.cmp_eav(&row, &head) == Ordering::Equal;
            if cursor.head().is_some_and(same) {
                passed[i] = cursor.peek_fact(&mut marks);
            }
        }
        self.window.net(&mut marks);
        for mark in &marks {
            let row = DatomRef { t: T(mark.t), added: mark.added, ..head };
            emit::row(batch, self.columns, &row);
        }
        for (cursor, rows) in self.cursors.iter_mut().zip(passed) {
            if rows > 0 {
                cursor.advance(rows);
            }
        }
    }
}
