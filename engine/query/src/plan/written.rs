//! Clauses as text, as they were written or near it: what explaining and errors show.

use annals_edn::Edn;

use crate::ast::{Arg, Binding, Call, Clause, Or, Query, SourceId, Term, VarId};

/// The longest text of a clause; what is longer ends in dots.
const LONGEST: usize = 160;

/// `clause` as text, on one line.
pub(crate) fn clause(query: &Query, clause: &Clause) -> String {
    shortened(Writer { query }.clause(clause))
}

/// A constant as text, on one line.
pub(crate) fn constant(form: &Edn) -> String {
    shortened(form.to_string())
}

fn shortened(text: String) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

struct Writer<'q> {
    query: &'q Query,
}

impl Writer<'_> {
    fn clause(&self, clause: &Clause) -> String {
        match clause {
            Clause::Pattern(pattern) => {
                let terms = pattern.terms.iter().map(|term| self.term(*term));
                format!("[{}]", joined(self.source(pattern.source).into_iter().chain(terms)))
            }
            Clause::Predicate(call) => format!("[{}]", self.call(call)),
            Clause::Function(call, binding) => format!("[{} {}]", self.call(call), self.binding(binding)),
            Clause::Not(not) => {
                let body = self.all(&not.clauses);
                format!("(not-join [{}] {body})", self.vars(&not.join))
            }
            Clause::Or(or) => self.or(or),
            Clause::Rule(call) => {
                let args = call.args.iter().map(|term| self.term(*term));
                let name = std::iter::once(call.name.as_str().to_owned());
                format!("({})", joined(self.source(call.source).into_iter().chain(name).chain(args)))
            }
        }
    }

    fn or(&self, or: &Or) -> String {
        let branch = |clauses: &Vec<Clause>| match clauses.as_slice() {
            [one] => self.clause(one),
            many => format!("(and {})", self.all(many)),
        };
        let (required, free) = or.join.split_at(or.required);
        let required = (!required.is_empty()).then(|| format!("[{}]", self.vars(required)));
        let head = joined(required.into_iter().chain(free.iter().map(|var| self.var(*var))));
        format!("(or-join [{head}] {})", joined(or.branches.iter().map(branch)))
    }

    fn all(&self, clauses: &[Clause]) -> String {
        joined(clauses.iter().map(|clause| self.clause(clause)))
    }

    fn call(&self, call: &Call) -> String {
        let args = call.args.iter().map(|arg| match arg {
            Arg::Var(var) => self.var(*var),
            Arg::Const(id) => constant(self.query.constant(*id)),
            Arg::Source(source) => self.named(*source),
        });
        format!("({})", joined(std::iter::once(call.function.name().to_owned()).chain(args)))
    }

    fn binding(&self, binding: &Binding) -> String {
        let slot = |slot: &Option<VarId>| slot.map_or_else(|| "_".to_owned(), |var| self.var(var));
        match binding {
            Binding::Blank => "_".to_owned(),
            Binding::Scalar(var) => self.var(*var),
            Binding::Collection(var) => format!("[{} ...]", slot(var)),
            Binding::Tuple(slots) => format!("[{}]", joined(slots.iter().map(slot))),
            Binding::Relation(slots) => format!("[[{}]]", joined(slots.iter().map(slot))),
        }
    }

    fn vars(&self, vars: &[VarId]) -> String {
        joined(vars.iter().map(|var| self.var(*var)))
    }

    fn var(&self, var: VarId) -> String {
        self.query.name(var).as_str().to_owned()
    }

    fn term(&self, term: Term) -> String {
        match term {
            Term::Var(var) => self.var(var),
            Term::Const(id) => constant(self.query.constant(id)),
            Term::Blank => "_".to_owned(),
        }
    }

    /// A source where it must be written.
    fn source(&self, source: SourceId) -> Option<String> {
        Some(self.named(source)).filter(|name| name != "$")
    }

    fn named(&self, source: SourceId) -> String {
        match self.query.sources.get(usize::from(source.0)) {
            Some(source) => source.name.as_str().to_owned(),
            None => "$".to_owned(),
        }
    }
}

/// With spaces between.
pub(crate) fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(" ")
}
