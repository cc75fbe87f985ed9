//! What takes seconds: filling a database, importing a catalogue, streaming a million rows.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Instant;

use annals_client::{Client, Read};
use annals_edn::Node as Form;
use annals_wire::v1::DatabaseOptions;
use anyhow::{Context, Result, ensure};

use super::node::Node;
use super::{DATABASE, SUITE, figure};
use crate::data::catalogue::{catalogue, distinct};
use crate::report::Report;

/// Items that point queries look up.
pub const ITEMS: u64 = 10_000;
/// Rows of the large result.
const ROWS: u64 = 1_000_000;
/// Forms of a transaction.
const BATCH: u64 = 10_000;
/// How often the catalogue is imported, each time into a new database.
const IMPORTS: usize = 3;
/// How often the large result is read.
const READS: usize = 5;

const SCHEMA: &str = "[
 {:db/ident :item/key :db/valueType :db.type/long :db/cardinality :db.cardinality/one :db/unique :db.unique/identity}
 {:db/ident :item/name :db/valueType :db.type/string :db/cardinality :db.cardinality/one}
 {:db/ident :note/number :db/valueType :db.type/long :db/cardinality :db.cardinality/one}
 {:db/ident :row/value :db/valueType :db.type/long :db/cardinality :db.cardinality/one}]";

/// The name of an item.
pub fn name(key: u64) -> String {
    format!("item number {key}")
}

/// Makes the database of items.
pub async fn prepare(client: &Client) -> Result<()> {
    client.create_database(DATABASE, options(), false).await?;
    client.transact(DATABASE, SCHEMA).await?;
    let mut items = String::from("[");
    for key in 0..ITEMS {
        write!(items, "{{:item/key {key} :item/name {:?}}}", name(key))?;
    }
    items.push(']');
    client.transact(DATABASE, &items).await?;
    Ok(())
}

fn options() -> DatabaseOptions {
    DatabaseOptions::default()
}

/// Imports the catalogue by the command line, as users do, and counts what arrived.
pub async fn import(report: &mut Report, node: &Node, client: &Client) -> Result<()> {
    let data = catalogue()?;
    report.note(SUITE, &format!("import: {}", data.origin.note()));
    let mut files = Vec::new();
    for (name, text) in &data.set.files {
        let path = node.folder().join(format!("{name}.edn"));
        std::fs::write(&path, text)?;
        files.push(path);
    }
    let (_, releases) = data.set.files.iter().find(|(name, _)| name == "releases").context("no releases")?;
    let expected = distinct(releases, "release/gid")? as u64;
    let mut rates = Vec::new();
    for n in 0..IMPORTS {
        let database = format!("import-{n}");
        client.create_database(&database, options(), false).await?;
        rates.push(timed_import(node, &database, &files)?);
        let found = releases_of(client, &database).await?;
        ensure!(found == expected, "{found} releases imported instead of {expected}");
    }
    report.figure(SUITE, "import", figure(rates), "datoms/s");
    Ok(())
}

/// Datoms a second, the start of the command included.
fn timed_import(node: &Node, database: &str, files: &[PathBuf]) -> Result<f64> {
    let started = Instant::now();
    let summary = node.annals(&["import", database], files)?;
    let seconds = started.elapsed().as_secs_f64();
    let words: Vec<&str> = summary.split_whitespace().collect();
    let at = words.iter().position(|word| word.starts_with("datoms")).context("the summary counts datoms")?;
    let datoms: f64 = words[at - 1].parse().with_context(|| format!("no number of datoms in: {summary}"))?;
    Ok(datoms / seconds)
}

async fn releases_of(client: &Client, database: &str) -> Result<u64> {
    let query = "[:find (count ?r) . :where [?r :release/gid _]]";
    let mut rows = client.query(database, query, &[], &Read::default()).await?;
    match rows.next().await?.and_then(|row| row.into_iter().next()).map(|form| form.node) {
        Some(Form::Long(count)) => Ok(u64::try_from(count)?),
        _ => Ok(0),
    }
}

/// Streams a million rows of two columns and reads every chunk's cells.
pub async fn rows(report: &mut Report, client: &Client) -> Result<()> {
    let mut next = 0;
    while next < ROWS {
        let mut forms = String::from("[");
        for n in next..next + BATCH {
            write!(forms, "[:db/add \"{n}\" :row/value {n}]")?;
        }
        forms.push(']');
        client.transact(DATABASE, &forms).await?;
        next += BATCH;
    }
    let mut rates = Vec::new();
    let mut firsts = Vec::new();
    for _ in 0..READS {
        let (rate, first) = streamed(client).await?;
        rates.push(rate);
        firsts.push(first);
    }
    report.figure(SUITE, "stream-1m", figure(rates), "rows/s");
    report.figure(SUITE, "stream-1m-first-chunk", figure(firsts), "ms");
    Ok(())
}

/// Rows a second, and milliseconds until the first chunk.
async fn streamed(client: &Client) -> Result<(f64, f64)> {
    let started = Instant::now();
    let query = "[:find ?e ?v :where [?e :row/value ?v]]";
    let mut results = client.query(DATABASE, query, &[], &Read::default()).await?;
    let (mut first, mut count) = (0.0, 0u64);
    while let Some(chunk) = results.next_chunk().await? {
        if count == 0 {
            first = started.elapsed().as_secs_f64() * 1e3;
        }
        count += annals_wire::Rows::new(&chunk)?.len() as u64;
    }
    ensure!(count == ROWS, "{count} rows instead of {ROWS}");
    Ok((ROWS as f64 / started.elapsed().as_secs_f64(), first))
}
