//! Rows by key: one table under distinct, hash joins, groups and the tables of recursive rules.
//!
//! Keys are compared by *identity* (see `annals_db::value`). One or two integer columns are kept as machine words; any
//! other key is hashed column by column, and the first row of each key is kept beside the table. Ids of keys are given
//! in order of first appearance, so iterating by id never shows a hash order. Insertion and look-up are O(1).

use std::hash::{Hash, Hasher};

use annals_db::{Column, ValueRef};
use hashbrown::HashTable;
use rustc_hash::{FxHashMap, FxHasher};

use crate::datum::{Datum, DatumColumn};
use crate::run::frame::Col;
use crate::run::ints::IntMap;

/// No such key.
pub(crate) const NONE: u32 = u32::MAX;

/// Distinct keys, each with an id from 0.
#[derive(Clone, Debug)]
pub(crate) struct KeyTable {
    form: Form,
    arity: usize,
    len: u32,
}

#[derive(Clone, Debug)]
enum Form {
    One(IntMap),
    Two(FxHashMap<(u64, u64), u32>, Vec<(u64, u64)>),
    Any(HashTable<(u64, u32)>, Vec<Vec<Datum>>),
}

/// A column of 64-bit integers, of either sign.
#[derive(Clone, Copy)]
pub(crate) enum Ints<'a> {
    /// entity ids
    Refs(&'a [u64]),
    /// longs
    Longs(&'a [i64]),
    /// one for all rows
    One(u64),
}

impl Ints<'_> {
    /// Row `i`, as bits.
    #[inline]
    pub(crate) fn get(self, i: usize) -> u64 {
        match self {
            Ints::Refs(x) => x[i],
            Ints::Longs(x) => x[i] as u64,
            Ints::One(x) => x,
        }
    }

    /// All rows, as bits.
    pub(crate) fn to_vec(self, rows: usize) -> Vec<u64> {
        match self {
            Ints::Refs(x) => x.to_vec(),
            Ints::Longs(x) => x.iter().map(|&x| x as u64).collect(),
            Ints::One(x) => vec![x; rows],
        }
    }
}

/// The column as integers, if it is one of longs or refs.
pub(crate) fn ints(col: &Col) -> Option<Ints<'_>> {
    match col {
        Col::Data(DatumColumn::Stored(Column::Ref(x))) => Some(Ints::Refs(x)),
        Col::Data(DatumColumn::Stored(Column::Long(x))) => Some(Ints::Longs(x)),
        Col::Const(datum) => datum.value().and_then(|v| v.as_ref().as_integer()).map(|x| Ints::One(x as u64)),
        _ => None,
    }
}

impl KeyTable {
    /// No keys yet, of `arity` columns.
    pub(crate) fn new(arity: usize) -> KeyTable {
        let form = match arity {
            1 => Form::One(IntMap::default()),
            2 => Form::Two(FxHashMap::default(), Vec::new()),
            _ => Form::Any(HashTable::new(), Vec::new()),
        };
        KeyTable { form, arity, len: 0 }
    }

    /// How many keys.
    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    /// The id of each row's key, new keys added; calls `fresh` with the row of each new one.
    pub(crate) fn insert(&mut self, cols: &[&Col], rows: usize, mut each: impl FnMut(usize, u32, bool)) {
        self.suit(cols);
        let len = &mut self.len;
        match &mut self.form {
            Form::One(map) => {
                let x = ints(cols[0]).expect("suit leaves integers to this form");
                for row in 0..rows {
                    let (id, new) = map.insert(x.get(row));
                    *len += u32::from(new);
                    each(row, id, new);
                }
            }
            Form::Two(map, keys) => {
                let (x, y) = (ints(cols[0]), ints(cols[1]));
                let (x, y) = (x.expect("suit leaves integers"), y.expect("suit leaves integers"));
                for row in 0..rows {
                    let key = (x.get(row), y.get(row));
                    let id = *map.entry(key).or_insert(*len);
                    let new = id == *len;
                    if new {
                        keys.push(key);
                        *len += 1;
                    }
                    each(row, id, new);
                }
            }
            Form::Any(table, keys) => {
                let hashes = hash_rows(cols, rows);
                for (row, &hash) in hashes.iter().enumerate() {
                    let found = table.find(hash, |&(h, id)| h == hash && same(&keys[id as usize], cols, row));
                    let new = found.is_none();
                    let id = found.map_or(*len, |&(_, id)| id);
                    if new {
                        table.insert_unique(hash, (hash, id), |&(h, _)| h);
                        keys.push(cols.iter().map(|col| col.get(row)).collect());
                        *len += 1;
                    }
                    each(row, id, new);
                }
            }
        }
    }

    /// The id of each row's key, [`NONE`] for one that is not there.
    pub(crate) fn find(&self, cols: &[&Col], rows: usize) -> Vec<u32> {
        match &self.form {
            Form::One(map) => match ints(cols[0]) {
                Some(x) => (0..rows).map(|row| map.get(x.get(row)).unwrap_or(NONE)).collect(),
                None => (0..rows).map(|row| self.find_mixed(cols, row)).collect(),
            },
            Form::Two(map, _) => match (ints(cols[0]), ints(cols[1])) {
                (Some(x), Some(y)) => {
                    let key = |row| (x.get(row), y.get(row));
                    (0..rows).map(|row| map.get(&key(row)).copied().unwrap_or(NONE)).collect()
                }
                _ => (0..rows).map(|row| self.find_mixed(cols, row)).collect(),
            },
            Form::Any(table, keys) => {
                let hashes = hash_rows(cols, rows);
                let find = |(row, &hash): (usize, &u64)| {
                    let found = table.find(hash, |&(h, id)| h == hash && same(&keys[id as usize], cols, row));
                    found.map_or(NONE, |&(_, id)| id)
                };
                hashes.iter().enumerate().map(find).collect()
            }
        }
    }

    /// One key, as values.
    pub(crate) fn key(&self, id: u32) -> Vec<Datum> {
        let long = |x: u64| Datum::Value(annals_db::Value::Long(x as i64));
        match &self.form {
            Form::One(map) => vec![long(map.words()[id as usize])],
            Form::Two(_, keys) => vec![long(keys[id as usize].0), long(keys[id as usize].1)],
            Form::Any(_, keys) => keys[id as usize].clone(),
        }
    }

    fn find_mixed(&self, cols: &[&Col], row: usize) -> u32 {
        let int = |col: &Col| col.get_ref(row).and_then(|v| v.as_integer()).map(|x| x as u64);
        let found = match &self.form {
            Form::One(map) => int(cols[0]).and_then(|x| map.get(x)),
            Form::Two(map, _) => int(cols[0]).zip(int(cols[1])).and_then(|key| map.get(&key).copied()),
            Form::Any(..) => None,
        };
        found.unwrap_or(NONE)
    }

    /// Turns the table into the general form when `cols` are not integers.
    fn suit(&mut self, cols: &[&Col]) {
        if matches!(self.form, Form::Any(..)) || cols.iter().all(|col| ints(col).is_some()) {
            return;
        }
        let keys: Vec<Vec<Datum>> = (0..self.len).map(|id| self.key(id)).collect();
        let mut table = HashTable::with_capacity(keys.len());
        for (id, key) in keys.iter().enumerate() {
            let cols: Vec<Col> = key.iter().cloned().map(Col::Const).collect();
            let hash = hash_rows(&cols.iter().collect::<Vec<_>>(), 1)[0];
            table.insert_unique(hash, (hash, id as u32), |&(h, _)| h);
        }
        debug_assert_eq!(self.arity, cols.len());
        self.form = Form::Any(table, keys);
    }
}

/// The rows of each key, in order: `rows[starts[id]..starts[id + 1]]`.
#[derive(Clone, Debug)]
pub(crate) struct Groups {
    starts: Vec<u32>,
    rows: Vec<u32>,
}

impl Groups {
    /// From the key id of each row.
    pub(crate) fn new(ids: &[u32], keys: usize) -> Groups {
        let mut starts = vec![0u32; keys + 1];
        ids.iter().for_each(|&id| starts[id as usize + 1] += 1);
        for i in 0..keys {
            starts[i + 1] += starts[i];
        }
        let mut next = starts.clone();
        let mut rows = vec![0u32; ids.len()];
        for (row, &id) in ids.iter().enumerate() {
            rows[next[id as usize] as usize] = row as u32;
            next[id as usize] += 1;
        }
        Groups { starts, rows }
    }

    /// The rows of one key, ascending.
    pub(crate) fn of(&self, id: u32) -> &[u32] {
        &self.rows[self.starts[id as usize] as usize..self.starts[id as usize + 1] as usize]
    }
}

fn same(key: &[Datum], cols: &[&Col], row: usize) -> bool {
    key.iter().zip(cols).all(|(datum, col)| match (datum, col.get_ref(row)) {
        (Datum::Value(value), Some(other)) => value.as_ref().identical(&other),
        (Datum::Value(_), None) | (_, Some(_)) => false,
        (datum, None) => *datum == col.get(row),
    })
}

/// True when two rows hold identical values.
pub(crate) fn identical(x: &Col, i: usize, y: &Col, j: usize) -> bool {
    match (x.get_ref(i), y.get_ref(j)) {
        (Some(x), Some(y)) => x.identical(&y),
        (None, None) => x.get(i) == y.get(j),
        _ => false,
    }
}

fn mix(hash: u64, word: u64) -> u64 {
    (hash.rotate_left(23) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

fn hash_ref(value: &ValueRef<'_>) -> u64 {
    if let Some(integer) = value.as_integer() {
        return integer as u64;
    }
    let mut hasher = FxHasher::default();
    value.hash_identity(&mut hasher);
    hasher.finish()
}

fn hash_datum(datum: &Datum) -> u64 {
    match datum {
        Datum::Value(value) => hash_ref(&value.as_ref()),
        other => {
            let mut hasher = FxHasher::default();
            other.hash(&mut hasher);
            hasher.finish()
        }
    }
}

/// A hash a row over `cols`, equal for identical rows whatever the columns' types.
pub(crate) fn hash_rows(cols: &[&Col], rows: usize) -> Vec<u64> {
    let mut hashes = vec![0u64; rows];
    for col in cols {
        if let Some(ints) = ints(col) {
            hashes.iter_mut().enumerate().for_each(|(i, hash)| *hash = mix(*hash, ints.get(i)));
            continue;
        }
        match col {
            Col::Data(DatumColumn::Stored(column)) => {
                for (i, hash) in hashes.iter_mut().enumerate() {
                    *hash = mix(*hash, hash_ref(&column.get(i)));
                }
            }
            Col::Data(DatumColumn::Any(items)) => {
                for (hash, datum) in hashes.iter_mut().zip(items) {
                    *hash = mix(*hash, hash_datum(datum));
                }
            }
            Col::Const(datum) => {
                let word = hash_datum(datum);
                hashes.iter_mut().for_each(|hash| *hash = mix(*hash, word));
            }
            Col::Absent => {}
        }
    }
    // The table takes its bucket from the low bits, which a product leaves weak.
    hashes.iter_mut().for_each(|hash| *hash ^= *hash >> 32);
    hashes
}
