//! The databases a peer keeps, and how one advances.
//!
//! A frame is taken only if it continues the value: `t` is the next one and the lineage matches. A frame already
//! applied is ignored, a gap or another lineage ends the subscription, which then starts again from what is held.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use annals_db::segment::Base;
use annals_db::{Db, Incarnation, Lineage, Options, TxBody};
use annals_edn::{Code, Error};
use annals_wire::v1;
use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::Result;

/// Opens published roots: what a peer needs of the store.
pub trait Roots: Send + Sync {
    /// The trees below the root of that hash, and the chain up to it.
    ///
    /// # Errors
    /// `SEGMENT_UNAVAILABLE`, `DATA_LOSS`.
    fn open(&self, incarnation: Incarnation, root: &[u8]) -> Result<(Base, Lineage)>;
}

/// One database: its newest value, and who waits for the next.
pub struct Database {
    /// its name
    pub name: String,
    /// which database of that name
    pub incarnation: Incarnation,
    value: ArcSwap<Held>,
    basis: watch::Sender<u64>,
    /// the newest t that the group is known to have committed
    committed: watch::Sender<u64>,
}

/// A value and the chain up to it.
struct Held {
    db: Db,
    lineage: Lineage,
}

impl Database {
    /// The newest value. Never waits.
    #[must_use]
    pub fn db(&self) -> Db {
        self.value.load().db.clone()
    }

    /// The newest t.
    #[must_use]
    pub fn basis(&self) -> u64 {
        *self.basis.borrow()
    }

    /// Transactions behind the newest known commit.
    #[must_use]
    pub fn lag(&self) -> u64 {
        self.committed.borrow().saturating_sub(self.basis())
    }

    /// Waits until the value has reached `t`.
    ///
    /// # Errors
    /// `BASIS_NOT_REACHED` when `timeout` passes first.
    pub async fn reached(&self, t: u64, timeout: Duration) -> Result<Db> {
        let mut basis = self.basis.subscribe();
        let waited = tokio::time::timeout(timeout, basis.wait_for(|basis| *basis >= t)).await;
        match waited {
            Ok(Ok(_)) => Ok(self.db()),
            _ => Err(Error::new(
                Code::BasisNotReached,
                format!(
                    "the database {} is at t {}, and did not reach {t} in {timeout:?}",
                    self.name,
                    self.basis()
                ),
            )
            .with("basis", self.basis())),
        }
    }

    /// Where this value stands, for the feed.
    #[must_use]
    pub fn position(&self) -> v1::FeedPosition {
        let held = self.value.load();
        v1::FeedPosition {
            incarnation: self.incarnation.0.to_be_bytes().to_vec().into(),
            t: held.db.basis().0,
            lineage: held.lineage.0.to_vec().into(),
        }
    }

    /// Takes the frames of one batch that are for this database, in order.
    ///
    /// # Errors
    /// `DIVERGED` when a frame does not continue the value, `DATA_LOSS` when its bytes are damaged.
    pub(crate) fn take(&self, frames: &[v1::Frame]) -> Result<()> {
        let held = self.value.load();
        let (mut db, mut lineage) = (held.db.clone(), held.lineage);
        for frame in frames {
            if frame.t <= db.basis().0 {
                continue;
            }
            let continues = frame.t == db.basis().0 + 1 && frame.prev_lineage[..] == lineage.0;
            let next = lineage.next(&frame.tx_body);
            if !continues || frame.lineage[..] != next.0 {
                return Err(Error::new(
                    Code::Diverged,
                    format!("transaction {} of {} does not continue t {}", frame.t, self.name, db.basis().0),
                ));
            }
            db = db.apply(&Arc::new(TxBody::decode(&frame.tx_body)?))?;
            lineage = next;
        }
        let basis = db.basis().0;
        self.value.store(Arc::new(Held { db, lineage }));
        self.basis.send_replace(basis);
        self.knows_committed(basis);
        Ok(())
    }

    /// Replaces the value by one read from a root.
    pub(crate) fn replace(&self, db: Db, lineage: Lineage) {
        let basis = db.basis().0;
        self.value.store(Arc::new(Held { db, lineage }));
        self.basis.send_replace(basis);
        self.knows_committed(basis);
    }

    /// Remembers that the group has committed `t`.
    pub(crate) fn knows_committed(&self, t: u64) {
        self.committed.send_if_modified(|known| {
            let newer = t > *known;
            *known = t.max(*known);
            newer
        });
    }
}

/// The databases by name and by incarnation.
pub struct Databases {
    roots: Arc<dyn Roots>,
    by_name: RwLock<HashMap<String, Arc<Database>>>,
    changed: watch::Sender<u64>,
}

impl Databases {
    /// No databases yet; roots are opened by `roots`.
    #[must_use]
    pub fn new(roots: Arc<dyn Roots>) -> Databases {
        Databases { roots, by_name: RwLock::default(), changed: watch::Sender::new(0) }
    }

    /// The database of that name.
    ///
    /// # Errors
    /// `DB_NOT_FOUND`.
    pub fn get(&self, name: &str) -> Result<Arc<Database>> {
        let found = self.by_name.read().expect("no holder panics").get(name).cloned();
        found.ok_or_else(|| {
            Error::new(Code::DbNotFound, format!("there is no database '{name}'"))
                .with("database", name)
                .hint("'annals db list' names the databases; 'annals db create NAME' makes one")
        })
    }

    /// The database of that name, which the group has: waits until the catalog names it here too.
    ///
    /// # Errors
    /// `DB_NOT_FOUND` when `timeout` passes first.
    pub async fn arrived(&self, name: &str, timeout: Duration) -> Result<Arc<Database>> {
        let mut changes = self.changes();
        let arrival = async { while self.get(name).is_err() && changes.changed().await.is_ok() {} };
        // Whether it arrived in time is asked once more below.
        let _ = tokio::time::timeout(timeout, arrival).await;
        self.get(name)
    }

    /// Every database, by name.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Database>> {
        let mut all: Vec<Arc<Database>> =
            self.by_name.read().expect("no holder panics").values().cloned().collect();
        all.sort_by(|x, y| x.name.cmp(&y.name));
        all
    }

    /// The database of that incarnation.
    #[must_use]
    pub fn by_incarnation(&self, bytes: &[u8]) -> Option<Arc<Database>> {
        let incarnation = incarnation_of(bytes)?;
        let by_name = self.by_name.read().expect("no holder panics");
        by_name.values().find(|database| database.incarnation == incarnation).cloned()
    }

    /// Counts changes of the catalog; await it to see new and deleted databases.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Takes a catalog message: new databases are opened at their root, dropped ones forgotten.
    ///
    /// # Errors
    /// Of the store, when a root cannot be read.
    pub(crate) fn take_catalog(&self, update: &v1::CatalogUpdate) -> Result<()> {
        for info in &update.databases {
            self.learn(info)?;
        }
        let mut by_name = self.by_name.write().expect("no holder panics");
        let kept = |database: &Database| {
            let listed = |bytes: &[u8]| incarnation_of(bytes) == Some(database.incarnation);
            let dropped = update.dropped.iter().any(|bytes| listed(bytes));
            let missing = update.snapshot && !update.databases.iter().any(|info| listed(&info.incarnation));
            !dropped && !missing
        };
        by_name.retain(|_, database| kept(database));
        drop(by_name);
        self.changed.send_modify(|count| *count += 1);
        Ok(())
    }

    fn learn(&self, info: &v1::DatabaseInfo) -> Result<()> {
        if let Some(known) = self.by_incarnation(&info.incarnation) {
            known.knows_committed(info.t);
            return Ok(());
        }
        let incarnation = incarnation_of(&info.incarnation)
            .ok_or_else(|| Error::new(Code::Internal, "the catalog names a malformed incarnation"))?;
        let (db, lineage) = match info.root_hash.is_empty() {
            true => (Db::empty(incarnation, options_of(info)), Lineage::default()),
            false => {
                let (base, lineage) = self.roots.open(incarnation, &info.root_hash)?;
                (Db::open(base), lineage)
            }
        };
        let basis = db.basis().0;
        let database = Arc::new(Database {
            name: info.name.clone(),
            incarnation,
            value: ArcSwap::from_pointee(Held { db, lineage }),
            basis: watch::Sender::new(basis),
            committed: watch::Sender::new(info.t.max(basis)),
        });
        self.by_name.write().expect("no holder panics").insert(info.name.clone(), database);
        Ok(())
    }

    /// Moves a database that fell off the feed to a published root.
    ///
    /// # Errors
    /// Of the store.
    pub(crate) fn take_behind(&self, behind: &v1::FeedBehind) -> Result<()> {
        if let Some(database) = self.by_incarnation(&behind.incarnation)
            && database.basis() < behind.root_t
        {
            let (base, lineage) = self.roots.open(database.incarnation, &behind.root_hash)?;
            database.replace(Db::open(base), lineage);
        }
        Ok(())
    }

    /// True when a published root covers more than the one that the database stands on, and no more than it holds.
    pub(crate) fn is_newer(&self, root: &v1::FeedBehind) -> bool {
        let database = self.by_incarnation(&root.incarnation);
        database.is_some_and(|database| {
            let db = database.db();
            root.root_t <= db.basis().0 && db.base().is_none_or(|base| base.t().0 < root.root_t)
        })
    }

    /// Moves a database to a newer root: the novelty that it covers is dropped.
    ///
    /// # Errors
    /// Of the store.
    pub(crate) fn take_root(&self, root: &v1::FeedBehind) -> Result<()> {
        if let Some(database) = self.by_incarnation(&root.incarnation) {
            let (base, _) = self.roots.open(database.incarnation, &root.root_hash)?;
            let held = database.value.load();
            database.replace(held.db.adopt(base)?, held.lineage);
        }
        Ok(())
    }

    /// Hands each database its frames, keeping their order.
    ///
    /// # Errors
    /// As [`Database::take`].
    pub(crate) fn take_frames(&self, frames: &[v1::Frame]) -> Result<()> {
        for run in frames.chunk_by(|x, y| x.incarnation == y.incarnation) {
            if let Some(database) = self.by_incarnation(&run[0].incarnation) {
                database.take(run)?;
            }
        }
        Ok(())
    }
}

/// 16 bytes as an incarnation.
#[must_use]
pub fn incarnation_of(bytes: &[u8]) -> Option<Incarnation> {
    Some(Incarnation(u128::from_be_bytes(bytes.try_into().ok()?)))
}

fn options_of(info: &v1::DatabaseInfo) -> Options {
    let options = info.options.unwrap_or_default();
    Options {
        schema_on_write: options.schema_flexibility() != v1::SchemaFlexibility::Read,
        keep_history: options.keep_history.unwrap_or(true),
    }
}
