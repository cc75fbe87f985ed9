//! The grammar of a body: a map of keywords, each part checked as far as it can be without arguments.

use annals_db::Db;
use annals_edn::{Code, Edn, Error, Node, Symbol};

use super::ask::Ask;
use super::template::{placeless, variables};
use crate::functions::nearest;
use crate::parse::variable;

const KEYS: [&str; 11] =
    ["lang", "params", "rules", "require", "where", "tx", "new", "else", "find", "with", "doc"];

/// A compiled body.
pub(super) struct Body {
    pub(super) params: Vec<Param>,
    pub(super) require: Vec<Requirement>,
    /// the query of `:where`; none where there is nothing to ask
    pub(super) ask: Option<Ask>,
    pub(super) kind: Kind,
}

/// What a function is for.
pub(super) enum Kind {
    Transaction(Transaction),
    Query,
    Predicate,
}

/// The parts that only transaction functions have.
pub(super) struct Transaction {
    pub(super) forms: Vec<Edn>,
    /// variables of the forms that the query answers, in the order of its columns
    pub(super) row: Vec<Symbol>,
    pub(super) new: Vec<Symbol>,
    pub(super) otherwise: Option<Otherwise>,
}

/// What stands in place of the template when the query has no answer.
pub(super) enum Otherwise {
    Forms(Vec<Edn>),
    Refuse(Refusal),
}

pub(super) struct Requirement {
    pub(super) ask: Ask,
    pub(super) refusal: Refusal,
}

/// What a function says when it refuses.
pub(super) struct Refusal {
    pub(super) message: Option<String>,
    pub(super) conflict: bool,
}

/// One parameter.
pub(super) struct Param {
    pub(super) number: usize,
    pub(super) form: Edn,
    pub(super) vars: Vec<Symbol>,
    /// the variable, if it is nothing but one
    pub(super) scalar: Option<Symbol>,
}

impl Body {
    /// Compiles `form`.
    ///
    /// # Errors
    /// `INVALID_FUNCTION`, naming the part.
    pub(super) fn parse(form: &Edn) -> Result<Body, Error> {
        let form = placeless(form);
        let parts = Parts::of(&form)?;
        parts.check_language()?;
        let params = params(&parts)?;
        let rules = parts.vector("rules")?.map(|rules| Edn::vector(rules.to_vec()));
        let clauses = parts.vector("where")?.map(|clauses| Edn::vector(clauses.to_vec()));
        let (rules, clauses) = (rules.as_ref(), clauses.as_ref());
        let kind = kind(&parts, &params, clauses.is_some())?;
        let ask = match &kind {
            Kind::Transaction(made) => {
                let asks = clauses.is_some() || !made.row.is_empty();
                asks.then(|| Ask::rows_of(&made.row, &params, rules, clauses))
            }
            Kind::Query => {
                let entry = |key: &str| Some((Edn::keyword(key), parts.get(key)?.clone()));
                let entries = ["find", "with"].into_iter().filter_map(entry).collect();
                Some(Ask::new(entries, &params, rules, clauses))
            }
            Kind::Predicate => Some(Ask::whether(&params, rules, clauses)),
        };
        let requirement = |form: &Edn| requirement(form, &params, rules);
        let require = parts.vector("require")?.unwrap_or_default();
        let require = require.iter().map(requirement).collect::<Result<_, _>>()?;
        Ok(Body { params, require, ask, kind })
    }

    /// Checks the queries on the schema of `db`. Unknown attributes are found when it runs, they may come later.
    ///
    /// # Errors
    /// `INVALID_FUNCTION`, naming the part and what is wrong with it.
    pub(super) fn verify(&self, db: &Db) -> Result<(), Error> {
        let asks = self.require.iter().map(|requirement| (":require", &requirement.ask));
        for (part, ask) in self.ask.iter().map(|ask| (":where", ask)).chain(asks) {
            ask.verify(db.schema()).map_err(|error| {
                let invalid = invalid(part, error.message()).with("error", error.code().as_str());
                match error.hint_text() {
                    Some(hint) => invalid.hint(hint),
                    None => invalid,
                }
            })?;
        }
        Ok(())
    }
}

fn invalid(part: &str, what: &str) -> Error {
    Error::new(Code::InvalidFunction, format!("the function cannot be: {part}: {what}")).with("part", part)
}

/// The entries of a map.
struct Parts<'a> {
    entries: &'a [(Edn, Edn)],
}

impl<'a> Parts<'a> {
    fn of(form: &'a Edn) -> Result<Parts<'a>, Error> {
        let Node::Map(entries) = &form.node else {
            return Err(invalid("body", "it is no map"));
        };
        for (key, _) in entries {
            let name = key.as_keyword().map_or("", |name| name.as_str());
            if !KEYS.contains(&name) {
                let error = invalid(&key.to_string(), "there is no such part");
                return Err(match nearest(name, KEYS.into_iter()) {
                    Some(near) => error.hint(format!("did you mean :{near}?")),
                    None => error.hint(format!("the parts are :{}", KEYS.join(" :"))),
                });
            }
        }
        Ok(Parts { entries })
    }

    fn get(&self, name: &str) -> Option<&'a Edn> {
        let found = |(key, _): &&(Edn, Edn)| key.as_keyword().is_some_and(|key| key.as_str() == name);
        self.entries.iter().find(found).map(|(_, value)| value)
    }

    fn vector(&self, name: &str) -> Result<Option<&'a [Edn]>, Error> {
        match self.get(name).map(|form| &form.node) {
            None => Ok(None),
            Some(Node::Vector(items) | Node::List(items)) => Ok(Some(items)),
            Some(_) => Err(invalid(&format!(":{name}"), "it is no vector")),
        }
    }

    fn check_language(&self) -> Result<(), Error> {
        match self.get("lang").map(|form| form.as_keyword().map_or("", |name| name.as_str())) {
            None | Some("datalog") => Ok(()),
            Some(_) => {
                Err(invalid(":lang", "only :datalog is offered").with("error", Code::Unsupported.as_str()))
            }
        }
    }
}

fn params(parts: &Parts<'_>) -> Result<Vec<Param>, Error> {
    let mut params: Vec<Param> = Vec::new();
    for (number, form) in parts.vector("params")?.unwrap_or_default().iter().enumerate() {
        let mut vars = Vec::new();
        variables(form, &mut vars);
        let blank = form.as_symbol().is_some_and(|name| name.as_str() == "_");
        if vars.is_empty() && !blank {
            return Err(invalid(":params", &format!("{form} binds nothing"))
                .hint("parameters are ?x, _, [?x ?y], [?x ...] and [[?x ?y]]"));
        }
        if let Some(twice) = vars.iter().find(|name| params.iter().any(|param| param.vars.contains(name))) {
            return Err(invalid(":params", &format!("{twice} stands there twice")));
        }
        let scalar = variable(form).cloned();
        params.push(Param { number, form: form.clone(), vars, scalar });
    }
    Ok(params)
}

fn kind(parts: &Parts<'_>, params: &[Param], asks: bool) -> Result<Kind, Error> {
    let Some(forms) = parts.vector("tx")? else {
        let only = ["new", "else", "require"].into_iter().find(|name| parts.get(name).is_some());
        return match (only, parts.get("find")) {
            (Some(name), _) => {
                Err(invalid(&format!(":{name}"), "only a transaction function, one with :tx, has it"))
            }
            (None, Some(_)) => Ok(Kind::Query),
            (None, None) if asks => Ok(Kind::Predicate),
            (None, None) => Err(invalid("body", "it has neither :tx nor :find nor :where")),
        };
    };
    if parts.get("find").is_some() {
        return Err(invalid(":find", "a transaction function answers its :tx"));
    }
    let new = new_variables(parts, params)?;
    let mut used = Vec::new();
    forms.iter().for_each(|form| variables(form, &mut used));
    let is_scalar = |name: &Symbol| params.iter().any(|param| param.scalar.as_ref() == Some(name));
    let is_param = |name: &Symbol| params.iter().any(|param| param.vars.contains(name));
    let row: Vec<Symbol> = used.into_iter().filter(|name| !is_scalar(name) && !new.contains(name)).collect();
    if let Some(unbound) = row.iter().find(|name| !asks && !is_param(name)) {
        return Err(invalid(":tx", &format!("nothing binds {unbound}")));
    }
    let otherwise = parts.get("else").map(otherwise).transpose()?;
    if let Some(Otherwise::Forms(forms)) = &otherwise {
        let mut used = Vec::new();
        forms.iter().for_each(|form| variables(form, &mut used));
        if let Some(unbound) = used.iter().find(|name| !is_scalar(name) && !new.contains(name)) {
            return Err(invalid(":else", &format!("{unbound} is no parameter, and there is no row")));
        }
    }
    Ok(Kind::Transaction(Transaction { forms: forms.to_vec(), row, new, otherwise }))
}

fn new_variables(parts: &Parts<'_>, params: &[Param]) -> Result<Vec<Symbol>, Error> {
    let mut new: Vec<Symbol> = Vec::new();
    for form in parts.vector("new")?.unwrap_or_default() {
        let name = variable(form).ok_or_else(|| invalid(":new", &format!("{form} is no variable")))?;
        if new.contains(name) || params.iter().any(|param| param.vars.contains(name)) {
            return Err(invalid(":new", &format!("{name} is another's already")));
        }
        new.push(name.clone());
    }
    Ok(new)
}

fn otherwise(form: &Edn) -> Result<Otherwise, Error> {
    match &form.node {
        Node::Vector(forms) | Node::List(forms) => Ok(Otherwise::Forms(forms.clone())),
        Node::Map(_) => Ok(Otherwise::Refuse(refusal(":else", form, &[])?)),
        _ => Err(invalid(":else", "it is neither a vector of forms nor a map with a :message")),
    }
}

fn requirement(form: &Edn, params: &[Param], rules: Option<&Edn>) -> Result<Requirement, Error> {
    let refusal = refusal(":require", form, &["where"])?;
    match form.get("where").filter(|clauses| clauses.as_seq().is_some_and(|clauses| !clauses.is_empty())) {
        Some(clauses) => Ok(Requirement { ask: Ask::whether(params, rules, Some(clauses)), refusal }),
        None => Err(invalid(":require", "it has no :where")),
    }
}

/// `{:message text :category :incorrect|:conflict}`, and the keys `also`.
fn refusal(part: &str, form: &Edn, also: &[&str]) -> Result<Refusal, Error> {
    let Node::Map(entries) = &form.node else { return Err(invalid(part, &format!("{form} is no map"))) };
    let mut refusal = Refusal { message: None, conflict: false };
    for (key, value) in entries {
        match (key.as_keyword().map_or("", |name| name.as_str()), &value.node) {
            ("message", Node::Str(text)) => refusal.message = Some(text.to_string()),
            ("category", Node::Keyword(name)) if name.as_str() == "conflict" => refusal.conflict = true,
            ("category", Node::Keyword(name)) if name.as_str() == "incorrect" => {}
            (other, _) if also.contains(&other) => {}
            _ => {
                return Err(invalid(part, &format!("{key} {value} means nothing there"))
                    .hint("it takes :message and a text, :category and :incorrect or :conflict"));
            }
        }
    }
    Ok(refusal)
}
