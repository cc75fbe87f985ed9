//! Rows into batches: whole stretches of a run at once, single rows where sources meet.

use std::ops::Range;

use super::cursor::RunCursor;
use super::window::Window;
use crate::datom::DatomRef;
use crate::novelty::{Event, Events, Lines, Seen};
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
    if !window.history
        && let Some(seen) = cursor.run.ready(&cursor.span)
    {
        cursor.at = stretch(cursor, seen, to, columns, batch);
        return;
    }
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

/// The lines of rows from the head to `to` that the view shows; where it got.
fn stretch(cursor: &RunCursor, seen: Seen<'_>, to: usize, columns: Columns, batch: &mut Batch) -> usize {
    let lines = seen.lines;
    let (first, last) = (lines.line_at(cursor.at), lines.line_at(to));
    let end = lines_shown(seen, cursor.layer.base, first..last, columns, batch);
    if end == last { to } else { lines.row_of(end) }
}

/// Those of some lines that the view shows, until the batch is full; the first line that was not looked at.
pub(crate) fn lines_shown(
    seen: Seen<'_>,
    base: u64,
    at: Range<usize>,
    columns: Columns,
    batch: &mut Batch,
) -> usize {
    let (lines, first, last) = (seen.lines, at.start, at.end);
    let room = BATCH_ROWS - batch.rows;
    let end = last.min(first + room);
    let shown = seen.count(first..end);
    if shown == end - first {
        fill_lines(batch, columns, lines, base, first..end);
        return end;
    }
    let (chosen, end) = choose_shown(seen, first..last, room);
    pick_lines(batch, columns, lines, base, &chosen);
    end
}

/// Lines of a stretch, which are facts that hold.
fn fill_lines(batch: &mut Batch, columns: Columns, lines: &Lines, base: u64, at: Range<usize>) {
    batch.rows += at.len();
    if columns.has(Columns::E) {
        batch.e.extend_from_slice(&lines.e[at.clone()]);
    }
    if columns.has(Columns::T) {
        batch.t.extend(lines.t[at.clone()].iter().map(|&t| base + u64::from(t)));
    }
    if columns.has(Columns::ADDED) {
        batch.added.resize(batch.added.len() + at.len(), true);
    }
    if columns.has(Columns::A) || columns.has(Columns::V) {
        for (a, values, at) in lines.parts(at) {
            if columns.has(Columns::A) {
                batch.a.resize(batch.a.len() + at.len(), a);
            }
            if columns.has(Columns::V) {
                batch.v.extend_range(values, at);
            }
        }
    }
}

/// Lines that a view shows, until there is no more room; and how far it got.
fn choose_shown(seen: Seen<'_>, lines: Range<usize>, room: usize) -> (Vec<u32>, usize) {
    let mut chosen = vec![0; room.min(lines.len())];
    let (mut count, mut at) = (0, lines.start);
    while at < lines.end && count < room {
        // Blocks of what there is room for, so that no line has to be passed twice.
        let end = lines.end.min(at + room - count);
        for line in at..end {
            chosen[count] = line as u32;
            count += usize::from(seen.shows(line));
        }
        at = end;
    }
    chosen.truncate(count);
    (chosen, at)
}

/// Some lines.
fn pick_lines(batch: &mut Batch, columns: Columns, lines: &Lines, base: u64, chosen: &[u32]) {
    batch.rows += chosen.len();
    if columns.has(Columns::E) {
        batch.e.extend(chosen.iter().map(|&line| lines.e[line as usize]));
    }
    if columns.has(Columns::T) {
        batch.t.extend(chosen.iter().map(|&line| base + u64::from(lines.t[line as usize])));
    }
    if columns.has(Columns::ADDED) {
        batch.added.resize(batch.added.len() + chosen.len(), true);
    }
    let (Some(&first), Some(&last)) = (chosen.first(), chosen.last()) else { return };
    if !(columns.has(Columns::A) || columns.has(Columns::V)) {
        return;
    }
    let mut from = 0;
    for (a, values, at) in lines.parts(first as usize..last as usize + 1) {
        // The first line of the attribute, from where its values count.
        let zero = lines.of(a).map_or(0, |of| of.at.start);
        let end = from + chosen[from..].partition_point(|&line| (line as usize) < zero + at.end);
        let of_attribute: Vec<u32> = chosen[from..end].iter().map(|&line| line - zero as u32).collect();
        if columns.has(Columns::A) {
            batch.a.resize(batch.a.len() + of_attribute.len(), a);
        }
        if columns.has(Columns::V) {
            batch.v.extend_rows(values, &of_attribute);
        }
        from = end;
    }
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
