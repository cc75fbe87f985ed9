//! A naive model of deciding a transaction: sets, nested loops, rounds until nothing changes. Written to be obviously
//! right; it knows the attributes of [`super::PEOPLE`] only.

use std::collections::BTreeSet;

use annals_edn::Code;

/// An attribute of the model.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Attr {
    pub(super) ident: &'static str,
    pub(super) many: bool,
    pub(super) identity: bool,
    pub(super) unique: bool,
    pub(super) reference: bool,
    pub(super) component: bool,
}

const fn attr(ident: &'static str, many: bool, identity: bool, unique: bool, reference: bool) -> Attr {
    Attr { ident, many, identity, unique, reference, component: false }
}

/// What the properties write about.
pub(super) static ATTRS: [Attr; 9] = [
    attr(":p/email", false, true, true, false),
    attr(":p/code", false, true, true, false),
    attr(":p/ssn", false, false, true, false),
    attr(":p/name", false, false, false, false),
    attr(":p/age", false, false, false, false),
    attr(":p/nick", true, false, false, false),
    attr(":p/friend", true, false, false, true),
    attr(":p/boss", false, true, true, true),
    Attr { component: true, ..attr(":p/phones", true, false, false, true) },
];

/// Who: an entity or a tempid by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Id(u64),
    Temp(usize),
}

/// A value: text of a literal, or a reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    Text(String),
    Ref(Who),
}

/// A form that the properties generate.
#[derive(Clone, Debug)]
pub(super) enum Form {
    Add(Who, &'static Attr, What),
    Retract(Who, &'static Attr, What),
    Map(Who, Vec<(&'static Attr, What)>),
    RetractAll(u64, &'static Attr),
    RetractEntity(u64),
    Cas(u64, &'static Attr, Option<String>, String),
}

/// Entity, attribute, value as text (`@id` for a reference).
pub(super) type Fact = (u64, &'static str, String);

#[derive(Clone, Debug)]
struct Op {
    e: Who,
    a: &'static Attr,
    v: What,
    added: bool,
}

/// The present, as a set.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    pub(super) facts: BTreeSet<Fact>,
}

impl Model {
    /// The datoms that `forms` lead to, with their sign; `new_id` names the entities of new tempids.
    pub(super) fn decide(
        &self,
        forms: &[Form],
        new_id: &dyn Fn(usize) -> u64,
    ) -> Result<BTreeSet<(Fact, bool)>, Code> {
        let mut ops = Vec::new();
        for form in forms {
            self.expand(form, &mut ops)?;
        }
        let temps = self.unify(&ops)?;
        let id = |who: Who| match who {
            Who::Id(e) => e,
            Who::Temp(temp) => temps.bound[temps.label[temp]].unwrap_or_else(|| new_id(temps.label[temp])),
        };
        let facts: BTreeSet<(Fact, bool)> = ops
            .iter()
            .map(|op| {
                let v = match &op.v {
                    What::Text(text) => text.clone(),
                    What::Ref(who) => format!("@{}", id(*who)),
                };
                ((id(op.e), op.a.ident, v), op.added)
            })
            .collect();
        let after = self.after(&facts)?;
        let gone = self.facts.difference(&after).map(|fact| (fact.clone(), false));
        let come = after.difference(&self.facts).map(|fact| (fact.clone(), true));
        Ok(gone.chain(come).collect())
    }

    fn held(&self, e: u64, ident: &str) -> Vec<String> {
        self.facts.iter().filter(|fact| fact.0 == e && fact.1 == ident).map(|fact| fact.2.clone()).collect()
    }

    fn expand(&self, form: &Form, ops: &mut Vec<Op>) -> Result<(), Code> {
        let mut push = |e, a, v, added| ops.push(Op { e, a, v, added });
        match form {
            Form::Add(e, a, v) => push(*e, *a, v.clone(), true),
            Form::Retract(e, a, v) => push(*e, *a, v.clone(), false),
            Form::Map(e, pairs) => pairs.iter().for_each(|(a, v)| push(*e, *a, v.clone(), true)),
            Form::RetractAll(e, a) => {
                self.held(*e, a.ident).into_iter().for_each(|v| push(Who::Id(*e), *a, read(&v), false));
            }
            Form::RetractEntity(e) => {
                let mut gone = BTreeSet::new();
                self.retract_entity(*e, &mut gone, &mut BTreeSet::new());
                for (e, ident, v) in gone {
                    push(Who::Id(e), by_ident(ident), read(&v), false);
                }
            }
            Form::Cas(e, a, old, new) => {
                if self.held(*e, a.ident).into_iter().next() != *old {
                    return Err(Code::CasFailed);
                }
                push(Who::Id(*e), *a, What::Text(new.clone()), true);
            }
        }
        Ok(())
    }

    fn retract_entity(&self, e: u64, gone: &mut BTreeSet<Fact>, seen: &mut BTreeSet<u64>) {
        if !seen.insert(e) {
            return;
        }
        for fact in &self.facts {
            if fact.0 == e || fact.2 == format!("@{e}") {
                gone.insert(fact.clone());
            }
            if let (true, true, What::Ref(Who::Id(part))) =
                (fact.0 == e, by_ident(fact.1).component, read(&fact.2))
            {
                self.retract_entity(part, gone, seen);
            }
        }
    }

    fn unify(&self, ops: &[Op]) -> Result<Temps, Code> {
        let mut temps = Temps { label: (0..16).collect(), bound: vec![None; 16] };
        let mut conflict = false;
        loop {
            let before = (temps.label.clone(), temps.bound.clone());
            for op in ops.iter().filter(|op| op.a.identity) {
                let Who::Temp(temp) = op.e else { continue };
                let holder = self.facts.iter().find(|fact| {
                    fact.1 == op.a.ident && temps.text(&op.v).is_some_and(|text| text == fact.2)
                });
                if let Some(holder) = holder {
                    conflict |= !temps.bind(temp, holder.0);
                }
                for other in ops.iter().filter(|other| other.a == op.a && other.added && op.added) {
                    let Who::Temp(second) = other.e else { continue };
                    if temps.same(&op.v, &other.v) {
                        conflict |= !temps.unite(temp, second);
                    }
                }
            }
            if before == (temps.label.clone(), temps.bound.clone()) {
                break;
            }
        }
        for op in ops {
            let What::Ref(Who::Temp(temp)) = op.v else { continue };
            let spoken_of =
                |op: &Op| matches!(op.e, Who::Temp(other) if temps.label[other] == temps.label[temp]);
            if !ops.iter().any(spoken_of) {
                return Err(Code::TempidNotAnEntity);
            }
        }
        if conflict { Err(Code::UniqueConflict) } else { Ok(temps) }
    }

    fn after(&self, facts: &BTreeSet<(Fact, bool)>) -> Result<BTreeSet<Fact>, Code> {
        let adds = || facts.iter().filter(|(_, added)| *added).map(|(fact, _)| fact);
        for (fact, added) in facts {
            let second = |(other, way): &(Fact, bool)| {
                way == added && other.0 == fact.0 && other.1 == fact.1 && other.2 != fact.2
            };
            let contradicted = facts.contains(&(fact.clone(), !added));
            if contradicted || (!by_ident(fact.1).many && facts.iter().any(second)) {
                return Err(Code::DatomsConflict);
            }
        }
        let mut after = self.facts.clone();
        for (fact, _) in facts.iter().filter(|(_, added)| !*added) {
            after.remove(fact);
        }
        for fact in adds() {
            if !by_ident(fact.1).many {
                after.retain(|other| other.0 != fact.0 || other.1 != fact.1);
            }
            after.insert(fact.clone());
        }
        let shared = |x: &Fact, y: &Fact| x.0 != y.0 && x.1 == y.1 && x.2 == y.2 && by_ident(x.1).unique;
        if after.iter().any(|x| after.iter().any(|y| shared(x, y))) {
            return Err(Code::UniqueConflict);
        }
        Ok(after)
    }
}

fn by_ident(ident: &str) -> &'static Attr {
    ATTRS.iter().find(|attr| attr.ident == ident).expect("the model knows its attributes")
}

fn read(v: &str) -> What {
    match v.strip_prefix('@') {
        Some(id) => What::Ref(Who::Id(id.parse().expect("references are numbers"))),
        None => What::Text(v.to_owned()),
    }
}

/// Tempids by label; the least number of a class is its label.
struct Temps {
    label: Vec<usize>,
    bound: Vec<Option<u64>>,
}

impl Temps {
    fn text(&self, v: &What) -> Option<String> {
        match v {
            What::Text(text) => Some(text.clone()),
            What::Ref(Who::Id(e)) => Some(format!("@{e}")),
            What::Ref(Who::Temp(temp)) => self.bound[self.label[*temp]].map(|e| format!("@{e}")),
        }
    }

    fn same(&self, x: &What, y: &What) -> bool {
        match (x, y) {
            (What::Ref(Who::Temp(x)), What::Ref(Who::Temp(y))) if self.label[*x] == self.label[*y] => true,
            _ => self.text(x).is_some() && self.text(x) == self.text(y),
        }
    }

    fn bind(&mut self, temp: usize, e: u64) -> bool {
        let bound = &mut self.bound[self.label[temp]];
        *bound.get_or_insert(e) == e
    }

    fn unite(&mut self, x: usize, y: usize) -> bool {
        let (x, y) = (self.label[x].min(self.label[y]), self.label[x].max(self.label[y]));
        if x == y {
            return true;
        }
        let (one, two) = (self.bound[x], self.bound[y]);
        if one.is_some() && two.is_some() && one != two {
            return false;
        }
        self.bound[x] = one.or(two);
        self.label.iter_mut().filter(|label| **label == y).for_each(|label| *label = x);
        true
    }
}
