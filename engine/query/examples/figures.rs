//! Figures of the query engine on the shared data: `cargo run --release -p annals-query --example figures [NAME…]`.
//!
//! Prints a line a query: rows, median and least time of its runs, rows read; with `--explain` its plan and what each
//! step took and produced. Rows are taken as typed columns. Data come
//! from `../shared/data` beside the workspace (or `$ANNALS_SHARED`); `--debian DIR` names the folder that
//! `debian-graph.py` wrote.

use std::error::Error as StdError;
use std::path::PathBuf;
use std::time::Instant;

use annals_db::{Context, Db, Incarnation, Limits, NoFunctions, Options, transact};
use annals_edn::{Edn, Forms, Node, read_one};
use annals_query::{Argument, Prepared, QueryCtx};
use serde_json::Value as Json;

type Outcome<T> = Result<T, Box<dyn StdError>>;

const PEOPLE: &[(&str, &str, &str)] = &[
    ("q1", r#"[:find ?e :where [?e :name "Ivan"]]"#, ""),
    ("q2", r#"[:find ?e ?a :where [?e :name "Ivan"] [?e :age ?a]]"#, ""),
    ("q2-switch", r#"[:find ?e ?a :where [?e :age ?a] [?e :name "Ivan"]]"#, ""),
    ("q3", r#"[:find ?e ?a :where [?e :name "Ivan"] [?e :age ?a] [?e :sex :male]]"#, ""),
    (
        "q4",
        r#"[:find ?e ?l ?a :where [?e :name "Ivan"] [?e :last-name ?l] [?e :age ?a] [?e :sex :male]]"#,
        "",
    ),
    (
        "q5",
        r#"[:find ?e1 ?l ?a :where [?e :name "Ivan"] [?e :age ?a] [?e1 :age ?a] [?e1 :last-name ?l]]"#,
        "",
    ),
    (
        "q5-shortcircuit",
        "[:find ?e ?n ?l ?a ?s :in $ ?n ?a :where [?e :name ?n] [?e :age ?a] [?e :last-name ?l] [?e :sex ?s]]",
        r#""Anastasia" 35"#,
    ),
    ("qpred1", "[:find ?e ?s :where [?e :salary ?s] [(> ?s 50000)]]", ""),
    ("qpred2", "[:find ?e ?s :in $ ?m :where [?e :salary ?s] [(> ?s ?m)]]", "50000"),
    ("qagg", "[:find ?n (count ?e) (avg ?s) (max ?a) :where [?e :name ?n] [?e :salary ?s] [?e :age ?a]]", ""),
];

const FOLLOWS: &str =
    "[[(follows ?x ?y) [?x :follows ?y]] [(follows ?x ?y) [?x :follows ?t] (follows ?t ?y)]]";
const RIGHT: &str = "[[(needs ?x ?y) [?x :dep ?y]] [(needs ?x ?y) [?x :dep ?t] (needs ?t ?y)]]";
const LEFT: &str = "[[(needs ?x ?y) [?x :dep ?y]] [(needs ?x ?y) (needs ?x ?t) [?t :dep ?y]]]";
const NET: &str = "[[(net1 ?a1 ?a2) [?x :release/artists ?a1] [?x :release/artists ?a2] [(!= ?a1 ?a2)]]
 [(net ?a1 ?a2) (net1 ?a1 ?a2)] [(net ?a1 ?a2) (net1 ?a1 ?x) (net ?x ?a2)]]";
const GRAPHS: &[&str] = &[
    "wide-3x3",
    "wide-5x3",
    "wide-7x3",
    "wide-4x6",
    "long-10x3",
    "long-30x3",
    "long-30x5",
    "rand-1000x2000",
];

const MBRAINZ: &[(&str, &str, &str)] = &[
    (
        "m1",
        "[:find ?t ?y :in $ ?n :where [?a :artist/name ?n] [?r :release/artists ?a] [?r :release/name ?t] [?r :release/year ?y]]",
        r#""John Lennon""#,
    ),
    (
        "m2",
        "[:find ?t ?ln ?cn :in $ ?n :where [?a :artist/name ?n] [?r :release/artists ?a] [?r :release/name ?t] [?r :release/labels ?l] [?l :label/name ?ln] [?r :release/country ?c] [?c :country/name ?cn]]",
        r#""Pink Floyd""#,
    ),
    (
        "m3",
        "[:find ?t :in $ ?n :where [?r :release/name ?t] [?r :release/artists ?a] [?a :artist/name ?n]]",
        r#""Paul McCartney""#,
    ),
    ("m4", "[:find ?y (count ?r) :where [?r :release/year ?y]]", ""),
    (
        "m5",
        "[:find ?cn (count ?r) :with ?a :where [?r :release/artists ?a] [?a :artist/country ?c] [?c :country/name ?cn]]",
        "",
    ),
    (
        "m6",
        "[:find ?n :in $ ?ln :where [?l :label/name ?ln] [?r :release/labels ?l] [?r :release/artists ?a] [?a :artist/name ?n]]",
        r#""Atlantic""#,
    ),
    (
        "m7",
        "[:find ?n1 ?n2 :in $ ?n1 :where [?a1 :artist/name ?n1] [?r1 :release/artists ?a1] [?r1 :release/labels ?l] [?r1 :release/year ?y] [?r2 :release/labels ?l] [?r2 :release/year ?y] [?r2 :release/artists ?a2] [?a2 :artist/name ?n2] [(!= ?a1 ?a2)]]",
        r#""John Lennon""#,
    ),
    (
        "m8",
        "[:find ?r ?t :where [?r :release/year 1970] [?r :release/name ?t] (not [?r :release/labels _])]",
        "",
    ),
    (
        "m9",
        "[:find ?n2 :in $ % ?n :where [?a1 :artist/name ?n] (net1 ?a1 ?a2) [?a2 :artist/name ?n2]]",
        "RULES \"George Harrison\"",
    ),
    (
        "m10",
        "[:find ?n2 :in $ % ?n :where [?a1 :artist/name ?n] (net ?a1 ?a2) [?a2 :artist/name ?n2]]",
        "RULES \"George Harrison\"",
    ),
    (
        "m11",
        "[:find ?an ?rn ?ln :where [?r :release/artists ?a] [?a :artist/name ?an] [?r :release/name ?rn] [?r :release/labels ?l] [?l :label/name ?ln] [?r :release/year ?y] [(< ?y 1970)]]",
        "",
    ),
];

/// Attributes that are indexed beside those the schema indexes.
const INDEXED: &[&str] = &[
    "artist/name",
    "artist/sortName",
    "label/name",
    "release/name",
    "release/year",
    "abstractRelease/name",
    "artist/startYear",
    "script/name",
];

struct Figures {
    only: Vec<String>,
    explain: bool,
    shared: PathBuf,
}

fn main() -> Outcome<()> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var_os("ANNALS_SHARED").map_or(beside, PathBuf::from);
    let mut only: Vec<String> = std::env::args().skip(1).collect();
    let debian = only.iter().position(|arg| arg == "--debian").map(|at| {
        let folder = only.remove(at + 1);
        only.remove(at);
        PathBuf::from(folder)
    });
    if !shared.join("data").is_dir() {
        println!("SKIPPED figures: no shared data");
        return Ok(());
    }
    let explain = only.iter().any(|arg| arg == "--explain");
    only.retain(|arg| arg != "--explain");
    let figures = Figures { only, explain, shared };
    figures.people()?;
    figures.graphs()?;
    figures.mbrainz()?;
    if let Some(folder) = debian {
        figures.debian(&folder)?;
    }
    Ok(())
}

impl Figures {
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| name.starts_with(only.as_str()))
    }

    fn people(&self) -> Outcome<()> {
        if !PEOPLE.iter().any(|(name, ..)| self.wants(name)) {
            return Ok(());
        }
        let mut store = Store::new()?;
        store.transact(&people_schema())?;
        let people: Vec<Json> = serde_json::from_str(&self.read("people20k.json")?)?;
        for some in people.chunks(1000) {
            let maps: Vec<String> = some.iter().map(person).collect();
            store.transact(&format!("[{}]", maps.join(" ")))?;
        }
        for (name, query, args) in PEOPLE {
            self.figure(name, query, &store.db, args, "")?;
        }
        Ok(())
    }

    fn graphs(&self) -> Outcome<()> {
        let graphs: Json = serde_json::from_str(&self.read("graphs.json")?)?;
        for name in GRAPHS.iter().filter(|name| self.wants(&format!("rules-{name}"))) {
            let mut store = Store::new()?;
            store.transact(&people_schema())?;
            let edges = graphs[name].as_array().cloned().unwrap_or_default();
            let edges: Vec<(String, String)> =
                edges.iter().map(|edge| (edge[0].to_string(), edge[1].to_string())).collect();
            store.edges("follows", &edges)?;
            let query = "[:find ?e ?e2 :in $ % :where (follows ?e ?e2)]";
            self.figure(&format!("rules-{name}"), query, &store.db, "RULES", FOLLOWS)?;
        }
        Ok(())
    }

    fn mbrainz(&self) -> Outcome<()> {
        if !MBRAINZ.iter().any(|(name, ..)| self.wants(name)) {
            return Ok(());
        }
        let mut store = Store::new()?;
        let started = Instant::now();
        let mut datoms = 0;
        for file in [
            "schema",
            "enums",
            "super-enums",
            "artists",
            "areleases",
            "areleases-artists",
            "labels",
            "releases",
            "releases-artists",
        ] {
            let text = self.read(&format!("mbrainz/{file}.edn"))?;
            let mut forms = Forms::new(&text);
            loop {
                let batch = forms.by_ref().take(1000).collect::<Result<Vec<Edn>, _>>()?;
                if batch.is_empty() {
                    break;
                }
                datoms +=
                    store.transact_form(&Edn::new(Node::Vector(batch.into_iter().map(indexed).collect())))?;
            }
        }
        let seconds = started.elapsed().as_secs_f64();
        println!("mbrainz load: {datoms} datoms, {:.0} datoms/s", datoms as f64 / seconds);
        for (name, query, args) in MBRAINZ {
            self.figure(name, query, &store.db, args, NET)?;
        }
        Ok(())
    }

    fn debian(&self, folder: &std::path::Path) -> Outcome<()> {
        let text = std::fs::read_to_string(folder.join("edges.tsv"))?;
        let pair = |line: &str| line.split_once('\t').map(|(x, y)| (x.to_owned(), y.to_owned()));
        let edges: Vec<(String, String)> = text.lines().filter_map(pair).collect();
        let mut store = Store::new()?;
        store.transact(&people_schema())?;
        let ids = store.edges("dep", &edges)?;
        let id = |name: &str| ids.get(name).map_or_else(String::new, |id| id.to_string());
        let (src, dst) = (id("gnome-core"), id("libssl3"));
        for (side, rules) in [("right", RIGHT), ("left", LEFT)] {
            let down = "[:find ?y :in $ % ?x :where (needs ?x ?y)]";
            let up = "[:find ?x :in $ % ?y :where (needs ?x ?y)]";
            self.figure(&format!("D1-{side}"), down, &store.db, &format!("RULES {src}"), rules)?;
            self.figure(&format!("D2-{side}"), up, &store.db, &format!("RULES {dst}"), rules)?;
        }
        Ok(())
    }

    fn read(&self, name: &str) -> Outcome<String> {
        Ok(std::fs::read_to_string(self.shared.join("data").join(name))?)
    }

    fn figure(&self, name: &str, query: &str, db: &Db, args: &str, rules: &str) -> Outcome<()> {
        if !self.wants(name) {
            return Ok(());
        }
        let mut arguments = vec![Argument::Db(db.clone())];
        for form in Forms::new(&args.replace("RULES", rules)) {
            arguments.push(Argument::Form(form?));
        }
        let query = read_one(query)?;
        let started = Instant::now();
        let prepared = Prepared::new(&query, &arguments)?;
        let (rows, _) = run(&prepared, &arguments)?;
        if self.explain {
            println!("{}", prepared.explain(&arguments)?);
            println!("taken and produced by step: {:?}", steps(&prepared, &arguments)?);
        }
        let cold = started.elapsed().as_secs_f64() * 1e3;
        let (mut times, mut read) = (Vec::new(), 0);
        let begun = Instant::now();
        while times.len() < 5 || (begun.elapsed().as_millis() < 700 && times.len() < 2000) {
            let started = Instant::now();
            read = run(&prepared, &arguments)?.1;
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        let (median, least) = (times[times.len() / 2], times[0]);
        let plan = planning(&query, &arguments)?;
        println!(
            "{name:<22} rows {rows:>7}  median {median:>9.4} ms  min {least:>9.4}  first {cold:>8.3}  plan {plan:.3}  read {read}"
        );
        Ok(())
    }
}

fn run(prepared: &Prepared, args: &[Argument]) -> Outcome<(usize, u64)> {
    let mut rows = prepared.run(args, QueryCtx::default())?;
    let mut count = 0;
    while let Some(batch) = rows.next()? {
        count += batch.rows;
    }
    Ok((count, rows.counters().datoms))
}

/// Milliseconds to parse, check and plan, the median of some times.
fn planning(query: &Edn, args: &[Argument]) -> Outcome<f64> {
    let mut times = Vec::new();
    for _ in 0..25 {
        let started = Instant::now();
        Prepared::new(query, args)?.explain(args)?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

/// Rows that each step took and produced.
fn steps(prepared: &Prepared, args: &[Argument]) -> Outcome<Vec<(u64, u64)>> {
    let mut rows = prepared.run(args, QueryCtx::default())?;
    while rows.next()?.is_some() {}
    Ok(rows.counters().steps)
}

struct Store {
    db: Db,
    clock: i64,
}

impl Store {
    fn new() -> Outcome<Store> {
        Ok(Store { db: Db::empty(Incarnation(1), Options::default()), clock: 1_700_000_000_000 })
    }

    fn transact(&mut self, text: &str) -> Outcome<usize> {
        self.transact_form(&read_one(text)?)
    }

    fn transact_form(&mut self, form: &Edn) -> Outcome<usize> {
        Ok(self.decide(form)?.datoms.len() + 1)
    }

    fn decide(&mut self, form: &Edn) -> Outcome<std::sync::Arc<annals_db::TxBody>> {
        self.clock += 1;
        let context = Context {
            now: self.clock,
            limits: Limits::default(),
            functions: &NoFunctions,
            client_id: None,
            request_hash: 0,
        };
        let body = transact(&self.db, form, &context)?;
        self.db = self.db.apply(&body)?;
        Ok(body)
    }

    /// Entities for the ends of `edges`, and the edges; the id of each name.
    fn edges(
        &mut self,
        attribute: &str,
        edges: &[(String, String)],
    ) -> Outcome<std::collections::HashMap<String, u64>> {
        let mut names: Vec<&String> = edges.iter().flat_map(|(x, y)| [x, y]).collect();
        names.sort();
        names.dedup();
        let mut ids = std::collections::HashMap::new();
        for some in names.chunks(5000) {
            let maps: Vec<String> =
                some.iter().map(|name| format!("{{:db/id {name:?} :node {name:?}}}")).collect();
            let body = self.decide(&read_one(&format!("[{}]", maps.join(" ")))?)?;
            ids.extend(body.tempids.iter().map(|(name, id)| (name.to_string(), id.0)));
        }
        for some in edges.chunks(5000) {
            let forms: Vec<String> =
                some.iter().map(|(x, y)| format!("[:db/add {} :{attribute} {}]", ids[x], ids[y])).collect();
            self.transact(&format!("[{}]", forms.join(" ")))?;
        }
        Ok(ids)
    }
}

fn people_schema() -> String {
    let one = |name: &str, ty: &str| {
        format!(
            "{{:db/ident :{name} :db/valueType :db.type/{ty} :db/cardinality :db.cardinality/one :db/index true}}"
        )
    };
    let many = |name: &str| {
        format!("{{:db/ident :{name} :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}}")
    };
    let attributes = [
        one("name", "string"),
        one("last-name", "string"),
        one("sex", "keyword"),
        one("age", "long"),
        one("salary", "long"),
        one("node", "string"),
        many("follows"),
        many("dep"),
    ];
    format!("[{}]", attributes.join(" "))
}

fn person(json: &Json) -> String {
    format!(
        "{{:name {} :last-name {} :sex :{} :age {} :salary {}}}",
        json["name"],
        json["last_name"],
        json["sex"].as_str().unwrap_or("none"),
        json["age"],
        json["salary"]
    )
}

/// The schema's attributes as the opponents index them.
fn indexed(form: Edn) -> Edn {
    let Node::Map(mut entries) = form.node else { return form };
    let ident = entries.iter().find_map(|(key, value)| match (&key.node, &value.node) {
        (Node::Keyword(key), Node::Keyword(value)) if key.as_str() == "db/ident" => {
            Some(value.as_str().to_owned())
        }
        _ => None,
    });
    let attribute = entries
        .iter()
        .any(|(key, _)| matches!(&key.node, Node::Keyword(key) if key.as_str() == "db/valueType"));
    if attribute && ident.is_some_and(|ident| INDEXED.contains(&ident.as_str())) {
        let keyword = Node::Keyword(annals_edn::Keyword::new("db/index"));
        entries.push((Edn::new(keyword), Edn::new(Node::Bool(true))));
    }
    Edn::new(Node::Map(entries))
}
