//! One module a gRPC service.

mod admin;
mod databases;
mod query;
mod transact;
mod whole;

use std::sync::Arc;

use annals_peer::Peer;
use annals_peer::query::QueryLimits;
use annals_transport::{CancellationToken, Routes};
use annals_wire::v1::admin_service_server::AdminServiceServer;
use annals_wire::v1::database_service_server::DatabaseServiceServer;
use annals_wire::v1::query_service_server::QueryServiceServer;
use annals_wire::v1::transact_service_server::TransactServiceServer;

use crate::cursor::parked::Parked;
use crate::forward::Forward;
use crate::plans::Plans;
use crate::stream::Workers;

/// The most bytes of a query request.
const QUERY_BYTES: usize = 1 << 20;
/// The most bytes of a transaction request: a transaction of 4 MiB expanded is seldom more as text, an import may be.
const TRANSACT_BYTES: usize = 16 << 20;

/// What every service works with.
pub struct Shared {
    /// the server's name
    pub id: String,
    /// where clients reach it
    pub endpoint: String,
    /// the cluster it belongs to
    pub cluster_id: String,
    /// the databases
    pub peer: Peer,
    /// the way to the writer
    pub forward: Forward,
    /// what speculation calls stored functions with
    pub functions: Arc<annals_peer::query::Datalog>,
    /// queries asked before
    pub plans: Arc<Plans>,
    /// what each query may take; its time is the request's
    pub limits: QueryLimits,
    /// what runs results
    pub workers: Workers,
    /// results that are taken chunk by chunk
    pub parked: Parked,
    /// cancelled when the server drains: streams of transactions end then
    pub draining: CancellationToken,
}

/// The services of a peer server.
#[must_use]
pub fn routes(shared: Arc<Shared>) -> Routes {
    let query =
        QueryServiceServer::new(query::Queries(shared.clone())).max_decoding_message_size(QUERY_BYTES);
    let transact = TransactServiceServer::new(transact::Transactions(shared.clone()))
        .max_decoding_message_size(TRANSACT_BYTES)
        .max_encoding_message_size(crate::forward::MESSAGE_BYTES);
    let databases = DatabaseServiceServer::new(databases::Databases(shared.clone()));
    let admin = AdminServiceServer::new(admin::Admin(shared));
    Routes::new(query).add_service(transact).add_service(databases).add_service(admin)
}
