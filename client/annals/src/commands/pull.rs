//! `annals pull`.

use std::process::ExitCode;

use annals_client::Client;
use annals_edn::{Code, Edn, Node};

use crate::args::{PullArguments, PullFormat};
use crate::commands::{Outcome, read};
use crate::failure::Failure;
use crate::output::json;

pub async fn run(client: &Client, arguments: &PullArguments) -> Outcome {
    let read = read(&arguments.view, None)?;
    let entities = [arguments.entity.clone()];
    let values =
        client.pull(&arguments.database, &arguments.pattern, &entities, &read).await.map_err(|error| {
            match error.code() {
                // The entity is a text of its own, which the span does not tell from the pattern.
                Code::NotAnEntity
                | Code::NotAKeyword
                | Code::InvalidLookupRef
                | Code::LookupRefAttrNotUnique => Failure::in_source(error, &arguments.entity),
                _ => Failure::in_query(error, &arguments.pattern, &entities),
            }
        })?;
    let value = values.into_iter().next().unwrap_or(Edn::new(Node::Nil));
    match arguments.format {
        PullFormat::Edn => println!("{value}"),
        PullFormat::Json => println!("{}", json::to_json(&value)),
    }
    Ok(ExitCode::SUCCESS)
}
