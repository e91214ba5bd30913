//! Epoch milliseconds as Chatwoot writes them out: ISO-8601 with milliseconds, and back from a date.

use domain::Timestamp;
use time::{Date, Month, OffsetDateTime, Time};

/// `2026-11-20T14:00:00.412Z`.
pub(crate) fn iso(at: Timestamp) -> String {
    let date = OffsetDateTime::from_unix_timestamp(at.as_secs()).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let ((hour, minute, second), millis) = (date.to_hms(), at.as_millis().rem_euclid(1000));
    format!("{}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z", date.date())
}

/// The start of a day written as `2026-11-20`; anything after the date is ignored.
pub(crate) fn start_of_day(date: &str) -> Option<Timestamp> {
    let mut parts = date.get(..10)?.splitn(3, '-');
    let (year, month, day) =
        (parts.next()?.parse().ok()?, parts.next()?.parse::<u8>().ok()?, parts.next()?.parse().ok()?);
    let date = Date::from_calendar_date(year, Month::try_from(month).ok()?, day).ok()?;
    Some(Timestamp::from_secs(date.with_time(Time::MIDNIGHT).assume_utc().unix_timestamp()))
}

/// Seconds with their fraction, as `updated_at` of a conversation.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of this century fit into 53 bits")]
pub(crate) fn float_secs(at: Timestamp) -> f64 {
    at.as_millis() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_survives_both_ways() {
        assert_eq!(iso(Timestamp::from_millis(1_795_183_200_412)), "2026-11-20T14:00:00.412Z");
        assert_eq!(iso(Timestamp::from_secs(951_782_400)), "2000-02-29T00:00:00.000Z");
        for day in [0, 59, 60, 11_016, 20_777] {
            let at = Timestamp::from_secs(day * 86_400);
            assert_eq!(start_of_day(&iso(at)), Some(at));
        }
    }
}
