//! The data and the queries of the suites as files, for the runners of other systems.

use std::fmt::Write as _;
use std::path::Path;

use annals_db::{Datom, TxBody, Value};
use anyhow::{Context, Result, bail};

use super::queries::{PULL, PULLED, cases_of, catalogue_cases, dependency_cases, rule_cases};
use crate::cases::{self, Case};
use crate::data::Origin;
use crate::data::catalogue::{Catalogue, catalogue};
use crate::data::graphs::{self, Edges};
use crate::data::people::{Person, people};
use crate::store::{Store, batches};

/// Writes into `folder`, which is made:
///
/// - `queries.edn`, a case a line; `pull.edn`, an artist and a pattern;
/// - `people.tsv`, a person a line;
/// - `NAME.graph`, an edge a line;
/// - `catalogue.txt`, the names of the catalogue's files in the order of import, and those files;
/// - `catalogue.attributes` and `catalogue.facts`, the same catalogue for systems without entity maps.
///
/// # Errors
/// Data that cannot be read, files that cannot be written.
pub fn export(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut queries = Vec::new();
    let mut add = |suite: &str, data: &str, cases: Vec<Case>| {
        queries.extend(cases.iter().map(|case| format!("{}\n", case.line(suite, data))));
    };
    let data = people()?;
    write(folder, "people.tsv", &person_lines(&data.set)?)?;
    add("people20k", "people", cases_of(cases::PEOPLE, data.origin == Origin::Shared)?);
    for name in graphs::NAMES {
        let edges = graphs::graph(name)?.set;
        write(folder, &format!("{name}.graph"), &edge_lines(&edges))?;
        add("rules", name, rule_cases(name, &edges)?);
    }
    let graph = graphs::dependencies()?.set;
    write(folder, "debian.graph", &edge_lines(&graph.edges))?;
    add("debian", "debian", dependency_cases(&graph)?);
    let catalogue = catalogue()?.set;
    add("mbrainz", "catalogue", catalogue_cases(&catalogue)?);
    export_catalogue(folder, &catalogue)?;
    write(folder, "queries.edn", &queries.concat())
}

fn write(folder: &Path, name: &str, text: &str) -> Result<()> {
    std::fs::write(folder.join(name), text).with_context(|| format!("cannot write {name}"))
}

fn person_lines(people: &[Person]) -> Result<String> {
    let mut lines = String::new();
    for Person { name, last_name, sex, age, salary } in people {
        writeln!(lines, "{name}\t{last_name}\t{sex}\t{age}\t{salary}")?;
    }
    Ok(lines)
}

fn edge_lines(edges: &Edges) -> String {
    edges.iter().map(|(x, y)| format!("{x}\t{y}\n")).collect()
}

fn export_catalogue(folder: &Path, catalogue: &Catalogue) -> Result<()> {
    let names: Vec<&str> = catalogue.files.iter().map(|(name, _)| name.as_str()).collect();
    write(folder, "catalogue.txt", &(names.join("\n") + "\n"))?;
    for (name, text) in &catalogue.files {
        write(folder, &format!("{name}.edn"), text)?;
    }
    write(folder, "pull.edn", &format!("[{:?} {PULL}]\n", catalogue.artist.as_deref().unwrap_or(PULLED)))?;
    let mut store = Store::new("[]")?;
    let mut facts = String::new();
    for (number, (_, text)) in catalogue.files.iter().enumerate() {
        for batch in batches(text)? {
            let body = store.transact(&batch)?;
            // The first file is the schema: what it says stands in `catalogue.attributes`.
            if number > 0 {
                write_facts(&mut facts, &store, &body)?;
            }
        }
    }
    write(folder, "catalogue.facts", &facts)?;
    write(folder, "catalogue.attributes", &attribute_lines(&store)?)
}

/// A fact a line: transaction, attribute, entity, value; texts quoted as JSON has them.
fn write_facts(lines: &mut String, store: &Store, body: &TxBody) -> Result<()> {
    for Datom { e, a, v, .. } in &body.datoms {
        let attribute = store.db.schema().attribute(*a).context("a fact's attribute is known")?;
        let value = match v {
            Value::Long(number) => number.to_string(),
            Value::Ref(entity) => entity.0.to_string(),
            Value::String(text) => serde_json::to_string(&**text)?,
            Value::Keyword(name) => serde_json::to_string(name.as_str())?,
            Value::Uuid(id) => format!("\"{id:032x}\""),
            other => bail!("{} has a value of a type that other systems lack: {other:?}", attribute.ident),
        };
        writeln!(lines, "{}\t{}\t{}\t{value}", body.t.0, attribute.ident.as_str(), e.0)?;
    }
    Ok(())
}

/// An attribute a line: name, `integer` or `text`, `one` or `many`, whether it is looked up by value.
fn attribute_lines(store: &Store) -> Result<String> {
    use annals_db::{Cardinality, ValueType};
    let mut lines = String::new();
    for attribute in store.db.schema().attributes() {
        let kind = match attribute.value_type {
            Some(ValueType::Long | ValueType::Ref) => "integer",
            _ => "text",
        };
        let many = if attribute.cardinality == Cardinality::Many { "many" } else { "one" };
        let looked_up = if attribute.kept_in_avet() { "index" } else { "-" };
        writeln!(lines, "{}\t{kind}\t{many}\t{looked_up}", attribute.ident.as_str())?;
    }
    Ok(lines)
}
