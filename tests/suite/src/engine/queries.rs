//! A query on the engine: arguments in, an answer in the shape of the find spec out.

use annals_db::{Db, T};
use annals_edn::{Edn, Error, Node};
use annals_query::{Argument, Prepared, QueryCtx, Rows};

use super::view_of;
use crate::case::filters;
use crate::columns::Query;
use crate::system::{Point, View};

/// Other plans that must give the same rows in the same order, each picked at random.
const OTHER_PLANS: u64 = 4;
/// Databases with more transactions are loaded ones, where a plan picked at random may take hours.
const SMALL: T = T(20);

/// Runs `query`; `$` is `db`, the other inputs are `args` in their order, databases among them views of `base`.
pub(super) fn answer(db: &Db, base: &Db, query: &Edn, args: &[Edn]) -> Result<Edn, Error> {
    let text = query.as_str().map(annals_edn::read_one).transpose()?;
    let parts = Query::of(text.as_ref().unwrap_or(query));
    let parts =
        parts.map_err(|trouble| Error::new(annals_edn::Code::InvalidQuery, format!("{trouble:?}")))?;
    let arguments = arguments(db, base, &parts, args)?;
    let prepared = Prepared::new(query, &arguments)?;
    if db.basis() <= SMALL {
        try_other_plans(&prepared, &arguments)?;
    }
    annals_query::answer(&prepared, &arguments, QueryCtx::default())
}

fn try_other_plans(prepared: &Prepared, arguments: &[Argument]) -> Result<(), Error> {
    let found = taken(prepared.run(arguments, QueryCtx::default())?)?;
    for seed in 0..OTHER_PLANS {
        let again = prepared.run_any_plan(arguments, QueryCtx::default(), seed).and_then(taken)?;
        assert!(again == found, "plan {seed} gives {} and not {}", Edn::vector(again), Edn::vector(found));
    }
    Ok(())
}

fn taken(mut rows: Rows<'_>) -> Result<Vec<Edn>, Error> {
    let mut found = Vec::new();
    while let Some(batch) = rows.next()? {
        let row = |at| Edn::vector(batch.columns.iter().map(|column| column.get(at).to_edn()).collect());
        found.extend((0..batch.rows).map(row));
    }
    Ok(found)
}

fn arguments(db: &Db, base: &Db, query: &Query, args: &[Edn]) -> Result<Vec<Argument>, Error> {
    let Some(inputs) = query.section("in") else {
        let mut all = vec![Argument::Db(db.clone())];
        for arg in args {
            all.push(argument(base, arg)?);
        }
        return Ok(all);
    };
    let mut given = args.iter();
    let mut arguments = Vec::new();
    for input in inputs {
        let own = input.as_symbol().is_some_and(|symbol| symbol.as_str() == "$");
        match if own { None } else { given.next() } {
            Some(arg) => arguments.push(argument(base, arg)?),
            None if own => arguments.push(Argument::Db(db.clone())),
            None => {}
        }
    }
    for arg in given {
        arguments.push(argument(base, arg)?);
    }
    Ok(arguments)
}

fn argument(base: &Db, arg: &Edn) -> Result<Argument, Error> {
    let Some(("annals/db", view)) = arg.as_tagged() else { return Ok(Argument::Form(arg.clone())) };
    let point = |key: &str| match view.get(key).map(|form| &form.node) {
        Some(Node::Long(t)) => Some(Point::T(*t)),
        Some(Node::Instant(millis)) => Some(Point::Instant(*millis)),
        _ => None,
    };
    let history = view.get("history").and_then(Edn::as_bool).unwrap_or(false);
    let db = view_of(base, &View { as_of: point("as-of"), since: point("since"), history })?;
    let filters = view.get("filter").cloned().map_or_else(Vec::new, filters);
    let db = filters.iter().try_fold(db, |db, filter| annals_query::filter(&db, filter))?;
    Ok(Argument::Db(db))
}
