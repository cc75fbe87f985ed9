//! Between the second and the third stage: the predicates of attributes are asked of every value asserted, whether or
//! not it changes anything. They see db-before.

use annals_edn::{Code, Edn, Error, Node, Symbol};
use rustc_hash::FxHashMap;

use crate::Result;
use crate::database::Db;
use crate::form::form;
use crate::identify::show;
use crate::tx::functions::{Caller, Function, ident_of};
use crate::tx::op::Fact;
use crate::tx::refusal::{Refusals, attribute_name, show_value};

/// Asks the predicates of `facts`. Without a predicate in the schema it costs nothing.
///
/// # Errors
/// `ATTR_PRED`, naming attribute, value, predicate and what that answered; whatever fails in a predicate.
pub(super) fn check(db: &Db, facts: &[Fact], caller: &Caller<'_>) -> Result<()> {
    let checks = &db.schema().checks;
    if checks.predicates().is_empty() {
        return Ok(());
    }
    let mut refusals = Refusals::default();
    let mut known: FxHashMap<&Symbol, Option<Function>> = FxHashMap::default();
    for fact in facts.iter().filter(|fact| fact.added) {
        for name in checks.predicates_of(fact.a) {
            let function = match known.get(name) {
                Some(function) => function,
                None => known.entry(name).or_insert(Function::find(db, &ident_of(name))?),
            };
            refusals.check(ask(db, fact, name, function.as_ref(), caller))?;
        }
    }
    refusals.finish()
}

fn ask(db: &Db, fact: &Fact, name: &Symbol, function: Option<&Function>, caller: &Caller<'_>) -> Result<()> {
    let attribute = attribute_name(db, fact.a);
    let placed = |error: Error| {
        error
            .with("attribute", &attribute)
            .with("value", show_value(&fact.v))
            .with("predicate", name)
            .with("form", fact.form)
    };
    let answer = caller.ask(db, name, function, &[form(&fact.v)]).map_err(placed)?;
    if passes(&answer) {
        return Ok(());
    }
    let message = format!("{} is no value for {attribute}: {name} does not hold", show_value(&fact.v));
    Err(placed(Error::new(Code::AttrPred, message)).with("pred-return", show(&answer)).with("entity", fact.e))
}

/// Only `true` does.
pub(super) fn passes(answer: &Edn) -> bool {
    matches!(answer.node, Node::Bool(true))
}
