//! `annals import`.

use std::collections::HashSet;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use annals_client::{Client, Read};
use annals_edn::{Error, Keyword, Node};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::args::ImportArguments;
use crate::commands::Outcome;
use crate::import::file::ImportFile;
use crate::import::prepare::{self, Ready};
use crate::import::send::{Sender, Tally};

pub async fn run(client: &Client, arguments: &ImportArguments) -> Outcome {
    let started = Instant::now();
    let mut total = Tally::default();
    for path in &arguments.files {
        let tally = file(client, arguments, Arc::new(ImportFile::read(path)?)).await?;
        total.lines += tally.lines;
        total.skipped += tally.skipped;
        total.bad += tally.bad;
        total.datoms += tally.datoms;
    }
    println!("{}", summary(total, started.elapsed()));
    let code = if total.bad == 0 { 0 } else { annals_client::Kind::Incorrect.exit_code() };
    Ok(ExitCode::from(code))
}

async fn file(client: &Client, arguments: &ImportArguments, file: Arc<ImportFile>) -> Result<Tally, Error> {
    let unique = unique_attributes(client, &arguments.database).await?;
    let mut sender = Sender::new(client, &arguments.database, &file);
    let bar = progress(file.len() as u64, &file.path.display().to_string());
    let mut parts = prepare::start(client, &arguments.database, &file, unique, arguments.batch as usize);
    while let Some(part) = parts.recv().await {
        match part {
            Ready::Batch { batch, begun } => sender.batch(batch, begun.wait().await?).await?,
            Ready::Bad { at, error } => sender.refused(at, &error, file.line(at)),
        }
        bar.set_position(sender.tally().done());
    }
    sender.finish().await?;
    bar.finish_and_clear();
    Ok(sender.tally())
}

/// The idents of the unique attributes: which lines may be sent together depends on them.
async fn unique_attributes(client: &Client, database: &str) -> Result<HashSet<Keyword>, Error> {
    let query = "[:find [?ident ...] :where [?a :db/unique _] [?a :db/ident ?ident]]";
    let mut rows = client.query(database, query, &[], &Read::default()).await?;
    let mut unique = HashSet::new();
    while let Some(row) = rows.next().await? {
        if let Some(Node::Keyword(ident)) = row.into_iter().next().map(|form| form.node) {
            unique.insert(ident);
        }
    }
    Ok(unique)
}

fn progress(lines: u64, name: &str) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} lines, {per_sec}, {eta} left")
        .expect("the template is well formed");
    let bar =
        ProgressBar::with_draw_target(Some(lines), target).with_style(style).with_message(name.to_string());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn summary(total: Tally, elapsed: Duration) -> String {
    let mut text =
        format!("{} lines, {} datoms in {:.1} s", total.lines, total.datoms, elapsed.as_secs_f64());
    if total.skipped > 0 {
        text.push_str(&format!("; {} lines were imported before", total.skipped));
    }
    if total.bad > 0 {
        text.push_str(&format!("; {} bad lines", total.bad));
    }
    text
}
