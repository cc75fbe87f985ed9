//! The inputs of a query against what is given for them.

use annals_edn::{Code, Error, Span};

use super::InputShape;
use crate::ast::{Arg, Call, Clause, FindElem, Input, Query, SourceId};
use crate::functions::Function;

/// The most terms of a pattern on a database.
const MAX_TERMS: usize = 5;

/// Whether there are as many arguments as inputs and each is of its kind; for each source whether it is a database.
pub(super) fn check(query: &Query, inputs: &[InputShape]) -> Result<Vec<bool>, Error> {
    let (wanted, given) = (query.inputs.len(), inputs.len());
    if given < wanted {
        let span = span(&query.inputs[given]);
        let error =
            Error::new(Code::TooFewInputs, format!("the query takes {wanted} inputs, {given} are given"));
        return Err(error.at(span).hint("give one argument for each name of :in, in that order"));
    }
    if given > wanted {
        let message = format!("the query takes {wanted} inputs, {given} are given");
        return Err(Error::new(Code::ArgsMismatch, message).hint("every argument is named in :in"));
    }
    for (input, shape) in query.inputs.iter().zip(inputs) {
        if let (InputShape::Db(_), Input::Rules(at) | Input::Pull(_, at) | Input::Binding(_, at)) =
            (shape, input)
        {
            let error =
                Error::new(Code::InvalidArgument, "a database is given for an input that is no source");
            return Err(error.at(at.0).hint("names of sources begin with $"));
        }
    }
    let is_db = |source: &crate::ast::Source| matches!(inputs[source.input], InputShape::Db(_));
    Ok(query.sources.iter().map(is_db).collect())
}

fn span(input: &Input) -> Span {
    match input {
        Input::Source(_, at) | Input::Rules(at) | Input::Pull(_, at) | Input::Binding(_, at) => at.0,
    }
}

/// Whether databases stand where databases must, and patterns on them are no longer than a datom.
pub(super) fn check_sources(query: &Query, databases: &[bool]) -> Result<(), Error> {
    let is_db = |source: SourceId| databases.get(source.0 as usize).copied();
    for elem in &query.find.elements {
        if let FindElem::Pull { source, at, .. } = elem
            && is_db(*source) == Some(false)
        {
            return Err(not_a_database("pull", at.0));
        }
    }
    let rules = query.rules.iter().flat_map(|rule| &rule.branches).map(|branch| branch.clauses.as_slice());
    for clauses in std::iter::once(query.clauses.as_slice()).chain(rules) {
        super::calls::visit(clauses, &mut |clause| match clause {
            Clause::Pattern(pattern)
                if pattern.terms.len() > MAX_TERMS && is_db(pattern.source) == Some(true) =>
            {
                Err(Error::new(Code::InvalidClause, "a pattern on a database has at most five terms")
                    .at(pattern.at.0)
                    .hint("they are entity, attribute, value, transaction, operation"))
            }
            Clause::Predicate(call) | Clause::Function(call, _) => check_call(call, &is_db),
            _ => Ok(()),
        })?;
    }
    Ok(())
}

fn check_call(call: &Call, is_db: &impl Fn(SourceId) -> Option<bool>) -> Result<(), Error> {
    let reads_one = call.function.reads() && call.function != Function::Query;
    for (position, arg) in call.args.iter().enumerate() {
        match arg {
            Arg::Source(_) if !call.function.reads() => {
                let message = format!("{} takes no database", call.function.name());
                return Err(Error::new(Code::InvalidClause, message).at(call.at.0));
            }
            Arg::Source(source) if reads_one && position == 0 && is_db(*source) == Some(false) => {
                return Err(not_a_database(call.function.name(), call.at.0));
            }
            _ => {}
        }
    }
    match call.args.first() {
        Some(Arg::Source(_)) => Ok(()),
        _ if reads_one => Err(not_a_database(call.function.name(), call.at.0)),
        _ => Ok(()),
    }
}

fn not_a_database(function: &str, span: Span) -> Error {
    Error::new(Code::InvalidDataSource, format!("{function} reads a database"))
        .at(span)
        .hint(format!("write ({function} $ …)"))
}
