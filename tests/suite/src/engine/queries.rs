//! A query on the engine: arguments in, an answer in the shape of the find spec out.

use annals_db::Db;
use annals_edn::{Edn, Error, Node};
use annals_query::{Argument, Prepared, QueryCtx};

use super::view_of;
use crate::columns::Query;
use crate::system::{Point, View};

/// Runs `query`; `$` is `db`, the other inputs are `args` in their order.
pub(super) fn answer(db: &Db, query: &Edn, args: &[Edn]) -> Result<Edn, Error> {
    let text = query.as_str().map(annals_edn::read_one).transpose()?;
    let parts = Query::of(text.as_ref().unwrap_or(query));
    let parts =
        parts.map_err(|trouble| Error::new(annals_edn::Code::InvalidQuery, format!("{trouble:?}")))?;
    let arguments = arguments(db, &parts, args)?;
    let prepared = Prepared::new(query, &arguments)?;
    annals_query::answer(&prepared, &arguments, QueryCtx::default())
}

fn arguments(db: &Db, query: &Query, args: &[Edn]) -> Result<Vec<Argument>, Error> {
    let Some(inputs) = query.section("in") else {
        let mut all = vec![Argument::Db(db.clone())];
        all.extend(args.iter().cloned().map(Argument::Form));
        return Ok(all);
    };
    let mut given = args.iter();
    let mut arguments = Vec::new();
    for input in inputs {
        let own = input.as_symbol().is_some_and(|symbol| symbol.as_str() == "$");
        match if own { None } else { given.next() } {
            Some(arg) => arguments.push(argument(db, arg)?),
            None if own => arguments.push(Argument::Db(db.clone())),
            None => {}
        }
    }
    for arg in given {
        arguments.push(argument(db, arg)?);
    }
    Ok(arguments)
}

fn argument(db: &Db, arg: &Edn) -> Result<Argument, Error> {
    let Some(("annals/db", view)) = arg.as_tagged() else { return Ok(Argument::Form(arg.clone())) };
    let point = |key: &str| match view.get(key).map(|form| &form.node) {
        Some(Node::Long(t)) => Some(Point::T(*t)),
        Some(Node::Instant(millis)) => Some(Point::Instant(*millis)),
        _ => None,
    };
    let history = view.get("history").and_then(Edn::as_bool).unwrap_or(false);
    view_of(db, &View { as_of: point("as-of"), since: point("since"), history }).map(Argument::Db)
}
