//! Several sources of one attribute, each netted by itself, woven together a batch at a time.
//!
//! A source knows what its own events net to. What they do not know is that a younger one ended a fact that they show:
//! those are the closings of the younger runs (see [`crate::novelty::Lines`]), few and sorted, which are taken out of each
//! source's batch first. What is left is disjoint, and its order is told by dense columns. Where sources alternate row by
//! row, as they do when a tenth of the data is in novelty or a view of the past reads the trees of present and history, a row
//! costs a comparison or two; the general merge ([`super::merge`]) pays for a search.

use std::cmp::Ordering;

use smallvec::SmallVec;

use super::cursor::Cursor;
use super::emit;
use super::window::Window;
use crate::Result;
use crate::column::Column;
use crate::novelty::Closings;
use crate::order::Index;
use crate::range::{BATCH_ROWS, Batch, Columns};
use crate::value::ValueType;

/// What is woven.
pub(crate) struct Weave {
    order: Order,
    window: Window,
    columns: Columns,
    strands: Vec<Strand>,
    closings: Closings,
}

/// In which order the rows of one attribute stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// by entity; all have one value
    Entity,
    /// by entity, then value
    EntityValue,
    /// by value, then entity
    ValueEntity,
}

impl Order {
    /// Of a range of one attribute; `one_value` says that all its rows have the same.
    pub(crate) fn of(index: Index, one_value: bool) -> Order {
        match index {
            _ if one_value => Order::Entity,
            Index::Avet => Order::ValueEntity,
            _ => Order::EntityValue,
        }
    }

    pub(crate) fn cmp(self, x: (&[u64], &Column, usize), y: (&[u64], &Column, usize)) -> Ordering {
        let by_entity = || x.0[x.2].cmp(&y.0[y.2]);
        let by_value = || x.1.cmp_rows(x.2, y.1, y.2);
        match self {
            Order::Entity => by_entity(),
            Order::EntityValue => by_entity().then_with(by_value),
            Order::ValueEntity => by_value().then_with(by_entity),
        }
    }
}

/// One source and its rows that are not given out yet.
struct Strand {
    cursor: Cursor,
    batch: Batch,
    at: usize,
    /// the first closing that may end a later row
    closing: usize,
}

impl Strand {
    fn head(&self) -> (&[u64], &Column, usize) {
        (&self.batch.e, &self.batch.v, self.at)
    }
}

impl Weave {
    pub(crate) fn new(
        order: Order,
        window: Window,
        columns: Columns,
        ty: Option<ValueType>,
        cursors: Vec<Cursor>,
        closings: Closings,
    ) -> Weave {
        let strand = |cursor| Strand { cursor, batch: Batch::new(ty), at: 0, closing: 0 };
        let strands = cursors.into_iter().map(strand).collect();
        Weave { order, window, columns, strands, closings }
    }

    /// What has to be read of each source.
    fn wanted(&self) -> Columns {
        let wanted = self.columns.with(Columns::E);
        let wanted = if self.order == Order::Entity { wanted } else { wanted.with(Columns::V) };
        if self.closings.is_empty() { wanted } else { wanted.with(Columns::T) }
    }

    /// Emits rows until the batch is full or the sources are at their end.
    pub(crate) fn fill(&mut self, batch: &mut Batch) -> Result<()> {
        while !emit::is_full(batch) {
            for strand in 0..self.strands.len() {
                self.refill(strand)?;
            }
            self.strands.retain(|strand| strand.at < strand.batch.rows);
            if self.strands.is_empty() {
                return Ok(());
            }
            let chosen = self.choose(BATCH_ROWS - batch.rows);
            self.give_out(&chosen, batch);
        }
        Ok(())
    }

    /// Reads more rows of a source that has given out all it had; none if it is at its end.
    fn refill(&mut self, strand: usize) -> Result<()> {
        let (wanted, order) = (self.wanted(), self.order);
        let Strand { cursor, batch, at, closing } = &mut self.strands[strand];
        while *at == batch.rows {
            batch.clear();
            *at = 0;
            cursor.load()?;
            if cursor.head().is_none() {
                return Ok(());
            }
            cursor.emit(None, wanted, &self.window, batch)?;
            self.closings.take_out(order, closing, batch);
        }
        Ok(())
    }

    /// Source and row of what comes next: at most `room` rows, and none after a source ran out, for it may go on.
    fn choose(&mut self, room: usize) -> Vec<(u32, u32)> {
        let mut chosen = Vec::with_capacity(room);
        if let [strand] = &mut self.strands[..] {
            let end = strand.batch.rows.min(strand.at + room);
            chosen.extend((strand.at..end).map(|row| (0, row as u32)));
            strand.at = end;
            return chosen;
        }
        let mut order: SmallVec<[usize; 8]> = (0..self.strands.len()).collect();
        order.sort_by(|x, y| self.order.cmp(self.strands[*x].head(), self.strands[*y].head()));
        while chosen.len() < room {
            let (least, next) = (order[0], order[1]);
            let [strand, other] =
                self.strands.get_disjoint_mut([least, next]).expect("two different sources");
            // Rows of the least source up to the head of the next.
            let end = strand.batch.rows.min(strand.at + room - chosen.len());
            let mut ahead = Ordering::Less;
            while strand.at < end {
                ahead = self.order.cmp(strand.head(), other.head());
                if ahead != Ordering::Less {
                    break;
                }
                chosen.push((least as u32, strand.at as u32));
                strand.at += 1;
            }
            if strand.at < end && ahead == Ordering::Equal {
                // What both the bootstrap and a tree have.
                strand.at += 1;
            }
            if strand.at == strand.batch.rows {
                break;
            }
            self.settle(&mut order);
        }
        chosen
    }

    /// Puts the first of `order` where its head belongs.
    fn settle(&self, order: &mut [usize]) {
        let head = self.strands[order[0]].head();
        let mut at = 0;
        while at + 1 < order.len() && self.order.cmp(self.strands[order[at + 1]].head(), head).is_lt() {
            order.swap(at, at + 1);
            at += 1;
        }
    }

    fn give_out(&self, chosen: &[(u32, u32)], batch: &mut Batch) {
        batch.rows += chosen.len();
        let sources = |strand: u32| &self.strands[strand as usize].batch;
        if self.columns.has(Columns::E) {
            batch.e.extend(chosen.iter().map(|(strand, row)| sources(*strand).e[*row as usize]));
        }
        if self.columns.has(Columns::A) {
            batch.a.extend(chosen.iter().map(|(strand, row)| sources(*strand).a[*row as usize]));
        }
        if self.columns.has(Columns::T) {
            batch.t.extend(chosen.iter().map(|(strand, row)| sources(*strand).t[*row as usize]));
        }
        if self.columns.has(Columns::ADDED) {
            batch.added.resize(batch.added.len() + chosen.len(), true);
        }
        if self.columns.has(Columns::V) {
            let values: SmallVec<[&Column; 8]> = self.strands.iter().map(|strand| &strand.batch.v).collect();
            batch.v.extend_chosen(&values, chosen);
        }
    }
}
