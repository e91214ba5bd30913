//! The balance sheet is read, and what does not add up becomes a metric and a line for the operator.

use std::sync::atomic::{AtomicU64, Ordering};

use bridge::BridgeError;
use domain::Channel;
use serde::Serialize;
use store::QUEUES_KEEP_DAYS;

use crate::Reconcile;

/// Days that are looked at: one more than queues keep anything, so that what was lost in one is seen.
const DAYS: i64 = QUEUES_KEEP_DAYS + 1;

/// What a round found, over all channels and days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Balance {
    /// Items whose fate nobody knows.
    pub difference: u64,
    /// Items that are not settled yet.
    pub waiting: u64,
}

/// A balance in the making.
#[derive(Debug, Default)]
pub(crate) struct Found {
    difference: AtomicU64,
    waiting: AtomicU64,
}

impl Found {
    /// The balance; starts over.
    pub(crate) fn take(&self) -> Balance {
        Balance {
            difference: self.difference.swap(0, Ordering::Relaxed),
            waiting: self.waiting.swap(0, Ordering::Relaxed),
        }
    }
}

impl Reconcile {
    /// Reads the sheets of everything that has some.
    pub(crate) async fn balance(&self, channels: &[Channel]) -> Result<(), BridgeError> {
        // Before the sheets: what is settled meanwhile is missing on the sheets, and never the other way round.
        let mut held = self.inbound.holds().await?;
        for channel in channels {
            held += self.clients.early.all(&channel.phone_number_id).await?.len() as u64;
        }
        let numbers = channels.iter().map(|channel| channel.phone_number_id.as_str());
        let mut overdue = 0;
        // What names no number is counted under this.
        for channel in numbers.chain(["account"]) {
            overdue += self.sheets(channel).await?;
        }
        let lost = overdue.saturating_sub(held);
        if lost > 0 {
            self.found.difference.fetch_add(lost, Ordering::Relaxed);
            tracing::error!(lost, "more items wait than the queue holds: see docs/runbook/balance.md");
        }
        Ok(())
    }

    /// Gives the number of items that have waited since before today, and that a queue may still hold.
    async fn sheets(&self, channel: &str) -> Result<u64, BridgeError> {
        let today = self.clients.clock.now().day();
        let mut overdue = 0;
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
            if (1..=QUEUES_KEEP_DAYS).contains(&(today - day)) {
                overdue += waiting;
            }
        }
        Ok(overdue)
    }
}
