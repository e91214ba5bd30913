//! Settles orphan statuses, which came before their message was known. The worker that stores a message reads how far it
//! came. Here each status is counted: done once its message is known, refused when its day is over.

use std::collections::BTreeSet;

use app::{HandlerError, publish_late_status};
use domain::{Channel, KeyedHash, PartEvent, RefusalReason, Timestamp, keyed_hash::WorkItem};
use store::{ItemOutcome, MessageLink, OrphanStatus, StoreError};

use crate::{Handler, SYNC_BATCH};

/// Seconds from one round to the next.
const ROUND_SECONDS: i64 = 300;

impl Handler {
    /// Settles those that can be settled. Gives how many there were: what is settled now is not waiting in a ledger that is
    /// read later.
    pub(crate) async fn statuses(&self, channel: &Channel) -> Result<u64, HandlerError> {
        let now = self.clients.clock.now();
        let all = self.clients.orphan_statuses.all(&channel.phone_number_id).await?;
        for status in all.iter().filter(|status| has_its_turn(&status.item, all.len(), now)) {
            if let Err(error) = self.settle(channel, status).await {
                tracing::warn!(%error, "a status has to wait for the next round");
            }
        }
        Ok(all.len() as u64)
    }

    async fn settle(&self, channel: &Channel, status: &OrphanStatus) -> Result<(), HandlerError> {
        let number = &channel.phone_number_id;
        let outcome = if let Some(link) = self.clients.message_links.of_hash(&status.message).await? {
            self.apply(channel, &link).await?;
            ItemOutcome::Done
        } else if status.until <= self.clients.clock.now() {
            ItemOutcome::Refused(RefusalReason::UnknownMessage)
        } else {
            return Ok(());
        };
        if let Some(held) = self.clients.claims.resume(&status.item).await? {
            self.clients.ledger.close(number.as_str(), &held, outcome).await?;
        }
        Ok(self.clients.orphan_statuses.remove(number, &status.item).await?)
    }

    /// Applies a status once more: the worker that stored the message may have crashed before it read how far it came, or
    /// before it reported that.
    async fn apply(&self, channel: &Channel, link: &MessageLink) -> Result<(), HandlerError> {
        let (Some((at, attempt)), Some(early)) = (link.part, link.early) else { return Ok(()) };
        let (account, conversation, message) = (link.account, link.conversation, link.message);
        let reported = PartEvent::Reported { attempt: Some(attempt), wamid: link.wamid.clone(), delivery: early };
        let Some(entry) = self.clients.outbox.get(account, conversation, message).await? else { return Ok(()) };
        let changed = self.clients.outbox.change(&entry, |outgoing| outgoing.apply(at, reported.clone())).await;
        let entry = match changed {
            Ok(Some(entry)) => entry,
            Ok(None) => return Ok(()),
            Err(StoreError::Transition(error)) => {
                tracing::warn!(%error, "status of a part that the message does not have");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let chatwoot = self.clients.chatwoot(account).await?;
        if publish_late_status(&self.clients, &chatwoot, &channel.phone_number_id, &entry).await? {
            self.request_syncs(channel, &BTreeSet::from([(account, conversation)]), None).await?;
        }
        Ok(())
    }
}

/// Whether a status is in the share that has its turn. The share follows from the item, which is a hash: another app of the
/// business may send on the same number, and thousands may wait for a message that never becomes known. Whatever comes and
/// goes meanwhile, each has its turn once in as many rounds as there are shares.
fn has_its_turn(item: &KeyedHash<WorkItem>, waiting: usize, now: Timestamp) -> bool {
    let shares = waiting.div_ceil(SYNC_BATCH).max(1) as u64;
    let share = item.as_str().bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())) % shares;
    share == u64::try_from(now.as_secs() / ROUND_SECONDS).unwrap_or_default() % shares
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::HashKey;

    use super::*;

    #[test]
    fn each_has_its_turn_once_in_as_many_rounds_as_there_are_shares() {
        let key = HashKey::new("key".into());
        for waiting in [1, SYNC_BATCH, SYNC_BATCH + 1, 3 * SYNC_BATCH - 7] {
            let items: Vec<_> = (0..waiting).map(|n| key.item([n.to_string().as_str()])).collect();
            let shares = waiting.div_ceil(SYNC_BATCH);
            let rounds = (0..shares).map(|round| {
                let now =
                    Timestamp::from_secs(1_790_000_000) + Duration::from_secs(300) * u32::try_from(round).unwrap();
                items.iter().filter(|item| has_its_turn(item, waiting, now)).count()
            });
            let turns: Vec<_> = rounds.collect();
            assert_eq!(turns.iter().sum::<usize>(), waiting, "{turns:?}");
            // The shares are about equally large.
            assert!(turns.iter().all(|turn| turn.abs_diff(waiting / shares) < SYNC_BATCH / 4), "{turns:?}");
        }
    }
}
