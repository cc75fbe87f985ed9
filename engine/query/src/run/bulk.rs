//! Work on many rows in pieces: between two of them the run looks at its cancel flag and its budgets. What is small takes
//! the way without pieces.

use annals_edn::Error;

use crate::datum::DatumColumn;
use crate::plan::vars::VarSet;
use crate::run::context::Env;
use crate::run::frame::{self, Col, Frame};
use crate::run::keys::KeyTable;

/// Rows that are handled between two looks.
pub(crate) const BULK: usize = 1 << 16;

/// The rows of `rows`, as [`Frame::gather`].
///
/// # Errors
/// `CANCELLED` and of budgets, as everything here.
pub(crate) fn gather(env: &Env<'_>, from: &Frame, rows: &[u32], keep: &VarSet) -> Result<Frame, Error> {
    if rows.len() <= BULK {
        return Ok(from.gather(rows, keep));
    }
    let mut all = from.gather(&rows[..BULK], keep);
    for piece in rows[BULK..].chunks(BULK) {
        env.moved(piece.len())?;
        all.append(from.gather(piece, keep));
        env.hold(all.bytes())?;
    }
    Ok(all)
}

/// The rows of one column.
pub(crate) fn column(env: &Env<'_>, from: &DatumColumn, rows: &[u32]) -> Result<DatumColumn, Error> {
    if rows.len() <= BULK {
        return Ok(frame::gather(from, rows));
    }
    let mut all = frame::gather(from, &rows[..BULK]);
    for piece in rows[BULK..].chunks(BULK) {
        env.moved(piece.len())?;
        frame::append(&mut all, &frame::gather(from, piece));
    }
    Ok(all)
}

/// A copy of one column.
pub(crate) fn copy(env: &Env<'_>, from: &DatumColumn) -> Result<DatumColumn, Error> {
    let (DatumColumn::Stored(column), true) = (from, from.len() > BULK) else { return Ok(from.clone()) };
    let mut all = column.gather(&[]);
    for start in (0..column.len()).step_by(BULK) {
        let end = column.len().min(start + BULK);
        all.extend_range(column, start..end);
        env.moved(end - start)?;
    }
    Ok(all.into())
}

/// Puts every key of `cols` into `table`, as [`KeyTable::insert`].
pub(crate) fn insert(
    env: &Env<'_>,
    table: &mut KeyTable,
    cols: &[&Col],
    rows: usize,
    mut each: impl FnMut(usize, u32, bool),
) -> Result<(), Error> {
    if rows <= BULK {
        table.insert(cols, rows, each);
        return Ok(());
    }
    for from in (0..rows).step_by(BULK) {
        let picked: Vec<u32> = (from as u32..rows.min(from + BULK) as u32).collect();
        let piece: Vec<Col> = cols.iter().map(|col| pick(col, &picked)).collect();
        table.insert(&piece.iter().collect::<Vec<_>>(), picked.len(), |row, id, new| {
            each(from + row, id, new);
        });
        env.moved(picked.len())?;
    }
    Ok(())
}

fn pick(col: &Col, rows: &[u32]) -> Col {
    match col {
        Col::Data(data) => Col::Data(frame::gather(data, rows)),
        other => other.clone(),
    }
}

/// Rows of two sides beside one another.
#[derive(Debug, Default)]
pub(crate) struct Pairs {
    /// rows of the one side
    pub left: Vec<u32>,
    /// rows of the other side
    pub right: Vec<u32>,
    /// pairs when the run was looked at last
    pub looked: usize,
}

impl Pairs {
    /// Puts `row` beside each of `matches`.
    pub(crate) fn add(&mut self, env: &Env<'_>, row: u32, matches: &[u32]) -> Result<(), Error> {
        for piece in matches.chunks(BULK) {
            self.left.extend(std::iter::repeat_n(row, piece.len()));
            self.right.extend_from_slice(piece);
            self.look(env)?;
        }
        Ok(())
    }

    /// Puts `row` beside the rows `from..to`.
    pub(crate) fn add_range(&mut self, env: &Env<'_>, row: u32, from: u32, to: u32) -> Result<(), Error> {
        for start in (from..to).step_by(BULK) {
            let end = to.min(start.saturating_add(BULK as u32));
            self.left.extend(std::iter::repeat_n(row, (end - start) as usize));
            self.right.extend(start..end);
            self.look(env)?;
        }
        Ok(())
    }

    fn look(&mut self, env: &Env<'_>) -> Result<(), Error> {
        let new = self.left.len() - self.looked;
        if new < BULK {
            return Ok(());
        }
        self.looked = self.left.len();
        env.moved(new)?;
        env.make_room(self.looked, 0)
    }
}
