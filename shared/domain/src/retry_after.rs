//! Reads how long an answer asks to wait (`Retry-After`): seconds or a date.

use std::time::Duration;

/// Nobody is believed who asks for more: the queues' own longest wait.
const MAX_WAIT: Duration = Duration::from_secs(900);

/// The wait in a header's value. A date counts from `date`, the answer's own: clocks differ.
pub fn retry_after(value: &str, date: Option<&str>) -> Option<Duration> {
    let value = value.trim();
    let wait = if value.bytes().all(|byte| byte.is_ascii_digit()) && !value.is_empty() {
        // More digits than fit are more than we wait.
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        let until = httpdate::parse_http_date(value).ok()?;
        until.duration_since(httpdate::parse_http_date(date?).ok()?).ok()?
    };
    (!wait.is_zero()).then_some(wait.min(MAX_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_read_and_capped_and_anything_else_is_nothing() {
        let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        for (value, date, seconds) in [
            ("120", None, Some(120)),
            (" 7 ", None, Some(7)),
            ("86400", None, Some(900)),
            ("99999999999999999999999", None, Some(900)),
            ("Sun, 06 Nov 1994 08:51:37 GMT", date, Some(120)),
            ("Sunday, 06-Nov-94 08:50:37 GMT", date, Some(60)),
            ("Mon, 07 Nov 1994 08:49:37 GMT", date, Some(900)),
            ("Sun, 06 Nov 1994 08:40:37 GMT", date, None),
            ("Sun, 06 Nov 1994 08:51:37 GMT", None, None),
            ("0", None, None),
            ("-5", None, None),
            ("1.5", None, None),
            ("", None, None),
            ("soon", date, None),
        ] {
            assert_eq!(retry_after(value, date), seconds.map(Duration::from_secs), "{value}");
        }
    }
}
