//! Database values filtered by a predicate that the database keeps.
//!
//! The predicate is named as data: a call like `(doc/visible? ?e "ana")` over the variables `?e ?a ?v ?tx ?added` of a
//! datom and constants, or its name alone, for a call with as many of these, in this order, as it has parameters. It is
//! asked as one query for a whole batch of datoms. `$` is the value without its filters, in the same view but for `since`;
//! the predicate itself is the one that the value at its basis has.

use std::sync::{Arc, Mutex, PoisonError};

use annals_db::{Batch, Db, EntityId, Filter, Function, Keyword, T, Value};
use annals_edn::{Code, Edn, Error, Node, Symbol};

use crate::bind::Argument;
use crate::datum::Datum;
use crate::prepare::Prepared;
use crate::run::context::QueryCtx;
use crate::stored::link::link;
use crate::stored::predicate::Predicate;

/// What a datom is called in a predicate, in order.
const DATOM: [&str; 5] = ["?e", "?a", "?v", "?tx", "?added"];
/// The number of a row of the batch.
const ROW: &str = "?annals/row";
/// What the body of a stored predicate becomes: a rule.
const RULE: &str = "annals/shown";

/// The same value with only the datoms of which `predicate` holds. Of several filters all must hold, whatever their
/// order and that of views.
///
/// # Errors
/// `INVALID_VIEW` for what is no predicate of a datom, `UNKNOWN_FUNCTION`, `NOT_A_DATA_FUNCTION`, `ARGS_MISMATCH`, and
/// what is wrong with the body. Reads of the filtered value fail where the predicate does.
pub fn filter(db: &Db, predicate: &Edn) -> Result<Db, Error> {
    let question = Question::of(&db.present(), predicate)?;
    question.prepared(&db.unfiltered(), &no_rows())?;
    Ok(db.filtered(Arc::new(question)))
}

/// A predicate as a query about numbered datoms.
struct Question {
    /// as it was given
    name: String,
    query: Edn,
    rules: Edn,
    ready: Mutex<Option<Arc<Prepared>>>,
}

fn symbol(text: &str) -> Edn {
    Edn::new(Node::Symbol(Symbol::new(text)))
}

fn no_rows() -> Argument {
    Argument::Data(Datum::vector(Vec::new()))
}

impl Question {
    /// Spells out what `predicate` asks, as `present` knows it.
    fn of(present: &Db, predicate: &Edn) -> Result<Question, Error> {
        let (name, args) = named(predicate)?;
        let stored = match name.namespace() {
            Some(_) => Function::find(present, &Keyword::new(name.shared().clone()))?,
            None => None,
        };
        let stored =
            stored.as_ref().map(Predicate::of).transpose().map_err(|error| error.at(predicate.span))?;
        let args = match (args, &stored) {
            (Some(args), _) => args.to_vec(),
            (None, Some(stored)) => DATOM.iter().take(stored.arity()).map(|name| symbol(name)).collect(),
            (None, None) => {
                let message = format!("no predicate is called {name} in this database");
                return Err(Error::new(Code::UnknownFunction, message)
                    .at(predicate.span)
                    .with("function", &name)
                    .hint("only a stored predicate may stand without its arguments"));
            }
        };
        check_arguments(predicate, &args)?;
        if let Some(stored) = &stored {
            stored.check_arity(args.len()).map_err(|error| error.at(predicate.span))?;
        }
        let mut call = vec![Edn::new(Node::Symbol(name.clone()))];
        call.extend(args.iter().cloned());
        let rule = stored.as_ref().and_then(|stored| stored.as_rules(RULE));
        let (clause, rules) = match rule {
            Some(rules) => {
                call[0] = symbol(RULE);
                (Edn::new(Node::List(call)), rules)
            }
            None => (Edn::vector(vec![Edn::new(Node::List(call))]), Edn::vector(Vec::new())),
        };
        let query = query(clause);
        // What it calls in turn is found in the value at its basis too, whatever the view.
        let mut linked = Some(rules);
        let args = [Argument::Db(present.clone()), Argument::Form(Edn::nil()), no_rows()];
        let found = link(&query, &mut linked, &args)?;
        Ok(Question {
            name: predicate.to_string(),
            query: found.map_or(query, |found| found.query),
            rules: linked.unwrap_or(Edn::nil()),
            ready: Mutex::default(),
        })
    }

    /// The arguments of a run, and the query ready for them.
    fn prepared(&self, db: &Db, rows: &Argument) -> Result<(Arc<Prepared>, [Argument; 3]), Error> {
        let args = [Argument::Db(db.clone()), Argument::Form(self.rules.clone()), rows.clone()];
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(prepared) = ready.as_ref().filter(|prepared| prepared.fits(&args)) {
            return Ok((prepared.clone(), args));
        }
        let prepared = Arc::new(Prepared::new(&self.query, &args).map_err(|error| self.blamed(error))?);
        *ready = Some(prepared.clone());
        Ok((prepared, args))
    }

    /// An error of the predicate, which has no place in the text of whoever reads.
    fn blamed(&self, error: Error) -> Error {
        error.without_span().with("filter", &self.name)
    }
}

impl Filter for Question {
    fn keep(&self, db: &Db, rows: &Batch) -> Result<Vec<bool>, Error> {
        let datoms = Argument::Data(Datum::vector((0..rows.rows).map(|row| datom(rows, row)).collect()));
        let (prepared, args) = self.prepared(db, &datoms)?;
        let mut keep = vec![false; rows.rows];
        let mut found = prepared.run(&args, QueryCtx::default()).map_err(|error| self.blamed(error))?;
        while let Some(batch) = found.next().map_err(|error| self.blamed(error))? {
            for at in 0..batch.rows {
                let row = batch.columns[0].get_ref(at).and_then(|row| row.as_integer());
                if let Some(kept) = row.and_then(|row| keep.get_mut(row as usize)) {
                    *kept = true;
                }
            }
        }
        Ok(keep)
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// The function and the arguments that are written.
fn named(predicate: &Edn) -> Result<(Symbol, Option<&[Edn]>), Error> {
    let of = |form: &Edn| match &form.node {
        Node::Symbol(name) => Some(name.clone()),
        Node::Keyword(name) => Some(Symbol::new(name.shared().clone())),
        _ => None,
    };
    let found = match &predicate.node {
        Node::List(items) | Node::Vector(items) => {
            items.split_first().and_then(|(head, args)| Some((of(head)?, Some(args))))
        }
        _ => of(predicate).map(|name| (name, None)),
    };
    found.ok_or_else(|| unfit(predicate, "a filter names a predicate"))
}

fn unfit(predicate: &Edn, message: &str) -> Error {
    Error::new(Code::InvalidView, format!("{message}: {predicate}")).at(predicate.span).hint(
        "write :filter my/visible?, or a call over ?e ?a ?v ?tx ?added: :filter (my/visible? ?e \"ana\")",
    )
}

fn check_arguments(predicate: &Edn, args: &[Edn]) -> Result<(), Error> {
    for arg in args {
        let Node::Symbol(name) = &arg.node else { continue };
        if !DATOM.contains(&name.as_str()) {
            return Err(unfit(predicate, &format!("{name} is no part of a datom")).with("argument", name));
        }
    }
    Ok(())
}

/// `[:find ?row :in $ % [[?row ?e ?a ?v ?tx ?added]] :where clause]`
fn query(clause: Edn) -> Edn {
    let row = std::iter::once(ROW).chain(DATOM).map(symbol).collect();
    let inputs = vec![symbol("$"), symbol("%"), Edn::vector(vec![Edn::vector(row)])];
    Edn::map(vec![
        (Edn::keyword("find"), Edn::vector(vec![symbol(ROW)])),
        (Edn::keyword("in"), Edn::vector(inputs)),
        (Edn::keyword("where"), Edn::vector(vec![clause])),
    ])
}

/// A row of a batch with its number.
fn datom(rows: &Batch, row: usize) -> Datum {
    let entity = |e: u64| Datum::Value(Value::Ref(EntityId(e)));
    Datum::vector(vec![
        Datum::long(row as i64),
        entity(rows.e[row]),
        entity(annals_db::AttrId(rows.a[row]).entity().0),
        Datum::Value(rows.v.get(row).to_value()),
        entity(EntityId::of_tx(T(rows.t[row])).0),
        Datum::bool(rows.added[row]),
    ])
}
