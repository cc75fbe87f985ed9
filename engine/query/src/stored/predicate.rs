//! Stored predicates as rules: what is asked of many arguments at once.

use annals_db::Function;
use annals_edn::{Code, Edn, Error, Node, Symbol, read_one};

use super::body::{Body, Kind};

/// A function that answers with true or not at all.
pub(crate) struct Predicate {
    function: Function,
    body: Body,
}

impl Predicate {
    /// Compiles the body.
    ///
    /// # Errors
    /// `NOT_A_DATA_FUNCTION` for a function that is no predicate; of the body.
    pub(crate) fn of(function: &Function) -> Result<Predicate, Error> {
        let body = Body::parse(&read_one(&function.body)?)
            .map_err(|error| error.without_span().with("function", &function.name))?;
        match body.kind {
            Kind::Predicate => Ok(Predicate { function: function.clone(), body }),
            _ => {
                let message = format!("{} is no predicate: it has :tx or :find", function.name);
                Err(Error::new(Code::NotADataFunction, message).with("function", &function.name))
            }
        }
    }

    /// How many arguments it takes.
    pub(crate) fn arity(&self) -> usize {
        self.body.params.len()
    }

    /// # Errors
    /// `ARGS_MISMATCH` for another number of arguments than it takes.
    pub(crate) fn check_arity(&self, given: usize) -> Result<(), Error> {
        super::check_arity(&self.function.name, &self.body, given)
    }

    /// The rules that say the same under the name of `rule`, its own among them; `None` where a parameter is taken
    /// apart, which the head of a rule cannot.
    pub(crate) fn as_rules(&self, rule: &str) -> Option<Edn> {
        let ask = self.body.ask.as_ref()?;
        let vars: Option<Vec<Edn>> = self
            .body
            .params
            .iter()
            .map(|param| param.scalar.clone().map(|name| Edn::new(Node::Symbol(name))))
            .collect();
        let mut head = vec![Edn::new(Node::Symbol(Symbol::new(rule)))];
        match vars? {
            vars if vars.is_empty() => return None,
            vars => head.push(Edn::vector(vars)),
        }
        let mut own = vec![Edn::new(Node::List(head))];
        own.extend_from_slice(ask.query.get("where")?.as_seq()?);
        let mut rules = vec![Edn::vector(own)];
        rules.extend_from_slice(ask.rules().and_then(Edn::as_seq).unwrap_or_default());
        Some(Edn::vector(rules))
    }
}
