//! This module saves the state of a part before and after its call.

use app::{HandlerError, remove_echo};
use domain::{Author, Delivery, Outgoing, Part, Wamid, outgoing::SentFile};
use store::{MessageLink, OutboxEntry};
use whatsapp::graph::Accepted;

use crate::{Handler, delivery::ConversationContext};

impl Handler {
    /// Saves that Meta accepted the part. A status may have said so first, or may be waiting.
    pub(crate) async fn accepted(
        &self,
        context: &ConversationContext<'_>,
        mut entry: OutboxEntry,
        at: usize,
        attempt: u32,
        accepted: Accepted,
    ) -> Result<OutboxEntry, HandlerError> {
        let link = context.customer.map(|customer| MessageLink {
            wamid: accepted.wamid.clone(),
            customer: customer.clone(),
            account: entry.account,
            conversation: entry.conversation,
            message: entry.message,
            author: Author::Business,
            part: Some((at, attempt)),
            sent_at: None,
            early: None,
        });
        if let Err(error) =
            remove_echo(&self.clients, context.chatwoot, context.channel, &accepted.wamid, entry.message).await
        {
            tracing::warn!(%error, "an echo of what was sent may stand beside it");
        }
        for _ in 0..8 {
            let mut outgoing = entry.outgoing.clone();
            outgoing.parts[at] = outgoing.parts[at].apply_status(Some(attempt), &accepted.wamid, Delivery::Accepted);
            let link = link.as_ref().map(|link| (&self.clients.message_links, link));
            match self.clients.outbox.save_linked(entry.with(outgoing), link).await? {
                Ok(saved) => return self.with_early_status(saved, at, attempt, &accepted.wamid).await,
                Err(theirs) => entry = theirs,
            }
        }
        Err(store::StoreError::Contended.into())
    }

    async fn with_early_status(
        &self,
        entry: OutboxEntry,
        at: usize,
        attempt: u32,
        wamid: &Wamid,
    ) -> Result<OutboxEntry, HandlerError> {
        let Some(early) = self.clients.message_links.orphan_status(wamid).await? else { return Ok(entry) };
        let apply = |outgoing: &Outgoing| outgoing.apply_status(at, Some(attempt), wamid, early);
        Ok(self.clients.outbox.change(&entry, apply).await?.unwrap_or(entry))
    }

    /// Saves that a part is being sent, if it is still as it was read. Otherwise another process sent it, or is about to, and it
    /// must not be sent here.
    pub(crate) async fn reserve_attempt(
        &self,
        entry: &mut OutboxEntry,
        at: usize,
        seen: &Part,
        attempt: u32,
        file: Option<SentFile>,
    ) -> Result<bool, HandlerError> {
        let (nature, parts) = (entry.outgoing.nature, entry.outgoing.parts.len());
        for _ in 0..8 {
            let mut outgoing = entry.outgoing.clone().with_file(at, file);
            outgoing.parts[at] = Part::Sending { attempt, since: seen.waiting_since() };
            match self.clients.outbox.save(entry.clone().with(outgoing)).await? {
                Ok(saved) => {
                    *entry = saved;
                    return Ok(true);
                }
                Err(theirs) => *entry = theirs,
            }
            let same = (nature, parts) == (entry.outgoing.nature, entry.outgoing.parts.len());
            if !same || entry.outgoing.parts.get(at) != Some(seen) {
                return Ok(false);
            }
        }
        Err(store::StoreError::Contended.into())
    }

    /// Saves a part. What a status reported meanwhile is kept.
    pub(crate) async fn save_part(&self, entry: &mut OutboxEntry, at: usize, part: Part) -> Result<(), HandlerError> {
        self.save_part_with_link(entry, at, part, false).await
    }

    /// The same; `words_apart` if it is a file that cannot be had, so that its caption is sent without it.
    pub(crate) async fn save_part_with_link(
        &self,
        entry: &mut OutboxEntry,
        at: usize,
        part: Part,
        words_apart: bool,
    ) -> Result<(), HandlerError> {
        for _ in 0..8 {
            let mut outgoing = entry.outgoing.clone();
            outgoing.parts[at] = part.clone();
            if words_apart {
                outgoing = outgoing.with_words_apart();
            }
            match self.clients.outbox.save(entry.clone().with(outgoing)).await? {
                Ok(saved) => {
                    *entry = saved;
                    return Ok(());
                }
                Err(theirs) => *entry = theirs,
            }
            if matches!(entry.outgoing.parts[at], Part::Accepted { .. }) {
                return Ok(());
            }
        }
        Err(store::StoreError::Contended.into())
    }
}
