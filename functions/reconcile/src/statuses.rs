//! Statuses that came before their message was known. Whoever stores the message reads how far it came; here each status is
//! counted, as done once its message is known, as refused when its day is over.

use bridge::{BridgeError, tell};
use domain::{Channel, Outgoing, Timestamp};
use store::{EarlyStatus, Fate, Link};

use crate::{AT_ONCE, Reconcile};

/// Seconds from one round to the next.
const EVERY: i64 = 300;

impl Reconcile {
    /// Settles those that can be.
    pub(crate) async fn statuses(&self, channel: &Channel) -> Result<(), BridgeError> {
        let now = self.clients.clock.now();
        let all = self.clients.early.all(&channel.phone_number_id).await?;
        for status in turn(&all, now) {
            if let Err(error) = self.settle(channel, status).await {
                tracing::warn!(%error, "a status has to wait for the next round");
            }
        }
        Ok(())
    }

    async fn settle(&self, channel: &Channel, status: &EarlyStatus) -> Result<(), BridgeError> {
        let number = &channel.phone_number_id;
        let fate = if let Some(link) = self.clients.links.of_hash(&status.message).await? {
            self.apply(&link).await?;
            Fate::Done
        } else if status.until <= self.clients.clock.now() {
            Fate::Refused("unknown_message")
        } else {
            return Ok(());
        };
        if let Some(held) = self.clients.claims.pick_up(&status.item).await? {
            self.clients.counters.close(number.as_str(), &held, fate).await?;
        }
        Ok(self.clients.early.remove(number, &status.item).await?)
    }

    /// Once more: whoever stored the message may not have lived to read how far it came.
    async fn apply(&self, link: &Link) -> Result<(), BridgeError> {
        let (Some((at, attempt)), Some(early)) = (link.part, link.early) else { return Ok(()) };
        let reported = |outgoing: &Outgoing| outgoing.reported(at, Some(attempt), &link.wamid, early);
        let changed = self.clients.outbox.change(link.account, link.conversation, link.message, reported).await?;
        if let Some(entry) = changed.filter(|entry| entry.outgoing.untold().is_some()) {
            let chatwoot = self.clients.chatwoot(link.account).await?;
            tell(&self.clients, &chatwoot, &entry).await?;
        }
        Ok(())
    }
}

/// Those whose turn it is. Another app of the business may send on the same number, and thousands may wait for a message that
/// never becomes known: each round goes on where the last one ended.
fn turn<T>(all: &[T], now: Timestamp) -> impl Iterator<Item = &T> {
    let round = usize::try_from(now.as_secs() / EVERY).unwrap_or_default();
    let start = if all.len() > AT_ONCE { round.wrapping_mul(AT_ONCE) % all.len() } else { 0 };
    all.iter().cycle().skip(start).take(all.len().min(AT_ONCE))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn everything_has_its_turn() {
        for waiting in [0, 1, AT_ONCE, AT_ONCE + 1, 3 * AT_ONCE - 7] {
            let all: Vec<usize> = (0..waiting).collect();
            let rounds = i64::try_from(waiting.div_ceil(AT_ONCE)).unwrap();
            let seen = (1..=rounds).flat_map(|round| turn(&all, Timestamp::from_secs(1_790_000_000 + round * EVERY)));
            assert_eq!(seen.copied().collect::<BTreeSet<_>>().len(), waiting);
            assert!(turn(&all, Timestamp::from_secs(1_790_000_000)).count() <= AT_ONCE);
        }
    }
}
