//! What one member offers: transactions, the catalog, freshness. Local where it leads; a follower names the leader.
//!
//! It owns nothing; it joins the Raft host, the writer and the committed databases. Everything with a deadline.

use std::sync::Arc;
use std::time::Duration;

use annals_db::{Incarnation, Options};
use annals_edn::{Code, Error};
use tokio::time::Instant;

use crate::committed::{Committed, Slot};
use crate::engine::{Engine, Request};
use crate::feed::Subscribers;
use crate::intake::{Answer, Intake, db_not_found, unknown_outcome};
use crate::machine::{Command, CommandResult, CreateDb, Refusal};
use crate::raft::{Channels, Member, NodeId, Outcome, RaftHandle};
use crate::replica::Replica;
use crate::service::ProcessInfo;

/// The longest database name, in characters.
pub const MAX_NAME: usize = 128;

/// One member. Clones share it.
pub struct Group<E: Engine> {
    inner: Arc<Parts<E>>,
}

/// What a member is made of.
pub struct Parts<E: Engine> {
    /// Evaluates.
    pub engine: Arc<E>,
    /// Applies.
    pub replica: Replica<E>,
    /// Replicates.
    pub raft: RaftHandle,
    /// Writes.
    pub intake: Intake<E>,
    /// Reaches the other members.
    pub channels: Channels,
    /// Who follows the feed here.
    pub subscribers: Subscribers,
    /// What it is called in status lists.
    pub process: ProcessInfo,
}

impl<E: Engine> Clone for Group<E> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<E: Engine> Group<E> {
    /// Joins the parts.
    #[must_use]
    pub fn new(parts: Parts<E>) -> Self {
        Self { inner: Arc::new(parts) }
    }

    /// The parts.
    #[must_use]
    pub fn parts(&self) -> &Parts<E> {
        &self.inner
    }

    /// The committed databases.
    #[must_use]
    pub fn committed(&self) -> &Arc<Committed<E>> {
        self.inner.replica.committed()
    }

    /// The database of that name, which must be of `incarnation` where one is given.
    ///
    /// # Errors
    /// `DB_NOT_FOUND`.
    pub fn database(&self, name: &str, incarnation: Option<Incarnation>) -> Result<Arc<Slot<E>>, Error> {
        let found = self.committed().named(name);
        found
            .filter(|slot| incarnation.is_none_or(|wanted| wanted == slot.incarnation))
            .ok_or_else(|| db_not_found(Some(name)))
    }

    /// Another member that leads; `None` while this one does, or nobody.
    #[must_use]
    pub fn leader_elsewhere(&self) -> Option<(NodeId, Member)> {
        let status = self.inner.raft.status();
        let status = status.borrow();
        let leader = status.leader.filter(|leader| *leader != self.inner.raft.node_id())?;
        Some((leader, status.members.get(&leader)?.0.clone()))
    }

    /// Fails once this member's log has failed: nothing can be written here until it is started again.
    ///
    /// # Errors
    /// `DISK_FULL`, `STORAGE`.
    pub fn sound(&self) -> Result<(), Error> {
        let status = self.inner.raft.status();
        let Some(fault) = status.borrow().fault.clone() else { return Ok(()) };
        let full = fault.contains("os error 28");
        let code = if full { Code::DiskFull } else { Code::Storage };
        let hint =
            if full { "make room and start it again" } else { "look at its disk, then start it again" };
        Err(Error::new(code, format!("this member cannot write its log: {fault}")).hint(hint))
    }

    /// Commits a transaction through this member's own writer.
    ///
    /// # Errors
    /// The refusal; `NOT_LEADER` if nothing was written; `UNKNOWN_OUTCOME` if it may have been, also at the deadline.
    pub async fn transact(&self, incarnation: Incarnation, request: Request, deadline: Instant) -> Answer {
        if let Some(pause) = self.inner.intake.pause() {
            tokio::time::sleep(pause).await;
        }
        let answer = self.inner.intake.submit(incarnation, request)?;
        match tokio::time::timeout_at(deadline, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(unknown_outcome()),
        }
    }

    /// Brings a database into being. The same call under the same incarnation may be repeated.
    ///
    /// # Errors
    /// `DB_NAME`, `DB_EXISTS`, `NOT_LEADER`, `UNKNOWN_OUTCOME`.
    pub async fn create(
        &self,
        name: &str,
        options: Options,
        incarnation: Incarnation,
    ) -> Result<Arc<Slot<E>>, Error> {
        check_name(name)?;
        let create = CreateDb { incarnation, name: name.to_owned(), options };
        match self.command(&Command::CreateDb(create)).await? {
            CommandResult::Created(_) => {}
            CommandResult::Refused(Refusal::Exists(existing)) if existing == incarnation => {}
            _ => {
                let message = format!("a database called {name} exists");
                return Err(Error::new(Code::DbExists, message).with("database", name));
            }
        }
        self.committed().get(incarnation).ok_or_else(|| db_not_found(Some(name)))
    }

    /// Ends a database.
    ///
    /// # Errors
    /// `DB_NOT_FOUND`, `NOT_LEADER`, `UNKNOWN_OUTCOME`.
    pub async fn drop_database(&self, name: &str) -> Result<Incarnation, Error> {
        let incarnation = self.database(name, None)?.incarnation;
        match self.command(&Command::DropDb(incarnation)).await? {
            CommandResult::Dropped(incarnation) => Ok(incarnation),
            _ => Err(db_not_found(Some(name))),
        }
    }

    /// Enters a command as the leader and waits until it is applied.
    ///
    /// # Errors
    /// `NOT_LEADER`, `UNKNOWN_OUTCOME`.
    pub async fn command(&self, command: &Command) -> Result<CommandResult, Error> {
        self.sound()?;
        let term = *self.inner.raft.leadership().borrow();
        let Some(term) = term else { return Err(Error::new(Code::NotLeader, "this member does not lead")) };
        match self.inner.raft.propose(command.encode(), term).await.await {
            Outcome::Applied { result, .. } => Ok(result),
            Outcome::NotAppended { .. } => Err(Error::new(Code::NotLeader, "this member does not lead")),
            Outcome::Unknown => Err(unknown_outcome()),
        }
    }

    /// Waits until `slot` has reached `t` here.
    ///
    /// # Errors
    /// `BASIS_NOT_REACHED`.
    pub async fn reach(&self, slot: &Slot<E>, t: u64, timeout: Duration) -> Result<(), Error> {
        let mut reached = slot.reached();
        let reached = tokio::time::timeout(timeout, reached.wait_for(|known| *known >= t)).await;
        match reached {
            Ok(Ok(_)) => Ok(()),
            _ => {
                Err(Error::new(Code::BasisNotReached, format!("{} has not reached t {t} in time", slot.name)))
            }
        }
    }
}

/// # Errors
/// `DB_NAME`.
pub fn check_name(name: &str) -> Result<(), Error> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if !name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(legal) {
        return Ok(());
    }
    let shown: String = name.chars().take(MAX_NAME).collect();
    Err(Error::new(Code::DbName, format!("{shown:?} is not a database name"))
        .hint("use up to 128 letters, digits and hyphens")
        .with("database", shown))
}
