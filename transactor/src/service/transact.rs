//! `annals.v1.TransactService`.

use annals_db::Incarnation;
use annals_edn::{Code, Error};
use annals_wire::v1::transact_service_client::TransactServiceClient;
use annals_wire::v1::transact_service_server::TransactService;
use annals_wire::{to_status, v1};
use bytes::Bytes;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::led::{forwarded, led, was_forwarded};
use super::stream;
use super::{MAX_CALL_BYTES, MAX_RAFT_MESSAGE_BYTES, incarnation_bytes, incarnation_of, timeout};
use crate::engine::{self, Engine};
use crate::group::Group;
use crate::intake::Receipt;

/// The service of one member.
pub(super) struct Service<E: Engine> {
    group: Group<E>,
    draining: CancellationToken,
}

impl<E: Engine> Service<E> {
    pub(super) fn new(group: Group<E>, draining: CancellationToken) -> Self {
        Self { group, draining }
    }

    async fn commit(
        &self,
        name: &str,
        incarnation: Option<Incarnation>,
        request: engine::Request,
        datoms: bool,
        deadline: Instant,
    ) -> Result<v1::TransactResponse, Error> {
        let slot = self.group.database(name, incarnation)?;
        let receipt: Receipt = self.group.transact(slot.incarnation, request, deadline).await?;
        let report = self.group.parts().engine.report(&slot.tip().value, &receipt, datoms)?;
        Ok(v1::TransactResponse { report: Some(report), replayed: receipt.replayed })
    }
}

#[tonic::async_trait]
impl<E: Engine> TransactService for Service<E> {
    type TransactStreamStream = stream::Responses;

    async fn transact(
        &self,
        request: Request<v1::TransactRequest>,
    ) -> Result<Response<v1::TransactResponse>, Status> {
        let pass_on = !was_forwarded(&request);
        let call = request.into_inner();
        let deadline = Instant::now() + timeout(call.timeout_ms);
        let tx_id = tx_id_of(&call.tx_id).map_err(|error| to_status(&error))?;
        let incarnation = incarnation_of(&call.incarnation).map_err(|error| to_status(&error))?;
        let request = engine::Request::new(tx_id, Bytes::from(call.tx_data.clone()));
        let answer = led(
            &self.group,
            deadline,
            pass_on,
            || self.commit(&call.database, incarnation, request.clone(), !call.omit_datoms, deadline),
            |channel| {
                let call = forwarded(call.clone(), deadline);
                async move {
                    TransactServiceClient::new(channel)
                        .max_encoding_message_size(MAX_CALL_BYTES)
                        .max_decoding_message_size(MAX_RAFT_MESSAGE_BYTES)
                        .transact(call)
                        .await
                }
            },
        );
        answer.await.map(Response::new).map_err(|error| to_status(&error))
    }

    async fn tx_status(
        &self,
        request: Request<v1::TxStatusRequest>,
    ) -> Result<Response<v1::TxStatusResponse>, Status> {
        let call = request.into_inner();
        let find = async || {
            let tx_id = tx_id_of(&call.tx_id)?;
            let slot = self.group.database(&call.database, incarnation_of(&call.incarnation)?)?;
            // An id that is not found must not have been acknowledged before this call.
            self.group.parts().raft.read_index(timeout(0)).await?;
            let known = self.group.parts().engine.find(&slot.tip().value, tx_id)?;
            Ok(v1::TxStatusResponse {
                t: known.map(|known| known.t),
                incarnation: incarnation_bytes(slot.incarnation),
            })
        };
        find().await.map(Response::new).map_err(|error: Error| to_status(&error))
    }

    async fn transact_stream(
        &self,
        request: Request<Streaming<v1::TransactStreamRequest>>,
    ) -> Result<Response<stream::Responses>, Status> {
        let (group, draining) = (self.group.clone(), self.draining.clone());
        stream::start(group, draining, request.into_inner()).await.map(Response::new)
    }
}

pub(super) fn tx_id_of(bytes: &[u8]) -> Result<u128, Error> {
    let bytes: [u8; 16] = bytes.try_into().map_err(|_| {
        Error::new(
            Code::TransactionIdInvalid,
            format!("a transaction id has 16 bytes, this one {}", bytes.len()),
        )
    })?;
    Ok(u128::from_be_bytes(bytes))
}
