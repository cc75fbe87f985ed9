//! Names for what differs from run to run: entity ids, transactions and their instants.
//!
//! On the way in `#annals/id "alice"`, `#annals/tx 2` and `#annals/now 2` become the values they stand for; on the way
//! out ids and instants become such forms again.

use std::collections::{BTreeMap, HashSet};

use annals_edn::{Edn, Error, Node};

use crate::case::Step;
use crate::system::{Committed, Database, Datoms, Point, Source, View};

/// Ids below this are in the partition of ids that users choose, and are taken for numbers.
const FIRST_PARTITIONED_ID: i64 = 1 << 42;

/// Why a step could not be run or judged.
#[derive(Debug)]
pub enum Trouble {
    /// The system refused.
    Refused(Error),
    /// The case names something that is not there.
    Case(String),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Trouble::Refused(error)
    }
}

/// One transaction of the case.
#[derive(Clone, Debug)]
struct Tx {
    /// The number of its step, `:with` for a speculated one.
    number: Edn,
    eid: i64,
    t: i64,
    instant: i64,
}

/// What is known after the steps run so far.
#[derive(Clone, Default)]
pub struct Names {
    names: BTreeMap<String, i64>,
    transactions: Vec<Tx>,
    /// Instants that the case itself gives; they are shown as they are.
    explicit: HashSet<i64>,
}

impl Names {
    /// Before the first step of a case with these steps.
    #[must_use]
    pub fn new(steps: &[Edn]) -> Names {
        let mut names = Names::default();
        steps.iter().for_each(|step| collect_instants(step, &mut names.explicit));
        names
    }

    /// Takes in what step number `number` committed; `:with` is a step number too.
    pub fn bind(&mut self, number: Edn, committed: &Committed) {
        let Committed { t, tx, instant, tempids, .. } = committed;
        self.transactions.push(Tx { number, eid: *tx, t: *t, instant: *instant });
        // A tempid that is a negative number names nothing.
        let is_name =
            |name: &str| name != "datomic.tx" && name.parse::<i64>().map_or(true, |number| number >= 0);
        self.names.extend(tempids.iter().filter(|(name, _)| is_name(name)).cloned());
    }

    /// The number of the step whose transaction has number `t`.
    #[must_use]
    pub fn step_of_t(&self, t: i64) -> Option<&Edn> {
        self.transactions.iter().find(|tx| tx.t == t).map(|tx| &tx.number)
    }

    /// The view of a step.
    ///
    /// # Errors
    /// [`Trouble::Case`] when it names what is not there.
    pub fn view(&self, step: &Step) -> Result<View, Trouble> {
        let point = |form: &Option<Edn>| form.as_ref().map(|form| self.point(form)).transpose();
        Ok(View { as_of: point(&step.as_of)?, since: point(&step.since)?, history: step.history })
    }

    /// A point in time as a case gives it: the number of a :tx step, `#annals/tx`, `#annals/now` or an instant.
    ///
    /// # Errors
    /// [`Trouble::Case`] when that step did not commit.
    pub fn point(&self, form: &Edn) -> Result<Point, Trouble> {
        match (&form.node, form.as_tagged()) {
            (Node::Long(_), _) => Ok(Point::T(self.transaction(form)?.t)),
            (_, Some(("annals/tx", number))) => Ok(Point::T(self.transaction(number)?.t)),
            (_, Some(("annals/now", number))) => Ok(Point::Instant(self.transaction(number)?.instant)),
            (Node::Instant(instant), _) => Ok(Point::Instant(*instant)),
            _ => Err(Trouble::Case(format!("no point in time: {form}"))),
        }
    }

    fn transaction(&self, number: &Edn) -> Result<&Tx, Trouble> {
        let found = self.transactions.iter().find(|tx| tx.number == *number);
        found.ok_or_else(|| Trouble::Case(format!("transaction {number} did not commit")))
    }
}

fn collect_instants(form: &Edn, into: &mut HashSet<i64>) {
    match &form.node {
        Node::Instant(millis) => drop(into.insert(*millis)),
        Node::Tagged(_, inner) => collect_instants(inner, into),
        Node::List(items) | Node::Vector(items) | Node::Set(items) => {
            items.iter().for_each(|item| collect_instants(item, into));
        }
        Node::Map(entries) => entries.iter().for_each(|(key, value)| {
            collect_instants(key, into);
            collect_instants(value, into);
        }),
        _ => {}
    }
}

/// Names seen against one value of the database.
pub struct Scope<'a> {
    /// the names
    pub names: &'a Names,
    /// the database
    pub database: &'a dyn Database,
    /// which value of it
    pub source: &'a Source,
}

impl Scope<'_> {
    /// `form` with names replaced by what they stand for.
    ///
    /// # Errors
    /// [`Trouble::Case`] when a name stands for nothing.
    pub fn live(&self, form: &Edn) -> Result<Edn, Trouble> {
        let all = |items: &[Edn]| items.iter().map(|item| self.live(item)).collect::<Result<Vec<_>, _>>();
        let node = match &form.node {
            Node::List(items) => Node::List(all(items)?),
            Node::Vector(items) => Node::Vector(all(items)?),
            Node::Set(items) => Node::Set(all(items)?),
            Node::Map(entries) => {
                let entry =
                    |(key, value): &(Edn, Edn)| Ok::<_, Trouble>((self.live(key)?, self.live(value)?));
                Node::Map(entries.iter().map(entry).collect::<Result<_, _>>()?)
            }
            Node::Tagged(tag, inner) => return self.live_tag(tag.as_str(), inner, form),
            _ => return Ok(form.clone()),
        };
        Ok(Edn { node, span: form.span })
    }

    fn live_tag(&self, tag: &str, inner: &Edn, form: &Edn) -> Result<Edn, Trouble> {
        let missing = || Trouble::Case(format!("nothing is named {form}"));
        match tag {
            "annals/id" if inner.as_keyword().is_some() => {
                Ok(Edn::long(self.database.entid(self.source, inner)?.ok_or_else(missing)?))
            }
            "annals/id" => {
                let name = inner.as_str().ok_or_else(missing)?;
                Ok(Edn::long(*self.names.names.get(name).ok_or_else(missing)?))
            }
            "annals/tx" => Ok(Edn::long(self.names.transaction(inner)?.eid)),
            "annals/now" => Ok(Edn::instant(self.names.transaction(inner)?.instant)),
            "annals/db" => self.live_database(inner),
            _ => Ok(form.clone()),
        }
    }

    /// A view as an argument, its points in time as numbers and instants.
    fn live_database(&self, view: &Edn) -> Result<Edn, Trouble> {
        let mut entries = Vec::new();
        for (key, value) in view.as_map().unwrap_or_default() {
            let is_point = key.as_keyword().is_some_and(|key| matches!(key.as_str(), "as-of" | "since"));
            let value = match is_point.then(|| self.names.point(value)).transpose()? {
                Some(Point::T(t)) => Edn::long(t),
                Some(Point::Instant(millis)) => Edn::instant(millis),
                None => self.live(value)?,
            };
            entries.push((key.clone(), value));
        }
        Ok(Edn::tagged("annals/db", Edn::map(entries)))
    }

    /// The name of an entity id: ident, transaction, name of a tempid, or `#annals/id "?"`.
    #[must_use]
    pub fn name(&self, eid: i64) -> Edn {
        let named = |form: Edn| Edn::tagged("annals/id", form);
        if let Ok(Some(ident)) = self.database.ident(self.source, &Edn::long(eid)) {
            return named(Edn::new(Node::Keyword(ident)));
        }
        if let Some(tx) = self.names.transactions.iter().find(|tx| tx.eid == eid) {
            return Edn::tagged("annals/tx", tx.number.clone());
        }
        let first = self.names.names.iter().find(|(_, id)| **id == eid).map(|(name, _)| name.as_str());
        named(Edn::string(first.unwrap_or(if eid < 0 { "tempid" } else { "?" })))
    }

    /// `form` with every id and transaction instant in it named: longs that are ids of entities of the case, and what
    /// stands under `:db/id`. Lists become vectors.
    #[must_use]
    pub fn plain(&self, form: &Edn) -> Edn {
        match &form.node {
            Node::Instant(millis) => self.plain_instant(*millis),
            Node::Long(long) if self.is_entity(*long) => self.name(*long),
            Node::List(items) | Node::Vector(items) => {
                Edn::vector(items.iter().map(|item| self.plain(item)).collect())
            }
            Node::Set(items) => Edn::set(items.iter().map(|item| self.plain(item)).collect()),
            Node::Map(entries) => Edn::map(entries.iter().map(|entry| self.plain_entry(entry)).collect()),
            _ => form.clone(),
        }
    }

    fn plain_entry(&self, (key, value): &(Edn, Edn)) -> (Edn, Edn) {
        let is_id = key.as_keyword().is_some_and(|key| key.as_str() == "db/id");
        match value.as_long().filter(|_| is_id) {
            Some(eid) => (key.clone(), self.name(eid)),
            None => (self.plain(key), self.plain(value)),
        }
    }

    fn plain_instant(&self, millis: i64) -> Edn {
        let tx = self.names.transactions.iter().find(|tx| tx.instant == millis);
        match tx.filter(|_| !self.names.explicit.contains(&millis)) {
            Some(tx) => Edn::tagged("annals/now", tx.number.clone()),
            None => Edn::instant(millis),
        }
    }

    fn is_entity(&self, long: i64) -> bool {
        let named = || {
            self.names.transactions.iter().any(|tx| tx.eid == long)
                || self.names.names.values().any(|id| *id == long)
        };
        long >= FIRST_PARTITIONED_ID && (named() || self.has_datoms(long))
    }

    fn has_datoms(&self, eid: i64) -> bool {
        let view = View { history: true, ..View::default() };
        let source = Source { view, with: self.source.with.clone(), filters: Vec::new() };
        let components = [Edn::long(eid)];
        let request = Datoms { index: "eavt", components: &components, seek: false, limit: Some(1) };
        self.database.datoms(&source, &request).is_ok_and(|datoms| !datoms.is_empty())
    }
}
