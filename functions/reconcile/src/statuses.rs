//! Statuses that came before their message was known. Whoever stores the message reads how far it came; here each status is
//! counted, as done once its message is known, as refused when its day is over.

use bridge::{BridgeError, tell};
use domain::{Channel, Outgoing};
use store::{EarlyStatus, Fate, Link};

use crate::{AT_ONCE, Reconcile};

impl Reconcile {
    /// Settles those that can be.
    pub(crate) async fn statuses(&self, channel: &Channel) -> Result<(), BridgeError> {
        let now = self.clients.clock.now();
        let all = self.clients.early.all(&channel.phone_number_id).await?;
        for status in all.into_iter().filter(|status| status.is_worth_a_look(now)).take(AT_ONCE) {
            if let Err(error) = self.settle(channel, &status).await {
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
        let reported = |outgoing: &Outgoing| {
            let mut changed = outgoing.clone();
            let part = changed.parts.get_mut(at)?;
            *part = part.reported(Some(attempt), &link.wamid, early);
            (changed != *outgoing).then_some(changed)
        };
        let changed = self.clients.outbox.change(link.account, link.conversation, link.message, reported).await?;
        if let Some(entry) = changed.filter(|entry| entry.outgoing.untold().is_some()) {
            let chatwoot = self.clients.chatwoot(link.account).await?;
            tell(&self.clients, &chatwoot, &entry).await?;
        }
        Ok(())
    }
}
