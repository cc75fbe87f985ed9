//! Which form of a transaction said what, for refusals that only show once all forms are one set.

use annals_edn::Error;

use crate::database::Db;
use crate::datom::Datom;
use crate::id::{AttrId, EntityId};
use crate::schema::TupleKind;
use crate::tx::op::Fact;
use crate::tx::paths::{Paths, Place};

/// The facts of a transaction, by entity, then attribute, and where each was said.
#[derive(Debug)]
pub(super) struct Places {
    facts: Vec<Fact>,
    paths: Paths,
}

impl Places {
    /// `facts` are sorted by entity and attribute.
    pub(super) fn new(facts: Vec<Fact>, paths: Paths) -> Places {
        Places { facts, paths }
    }

    /// Says in `error` which form led to `datom`: the one that states it, or a member of it if it is a composite.
    pub(super) fn of_datom(&self, db: &Db, error: Error, datom: &Datom) -> Error {
        let own = self.about(datom.e, datom.a);
        let stated = own.iter().find(|fact| fact.added == datom.added && fact.v.identical(&datom.v));
        let member = || {
            let attribute = db.schema().attribute(datom.a)?;
            let Some(TupleKind::Composite(members)) = &attribute.tuple else { return None };
            members.iter().find_map(|member| self.about(datom.e, *member).last())
        };
        match stated.or_else(|| own.first()).or_else(member) {
            Some(fact) => self.paths.placed(db, error, fact.place, Some(fact.a)),
            None => error,
        }
    }

    /// Says in `error` which form is about `e`, the last if there are several.
    pub(super) fn of_entity(&self, db: &Db, error: Error, e: EntityId) -> Error {
        let start = self.facts.partition_point(|fact| fact.e < e);
        let own = self.facts[start..].iter().take_while(|fact| fact.e == e);
        match own.max_by_key(|fact| self.paths.form_of(fact.place)) {
            Some(fact) => self.paths.placed(db, error, fact.place, Some(fact.a)),
            None => error,
        }
    }

    /// Says in `error` that it is at `place`.
    pub(super) fn at(&self, db: &Db, error: Error, place: Place) -> Error {
        self.paths.placed(db, error, place, None)
    }

    fn about(&self, e: EntityId, a: AttrId) -> &[Fact] {
        let start = self.facts.partition_point(|fact| (fact.e, fact.a) < (e, a));
        let end = self.facts.partition_point(|fact| (fact.e, fact.a) <= (e, a));
        &self.facts[start..end]
    }
}
