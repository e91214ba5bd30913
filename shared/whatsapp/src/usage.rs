//! Reads from Meta's headers how much of a limit is used up (§8.2).

use std::{collections::HashMap, time::Duration};

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use serde::Deserialize;

/// One day: no rate block of Meta's lasts longer.
const MAX_REGAIN_TIME: Duration = Duration::from_secs(86_400);

/// When a call may be made again, if the account has used up its quota of calls. Meta tells it in whole minutes.
pub(crate) fn regained(headers: &HeaderMap) -> Option<Duration> {
    #[derive(Deserialize)]
    struct Usage {
        #[serde(default)]
        estimated_time_to_regain_access: u64,
    }
    let text = headers.get("x-business-use-case-usage")?.to_str().ok()?;
    let accounts: HashMap<String, Vec<Usage>> = serde_json::from_str(text).ok()?;
    let minutes = accounts.into_values().flatten().map(|usage| usage.estimated_time_to_regain_access).max()?;
    (minutes > 0).then(|| Duration::from_secs(minutes.saturating_mul(60)).min(MAX_REGAIN_TIME))
}

/// How long the answer asks to wait. Meta documents no such header, but a proxy of its own may send one.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    domain::retry_after(text(RETRY_AFTER)?, text(DATE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Duration> {
        regained(&HeaderMap::from_iter([("x-business-use-case-usage".parse().unwrap(), text.parse().unwrap())]))
    }

    #[test]
    fn the_longest_of_all_counts() {
        let one = r#"{"1":[{"type":"whatsapp","call_count":100,"estimated_time_to_regain_access":3},{"call_count":2}],"2":[{}]}"#;
        assert_eq!(read(one), Some(Duration::from_secs(180)));
        assert_eq!(read(r#"{"1":[{"estimated_time_to_regain_access":99999999999}]}"#), Some(MAX_REGAIN_TIME));
    }

    #[test]
    fn what_says_nothing_says_nothing() {
        for text in ["", "{}", "[]", r#"{"1":[]}"#, r#"{"1":[{"estimated_time_to_regain_access":0}]}"#, r#"{"1":7}"#] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(regained(&HeaderMap::new()), None);
    }
}
