//! What this peer is and how far it has come.

use std::sync::Arc;

use annals_edn::{Code, Error};
use annals_wire::v1::admin_service_server::AdminService;
use annals_wire::{to_status, v1};
use tonic::{Request, Response, Status};

use super::Shared;

/// The service.
pub(super) struct Admin(pub(super) Arc<Shared>);

#[tonic::async_trait]
impl AdminService for Admin {
    async fn status(
        &self,
        _request: Request<v1::StatusRequest>,
    ) -> Result<Response<v1::StatusResponse>, Status> {
        let group = self.0.peer.group().borrow().clone();
        let databases = self.0.peer.databases().all();
        let progress = databases.iter().map(|database| v1::DatabaseProgress {
            name: database.name.clone(),
            incarnation: database.incarnation.0.to_be_bytes().to_vec().into(),
            t: database.basis(),
            lag: database.lag(),
            root_t: database.db().base().map_or(0, |base| base.t().0),
        });
        let peer = v1::ProcessStatus {
            id: self.0.id.clone(),
            role: v1::ProcessRole::Peer.into(),
            endpoint: self.0.endpoint.clone(),
            pid: std::process::id(),
            term: group.term,
            version: env!("CARGO_PKG_VERSION").to_string(),
            reachable: true,
            databases: progress.collect(),
        };
        Ok(Response::new(v1::StatusResponse {
            cluster_id: self.0.cluster_id.clone(),
            term: group.term,
            leader_id: group.leader_id,
            peers: vec![peer],
            ..v1::StatusResponse::default()
        }))
    }

    async fn transfer_leader(
        &self,
        _request: Request<v1::TransferLeaderRequest>,
    ) -> Result<Response<v1::TransferLeaderResponse>, Status> {
        let error = Error::new(Code::Unsupported, "a peer server cannot move leadership");
        Err(to_status(&error.hint("send the call to a transactor")))
    }
}
