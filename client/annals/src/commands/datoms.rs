//! `annals datoms`: one `[e a v tx added]` a line.

use std::io::{BufWriter, Write};
use std::process::ExitCode;

use annals_client::{Client, Edn, Results};
use annals_edn::Node;
use annals_wire::v1::{DatomsMode, IndexKind};

use crate::args::{DatomsArguments, IndexName};
use crate::commands::{Outcome, read};

pub async fn run(client: &Client, arguments: &DatomsArguments) -> Outcome {
    let index = match arguments.index {
        IndexName::Eavt => IndexKind::Eavt,
        IndexName::Aevt => IndexKind::Aevt,
        IndexName::Avet => IndexKind::Avet,
        IndexName::Vaet => IndexKind::Vaet,
    };
    let read = read(&arguments.view, Some(&arguments.page))?;
    let components = &arguments.components;
    let mode = if arguments.seek { DatomsMode::Seek } else { DatomsMode::Datoms };
    print(client.datoms(&arguments.database, index, mode, components, &read).await?).await
}

/// A row a line.
pub async fn print(mut results: Results) -> Outcome {
    let mut out = BufWriter::new(std::io::stdout().lock());
    while let Some(row) = results.next().await? {
        writeln!(out, "{}", Edn::new(Node::Vector(row)))?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
