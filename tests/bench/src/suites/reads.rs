//! The suite of reads: many small ones, a tree, and the past beside the present.

use std::collections::HashMap;

use annals_db::Db;
use annals_edn::{Edn, Node, read_one};
use annals_query::{Argument, Pattern, Prepared, Pull, QueryCtx};
use anyhow::{Context, Result, ensure};

use super::queries::SCHEMA;
use crate::cases::{self, Bench, Case};
use crate::data::graphs;
use crate::data::people::{Person, people};
use crate::measure::{Timing, measure};
use crate::places::{Place, Places};
use crate::report::Report;
use crate::store::{BATCH, Store};

const SUITE: &str = "reads";
/// Entities that are read.
const ENTITIES: usize = 2000;
/// A tree of so many nodes, six children each, four levels below the root.
const TREE: &str = "wide-4x6";
const TREE_NODES: usize = 1555;

/// Two thousand reads as one pull, as pulls, as queries; a tree; q1 to q4 of a past with and without changes since.
pub fn reads(report: &mut Report, timing: Timing, places: &[Place]) -> Result<()> {
    let data = people()?;
    report.note(SUITE, data.origin.note());
    let mut store = Store::new(SCHEMA)?;
    let mut entities: Vec<u64> = Vec::new();
    for some in data.set.chunks(BATCH) {
        let maps: Vec<String> = some.iter().map(Person::map).collect();
        let body = store.transact(&read_one(&format!("[{}]", maps.join(" ")))?)?;
        entities.extend(body.datoms.iter().filter(|datom| datom.e.as_t().is_none()).map(|datom| datom.e.0));
    }
    entities.sort_unstable();
    entities.dedup();
    let some = &entities[entities.len() / 2..][..ENTITIES];
    let unchanged = Places::of(&store, places)?;
    for (place, db) in unchanged.warm() {
        points(report, timing, place, db, some)?;
    }
    tree(report, timing, places)?;
    let cases: Vec<Case> = cases::read(cases::PEOPLE)?.into_iter().take(5).collect();
    let then = store.db.basis();
    // What was mixed has other t, so the past is looked at in one place only.
    let places: Vec<Place> = places.iter().copied().filter(|place| *place == Place::Indexed).collect();
    let unchanged = Places::of(&store, &places)?;
    versions(report, timing, &unchanged.as_of(then), "as-of now", &cases)?;
    change(&mut store, &entities)?;
    let changed = Places::of(&store, &places)?;
    versions(report, timing, &changed, "after changes", &cases)?;
    versions(report, timing, &changed.as_of(then), "as-of before changes", &cases)
}

fn points(report: &mut Report, timing: Timing, place: &str, db: &Db, entities: &[u64]) -> Result<()> {
    let pattern = Pattern::parse(&read_one("[:name]")?)?;
    let mut pull = Pull::new(db, &pattern)?;
    let figure = measure(timing, ENTITIES, || Ok(pull.run(entities)?.len()))?;
    report.figure(SUITE, &format!("2000 as one pull-many{place}"), figure, "ms");
    let figure = measure(timing, ENTITIES, || {
        let one =
            |e: &u64| Ok(pull.run(std::slice::from_ref(e))?.iter().filter(|form| !form.is_nil()).count());
        entities.iter().map(one).sum::<Result<usize>>()
    })?;
    report.figure(SUITE, &format!("2000 pulls{place}"), figure, "ms");
    let ids: Vec<Edn> = entities.iter().map(|e| Edn::new(Node::Long(*e as i64))).collect();
    let arguments = |id: &Edn| vec![Argument::Db(db.clone()), Argument::Form(id.clone())];
    let query = read_one("[:find ?v :in $ ?e :where [?e :name ?v]]")?;
    let prepared = Prepared::new(&query, &arguments(&ids[0]))?;
    let figure = measure(timing, ENTITIES, || {
        let one = |id: &Edn| {
            let args = arguments(id);
            ensure!(prepared.fits(&args), "the plan fits");
            let mut rows = prepared.run(&args, QueryCtx::default())?;
            let mut count = 0;
            while let Some(batch) = rows.next()? {
                count += batch.rows;
            }
            Ok(count)
        };
        ids.iter().map(one).sum::<Result<usize>>()
    })?;
    report.figure(SUITE, &format!("2000 queries{place}"), figure, "ms");
    Ok(())
}

/// One pull of a whole tree, as EDN, not printed.
fn tree(report: &mut Report, timing: Timing, places: &[Place]) -> Result<()> {
    let edges = graphs::graph(TREE)?.set;
    let mut store = Store::new(SCHEMA)?;
    let nodes = store.load_graph("follows", &edges)?;
    let names: Vec<String> = nodes.values().map(|id| format!("[:db/add {id} :name \"Ivan\"]")).collect();
    store.transact(&read_one(&format!("[{}]", names.join(" ")))?)?;
    let targets: HashMap<&str, ()> = edges.iter().map(|(_, to)| (to.as_str(), ())).collect();
    let root = edges.iter().map(|(from, _)| from).find(|from| !targets.contains_key(from.as_str()));
    let root = nodes[root.context("a tree has a root")?];
    let pattern = Pattern::parse(&read_one("[:name {:follows ...}]")?)?;
    for (place, db) in Places::of(&store, places)?.warm() {
        let mut pull = Pull::new(db, &pattern)?;
        let figure = measure(timing, TREE_NODES, || Ok(pull.run(&[root])?.iter().map(size).sum()))?;
        report.figure(SUITE, &format!("pull-one(4x6){place}"), figure, "ms");
    }
    Ok(())
}

/// Maps within a form, itself included.
fn size(form: &Edn) -> usize {
    match &form.node {
        Node::Map(entries) => 1 + entries.iter().map(|(_, value)| size(value)).sum::<usize>(),
        Node::Vector(items) => items.iter().map(size).sum(),
        _ => 0,
    }
}

/// Every age, every second name and every salary becomes another.
fn change(store: &mut Store, entities: &[u64]) -> Result<()> {
    let ages = entities.iter().enumerate().map(|(i, e)| format!("[:db/add {e} :age {}]", i % 100));
    let names = entities.iter().step_by(2).map(|e| format!("[:db/add {e} :name \"Anna\"]"));
    let salaries = entities.iter().map(|e| format!("[:db/add {e} :salary 1]"));
    let all: Vec<String> = ages.chain(names).chain(salaries).collect();
    for some in all.chunks(BATCH) {
        store.transact(&read_one(&format!("[{}]", some.join(" ")))?)?;
    }
    Ok(())
}

fn versions(report: &mut Report, timing: Timing, places: &Places, what: &str, cases: &[Case]) -> Result<()> {
    let known = what != "after changes";
    let cases: Vec<Case> = cases
        .iter()
        .map(|case| {
            let row = format!("{what} {}", case.row);
            Case { row, rows: case.rows.filter(|_| known), ..case.clone() }
        })
        .collect();
    Bench { places, nodes: &HashMap::new(), timing }.run(report, SUITE, &cases)
}
