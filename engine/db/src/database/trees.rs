//! The trees of the index root, as a value reads them.

use smallvec::SmallVec;

use super::Db;
use crate::Result;
use crate::datom::Datom;
use crate::id::{EntityId, T};
use crate::novelty::Event;
use crate::order::Index;
use crate::range::Range;
use crate::scan::tree::{Role, push_marks, widened};
use crate::scan::window::{Marks, Window};
use crate::segment::{Base, Leaf, Tree};
use crate::value::{Value, ValueRef};

/// A row found by a point read, where it lies.
#[derive(Clone, Copy)]
pub(crate) enum Row<'a> {
    Event(&'a Event),
    Leaf(&'a Leaf, usize),
}

impl<'a> Row<'a> {
    pub(crate) fn e(&self) -> EntityId {
        match self {
            Row::Event(event) => EntityId(event.e),
            Row::Leaf(leaf, i) => leaf.e(*i),
        }
    }

    pub(crate) fn v(&self) -> ValueRef<'a> {
        match self {
            Row::Event(event) => event.v(),
            Row::Leaf(leaf, i) => leaf.v(*i),
        }
    }

    /// The value, shared where it is shared already.
    pub(crate) fn value(&self) -> Value {
        match self {
            Row::Event(event) => event.value(),
            Row::Leaf(leaf, i) => leaf.v(*i).to_value(),
        }
    }
}

impl Db {
    /// The index root this value stands on.
    #[must_use]
    pub fn base(&self) -> Option<&Base> {
        self.origin.base.as_ref()
    }

    /// True when an interval that `retraction` ends is kept: history is, and the attribute's was at that t.
    pub(crate) fn keeps(&self, retraction: &Datom) -> bool {
        let schema = self.known.version_at(retraction.t).map_or(&*self.known.schema, |(schema, _)| schema);
        let attribute = schema.attribute(retraction.a);
        self.options().keep_history && !attribute.is_some_and(|attribute| attribute.no_history)
    }

    /// The last t that the trees cover.
    pub(crate) fn base_t(&self) -> T {
        self.base().map_or(T(0), Base::t)
    }

    /// The trees of `index` that may have rows `window` shows.
    pub(crate) fn trees(&self, index: Index, window: &Window) -> SmallVec<[(&Tree, Role); 3]> {
        let mut trees = SmallVec::new();
        let Some(base) = self.base().filter(|base| window.lo <= base.t().0) else { return trees };
        let reads_past = window.history || window.careful || window.hi < base.t().0;
        for (i, level) in base.levels.iter().enumerate() {
            let oldest = i + 1 == base.levels.len();
            trees.push((level.current(index), Role::Current));
            if reads_past || !oldest {
                trees.push((level.history(index), if oldest { Role::History } else { Role::Closing }));
            }
        }
        trees.retain(|(tree, _)| !tree.is_empty());
        trees
    }

    /// Visits the rows of `range` in the trees, in no order: each row with the events it stands for.
    pub(crate) fn visit_trees(
        &self,
        window: &Window,
        range: &Range,
        mut visit: impl FnMut(Row<'_>, &Marks),
    ) -> Result<()> {
        let wide = widened(range);
        let read = wide.as_ref().unwrap_or(range);
        let mut marks = Marks::new();
        for (tree, _) in self.trees(range.index, window) {
            for at in tree.leaf_range(read) {
                let leaf = tree.leaf(at)?;
                for i in leaf.rows(read) {
                    if wide.is_some() && !crate::scan::by_value::contains(range, &leaf.row(i)) {
                        continue;
                    }
                    marks.clear();
                    push_marks(&leaf, i, &mut marks);
                    visit(Row::Leaf(&leaf, i), &marks);
                }
            }
        }
        Ok(())
    }
}
