//! `annals.v1.AdminService`.

use std::time::Duration;

use annals_edn::{Code, Error};
use annals_wire::v1::admin_service_client::AdminServiceClient;
use annals_wire::v1::admin_service_server::AdminService;
use annals_wire::{to_status, v1};
use futures_util::future::join_all;
use tonic::{Request, Response, Status};

use super::incarnation_bytes;
use crate::committed::Slot;
use crate::engine::Engine;
use crate::group::Group;
use crate::raft::{Member, NodeId, Purpose, Role};

/// How long another member may take to tell its status.
const ASK_TIMEOUT: Duration = Duration::from_millis(800);

/// The service of one member.
pub(super) struct Service<E: Engine> {
    group: Group<E>,
}

impl<E: Engine> Service<E> {
    pub(super) fn new(group: Group<E>) -> Self {
        Self { group }
    }

    fn own(&self) -> v1::StatusResponse {
        let raft = &self.group.parts().raft;
        let status = raft.status().borrow().clone();
        let role = match status.role {
            Role::Leader => v1::ProcessRole::Leader,
            Role::Learner => v1::ProcessRole::Learner,
            Role::Follower | Role::Stopped => v1::ProcessRole::Follower,
        };
        let me = v1::ProcessStatus {
            id: raft.node_id().to_string(),
            role: role.into(),
            endpoint: self.group.parts().process.endpoint.clone(),
            pid: std::process::id(),
            term: status.term,
            version: self.group.parts().process.version.to_owned(),
            reachable: true,
            databases: self.group.committed().all().iter().map(|slot| progress(slot)).collect(),
        };
        v1::StatusResponse {
            cluster_id: raft.cluster_id().to_owned(),
            term: status.term,
            epoch: self.group.committed().epoch(),
            leader_id: status.leader.unwrap_or_default(),
            members: vec![me],
            peers: self.group.parts().subscribers.statuses(),
        }
    }

    async fn ask(&self, id: NodeId, member: Member) -> Result<v1::StatusResponse, v1::ProcessStatus> {
        let channel = self.group.parts().channels.get(id, &member, Purpose::Forward);
        let mut client = AdminServiceClient::new(channel);
        let call = client.status(v1::StatusRequest { whole_group: false });
        match tokio::time::timeout(ASK_TIMEOUT, call).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            _ => Err(v1::ProcessStatus {
                id: id.to_string(),
                role: v1::ProcessRole::Unspecified.into(),
                endpoint: member.addr,
                ..v1::ProcessStatus::default()
            }),
        }
    }

    async fn whole(&self) -> v1::StatusResponse {
        let mut status = self.own();
        let me = self.group.parts().raft.node_id();
        let members = self.group.parts().raft.status().borrow().members.clone();
        let others = members.into_iter().filter(|(id, _)| *id != me);
        let answers = join_all(others.map(|(id, (member, _))| self.ask(id, member))).await;
        for answer in answers {
            match answer {
                Ok(answer) => {
                    status.members.extend(answer.members);
                    status.peers.extend(answer.peers);
                }
                Err(unreachable) => status.members.push(unreachable),
            }
        }
        status.members.sort_by(|a, b| a.id.cmp(&b.id));
        status.peers.sort_by(|a, b| a.id.cmp(&b.id));
        fill_lag(&mut status);
        status
    }
}

#[tonic::async_trait]
impl<E: Engine> AdminService for Service<E> {
    async fn status(
        &self,
        request: Request<v1::StatusRequest>,
    ) -> Result<Response<v1::StatusResponse>, Status> {
        let whole = request.into_inner().whole_group;
        Ok(Response::new(if whole { self.whole().await } else { self.own() }))
    }

    async fn transfer_leader(
        &self,
        request: Request<v1::TransferLeaderRequest>,
    ) -> Result<Response<v1::TransferLeaderResponse>, Status> {
        let to = request.into_inner().to_node_id;
        let raft = &self.group.parts().raft;
        if raft.leadership().borrow().is_none() {
            return Err(to_status(&Error::new(Code::NotLeader, "only the leader can hand over")));
        }
        raft.transfer_leader(to).await.map_err(|error| to_status(&error))?;
        Ok(Response::new(v1::TransferLeaderResponse {}))
    }
}

fn progress<E: Engine>(slot: &Slot<E>) -> v1::DatabaseProgress {
    let tip = slot.tip();
    v1::DatabaseProgress {
        name: slot.name.clone(),
        incarnation: incarnation_bytes(slot.incarnation),
        t: tip.t,
        lag: 0,
        root_t: tip.root.map_or(0, |root| root.covers_t),
    }
}

/// Lag is told against the newest t that any process of the answer has.
fn fill_lag(status: &mut v1::StatusResponse) {
    let all = status.members.iter().chain(&status.peers).flat_map(|process| process.databases.iter());
    let mut newest = std::collections::HashMap::new();
    for database in all {
        let known = newest.entry(database.incarnation.clone()).or_insert(0);
        *known = database.t.max(*known);
    }
    let processes = status.members.iter_mut().chain(&mut status.peers);
    for database in processes.flat_map(|process| process.databases.iter_mut()) {
        database.lag = newest.get(&database.incarnation).map_or(0, |newest| newest - database.t);
    }
}
