//! `annals entity`.

use std::process::ExitCode;

use annals_client::{Client, Edn};

use crate::args::{EntityArguments, PullFormat};
use crate::commands::{Outcome, read};
use crate::failure::Failure;
use crate::output::json;

pub async fn run(client: &Client, arguments: &EntityArguments) -> Outcome {
    let read = read(&arguments.view, None)?;
    let entities = [arguments.entity.clone()];
    let found = client.entity(&arguments.database, &entities, &arguments.keys, &read).await;
    let found = found.map_err(|error| Failure::in_source(error, &arguments.entity))?;
    print(&found.into_iter().next().unwrap_or(Edn::nil()), arguments.format);
    Ok(ExitCode::SUCCESS)
}

/// One value on a line.
pub fn print(value: &Edn, format: PullFormat) {
    match format {
        PullFormat::Edn => println!("{value}"),
        PullFormat::Json => println!("{}", json::to_json(value)),
    }
}
