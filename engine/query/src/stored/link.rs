//! Stored functions in queries: `[(my/f ?x) ?y]` becomes `[(q '[…] $ ?x) ?y]` before anything is parsed.
//!
//! Built-in names are never looked up, so that they mean the same in every database. Forms keep their places.

use annals_db::{Db, Function as Stored, Keyword};
use annals_edn::{Code, Edn, Error, Node, Symbol, read_one};

use super::body::{Body, Kind};
use crate::bind::Argument;
use crate::functions::Function;
use crate::parse::{parse_inputs, variable};

/// A query with its calls of stored functions spelled out.
pub(crate) struct Linked {
    pub(crate) query: Edn,
    /// what was found, and at which argument's database
    pub(crate) found: Vec<(usize, Stored)>,
}

impl Linked {
    /// Whether the functions are what they were.
    pub(crate) fn still_holds(found: &[(usize, Stored)], args: &[Argument]) -> bool {
        found.iter().all(|(at, stored)| match args.get(*at) {
            Some(Argument::Db(db)) => {
                Stored::find(db, &stored.name).is_ok_and(|now| now.as_ref() == Some(stored))
            }
            _ => false,
        })
    }
}

/// Spells out `query`, and the rules among `args` in place. Nothing is copied where no stored function is called.
///
/// # Errors
/// `INVALID_FUNCTION`, `NOT_A_DATA_FUNCTION`, `ARGS_MISMATCH`, those of the store.
pub(crate) fn link(query: &Edn, rules: &mut Option<Edn>, args: &[Argument]) -> Result<Option<Linked>, Error> {
    let called = calls_unknown(query) || rules.as_ref().is_some_and(calls_unknown);
    if !called {
        return Ok(None);
    }
    let Some((at, db)) = default_database(query, args)? else { return Ok(None) };
    let mut linker = Linker { db, at, found: Vec::new() };
    let query = linker.form(query)?;
    if let Some(form) = rules {
        *form = linker.form(form)?;
    }
    Ok(Some(Linked { query, found: linker.found }))
}

/// The database `$`; a history shows several versions of a function, so none is called on it.
fn default_database<'a>(query: &Edn, args: &'a [Argument]) -> Result<Option<(usize, &'a Db)>, Error> {
    let parsed = parse_inputs(query)?;
    let Some(source) = parsed.sources.iter().find(|source| source.name.as_str() == "$") else {
        return Ok(None);
    };
    Ok(match args.get(source.input) {
        Some(Argument::Db(db)) if !db.view().history => Some((source.input, db)),
        _ => None,
    })
}

/// The name, the arguments and their number, of a call that no built-in function answers.
fn unknown_call(form: &Edn) -> Option<(&Symbol, &[Edn])> {
    let Node::List(items) = &form.node else { return None };
    let (head, args) = items.split_first()?;
    let name = head.as_symbol().filter(|_| variable(head).is_none())?;
    name.namespace()?;
    match Function::resolve(name, args.len()) {
        Err(error) if error.code() == Code::UnknownFunction => Some((name, args)),
        _ => None,
    }
}

/// The list that a clause calls a function with.
fn called(form: &Edn) -> Option<&Edn> {
    match &form.node {
        Node::Vector(items) => items.first().filter(|first| matches!(first.node, Node::List(_))),
        _ => None,
    }
}

/// Whether some clause in `form` calls a function that is not built in, by a name with a namespace.
pub(super) fn calls_unknown(form: &Edn) -> bool {
    if called(form).is_some_and(|call| unknown_call(call).is_some()) {
        return true;
    }
    match &form.node {
        Node::Vector(items) | Node::List(items) => items.iter().any(calls_unknown),
        Node::Map(entries) => entries.iter().any(|(_, value)| calls_unknown(value)),
        _ => false,
    }
}

struct Linker<'a> {
    db: &'a Db,
    at: usize,
    found: Vec<(usize, Stored)>,
}

impl Linker<'_> {
    fn form(&mut self, form: &Edn) -> Result<Edn, Error> {
        let node = match &form.node {
            Node::Vector(items) => {
                let mut all = items.iter().map(|item| self.form(item)).collect::<Result<Vec<_>, _>>()?;
                if let (Some(call), Some(first)) = (called(form).and_then(unknown_call), all.first_mut())
                    && let Some(spelled) = self.spell(call.0, call.1).map_err(|error| error.at(first.span))?
                {
                    first.node = spelled;
                }
                Node::Vector(all)
            }
            Node::List(items) => {
                Node::List(items.iter().map(|item| self.form(item)).collect::<Result<_, _>>()?)
            }
            Node::Map(entries) => {
                let entry = |(key, value): &(Edn, Edn)| Ok((key.clone(), self.form(value)?));
                Node::Map(entries.iter().map(entry).collect::<Result<_, Error>>()?)
            }
            other => other.clone(),
        };
        Ok(Edn { node, span: form.span })
    }

    /// `(q (quote query) $ rules args…)`; nothing when no function has the name.
    fn spell(&mut self, name: &Symbol, args: &[Edn]) -> Result<Option<Node>, Error> {
        let ident = Keyword::new(name.shared().clone());
        let Some(stored) = Stored::find(self.db, &ident)? else { return Ok(None) };
        let body = Body::parse(&read_one(&stored.body)?)?;
        super::check_arity(&ident, &body, args.len())?;
        let Some(ask) = body.ask.as_ref().filter(|_| !matches!(body.kind, Kind::Transaction(_))) else {
            let message = format!("{ident} is a transaction function, which queries cannot call");
            return Err(Error::new(Code::NotADataFunction, message).with("function", &ident));
        };
        let symbol = |text: &str| Edn::new(Node::Symbol(Symbol::new(text)));
        let quoted = Edn::new(Node::List(vec![symbol("quote"), ask.query.clone()]));
        let mut call = vec![symbol("q"), quoted, symbol("$")];
        call.extend(ask.arguments(args));
        if !self.found.iter().any(|(_, known)| *known == stored) {
            self.found.push((self.at, stored));
        }
        Ok(Some(Node::List(call)))
    }
}
