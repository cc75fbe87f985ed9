//! The suites of queries: people20k, rules, debian and mbrainz.

use std::collections::HashMap;

use annals_edn::{Edn, Node, read_one};
use annals_query::{Pattern, pull_many};
use anyhow::{Context, Result};

use crate::cases::{self, Bench, Case};
use crate::data::catalogue::{Catalogue, catalogue};
use crate::data::graphs::{self, Edges};
use crate::data::people::people as people_data;
use crate::measure::{Timing, measure};
use crate::places::{Place, Places};
use crate::report::Report;
use crate::store::{BATCH, Store};

/// Attributes of people and of graphs.
pub const SCHEMA: &str = "[
 {:db/ident :name :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/index true}
 {:db/ident :last-name :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/index true}
 {:db/ident :sex :db/valueType :db.type/keyword :db/cardinality :db.cardinality/one :db/index true}
 {:db/ident :age :db/valueType :db.type/long :db/cardinality :db.cardinality/one :db/index true}
 {:db/ident :salary :db/valueType :db.type/long :db/cardinality :db.cardinality/one :db/index true}
 {:db/ident :node :db/valueType :db.type/string :db/cardinality :db.cardinality/one}
 {:db/ident :follows :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}
 {:db/ident :dep :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}]";

/// What is pulled of an artist.
pub const PULL: &str =
    "[:artist/name {:release/_artists [:release/name :release/year {:release/labels [:label/name]}]}]";
/// The artist who is pulled where the shared data are.
pub const PULLED: &str = "John Lennon";

/// q1 to q5, predicates, aggregation.
pub fn people(report: &mut Report, timing: Timing, places: &[Place]) -> Result<()> {
    const SUITE: &str = "people20k";
    let data = people_data()?;
    report.note(SUITE, data.origin.note());
    let mut store = Store::new(SCHEMA)?;
    for some in data.set.chunks(BATCH) {
        let maps: Vec<String> = some.iter().map(|person| person.map()).collect();
        store.transact(&read_one(&format!("[{}]", maps.join(" ")))?)?;
    }
    let cases = cases_of(cases::PEOPLE, data.origin == crate::data::Origin::Shared)?;
    let places = Places::of(&store, places)?;
    let bench = Bench { places: &places, nodes: &HashMap::new(), timing };
    bench.run(report, SUITE, &cases)?;
    places.sizes(report, SUITE)?;
    bench.run_orders(report, SUITE, &cases)?;
    let q4 = cases.iter().find(|case| case.row == "q4").context("q4 is a case")?;
    bench.run_unprepared(report, SUITE, q4)
}

/// Closures of small graphs.
pub fn rules(report: &mut Report, timing: Timing, places: &[Place]) -> Result<()> {
    const SUITE: &str = "rules";
    for name in graphs::NAMES {
        let data = graphs::graph(name)?;
        if name == graphs::NAMES[0] {
            report.note(SUITE, data.origin.note());
        }
        let mut store = Store::new(SCHEMA)?;
        let nodes = store.load_graph("follows", &data.set)?;
        let places = Places::of(&store, places)?;
        let bench = Bench { places: &places, nodes: &nodes, timing };
        bench.run(report, SUITE, &rule_cases(name, &data.set)?)?;
    }
    Ok(())
}

/// The cases of the graph `name`; how many rows they find is computed from its edges.
pub fn rule_cases(name: &str, edges: &Edges) -> Result<Vec<Case>> {
    let rows = Some(graphs::closure(edges)?);
    let cases = cases::read(cases::RULES)?.into_iter();
    Ok(cases.map(|case| Case { row: format!("{name}-{}", case.row), rows, ..case }).collect())
}

/// Recursion with one end bound, on a large graph.
pub fn debian(report: &mut Report, timing: Timing, places: &[Place]) -> Result<()> {
    const SUITE: &str = "debian";
    let data = graphs::dependencies()?;
    report.note(SUITE, data.origin.note());
    let mut store = Store::new(SCHEMA)?;
    let nodes = store.load_graph("dep", &data.set.edges)?;
    let cases = dependency_cases(&data.set)?;
    let places = Places::of(&store, places)?;
    Bench { places: &places, nodes: &nodes, timing }.run(report, SUITE, &cases)?;
    places.sizes(report, SUITE)
}

/// The cases of a graph of dependencies; likewise.
pub fn dependency_cases(graph: &graphs::Dependencies) -> Result<Vec<Case>> {
    let down = graphs::reachable(&graph.edges, &graph.needing, false);
    let up = graphs::reachable(&graph.edges, &graph.needed, true);
    let mut cases = cases::read(cases::DEBIAN)?;
    for case in &mut cases {
        case.rows = Some(if case.row.starts_with("D1") { down } else { up });
        case.ask_instead(|name| match name {
            "gnome-core" => Some(graph.needing.clone()),
            "libssl3" => Some(graph.needed.clone()),
            _ => None,
        });
    }
    Ok(cases)
}

/// m1 to m11 and a pull.
pub fn mbrainz(report: &mut Report, timing: Timing, places: &[Place]) -> Result<()> {
    const SUITE: &str = "mbrainz";
    let data = catalogue()?;
    report.note(SUITE, data.origin.note());
    let mut store = Store::new("[]")?;
    for (name, text) in &data.set.files {
        store.load(text).with_context(|| format!("loading {name}"))?;
    }
    let places = Places::of(&store, places)?;
    let bench = Bench { places: &places, nodes: &HashMap::new(), timing };
    let cases = catalogue_cases(&data.set)?;
    bench.run(report, SUITE, &cases)?;
    places.sizes(report, SUITE)?;
    bench.run_orders(report, SUITE, &cases)?;
    let artist = data.set.artist.as_deref().unwrap_or(PULLED);
    let rows = releases(&store, artist)?;
    let pattern = Pattern::parse(&read_one(PULL)?)?;
    let entity = [artist_id(&store, artist)?];
    for (place, db) in places.warm() {
        let figure = measure(timing, rows, || pulled(&pull_many(db, &pattern, &entity)?))?;
        report.figure(SUITE, &format!("pull{place}"), figure, "ms");
    }
    Ok(())
}

/// The cases of a catalogue, asking for names that it has.
pub fn catalogue_cases(catalogue: &Catalogue) -> Result<Vec<Case>> {
    let mut cases = cases_of(cases::MBRAINZ, catalogue.artist.is_none())?;
    for case in &mut cases {
        case.ask_instead(|name| match name {
            "Atlantic" => catalogue.label.clone(),
            _ => catalogue.artist.clone(),
        });
    }
    Ok(cases)
}

/// The cases; what is known of their rows holds for the shared data only.
pub fn cases_of(text: &str, shared: bool) -> Result<Vec<Case>> {
    let cases = cases::read(text)?.into_iter();
    Ok(cases.map(|case| Case { rows: case.rows.filter(|_| shared), ..case }).collect())
}

/// The value of a scalar query about an artist's name.
fn scalar(store: &Store, query: &str, name: &str) -> Result<Edn> {
    use annals_query::{Argument, Prepared, QueryCtx, answer};
    let args = [Argument::Db(store.db.clone()), Argument::Form(Edn::string(name))];
    let prepared = Prepared::new(&read_one(query)?, &args)?;
    Ok(answer(&prepared, &args, QueryCtx::default())?)
}

fn artist_id(store: &Store, name: &str) -> Result<Edn> {
    scalar(store, "[:find ?a . :in $ ?n :where [?a :artist/name ?n]]", name)
}

fn releases(store: &Store, name: &str) -> Result<usize> {
    let query = "[:find (count ?r) . :in $ ?n :where [?a :artist/name ?n] [?r :release/artists ?a]]";
    match scalar(store, query, name)?.node {
        Node::Long(count) => Ok(usize::try_from(count)?),
        other => anyhow::bail!("a count is a number, not {}", Edn::new(other)),
    }
}

/// How many releases were pulled.
fn pulled(trees: &[Edn]) -> Result<usize> {
    let Some(Node::Map(entries)) = trees.first().map(|tree| &tree.node) else { return Ok(0) };
    let releases = entries.iter().find_map(|(key, value)| match (&key.node, &value.node) {
        (Node::Keyword(key), Node::Vector(items)) if key.as_str() == "release/_artists" => Some(items.len()),
        _ => None,
    });
    Ok(releases.unwrap_or(0))
}
