//! Applies statuses: how far our messages came. They come in any order, twice, and before the send result is stored; the
//! end is the same. A status that has our reference settles a send whose answer never came.

use app::{HandlerError, publish_late_status, remove_echo};
use chatwoot::Chatwoot;
use domain::{
    AccountId, Author, Channel, ConversationId, Delivery, MessageId, OutboundTask, Part, Reference, RefusalReason,
    StatusUpdate, SyncRequest,
};
use platform::Priced;
use queue::{QueueMessage, Record};
use store::{ClaimGuard, ItemOutcome, MessageLink, OutboxEntry, ResolvedAliases, StatusMatch};

use crate::{Attempt, Handler};

/// The part of a message that a status is about.
struct StatusSubject {
    account: AccountId,
    conversation: ConversationId,
    message: MessageId,
    part: usize,
    attempt: Option<u32>,
    /// The outbox entry, if it was read already.
    entry: Option<OutboxEntry>,
}

/// What a status is about.
enum Found {
    /// A part of an agent's message.
    Part(Box<StatusSubject>),
    /// A message that shows no ticks: written on the phone, or by the customer.
    Whole,
    /// Nothing we know yet.
    Nothing,
}

impl Handler {
    pub(crate) async fn status(
        &self,
        record: &Record,
        status: &StatusUpdate,
        seen: Option<ResolvedAliases>,
    ) -> Result<(), HandlerError> {
        let channel = status.channel.as_str();
        let Some(before) = self.claim(record, channel, &status.item).await? else { return Ok(()) };
        let counters = &self.clients.ledger;
        let Some(known) = self.clients.channels.get(&status.channel).await? else {
            tracing::warn!(channel.id = channel, "a status came for a number that is not ours");
            return Ok(counters
                .close(channel, &before.held, ItemOutcome::Refused(RefusalReason::UnknownChannel))
                .await?);
        };
        let fate = match self.about(status, known.account).await? {
            Found::Part(about) => self.apply(status, &known, &about, &before, seen).await?,
            Found::Whole => ItemOutcome::Done,
            Found::Nothing => return self.wait_for_its_message(status, &before.held).await,
        };
        counters.close(channel, &before.held, fate).await?;
        self.price(status);
        Ok(())
    }

    /// Keeps an orphan status for a day. The worker that stores the message reads how far it came, and `reconcile` counts
    /// the status: done once the message is known, refused when the day is over.
    async fn wait_for_its_message(&self, status: &StatusUpdate, guard: &ClaimGuard) -> Result<(), HandlerError> {
        let message = self.clients.message_links.hash(&status.id);
        let is_new = self.clients.orphan_statuses.add(&status.channel, &status.item, message).await?;
        self.clients.ledger.wait(status.channel.as_str(), guard).await?;
        self.clients.claims.park(guard).await?;
        if is_new {
            self.price(status);
        }
        Ok(())
    }

    /// Counts the message's price category. Meta reports it twice: when it sends the message, and when the charge applies.
    fn price(&self, status: &StatusUpdate) {
        let word = match status.delivery {
            Delivery::Sent => "sent",
            Delivery::Delivered | Delivery::Read | Delivery::Played => "delivered",
            Delivery::Accepted | Delivery::Failed { .. } => return,
        };
        let Some(pricing) = status.pricing else { return };
        self.metrics.price(Priced {
            channel: status.channel.as_str().to_owned(),
            category: pricing.category.word(),
            rate: pricing.kind.word(),
            status: word,
            billable: pricing.billable,
        });
    }

    async fn about(&self, status: &StatusUpdate, account: AccountId) -> Result<Found, HandlerError> {
        let reference = status.reference.as_deref().and_then(Reference::parse).filter(|r| r.account == account);
        if let Some(Reference { account, conversation, message, part, attempt }) = reference
            && let Some(entry) = self.clients.outbox.get(account, conversation, message).await?
        {
            let (attempt, entry) = (Some(attempt), Some(entry));
            return Ok(Found::Part(Box::new(StatusSubject { account, conversation, message, part, attempt, entry })));
        }
        let link = match self.clients.message_links.match_status(&status.id, status.delivery).await? {
            StatusMatch::Known(link) => link,
            StatusMatch::Unknown => return Ok(Found::Nothing),
        };
        let Some((part, attempt)) = link.part else { return Ok(Found::Whole) };
        let MessageLink { account, conversation, message, .. } = *link;
        Ok(Found::Part(Box::new(StatusSubject {
            account,
            conversation,
            message,
            part,
            attempt: Some(attempt),
            entry: None,
        })))
    }

    /// Updates the part's state and tells the agent.
    async fn apply(
        &self,
        status: &StatusUpdate,
        channel: &Channel,
        about: &StatusSubject,
        attempt: &Attempt,
        seen: Option<ResolvedAliases>,
    ) -> Result<ItemOutcome, HandlerError> {
        let chatwoot = self.clients.chatwoot(about.account).await?;
        let moved = self.move_forward(status, channel, about, &chatwoot).await?;
        let Some((entry, news)) = moved else { return Ok(ItemOutcome::Refused(RefusalReason::UnknownMessage)) };
        // An earlier attempt may have stored the change and got no further.
        if news || attempt.perhaps_done {
            self.learn(status, &entry, seen).await?;
        }
        publish_late_status(&self.clients, &chatwoot, &status.channel, &entry).await?;
        // Also when nothing changed: the attempt that stored the change may have crashed before it queued the sync request.
        if entry.outgoing.next_part().is_some() {
            self.hint(status, about).await?;
        }
        Ok(ItemOutcome::Done)
    }

    async fn move_forward(
        &self,
        status: &StatusUpdate,
        channel: &Channel,
        about: &StatusSubject,
        chatwoot: &Chatwoot,
    ) -> Result<Option<(OutboxEntry, bool)>, HandlerError> {
        let outbox = &self.clients.outbox;
        let mut entry = match &about.entry {
            Some(entry) => Some(entry.clone()),
            None => outbox.get(about.account, about.conversation, about.message).await?,
        };
        for _ in 0..8 {
            let Some(current) = entry else { return Ok(None) };
            let Some(part) = current.outgoing.parts.get(about.part) else { return Ok(None) };
            let reported = current.outgoing.apply_status(about.part, about.attempt, &status.id, status.delivery);
            let Some(outgoing) = reported else { return Ok(Some((current, false))) };
            let link = link(&current, about, &outgoing.parts[about.part], part);
            if link.is_some() {
                remove_echo(&self.clients, chatwoot, channel, &status.id, about.message).await?;
            }
            let link = link.as_ref().map(|link| (&self.clients.message_links, link));
            match outbox.save_linked(current.with(outgoing), link).await? {
                Ok(saved) => return Ok(Some((saved, true))),
                Err(theirs) => entry = Some(theirs),
            }
        }
        Err(store::StoreError::Contended.into())
    }

    /// An uncertain part held up those behind it, or the file a text belonged to failed; now they can go.
    async fn hint(&self, status: &StatusUpdate, about: &StatusSubject) -> Result<(), HandlerError> {
        let sync = SyncRequest::look(status.channel.clone(), about.account, about.conversation);
        let task = OutboundTask::HintV1(sync);
        self.outbound.send(QueueMessage::new(task.group(), status.item.as_str(), &task)?).await?;
        Ok(())
    }
}

/// The status is the first to say under which id Meta has the part: from now on quotes and statuses may use that id.
fn link(entry: &OutboxEntry, about: &StatusSubject, reported: &Part, before: &Part) -> Option<MessageLink> {
    let Part::Accepted { wamid, attempt, .. } = reported else { return None };
    if matches!(before, Part::Accepted { .. }) {
        return None;
    }
    Some(MessageLink {
        wamid: wamid.clone(),
        customer: entry.customer.clone()?,
        account: about.account,
        conversation: about.conversation,
        message: about.message,
        author: Author::Business,
        part: Some((about.part, *attempt)),
        sent_at: None,
        early: None::<Delivery>,
    })
}
