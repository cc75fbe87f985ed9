//! The queries of the suites, kept as EDN, and how one is run on the engine.

use std::collections::HashMap;

use annals_db::Db;
use annals_edn::{Edn, Forms, Keyword, Node, Symbol};
use annals_query::{Argument, Prepared, QueryCtx};
use anyhow::{Context, Result, bail, ensure};

use crate::measure::{Figure, Timing, measure};
use crate::orders::orders;
use crate::places::Places;
use crate::report::Report;

/// Questions to people.
pub const PEOPLE: &str = include_str!("../queries/people20k.edn");
/// Closures.
pub const RULES: &str = include_str!("../queries/rules.edn");
/// Questions to a catalogue.
pub const MBRAINZ: &str = include_str!("../queries/mbrainz.edn");
/// Needing and being needed.
pub const DEBIAN: &str = include_str!("../queries/debian.edn");

/// One query of a suite.
#[derive(Clone)]
pub struct Case {
    /// its name in the report
    pub row: String,
    /// list form
    pub query: Edn,
    /// behind `$`
    pub args: Vec<Edn>,
    /// how many rows it must find, where that is known
    pub rows: Option<usize>,
}

impl Case {
    /// Puts other texts in the place of arguments; the number of rows is then unknown.
    pub fn ask_instead(&mut self, replace: impl Fn(&str) -> Option<String>) {
        for arg in &mut self.args {
            let text = match &mut arg.node {
                Node::Str(text) => text,
                Node::Tagged(_, inner) => match &mut inner.node {
                    Node::Str(text) => text,
                    _ => continue,
                },
                _ => continue,
            };
            if let Some(other) = replace(text) {
                *text = other.into();
            }
        }
    }

    /// The case as a line of EDN for the runners of other systems.
    pub fn line(&self, suite: &str, data: &str) -> Edn {
        let key = |name: &str| Edn::new(Node::Keyword(Keyword::new(name)));
        let rows = self.rows.map_or_else(Edn::nil, |rows| Edn::new(Node::Long(rows as i64)));
        Edn::map(vec![
            (key("suite"), Edn::string(suite)),
            (key("data"), Edn::string(data)),
            (key("row"), Edn::string(self.row.as_str())),
            (key("query"), self.query.clone()),
            (key("args"), Edn::vector(self.args.clone())),
            (key("rows"), rows),
        ])
    }
}

/// Reads a suite's queries.
///
/// # Errors
/// A form that is no case.
pub fn read(text: &str) -> Result<Vec<Case>> {
    Forms::new(text).map(|form| case(&form?)).collect()
}

fn case(form: &Edn) -> Result<Case> {
    let Node::Map(entries) = &form.node else { bail!("a case is a map") };
    let get = |name: &str| {
        let is_it = |key: &Edn| matches!(&key.node, Node::Keyword(key) if key.as_str() == name);
        entries.iter().find(|(key, _)| is_it(key)).map(|(_, value)| value)
    };
    let row = match get("row").map(|row| &row.node) {
        Some(Node::Str(row)) => row.to_string(),
        _ => bail!("a case has a :row"),
    };
    let args = match get("args").map(|args| &args.node) {
        Some(Node::Vector(args)) => args.clone(),
        _ => Vec::new(),
    };
    let rows = match get("rows").map(|rows| &rows.node) {
        Some(Node::Long(rows)) => Some(usize::try_from(*rows)?),
        _ => None,
    };
    Ok(Case { row, query: get("query").context("a case has a :query")?.clone(), args, rows })
}

/// A database in several places, the entities of its nodes, and what is asked of it.
pub struct Bench<'a> {
    /// the same facts in every place
    pub places: &'a Places,
    /// entity of each node that arguments may name
    pub nodes: &'a HashMap<String, u64>,
    /// how long to measure
    pub timing: Timing,
}

impl Bench<'_> {
    /// Measures every case in every place: prepared once, run to the last row, rows taken as typed columns.
    ///
    /// # Errors
    /// A query that fails or finds a wrong number of rows.
    pub fn run(&self, report: &mut Report, suite: &str, cases: &[Case]) -> Result<()> {
        for case in cases {
            let name = || format!("{suite} {}", case.row);
            let mut known = case.rows;
            for (place, db) in self.places.warm() {
                let args = self.arguments(db, case)?;
                let prepared = Prepared::new(&case.query, &args).with_context(name)?;
                let rows = match known {
                    Some(rows) => rows,
                    None => other_plan(&prepared, &args).with_context(name)?,
                };
                known = Some(rows);
                let figure = measure(self.timing, rows, || count(&prepared, &args)).with_context(name)?;
                report.figure(suite, &format!("{}{place}", case.row), figure, "ms");
            }
            self.run_cold(report, suite, case, known).with_context(name)?;
        }
        Ok(())
    }

    fn run_cold(&self, report: &mut Report, suite: &str, case: &Case, rows: Option<usize>) -> Result<()> {
        let cold = self.places.run_cold(|db| {
            let args = self.arguments(db, case)?;
            let found = count(&Prepared::new(&case.query, &args)?, &args)?;
            ensure!(rows == Some(found), "{found} rows from a cold store");
            Ok(())
        })?;
        let Some(cold) = cold else { return Ok(()) };
        let mut one = |what: &str, figure: f64, unit: &str| {
            report.figure(suite, &format!("{}-cold{what}", case.row), Figure::of(vec![figure]), unit);
        };
        one("", cold.query, "ms");
        one("-opening", cold.opening, "ms");
        one("-segments", cold.segments as f64, "segments");
        one("-read", cold.bytes as f64 / 1024.0, "KiB");
        Ok(())
    }

    /// Measures a case that is parsed, checked, planned and run every time.
    ///
    /// # Errors
    /// As [`Bench::run`].
    pub fn run_unprepared(&self, report: &mut Report, suite: &str, case: &Case) -> Result<()> {
        for (place, db) in self.places.warm() {
            let args = self.arguments(db, case)?;
            let rows = count(&Prepared::new(&case.query, &args)?, &args)?;
            let once = || count(&Prepared::new(&case.query, &args)?, &args);
            let figure = measure(self.timing, rows, once)?;
            report.figure(suite, &format!("{}-unprepared{place}", case.row), figure, "ms");
        }
        Ok(())
    }

    /// Runs every case in many orders of its clauses: rows `…-worst-order` (beside it the best) and `…-planning`.
    ///
    /// # Errors
    /// As [`Bench::run`].
    pub fn run_orders(&self, report: &mut Report, suite: &str, cases: &[Case]) -> Result<()> {
        for case in cases {
            for (place, db) in self.places.warm() {
                let args = self.arguments(db, case)?;
                let rows = count(&Prepared::new(&case.query, &args)?, &args)?;
                let name = || format!("{suite} {}{place}", case.row);
                let found = orders(&case.query, &args, rows).with_context(name)?;
                report.figure(suite, &format!("{}-worst-order{place}", case.row), found.run, "ms");
                report.figure(suite, &format!("{}-planning{place}", case.row), found.planning, "ms");
            }
        }
        Ok(())
    }

    fn arguments(&self, db: &Db, case: &Case) -> Result<Vec<Argument>> {
        let mut args = vec![Argument::Db(db.clone())];
        for arg in &case.args {
            args.push(Argument::Form(self.resolved(arg)?));
        }
        Ok(args)
    }

    fn resolved(&self, arg: &Edn) -> Result<Edn> {
        let Node::Tagged(tag, inner) = &arg.node else { return Ok(arg.clone()) };
        let Node::Str(name) = &inner.node else { bail!("a node is named by a text") };
        ensure!(*tag == Symbol::new("node"), "an argument is plain or a #node");
        let id = self.nodes.get(&**name).with_context(|| format!("no node {name}"))?;
        Ok(Edn::new(Node::Long(i64::try_from(*id)?)))
    }
}

/// Runs to the last row.
///
/// # Errors
/// Those of the run.
pub fn count(prepared: &Prepared, args: &[Argument]) -> Result<usize> {
    let mut rows = prepared.run(args, QueryCtx::default())?;
    let mut count = 0;
    while let Some(batch) = rows.next()? {
        count += batch.rows;
        std::hint::black_box(&batch.columns);
    }
    Ok(count)
}

/// How many rows another plan of the same query finds: what is held against the measured one where nothing is known.
fn other_plan(prepared: &Prepared, args: &[Argument]) -> Result<usize> {
    let mut rows = prepared.run_any_plan(args, QueryCtx::default(), 1)?;
    let mut count = 0;
    while let Some(batch) = rows.next()? {
        count += batch.rows;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_reads() {
        for (text, cases) in [(PEOPLE, 10), (RULES, 2), (MBRAINZ, 11), (DEBIAN, 4)] {
            assert_eq!(read(text).unwrap().len(), cases);
        }
    }

    #[test]
    fn arguments_can_be_replaced() {
        let mut case = read(DEBIAN).unwrap().remove(0);
        case.ask_instead(|name| (name == "gnome-core").then(|| "x".to_string()));
        assert_eq!(case.args[1].to_string(), "#node \"x\"");
    }
}
