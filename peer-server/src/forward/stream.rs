//! A stream of transactions, passed on: the client's messages to the writer, its answers back, nothing kept.
//!
//! A transactor accepts the stream by its response headers, having seen the start; until one has, nothing more is read
//! from the client, so another can be asked. Once accepted it stays there: when it breaks, the client, which has what is
//! unanswered, opens another.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use annals_edn::{Code, Error};
use annals_transport::{CancellationToken, Channel};
use annals_wire::v1::transact_service_client::TransactServiceClient;
use annals_wire::{from_status, to_status, v1};
use futures_util::{FutureExt, Stream, StreamExt, future, stream};
use tokio::sync::oneshot;
use tonic::{Response, Status, Streaming};

use super::{Forward, MESSAGE_BYTES};
use crate::Result;

/// For the client's first message, and for one transactor to accept the stream.
const GREETING: Duration = Duration::from_secs(5);
/// For any transactor to accept it: an election takes a second or two.
const OPENING: Duration = Duration::from_secs(20);

type Requests = Streaming<v1::TransactStreamRequest>;
/// The answers of a stream.
pub type Responses = Pin<Box<dyn Stream<Item = Result<v1::TransactStreamResponse, Status>> + Send>>;

/// The writer's answers, and where to hand it the client's further messages.
type Accepted = (Streaming<v1::TransactStreamResponse>, oneshot::Sender<Requests>);

impl Forward {
    /// Passes a client's stream to the writer until either ends it or `draining` says that no more may be read.
    ///
    /// # Errors
    /// The writer's refusal of the stream; else the last reason why nobody took it.
    pub async fn stream(
        &self,
        mut requests: Requests,
        draining: CancellationToken,
    ) -> Result<Responses, Status> {
        let greeting = tokio::time::timeout(GREETING, requests.message()).await;
        let late = |_| to_status(&Error::new(Code::DeadlineExceeded, "the stream did not open in time"));
        let start = greeting.map_err(late)??.unwrap_or_default();
        let fault = Arc::new(OnceLock::new());
        let opened = self.call(&start, Instant::now() + OPENING, |channel, start| {
            open(channel, start.into_inner(), Arc::clone(&fault), draining.clone())
        });
        let (responses, hand_over) = opened.await?;
        if hand_over.send(requests).is_err() {
            return Err(to_status(&Error::new(Code::Unreachable, "the writer ended the stream at once")));
        }
        // What a broken connection says is told as an error of ours, so that the client knows it is not the writer's.
        let told = responses.map(|response| response.map_err(|status| to_status(&from_status(&status))));
        // A message that could not be read was never passed on, so its refusal comes behind all answers.
        let unread = future::lazy(move |_| fault.get().map(|error| Err(to_status(error))));
        Ok(Box::pin(told.chain(unread.into_stream().filter_map(future::ready))))
    }
}

/// Offers the stream to one transactor.
async fn open(
    channel: Channel,
    start: v1::TransactStreamRequest,
    fault: Arc<OnceLock<Error>>,
    draining: CancellationToken,
) -> Result<Response<Accepted>, Status> {
    let (hand_over, handed) = oneshot::channel::<Requests>();
    let rest = handed.into_stream().filter_map(|handed| future::ready(handed.ok())).flatten();
    // Ends at the first message that cannot be read, and notes why.
    let rest = rest.take_until(draining.cancelled_owned()).scan(fault, |fault, message| {
        let readable = message.map_err(|status| fault.set(from_status(&status)));
        future::ready(readable.ok())
    });
    let outbound = stream::iter([start]).chain(rest);
    let mut client = TransactServiceClient::new(channel).max_decoding_message_size(MESSAGE_BYTES);
    let accepted = tokio::time::timeout(GREETING, client.transact_stream(outbound)).await;
    let silent =
        |_| to_status(&Error::new(Code::Unreachable, "a transactor did not take the stream in time"));
    Ok(accepted.map_err(silent)??.map(|responses| (responses, hand_over)))
}
