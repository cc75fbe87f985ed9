//! Speculation: the value that a database would have after transactions that nobody commits
//! (docs/design/speculation.md).
//!
//! What it is: transactions decided on a private branch, as the writer decides them. What it is not: kept; the branch
//! goes with the answer. Called for every database value that a request names. Bounded by limits and fuel a
//! transaction, and by their number.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use annals_edn::{Code, Error, read_one};
use annals_peer::db::{Context, Db, EntityId, Limits, TxBody, transact};
use annals_peer::query::Datalog;
use annals_wire::db::datoms_of;
use annals_wire::v1;

use crate::Result;

/// The most transactions of one speculation.
const MAX_TRANSACTIONS: usize = 64;

/// A value after transactions, and what they did.
pub struct Speculation {
    /// the value after the last
    pub db: Db,
    /// one a transaction
    pub bodies: Vec<Arc<TxBody>>,
}

/// Decides `texts` in order on a branch of `db`, each within `limits`. `now` is their clock, the machine's where there is
/// none.
///
/// # Errors
/// The refusal of the first that is refused, with the detail `with`, its number.
pub fn speculate(
    db: &Db,
    texts: &[String],
    now: Option<i64>,
    limits: Limits,
    functions: &Datalog,
) -> Result<Speculation> {
    if texts.len() > MAX_TRANSACTIONS {
        let message = format!("{} transactions are speculated, {MAX_TRANSACTIONS} may be", texts.len());
        return Err(Error::new(Code::InvalidArgument, message)
            .with("limit", MAX_TRANSACTIONS)
            .hint("join some of them into one"));
    }
    let now = now.unwrap_or_else(clock);
    let mut speculation = Speculation { db: db.fork(), bodies: Vec::with_capacity(texts.len()) };
    for (at, text) in texts.iter().enumerate() {
        let before = &speculation.db;
        let context = Context { now, limits, functions, client_id: None, request_hash: 0 };
        let decided = read_one(text).and_then(|tx_data| {
            let body = transact(before, &tx_data, &context)?;
            Ok((before.apply(&body)?, body))
        });
        let (after, body) = decided.map_err(|error| error.without_span().with("with", at))?;
        speculation.db = after;
        speculation.bodies.push(body);
    }
    Ok(speculation)
}

fn clock() -> i64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
}

impl Speculation {
    /// What each transaction would be answered with.
    #[must_use]
    pub fn reports(&self) -> Vec<v1::TransactionReport> {
        self.bodies.iter().map(|body| self.report(body)).collect()
    }

    fn report(&self, body: &TxBody) -> v1::TransactionReport {
        let schema = self.db.schema();
        let datoms = datoms_of(body, |a| {
            let ident = schema.attribute(a).map(|attribute| attribute.ident.as_str().to_string());
            ident.unwrap_or_else(|| a.entity().to_string())
        });
        let tempid = |(name, e): &(Arc<str>, EntityId)| v1::Tempid { name: name.to_string(), entity: e.0 };
        v1::TransactionReport {
            incarnation: self.db.incarnation().0.to_be_bytes().to_vec().into(),
            t: body.t.0,
            tx: EntityId::of_tx(body.t).0,
            instant_ms: body.instant,
            tempids: body.tempids.iter().map(tempid).collect(),
            datom_count: datoms.row_count.into(),
            datoms: Some(datoms),
            lineage: Vec::new().into(),
        }
    }
}
