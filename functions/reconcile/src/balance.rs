//! The balance sheet is read, and what does not add up becomes a metric and a line for the operator.

use bridge::BridgeError;
use domain::{Channel, task::NO_NUMBER};
use serde::Serialize;
use store::QUEUES_KEEP_DAYS;

use crate::Reconcile;

/// Days that are looked at: one more than queues keep anything, so that what was lost in one is seen.
const DAYS: i64 = QUEUES_KEEP_DAYS + 1;

/// What a round found, over all channels and days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Balance {
    /// Items whose fate nobody knows.
    pub difference: u64,
    /// Items that are not settled yet.
    pub waiting: u64,
}

impl Reconcile {
    /// Reads the sheets of everything that has some.
    pub(crate) async fn balance(&self, channels: &[Channel]) -> Result<Balance, BridgeError> {
        // Before the sheets: what is settled meanwhile is missing on the sheets, and never the other way round.
        let mut held = self.inbound.holds().await?;
        for channel in channels {
            held += self.clients.early.count(&channel.phone_number_id).await?;
        }
        let numbers = channels.iter().map(|channel| channel.phone_number_id.as_str());
        let (mut found, mut overdue) = (Balance::default(), 0);
        for channel in numbers.chain([NO_NUMBER]) {
            overdue += self.sheets(channel, &mut found).await?;
        }
        let lost = overdue.saturating_sub(held);
        if lost > 0 {
            found.difference += lost;
            tracing::error!(lost, "more items wait than the queue holds: see docs/runbook/balance.md");
        }
        Ok(found)
    }

    /// Adds up the sheets of a channel. Gives the number of items that have waited since before today, and that a queue may
    /// still hold.
    async fn sheets(&self, channel: &str, found: &mut Balance) -> Result<u64, BridgeError> {
        let today = self.clients.clock.now().day();
        let mut overdue = 0;
        for (day, sheet) in self.clients.counters.sheets(channel, today - DAYS, today).await? {
            let difference = sheet.difference(today - day);
            let waiting = u64::try_from(sheet.waiting).unwrap_or_default();
            found.waiting += waiting;
            found.difference += difference.unsigned_abs();
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
