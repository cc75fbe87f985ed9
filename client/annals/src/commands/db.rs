//! `annals db`: the catalog.

use std::process::ExitCode;

use annals_client::Client;
use annals_wire::v1;

use crate::args::{DbCommand, Flexibility};
use crate::commands::Outcome;

pub async fn run(client: &Client, command: DbCommand) -> Outcome {
    match command {
        DbCommand::Create { name, schema_flexibility, keep_history, if_not_exists } => {
            let flexibility = match schema_flexibility {
                Flexibility::Read => v1::SchemaFlexibility::Read,
                Flexibility::Write => v1::SchemaFlexibility::Write,
            };
            let options = v1::DatabaseOptions {
                schema_flexibility: flexibility.into(),
                keep_history: Some(keep_history),
            };
            client.create_database(&name, options, if_not_exists).await?;
        }
        DbCommand::List => {
            for database in client.list_databases().await? {
                println!("{}", database.name);
            }
        }
        DbCommand::Delete { name } => client.delete_database(&name).await?,
    }
    Ok(ExitCode::SUCCESS)
}
