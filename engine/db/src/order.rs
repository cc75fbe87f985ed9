//! The index orders. Within equal components the newer `t` comes first; in one `t` a retraction comes before an
//! assertion.

use std::cmp::Ordering;

use crate::datom::DatomRef;

/// A covering index. VAET is a view over the AVET ranges of ref attributes and has no tree of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Index {
    /// entity, attribute, value
    Eavt,
    /// attribute, entity, value
    Aevt,
    /// attribute, value, entity
    Avet,
}

impl Index {
    /// The three, in the order of the formats.
    pub const ALL: [Index; 3] = [Index::Eavt, Index::Aevt, Index::Avet];

    /// Compares by components only: equal means the same `[e a v]`.
    #[must_use]
    pub fn cmp_eav(self, x: &DatomRef<'_>, y: &DatomRef<'_>) -> Ordering {
        match self {
            Index::Eavt => x.e.cmp(&y.e).then_with(|| x.a.cmp(&y.a)).then_with(|| x.v.cmp_index(&y.v)),
            Index::Aevt => x.a.cmp(&y.a).then_with(|| x.e.cmp(&y.e)).then_with(|| x.v.cmp_index(&y.v)),
            Index::Avet => x.a.cmp(&y.a).then_with(|| x.v.cmp_index(&y.v)).then_with(|| x.e.cmp(&y.e)),
        }
    }

    /// The whole order: components, then newest first, then retractions first.
    #[must_use]
    pub fn cmp(self, x: &DatomRef<'_>, y: &DatomRef<'_>) -> Ordering {
        self.cmp_eav(x, y).then_with(|| y.t.cmp(&x.t)).then_with(|| x.added.cmp(&y.added))
    }
}
