//! `annals tx status`: whether a transaction is committed, by the id it was sent under.

use std::process::ExitCode;

use annals_client::{Client, TxId};
use annals_edn::Kind;

use crate::args::TxCommand;
use crate::commands::Outcome;

pub async fn run(client: &Client, command: TxCommand) -> Outcome {
    match command {
        TxCommand::Status { database, id } => status(client, &database, TxId::parse(&id)?).await,
    }
}

/// `committed T`; or `unknown`, and the exit code of what is not found.
async fn status(client: &Client, database: &str, id: TxId) -> Outcome {
    match client.transaction_status(database, id).await? {
        Some(t) => {
            println!("committed {t}");
            Ok(ExitCode::SUCCESS)
        }
        None => {
            println!("unknown");
            Ok(ExitCode::from(Kind::NotFound.exit_code()))
        }
    }
}
