//! Transactions as text, against a small world: what each rule of writing answers. Cases that the oracle has answers
//! for stand in tests/conformance; here is what only this database has, what errors say, and properties.

mod forms;
mod garbage;
mod invariants;
mod model;
mod properties;
mod refusals;
mod schema;
mod upsert;
mod values;

use std::collections::HashMap;
use std::sync::Arc;

use annals_edn::{Code, Edn, Error, Node, read_one};

use super::{Context, Limits, NoFunctions, transact};
use crate::database::{Db, Incarnation, Options};
use crate::datom::Datom;
use crate::form::form;
use crate::id::{EntityId, T};
use crate::log::TxBody;
use crate::value::Value;

/// The attributes of semantics.md §10.
pub(super) const PEOPLE: &str = r#"[
  {:db/ident :p/email :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/unique :db.unique/identity}
  {:db/ident :p/code :db/valueType :db.type/long :db/cardinality :db.cardinality/one :db/unique :db.unique/identity}
  {:db/ident :p/ssn :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/unique :db.unique/value}
  {:db/ident :p/name :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/index true}
  {:db/ident :p/age :db/valueType :db.type/long :db/cardinality :db.cardinality/one}
  {:db/ident :p/nick :db/valueType :db.type/keyword :db/cardinality :db.cardinality/many}
  {:db/ident :p/friend :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}
  {:db/ident :p/boss :db/valueType :db.type/ref :db/cardinality :db.cardinality/one :db/unique :db.unique/identity}
  {:db/ident :p/phones :db/valueType :db.type/ref :db/cardinality :db.cardinality/many :db/isComponent true}
  {:db/ident :p/number :db/valueType :db.type/string :db/cardinality :db.cardinality/one}
  {:db/ident :st/on}]"#;

/// A database, and what the tempids of earlier transactions became.
#[derive(Clone)]
pub(super) struct World {
    pub(super) db: Db,
    pub(super) names: HashMap<String, EntityId>,
    pub(super) now: i64,
    pub(super) limits: Limits,
}

impl World {
    pub(super) fn new(schema: &str) -> World {
        let db = Db::empty(Incarnation(7), Options::default());
        let mut world =
            World { db, names: HashMap::new(), now: 1_600_000_000_000, limits: Limits::default() };
        world.commit(schema);
        world
    }

    pub(super) fn people() -> World {
        World::new(PEOPLE)
    }

    /// Decides a transaction; `#e "name"` is the entity that a tempid became, `#tx n` that of transaction n.
    pub(super) fn decide(&self, text: &str) -> Result<Arc<TxBody>, Error> {
        let mut tx_data = read_one(text).expect("the transaction is EDN");
        self.fill(&mut tx_data);
        self.decide_form(&tx_data)
    }

    pub(super) fn decide_form(&self, tx_data: &Edn) -> Result<Arc<TxBody>, Error> {
        let context = Context {
            now: self.now,
            limits: self.limits,
            functions: &NoFunctions,
            client_id: None,
            request_hash: 0,
        };
        transact(&self.db, tx_data, &context)
    }

    /// Replaces the test's own tags by ids.
    fn fill(&self, form: &mut Edn) {
        let id = match &mut form.node {
            Node::Tagged(tag, inner) => match (tag.as_str(), &inner.node) {
                ("e", Node::Str(name)) => Some(self.names[name.as_ref()]),
                ("tx", Node::Long(n)) => Some(EntityId::of_tx(T(n.unsigned_abs()))),
                _ => None,
            },
            Node::List(forms) | Node::Vector(forms) | Node::Set(forms) => {
                forms.iter_mut().for_each(|form| self.fill(form));
                None
            }
            Node::Map(entries) => {
                for (key, value) in entries {
                    self.fill(key);
                    self.fill(value);
                }
                None
            }
            _ => None,
        };
        if let Some(id) = id {
            form.node = Node::Long(id.as_long());
        }
    }

    pub(super) fn apply(&mut self, body: &Arc<TxBody>) {
        self.db = self.db.apply(body).expect("the body continues the value");
        self.names.extend(body.tempids.iter().map(|(name, e)| (name.to_string(), *e)));
    }

    /// Commits and shows the datoms, sorted as text.
    pub(super) fn commit(&mut self, text: &str) -> Vec<String> {
        let body = self.decide(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        self.apply(&body);
        let mut shown: Vec<String> = body.datoms.iter().map(|datom| self.show(datom)).collect();
        shown.sort();
        shown
    }

    pub(super) fn refuse(&self, text: &str) -> Error {
        match self.decide(text) {
            Ok(body) => panic!("{text} is not refused: {:?}", body.datoms),
            Err(error) => error,
        }
    }

    pub(super) fn show(&self, datom: &Datom) -> String {
        let a = self.db.schema().ident(datom.a.entity()).expect("attributes have idents");
        let sign = if datom.added { '+' } else { '-' };
        format!("{sign}{} {a} {}", self.entity(datom.e), self.value(&datom.v))
    }

    fn entity(&self, e: EntityId) -> String {
        if let Some(ident) = self.db.schema().ident(e) {
            return ident.to_string();
        }
        if let Some(T(t)) = e.as_t() {
            return format!("tx{t}");
        }
        let names = self.names.iter().filter(|(_, id)| **id == e).map(|(name, _)| name);
        names.min().cloned().unwrap_or_else(|| "?".to_owned())
    }

    fn value(&self, v: &Value) -> String {
        match v {
            Value::Ref(e) => self.entity(*e),
            Value::Tuple(slots) => {
                let slots: Vec<String> = slots
                    .iter()
                    .map(|slot| slot.as_ref().map_or("nil".to_owned(), |v| self.value(v)))
                    .collect();
                format!("[{}]", slots.join(" "))
            }
            other => form(other).to_string(),
        }
    }

    /// The present, as shown datoms, without the bootstrap.
    pub(super) fn facts(&self, name: &str) -> Vec<String> {
        let e = self.names[name];
        let range = crate::Range::entity(e);
        let mut batch = crate::Batch::new(None);
        let mut facts = Vec::new();
        let mut scan = self.db.scan(&range, crate::Columns::ALL);
        while scan.next(&mut batch).expect("novelty is there") {
            for row in 0..batch.rows {
                let a = crate::AttrId(batch.a[row]);
                let v = batch.v.get(row).to_value();
                facts.push(self.show(&Datom { e, a, v, t: T(0), added: true }));
            }
        }
        facts
    }
}

/// A transaction is refused with that code.
pub(super) fn refused(world: &World, text: &str, code: Code) {
    let error = world.refuse(text);
    assert_eq!(error.code(), code, "{text}: {error:?}");
}

pub(super) fn detail(error: &Error, name: &str) -> Option<String> {
    error.details().iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone())
}
