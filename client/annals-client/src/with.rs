//! Speculation: reading a database as transactions would leave it that nobody commits.

use std::time::{SystemTime, UNIX_EPOCH};

use annals_wire::v1;

use crate::client::{Client, Read, queries, retry, timeout_of};
use crate::transact::Report;
use crate::{Code, Error, Result};

/// Transactions to take as committed, in order. Empty: none. Nothing is held anywhere: each read carries them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct With {
    pub(crate) tx_data: Vec<String>,
    /// what they follow; the newest where absent
    pub(crate) basis_t: Option<u64>,
    /// their clock
    pub(crate) instant_ms: i64,
}

impl With {
    /// Nothing so far, at the newest basis of each read.
    #[must_use]
    pub fn new() -> With {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        With { instant_ms: i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX), ..With::default() }
    }

    /// After one more transaction, EDN.
    #[must_use]
    pub fn and(mut self, tx_data: impl Into<String>) -> With {
        self.tx_data.push(tx_data.into());
        self
    }

    /// Following exactly `t`, so that every read sees one value whatever is committed meanwhile.
    #[must_use]
    pub fn at(mut self, t: u64) -> With {
        self.basis_t = Some(t);
        self
    }

    /// True without transactions.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tx_data.is_empty()
    }
}

impl Client {
    /// What the transactions of `read.with` would do: their reports, and the basis that the first would follow, to pin
    /// later reads to with [`With::at`].
    ///
    /// # Errors
    /// The refusal of the first that is refused, with the detail `with`, its number; as [`Client::query`].
    pub async fn with(&self, database: &str, read: &Read) -> Result<(u64, Vec<Report>)> {
        let timeout = timeout_of(&read.options);
        let request = v1::WithRequest {
            database: Some(self.value(database, read)),
            timeout_ms: u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX),
        };
        let response = retry(&self.shared.peers, timeout, &request, |channel, request| async move {
            queries(channel).with(request).await
        })
        .await?;
        self.saw(database, response.basis_t);
        let reports = response.reports.into_iter().map(|report| Report::of(report, false));
        let reports = reports.collect::<Result<Vec<Report>>>()?;
        match reports.len() == read.with.tx_data.len() {
            true => Ok((response.basis_t, reports)),
            false => Err(Error::new(Code::Internal, "the answer has another number of reports")),
        }
    }
}
