//! The third stage: facts become the datoms that change something. Conflicts are found over the whole set; what holds
//! already is dropped; a new value of a cardinality-one attribute retracts the old one; composites follow their members.

mod composite;
mod unique;

use annals_edn::{Code, Error};

use crate::Result;
use crate::database::Db;
use crate::datom::Datom;
use crate::id::{AttrId, EntityId, Partition, T};
use crate::schema::{Attribute, Cardinality};
use crate::tx::op::{Fact, NewKeys};
use crate::tx::paths::Paths;
use crate::tx::places::Places;
use crate::tx::refusal::{Refusals, attribute_name, show_value};
use crate::value::Value;

/// The datoms of a transaction, by entity, attribute, retractions first, then value; and which form said what.
///
/// # Errors
/// `DATOMS_CONFLICT`, `UNIQUE_CONFLICT`, and those of the store.
pub(super) fn settle(
    db: &Db,
    mut facts: Vec<Fact>,
    paths: Paths,
    new_keys: &NewKeys,
) -> Result<(Vec<Datom>, Places)> {
    facts.sort_by_key(|fact| (fact.e, fact.a));
    let mut settler = Settler {
        db,
        t: T(db.basis().0 + 1),
        paths: &paths,
        fresh: Fresh::of(db),
        datoms: Vec::with_capacity(facts.len()),
        refusals: Refusals::default(),
    };
    let mut composites = composite::Touched::new(db.schema());
    let mut rest = facts.as_mut_slice();
    while let Some(first) = rest.first() {
        let (e, a) = (first.e, first.a);
        let len = rest.iter().take_while(|fact| fact.e == e && fact.a == a).count();
        let (group, after) = rest.split_at_mut(len);
        settler.group(e, a, group)?;
        composites.touch(e, a);
        rest = after;
    }
    let Settler { mut datoms, refusals, fresh, .. } = settler;
    refusals.finish()?;
    composites.follow(db, &fresh, &mut datoms)?;
    let places = Places::new(facts, paths);
    unique::check(db, &datoms, new_keys, &places)?;
    Ok((datoms, places))
}

/// Tells the entities that this transaction makes, which have no facts yet.
pub(super) struct Fresh {
    t: T,
    next_counter: u64,
    next_element: u32,
    /// explicit ids are counted too
    counts_explicit: bool,
}

impl Fresh {
    pub(super) fn of(db: &Db) -> Fresh {
        Fresh {
            t: T(db.basis().0 + 1),
            next_counter: db.next_counter(),
            next_element: db.schema().next_element(),
            counts_explicit: !db.options().schema_on_write,
        }
    }

    pub(super) fn has(&self, e: EntityId) -> bool {
        match e.partition() {
            Partition::EXPLICIT if !self.counts_explicit => false,
            Partition::TX => e.counter() == self.t.0,
            Partition::DB => e.counter() >= u64::from(self.next_element),
            _ => e.counter() >= self.next_counter,
        }
    }
}

struct Settler<'a> {
    db: &'a Db,
    paths: &'a Paths,
    t: T,
    fresh: Fresh,
    datoms: Vec<Datom>,
    refusals: Refusals,
}

impl Settler<'_> {
    /// All facts of one entity and attribute.
    fn group(&mut self, e: EntityId, a: AttrId, facts: &mut [Fact]) -> Result<()> {
        let attribute = self.db.schema().attribute(a).expect("expansion found the attribute").clone();
        if let [fact] = facts {
            return self.single(&attribute, fact);
        }
        facts.sort_by(|x, y| x.added.cmp(&y.added).then_with(|| x.v.cmp_index(&y.v)));
        let at = facts.partition_point(|fact| !fact.added);
        let (retracted, added) = facts.split_at_mut(at);
        let conflict = contradiction(retracted, added)
            .or_else(|| second_value(&attribute, added))
            .or_else(|| second_value(&attribute, retracted));
        if let Some((one, two)) = conflict {
            let error = self.conflict(one, two);
            return self.refusals.note(error);
        }
        let gone = self.retractions(e, &attribute, retracted)?;
        self.assertions(&attribute, added, &gone)
    }

    /// The common case: one fact about an entity and attribute.
    fn single(&mut self, attribute: &Attribute, fact: &mut Fact) -> Result<()> {
        if fact.added {
            return self.assertions(attribute, std::slice::from_mut(fact), &[]);
        }
        self.retractions(fact.e, attribute, std::slice::from_mut(fact)).map(drop)
    }

    /// Retracts of `facts` what holds, in the form in which it is stored; answers what.
    fn retractions(&mut self, e: EntityId, attribute: &Attribute, facts: &mut [Fact]) -> Result<Vec<Value>> {
        let mut gone: Vec<Value> = Vec::new();
        if facts.is_empty() || self.fresh.has(e) {
            return Ok(gone);
        }
        for fact in facts {
            let Some(stored) = self.stored(e, attribute, &fact.v)? else { continue };
            if !gone.contains(&stored) {
                self.emit(e, attribute.id, stored.clone(), false);
                gone.push(stored);
            }
        }
        Ok(gone)
    }

    fn assertions(&mut self, attribute: &Attribute, facts: &mut [Fact], gone: &[Value]) -> Result<()> {
        let mut last: Option<&Value> = None;
        for fact in facts.iter() {
            let again = last.is_some_and(|last| last.identical(&fact.v));
            last = Some(&fact.v);
            if again || (!self.fresh.has(fact.e) && self.holds(attribute, fact, gone)?) {
                continue;
            }
            self.emit(fact.e, fact.a, fact.v.clone(), true);
        }
        Ok(())
    }

    /// True when the fact holds already; retracts the value that it replaces otherwise.
    fn holds(&mut self, attribute: &Attribute, fact: &Fact, gone: &[Value]) -> Result<bool> {
        if attribute.cardinality == Cardinality::Many {
            return Ok(self.stored(fact.e, attribute, &fact.v)?.is_some());
        }
        for (value, _) in self.db.values(fact.e, fact.a)? {
            if value.cmp_index(&fact.v).is_eq() {
                return Ok(true);
            }
            if !gone.contains(&value) {
                self.emit(fact.e, fact.a, value, false);
            }
        }
        Ok(false)
    }

    /// The value as it is stored, if the fact holds. Decimals are one value whatever their scale.
    fn stored(&self, e: EntityId, attribute: &Attribute, v: &Value) -> Result<Option<Value>> {
        if matches!(v, Value::BigDec(_) | Value::Tuple(_)) || attribute.cardinality == Cardinality::One {
            let values = self.db.values(e, attribute.id)?;
            return Ok(values.into_iter().map(|(value, _)| value).find(|value| value.identical(v)));
        }
        Ok(self.db.holds(e, attribute.id, &v.as_ref())?.map(|_| v.clone()))
    }

    fn emit(&mut self, e: EntityId, a: AttrId, v: Value, added: bool) {
        self.datoms.push(Datom { e, a, v, t: self.t, added });
    }

    fn conflict(&self, one: &Fact, two: &Fact) -> Error {
        let show = |fact: &Fact| {
            let attribute = attribute_name(self.db, fact.a);
            format!("[{} {attribute} {} {}]", fact.e, show_value(&fact.v), fact.added)
        };
        let message = format!("the transaction says two things at once: {} and {}", show(one), show(two));
        let error = Error::new(Code::DatomsConflict, message)
            .with("d1", show(one))
            .with("d2", show(two))
            .with("entity", one.e)
            .with("attribute", attribute_name(self.db, one.a))
            .with("value", show_value(&two.v));
        let later = if self.paths.form_of(one.place) > self.paths.form_of(two.place) { one } else { two };
        self.paths.placed(self.db, error, later.place, Some(one.a))
    }
}

/// The same value asserted and retracted. Both sides are sorted by value.
fn contradiction<'f>(retracted: &'f [Fact], added: &'f [Fact]) -> Option<(&'f Fact, &'f Fact)> {
    let mut at = 0;
    for one in retracted {
        while at < added.len() && !one.v.identical(&added[at].v) && added[at].v.cmp_index(&one.v).is_lt() {
            at += 1;
        }
        if at < added.len() && one.v.identical(&added[at].v) {
            return Some((one, &added[at]));
        }
    }
    None
}

/// Two different values, asserted both or retracted both, of an attribute that takes one.
fn second_value<'f>(attribute: &Attribute, facts: &'f [Fact]) -> Option<(&'f Fact, &'f Fact)> {
    if attribute.cardinality == Cardinality::Many {
        return None;
    }
    let first = facts.first()?;
    facts.iter().find(|fact| !fact.v.identical(&first.v)).map(|other| (first, other))
}

/// Sorts datoms the way a transaction body holds them.
pub(super) fn sort(datoms: &mut [Datom]) {
    datoms.sort_by(|x, y| (x.e, x.a, x.added).cmp(&(y.e, y.a, y.added)).then_with(|| x.v.cmp_index(&y.v)));
}
