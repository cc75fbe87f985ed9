//! The catalog as this peer knows it. Creating and deleting belong to the transactors.

use std::sync::Arc;
use std::time::Duration;

use annals_edn::{Code, Error};
use annals_peer::Database;
use annals_wire::v1::database_service_server::DatabaseService;
use annals_wire::{to_status, v1};
use tonic::{Request, Response, Status};

use super::Shared;

/// How long `Sync` waits when the client says nothing.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// The service.
pub(super) struct Databases(pub(super) Arc<Shared>);

fn info(database: &Database) -> v1::DatabaseInfo {
    let db = database.db();
    let options = db.options();
    let flexibility = match options.schema_on_write {
        true => v1::SchemaFlexibility::Write,
        false => v1::SchemaFlexibility::Read,
    };
    let position = database.position();
    v1::DatabaseInfo {
        name: database.name.clone(),
        incarnation: position.incarnation,
        options: Some(v1::DatabaseOptions {
            schema_flexibility: flexibility.into(),
            keep_history: Some(options.keep_history),
        }),
        t: position.t,
        lineage: position.lineage,
        ..v1::DatabaseInfo::default()
    }
}

fn not_here(what: &str) -> Status {
    to_status(
        &Error::new(Code::Unsupported, format!("a peer server cannot {what} databases"))
            .hint("send the call to a transactor"),
    )
}

#[tonic::async_trait]
impl DatabaseService for Databases {
    async fn create_database(
        &self,
        _request: Request<v1::CreateDatabaseRequest>,
    ) -> Result<Response<v1::CreateDatabaseResponse>, Status> {
        Err(not_here("create"))
    }

    async fn delete_database(
        &self,
        _request: Request<v1::DeleteDatabaseRequest>,
    ) -> Result<Response<v1::DeleteDatabaseResponse>, Status> {
        Err(not_here("delete"))
    }

    async fn list_databases(
        &self,
        _request: Request<v1::ListDatabasesRequest>,
    ) -> Result<Response<v1::ListDatabasesResponse>, Status> {
        let databases = self.0.peer.databases().all().iter().map(|database| info(database)).collect();
        Ok(Response::new(v1::ListDatabasesResponse { databases }))
    }

    async fn basis(&self, request: Request<v1::BasisRequest>) -> Result<Response<v1::BasisResponse>, Status> {
        let database =
            self.0.peer.database(&request.get_ref().database).map_err(|error| to_status(&error))?;
        Ok(Response::new(v1::BasisResponse { database: Some(info(&database)) }))
    }

    async fn sync(&self, request: Request<v1::SyncRequest>) -> Result<Response<v1::SyncResponse>, Status> {
        let message = request.into_inner();
        let timeout = match message.timeout_ms {
            0 => DEFAULT_TIMEOUT,
            ms => Duration::from_millis(ms.into()),
        };
        let synced = async {
            match message.t {
                Some(t) => self.0.peer.database(&message.database)?.reached(t, timeout).await,
                None => self.0.peer.sync(&message.database, timeout).await,
            }
        };
        let db = synced.await.map_err(|error| to_status(&error))?;
        let incarnation = db.incarnation().0.to_be_bytes().to_vec().into();
        Ok(Response::new(v1::SyncResponse { incarnation, t: db.basis().0 }))
    }
}
