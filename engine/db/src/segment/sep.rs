//! Borders: where a range starts or ends, where a leaf starts, and how both compare with rows.

use std::cmp::Ordering;
use std::ops::Bound;

use super::bytes::{Reader, damaged, put_value, put_varint};
use crate::Result;
use crate::datom::DatomRef;
use crate::id::{AttrId, EntityId};
use crate::order::Index;
use crate::range::{Key, Range};
use crate::value::{Value, ValueRef};

/// The components of an index, in its order, up to the first that is missing.
pub(crate) type Parts<'a> = [Option<Part<'a>>; 3];

/// One component. Components of the same place in an index compare; others never meet.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part<'a> {
    E(u64),
    A(u32),
    V(ValueRef<'a>),
}

impl Part<'_> {
    fn cmp(&self, other: &Part<'_>) -> Ordering {
        match (self, other) {
            (Part::E(x), Part::E(y)) => x.cmp(y),
            (Part::A(x), Part::A(y)) => x.cmp(y),
            (Part::V(x), Part::V(y)) => x.cmp_index(y),
            _ => unreachable!("the same place in an index holds the same component"),
        }
    }
}

/// `e`, `a` and `v` in the order of `index`.
pub(crate) fn parts<'a>(index: Index, e: Option<u64>, a: Option<u32>, v: Option<ValueRef<'a>>) -> Parts<'a> {
    let (e, a, v) = (e.map(Part::E), a.map(Part::A), v.map(Part::V));
    match index {
        Index::Eavt => [e, a, v],
        Index::Aevt => [a, e, v],
        Index::Avet => [a, v, e],
    }
}

fn depth(parts: &Parts<'_>) -> usize {
    parts.iter().take_while(|part| part.is_some()).count()
}

/// Compares the components that both have.
fn cmp_common(x: &Parts<'_>, y: &Parts<'_>) -> Ordering {
    for (x, y) in x.iter().zip(y) {
        let (Some(x), Some(y)) = (x, y) else { return Ordering::Equal };
        match x.cmp(y) {
            Ordering::Equal => {}
            order => return order,
        }
    }
    Ordering::Equal
}

/// A position between rows: before every row with the key's prefix, or (`after`) behind them.
#[derive(Clone, Debug)]
pub struct Edge<'a> {
    /// the prefix
    pub key: &'a Key,
    /// behind the rows that have the prefix
    pub after: bool,
}

impl<'a> Edge<'a> {
    /// The two ends of a range; `None` where it is unbounded.
    #[must_use]
    pub fn of(range: &'a Range) -> (Option<Edge<'a>>, Option<Edge<'a>>) {
        let start = match &range.start {
            Bound::Included(key) => Some(Edge { key, after: false }),
            Bound::Excluded(key) => Some(Edge { key, after: true }),
            Bound::Unbounded => None,
        };
        let end = match &range.end {
            Bound::Included(key) => Some(Edge { key, after: true }),
            Bound::Excluded(key) => Some(Edge { key, after: false }),
            Bound::Unbounded => None,
        };
        (start, end)
    }

    pub(crate) fn parts(&self, index: Index) -> Parts<'a> {
        let key = self.key;
        parts(index, key.e.map(|e| e.0), key.a.map(|a| a.0), key.v.as_ref().map(Value::as_ref))
    }

    /// True when a row with these components comes before the edge.
    pub(crate) fn is_behind(&self, edge: &Parts<'_>, row: &Parts<'_>) -> bool {
        match cmp_common(row, edge) {
            Ordering::Equal => self.after,
            order => order == Ordering::Less,
        }
    }
}

/// The border before a leaf: a prefix of components that is greater than every row of the leaf before and not greater
/// than any of its own. No component: the start of the index.
#[derive(Clone, Debug, Default)]
pub struct Sep {
    /// entity
    pub(crate) e: Option<EntityId>,
    /// attribute
    pub(crate) a: Option<AttrId>,
    /// value, possibly cut short
    pub(crate) v: Option<Value>,
    /// the leaf before ends with rows of this very `[e a v]` (history trees only)
    pub(crate) shared: bool,
}

impl Sep {
    fn parts(&self, index: Index) -> Parts<'_> {
        parts(index, self.e.map(|e| e.0), self.a.map(|a| a.0), self.v.as_ref().map(Value::as_ref))
    }

    /// True for the start of the index.
    pub(crate) fn is_start(&self) -> bool {
        self.e.is_none() && self.a.is_none() && self.v.is_none()
    }

    /// True when every row of the leaves before this border lies before the edge.
    pub(crate) fn at_or_before(&self, index: Index, edge: &Edge<'_>, edge_parts: &Parts<'_>) -> bool {
        let own = self.parts(index);
        match cmp_common(&own, edge_parts) {
            Ordering::Equal if edge.after => true,
            Ordering::Equal => depth(&own) <= depth(edge_parts) && !self.shared,
            order => order == Ordering::Less,
        }
    }

    /// True when rows after this border can lie before the edge.
    pub(crate) fn before(&self, index: Index, edge: &Edge<'_>, edge_parts: &Parts<'_>) -> bool {
        let own = self.parts(index);
        match cmp_common(&own, edge_parts) {
            Ordering::Equal => edge.after || depth(&own) < depth(edge_parts),
            order => order == Ordering::Less,
        }
    }

    /// True when the row belongs behind this border.
    pub(crate) fn admits(&self, index: Index, row: &DatomRef<'_>) -> bool {
        let own = self.parts(index);
        let row = parts(index, Some(row.e.0), Some(row.a.0), Some(row.v));
        match cmp_common(&own, &row) {
            Ordering::Equal => !self.shared,
            order => order == Ordering::Less,
        }
    }

    /// The shortest border between two neighbouring rows.
    pub(crate) fn between(index: Index, left: &DatomRef<'_>, right: &DatomRef<'_>) -> Sep {
        let shared = index.cmp_eav(left, right) == Ordering::Equal;
        let mut sep = Sep { e: Some(right.e), a: Some(right.a), v: None, shared };
        if shared {
            sep.v = Some(right.v.to_value());
            return sep;
        }
        let (e, a) = (left.e == right.e, left.a == right.a);
        match index {
            Index::Eavt if !e => sep.a = None,
            Index::Aevt if !a => sep.e = None,
            Index::Avet if !a => sep.e = None,
            Index::Eavt | Index::Aevt if !(e && a) => {}
            Index::Eavt | Index::Aevt => sep.v = Some(cut(&left.v, &right.v)),
            Index::Avet if left.v.cmp_index(&right.v).is_eq() => sep.v = Some(right.v.to_value()),
            Index::Avet => {
                sep.v = Some(cut(&left.v, &right.v));
                sep.e = None;
            }
        }
        sep
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        let flags = u8::from(self.e.is_some())
            | u8::from(self.a.is_some()) << 1
            | u8::from(self.v.is_some()) << 2
            | u8::from(self.shared) << 3;
        out.push(flags);
        if let Some(e) = self.e {
            put_varint(out, e.0);
        }
        if let Some(a) = self.a {
            put_varint(out, u64::from(a.0));
        }
        if let Some(v) = &self.v {
            put_value(out, v.as_ref());
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Sep> {
        let flags = reader.u8()?;
        if flags > 15 {
            return Err(damaged("a separator has unknown flags"));
        }
        let e = (flags & 1 != 0).then(|| reader.varint().map(EntityId)).transpose()?;
        let a = match flags & 2 != 0 {
            true => Some(AttrId(
                u32::try_from(reader.varint()?).map_err(|_| damaged("an attribute is too great"))?,
            )),
            false => None,
        };
        let v = (flags & 4 != 0).then(|| reader.value()).transpose()?;
        Ok(Sep { e, a, v, shared: flags & 8 != 0 })
    }
}

/// The shortest value greater than `left` and not greater than `right`; texts are cut, the rest is kept whole.
fn cut(left: &ValueRef<'_>, right: &ValueRef<'_>) -> Value {
    let (ValueRef::String(left), ValueRef::String(whole)) = (left, right) else { return right.to_value() };
    let common = left.bytes().zip(whole.bytes()).take_while(|(x, y)| x == y).count();
    let end = (common + 1..whole.len()).find(|&end| whole.is_char_boundary(end)).unwrap_or(whole.len());
    Value::String(whole[..end].into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::T;

    fn row(e: u64, a: u32, v: ValueRef<'_>) -> DatomRef<'_> {
        DatomRef { e: EntityId(e), a: AttrId(a), v, t: T(1), added: true }
    }

    #[test]
    fn borders_are_as_short_as_they_can_be() {
        let (x, y) = (row(1, 5, ValueRef::String("aaab")), row(2, 5, ValueRef::String("aacz")));
        let eavt = Sep::between(Index::Eavt, &x, &y);
        assert_eq!((eavt.e, eavt.a, eavt.v), (Some(EntityId(2)), None, None));
        let avet = Sep::between(Index::Avet, &x, &y);
        assert_eq!((avet.e, avet.a, avet.v), (None, Some(AttrId(5)), Some(Value::String("aac".into()))));
        let same = Sep::between(Index::Eavt, &x, &x);
        assert!(same.shared && !same.admits(Index::Eavt, &x));
    }

    #[test]
    fn a_border_admits_its_right_row_only() {
        let rows = [
            row(1, 5, ValueRef::String("é")),
            row(1, 5, ValueRef::String("éa")),
            row(1, 6, ValueRef::String("")),
            row(2, 5, ValueRef::Long(5)),
        ];
        for pair in rows.windows(2) {
            let sep = Sep::between(Index::Eavt, &pair[0], &pair[1]);
            assert!(sep.admits(Index::Eavt, &pair[1]) && !sep.admits(Index::Eavt, &pair[0]));
        }
    }
}
