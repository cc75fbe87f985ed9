//! Rows into batches: whole stretches of a run at once, single rows where sources meet.

use super::cursor::RunCursor;
use super::window::Window;
use crate::datom::DatomRef;
use crate::novelty::{Event, Events};
use crate::range::{BATCH_ROWS, Batch, Columns};

pub(crate) fn is_full(batch: &Batch) -> bool {
    batch.rows >= BATCH_ROWS
}

/// One row.
pub(crate) fn row(batch: &mut Batch, columns: Columns, row: &DatomRef<'_>) {
    batch.rows += 1;
    if columns.has(Columns::E) {
        batch.e.push(row.e.0);
    }
    if columns.has(Columns::A) {
        batch.a.push(row.a.0);
    }
    if columns.has(Columns::V) {
        batch.v.push(row.v);
    }
    if columns.has(Columns::T) {
        batch.t.push(row.t.0);
    }
    if columns.has(Columns::ADDED) {
        batch.added.push(row.added);
    }
}

/// The rows of a run from its head to `to` that `window` shows, until the batch is full. No other source has a row
/// among them, so the run nets alone.
pub(crate) fn run(cursor: &mut RunCursor, to: usize, columns: Columns, window: &Window, batch: &mut Batch) {
    let room = BATCH_ROWS - batch.rows;
    if cursor.clear {
        let end = to.min(cursor.at + room);
        let positions = &cursor.run.positions[cursor.at..end];
        fill(batch, columns, cursor.layer.events(), cursor.layer.base, positions);
        cursor.at = end;
        return;
    }
    let mut chosen = Vec::with_capacity(room);
    if window.history {
        choose_all(cursor, to, room, &mut chosen);
    } else {
        choose_netted(cursor, to, room, &mut chosen);
    }
    fill(batch, columns, cursor.layer.events(), cursor.layer.base, &chosen);
}

fn choose_all(cursor: &mut RunCursor, to: usize, room: usize, chosen: &mut Vec<u32>) {
    while cursor.at < to && chosen.len() < room {
        if cursor.span.shows(cursor.event(cursor.at)) {
            chosen.push(cursor.run.positions[cursor.at]);
        }
        cursor.at += 1;
    }
}

/// The newest shown event of each fact, if it asserts. Stops between facts only.
fn choose_netted(cursor: &mut RunCursor, to: usize, room: usize, chosen: &mut Vec<u32>) {
    let events = cursor.layer.events();
    let positions = &cursor.run.positions;
    let mut at = cursor.at;
    while at < to && chosen.len() < room {
        let event = &events[positions[at] as usize];
        if !cursor.span.shows(event) {
            at += 1;
            continue;
        }
        let mut newest = at;
        at += 1;
        while at < to {
            let next = &events[positions[at] as usize];
            if !next.same_fact(event) {
                break;
            }
            // A retraction sorts before an assertion of the same t, which is the later of the two.
            if next.t == event.t {
                newest = at;
            }
            at += 1;
        }
        if events[positions[newest] as usize].added() {
            chosen.push(positions[newest]);
        }
    }
    cursor.at = at;
}

fn fill(batch: &mut Batch, columns: Columns, events: &Events, base: u64, positions: &[u32]) {
    let rows = || positions.iter().map(|&at| -> &Event { &events[at as usize] });
    batch.rows += positions.len();
    if columns.has(Columns::E) {
        batch.e.extend(rows().map(|event| event.e));
    }
    if columns.has(Columns::A) {
        batch.a.extend(rows().map(Event::a));
    }
    if columns.has(Columns::V) {
        rows().for_each(|event| batch.v.push(event.v()));
    }
    if columns.has(Columns::T) {
        batch.t.extend(rows().map(|event| base + u64::from(event.t)));
    }
    if columns.has(Columns::ADDED) {
        batch.added.extend(rows().map(Event::added));
    }
}
