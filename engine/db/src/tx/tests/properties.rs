//! Random sequences of transactions against the model: same datoms or same refusal, any order of the forms the same,
//! and the bodies replayed are the present.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use annals_edn::{Code, Error};
use proptest::prelude::*;

use super::World;
use super::model::{ATTRS, Attr, Fact, Form, Model, What, Who};
use crate::datom::Datom;
use crate::form::form;
use crate::id::EntityId;
use crate::log::TxBody;
use crate::value::Value;
use crate::{Batch, Columns, Db, Incarnation, Index, Options, Range, T};

/// A form before it is known which entities there are: small numbers to draw them by.
#[derive(Clone, Debug)]
struct Draft {
    kind: u8,
    who: u8,
    facts: Vec<(u8, u8, u8)>,
}

fn transactions() -> impl Strategy<Value = Vec<Vec<Draft>>> {
    let facts = prop::collection::vec((any::<u8>(), any::<u8>(), any::<u8>()), 1..4);
    let draft = (any::<u8>(), any::<u8>(), facts).prop_map(|(kind, who, facts)| Draft { kind, who, facts });
    prop::collection::vec(prop::collection::vec(draft, 1..7), 1..10)
}

/// Half of the draws are tempids, half entities that are there.
fn who(draw: u8, known: &[u64]) -> Who {
    match known.len() {
        len if len > 0 && draw.is_multiple_of(2) => Who::Id(known[draw as usize / 2 % len]),
        _ => Who::Temp(draw as usize / 2 % 4),
    }
}

/// Most tempids in value position are given a form that is about them: the rest of the refusals would drown in one.
fn speak_of_values(forms: &mut Vec<Form>, draw: u8) {
    let value = |form: &Form| match form {
        Form::Add(_, _, What::Ref(who)) | Form::Retract(_, _, What::Ref(who)) => vec![*who],
        Form::Map(_, facts) => {
            facts.iter().filter_map(|(_, v)| if let What::Ref(who) = v { Some(*who) } else { None }).collect()
        }
        _ => Vec::new(),
    };
    let temps: BTreeSet<usize> = forms
        .iter()
        .flat_map(value)
        .filter_map(|who| if let Who::Temp(temp) = who { Some(temp) } else { None })
        .collect();
    if !draw.is_multiple_of(8) {
        let said = |temp: usize| What::Text(format!("\"s{}\"", (temp + draw as usize) % 3));
        forms.extend(
            temps.into_iter().map(|temp| Form::Add(Who::Temp(temp), &ATTRS[temp % 2 * 3], said(temp))),
        );
    }
}

fn fact(&(a, v, r): &(u8, u8, u8), known: &[u64]) -> (&'static Attr, What) {
    // Identities, references to tempids among them, are what is hard: they come twice as often.
    let attr = &ATTRS[[0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 7, 7, 8][a as usize % 13]];
    let value = match attr.ident {
        _ if attr.reference => What::Ref(who(r, known)),
        ":p/code" | ":p/age" => What::Text((v % 3).to_string()),
        ":p/nick" => What::Text(format!(":k{}", v % 3)),
        _ => What::Text(format!("\"s{}\"", v % 3)),
    };
    (attr, value)
}

fn finish(draft: &Draft, known: &[u64]) -> Form {
    let facts: Vec<_> = draft.facts.iter().map(|draw| fact(draw, known)).collect();
    let (attr, value) = facts[0].clone();
    let existing = (!known.is_empty()).then(|| known[draft.who as usize % known.len().max(1)]);
    match (draft.kind % 16, existing) {
        (0, Some(e)) => Form::RetractEntity(e),
        (1 | 2, Some(e)) => Form::RetractAll(e, attr),
        (3, Some(e)) => {
            let old = (!draft.facts[0].2.is_multiple_of(3)).then(|| (draft.facts[0].2 % 3).to_string());
            Form::Cas(e, &ATTRS[4], old, (draft.facts[0].1 % 3).to_string())
        }
        (4..=6, _) => Form::Retract(who(draft.who, known), attr, value),
        (7..=10, _) => Form::Add(who(draft.who, known), attr, value),
        _ => {
            let mut seen = BTreeSet::new();
            let facts = facts.into_iter().filter(|(attr, _)| seen.insert(attr.ident)).collect();
            Form::Map(who(draft.who, known), facts)
        }
    }
}

fn write_who(who: Who) -> String {
    match who {
        Who::Id(e) => e.to_string(),
        Who::Temp(temp) => format!("\"{temp}\""),
    }
}

fn write_what(what: &What) -> String {
    match what {
        What::Text(text) => text.clone(),
        What::Ref(who) => write_who(*who),
    }
}

fn write(form: &Form) -> String {
    match form {
        Form::Add(e, a, v) => format!("[:db/add {} {} {}]", write_who(*e), a.ident, write_what(v)),
        Form::Retract(e, a, v) => format!("[:db/retract {} {} {}]", write_who(*e), a.ident, write_what(v)),
        Form::RetractAll(e, a) => format!("[:db/retract {e} {}]", a.ident),
        Form::RetractEntity(e) => format!("[:db/retractEntity {e}]"),
        Form::Cas(e, a, old, new) => {
            format!("[:db/cas {e} {} {} {new}]", a.ident, old.as_deref().unwrap_or("nil"))
        }
        Form::Map(e, facts) => {
            let value = |attr: &Attr, v: &What| {
                let text = write_what(v);
                if attr.many { format!("[{text}]") } else { text }
            };
            let facts: Vec<String> =
                facts.iter().map(|(a, v)| format!("{} {}", a.ident, value(a, v))).collect();
            format!("{{:db/id {} {}}}", write_who(*e), facts.join(" "))
        }
    }
}

fn fact_of(world: &World, datom: &Datom) -> Fact {
    let ident = world.db.schema().ident(datom.a.entity()).expect("attributes have idents").to_string();
    let attr = ATTRS.iter().find(|attr| attr.ident == ident).expect("only model attributes are written");
    let v = match &datom.v {
        Value::Ref(e) => format!("@{e}"),
        other => form(other).to_string(),
    };
    (datom.e.0, attr.ident, v)
}

fn datoms_of(world: &World, body: &TxBody) -> BTreeSet<(Fact, bool)> {
    body.datoms.iter().map(|datom| (fact_of(world, datom), datom.added)).collect()
}

/// The id of each tempid, by number, where it was decided.
fn ids(decided: &Result<Arc<TxBody>, Error>) -> BTreeMap<usize, u64> {
    let Ok(body) = decided else { return BTreeMap::new() };
    body.tempids.iter().map(|(name, e)| (name.parse().expect("tempids are numbers"), e.0)).collect()
}

fn decide(world: &World, forms: &[Form]) -> Result<Arc<TxBody>, Error> {
    let forms: Vec<String> = forms.iter().map(write).collect();
    world.decide(&format!("[{}]", forms.join(" ")))
}

/// The datoms with new entities named by their tempid, so that two orders of the forms compare.
fn by_name(world: &World, body: &TxBody) -> BTreeSet<(String, &'static str, String, bool)> {
    let names: BTreeMap<u64, String> =
        body.tempids.iter().rev().map(|(name, e)| (e.0, format!("t{name}"))).collect();
    let name = |e: u64| names.get(&e).cloned().unwrap_or_else(|| e.to_string());
    let datoms = datoms_of(world, body).into_iter();
    datoms
        .map(|((e, a, v), added)| {
            let v = match v.strip_prefix('@') {
                Some(id) => format!("@{}", name(id.parse().expect("references are numbers"))),
                None => v,
            };
            (name(e), a, v, added)
        })
        .collect()
}

fn check_orders(world: &World, forms: &[Form], decided: &Result<Arc<TxBody>, Error>) {
    let mut turned = forms.to_vec();
    for _ in 0..2 {
        turned.reverse();
        turned.rotate_left(forms.len() / 2);
        match (decided, decide(world, &turned)) {
            (Ok(body), Ok(other)) => assert_eq!(by_name(world, body), by_name(world, &other), "{turned:?}"),
            (Err(error), Err(other)) => assert_eq!(error.code(), other.code(), "{turned:?}"),
            (one, other) => panic!("the order decides: {one:?} but {other:?} for {turned:?}"),
        }
    }
}

/// Everything that is there now, of the model's attributes.
fn present(world: &World) -> BTreeSet<Fact> {
    let mut facts = BTreeSet::new();
    for attr in &ATTRS {
        let ident = crate::Keyword::new(&attr.ident[1..]);
        let a = world.db.schema().attribute_of(&ident).expect("installed").id;
        let mut batch = Batch::new(None);
        let mut scan = world.db.scan(&Range::attr(a), Columns::ALL);
        while scan.next(&mut batch).expect("novelty is there") {
            for row in 0..batch.rows {
                let (e, v) = (EntityId(batch.e[row]), batch.v.get(row).to_value());
                facts.insert(fact_of(world, &Datom { e, a, v, t: T(batch.t[row]), added: true }));
            }
        }
    }
    facts
}

fn everything(db: &Db) -> Vec<String> {
    let (mut batch, mut rows) = (Batch::new(None), Vec::new());
    let mut scan = db.scan(&Range::all(Index::Eavt), Columns::ALL);
    while scan.next(&mut batch).expect("novelty is there") {
        rows.extend((0..batch.rows).map(|i| {
            format!("{} {} {:?} {} {}", batch.e[i], batch.a[i], batch.v.get(i), batch.t[i], batch.added[i])
        }));
    }
    rows
}

fn replayed(world: &World) -> Db {
    let log = world.db.log(T(1), T(u64::MAX), usize::MAX).expect("the log is there");
    log.iter().fold(Db::empty(Incarnation(7), Options::default()), |db, body| {
        let body = TxBody::decode(&body.encode()).expect("what was written reads");
        db.apply(&Arc::new(body)).expect("the log goes on")
    })
}

fn step(world: &mut World, model: &mut Model, drafts: &[Draft]) -> Option<Code> {
    let mut known: Vec<u64> = model.facts.iter().map(|fact| fact.0).collect();
    known.dedup();
    let mut forms: Vec<Form> = drafts.iter().map(|draft| finish(draft, &known)).collect();
    speak_of_values(&mut forms, drafts[0].who);
    let decided = decide(world, &forms);
    let ids = ids(&decided);
    let new_id = |temp: usize| ids.get(&temp).copied().unwrap_or(u64::MAX - temp as u64);
    let expected = model.decide(&forms, &new_id);
    check_orders(world, &forms, &decided);
    match (decided, expected) {
        (Ok(body), Ok(expected)) => {
            let decided = datoms_of(world, &body);
            assert_eq!(decided, expected, "{forms:?}");
            assert_eq!(decided.len(), body.datoms.len(), "no datom is there twice");
            for (fact, added) in expected {
                let _ = if added { model.facts.insert(fact) } else { model.facts.remove(&fact) };
            }
            world.apply(&body);
            None
        }
        (Err(error), Err(code)) => {
            assert_eq!(error.code(), code, "{forms:?}: {error:?}");
            Some(code)
        }
        (decided, expected) => panic!("decided {decided:?}, expected {expected:?} for {forms:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn transactions_agree_with_the_model(transactions in transactions()) {
        let (mut world, mut model) = (World::people(), Model::default());
        for drafts in &transactions {
            step(&mut world, &mut model, drafts);
        }
        prop_assert_eq!(present(&world), model.facts);
        prop_assert_eq!(everything(&replayed(&world)), everything(&world.db));
    }
}
