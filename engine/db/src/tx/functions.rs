//! The border to what evaluates stored functions: bodies are found here, run elsewhere (docs/design/functions.md).
//!
//! What it is: the trait that the query engine implements, and what a call is given. What it is not: it knows no grammar
//! of bodies. Called by the stages that expand and check. Every call is bounded by [`Fuel`].

use std::cell::Cell;
use std::sync::Arc;

use annals_edn::{Code, Edn, Error, Keyword, Symbol};

use crate::Result;
use crate::bootstrap::attr;
use crate::database::Db;
use crate::id::EntityId;
use crate::value::Value;

/// Begins tempids that functions make: no text that people write, and not in the report.
pub(super) const NEW_TEMPID: &str = "\u{1}new ";

/// Stored functions, which the query engine evaluates.
pub trait Functions: Sync {
    /// Whether `body`, the map that is to become a function of `db`, can be one.
    ///
    /// # Errors
    /// `INVALID_FUNCTION` with the part at fault.
    fn check(&self, db: &Db, body: &Edn) -> Result<()>;

    /// Calls a transaction function; it sees only `call.db` and answers tx-data.
    ///
    /// # Errors
    /// Whatever the function refuses with, and `FUEL_EXHAUSTED`.
    fn call(&self, function: &Function, call: &Call<'_>) -> Result<Edn>;

    /// Asks a predicate; only `true` passes. `name` is a built-in one when there is no `function`.
    ///
    /// # Errors
    /// `UNKNOWN_FUNCTION` for a name that is neither, whatever fails in the function, and `FUEL_EXHAUSTED`.
    fn ask(&self, name: &Symbol, function: Option<&Function>, call: &Call<'_>) -> Result<Edn>;
}

/// A stored function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// the ident it was called by
    pub name: Keyword,
    /// EDN text of its body
    pub body: Arc<str>,
}

impl Function {
    /// The function of that name, as the view of `db` shows it.
    ///
    /// # Errors
    /// Only of the store.
    pub fn find(db: &Db, name: &Keyword) -> Result<Option<Function>> {
        let Some(e) = db.schema().entid(name) else { return Ok(None) };
        Function::of(db, e, name)
    }

    fn of(db: &Db, e: EntityId, name: &Keyword) -> Result<Option<Function>> {
        // Whoever may not see the datom may call the function.
        let held =
            if db.is_filtered() { db.unfiltered().values(e, attr::FN) } else { db.values(e, attr::FN) };
        Ok(match held?.pop() {
            Some((Value::String(body), _)) => Some(Function { name: name.clone(), body }),
            _ => None,
        })
    }
}

/// What a function is called with.
pub struct Call<'a> {
    /// all it can read
    pub db: &'a Db,
    /// as they stand in the call
    pub args: &'a [Edn],
    /// what the transaction may still do
    pub fuel: &'a Fuel,
    /// how many tempids functions have made in this transaction
    pub tempids: &'a Cell<u64>,
}

impl Call<'_> {
    /// A tempid that is no other's.
    #[must_use]
    pub fn new_tempid(&self) -> Edn {
        self.tempids.set(self.tempids.get() + 1);
        Edn::string(format!("{NEW_TEMPID}{}", self.tempids.get()))
    }
}

/// How much work functions may still do in one transaction.
#[derive(Debug)]
pub struct Fuel {
    limit: u64,
    left: Cell<u64>,
}

impl Fuel {
    /// A full tank.
    #[must_use]
    pub fn new(limit: u64) -> Fuel {
        Fuel { limit, left: Cell::new(limit) }
    }

    /// What is left.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.left.get()
    }

    /// Uses up `units`.
    ///
    /// # Errors
    /// `FUEL_EXHAUSTED` when there are not so many; nothing is left then.
    pub fn burn(&self, units: u64) -> Result<()> {
        match self.left.get().checked_sub(units) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(self.exhausted()),
        }
    }

    /// The refusal of a transaction whose functions do too much.
    #[must_use]
    pub fn exhausted(&self) -> Error {
        self.left.set(0);
        let message = format!("the functions of the transaction do more than {} units of work", self.limit);
        Error::new(Code::FuelExhausted, message)
            .with("limit", format!("{} units of fuel", self.limit))
            .hint("a unit is a row read or made, or a part of a form; narrow the queries of the functions")
    }
}

/// A database without stored functions.
pub struct NoFunctions;

impl NoFunctions {
    fn refuse<X>(what: &dyn std::fmt::Display) -> Result<X> {
        let message = format!("{what}: stored functions are not offered here");
        Err(Error::new(Code::Unsupported, message))
    }
}

impl Functions for NoFunctions {
    fn check(&self, _db: &Db, _body: &Edn) -> Result<()> {
        Self::refuse(&":db/fn")
    }

    fn call(&self, function: &Function, _call: &Call<'_>) -> Result<Edn> {
        Self::refuse(&function.name)
    }

    fn ask(&self, name: &Symbol, _function: Option<&Function>, _call: &Call<'_>) -> Result<Edn> {
        Self::refuse(name)
    }
}

/// What the stages of one transaction call functions with.
pub(super) struct Caller<'a> {
    pub(super) functions: &'a dyn Functions,
    pub(super) fuel: Fuel,
    pub(super) tempids: Cell<u64>,
}

impl<'a> Caller<'a> {
    pub(super) fn new(functions: &'a dyn Functions, fuel: u64) -> Caller<'a> {
        Caller { functions, fuel: Fuel::new(fuel), tempids: Cell::new(0) }
    }

    pub(super) fn call(&self, db: &Db, function: &Function, args: &[Edn]) -> Result<Edn> {
        self.fuel.burn(1)?;
        let call = Call { db, args, fuel: &self.fuel, tempids: &self.tempids };
        self.functions.call(function, &call)
    }

    /// Asks `name`, which `function` is if it is stored, of `args` on `db`.
    pub(super) fn ask(
        &self,
        db: &Db,
        name: &Symbol,
        function: Option<&Function>,
        args: &[Edn],
    ) -> Result<Edn> {
        self.fuel.burn(1)?;
        let call = Call { db, args, fuel: &self.fuel, tempids: &self.tempids };
        self.functions.ask(name, function, &call)
    }
}

/// The ident that a symbol names a stored function by.
pub(super) fn ident_of(name: &Symbol) -> Keyword {
    Keyword::new(name.shared().clone())
}
