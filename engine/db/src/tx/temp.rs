//! Tempids: names for entities within one transaction, and which of them are one entity (union-find).

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::id::{EntityId, Partition};
use crate::tx::functions::NEW_TEMPID;
use crate::tx::op::Subject;

/// A tempid by number of first appearance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Temp(pub(super) u32);

/// Where the id of a new entity comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Affinity {
    /// `:db.part/user`
    Default,
    /// the partition of another entity
    Like(Subject),
    /// this partition
    Partition(Partition),
    /// `:db.part/db`: the transaction installs it
    Schema,
}

impl Affinity {
    fn rank(self) -> (u8, u32) {
        match self {
            Affinity::Default => (0, 0),
            Affinity::Like(_) => (1, 0),
            Affinity::Partition(partition) => (2, partition.0),
            Affinity::Schema => (3, 0),
        }
    }
}

#[derive(Debug)]
struct Entry {
    parent: Temp,
    /// on roots: the entity of db-before that it is
    bound: Option<EntityId>,
    affinity: Affinity,
    /// some form says something about it
    subject: bool,
}

/// The tempids of one transaction.
#[derive(Debug, Default)]
pub(super) struct Temps {
    entries: Vec<Entry>,
    names: FxHashMap<Arc<str>, Temp>,
    numbers: FxHashMap<i64, Temp>,
    /// spellings of the transaction's own tempid that were used
    own: Vec<Arc<str>>,
}

impl Temps {
    /// A tempid without a name.
    pub(super) fn anonymous(&mut self) -> Temp {
        let temp = Temp(self.entries.len() as u32);
        self.entries.push(Entry { parent: temp, bound: None, affinity: Affinity::Default, subject: false });
        temp
    }

    /// The tempid of that name.
    pub(super) fn named(&mut self, name: &Arc<str>) -> Temp {
        if let Some(temp) = self.names.get(name) {
            return *temp;
        }
        let temp = self.anonymous();
        self.names.insert(name.clone(), temp);
        temp
    }

    /// The tempid of that negative number.
    pub(super) fn numbered(&mut self, number: i64) -> Temp {
        if let Some(temp) = self.numbers.get(&number) {
            return *temp;
        }
        let temp = self.anonymous();
        self.numbers.insert(number, temp);
        temp
    }

    /// The transaction itself was called `name`.
    pub(super) fn own(&mut self, name: &Arc<str>) {
        if !self.own.contains(name) {
            self.own.push(name.clone());
        }
    }

    /// Says that a form is about `temp`.
    pub(super) fn mark_subject(&mut self, temp: Temp) {
        self.entries[temp.0 as usize].subject = true;
    }

    /// Says where `temp` wants to be; of several wishes the greatest rank wins, whatever their order.
    pub(super) fn wish(&mut self, temp: Temp, affinity: Affinity) {
        let entry = &mut self.entries[temp.0 as usize];
        if affinity.rank() > entry.affinity.rank() {
            entry.affinity = affinity;
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = Temp> + use<> {
        (0..self.entries.len() as u32).map(Temp)
    }

    /// The one that stands for all that are the same entity.
    pub(super) fn root(&mut self, temp: Temp) -> Temp {
        let mut root = temp;
        while self.entries[root.0 as usize].parent != root {
            let above = self.entries[root.0 as usize].parent;
            self.entries[root.0 as usize].parent = self.entries[above.0 as usize].parent;
            root = above;
        }
        root
    }

    /// The entity of db-before that a root is.
    pub(super) fn bound(&self, root: Temp) -> Option<EntityId> {
        self.entries[root.0 as usize].bound
    }

    /// True when some form is about a tempid of this root.
    pub(super) fn is_subject(&self, root: Temp) -> bool {
        self.entries[root.0 as usize].subject
    }

    /// Where a root wants to be.
    pub(super) fn affinity(&self, root: Temp) -> Affinity {
        self.entries[root.0 as usize].affinity
    }

    /// Makes a root that entity; the other entity when it is one already.
    pub(super) fn bind(&mut self, root: Temp, e: EntityId) -> Result<bool, EntityId> {
        match self.entries[root.0 as usize].bound.replace(e) {
            None => Ok(true),
            Some(other) if other == e => Ok(false),
            Some(other) => {
                self.entries[root.0 as usize].bound = Some(other);
                Err(other)
            }
        }
    }

    /// Makes two roots one; the smaller number stands for both. Fails with the two entities when they are two already.
    pub(super) fn union(&mut self, x: Temp, y: Temp) -> Result<Temp, (EntityId, EntityId)> {
        let (root, child) = (x.min(y), x.max(y));
        let bound = match (self.bound(root), self.bound(child)) {
            (Some(one), Some(other)) if one != other => return Err((one, other)),
            (one, other) => one.or(other),
        };
        let Entry { affinity, subject, .. } = self.entries[child.0 as usize];
        self.entries[child.0 as usize].parent = root;
        self.wish(root, affinity);
        let entry = &mut self.entries[root.0 as usize];
        entry.bound = bound;
        entry.subject |= subject;
        Ok(root)
    }

    /// The name of a tempid that has one. O(tempids), for messages.
    pub(super) fn name(&self, temp: Temp) -> Option<Arc<str>> {
        self.names().into_iter().find(|(_, named)| *named == temp).map(|(name, _)| name)
    }

    /// Every tempid that the user named.
    pub(super) fn names(&self) -> Vec<(Arc<str>, Temp)> {
        let users = self.names.iter().filter(|(name, _)| !name.starts_with(NEW_TEMPID));
        let mut names: Vec<(Arc<str>, Temp)> = users.map(|(name, temp)| (name.clone(), *temp)).collect();
        names.extend(self.numbers.iter().map(|(number, temp)| (number.to_string().into(), *temp)));
        names
    }

    /// The spellings of the transaction's own tempid that were used.
    pub(super) fn own_names(&self) -> &[Arc<str>] {
        &self.own
    }
}
