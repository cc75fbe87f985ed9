//! The queries of a body: made once from its parts, prepared for the schema they run on, and run under fuel.

use std::sync::{Arc, Mutex, PoisonError};

use annals_db::{Call, Db, Schema, ValueType};
use annals_edn::{Code, Edn, Error, Node, Symbol};
use rustc_hash::FxHashSet;

use super::body::Param;
use super::link::calls_unknown;
use super::template::variables;
use crate::answer::Shaper;
use crate::ast::{Arg, Clause, VarId};
use crate::bind::Argument;
use crate::check::{CheckedQuery, InputShape, Role, check};
use crate::functions::Function;
use crate::parse::parse;
use crate::prepare::Prepared;
use crate::run::context::{QueryCtx, QueryLimits};

/// What the held rows of one query of a function may take.
const MAX_BYTES: usize = 64 << 20;

/// True for the one row of a query that is asked only whether it has an answer.
const OK: &str = "?annals/ok";

/// One query of a body.
pub(super) struct Ask {
    /// in map form
    pub(super) query: Edn,
    rules: Option<Edn>,
    /// which parameters it takes, and their names where they are one variable
    params: Vec<(usize, Option<Symbol>)>,
    ready: Mutex<Option<Arc<Ready>>>,
}

/// The query for databases of one schema.
struct Ready {
    schema: Arc<Schema>,
    prepared: Prepared,
    /// parameters that stand for entities
    entities: FxHashSet<Symbol>,
}

impl Ask {
    /// Asks for the variables `row`, which must be bound; without any, whether there is an answer.
    pub(super) fn rows_of(
        row: &[Symbol],
        params: &[Param],
        rules: Option<&Edn>,
        clauses: Option<&Edn>,
    ) -> Ask {
        match row {
            [] => Ask::whether(params, rules, clauses),
            _ => {
                let find = row.iter().map(|name| Edn::new(Node::Symbol(name.clone())));
                Ask::new(vec![(Edn::keyword("find"), Edn::vector(find.collect()))], params, rules, clauses)
            }
        }
    }

    /// Asks whether `clauses` have an answer.
    pub(super) fn whether(params: &[Param], rules: Option<&Edn>, clauses: Option<&Edn>) -> Ask {
        let symbol = |name: &str| Edn::new(Node::Symbol(Symbol::new(name)));
        let truth = Edn::new(Node::List(vec![symbol("ground"), Edn::bool(true)]));
        let mut all = clauses.and_then(Edn::as_seq).unwrap_or_default().to_vec();
        all.push(Edn::vector(vec![truth, symbol(OK)]));
        let find = Edn::vector(vec![symbol(OK), symbol(".")]);
        Ask::new(vec![(Edn::keyword("find"), find)], params, rules, Some(&Edn::vector(all)))
    }

    /// The query of these entries, and of what is common to all.
    pub(super) fn new(
        mut entries: Vec<(Edn, Edn)>,
        params: &[Param],
        rules: Option<&Edn>,
        clauses: Option<&Edn>,
    ) -> Ask {
        let mut used = Vec::new();
        entries.iter().map(|(_, form)| form).chain(clauses).for_each(|form| variables(form, &mut used));
        let takes = |param: &&Param| param.vars.iter().any(|name| used.contains(name));
        let taken: Vec<&Param> = params.iter().filter(takes).collect();
        let mut inputs = vec![Edn::new(Node::Symbol(Symbol::new("$")))];
        if rules.is_some() {
            inputs.push(Edn::new(Node::Symbol(Symbol::new("%"))));
        }
        inputs.extend(taken.iter().map(|param| param.form.clone()));
        entries.push((Edn::keyword("in"), Edn::vector(inputs)));
        entries.extend(clauses.map(|clauses| (Edn::keyword("where"), clauses.clone())));
        Ask {
            query: Edn::map(entries),
            rules: rules.cloned(),
            params: taken.iter().map(|param| (param.number, param.scalar.clone())).collect(),
            ready: Mutex::default(),
        }
    }

    /// True when it asks about each of `count` parameters.
    pub(super) fn takes_all(&self, count: usize) -> bool {
        self.params.len() == count
    }

    /// The rules of the body.
    pub(super) fn rules(&self) -> Option<&Edn> {
        self.rules.as_ref()
    }

    /// Everything that can be wrong with the query before it runs.
    pub(super) fn verify(&self, schema: &Arc<Schema>) -> Result<(), Error> {
        let parsed = match parse(&self.query) {
            // What it calls may be written in the same transaction, or later.
            Err(error) if error.code() == Code::UnknownFunction && calls_unknown(&self.query) => {
                return Ok(());
            }
            parsed => parsed?,
        };
        if self.rules.as_ref().is_some_and(calls_unknown) {
            return Ok(());
        }
        let mut shapes = vec![InputShape::Db(schema.clone())];
        shapes.resize(1 + usize::from(self.rules.is_some()) + self.params.len(), InputShape::Data);
        check(&parsed, self.rules.as_ref(), &shapes).map(drop)
    }

    /// What the query is given beside the database, of the arguments of a call: rules, then those that it asks about.
    pub(super) fn arguments<'a>(&'a self, args: &'a [Edn]) -> impl Iterator<Item = Edn> + 'a {
        self.rules.iter().cloned().chain(self.params.iter().map(|(at, _)| args[*at].clone()))
    }

    /// Whether there is an answer.
    pub(super) fn holds(&self, call: &Call<'_>) -> Result<bool, Error> {
        Ok(matches!(self.answer(call)?.node, Node::Bool(true)))
    }

    /// The answer in the shape of its `:find`.
    pub(super) fn answer(&self, call: &Call<'_>) -> Result<Edn, Error> {
        self.run(call, |shaper, rows| shaper.shape(rows))
    }

    /// The rows in canonical order; of a query that asks only whether, one without columns or none.
    pub(super) fn rows(&self, call: &Call<'_>) -> Result<Vec<Vec<Edn>>, Error> {
        self.run(call, |_, rows| rows)
    }

    fn run<X>(&self, call: &Call<'_>, end: impl FnOnce(&Shaper<'_>, Vec<Vec<Edn>>) -> X) -> Result<X, Error> {
        let mut args = vec![Argument::Db(call.db.clone())];
        args.extend(self.rules.clone().map(Argument::Form));
        args.extend(self.params.iter().map(|(at, _)| Argument::Form(call.args[*at].clone())));
        let ready = self.ready(call.db, &args)?;
        let first = args.len() - self.params.len();
        for ((_, name), arg) in self.params.iter().zip(&mut args[first..]) {
            let Argument::Form(form) = arg else { continue };
            if name.as_ref().is_some_and(|name| ready.entities.contains(name)) && is_tempid(form) {
                // No entity has this id: a tempid names nothing that is there.
                *form = Edn::long(-1);
            }
        }
        let left = call.fuel.left();
        let limits = QueryLimits { rows: left, datoms: left, bytes: MAX_BYTES, ..QueryLimits::default() };
        let mut shaper = Shaper::new(ready.prepared.checked(), &args)?;
        let mut rows = ready.prepared.run(&args, QueryCtx { limits, ..QueryCtx::default() })?;
        let mut found = Vec::new();
        loop {
            match rows.next() {
                Ok(Some(batch)) => found.append(&mut shaper.rows(&batch)?),
                Ok(None) => break,
                Err(error) if error.code() == Code::RowsBudgetExceeded => return Err(call.fuel.exhausted()),
                Err(error) => return Err(error.without_span()),
            }
        }
        let counters = rows.counters();
        call.fuel.burn(counters.datoms + counters.produced)?;
        Ok(end(&shaper, found))
    }

    fn ready(&self, db: &Db, args: &[Argument]) -> Result<Arc<Ready>, Error> {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |ready: &&Arc<Ready>| Arc::ptr_eq(&ready.schema, db.schema()) && ready.prepared.fits(args);
        if let Some(ready) = ready.as_ref().filter(fits) {
            return Ok(ready.clone());
        }
        let prepared = Prepared::new(&self.query, args)?;
        let entities = entities(prepared.checked(), db.schema());
        let made = Arc::new(Ready { schema: db.schema().clone(), prepared, entities });
        *ready = Some(made.clone());
        Ok(made)
    }
}

/// A string is one, unless it spells an ident; so is a negative number.
fn is_tempid(form: &Edn) -> bool {
    match &form.node {
        Node::Str(text) => !text.starts_with(':'),
        Node::Long(n) => *n < 0,
        _ => false,
    }
}

/// The variables of inputs that stand where the database has entities.
fn entities(checked: &CheckedQuery, schema: &Schema) -> FxHashSet<Symbol> {
    let is_ref =
        |a| schema.attribute(a).is_some_and(|attribute| attribute.value_type == Some(ValueType::Ref));
    let mut vars: Vec<VarId> = Vec::new();
    for given in &checked.given {
        match given.role {
            Role::Entity => vars.push(given.given),
            Role::ValueOf(a) if is_ref(a) => vars.push(given.given),
            _ => {}
        }
    }
    of_calls(&checked.query.clauses, &mut vars);
    vars.into_iter().map(|var| checked.query.name(var).clone()).collect()
}

/// The entities of `get-else` and its kin.
fn of_calls(clauses: &[Clause], vars: &mut Vec<VarId>) {
    for clause in clauses {
        match clause {
            Clause::Predicate(call) | Clause::Function(call, _) => {
                let reads =
                    matches!(call.function, Function::GetElse | Function::GetSome | Function::Missing);
                if let (true, Some(Arg::Var(var))) = (reads, call.args.get(1)) {
                    vars.push(*var);
                }
            }
            Clause::Not(not) => of_calls(&not.clauses, vars),
            Clause::Or(or) => or.branches.iter().for_each(|branch| of_calls(branch, vars)),
            Clause::Pattern(_) | Clause::Rule(_) => {}
        }
    }
}
