//! `annals explain`.

use std::process::ExitCode;

use annals_client::Client;

use crate::args::{ExplainArguments, ExplainFormat};
use crate::commands::query::inputs;
use crate::commands::{Outcome, read};
use crate::failure::Failure;
use crate::output::json;

pub async fn run(client: &Client, arguments: &ExplainArguments) -> Outcome {
    let asked = &arguments.asked;
    let read = read(&asked.view, Some(&asked.page))?;
    let args = inputs(asked)?;
    let explained = client.explain(&asked.database, &asked.query, &args, &read, arguments.analyze).await;
    let explained = explained.map_err(|error| Failure::in_query(error, &asked.query, &args))?;
    match arguments.format {
        ExplainFormat::Text => print!("{}", explained.text),
        ExplainFormat::Edn => println!("{}", explained.data),
        ExplainFormat::Json => println!("{}", json::to_json(&explained.data)),
    }
    Ok(ExitCode::SUCCESS)
}
