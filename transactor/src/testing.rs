//! A small engine for tests: a database is a sum and the list of its transactions.
//!
//! `add N` adds; `cas A B` sets the sum to B if it is A and is refused otherwise; anything else is not understood.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use annals_db::{Incarnation, Options};
use annals_edn::{Code, Error};
use annals_wire::v1;
use bytes::{BufMut, Bytes, BytesMut};

use crate::encoding::{Reader, put_bytes};
use crate::engine::{Decision, Engine, IndexJob, Known, Request};
use crate::intake::Receipt;
use crate::machine::{RootHash, RootRef, Tx};

/// The engine. Clones share their store, which stands for a disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sums {
    pub(crate) store: Option<Store>,
}

/// Roots by hash.
type Store = Arc<Mutex<HashMap<RootHash, Sum>>>;

/// A value.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sum {
    pub(crate) t: u64,
    pub(crate) total: i64,
    instant: i64,
    known: Arc<HashMap<u128, (u64, Bytes)>>,
    recent: Arc<Recent>,
}

#[derive(Debug, Default)]
struct Recent {
    length: usize,
    last: Option<(u128, u64, Bytes, Arc<Recent>)>,
}

const MERGE_AT: usize = 128;

impl Sum {
    fn find(&self, id: u128) -> Option<(u64, Bytes)> {
        let mut recent = &self.recent;
        while let Some((at, t, body, before)) = &recent.last {
            if *at == id {
                return Some((*t, body.clone()));
            }
            recent = before;
        }
        self.known.get(&id).cloned()
    }

    fn after(&self, body: &Bytes) -> Result<Sum, Error> {
        let malformed = |_| Error::new(Code::DataLoss, "not a transaction of sums");
        let mut reader = Reader::new(body.clone());
        let t = reader.u64().map_err(malformed)?;
        if t != self.t + 1 {
            return Err(Error::new(Code::Diverged, format!("t {t} does not follow {}", self.t)));
        }
        let instant = reader.i64().map_err(malformed)?;
        let id = u128::from_be_bytes(reader.array().map_err(malformed)?);
        let _hash = reader.u64().map_err(malformed)?;
        let total = self.total_after(&reader.bytes().map_err(malformed)?)?;
        let (mut known, mut recent) = (Arc::clone(&self.known), Arc::clone(&self.recent));
        if recent.length >= MERGE_AT {
            let mut merged = (*known).clone();
            let mut at = &recent;
            while let Some((id, t, body, before)) = &at.last {
                merged.insert(*id, (*t, body.clone()));
                at = before;
            }
            (known, recent) = (Arc::new(merged), Arc::default());
        }
        let recent =
            Arc::new(Recent { length: recent.length + 1, last: Some((id, t, body.clone(), recent)) });
        Ok(Sum { t, total, instant, known, recent })
    }

    fn total_after(&self, text: &Bytes) -> Result<i64, Error> {
        let text = String::from_utf8_lossy(text).into_owned();
        let words: Vec<&str> = text.split(' ').collect();
        let number = |word: &str| {
            word.parse::<i64>().map_err(|_| Error::new(Code::NotTransactionData, "not a number"))
        };
        match words[..] {
            ["add", n] => Ok(self.total + number(n)?),
            ["cas", from, to] if number(from)? == self.total => number(to),
            ["cas", from, _] => {
                Err(Error::new(Code::CasFailed, format!("the sum is {}, not {from}", self.total)))
            }
            _ => Err(Error::new(Code::NotTransactionData, format!("cannot read {text}"))),
        }
    }
}

impl Engine for Sums {
    type Value = Sum;

    fn empty(&self, _: Incarnation, _: Options) -> Sum {
        Sum::default()
    }

    fn open(&self, _: Incarnation, _: Options, root: &RootRef) -> Result<Sum, Error> {
        let found = self.store.as_ref().and_then(|store| store.lock().unwrap().get(&root.hash).cloned());
        found.ok_or_else(|| Error::new(Code::SegmentUnavailable, "no such root"))
    }

    fn indexes(&self) -> bool {
        self.store.is_some()
    }

    fn build(&self, value: &Sum, job: &IndexJob) -> Result<RootRef, Error> {
        let hash = *blake3::hash(&[&job.build.to_be_bytes()[..], &job.lineage.0].concat()).as_bytes();
        let store = self.store.as_ref().expect("only asked to build where there is a store");
        store.lock().unwrap().insert(hash, value.clone());
        Ok(RootRef { number: job.number, hash, covers_t: value.t, lineage: job.lineage })
    }

    fn rebase(&self, value: &Sum, root: &RootRef) -> Result<Sum, Error> {
        self.open(Incarnation(0), Options::default(), root)?;
        Ok(value.clone())
    }

    fn apply(&self, value: &Sum, body: &Bytes) -> Result<Sum, Error> {
        value.after(body)
    }

    fn evaluate(&self, value: &Sum, request: &Request, now_ms: i64) -> Result<Decision<Sum>, Error> {
        let (t, instant) = (value.t + 1, now_ms.max(value.instant));
        let mut body = BytesMut::new();
        body.put_u64_le(t);
        body.put_i64_le(instant);
        body.put_slice(&request.tx_id.to_be_bytes());
        body.put_u64_le(request.request_hash);
        put_bytes(&mut body, &request.tx_data);
        let body = body.freeze();
        let after = value.after(&body)?;
        Ok(Decision { after, t, tx: Tx { instant, next_counter: t, body } })
    }

    fn find(&self, value: &Sum, tx_id: u128) -> Result<Option<Known>, Error> {
        let Some((t, body)) = value.find(tx_id) else { return Ok(None) };
        let mut reader = Reader::new(body.slice(32..));
        let request_hash =
            reader.u64().map_err(|_| Error::new(Code::DataLoss, "not a transaction of sums"))?;
        Ok(Some(Known { t, request_hash, body }))
    }

    fn report(&self, _: &Sum, receipt: &Receipt, _: bool) -> Result<v1::TransactionReport, Error> {
        Ok(v1::TransactionReport { t: receipt.t, ..v1::TransactionReport::default() })
    }
}
