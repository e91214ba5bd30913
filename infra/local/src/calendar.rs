//! The spellings of a date: two that AWS puts into events, and a day alone.

use domain::Timestamp;
use time::OffsetDateTime;

/// `22/Nov/2026:11:15:10 +0000`, as in access logs.
pub(crate) fn log_time(at: Timestamp) -> String {
    let at = utc(at.as_secs());
    let month = at.month().to_string();
    format!("{:02}/{}/{}:{} +0000", at.day(), &month[..3], at.year(), clock(at))
}

/// `2026-11-22T11:15:10Z`.
pub(crate) fn iso(at: Timestamp) -> String {
    let at = utc(at.as_secs());
    format!("{}T{}Z", at.date(), clock(at))
}

/// `2026-11-22`, of a day since the epoch.
pub(crate) fn day(day: i64) -> String {
    utc(day * 86_400).date().to_string()
}

fn utc(secs: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(secs).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn clock(at: OffsetDateTime) -> String {
    let (hour, minute, second) = at.to_hms();
    format!("{hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leap_days_and_turns_of_the_year_are_right() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_709_251_200, "2024-03-01T00:00:00Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
            (1_798_761_600, "2027-01-01T00:00:00Z"),
        ] {
            assert_eq!(iso(Timestamp::from_secs(seconds)), expected);
        }
        assert_eq!((day(0).as_str(), day(20_787).as_str()), ("1970-01-01", "2026-11-30"));
        assert_eq!(log_time(Timestamp::from_secs(1_795_346_110)), "22/Nov/2026:11:15:10 +0000");
    }
}
