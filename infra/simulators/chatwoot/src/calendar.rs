//! Epoch milliseconds as Chatwoot writes them out: ISO-8601 with milliseconds, and back from a date.

use domain::Timestamp;

const DAY: i64 = 86_400;

/// `2026-11-20T14:00:00.412Z`.
pub(crate) fn iso(at: Timestamp) -> String {
    let (secs, millis) = (at.as_secs(), at.as_millis().rem_euclid(1000));
    let (year, month, day) = civil(secs.div_euclid(DAY));
    let of_day = secs.rem_euclid(DAY);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{millis:03}Z",
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60
    )
}

/// The start of a day written as `2026-11-20`; anything after the date is ignored.
pub(crate) fn start_of_day(date: &str) -> Option<Timestamp> {
    let mut parts = date.get(..10)?.splitn(3, '-').map(str::parse::<i64>);
    let (year, month, day) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    let shifted = if month > 2 { year } else { year - 1 };
    let era = shifted.div_euclid(400);
    let of_era = shifted.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some(Timestamp::from_secs(days * DAY))
}

/// Seconds with their fraction, as `updated_at` of a conversation.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of this century fit into 53 bits")]
pub(crate) fn float_secs(at: Timestamp) -> f64 {
    at.as_millis() as f64 / 1000.0
}

/// Year, month, day of a day number, in the proleptic Gregorian calendar (after Howard Hinnant).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_survives_both_ways() {
        assert_eq!(iso(Timestamp::from_millis(1_795_183_200_412)), "2026-11-20T14:00:00.412Z");
        assert_eq!(iso(Timestamp::from_secs(951_782_400)), "2000-02-29T00:00:00.000Z");
        for day in [0, 59, 60, 11_016, 20_777] {
            let at = Timestamp::from_secs(day * DAY);
            assert_eq!(start_of_day(&iso(at)), Some(at));
        }
    }
}
