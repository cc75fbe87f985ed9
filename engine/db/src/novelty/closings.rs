//! Closings: the facts of older sources that runs end, as columns.
//!
//! Novelty is free of redundancy: a run whose oldest event of a fact retracts it ends what an older source shows, and no
//! other event of a run does. So what a view shows of all sources is what each shows by itself less the closings of younger
//! ones, told by their t.

use std::cmp::Ordering;

use crate::column::Column;
use crate::range::{Batch, Probe};
use crate::scan::weave::Order;
use crate::value::ValueType;

/// Closings of one attribute from several runs, in index order.
#[derive(Debug)]
pub(crate) struct Closings {
    e: Vec<u64>,
    v: Column,
    t: Vec<u64>,
}

impl Closings {
    /// None yet, of values of `ty`.
    pub(crate) fn new(ty: Option<ValueType>) -> Closings {
        Closings { e: Vec::new(), v: Column::of(ty), t: Vec::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.e.is_empty()
    }

    pub(crate) fn push(&mut self, e: u64, v: crate::ValueRef<'_>, t: u64) {
        self.e.push(e);
        self.v.push(v);
        self.t.push(t);
    }

    /// Brings those of several runs into one order.
    pub(crate) fn sort(&mut self, order: Order) {
        let mut rows: Vec<u32> = (0..self.e.len() as u32).collect();
        rows.sort_by(|x, y| self.cmp(order, *x as usize, *y as usize));
        let pick = |column: &[u64]| rows.iter().map(|&row| column[row as usize]).collect();
        (self.e, self.t, self.v) = (pick(&self.e), pick(&self.t), self.v.gather(&rows));
    }

    fn cmp(&self, order: Order, x: usize, y: usize) -> Ordering {
        order.cmp((&self.e, &self.v, x), (&self.e, &self.v, y))
    }

    /// Takes the rows out of a source's next batch that are ended; `from` is the first closing that may end one, and is
    /// moved on.
    pub(crate) fn take_out(&self, order: Order, from: &mut usize, batch: &mut Batch) {
        let (mut ended, mut row) = (Vec::new(), 0);
        while *from < self.e.len() && row < batch.rows {
            let cmp = |row: usize| order.cmp((&batch.e, &batch.v, row), (&self.e, &self.v, *from));
            row = crate::scan::tree::gallop(row..batch.rows, |row| cmp(row).is_lt());
            if row == batch.rows {
                break;
            }
            if cmp(row).is_eq() && batch.t[row] < self.t[*from] && ended.last() != Some(&(row as u32)) {
                ended.push(row as u32);
            }
            *from += 1;
        }
        if !ended.is_empty() {
            batch.drop_rows(&ended);
        }
    }

    /// Takes out of what a source found what is ended; `keys` are the numbers of the keys of these closings, ascending.
    pub(crate) fn take_from(&self, keys: &[u32], probe: &mut Probe) {
        let (by_entity, mut row, mut ended) = (probe.e.is_empty(), 0, Vec::new());
        for (at, &key) in keys.iter().enumerate() {
            row = crate::scan::tree::gallop(row..probe.input.len(), |row| probe.input[row] < key);
            for same in (row..probe.input.len()).take_while(|&row| probe.input[row] == key) {
                let is_it = match by_entity {
                    true => probe.v.cmp_rows(same, &self.v, at).is_eq(),
                    false => probe.e[same] == self.e[at],
                };
                if is_it && probe.t[same] < self.t[at] {
                    ended.push(same as u32);
                }
            }
        }
        ended.sort_unstable();
        ended.dedup();
        if !ended.is_empty() {
            probe.drop_rows(&ended);
        }
    }
}
