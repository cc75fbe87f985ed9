//! How a query would be run, or was.

use annals_edn::{Edn, read_one};
use annals_wire::v1;

use crate::Result;
use crate::client::{Client, Read, queries, retry, timeout_of};

/// A plan, and what its run took if it was run.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// for people, a line a step
    pub text: String,
    /// the same as a map
    pub data: Edn,
    /// the basis of the first database that is read, 0 without one
    pub basis_t: u64,
}

impl Client {
    /// Explains a query with the inputs of [`Client::query`]. With `analyze` it is run to its end, the rows dropped, and
    /// what each step took is told.
    ///
    /// # Errors
    /// As [`Client::query`].
    pub async fn explain(
        &self,
        database: &str,
        query: &str,
        args: &[String],
        read: &Read,
        analyze: bool,
    ) -> Result<Explanation> {
        let request = v1::ExplainRequest { query: Some(self.asked(database, query, args, read)), analyze };
        let timeout = timeout_of(&read.options);
        let response = retry(&self.shared.peers, timeout, &request, |channel, request| async move {
            queries(channel).explain(request).await
        })
        .await?;
        if read.with.is_empty() && response.basis_t > 0 {
            self.saw(database, response.basis_t);
        }
        let v1::ExplainResponse { text, data, basis_t, .. } = response;
        Ok(Explanation { text, data: read_one(&data)?, basis_t })
    }
}
