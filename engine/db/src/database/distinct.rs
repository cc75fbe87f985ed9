//! About how many entities and values an attribute has: what the planner divides by.

use super::Db;
use crate::id::AttrId;
use crate::novelty::{Layer, Run, Seek};
use crate::order::Index;

/// Places of a run that are looked at.
const PLACES: usize = 256;

impl Db {
    /// About how many entities have `a`. Of the root from its statistics; of novelty from neighbours at a fixed number
    /// of places. Reads no leaf. Of a view of the past the present's.
    #[must_use]
    pub fn distinct_entities(&self, a: AttrId) -> u64 {
        let stats = self.base().and_then(|base| base.stats.attribute(a));
        let held = stats.map_or(0, |stats| stats.distinct_entities());
        held + self.in_runs(Index::Aevt, a).sum::<u64>()
    }

    /// About how many values `a` has, or `None` where AVET does not hold it and the root knows nothing of it.
    #[must_use]
    pub fn distinct_values(&self, a: AttrId) -> Option<u64> {
        let stats = self.base().and_then(|base| base.stats.attribute(a));
        let held = stats.map(|stats| stats.distinct_values());
        if !self.avet_is_whole(a) {
            return held;
        }
        // Of few values each source has all; of many each has its own. Datoms tell which: values repeat or they do not.
        let (mut most, mut sum) = (held.unwrap_or(0), held.unwrap_or(0));
        for values in self.in_runs(Index::Avet, a) {
            most = most.max(values);
            sum += values;
        }
        let rows: u64 = stats.map_or(0, |stats| stats.datoms) + self.rows_in_runs(a);
        Some(if sum * 2 > rows { sum } else { most })
    }

    /// Of each run about how many different leading components `a` has in it.
    fn in_runs(&self, index: Index, a: AttrId) -> impl Iterator<Item = u64> {
        let seek = Seek { a: Some(a.0), ..Seek::default() };
        let mut found = Vec::new();
        for held in self.layers() {
            let levels = held.layer.levels(index, held.end);
            found.extend(levels.runs().map(|run| changes(&held.layer, run, &seek)));
        }
        found.into_iter()
    }

    fn rows_in_runs(&self, a: AttrId) -> u64 {
        let seek = Seek { a: Some(a.0), ..Seek::default() };
        let mut rows = 0;
        for held in self.layers() {
            let events = held.layer.events();
            let levels = held.layer.levels(Index::Avet, held.end);
            rows += levels
                .runs()
                .map(|run| (run.upper(events, &seek) - run.lower(events, &seek)) as u64)
                .sum::<u64>();
        }
        rows
    }
}

/// How often the leading component changes among the attribute's rows, told from evenly spread places: of few values
/// each is met at one of them, of many the neighbours of a place tell how often they differ.
fn changes(layer: &Layer, run: &Run, seek: &Seek<'_>) -> u64 {
    let events = layer.events();
    let (start, end) = (run.lower(events, seek), run.upper(events, seek));
    let rows = end - start;
    if rows < 2 {
        return rows as u64;
    }
    let event = |row: usize| &events[run.positions[row] as usize];
    let differ = |x: usize, y: usize| match run.index {
        Index::Avet => !event(x).v().identical(&event(y).v()),
        _ => event(x).e != event(y).e,
    };
    let pairs = rows - 1;
    let places = pairs.min(PLACES);
    let place = |i: usize| start + i * pairs / places;
    let met = 1 + (1..places).filter(|&i| differ(place(i - 1), place(i))).count();
    let changed = (0..places).filter(|&i| differ(place(i), place(i) + 1)).count();
    (met as u64).max(1 + (changed as f64 / places as f64 * pairs as f64) as u64)
}

#[cfg(test)]
mod tests {
    use super::super::{Incarnation, Options};
    use super::*;
    use crate::{Context, Limits, NoFunctions, transact};

    fn apply(db: &Db, text: &str) -> Db {
        let limits = Limits::default();
        let context = Context { now: 1, limits, functions: &NoFunctions, client_id: None, request_hash: 0 };
        let form = annals_edn::read_one(text).expect("it reads");
        db.apply(&transact(db, &form, &context).expect("it is accepted")).expect("it follows")
    }

    #[test]
    fn few_and_many_values_are_told_apart() {
        for (rows, values) in [(1u64, 1u64), (50, 3), (5000, 5), (5000, 120), (5000, 2500), (5000, 5000)] {
            let db = Db::empty(Incarnation(1), Options::default());
            let db = apply(
                &db,
                "[{:db/ident :n :db/valueType :db.type/long :db/cardinality :db.cardinality/one :db/index true}]",
            );
            let maps: Vec<String> = (0..rows).map(|i| format!("{{:n {}}}", i % values)).collect();
            let db = apply(&db, &format!("[{}]", maps.join(" ")));
            let a = db.schema().attribute_of(&annals_edn::Keyword::new("n")).expect("it is there").id;
            let found = db.distinct_values(a).expect("it is indexed");
            assert!(found >= values / 2 && found <= values * 2, "{found} for {values} of {rows}");
            assert_eq!(db.distinct_entities(a), rows);
        }
    }
}
