//! Entities along an index and one by one, and how many datoms there are.

use annals_wire::v1;
use annals_wire::value::to_edn;

use crate::client::{Client, Read, queries, retry, timeout_of};
use crate::results::{Results, Source};
use crate::{Edn, Result};

/// A walk along one attribute: what is pulled, and from where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    /// AVET: entities by value; AEVT: those that a reference attribute of cardinality many leads to
    pub index: v1::IndexKind,
    /// EDN: the pull pattern
    pub selector: String,
    /// EDN: the attribute, then the value or entity to start from, inclusive, where one is wanted
    pub start: Vec<String>,
    /// downwards
    pub reverse: bool,
}

impl Client {
    /// Pulls along an index: rows of one column. `read.options` has offset and limit, in the direction of the walk.
    ///
    /// # Errors
    /// `INVALID_PULL`, `ATTRIBUTE_NOT_INDEXED`, `INVALID_VIEW`; as [`Client::query`].
    pub async fn index_pull(&self, database: &str, walk: &Walk, read: &Read) -> Result<Results> {
        let request = v1::IndexPullRequest {
            database: Some(self.value(database, read)),
            index: walk.index.into(),
            selector: walk.selector.clone(),
            start: walk.start.clone(),
            reverse: walk.reverse,
            options: Some(read.options.clone()),
        };
        Results::open(self.clone(), database, Source::IndexPull(request)).await
    }

    /// Entities as maps, one for each of `entities` (EDN texts), nil where nothing is identified: everything about it
    /// with its components, or what it has under `keys` (EDN keywords, `:p/_friend` for what refers to it).
    ///
    /// # Errors
    /// `INVALID_VIEW` for a history; as [`Client::query`].
    pub async fn entity(
        &self,
        database: &str,
        entities: &[String],
        keys: &[String],
        read: &Read,
    ) -> Result<Vec<Edn>> {
        let timeout = timeout_of(&read.options);
        let request = v1::EntityRequest {
            database: Some(self.value(database, read)),
            entities: entities.to_vec(),
            keys: keys.to_vec(),
            timeout_ms: u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX),
        };
        let response = retry(&self.shared.peers, timeout, &request, |channel, request| async move {
            queries(channel).entity(request).await
        })
        .await?;
        if read.with.is_empty() {
            self.saw(database, response.basis_t);
        }
        response.values.iter().map(to_edn).collect()
    }

    /// How many datoms `database` has, by attribute. Reads the whole index.
    ///
    /// # Errors
    /// As [`Client::query`].
    pub async fn db_stats(&self, database: &str, read: &Read) -> Result<v1::DbStatsResponse> {
        let timeout = timeout_of(&read.options);
        let request = v1::DbStatsRequest {
            database: Some(self.value(database, read)),
            timeout_ms: u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX),
        };
        let response = retry(&self.shared.peers, timeout, &request, |channel, request| async move {
            queries(channel).db_stats(request).await
        })
        .await?;
        if read.with.is_empty() {
            self.saw(database, response.basis_t);
        }
        Ok(response)
    }
}
