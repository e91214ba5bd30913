//! The spellings of a date: two that AWS puts into events, and a day alone.

use domain::Timestamp;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `22/Nov/2026:11:15:10 +0000`, as in access logs.
pub(crate) fn log_time(at: Timestamp) -> String {
    let (year, month, day) = date(at.day());
    let (hour, minute, second) = time(at);
    let name = usize::try_from(month - 1).ok().and_then(|index| MONTHS.get(index)).unwrap_or(&"Jan");
    format!("{day:02}/{name}/{year}:{hour:02}:{minute:02}:{second:02} +0000")
}

/// `2026-11-22T11:15:10Z`.
pub(crate) fn iso(at: Timestamp) -> String {
    let (year, month, day) = date(at.day());
    let (hour, minute, second) = time(at);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// `2026-11-22`, of a day since the epoch.
pub(crate) fn day(day: i64) -> String {
    let (year, month, day) = date(day);
    format!("{year:04}-{month:02}-{day:02}")
}

fn time(at: Timestamp) -> (i64, i64, i64) {
    let second = at.as_secs().rem_euclid(86_400);
    (second / 3_600, second / 60 % 60, second % 60)
}

/// Year, month and day of a day since the epoch: years are counted from March, so that the leap day comes last.
fn date(day: i64) -> (i64, i64, i64) {
    let shifted = day + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day_of_month)
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
