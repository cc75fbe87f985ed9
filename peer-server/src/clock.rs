//! The clock that the engine is lent: it has none of its own.

use std::sync::LazyLock;
use std::time::Instant;

use annals_peer::query::Timer;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Nanoseconds since this process asked first.
fn nanos() -> u64 {
    nanos_at(Instant::now())
}

fn nanos_at(moment: Instant) -> u64 {
    u64::try_from(moment.saturating_duration_since(*START).as_nanos()).unwrap_or(u64::MAX)
}

/// Tells the time since `moment`.
#[must_use]
pub fn timer(moment: Instant) -> Timer<'static> {
    Timer::since(&nanos, nanos_at(moment))
}
