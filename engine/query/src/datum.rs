//! What flows through a query: stored values, and what only functions, aggregates and inputs make (nil, characters,
//! sets, maps).
//!
//! A vector of stored values and nils is always a [`Value::Tuple`], of any length, so that an input `[1 "a"]` and a
//! stored tuple are one; [`Datum::Vector`] is only for vectors that hold something else. Build them by
//! [`Datum::vector`]. Equality and hashing are *identity*, [`Datum::cmp_index`] is *index order* with nil lowest.

mod edn;

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use annals_db::{Column, Value, ValueRef, ValueType};

pub use edn::{show, value_to_edn};

/// One value, stored or made.
#[derive(Clone, Debug)]
pub enum Datum {
    /// `nil`
    Nil,
    /// whatever can be stored, and vectors of such
    Value(Value),
    /// `\a`
    Char(char),
    /// a vector with something that cannot be stored in it
    Vector(Arc<[Datum]>),
    /// sorted in index order, distinct
    Set(Arc<[Datum]>),
    /// sorted by key in index order, keys distinct
    Map(Arc<[(Datum, Datum)]>),
}

/// A column of what flows: typed where every row is a stored value.
#[derive(Clone, Debug)]
pub enum DatumColumn {
    /// stored values: the hot path
    Stored(Column),
    /// anything
    Any(Vec<Datum>),
}

impl Datum {
    /// A vector in its one form.
    #[must_use]
    pub fn vector(items: Vec<Datum>) -> Datum {
        if items.iter().any(|item| !matches!(item, Datum::Nil | Datum::Value(_))) {
            return Datum::Vector(items.into());
        }
        let slots = items.into_iter().map(|item| match item {
            Datum::Value(value) => Some(value),
            _ => None,
        });
        Datum::Value(Value::Tuple(slots.collect()))
    }

    /// A set of `items`.
    #[must_use]
    pub fn set(mut items: Vec<Datum>) -> Datum {
        items.sort_by(Datum::cmp_index);
        items.dedup();
        Datum::Set(items.into())
    }

    /// A map; of equal keys the first wins.
    #[must_use]
    pub fn map(mut entries: Vec<(Datum, Datum)>) -> Datum {
        entries.sort_by(|x, y| x.0.cmp_index(&y.0));
        entries.dedup_by(|later, first| later.0 == first.0);
        Datum::Map(entries.into())
    }

    /// A string.
    #[must_use]
    pub fn text(text: &str) -> Datum {
        Datum::Value(Value::String(text.into()))
    }

    /// A long.
    #[must_use]
    pub fn long(number: i64) -> Datum {
        Datum::Value(Value::Long(number))
    }

    /// A boolean.
    #[must_use]
    pub fn bool(truth: bool) -> Datum {
        Datum::Value(Value::Boolean(truth))
    }

    /// The stored value, if it is one.
    #[must_use]
    pub fn value(&self) -> Option<&Value> {
        match self {
            Datum::Value(value) => Some(value),
            _ => None,
        }
    }

    /// Neither nil nor false: what a predicate asks.
    #[must_use]
    pub fn truthy(&self) -> bool {
        !matches!(self, Datum::Nil | Datum::Value(Value::Boolean(false)))
    }

    /// The elements of a vector, a set or a map (as pairs); `None` for anything else.
    #[must_use]
    pub fn items(&self) -> Option<Vec<Datum>> {
        match self {
            Datum::Value(Value::Tuple(slots)) => Some(slots.iter().cloned().map(Datum::from).collect()),
            Datum::Vector(items) | Datum::Set(items) => Some(items.to_vec()),
            Datum::Map(entries) => {
                Some(entries.iter().map(|(k, v)| Datum::vector(vec![k.clone(), v.clone()])).collect())
            }
            _ => None,
        }
    }

    /// Index order; nil first, what cannot be stored last.
    #[must_use]
    pub fn cmp_index(&self, other: &Datum) -> Ordering {
        match (self, other) {
            (Datum::Value(x), Datum::Value(y)) => x.cmp_index(y),
            (Datum::Char(x), Datum::Char(y)) => x.cmp(y),
            (Datum::Set(x), Datum::Set(y)) => cmp_items(x, y),
            (Datum::Map(x), Datum::Map(y)) => cmp_entries(x, y),
            _ if self.rank() != other.rank() => self.rank().cmp(&other.rank()),
            _ => match (self.items(), other.items()) {
                (Some(x), Some(y)) => cmp_items(&x, &y),
                _ => Ordering::Equal,
            },
        }
    }

    /// Its place among the types: stored ones by tag, a vector as a tuple.
    fn rank(&self) -> u8 {
        match self {
            Datum::Nil => 0,
            Datum::Value(value) => value.value_type().rank(),
            Datum::Vector(_) => ValueType::Tuple.rank(),
            Datum::Char(_) => 16,
            Datum::Set(_) => 17,
            Datum::Map(_) => 18,
        }
    }
}

fn cmp_items(x: &[Datum], y: &[Datum]) -> Ordering {
    let unequal = x.iter().zip(y).map(|(x, y)| x.cmp_index(y)).find(|order| *order != Ordering::Equal);
    unequal.unwrap_or_else(|| x.len().cmp(&y.len()))
}

fn cmp_entries(x: &[(Datum, Datum)], y: &[(Datum, Datum)]) -> Ordering {
    let pairs = x.iter().zip(y).map(|(x, y)| x.0.cmp_index(&y.0).then_with(|| x.1.cmp_index(&y.1)));
    pairs.into_iter().find(|order| *order != Ordering::Equal).unwrap_or_else(|| x.len().cmp(&y.len()))
}

impl From<Value> for Datum {
    fn from(value: Value) -> Datum {
        Datum::Value(value)
    }
}

impl From<Option<Value>> for Datum {
    fn from(value: Option<Value>) -> Datum {
        value.map_or(Datum::Nil, Datum::Value)
    }
}

impl PartialEq for Datum {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Datum::Nil, Datum::Nil) => true,
            (Datum::Value(x), Datum::Value(y)) => x == y,
            (Datum::Char(x), Datum::Char(y)) => x == y,
            (Datum::Vector(x), Datum::Vector(y)) | (Datum::Set(x), Datum::Set(y)) => x == y,
            (Datum::Map(x), Datum::Map(y)) => x == y,
            _ => false,
        }
    }
}

impl Eq for Datum {}

impl Hash for Datum {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.rank().hash(state);
        match self {
            Datum::Nil => {}
            Datum::Value(value) => value.hash(state),
            Datum::Char(char) => char.hash(state),
            Datum::Vector(items) | Datum::Set(items) => items.hash(state),
            Datum::Map(entries) => entries.hash(state),
        }
    }
}

impl DatumColumn {
    /// An empty column.
    #[must_use]
    pub fn empty() -> DatumColumn {
        DatumColumn::Any(Vec::new())
    }

    /// A column of `items`, typed if all can be stored.
    #[must_use]
    pub fn from_data(items: Vec<Datum>) -> DatumColumn {
        let Some(Datum::Value(first)) = items.first() else { return DatumColumn::Any(items) };
        if !items.iter().all(|item| matches!(item, Datum::Value(_))) {
            return DatumColumn::Any(items);
        }
        let mut column = Column::of(first.value_type());
        for item in items.iter().filter_map(Datum::value) {
            column.push(item.as_ref());
        }
        DatumColumn::Stored(column)
    }

    /// Rows.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            DatumColumn::Stored(column) => column.len(),
            DatumColumn::Any(items) => items.len(),
        }
    }

    /// True without rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Row `i`; allocates for text of a typed column.
    #[must_use]
    pub fn get(&self, i: usize) -> Datum {
        match self {
            DatumColumn::Stored(column) => Datum::Value(column.get(i).to_value()),
            DatumColumn::Any(items) => items[i].clone(),
        }
    }

    /// Row `i` borrowed, if it is a stored value. O(1), allocates nothing.
    #[must_use]
    pub fn get_ref(&self, i: usize) -> Option<ValueRef<'_>> {
        match self {
            DatumColumn::Stored(column) => Some(column.get(i)),
            DatumColumn::Any(items) => items[i].value().map(Value::as_ref),
        }
    }

    /// Appends a value; one that cannot be stored turns the column into one of anything (O(n), once).
    pub fn push(&mut self, datum: Datum) {
        match (&mut *self, datum) {
            (DatumColumn::Stored(column), Datum::Value(value)) => column.push(value.as_ref()),
            (DatumColumn::Any(items), datum) => items.push(datum),
            (DatumColumn::Stored(column), datum) => {
                let rows = 0..column.len();
                let mut items: Vec<Datum> = rows.map(|i| Datum::Value(column.get(i).to_value())).collect();
                items.push(datum);
                *self = DatumColumn::Any(items);
            }
        }
    }

    /// The rows of `rows`, in that order.
    #[must_use]
    pub fn gather(&self, rows: &[u32]) -> DatumColumn {
        match self {
            DatumColumn::Stored(column) => DatumColumn::Stored(column.gather(rows)),
            DatumColumn::Any(items) => {
                DatumColumn::Any(rows.iter().map(|&row| items[row as usize].clone()).collect())
            }
        }
    }
}

impl From<Column> for DatumColumn {
    fn from(column: Column) -> DatumColumn {
        DatumColumn::Stored(column)
    }
}
