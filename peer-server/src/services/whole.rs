//! Reads that are answered in one message: pulls, entities, counts, speculation.

use std::time::Instant;

use annals_edn::{Code, Edn, Error, read_one};
use annals_peer::db::{Db, Keyword};
use annals_peer::query;
use annals_wire::v1;
use annals_wire::value::from_edn;

use super::Shared;
use crate::Result;
use crate::request::{Resolver, deadline};
use crate::stream::Cancel;

/// What every answer says of its database.
struct Frame {
    incarnation: Vec<u8>,
    basis_t: u64,
}

/// Pulls each entity of a request.
pub(super) async fn pull(shared: &Shared, request: v1::PullRequest) -> Result<v1::PullResponse> {
    let (database, timeout_ms) = (request.database.clone(), request.timeout_ms);
    let run = move |db: &Db, cancel: &Cancel| crate::cursor::query::pull(db, &request, cancel);
    let (Frame { incarnation, basis_t }, values) = read(shared, "pull", database, timeout_ms, run).await?;
    Ok(v1::PullResponse { incarnation: incarnation.into(), basis_t, values })
}

/// Shows each entity of a request.
pub(super) async fn entities(shared: &Shared, request: v1::EntityRequest) -> Result<v1::EntityResponse> {
    let (database, timeout_ms) = (request.database.clone(), request.timeout_ms);
    let run = move |db: &Db, _: &Cancel| {
        let identifiers = request.entities.iter().map(|text| read_one(text)).collect::<Result<Vec<Edn>>>()?;
        let keys = request.keys.iter().map(|text| key(text)).collect::<Result<Vec<Keyword>>>()?;
        let found = query::entities(db, &identifiers, &keys)?;
        Ok(found.iter().map(from_edn).collect())
    };
    let (Frame { incarnation, basis_t }, values) = read(shared, "entity", database, timeout_ms, run).await?;
    Ok(v1::EntityResponse { incarnation: incarnation.into(), basis_t, values })
}

fn key(text: &str) -> Result<Keyword> {
    let form = read_one(text)?;
    form.as_keyword().cloned().ok_or_else(|| {
        Error::new(Code::NotAKeyword, format!("{text} is no key of an entity"))
            .hint("keys are attributes, as :p/name, or backwards, as :p/_friend")
    })
}

/// Counts datoms.
pub(super) async fn db_stats(shared: &Shared, request: v1::DbStatsRequest) -> Result<v1::DbStatsResponse> {
    let run = |db: &Db, cancel: &Cancel| {
        let tally = db.tally(&|| !cancel.is_set())?;
        tally.map(|tally| (db.clone(), tally)).ok_or_else(|| Error::new(Code::Cancelled, "nobody waits"))
    };
    let counted = read(shared, "count", request.database, request.timeout_ms, run).await?;
    let (Frame { incarnation, basis_t }, (db, tally)) = counted;
    let attribute = |held: &annals_peer::db::database::AttributeTally| v1::AttributeStats {
        ident: crate::cursor::datoms::ident(&db, held.a),
        datoms: held.datoms,
        current: held.current,
        entities: held.entities,
        values: held.values,
    };
    let mut attributes: Vec<v1::AttributeStats> = tally.attributes.iter().map(attribute).collect();
    attributes.sort_by(|x, y| x.ident.cmp(&y.ident));
    let (datoms, current) = (tally.datoms, tally.current);
    Ok(v1::DbStatsResponse { incarnation: incarnation.into(), basis_t, datoms, current, attributes })
}

/// Sets the flag when the caller is gone or out of time.
struct Waiting(Cancel);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Runs `work` on a database value, on a thread that may block, until the deadline.
async fn read<X, W>(
    shared: &Shared,
    what: &str,
    database: Option<v1::DatabaseValue>,
    timeout_ms: u32,
    work: W,
) -> Result<(Frame, X)>
where
    X: Send + 'static,
    W: FnOnce(&Db, &Cancel) -> Result<X> + Send + 'static,
{
    let deadline = deadline(timeout_ms);
    let mut resolver = Resolver::new(shared, deadline, None);
    let db = resolver.database(database.as_ref()).await?;
    let frame = Frame { incarnation: db.incarnation().0.to_be_bytes().to_vec(), basis_t: db.basis().0 };
    let waiting = Waiting(Cancel::default());
    let cancel = waiting.0.clone();
    let run = tokio::task::spawn_blocking(move || work(&db, &cancel));
    let found = tokio::time::timeout(deadline.saturating_duration_since(Instant::now()), run)
        .await
        .map_err(|_| Error::new(Code::DeadlineExceeded, format!("the time for this {what} has passed")))?
        .map_err(|_| Error::new(Code::Internal, format!("the {what} ended without an answer")))??;
    Ok((frame, found))
}

/// Answers what the transactions of a speculation would do.
pub(super) async fn with_reports(shared: &Shared, request: v1::WithRequest) -> Result<v1::WithResponse> {
    let mut resolver = Resolver::new(shared, crate::request::deadline(request.timeout_ms), None);
    let (basis, speculation) = resolver.with(request.database.as_ref()).await?;
    Ok(v1::WithResponse {
        incarnation: speculation.db.incarnation().0.to_be_bytes().to_vec().into(),
        basis_t: basis.0,
        reports: speculation.reports(),
    })
}
