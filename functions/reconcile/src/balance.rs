//! The balance sheet is read, and what does not add up becomes a metric and a line for the operator.

use std::sync::atomic::{AtomicU64, Ordering};

use bridge::BridgeError;
use domain::Channel;
use store::QUEUES_KEEP_DAYS;

use crate::Reconcile;

/// Days that are looked at: one more than queues keep anything, so that what was lost in one is seen.
const DAYS: i64 = QUEUES_KEEP_DAYS + 1;

/// What a round found, over all channels.
#[derive(Debug, Default)]
pub(crate) struct Found {
    difference: AtomicU64,
    waiting: AtomicU64,
}

impl Found {
    /// Difference and waiting, and starts over.
    pub(crate) fn take(&self) -> (u64, u64) {
        (self.difference.swap(0, Ordering::Relaxed), self.waiting.swap(0, Ordering::Relaxed))
    }
}

impl Reconcile {
    /// Reads the sheets of everything that has some.
    pub(crate) async fn balance(&self, channels: &[Channel]) -> Result<(), BridgeError> {
        let numbers = channels.iter().map(|channel| channel.phone_number_id.as_str());
        // What names no number is counted under this.
        for channel in numbers.chain(["account"]) {
            self.sheets(channel).await?;
        }
        Ok(())
    }

    async fn sheets(&self, channel: &str) -> Result<(), BridgeError> {
        let today = self.clients.clock.now().day();
        for (day, sheet) in self.clients.counters.sheets(channel, today - DAYS, today).await? {
            let difference = sheet.difference(today - day);
            let waiting = u64::try_from(sheet.waiting).unwrap_or_default();
            self.found.waiting.fetch_add(waiting, Ordering::Relaxed);
            self.found.difference.fetch_add(difference.unsigned_abs(), Ordering::Relaxed);
            if difference != 0 {
                tracing::error!(
                    channel.id = channel,
                    days_ago = today - day,
                    difference,
                    "the balance sheet does not add up: see docs/runbook/balance.md"
                );
            }
        }
        Ok(())
    }
}
