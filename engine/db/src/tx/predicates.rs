//! The predicates of attributes: asked of every value asserted, whether or not it changes anything, and of composites when
//! their members change them. They see db-before.

use annals_edn::{Code, Edn, Error, Node, Symbol};
use rustc_hash::FxHashMap;

use crate::Result;
use crate::database::Db;
use crate::datom::Datom;
use crate::form::form;
use crate::id::{AttrId, EntityId};
use crate::identify::show;
use crate::schema::TupleKind;
use crate::tx::functions::{Caller, Function, ident_of};
use crate::tx::op::Fact;
use crate::tx::paths::Paths;
use crate::tx::places::Places;
use crate::tx::refusal::{Refusals, attribute_name, show_value};
use crate::value::Value;

/// Asks the predicates of `facts`. Without a predicate in the schema it costs nothing.
///
/// # Errors
/// `ATTR_PRED`, naming attribute, value, predicate and what that answered; whatever fails in a predicate.
pub(super) fn check(db: &Db, facts: &[Fact], paths: &Paths, caller: &Caller<'_>) -> Result<()> {
    if db.schema().checks.predicates().is_empty() {
        return Ok(());
    }
    let mut asking = Asking::new(db, caller);
    for fact in facts.iter().filter(|fact| fact.added) {
        let placed = |error| paths.placed(db, error, fact.place, Some(fact.a));
        asking.ask(fact.e, fact.a, &fact.v, &placed)?;
    }
    asking.refusals.finish()
}

/// Asks the predicates of composites of what their members made of them.
///
/// # Errors
/// As [`check`].
pub(super) fn check_composites(
    db: &Db,
    datoms: &[Datom],
    places: &Places,
    caller: &Caller<'_>,
) -> Result<()> {
    let predicates = db.schema().checks.predicates().iter();
    let composites: Vec<AttrId> = predicates.map(|(a, _)| *a).filter(|a| is_composite(db, *a)).collect();
    if composites.is_empty() {
        return Ok(());
    }
    let mut asking = Asking::new(db, caller);
    for datom in datoms.iter().filter(|datom| datom.added && composites.contains(&datom.a)) {
        let placed = |error| places.of_datom(db, error, datom);
        asking.ask(datom.e, datom.a, &datom.v, &placed)?;
    }
    asking.refusals.finish()
}

fn is_composite(db: &Db, a: AttrId) -> bool {
    let attribute = db.schema().attribute(a);
    attribute.is_some_and(|attribute| matches!(attribute.tuple, Some(TupleKind::Composite(_))))
}

struct Asking<'a> {
    db: &'a Db,
    caller: &'a Caller<'a>,
    refusals: Refusals,
    /// stored predicates that were looked for
    known: FxHashMap<Symbol, Option<Function>>,
}

impl<'a> Asking<'a> {
    fn new(db: &'a Db, caller: &'a Caller<'a>) -> Asking<'a> {
        Asking { db, caller, refusals: Refusals::default(), known: FxHashMap::default() }
    }

    fn ask(&mut self, e: EntityId, a: AttrId, v: &Value, placed: &dyn Fn(Error) -> Error) -> Result<()> {
        for name in self.db.schema().checks.predicates_of(a) {
            if !self.known.contains_key(name) {
                self.known.insert(name.clone(), Function::find(self.db, &ident_of(name))?);
            }
            if let Err(error) = self.one(a, v, name) {
                let error = error
                    .with("attribute", attribute_name(self.db, a))
                    .with("value", show_value(v))
                    .with("predicate", name)
                    .with("entity", e);
                self.refusals.note(placed(error))?;
            }
        }
        Ok(())
    }

    fn one(&self, a: AttrId, v: &Value, name: &Symbol) -> Result<()> {
        let function = self.known.get(name).and_then(Option::as_ref);
        let answer = self.caller.ask(self.db, name, function, &[form(v)])?;
        if passes(&answer) {
            return Ok(());
        }
        let attribute = attribute_name(self.db, a);
        let message = format!("{} is no value for {attribute}: {name} does not hold", show_value(v));
        Err(Error::new(Code::AttrPred, message).with("pred-return", show(&answer)))
    }
}

/// Only `true` does.
pub(super) fn passes(answer: &Edn) -> bool {
    matches!(answer.node, Node::Bool(true))
}
