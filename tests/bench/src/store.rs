//! A database in memory and how it is filled: the engine alone, without log, wire or threads.

use std::collections::HashMap;
use std::sync::Arc;

use annals_db::{Context, Db, Incarnation, Limits, NoFunctions, Options, TxBody, transact};
use annals_edn::{Edn, Forms, read_one};
use anyhow::Result;

/// Forms of a transaction of a bulk load.
pub const BATCH: usize = 1000;

/// The newest value of a database and the clock of its transactions.
pub struct Store {
    /// after the last transaction
    pub db: Db,
    clock: i64,
}

impl Store {
    /// A database with the schema that `schema` (EDN, one vector) installs.
    pub fn new(schema: &str) -> Result<Store> {
        let db = Db::empty(Incarnation(1), Options::default());
        let mut store = Store { db, clock: 1_700_000_000_000 };
        store.transact(&read_one(schema)?)?;
        Ok(store)
    }

    /// Another value with the same clock.
    pub fn on(&self, db: Db) -> Store {
        Store { db, clock: self.clock }
    }

    /// Decides and applies `tx_data`.
    pub fn transact(&mut self, tx_data: &Edn) -> Result<Arc<TxBody>> {
        self.clock += 1;
        // One transaction of a whole data set is part of what is measured, hence no limit to speak of.
        let limits = Limits { datoms: usize::MAX, bytes: usize::MAX, ..Limits::default() };
        let context =
            Context { now: self.clock, limits, functions: &NoFunctions, client_id: None, request_hash: 0 };
        let body = transact(&self.db, tx_data, &context)?;
        self.db = self.db.apply(&body)?;
        Ok(body)
    }

    /// Commits the forms of `text` in transactions of [`BATCH`]; datoms committed, those of the transactions included.
    pub fn load(&mut self, text: &str) -> Result<usize> {
        let mut datoms = 0;
        for batch in batches(text)? {
            datoms += self.transact(&batch)?.datoms.len() + 1;
        }
        Ok(datoms)
    }

    /// Makes the nodes and edges of a graph; the entity of each node. A node has its name in `:node`.
    pub fn load_graph(
        &mut self,
        attribute: &str,
        edges: &[(String, String)],
    ) -> Result<HashMap<String, u64>> {
        let mut names: Vec<&str> = edges.iter().flat_map(|(x, y)| [x.as_str(), y.as_str()]).collect();
        names.sort_unstable();
        names.dedup();
        let mut ids = HashMap::new();
        for some in names.chunks(5 * BATCH) {
            let maps: Vec<String> =
                some.iter().map(|name| format!("{{:db/id {name:?} :node {name:?}}}")).collect();
            let body = self.transact(&read_one(&format!("[{}]", maps.join(" ")))?)?;
            ids.extend(body.tempids.iter().map(|(name, id)| (name.to_string(), id.0)));
        }
        for some in edges.chunks(5 * BATCH) {
            let forms: Vec<String> =
                some.iter().map(|(x, y)| format!("[:db/add {} :{attribute} {}]", ids[x], ids[y])).collect();
            self.transact(&read_one(&format!("[{}]", forms.join(" ")))?)?;
        }
        Ok(ids)
    }
}

/// The forms of `text` in vectors of [`BATCH`].
pub fn batches(text: &str) -> Result<Vec<Edn>> {
    let mut forms = Forms::new(text);
    let mut batches = Vec::new();
    loop {
        let batch = forms.by_ref().take(BATCH).collect::<Result<Vec<Edn>, _>>()?;
        if batch.is_empty() {
            return Ok(batches);
        }
        batches.push(Edn::vector(batch));
    }
}
