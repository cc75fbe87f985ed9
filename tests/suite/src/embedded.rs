//! An embedded peer as a system under test: it writes through the thin client, and reads database values of its own, which
//! the feed of a transactor keeps current.

use std::time::Duration;

use annals_client::Client;
use annals_edn::{Edn, Error, Keyword};
use annals_peer::{Config, Peer};
use annals_transport::TlsIdentity;

use crate::engine::EngineDatabase;
use crate::remote::{Remote, RemoteDatabase};
use crate::system::{
    Attribute, Committed, Count, Database, Datom, Datoms, Options, Point, Source, System, View,
};

/// How long a transaction may take from its acknowledgement to the peer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Makes databases on a cluster and follows them in this process.
pub struct Embedded {
    remote: Remote,
    peer: Peer,
}

impl Embedded {
    /// A peer of `config` that proves itself by `identity` and reads published roots in the store at `store`; `client`
    /// writes.
    ///
    /// # Errors
    /// Those of starting the peer, and `NOT_READY` when it is stopped first.
    pub fn start(
        client: Client,
        config: Config,
        identity: TlsIdentity,
        store: &str,
    ) -> Result<Embedded, Error> {
        let (remote, roots) = (Remote::new(client)?, annals_peer::roots::stored(store)?);
        let peer = remote.handle().block_on(async {
            let peer = Peer::start(config, identity, roots)?;
            peer.ready().await.map(|()| peer)
        })?;
        Ok(Embedded { remote, peer })
    }

    fn follow(&self, remote: RemoteDatabase) -> Result<EmbeddedDatabase, Error> {
        let seen = remote.wait(self.peer.sync(&remote.name, PATIENCE))?;
        Ok(EmbeddedDatabase { seen: EngineDatabase::of(seen), peer: self.peer.clone(), remote })
    }
}

impl System for Embedded {
    fn create(&self, options: Options) -> Result<Box<dyn Database>, Error> {
        Ok(Box::new(self.follow(self.remote.fresh(options)?)?))
    }

    fn open(&self, name: &str) -> Result<Option<Box<dyn Database>>, Error> {
        let database = self.remote.loaded(name)?.map(|remote| self.follow(remote)).transpose()?;
        Ok(database.map(|database| Box::new(database) as Box<dyn Database>))
    }
}

struct EmbeddedDatabase {
    /// the newest value, as the peer has it
    seen: EngineDatabase,
    peer: Peer,
    remote: RemoteDatabase,
}

impl Database for EmbeddedDatabase {
    fn transact(&mut self, tx_data: &Edn) -> Result<Committed, Error> {
        let committed = self.remote.transact(tx_data)?;
        let database = self.peer.database(&self.remote.name)?;
        self.seen.db = self.remote.wait(database.reached(committed.t.unsigned_abs(), PATIENCE))?;
        Ok(committed)
    }

    fn with(&self, view: &View, tx_data: &Edn) -> Result<Committed, Error> {
        self.seen.with(view, tx_data)
    }

    fn query(&self, source: &Source, query: &Edn, args: &[Edn]) -> Result<Edn, Error> {
        self.seen.query(source, query, args)
    }

    fn pull(&self, source: &Source, pattern: &Edn, entities: &[Edn]) -> Result<Vec<Edn>, Error> {
        self.seen.pull(source, pattern, entities)
    }

    fn datoms(&self, source: &Source, request: &Datoms<'_>) -> Result<Vec<Datom>, Error> {
        self.seen.datoms(source, request)
    }

    fn index_range(
        &self,
        source: &Source,
        attribute: &Edn,
        start: &Edn,
        end: &Edn,
    ) -> Result<Vec<Datom>, Error> {
        self.seen.index_range(source, attribute, start, end)
    }

    fn index_pull(&self, source: &Source, request: &Edn) -> Result<Vec<Edn>, Error> {
        self.seen.index_pull(source, request)
    }

    fn tx_range(
        &self,
        source: &Source,
        start: Option<Point>,
        end: Option<Point>,
    ) -> Result<Vec<(i64, Vec<Datom>)>, Error> {
        self.seen.tx_range(source, start, end)
    }

    fn entity(&self, source: &Source, entity: &Edn, keys: &[Edn]) -> Result<Edn, Error> {
        self.seen.entity(source, entity, keys)
    }

    fn stats(&self, source: &Source) -> Result<Vec<Count>, Error> {
        self.seen.stats(source)
    }

    fn entid(&self, source: &Source, entity: &Edn) -> Result<Option<i64>, Error> {
        self.seen.entid(source, entity)
    }

    fn ident(&self, source: &Source, entity: &Edn) -> Result<Option<Keyword>, Error> {
        self.seen.ident(source, entity)
    }

    fn attribute(&self, source: &Source, ident: &Keyword) -> Result<Option<Attribute>, Error> {
        self.seen.attribute(source, ident)
    }
}
