//! Reads the item ledger and reports what does not add up. The result is a metric and a log line for the operator.

use app::{Function as _, HandlerError};
use domain::{
    Channel,
    channel::Mode,
    task::{ACCOUNT_CHANNEL, QUEUES_KEEP_DAYS},
};
use futures_util::{StreamExt as _, stream};
use platform::Metric;
use queue::QueueError;
use serde::Serialize;

use crate::{Handler, MAX_CONCURRENT_CHANNELS};

/// The days that are checked: one more than queues keep anything, so that what was lost in one is seen.
const BALANCE_DAYS: i64 = QUEUES_KEEP_DAYS + 1;

/// What a round found, over all channels and days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Balance {
    /// Items whose outcome is unknown.
    pub difference: u64,
    /// Items that are not settled yet.
    pub waiting: u64,
}

impl Handler {
    /// Reads the daily totals of everything that has some. `held` is what the queue held before; `early` is how many
    /// statuses waited on each channel, where that is known.
    pub(crate) async fn balance(
        &self,
        channels: &[Channel],
        held: Result<u64, QueueError>,
        early: &[Option<u64>],
    ) -> Result<Balance, HandlerError> {
        let mut held = held?;
        for (channel, early) in channels.iter().zip(early) {
            held += match early {
                Some(early) => *early,
                None => self.clients.orphan_statuses.count(&channel.phone_number_id).await?,
            };
        }
        let numbers: Vec<&str> =
            channels.iter().map(|channel| channel.phone_number_id.as_str()).chain([ACCOUNT_CHANNEL]).collect();
        let mut totals =
            stream::iter(numbers).map(|channel| self.totals(channel)).buffer_unordered(MAX_CONCURRENT_CHANNELS);
        let (mut found, mut overdue) = (Balance::default(), 0);
        while let Some(of_channel) = totals.next().await {
            let (balance, waited) = of_channel?;
            found.difference += balance.difference;
            found.waiting += balance.waiting;
            overdue += waited;
        }
        // A slice of a phone's history is one letter of another queue, and many messages.
        held += self.importing(channels).await?;
        let lost = self.clients.cursor.missed(overdue.saturating_sub(held)).await?;
        if lost > 0 {
            found.difference += lost;
            tracing::error!(lost, "more items wait than the queue holds: see docs/runbook/balance.md");
        }
        Ok(found)
    }

    /// Gives how many messages of phones' histories wait to be written.
    async fn importing(&self, channels: &[Channel]) -> Result<u64, HandlerError> {
        let mut waiting = 0;
        for channel in channels.iter().filter(|channel| channel.mode == Mode::Coexistence) {
            let progress = self.clients.imports.progress(&channel.phone_number_id).await?;
            waiting += progress.map_or(0, |progress| u64::try_from(progress.counts.waiting()).unwrap_or_default());
        }
        // A metric costs by the hour in which it is told: only during an import.
        if waiting > 0 {
            self.metrics().measure(Metric::HistoryWaiting, waiting);
        }
        Ok(waiting)
    }

    /// Adds up the daily totals of a channel. Also gives the number of items that have waited since before today, and that
    /// a queue may still hold.
    async fn totals(&self, channel: &str) -> Result<(Balance, u64), HandlerError> {
        let today = self.clients.clock.now().day();
        let (mut found, mut overdue) = (Balance::default(), 0);
        for (day, totals) in self.clients.ledger.daily_totals(channel, today - BALANCE_DAYS, today).await? {
            let difference = totals.difference(today - day);
            let waiting = u64::try_from(totals.waiting).unwrap_or_default();
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
        Ok((found, overdue))
    }
}
