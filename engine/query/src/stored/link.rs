//! Stored functions in queries: `[(my/f ?x) ?y]` becomes `[(q '[…] $ ?x) ?y]` before anything is parsed.
//!
//! Stored aggregates, `(my/spread ?x)` in `:find`, become `(annals/aggregate [query rules name] ?x)`.
//!
//! Built-in names are never looked up, so that they mean the same in every database. Forms keep their places.

use annals_db::{Db, Function as Stored, Keyword};
use annals_edn::{Code, Edn, Error, Node, Symbol, read_one};

use super::body::{Body, Kind};
use crate::bind::Argument;
use crate::functions::{Aggregate, Function};
use crate::parse::{STORED_AGGREGATE, parse_inputs, variable};

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
    if columns(form).iter().any(finds_unknown) {
        return true;
    }
    match &form.node {
        Node::Vector(items) | Node::List(items) => items.iter().any(calls_unknown),
        Node::Map(entries) => entries.iter().any(|(_, value)| calls_unknown(value)),
        _ => false,
    }
}

/// The columns of a query in vector form, and those of a map that may be one.
fn columns(form: &Edn) -> &[Edn] {
    match &form.node {
        Node::Vector(items) if is_section(items.first(), "find") => {
            let rest = &items[1..];
            &rest[..rest.iter().take_while(|item| item.as_keyword().is_none()).count()]
        }
        Node::Map(_) => form.get("find").and_then(Edn::as_seq).unwrap_or_default(),
        _ => &[],
    }
}

fn is_section(form: Option<&Edn>, name: &str) -> bool {
    form.and_then(Edn::as_keyword).is_some_and(|keyword| keyword.as_str() == name)
}

/// Whether a column is, or has in its brackets, an aggregate that is not built in.
fn finds_unknown(column: &Edn) -> bool {
    match &column.node {
        Node::Vector(items) => items.iter().any(finds_unknown),
        _ => unknown_aggregate(column).is_some(),
    }
}

/// The name and the variable of an aggregate that is not built in.
fn unknown_aggregate(column: &Edn) -> Option<(&Symbol, &Edn)> {
    let Node::List(items) = &column.node else { return None };
    let [head, arg] = items.as_slice() else { return None };
    let name =
        head.as_symbol().filter(|name| name.namespace().is_some() && name.as_str() != STORED_AGGREGATE)?;
    match Aggregate::resolve(name, None) {
        Err(error) if error.code() == Code::InvalidAggregate => Some((name, arg)),
        _ => None,
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
            Node::Vector(items) if is_section(items.first(), "find") => Node::Vector(self.query(items)?),
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
                let entry = |(key, value): &(Edn, Edn)| {
                    let linked = match key.as_keyword().map(|key| key.as_str()) {
                        Some("find") => self.column(value)?,
                        Some("order-by") => value.clone(),
                        _ => self.form(value)?,
                    };
                    Ok((key.clone(), linked))
                };
                Node::Map(entries.iter().map(entry).collect::<Result<_, Error>>()?)
            }
            other => other.clone(),
        };
        Ok(Edn { node, span: form.span })
    }

    /// A query in vector form, section by section.
    fn query(&mut self, items: &[Edn]) -> Result<Vec<Edn>, Error> {
        let mut section = "";
        let mut linked = Vec::with_capacity(items.len());
        for item in items {
            if let Some(keyword) = item.as_keyword() {
                section = keyword.as_str();
            }
            linked.push(match section {
                "find" => self.column(item)?,
                "order-by" => item.clone(),
                _ => self.form(item)?,
            });
        }
        Ok(linked)
    }

    /// A column of `:find`, or several in brackets.
    fn column(&mut self, form: &Edn) -> Result<Edn, Error> {
        if let Node::Vector(items) = &form.node {
            let columns = items.iter().map(|item| self.column(item)).collect::<Result<_, _>>()?;
            return Ok(Edn { node: Node::Vector(columns), span: form.span });
        }
        let Some((name, arg)) = unknown_aggregate(form) else { return Ok(form.clone()) };
        let refused = |error: Error| error.at(form.span);
        let Some((stored, body)) = self.stored(name, std::slice::from_ref(arg)).map_err(refused)? else {
            return Ok(form.clone());
        };
        let ask = body.ask.as_ref().filter(|ask| matches!(body.kind, Kind::Query) && ask.takes_all(1));
        let Some(ask) = ask else {
            let message = format!("{} is no aggregate", stored.name);
            return Err(Error::new(Code::InvalidAggregate, message)
                .at(form.span)
                .with("aggregate", name)
                .hint("an aggregate is a query function of one collection: {:params [[?x ...]] :find …}"));
        };
        let rules = ask.rules().cloned().unwrap_or_else(Edn::nil);
        let spelled = Edn::vector(vec![ask.query.clone(), rules, Edn::new(Node::Symbol(name.clone()))]);
        let call = vec![Edn::new(Node::Symbol(Symbol::new(STORED_AGGREGATE))), spelled, arg.clone()];
        self.find(&stored);
        Ok(Edn { node: Node::List(call), span: form.span })
    }

    /// The function of that name, its body compiled, and fit for as many arguments.
    fn stored(&self, name: &Symbol, args: &[Edn]) -> Result<Option<(Stored, Body)>, Error> {
        let ident = Keyword::new(name.shared().clone());
        let Some(stored) = Stored::find(self.db, &ident)? else { return Ok(None) };
        let body = Body::parse(&read_one(&stored.body)?)?;
        super::check_arity(&ident, &body, args.len())?;
        Ok(Some((stored, body)))
    }

    /// Remembers what was found.
    fn find(&mut self, stored: &Stored) {
        if !self.found.iter().any(|(_, known)| known == stored) {
            self.found.push((self.at, stored.clone()));
        }
    }

    /// `(q (quote query) $ rules args…)`; nothing when no function has the name.
    fn spell(&mut self, name: &Symbol, args: &[Edn]) -> Result<Option<Node>, Error> {
        let Some((stored, body)) = self.stored(name, args)? else { return Ok(None) };
        let ident = &stored.name;
        let Some(ask) = body.ask.as_ref().filter(|_| !matches!(body.kind, Kind::Transaction(_))) else {
            let message = format!("{ident} is a transaction function, which queries cannot call");
            return Err(Error::new(Code::NotADataFunction, message).with("function", ident));
        };
        let symbol = |text: &str| Edn::new(Node::Symbol(Symbol::new(text)));
        let quoted = Edn::new(Node::List(vec![symbol("quote"), ask.query.clone()]));
        let mut call = vec![symbol("q"), quoted, symbol("$")];
        call.extend(ask.arguments(args));
        self.find(&stored);
        Ok(Some(Node::List(call)))
    }
}
