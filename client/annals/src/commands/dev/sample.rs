//! The sample database, loaded through the ordinary client path.

use std::time::Duration;

use annals_client::{Client, Error, TxId};
use annals_wire::v1;

/// Its name.
pub const NAME: &str = "sample";
const SCHEMA: &str = include_str!("../../../sample/schema.edn");
const COUNTRIES: &str = include_str!("../../../sample/countries.edn");
const CATALOGUE: &str = include_str!("../../../sample/catalogue.edn");
const TIMEOUT: Duration = Duration::from_secs(30);

/// Makes and fills the sample database. Loading it again changes nothing: its transactions have fixed ids.
pub async fn load(client: &Client) -> Result<(), Error> {
    client.create_database(NAME, v1::DatabaseOptions::default(), true).await?;
    client.transact_as(NAME, SCHEMA.trim_start(), id(b"sample schema 1"), TIMEOUT).await?;
    client.transact_as(NAME, &format!("[{COUNTRIES}]"), id(b"sample countries 1"), TIMEOUT).await?;
    client.transact_as(NAME, &format!("[{CATALOGUE}]"), id(b"sample catalogue 1"), TIMEOUT).await?;
    Ok(())
}

fn id(of: &[u8]) -> TxId {
    let mut digest = [0; 16];
    digest.copy_from_slice(&blake3::hash(of).as_bytes()[..16]);
    TxId::of_digest(digest)
}
