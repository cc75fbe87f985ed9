//! `annals db`: the catalog.

use std::process::ExitCode;

use annals_client::{Client, Edn};
use annals_wire::v1;

use crate::args::{DbCommand, Flexibility};
use crate::commands::{Outcome, entity, read};

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
        DbCommand::Stats { name, view, format } => {
            let found = client.db_stats(&name, &read(&view, None)?).await?;
            entity::print(&stats(&found), format);
        }
        DbCommand::Delete { name } => client.delete_database(&name).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// `{:t 5 :datoms 20 :current 18 :attrs {:p/name {:count 3 :current 2 :entities 2 :values 2}}}`
fn stats(found: &v1::DbStatsResponse) -> Edn {
    let number = |key: &str, n: u64| (Edn::keyword(key), Edn::long(i64::try_from(n).unwrap_or(i64::MAX)));
    let attribute = |held: &v1::AttributeStats| {
        let counts = vec![
            number("count", held.datoms),
            number("current", held.current),
            number("entities", held.entities),
            number("values", held.values),
        ];
        (Edn::keyword(held.ident.as_str()), Edn::map(counts))
    };
    let attributes = found.attributes.iter().map(attribute).collect();
    Edn::map(vec![
        number("t", found.basis_t),
        number("datoms", found.datoms),
        number("current", found.current),
        (Edn::keyword("attrs"), Edn::map(attributes)),
    ])
}
