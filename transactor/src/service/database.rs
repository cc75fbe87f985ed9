//! `annals.v1.DatabaseService`.

use annals_db::{Incarnation, Options};
use annals_edn::{Code, Error};
use annals_wire::v1::database_service_client::DatabaseServiceClient;
use annals_wire::v1::database_service_server::DatabaseService;
use annals_wire::{to_status, v1};
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::led::{forwarded, led, was_forwarded};
use super::{database_info, incarnation_bytes, timeout};
use crate::engine::Engine;
use crate::group::{Group, check_name};

/// The service of one member.
pub(super) struct Service<E: Engine> {
    group: Group<E>,
}

impl<E: Engine> Service<E> {
    pub(super) fn new(group: Group<E>) -> Self {
        Self { group }
    }

    async fn create(
        &self,
        call: &v1::CreateDatabaseRequest,
        options: Options,
        incarnation: Incarnation,
    ) -> Result<v1::CreateDatabaseResponse, Error> {
        match self.group.create(&call.name, options, incarnation).await {
            Ok(slot) => {
                Ok(v1::CreateDatabaseResponse { database: Some(database_info(&slot)), created: true })
            }
            Err(error) if error.code() == Code::DbExists && call.if_not_exists => {
                let slot = self.group.database(&call.name, None)?;
                if slot.options != options {
                    return Err(error.hint("it was created with other options"));
                }
                Ok(v1::CreateDatabaseResponse { database: Some(database_info(&slot)), created: false })
            }
            Err(error) => Err(error),
        }
    }

    async fn reach(&self, call: &v1::SyncRequest) -> Result<v1::SyncResponse, Error> {
        let timeout = timeout(call.timeout_ms);
        if call.t.is_none() {
            self.group.parts().raft.read_index(timeout).await?;
        }
        let slot = self.group.database(&call.database, None)?;
        if let Some(t) = call.t {
            self.group.reach(&slot, t, timeout).await?;
        }
        Ok(v1::SyncResponse { incarnation: incarnation_bytes(slot.incarnation), t: slot.t() })
    }
}

#[tonic::async_trait]
impl<E: Engine> DatabaseService for Service<E> {
    async fn create_database(
        &self,
        request: Request<v1::CreateDatabaseRequest>,
    ) -> Result<Response<v1::CreateDatabaseResponse>, Status> {
        let pass_on = !was_forwarded(&request);
        let call = request.into_inner();
        let deadline = Instant::now() + timeout(call.timeout_ms);
        let options = options_of(call.options.as_ref());
        check_name(&call.name).map_err(|error| to_status(&error))?;
        // Drawn once a call, so that a second attempt knows its own database.
        let incarnation = Incarnation(uuid::Uuid::new_v4().as_u128());
        let answer = led(
            &self.group,
            deadline,
            pass_on,
            || self.create(&call, options, incarnation),
            |channel| {
                let call = forwarded(call.clone(), deadline);
                async move { DatabaseServiceClient::new(channel).create_database(call).await }
            },
        );
        answer.await.map(Response::new).map_err(|error| to_status(&error))
    }

    async fn delete_database(
        &self,
        request: Request<v1::DeleteDatabaseRequest>,
    ) -> Result<Response<v1::DeleteDatabaseResponse>, Status> {
        let pass_on = !was_forwarded(&request);
        let call = request.into_inner();
        let deadline = Instant::now() + timeout(call.timeout_ms);
        let answer = led(
            &self.group,
            deadline,
            pass_on,
            || async {
                let incarnation = self.group.drop_database(&call.name).await?;
                Ok(v1::DeleteDatabaseResponse { incarnation: incarnation_bytes(incarnation) })
            },
            |channel| {
                let call = forwarded(call.clone(), deadline);
                async move { DatabaseServiceClient::new(channel).delete_database(call).await }
            },
        );
        answer.await.map(Response::new).map_err(|error| to_status(&error))
    }

    async fn list_databases(
        &self,
        _: Request<v1::ListDatabasesRequest>,
    ) -> Result<Response<v1::ListDatabasesResponse>, Status> {
        let mut databases: Vec<_> =
            self.group.committed().all().iter().map(|slot| database_info(slot)).collect();
        databases.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Response::new(v1::ListDatabasesResponse { databases }))
    }

    async fn basis(&self, request: Request<v1::BasisRequest>) -> Result<Response<v1::BasisResponse>, Status> {
        let slot =
            self.group.database(&request.into_inner().database, None).map_err(|error| to_status(&error))?;
        Ok(Response::new(v1::BasisResponse { database: Some(database_info(&slot)) }))
    }

    async fn sync(&self, request: Request<v1::SyncRequest>) -> Result<Response<v1::SyncResponse>, Status> {
        self.reach(&request.into_inner()).await.map(Response::new).map_err(|error| to_status(&error))
    }
}

fn options_of(options: Option<&v1::DatabaseOptions>) -> Options {
    let Some(options) = options else { return Options::default() };
    Options {
        schema_on_write: options.schema_flexibility() != v1::SchemaFlexibility::Read,
        keep_history: options.keep_history.unwrap_or(true),
    }
}
