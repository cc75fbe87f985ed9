//! `annals index-range` and `annals index-pull`.

use std::io::{BufWriter, Write};
use std::process::ExitCode;

use annals_client::{Client, Edn, Walk};
use annals_wire::v1::{DatomsMode, IndexKind};

use crate::args::{IndexPullArguments, IndexRangeArguments, PullFormat, WalkedIndex};
use crate::commands::{Outcome, datoms, read};
use crate::failure::Failure;
use crate::output::json;

pub async fn range(client: &Client, arguments: &IndexRangeArguments) -> Outcome {
    let read = read(&arguments.view, Some(&arguments.page))?;
    let components = [arguments.attribute.clone(), arguments.start.clone(), arguments.end.clone()];
    let found =
        client.datoms(&arguments.database, IndexKind::Avet, DatomsMode::Range, &components, &read).await;
    datoms::print(found.map_err(|error| Failure::in_source(error, &arguments.attribute))?).await
}

pub async fn pull(client: &Client, arguments: &IndexPullArguments) -> Outcome {
    let read = read(&arguments.view, Some(&arguments.page))?;
    let walk = Walk {
        index: match arguments.index {
            WalkedIndex::Aevt => IndexKind::Aevt,
            WalkedIndex::Avet => IndexKind::Avet,
        },
        selector: arguments.pattern.clone(),
        start: arguments.start.clone(),
        reverse: arguments.reverse,
    };
    let in_pattern = |error| Failure::in_source(error, &arguments.pattern);
    let mut results = client.index_pull(&arguments.database, &walk, &read).await.map_err(in_pattern)?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    while let Some(row) = results.next().await.map_err(in_pattern)? {
        let map = row.into_iter().next().unwrap_or(Edn::nil());
        match arguments.format {
            PullFormat::Edn => writeln!(out, "{map}")?,
            PullFormat::Json => writeln!(out, "{}", json::to_json(&map))?,
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
