//! Sets of variables.

use smallvec::{SmallVec, smallvec};

use crate::ast::VarId;

/// A set of variables, as bits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct VarSet(SmallVec<[u64; 2]>);

impl VarSet {
    /// True when `var` is in it.
    pub(crate) fn has(&self, var: VarId) -> bool {
        self.0.get(var.0 as usize / 64).is_some_and(|word| word >> (var.0 % 64) & 1 == 1)
    }

    /// Puts `var` in; true when it was not.
    pub(crate) fn add(&mut self, var: VarId) -> bool {
        let at = var.0 as usize / 64;
        if self.0.len() <= at {
            self.0.resize(at + 1, 0);
        }
        let bit = 1u64 << (var.0 % 64);
        let new = self.0[at] & bit == 0;
        self.0[at] |= bit;
        new
    }

    /// Puts all of `other` in.
    pub(crate) fn join(&mut self, other: &VarSet) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine |= theirs;
        }
    }

    /// What is in this and not in `other`.
    pub(crate) fn without(&self, other: &VarSet) -> VarSet {
        let word = |(i, word): (usize, &u64)| word & !other.0.get(i).copied().unwrap_or(0);
        VarSet(self.0.iter().enumerate().map(word).collect())
    }

    /// True when something is in both.
    pub(crate) fn meets(&self, other: &VarSet) -> bool {
        self.0.iter().zip(&other.0).any(|(x, y)| x & y != 0)
    }

    /// True when all of `other` are in it.
    pub(crate) fn covers(&self, other: &VarSet) -> bool {
        other.iter().all(|var| self.has(var))
    }

    /// True when empty.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// Ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = VarId> + '_ {
        let bits = |(i, &word): (usize, &u64)| {
            (0..64u32).filter(move |bit| word >> bit & 1 == 1).map(move |bit| VarId(i as u32 * 64 + bit))
        };
        self.0.iter().enumerate().flat_map(bits)
    }
}

impl FromIterator<VarId> for VarSet {
    fn from_iter<I: IntoIterator<Item = VarId>>(vars: I) -> VarSet {
        let mut set = VarSet(smallvec![]);
        vars.into_iter().for_each(|var| {
            set.add(var);
        });
        set
    }
}

impl Extend<VarId> for VarSet {
    fn extend<I: IntoIterator<Item = VarId>>(&mut self, vars: I) {
        vars.into_iter().for_each(|var| {
            self.add(var);
        });
    }
}
