//! Runs long enough to have fences, against a search row by row.

use std::cmp::Ordering;

use super::super::event::{Event, Marks, Seek};
use super::*;
use crate::datom::Datom;
use crate::id::{AttrId, EntityId, T};
use crate::range::Key;
use crate::value::Value;

const ROWS: u64 = 4000;

/// A number that looks random and always is the same.
fn scatter(i: u64) -> u64 {
    let z = (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (z ^ (z >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 20
}

fn value(i: u64) -> Value {
    match scatter(i) % 5 {
        0 => Value::Long(scatter(i) as i64 % 50 - 25),
        1 => Value::String(format!("{:04}", scatter(i) % 300).into()),
        2 => Value::Double((scatter(i) % 40) as f64 - 20.0),
        3 => Value::Keyword(crate::Keyword::new(["a/b", "a", "a-b/c", "b/a"][scatter(i) as usize % 4])),
        _ => Value::Ref(EntityId(scatter(i) % 30)),
    }
}

fn arena() -> Events {
    let events = Events::new();
    for i in 0..ROWS {
        let (e, a) = (EntityId(scatter(i * 3) % 90), AttrId((scatter(i * 5) % 12) as u32));
        let datom = Datom { e, a, v: value(i * 7), t: T(i), added: !scatter(i * 11).is_multiple_of(4) };
        events.push(Event::new(&datom, i as u32, Marks::default()));
    }
    events
}

fn keys(i: u64) -> Key {
    let (e, a, v) = (EntityId(scatter(i) % 92), AttrId((scatter(i + 1) % 13) as u32), value(i));
    let depth = scatter(i + 2) % 4;
    Key { e: (depth != 1).then_some(e), a: (depth != 2).then_some(a), v: (depth != 3).then_some(v) }
}

#[test]
fn a_search_finds_the_border_that_a_walk_finds() {
    let events = arena();
    for index in Index::ALL {
        let run = Run::sorted(&events, index, (0..ROWS as u32).collect());
        assert!(run.positions.windows(2).all(|pair| {
            whole_order(index, &events[pair[0] as usize], &events[pair[1] as usize]) != Ordering::Greater
        }));
        for key in (0..300).map(keys) {
            let seek = Seek::of(&key);
            let order = |&&at: &&u32| seek.cmp_event(index, &events[at as usize]);
            let lower = run.positions.iter().take_while(|at| order(at) == Ordering::Less).count();
            let upper = run.positions.iter().take_while(|at| order(at) != Ordering::Greater).count();
            assert_eq!(
                (run.lower(&events, &seek), run.upper(&events, &seek)),
                (lower, upper),
                "{index:?} {key:?}"
            );
        }
    }
}

#[test]
fn merging_is_sorting_together() {
    let events = arena();
    for index in Index::ALL {
        let all = Run::sorted(&events, index, (0..ROWS as u32).collect());
        for split in [1, 500, 2000, 3990] {
            let old = Run::sorted(&events, index, (0..split).collect());
            let new = Run::sorted(&events, index, (split..ROWS as u32).collect());
            let merged = Run::merged(&events, &old, &new);
            let facts = |run: &Run| (run.plain, run.retracted, run.t_min, run.t_max);
            assert_eq!((&merged.positions, facts(&merged)), (&all.positions, facts(&all)));
        }
    }
}

#[test]
fn a_run_is_plain_only_without_retractions_and_doubles() {
    let events = Events::new();
    for (t, added) in [(0, true), (1, false), (2, true)] {
        let datom = Datom { e: EntityId(1), a: AttrId(1), v: Value::Long(1), t: T(t), added };
        events.push(Event::new(&datom, t as u32, Marks::default()));
    }
    let run = |positions: &[u32]| Run::sorted(&events, Index::Eavt, positions.to_vec());
    assert!(run(&[0]).plain && !run(&[1]).plain && !run(&[0, 2]).plain);
    assert!(!Run::merged(&events, &run(&[0]), &run(&[2])).plain);
}

#[test]
fn retractions_are_counted_by_their_sums() {
    let events = arena();
    let run = Run::sorted(&events, Index::Aevt, (0..ROWS as u32).collect());
    for i in 0..200 {
        let (x, y) = (scatter(i) % ROWS, scatter(i + 9) % ROWS);
        let (start, end) = (x.min(y) as usize, x.max(y) as usize);
        let counted = run.positions[start..end].iter().filter(|&&at| !events[at as usize].added()).count();
        assert_eq!(run.retracted(&events, start, end), counted);
    }
}

#[test]
fn gallop_stops_where_a_walk_stops() {
    let rows: Vec<u32> = (0..100).map(|i| i / 3).collect();
    for from in 0..=100 {
        for key in 0..40 {
            let walk = from + rows[from..].iter().take_while(|&&row| row < key).count();
            assert_eq!(gallop(&rows, from, |&row| row < key), walk, "{key} from {from}");
        }
    }
}
