//! The transactor's gRPC services. Conversions and forwarding only: what calls mean lies in [`crate::group`].

mod admin;
mod database;
mod feed;
mod led;
mod stream;
mod transact;

use std::time::Duration;

use annals_db::{Incarnation, Options};
use annals_edn::{Code, Error};
use annals_transport::Routes;
use annals_wire::v1;
use annals_wire::v1::admin_service_server::AdminServiceServer;
use annals_wire::v1::database_service_server::DatabaseServiceServer;
use annals_wire::v1::raft_service_server::RaftServiceServer;
use annals_wire::v1::transact_service_server::TransactServiceServer;
use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::committed::Slot;
use crate::engine::Engine;
use crate::group::Group;
use crate::intake::MAX_REQUEST_BYTES;
use crate::raft::RaftServer;

/// For calls that bring no timeout of their own.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_RAFT_MESSAGE_BYTES: usize = 64 << 20;
/// Above the request limit, so that an oversized transaction is refused by its own error.
const MAX_CALL_BYTES: usize = 2 * MAX_REQUEST_BYTES;

/// What this process is called in status lists.
#[derive(Clone, Debug)]
pub struct ProcessInfo {
    /// Where others reach it.
    pub endpoint: String,
    /// Its version.
    pub version: &'static str,
}

/// All services of a member. `draining` ends the feeds and the streams of transactions.
#[must_use]
pub fn routes<E: Engine>(group: &Group<E>, draining: CancellationToken) -> Routes {
    let raft = RaftServiceServer::new(RaftServer::new(group.parts().raft.clone()))
        .max_decoding_message_size(MAX_RAFT_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_RAFT_MESSAGE_BYTES);
    let transact = TransactServiceServer::new(transact::Service::new(group.clone(), draining.clone()))
        .max_decoding_message_size(MAX_CALL_BYTES)
        .max_encoding_message_size(MAX_RAFT_MESSAGE_BYTES);
    let database = DatabaseServiceServer::new(database::Service::new(group.clone()));
    let admin = AdminServiceServer::new(admin::Service::new(group.clone()));
    let feed = feed::Service::new(group.clone(), draining);
    Routes::new(raft).add_service(transact).add_service(database).add_service(admin).add_service(feed)
}

fn timeout(timeout_ms: u32) -> Duration {
    if timeout_ms == 0 { DEFAULT_TIMEOUT } else { Duration::from_millis(timeout_ms.into()) }
}

fn incarnation_bytes(incarnation: Incarnation) -> Bytes {
    Bytes::copy_from_slice(&incarnation.0.to_be_bytes())
}

/// 16 bytes or none.
fn incarnation_of(bytes: &[u8]) -> Result<Option<Incarnation>, Error> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let bytes =
        bytes.try_into().map_err(|_| Error::new(Code::InvalidArgument, "an incarnation has 16 bytes"))?;
    Ok(Some(Incarnation(u128::from_be_bytes(bytes))))
}

fn options_to_wire(options: Options) -> v1::DatabaseOptions {
    let flexibility =
        if options.schema_on_write { v1::SchemaFlexibility::Write } else { v1::SchemaFlexibility::Read };
    v1::DatabaseOptions { schema_flexibility: flexibility.into(), keep_history: Some(options.keep_history) }
}

pub(crate) fn database_info<E: Engine>(slot: &Slot<E>) -> v1::DatabaseInfo {
    let tip = slot.tip();
    v1::DatabaseInfo {
        name: slot.name.clone(),
        incarnation: incarnation_bytes(slot.incarnation),
        options: Some(options_to_wire(slot.options)),
        t: tip.t,
        lineage: Bytes::copy_from_slice(&tip.lineage.0),
        root_hash: tip.root.map_or_else(Bytes::new, |root| Bytes::copy_from_slice(&root.hash)),
        root_t: tip.root.map_or(0, |root| root.covers_t),
    }
}
