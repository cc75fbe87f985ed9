//! One case: its steps in order against a new database, each answer compared with the one expected.

#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};

use annals_edn::{Edn, Error, Kind, Node};

use crate::case::{Action, Case, Step};
use crate::columns::Query;
use crate::names::{Names, Scope, Trouble};
use crate::shape::{QueryShape, canonical, datom_row, in_text_order, pulled, touched, tx_datoms};
use crate::system::{Committed, Database, Datoms, Source, System};

/// How a case ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// every step answered as expected
    Passed,
    /// the first step that did not
    Failed(Failure),
    /// the data it needs is not at hand
    Skipped,
}

/// The step of a case that went wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// counted from one; 0 when no step was reached
    pub step: usize,
    /// the step as written
    pub asked: String,
    /// the answer expected
    pub expected: String,
    /// the answer got, or what happened instead
    pub got: String,
}

/// Runs `case`; a panic of the system is a failure of the step. `trace` sees each step and its answer.
pub fn run_case(system: &dyn System, case: &Case, trace: &mut dyn FnMut(&Edn, &str)) -> Outcome {
    let opened = match &case.database {
        Some(name) => system.open(name),
        None => system.create(case.options).map(Some),
    };
    let mut database = match opened {
        Ok(Some(database)) => database,
        Ok(None) => return Outcome::Skipped,
        Err(error) => return Outcome::Failed(Failure::before_steps(format!("no database: {error:?}"))),
    };
    let mut run = Run { names: Names::new(&case.steps), transactions: 0 };
    for (at, (form, expected)) in case.steps.iter().zip(&case.expect).enumerate() {
        let answer = catch_unwind(AssertUnwindSafe(|| run.step(&mut *database, form, expected)));
        let judged = answer.unwrap_or_else(|panic| Err(format!("panic: {}", panic_text(&*panic))));
        trace(form, judged.as_ref().map_or_else(String::as_str, |answer| answer.got.as_str()));
        let failed = match judged {
            Ok(Judged { passed: true, .. }) => continue,
            Ok(Judged { got, expected, .. }) => (expected, got),
            Err(got) => (expected.to_string(), got),
        };
        return Outcome::Failed(Failure {
            step: at + 1,
            asked: form.to_string(),
            expected: failed.0,
            got: failed.1,
        });
    }
    Outcome::Passed
}

impl Failure {
    /// A failure of the case as a whole.
    #[must_use]
    pub fn before_steps(got: String) -> Failure {
        Failure { step: 0, asked: String::new(), expected: String::new(), got }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a message")
}

struct Run {
    names: Names,
    /// :tx steps so far, refused ones too.
    transactions: i64,
}

/// A step's answer beside the expected one, in canonical text.
struct Judged {
    passed: bool,
    expected: String,
    got: String,
}

impl Run {
    fn step(&mut self, database: &mut dyn Database, form: &Edn, expected: &Edn) -> Result<Judged, String> {
        let step = Step::of(form)?;
        if matches!(step.action, Action::Transact(_)) {
            self.transactions += 1;
        }
        match self.answer(database, &step, expected) {
            Ok((got, expected)) => Ok(judge(expected, got)),
            Err(Trouble::Refused(error)) => judge_refusal(expected, &error),
            Err(Trouble::Case(message)) => Err(format!("case error: {message}")),
        }
    }

    /// The answer of a step, and the expected one in the same shape.
    fn answer(
        &mut self,
        database: &mut dyn Database,
        step: &Step,
        expected: &Edn,
    ) -> Result<(Edn, Edn), Trouble> {
        if let Action::Transact(tx_data) = &step.action {
            let source = Source::default();
            let live = Scope { names: &self.names, database, source: &source }.live(tx_data)?;
            let committed = database.transact(&live)?;
            self.names.bind(Edn::long(self.transactions), &committed);
            let scope = Scope { names: &self.names, database, source: &source };
            return Ok((committed_answer(&scope, step, &committed), expected.clone()));
        }
        let database = &*database;
        let present = Source::default();
        let named = Scope { names: &self.names, database, source: &present };
        let filters = step.filters.iter().map(|filter| named.live(filter)).collect::<Result<_, _>>()?;
        let source = Source { view: self.names.view(step)?, with: None, filters };
        let Some(tx_data) = &step.with else {
            // Names are those of the present, whatever the view.
            let scope = Scope { names: &self.names, database, source: &present };
            return Reading { scope: &scope, source: &source, step }.answer(expected);
        };
        let live = Scope { names: &self.names, database, source: &present }.live(tx_data)?;
        let committed = database.with(&source.view, &live)?;
        let mut names = self.names.clone();
        names.bind(Edn::keyword("with"), &committed);
        let source = Source { with: Some(live), ..source };
        let scope = Scope { names: &names, database, source: &source };
        if matches!(step.action, Action::Speculate) {
            return Ok((committed_answer(&scope, step, &committed), expected.clone()));
        }
        Reading { scope: &scope, source: &source, step }.answer(expected)
    }
}

fn judge(expected: Edn, got: Edn) -> Judged {
    let anything = matches!(&expected.node, Node::Keyword(any) if any.as_str() == "any");
    let (expected, got) = (canonical(&expected), canonical(&got));
    Judged { passed: anything || expected == got, expected, got }
}

/// A refusal is a refusal whatever its code, unless ours is expected by name, and then with the details named; a fault
/// is none.
fn judge_refusal(expected: &Edn, error: &Error) -> Result<Judged, String> {
    let got = format!("{error:?}");
    if error.kind() == Kind::Fault {
        return Err(format!("fault: {got}"));
    }
    let anything = expected.as_keyword().is_some_and(|any| any.as_str() == "any");
    let named = match expected.get("error") {
        Some(code) => code.as_str().is_none_or(|code| code == error.code().as_str()),
        None => false,
    };
    let detail = |(name, value): &(Edn, Edn)| {
        let name = name.as_keyword().map_or("", |name| name.as_str());
        let mut held = error.details().iter().filter(|(held, _)| held == name);
        held.any(|(_, held)| value.as_str().is_none_or(|value| value == held))
    };
    let details = expected.get("details").and_then(Edn::as_map).unwrap_or_default();
    let passed = anything || (named && details.iter().all(detail));
    Ok(Judged { passed, expected: expected.to_string(), got })
}

fn committed_answer(scope: &Scope<'_>, step: &Step, committed: &Committed) -> Edn {
    let mut entries = vec![(Edn::keyword("tx"), Edn::keyword("ok"))];
    if step.show_datoms {
        entries.push((Edn::keyword("datoms"), tx_datoms(scope, &committed.datoms)));
    }
    Edn::map(entries)
}

/// A step that reads.
struct Reading<'a> {
    scope: &'a Scope<'a>,
    source: &'a Source,
    step: &'a Step,
}

impl Reading<'_> {
    fn answer(&self, expected: &Edn) -> Result<(Edn, Edn), Trouble> {
        let Self { scope, source, .. } = self;
        match &self.step.action {
            Action::Query(query, args) => self.query(query, args, expected),
            Action::Pull(pattern, entity) => {
                let entity = [scope.live(entity)?];
                let maps = scope.database.pull(source, &scope.live(pattern)?, &entity)?;
                let map = maps.into_iter().next().unwrap_or(Edn::nil());
                Ok(self.both(map, expected, |form| pulled(scope, form)))
            }
            Action::PullMany(pattern, entities) => {
                let entities = scope.live(entities)?;
                let entities = entities.as_seq().unwrap_or_default();
                let maps = scope.database.pull(source, &scope.live(pattern)?, entities)?;
                Ok(self.both(Edn::vector(maps), expected, |form| pulled(scope, form)))
            }
            Action::IndexPull(request) => {
                let mut maps = scope.database.index_pull(source, &scope.live(request)?)?;
                maps.truncate(self.step.limit.unwrap_or(usize::MAX));
                Ok(self.both(Edn::vector(maps), expected, |form| pulled(scope, form)))
            }
            Action::Entid(entity) => {
                let eid = scope.database.entid(source, &scope.live(entity)?)?;
                Ok((result(eid.map_or(Edn::nil(), |eid| scope.name(eid))), expected.clone()))
            }
            Action::Ident(entity) => {
                let ident = scope.database.ident(source, &scope.live(entity)?)?;
                Ok((
                    result(ident.map_or(Edn::nil(), |ident| Edn::new(Node::Keyword(ident)))),
                    expected.clone(),
                ))
            }
            Action::Entity(entity, keys) => {
                let found = scope.database.entity(source, &scope.live(entity)?, keys)?;
                Ok(self.both(found, expected, |form| touched(scope, form)))
            }
            Action::Stats(attributes) => self.stats(attributes, expected),
            Action::TxRange(start, end) => self.tx_range(start, end, expected),
            _ => self.datoms(expected),
        }
    }

    /// The answer and the expected one, both made comparable by `shape`.
    fn both(&self, got: Edn, expected: &Edn, shape: impl Fn(&Edn) -> Edn) -> (Edn, Edn) {
        let expected =
            expected.get("result").map_or_else(|| expected.clone(), |wanted| result(shape(wanted)));
        (result(shape(&got)), expected)
    }

    fn query(&self, query: &Edn, args: &[Edn], expected: &Edn) -> Result<(Edn, Edn), Trouble> {
        let scope = self.scope;
        let live_args = args.iter().map(|arg| scope.live(arg)).collect::<Result<Vec<_>, _>>()?;
        let live_query = match query.as_str() {
            Some(text) => annals_edn::read_one(text)?,
            None => scope.live(query)?,
        };
        let got = scope.database.query(self.source, &live_query, &live_args)?;
        let parsed = Query::of(query)?;
        let shape = QueryShape::new(scope, &parsed, args, self.step.ordered);
        Ok(self.both(got, expected, |form| shape.apply(form)))
    }

    fn datoms(&self, expected: &Edn) -> Result<(Edn, Edn), Trouble> {
        let Self { scope, source, step } = self;
        let (datoms, in_order) = match &step.action {
            Action::Datoms(index, components, seek) => {
                let components =
                    components.iter().map(|form| scope.live(form)).collect::<Result<Vec<_>, _>>()?;
                let request = Datoms { index, components: &components, seek: *seek, limit: step.limit };
                (scope.database.datoms(source, &request)?, index == "avet")
            }
            Action::IndexRange(attribute, start, end) => {
                let (attribute, start, end) = (scope.live(attribute)?, scope.live(start)?, scope.live(end)?);
                (scope.database.index_range(source, &attribute, &start, &end)?, true)
            }
            other => return Err(Trouble::Case(format!("{other:?} reads no datoms"))),
        };
        let limit = step.limit.unwrap_or(usize::MAX);
        let rows = Edn::vector(datoms.iter().take(limit).map(|datom| datom_row(scope, datom)).collect());
        let sort = !(in_order || step.ordered);
        Ok(self.both(rows, expected, |form| match form.as_seq() {
            Some(rows) if sort => Edn::vector(in_text_order(rows.to_vec())),
            _ => form.clone(),
        }))
    }

    /// The counts of the attributes asked for, as many of them as the case knows.
    fn stats(&self, attributes: &[Edn], expected: &Edn) -> Result<(Edn, Edn), Trouble> {
        let counts = self.scope.database.stats(self.source)?;
        let wanted = |a: &Edn, key: &str| {
            let of = |(known, held): &(Edn, Edn)| (known == a).then(|| held.get(key).is_some());
            let known = expected.get("result").and_then(Edn::as_map).unwrap_or_default();
            known.iter().find_map(of).unwrap_or(true)
        };
        let shown = |a: &Edn| {
            let held = counts.iter().find(|held| Some(&held.a) == a.as_keyword())?;
            let numbers = [("count", held.datoms), ("current", held.current), ("entities", held.entities)];
            let entries = numbers
                .into_iter()
                .filter(|(key, _)| wanted(a, key))
                .map(|(key, n)| (Edn::keyword(key), Edn::long(i64::try_from(n).unwrap_or(i64::MAX))));
            Some((a.clone(), Edn::map(entries.collect())))
        };
        Ok((result(Edn::map(attributes.iter().filter_map(shown).collect())), expected.clone()))
    }

    fn tx_range(&self, start: &Edn, end: &Edn, expected: &Edn) -> Result<(Edn, Edn), Trouble> {
        let names = self.scope.names;
        let t = |form: &Edn| if form.is_nil() { Ok(None) } else { names.point(form).map(Some) };
        let transactions = self.scope.database.tx_range(self.source, t(start)?, t(end)?)?;
        let entry = |(t, datoms): &(i64, Vec<_>)| {
            let number = names.step_of_t(*t)?.clone();
            Some(Edn::map(vec![
                (Edn::keyword("t"), number),
                (Edn::keyword("data"), tx_datoms(self.scope, datoms)),
            ]))
        };
        Ok((result(Edn::vector(transactions.iter().filter_map(entry).collect())), expected.clone()))
    }
}

fn result(form: Edn) -> Edn {
    Edn::map(vec![(Edn::keyword("result"), form)])
}
