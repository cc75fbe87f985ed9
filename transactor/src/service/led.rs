//! Calls that only the leader can answer: answered here if this member leads, else passed on once, and tried again
//! while nothing is decided. Only for calls that may be repeated.

use std::time::Duration;

use annals_edn::{Code, Error, Kind};
use annals_wire::from_status;
use tokio::time::Instant;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use crate::engine::Engine;
use crate::group::Group;
use crate::intake::Phase;
use crate::raft::Purpose;

/// Between attempts while nobody leads.
const PAUSE: Duration = Duration::from_millis(20);
/// Set on a call that was passed on: it is not passed on again.
const FORWARDED: &str = "annals-forwarded";

/// Whether the call came from another member.
pub(super) fn was_forwarded<T>(request: &Request<T>) -> bool {
    request.metadata().contains_key(FORWARDED)
}

/// A call to pass on, with what is left of its time.
pub(super) fn forwarded<T>(message: T, deadline: Instant) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert(FORWARDED, tonic::metadata::MetadataValue::from_static("1"));
    request.set_timeout(deadline.saturating_duration_since(Instant::now()));
    request
}

/// Answers by `local` where this member writes, by `remote` where another does.
///
/// # Errors
/// The call's own; at the deadline the last reason why nothing was decided.
pub(super) async fn led<E, T, L, R>(
    group: &Group<E>,
    deadline: Instant,
    pass_on: bool,
    local: impl Fn() -> L,
    remote: impl Fn(Channel) -> R,
) -> Result<T, Error>
where
    E: Engine,
    L: Future<Output = Result<T, Error>>,
    R: Future<Output = Result<Response<T>, Status>>,
{
    let mut before: Option<Error> = None;
    loop {
        if let Err(fault) = group.sound() {
            // What an earlier attempt left unknown stays unknown.
            return Err(before.filter(|error| error.code() == Code::UnknownOutcome).unwrap_or(fault));
        }
        let phase = *group.parts().intake.phase().borrow();
        let attempt = match (phase, group.leader_elsewhere()) {
            (Phase::Following { .. }, Some((id, member))) if pass_on => {
                let channel = group.parts().channels.get(id, &member, Purpose::Forward);
                let answer = tokio::time::timeout_at(deadline, remote(channel)).await;
                answer.map_or_else(
                    |_| Err(nobody()),
                    |answer| answer.map(Response::into_inner).map_err(|status| from_status(&status)),
                )
            }
            (Phase::Following { .. }, _) => Err(nobody()),
            (Phase::Opening | Phase::Serving(_), _) => local().await,
        };
        match attempt {
            Err(error) if undecided(&error) && pass_on && Instant::now() + PAUSE < deadline => {
                tracing::debug!(%error, "trying again");
                before = Some(error);
                tokio::time::sleep(PAUSE).await;
            }
            decided => return decided,
        }
    }
}

/// Worth another attempt: nobody led, or the fate is unknown.
fn undecided(error: &Error) -> bool {
    error.kind() == Kind::Unavailable && error.code() != Code::BasisNotReached
}

fn nobody() -> Error {
    Error::new(Code::NotLeader, "no member leads the group at the moment").hint("try again in a second")
}
