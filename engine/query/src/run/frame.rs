//! Batches of rows between operators: one column a variable, constants unmaterialised, failed rows marked.
//!
//! What it is not: a relation with names; columns are found by variable number. A variable that is not bound yet, or
//! not needed any more, is [`Col::Absent`] and costs nothing.

use annals_db::{Column, Value, ValueRef};

use crate::ast::VarId;
use crate::datum::{Datum, DatumColumn};
use crate::plan::vars::VarSet;

/// One variable of a frame.
#[derive(Clone, Debug, Default)]
pub(crate) enum Col {
    /// not bound, or dropped
    #[default]
    Absent,
    /// the same for every row
    Const(Datum),
    /// a value a row
    Data(DatumColumn),
}

/// The mark of a row in which nothing failed.
pub(crate) const SOUND: u32 = u32::MAX;

/// Rows, column-wise.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// how many rows
    pub rows: usize,
    /// by variable number
    pub cols: Vec<Col>,
    /// the least number of a failed call a row, [`SOUND`] for none; empty when no row failed
    pub marks: Vec<u32>,
}

impl Frame {
    /// One row without variables.
    pub(crate) fn unit(width: usize) -> Frame {
        Frame { rows: 1, cols: vec![Col::Absent; width], marks: Vec::new() }
    }

    /// No rows.
    pub(crate) fn empty(width: usize) -> Frame {
        Frame { rows: 0, cols: vec![Col::Absent; width], marks: Vec::new() }
    }

    /// The column of `var`.
    pub(crate) fn col(&self, var: VarId) -> &Col {
        &self.cols[var.0 as usize]
    }

    /// Binds `var`.
    pub(crate) fn set(&mut self, var: VarId, col: Col) {
        self.cols[var.0 as usize] = col;
    }

    /// Drops the variables that are not in `keep`; constants stay.
    pub(crate) fn keep(&mut self, keep: &VarSet) {
        for (i, col) in self.cols.iter_mut().enumerate() {
            if matches!(col, Col::Data(_)) && !keep.has(VarId(i as u32)) {
                *col = Col::Absent;
            }
        }
    }

    /// The rows of `rows`, in that order, as often as they stand there; only the variables in `keep`.
    pub(crate) fn gather(&self, rows: &[u32], keep: &VarSet) -> Frame {
        let pick = |(i, col): (usize, &Col)| match col {
            Col::Data(data) if keep.has(VarId(i as u32)) => Col::Data(gather(data, rows)),
            Col::Data(_) | Col::Absent => Col::Absent,
            Col::Const(datum) => Col::Const(datum.clone()),
        };
        let cols = self.cols.iter().enumerate().map(pick).collect();
        let marks = match self.marks.is_empty() {
            true => Vec::new(),
            false => rows.iter().map(|&row| self.marks[row as usize]).collect(),
        };
        Frame { rows: rows.len(), cols, marks }
    }

    /// The rows of `rows`, an ascending selection without repeats; nothing is copied when all are selected.
    pub(crate) fn select(mut self, rows: &[u32], keep: &VarSet) -> Frame {
        if rows.len() == self.rows {
            self.keep(keep);
            return self;
        }
        self.gather(rows, keep)
    }

    /// Marks `row` with the number of a failed call; the least number stays.
    pub(crate) fn mark(&mut self, row: usize, call: u32) {
        if self.marks.is_empty() {
            self.marks = vec![SOUND; self.rows];
        }
        self.marks[row] = self.marks[row].min(call);
    }

    /// True when something failed in `row`.
    pub(crate) fn marked(&self, row: usize) -> bool {
        self.marks.get(row).is_some_and(|&mark| mark != SOUND)
    }

    /// Appends the rows of `other`. Both bind the same variables.
    pub(crate) fn append(&mut self, other: Frame) {
        if self.rows == 0 {
            *self = other;
            return;
        }
        if !(self.marks.is_empty() && other.marks.is_empty()) {
            self.marks.resize(self.rows, SOUND);
            self.marks.extend_from_slice(&other.marks);
            self.marks.resize(self.rows + other.rows, SOUND);
        }
        let (left, right) = (self.rows, other.rows);
        self.rows += right;
        for (mine, theirs) in self.cols.iter_mut().zip(other.cols) {
            append_col(mine, left, theirs, right);
        }
    }

    /// About how many bytes the rows take.
    pub(crate) fn bytes(&self) -> usize {
        let data = self.cols.iter().filter(|col| matches!(col, Col::Data(_))).count();
        self.rows * data * 16
    }
}

fn append_col(mine: &mut Col, left: usize, theirs: Col, right: usize) {
    match (&mut *mine, theirs) {
        (Col::Const(x), Col::Const(y)) if *x == y => {}
        (Col::Absent, _) => {}
        (_, Col::Absent) => *mine = Col::Absent,
        (Col::Data(x), Col::Data(y)) => append(x, &y),
        (_, theirs) => {
            let mut data = spread(mine, left);
            append(&mut data, &spread(&theirs, right));
            *mine = Col::Data(data);
        }
    }
}

/// A column of `rows` values, whatever it was.
pub(crate) fn spread(col: &Col, rows: usize) -> DatumColumn {
    match col {
        Col::Data(data) => data.clone(),
        Col::Const(Datum::Value(value)) => {
            let mut column = Column::of(value.value_type());
            (0..rows).for_each(|_| column.push(value.as_ref()));
            DatumColumn::Stored(column)
        }
        Col::Const(datum) => DatumColumn::Any(vec![datum.clone(); rows]),
        Col::Absent => DatumColumn::Any(vec![Datum::Nil; rows]),
    }
}

/// The rows of `rows`; own bytes of text are copied only for the rows taken.
pub(crate) fn gather(data: &DatumColumn, rows: &[u32]) -> DatumColumn {
    match data {
        DatumColumn::Stored(column) => DatumColumn::Stored(column.gather(rows)),
        other => other.gather(rows),
    }
}

/// Appends `from` to `to`.
pub(crate) fn append(to: &mut DatumColumn, from: &DatumColumn) {
    match (&mut *to, from) {
        (DatumColumn::Stored(to), DatumColumn::Stored(from)) => {
            if to.is_empty() {
                *to = from.clone();
            } else {
                to.extend_range(from, 0..from.len());
            }
        }
        (DatumColumn::Any(to), DatumColumn::Any(from)) => to.extend_from_slice(from),
        (to, from) => (0..from.len()).for_each(|i| to.push(from.get(i))),
    }
}

/// The value of a call that failed: passes every clause, equal to nothing. No other way builds an empty vector so.
pub(crate) fn failed() -> Datum {
    Datum::Vector(std::sync::Arc::from([]))
}

/// True for the value of a call that failed.
pub(crate) fn is_failed(datum: &Datum) -> bool {
    matches!(datum, Datum::Vector(items) if items.is_empty())
}

impl Col {
    /// Row `i`, borrowed, if it is a stored value.
    pub(crate) fn get_ref(&self, i: usize) -> Option<ValueRef<'_>> {
        match self {
            Col::Data(data) => data.get_ref(i),
            Col::Const(datum) => datum.value().map(Value::as_ref),
            Col::Absent => None,
        }
    }

    /// Row `i`, owned.
    pub(crate) fn get(&self, i: usize) -> Datum {
        match self {
            Col::Data(data) => data.get(i),
            Col::Const(datum) => datum.clone(),
            Col::Absent => Datum::Nil,
        }
    }

    /// True when row `i` holds the value of a failed call.
    pub(crate) fn failed(&self, i: usize) -> bool {
        matches!(self, Col::Data(DatumColumn::Any(items)) if is_failed(&items[i]))
    }

    /// True when no row can hold the value of a failed call.
    pub(crate) fn sound(&self) -> bool {
        match self {
            Col::Data(DatumColumn::Any(items)) => !items.iter().any(is_failed),
            _ => true,
        }
    }

    /// True for one bound to a value a row.
    pub(crate) fn is_data(&self) -> bool {
        matches!(self, Col::Data(_))
    }
}
