//! Calculates how long to wait before the next try.

use std::time::Duration;

/// The longest wait for the first days of an outage.
const MAX_BACKOFF: Duration = Duration::from_secs(900);

/// From this receive on, five days into an outage, the longest wait is doubled. SQS gives a message up after a thousand receives,
/// and must not before its 14 days are over.
pub const MAX_OUTAGE_RECEIVES: u32 = 480;

/// One second after the first receive, doubled with each further one, at most 15 minutes. A tenth more or less by `salt`
/// keeps the customers of a whole outage from coming back in one second.
pub fn backoff(receives: u32, salt: &str) -> Duration {
    let seconds = 1u64 << receives.saturating_sub(1).min(11);
    let longest = if receives < MAX_OUTAGE_RECEIVES { MAX_BACKOFF } else { MAX_BACKOFF * 2 };
    let base = Duration::from_secs(seconds).min(longest);
    let spread = salt.bytes().fold(7u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte))) % 100;
    let swing = base.mul_f64(0.1 * f64::from(spread) / 100.0);
    if base == longest { base.saturating_sub(swing) } else { base + swing }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_and_stops_growing() {
        let waits: Vec<_> = (1..=14).map(|receives| backoff(receives, "m").as_secs()).collect();
        assert!(waits.is_sorted(), "{waits:?}");
        assert_eq!(backoff(1, "m").as_secs(), 1);
        assert!((810..=900).contains(&backoff(400, "m").as_secs()));
    }

    #[test]
    fn an_outage_of_fourteen_days_takes_fewer_receives_than_sqs_counts() {
        for salt in ["", "a", "zz", "0190c1d2-7b6f"] {
            let waited: Duration = (1..1000).map(|receives| backoff(receives, salt)).sum();
            assert!(waited > Duration::from_secs(14 * 86_400), "{waited:?}");
        }
    }

    #[test]
    fn two_customers_come_back_at_different_times() {
        assert_ne!(backoff(12, "a"), backoff(12, "b"));
    }
}
