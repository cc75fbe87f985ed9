//! Transactions: sent under an id that the client chose, and sent again under the same id until the outcome is known.

use std::fmt;
use std::time::Duration;

use annals_edn::{Code, Edn, Error, Keyword, Node};
use annals_wire::v1;
use annals_wire::v1::transact_service_client::TransactServiceClient;
use uuid::Uuid;

use crate::Result;
use crate::client::{Client, DEFAULT_TIMEOUT, retry};
use crate::results::rows_of;

/// The id of a transaction: 16 bytes chosen by the client. The same id with the same bytes is applied once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TxId(pub [u8; 16]);

impl TxId {
    /// A new, time-ordered id (UUID version 7).
    #[must_use]
    pub fn random() -> TxId {
        TxId(*Uuid::now_v7().as_bytes())
    }

    /// The id that a UUID in any of its usual spellings is.
    ///
    /// # Errors
    /// `TX_ID_INVALID` for what is none.
    pub fn parse(text: &str) -> Result<TxId> {
        let id = Uuid::parse_str(text).map_err(|error| {
            Error::new(Code::TransactionIdInvalid, format!("{text} is no transaction id: {error}"))
                .hint("a transaction id is a UUID; version 7 is best")
        })?;
        Ok(TxId(*id.as_bytes()))
    }

    /// The id that bytes stand for, the same on every machine (UUID version 8 of a digest).
    #[must_use]
    pub fn of_digest(digest: [u8; 16]) -> TxId {
        TxId(*uuid::Builder::from_custom_bytes(digest).into_uuid().as_bytes())
    }
}

impl fmt::Display for TxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Uuid::from_bytes(self.0).fmt(f)
    }
}

/// What a committed transaction did.
#[derive(Clone, Debug)]
pub struct Report {
    /// its number
    pub t: u64,
    /// its entity id
    pub tx: u64,
    /// `:db/txInstant`, milliseconds since 1970
    pub instant_ms: i64,
    /// tempids by name and what they became
    pub tempids: Vec<(String, u64)>,
    /// `[e a v tx added]`, a as ident, the transaction's `:db/txInstant` first; empty where they were not asked for
    pub datoms: Vec<Edn>,
    /// how many datoms there are, also where they were not asked for
    pub datom_count: u64,
    /// an earlier call had committed it
    pub replayed: bool,
}

impl Report {
    /// The report as one EDN map: `{:t 5 :tx 123 :tempids {"alice" 456} :datoms [[e a v tx true] …]}`.
    #[must_use]
    pub fn to_edn(&self) -> Edn {
        let key = |name: &str| Edn::new(Node::Keyword(Keyword::new(name)));
        let long = |n: u64| Edn::new(Node::Long(n as i64));
        let tempids = self
            .tempids
            .iter()
            .map(|(name, e)| (Edn::new(Node::Str(name.as_str().into())), long(*e)))
            .collect();
        Edn::new(Node::Map(vec![
            (key("t"), long(self.t)),
            (key("tx"), long(self.tx)),
            (key("tempids"), Edn::new(Node::Map(tempids))),
            (key("datoms"), Edn::new(Node::Vector(self.datoms.clone()))),
        ]))
    }

    pub(crate) fn from_wire(response: v1::TransactResponse) -> Result<Report> {
        let report =
            response.report.ok_or_else(|| Error::new(Code::Internal, "the answer holds no report"))?;
        Report::of(report, response.replayed)
    }

    /// What a message says.
    pub(crate) fn of(report: v1::TransactionReport, replayed: bool) -> Result<Report> {
        let datoms = match &report.datoms {
            Some(rows) => rows_of(rows)?.into_iter().map(|row| Edn::new(Node::Vector(row))).collect(),
            None => Vec::new(),
        };
        let datom_count = report.datom_count;
        let tempids = report.tempids.into_iter().map(|tempid| (tempid.name, tempid.entity)).collect();
        let (t, tx, instant_ms) = (report.t, report.tx, report.instant_ms);
        Ok(Report { t, tx, instant_ms, tempids, datoms, datom_count, replayed })
    }
}

impl Client {
    /// Commits `tx_data` (EDN, one vector of forms) under a new id.
    ///
    /// # Errors
    /// The refusal; `UNKNOWN_OUTCOME` when nobody could say in time whether it is committed.
    pub async fn transact(&self, database: &str, tx_data: &str) -> Result<Report> {
        self.transact_as(database, tx_data, TxId::random(), DEFAULT_TIMEOUT).await
    }

    /// Commits `tx_data` under `id`. Whatever fails on the way, the transaction is applied at most once: the call is
    /// sent again under the same id until the outcome is known or `timeout` passes.
    ///
    /// # Errors
    /// As [`Client::transact`].
    pub async fn transact_as(
        &self,
        database: &str,
        tx_data: &str,
        id: TxId,
        timeout: Duration,
    ) -> Result<Report> {
        let request = v1::TransactRequest {
            database: database.to_string(),
            incarnation: Vec::new().into(),
            tx_id: id.0.to_vec().into(),
            tx_data: tx_data.to_string(),
            timeout_ms: timeout.as_millis() as u32,
            omit_datoms: false,
        };
        let answer = retry(&self.shared.peers, timeout, &request, |channel, request| async move {
            TransactServiceClient::new(channel).max_decoding_message_size(64 << 20).transact(request).await
        })
        .await;
        let report = Report::from_wire(answer.map_err(|error| outcome(error, id))?)?;
        self.saw(database, report.t);
        Ok(report)
    }

    /// The t of the committed transaction of that id, `None` if there is none.
    ///
    /// # Errors
    /// `DB_NOT_FOUND`, `UNREACHABLE`.
    pub async fn transaction_status(&self, database: &str, id: TxId) -> Result<Option<u64>> {
        let request = v1::TxStatusRequest {
            database: database.to_string(),
            incarnation: Vec::new().into(),
            tx_id: id.0.to_vec().into(),
        };
        let response = retry(&self.shared.peers, DEFAULT_TIMEOUT, &request, |channel, request| async move {
            TransactServiceClient::new(channel).tx_status(request).await
        })
        .await?;
        Ok(response.t)
    }
}

/// A call that may have reached the writer and was not answered has an unknown outcome; say so.
fn outcome(error: Error, id: TxId) -> Error {
    match error.code() {
        Code::DeadlineExceeded | Code::UnknownOutcome => Error::new(Code::UnknownOutcome, error.message())
            .hint(format!("ask for the status of {id}, or send the same transaction again under that id"))
            .with("tx-id", id),
        _ => error,
    }
}
