//! Prepared queries by their text, so that a query asked again is not parsed and checked again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use annals_peer::query::Prepared;

/// Queries kept; when more come, all are forgotten and the busy ones return by themselves.
const KEPT: usize = 1024;

/// A bounded cache of prepared queries.
#[derive(Default)]
pub struct Plans(Mutex<HashMap<String, Arc<Prepared>>>);

impl Plans {
    /// The query of that text, if it is known.
    #[must_use]
    pub fn get(&self, text: &str) -> Option<Arc<Prepared>> {
        self.0.lock().expect("no holder panics").get(text).cloned()
    }

    /// Keeps a query, in place of one prepared for other arguments.
    pub fn put(&self, text: &str, prepared: &Arc<Prepared>) {
        let mut plans = self.0.lock().expect("no holder panics");
        if plans.len() >= KEPT {
            plans.clear();
        }
        plans.insert(text.to_string(), prepared.clone());
    }
}
