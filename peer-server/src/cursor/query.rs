//! Queries and pulls, run by the engine.

use annals_edn::{Code, Error};
use annals_peer::db::Db;
use annals_wire::v1;

use super::Producer;
use crate::Result;
use crate::request::{Options, Resolver};
use crate::stream::Cancel;

/// A query with everything it reads.
pub struct Ask;

/// Resolves the inputs of a query.
///
/// # Errors
/// Of the inputs, each naming its position.
pub async fn ask(
    _request: &v1::QueryRequest,
    _options: &Options,
    _window: (u64, Option<u64>),
    _resolver: &mut Resolver<'_>,
) -> Result<Ask> {
    Ok(Ask)
}

impl Ask {
    /// Plans the query.
    ///
    /// # Errors
    /// Of the query, with the span in its text.
    pub fn start(self, _cancel: Cancel) -> Result<Box<dyn Producer>> {
        Err(Error::new(Code::Unsupported, "queries"))
    }
}

/// Pulls each entity of a request.
///
/// # Errors
/// Of the pattern or an entity.
pub fn pull(_db: &Db, _request: &v1::PullRequest) -> Result<Vec<v1::Value>> {
    Err(Error::new(Code::Unsupported, "pull"))
}
