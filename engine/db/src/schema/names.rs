//! Idents both ways. The schemas of a line share what did not change, so naming one more entity costs O(log names),
//! and keeping every version of a schema that names many is cheap.

use std::fmt;

use annals_edn::Keyword;
use rpds::HashTrieMap;
use rustc_hash::FxBuildHasher;

use crate::id::EntityId;

type Shared<K, V> = HashTrieMap<K, V, archery::ArcTK, FxBuildHasher>;

/// What is named what.
#[derive(Clone, PartialEq)]
pub(crate) struct Names {
    /// former idents included, until they are given away
    by_ident: Shared<Keyword, EntityId>,
    /// the newest ident of each entity
    idents: Shared<EntityId, Keyword>,
}

impl Default for Names {
    fn default() -> Self {
        Names {
            by_ident: HashTrieMap::new_with_hasher_and_ptr_kind(FxBuildHasher),
            idents: HashTrieMap::new_with_hasher_and_ptr_kind(FxBuildHasher),
        }
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.by_ident.iter()).finish()
    }
}

impl Names {
    /// The entity an ident names.
    pub(crate) fn entid(&self, ident: &Keyword) -> Option<EntityId> {
        self.by_ident.get(ident).copied()
    }

    /// The newest ident of an entity.
    pub(crate) fn ident(&self, e: EntityId) -> Option<&Keyword> {
        self.idents.get(&e)
    }

    /// Gives `e` its newest ident; another entity that had it as its newest has none from now on.
    pub(crate) fn name(&mut self, e: EntityId, ident: &Keyword) {
        if let Some(former) = self.entid(ident).filter(|former| *former != e)
            && self.idents.get(&former) == Some(ident)
        {
            self.idents.remove_mut(&former);
        }
        self.by_ident.insert_mut(ident.clone(), e);
        self.idents.insert_mut(e, ident.clone());
    }

    /// Lets a former ident of `e` resolve.
    pub(crate) fn remember(&mut self, e: EntityId, former: Keyword) {
        self.by_ident.insert_mut(former, e);
    }

    /// The newest ident of every entity that has one, in no order.
    pub(crate) fn newest(&self) -> impl Iterator<Item = (EntityId, &Keyword)> {
        self.idents.iter().map(|(e, ident)| (*e, ident))
    }

    /// Idents that resolve but are not the newest of their entity, in no order.
    pub(crate) fn former(&self) -> impl Iterator<Item = (&Keyword, EntityId)> {
        let former = |(ident, e): &(&Keyword, &EntityId)| self.idents.get(*e) != Some(*ident);
        self.by_ident.iter().filter(former).map(|(ident, e)| (ident, *e))
    }

    /// How many idents resolve.
    pub(crate) fn len(&self) -> usize {
        self.by_ident.size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_moves_and_former_ones_resolve() {
        let (one, two) = (EntityId(1), EntityId(2));
        let [a, b] = ["a", "b"].map(Keyword::new);
        let mut names = Names::default();
        names.name(one, &a);
        names.name(one, &b);
        assert_eq!((names.entid(&a), names.entid(&b), names.ident(one)), (Some(one), Some(one), Some(&b)));
        assert_eq!(names.former().collect::<Vec<_>>(), [(&a, one)]);
        let before = names.clone();
        names.name(two, &b);
        assert_eq!((names.entid(&b), names.ident(one), names.ident(two)), (Some(two), None, Some(&b)));
        assert_eq!(before.ident(one), Some(&b), "another version keeps its names");
    }
}
