//! The product's own engine behind [`Engine`].

use std::collections::HashMap;
use std::sync::Arc;

use annals_db::segment::{Build, Hash};
use annals_db::{AttrId, Context, Db, EntityId, Functions, Incarnation, Limits, Options, TxBody, transact};
use annals_edn::{Code, Error};
use annals_store::Store;
use annals_wire::db::datoms_of;
use annals_wire::v1;
use bytes::Bytes;

use crate::config::Config;
use crate::engine::{Decision, Engine, IndexJob, Known, Request};
use crate::intake::Receipt;
use crate::machine::{RootRef, Tx};

/// Evaluates with [`transact`] on [`Db`] values.
pub struct DbEngine {
    /// The most a transaction may be.
    pub limits: Limits,
    /// What stored functions run on.
    pub functions: Arc<dyn Functions + Send + Sync>,
    /// Where indexes are written and roots are read; without it the log is all there is.
    pub store: Option<Store>,
}

impl Default for DbEngine {
    fn default() -> Self {
        Self { limits: Limits::default(), functions: Arc::new(annals_query::Datalog::default()), store: None }
    }
}

impl DbEngine {
    /// The engine of a member: its store and its limits.
    ///
    /// # Errors
    /// Those of [`Store::open`].
    pub fn of(config: &Config) -> Result<Self, Error> {
        let store = config.store.as_deref().map(Store::open).transpose()?;
        Ok(Self { store, limits: config.limits.limits(), ..Self::default() })
    }

    fn store(&self) -> Result<&Store, Error> {
        let none = || Error::new(Code::SegmentUnavailable, "this member has no store to read roots from");
        self.store.as_ref().ok_or_else(none)
    }
}

impl Engine for DbEngine {
    type Value = Db;

    fn limits(&self) -> Limits {
        self.limits
    }

    fn empty(&self, incarnation: Incarnation, options: Options) -> Db {
        Db::empty(incarnation, options)
    }

    fn open(&self, incarnation: Incarnation, _options: Options, root: &RootRef) -> Result<Db, Error> {
        let (base, _) = self.store()?.open_root(incarnation, Hash(root.hash))?;
        Ok(Db::open(base))
    }

    fn apply(&self, value: &Db, body: &Bytes) -> Result<Db, Error> {
        value.apply(&Arc::new(TxBody::decode(body)?))
    }

    fn evaluate(&self, value: &Db, request: &Request, now_ms: i64) -> Result<Decision<Db>, Error> {
        let text = std::str::from_utf8(&request.tx_data)
            .map_err(|_| Error::new(Code::EdnInvalidToken, "transaction data is not utf-8 text"))?;
        let tx_data = annals_edn::read_one(text)?;
        let context = Context {
            now: now_ms,
            limits: self.limits,
            functions: &*self.functions,
            client_id: Some(request.tx_id),
            request_hash: request.request_hash,
        };
        let body = transact(value, &tx_data, &context)?;
        let after = value.apply(&body)?;
        let tx = Tx { instant: body.instant, next_counter: body.next_counter, body: body.encode().into() };
        Ok(Decision { after, t: body.t.0, tx })
    }

    fn find(&self, value: &Db, tx_id: u128) -> Result<Option<Known>, Error> {
        let found = value.transaction_by_client_id(tx_id)?;
        Ok(found.map(|body| Known {
            t: body.t.0,
            request_hash: body.request_hash,
            body: body.encode().into(),
        }))
    }

    fn indexes(&self) -> bool {
        self.store.is_some()
    }

    fn build(&self, value: &Db, job: &IndexJob) -> Result<RootRef, Error> {
        let store = self.store()?;
        let build = Build { incarnation: job.incarnation, raft_index: job.build };
        let hash = annals_db::build::build(value, build, job.lineage, &mut store.sink())?;
        Ok(RootRef { number: job.number, hash: hash.0, covers_t: value.basis().0, lineage: job.lineage })
    }

    fn rebase(&self, value: &Db, root: &RootRef) -> Result<Db, Error> {
        let (store, hash) = (self.store()?, Hash(root.hash));
        let (base, _) = store.open_root(value.incarnation(), hash)?;
        let value = value.adopt(base)?;
        // Only published roots get a number that readers of the store go by; every member names it alike.
        store.put_root(value.incarnation(), root.number, &hash)?;
        Ok(value)
    }

    fn report(&self, value: &Db, receipt: &Receipt, datoms: bool) -> Result<v1::TransactionReport, Error> {
        let head = TxBody::head(&receipt.body)?;
        let tempid = |(name, e): &(Arc<str>, EntityId)| v1::Tempid { name: name.to_string(), entity: e.0 };
        Ok(v1::TransactionReport {
            incarnation: Bytes::copy_from_slice(&receipt.incarnation.0.to_be_bytes()),
            t: head.t.0,
            tx: EntityId::of_tx(head.t).0,
            instant_ms: head.instant,
            tempids: head.tempids.iter().map(tempid).collect(),
            datoms: datoms.then(|| datom_chunk(value, &receipt.body)).transpose()?,
            lineage: receipt.lineage.map_or_else(Bytes::new, |lineage| Bytes::copy_from_slice(&lineage.0)),
            // The instant is one of them.
            datom_count: head.datom_count as u64 + 1,
        })
    }
}

/// A transaction's datoms as columns.
fn datom_chunk(value: &Db, body: &Bytes) -> Result<v1::Chunk, Error> {
    let body = TxBody::decode(body)?;
    let names = names_at(value, &body)?;
    Ok(datoms_of(&body, |a| names.get(&a).cloned().unwrap_or_default()))
}

/// What the attributes of `body` were called when it was decided: a resend answers the report of the first time.
fn names_at(value: &Db, body: &TxBody) -> Result<HashMap<AttrId, String>, Error> {
    let mut names = HashMap::new();
    for datom in &body.datoms {
        if names.contains_key(&datom.a) {
            continue;
        }
        let e = datom.a.entity();
        let name = value.ident_at(e, body.t)?;
        names.insert(datom.a, name.map_or_else(|| e.to_string(), |ident| ident.as_str().to_owned()));
    }
    Ok(names)
}

#[cfg(test)]
mod tests;
