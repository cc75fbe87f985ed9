//! Points in time and durations as people write them on the command line.

use std::time::Duration;

use annals_edn::{Node, read_one};
use annals_wire::v1::TimePoint;
use annals_wire::v1::time_point::Point;

/// Reads a t, a transaction's entity id, or an instant (`#inst "2024-01-01"`, or the text alone).
pub fn time_point(text: &str) -> Result<TimePoint, String> {
    let wrong = || format!("'{text}' is no t, transaction id or #inst");
    let instant_text = format!("#inst \"{}\"", text.trim_matches('"'));
    let form = read_one(text).ok().filter(|form| matches!(form.node, Node::Long(_) | Node::Instant(_)));
    let form = form.or_else(|| read_one(&instant_text).ok()).ok_or_else(wrong)?;
    let point = match form.node {
        Node::Long(long) if long >= 0 => Point::TOrTx(long),
        Node::Instant(ms) => Point::InstantMs(ms),
        _ => return Err(wrong()),
    };
    Ok(TimePoint { point: Some(point) })
}

/// Reads a duration: `250ms`, `30s`, `2m`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let duration =
        humantime::parse_duration(text).map_err(|error| format!("{error}; write 250ms, 30s or 2m"))?;
    match duration.as_millis() {
        0 => Err("must be at least 1ms".to_string()),
        ms if ms > u128::from(u32::MAX) => Err("must be less than 49 days".to_string()),
        _ => Ok(duration),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_in_time() {
        let point = |text: &str| time_point(text).map(|point| point.point.unwrap());
        assert_eq!(point("5"), Ok(Point::TOrTx(5)));
        assert_eq!(point("#inst \"1970-01-01T00:00:01.000-00:00\""), Ok(Point::InstantMs(1000)));
        assert_eq!(point("1970-01-01T00:00:02Z"), Ok(Point::InstantMs(2000)));
        assert!(point("-3").is_err());
        assert!(point("yesterday").is_err());
    }

    #[test]
    fn durations() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert!(duration("0s").is_err());
        assert!(duration("soon").is_err());
    }
}
