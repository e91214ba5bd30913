//! Waits by a given clock.

use std::time::Duration;

use domain::{Clock, Timestamp};
use tokio::time::sleep;

/// How often a running clock is read: a test may move it.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Waits until this clock shows a time.
pub async fn wait_until(clock: &dyn Clock, at: Timestamp) {
    loop {
        let left = at.since(clock.now());
        if left.is_zero() {
            return;
        }
        if clock.pass(left) {
            tokio::task::yield_now().await;
        } else {
            #[expect(
                clippy::disallowed_methods,
                reason = "the one place that waits, for less than a second, by a clock that can be moved"
            )]
            sleep(left.min(POLL_INTERVAL)).await;
        }
    }
}
