//! Who follows the feed of this process, and how far each has come: for status lists and leases.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use annals_wire::v1;

/// The subscribers of one process. Clones share them.
#[derive(Clone, Default)]
pub struct Subscribers {
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    next: u64,
    subscribers: BTreeMap<u64, v1::ProcessStatus>,
}

impl Subscribers {
    /// Lists a subscriber until the guard is dropped.
    pub(super) fn enter(&self, info: v1::SubscriberInfo) -> Entry {
        let mut known = self.lock();
        let key = known.next;
        known.next += 1;
        let status = v1::ProcessStatus {
            id: info.id,
            role: v1::ProcessRole::Peer.into(),
            endpoint: info.endpoint,
            pid: info.pid,
            version: info.version,
            reachable: true,
            ..v1::ProcessStatus::default()
        };
        known.subscribers.insert(key, status);
        Entry { subscribers: self.clone(), key }
    }

    /// Everyone who follows now.
    #[must_use]
    pub fn statuses(&self) -> Vec<v1::ProcessStatus> {
        self.lock().subscribers.values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().expect("no holder of the subscribers panics")
    }
}

/// One subscriber's place in the list.
pub(super) struct Entry {
    subscribers: Subscribers,
    key: u64,
}

impl Entry {
    /// Notes what it has applied, and the newest term it has heard of.
    pub(super) fn applied(&self, term: u64, databases: Vec<v1::DatabaseProgress>) {
        if let Some(status) = self.subscribers.lock().subscribers.get_mut(&self.key) {
            status.term = term;
            status.databases = databases;
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.subscribers.lock().subscribers.remove(&self.key);
    }
}
