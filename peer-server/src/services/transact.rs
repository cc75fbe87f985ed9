//! Transactions, passed on to the writer with their bytes unopened.

use std::sync::Arc;
use std::time::{Duration, Instant};

use annals_wire::v1;
use annals_wire::v1::transact_service_client::TransactServiceClient;
use annals_wire::v1::transact_service_server::TransactService;
use tonic::{Request, Response, Status, Streaming};

use super::Shared;
use crate::forward::{MESSAGE_BYTES, Responses};

/// How long a transaction may take when the client says nothing.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// The service.
pub(super) struct Transactions(pub(super) Arc<Shared>);

#[tonic::async_trait]
impl TransactService for Transactions {
    type TransactStreamStream = Responses;

    async fn transact(
        &self,
        request: Request<v1::TransactRequest>,
    ) -> Result<Response<v1::TransactResponse>, Status> {
        let message = request.into_inner();
        let timeout = match message.timeout_ms {
            0 => DEFAULT_TIMEOUT,
            ms => Duration::from_millis(ms.into()),
        };
        let answer = self
            .0
            .forward
            .call(&message, Instant::now() + timeout, |channel, request| async move {
                TransactServiceClient::new(channel)
                    .max_decoding_message_size(MESSAGE_BYTES)
                    .transact(request)
                    .await
            })
            .await?;
        Ok(Response::new(answer))
    }

    async fn tx_status(
        &self,
        request: Request<v1::TxStatusRequest>,
    ) -> Result<Response<v1::TxStatusResponse>, Status> {
        let message = request.into_inner();
        let answer = self
            .0
            .forward
            .call(&message, Instant::now() + DEFAULT_TIMEOUT, |channel, request| async move {
                TransactServiceClient::new(channel).tx_status(request).await
            })
            .await?;
        Ok(Response::new(answer))
    }

    async fn transact_stream(
        &self,
        request: Request<Streaming<v1::TransactStreamRequest>>,
    ) -> Result<Response<Responses>, Status> {
        let draining = self.0.draining.clone();
        self.0.forward.stream(request.into_inner(), draining).await.map(Response::new)
    }
}
