//! Stored functions: the first kind, written in Datalog with templates (docs/design/functions.md).
//!
//! What it is: the implementation of [`annals_db::Functions`]. What it is not: it finds no bodies and expands no forms,
//! which is the business of the transaction. Called by the transactor and by speculation. It owns compiled bodies, by
//! their text. Everything is bounded by the fuel of the call.
//!
//! Reading order: [`body`] the grammar, [`ask`] the queries of a body, [`template`] forms with variables, [`link`] calls in
//! queries.

mod ask;
mod body;
pub(crate) mod link;
pub(crate) mod predicate;
mod template;

use std::sync::{Arc, Mutex, PoisonError};

use annals_db::{Call, Db, Function, Functions};
use annals_edn::{Code, Edn, Error, Keyword, Symbol, read_one};
use rustc_hash::FxHashMap;

use crate::datum::Datum;
use body::{Body, Kind, Otherwise, Refusal, Transaction};
use template::Bindings;

/// Compiled bodies kept; when more come, all are forgotten and the busy ones return by themselves.
const KEPT: usize = 1024;

/// Evaluates stored functions, and keeps what it compiled.
#[derive(Default)]
pub struct Datalog {
    bodies: Mutex<FxHashMap<Arc<str>, Arc<Body>>>,
}

impl Functions for Datalog {
    fn check(&self, db: &Db, body: &Edn) -> Result<(), Error> {
        Body::parse(body)?.verify(db)
    }

    fn call(&self, function: &Function, call: &Call<'_>) -> Result<Edn, Error> {
        let body = self.body(function)?;
        let Kind::Transaction(transaction) = &body.kind else {
            let message = format!("{} is no transaction function: it has no :tx", function.name);
            return Err(Error::new(Code::NotADataFunction, message));
        };
        check_arity(&function.name, &body, call.args.len())?;
        for (at, requirement) in body.require.iter().enumerate() {
            if !requirement.ask.holds(call)? {
                return Err(refused(&function.name, &requirement.refusal).with("requirement", at));
            }
        }
        Ok(Edn::vector(expand(function, &body, transaction, call)?))
    }

    fn ask(&self, name: &Symbol, function: Option<&Function>, call: &Call<'_>) -> Result<Edn, Error> {
        let Some(function) = function else { return ask_built_in(name, call.args) };
        let body = self.body(function)?;
        check_arity(&function.name, &body, call.args.len())?;
        match (&body.kind, &body.ask) {
            (Kind::Predicate | Kind::Query, Some(ask)) => ask.answer(call),
            _ => {
                let message = format!("{} is a transaction function, not a predicate", function.name);
                Err(Error::new(Code::NotADataFunction, message).with("function", &function.name))
            }
        }
    }
}

impl Datalog {
    fn body(&self, function: &Function) -> Result<Arc<Body>, Error> {
        let mut bodies = self.bodies.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(body) = bodies.get(&function.body) {
            return Ok(body.clone());
        }
        let body = read_one(&function.body).and_then(|form| Body::parse(&form));
        let body = Arc::new(body.map_err(|error| error.with("function", &function.name))?);
        if bodies.len() >= KEPT {
            bodies.clear();
        }
        bodies.insert(function.body.clone(), body.clone());
        Ok(body)
    }
}

/// The forms of one call.
fn expand(
    function: &Function,
    body: &Body,
    transaction: &Transaction,
    call: &Call<'_>,
) -> Result<Vec<Edn>, Error> {
    let mut forms = Vec::new();
    let mut bindings = Bindings::default();
    for (param, arg) in body.params.iter().zip(call.args) {
        if let Some(name) = &param.scalar {
            bindings.set(name, arg.clone());
        }
    }
    let Some(ask) = &body.ask else {
        stand(transaction, &transaction.forms, &mut bindings, call, &mut forms)?;
        return Ok(forms);
    };
    let rows = ask.rows(call)?;
    for row in rows.iter() {
        for (name, value) in transaction.row.iter().zip(row) {
            bindings.set(name, value.clone());
        }
        stand(transaction, &transaction.forms, &mut bindings, call, &mut forms)?;
    }
    match (&transaction.otherwise, rows.is_empty()) {
        (Some(Otherwise::Forms(other)), true) => {
            stand(transaction, other, &mut bindings, call, &mut forms)?;
        }
        (Some(Otherwise::Refuse(refusal)), true) => return Err(refused(&function.name, refusal)),
        _ => {}
    }
    Ok(forms)
}

/// The template once, with new tempids of its own.
fn stand(
    transaction: &Transaction,
    template: &[Edn],
    bindings: &mut Bindings,
    call: &Call<'_>,
    forms: &mut Vec<Edn>,
) -> Result<(), Error> {
    for name in &transaction.new {
        bindings.set(name, call.new_tempid());
    }
    for form in template {
        forms.push(bindings.fill(form, call.fuel)?);
    }
    Ok(())
}

fn check_arity(name: &Keyword, body: &Body, given: usize) -> Result<(), Error> {
    let takes = body.params.len();
    if takes == given {
        return Ok(());
    }
    let message = format!("{name} takes {takes} arguments, not {given}");
    let params: Vec<String> = body.params.iter().map(|param| param.form.to_string()).collect();
    Err(Error::new(Code::ArgsMismatch, message)
        .with("function", name)
        .hint(format!("its parameters are [{}]", params.join(" "))))
}

fn refused(name: &Keyword, refusal: &Refusal) -> Error {
    let code = if refusal.conflict { Code::FunctionConflict } else { Code::FunctionRefused };
    let message = match &refusal.message {
        Some(message) => format!("{name} refuses: {message}"),
        None => format!("{name} refuses: what it requires does not hold"),
    };
    Error::new(code, message)
}

fn ask_built_in(name: &Symbol, args: &[Edn]) -> Result<Edn, Error> {
    let function = crate::functions::Function::resolve(name, args.len())?;
    if function.reads() {
        let message = format!("{name} reads a database, so it is no predicate by itself");
        return Err(Error::new(Code::UnknownFunction, message).with("function", name));
    }
    let args = args.iter().map(Datum::from_edn).collect::<Result<Vec<_>, _>>()?;
    Ok(function.call(&args)?.to_edn())
}
