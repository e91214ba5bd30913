//! Applies statuses: how far our messages came. They come in any order, twice, and before the send result is stored; the
//! end is the same. A status that has our reference settles a send whose answer never came.

use std::{ops::ControlFlow, sync::Arc};

use app::{HandlerError, publish_late_status, remove_echo};
use chatwoot::Chatwoot;
use domain::{
    AccountId, Author, Channel, ConversationId, Delivery, InvalidTransition, MessageId, OutboundTask, Outgoing, Part,
    PartEvent, Reference, RefusalReason, StatusUpdate, SyncRequest,
};
use platform::Priced;
use queue::QueueMessage;
use store::{ItemOutcome, MessageLink, OutboxEntry, ResolvedAliases, StatusMatch, until_written_from};

use crate::{Handler, attempt::Attempt, erasure_guard::Admitted};

/// A claimed status of a number of ours.
struct ClaimedStatus<'a> {
    status: &'a StatusUpdate,
    attempt: Attempt<'a>,
    channel: Arc<Channel>,
}

/// A status, and the part of an agent's message it is about.
struct ReportedPart<'a> {
    claimed: &'a ClaimedStatus<'a>,
    account: AccountId,
    conversation: ConversationId,
    message: MessageId,
    part: usize,
    attempt: u32,
    /// The outbox entry, if it was read already.
    entry: Option<OutboxEntry>,
}

/// What a status is about.
enum Found<'a> {
    /// A part of an agent's message.
    Part(Box<ReportedPart<'a>>),
    /// A message that shows no ticks: written on the phone, or by the customer.
    Whole,
    /// Nothing we know yet.
    Nothing,
}

/// Applies a status that the erasure guard let in.
pub(crate) async fn apply(handler: &Handler, admitted: Admitted<'_, StatusUpdate>) -> Result<(), HandlerError> {
    let Admitted { record, task: status, aliases, .. } = admitted;
    let channel = status.channel.as_str();
    let Some(attempt) = Attempt::claim(handler, record, channel, &status.item).await? else { return Ok(()) };
    let Some(known) = handler.clients.channels.get(&status.channel).await? else {
        tracing::warn!(channel.id = channel, "a status came for a number that is not ours");
        return attempt.close(ItemOutcome::Refused(RefusalReason::UnknownChannel)).await;
    };
    let claimed = ClaimedStatus { status, attempt, channel: known };
    let outcome = match claimed.find().await? {
        Found::Part(part) => part.apply(aliases).await?,
        Found::Whole => ItemOutcome::Done,
        Found::Nothing => return claimed.wait_for_its_message().await,
    };
    claimed.attempt.close(outcome).await?;
    claimed.count_price();
    Ok(())
}

impl ClaimedStatus<'_> {
    /// Keeps an orphan status for a day. The worker that stores the message reads how far it came, and `reconcile` counts
    /// the status: done once the message is known, refused when the day is over.
    async fn wait_for_its_message(&self) -> Result<(), HandlerError> {
        let (status, clients) = (self.status, &self.attempt.handler.clients);
        let message = clients.message_links.hash(&status.id);
        let is_new = clients.orphan_statuses.add(&status.channel, &status.item, message).await?;
        self.attempt.park().await?;
        if is_new {
            self.count_price();
        }
        Ok(())
    }

    /// Counts the message's price category. Meta reports it twice: when it sends the message, and when the charge applies.
    fn count_price(&self) {
        let status = self.status;
        let word = match status.delivery {
            Delivery::Sent => "sent",
            Delivery::Delivered | Delivery::Read | Delivery::Played => "delivered",
            Delivery::Accepted | Delivery::Failed { .. } => return,
        };
        let Some(pricing) = status.pricing else { return };
        self.attempt.handler.metrics.price(Priced {
            channel: status.channel.as_str().to_owned(),
            category: pricing.category.word(),
            rate: pricing.kind.word(),
            status: word,
            billable: pricing.billable,
        });
    }

    async fn find(&self) -> Result<Found<'_>, HandlerError> {
        let (status, clients) = (self.status, &self.attempt.handler.clients);
        let reference = status.reference.as_deref().and_then(Reference::parse);
        let reference = reference.filter(|reference| reference.account == self.channel.account);
        if let Some(Reference { account, conversation, message, part, attempt }) = reference
            && let Some(entry) = clients.outbox.get(account, conversation, message).await?
        {
            let entry = Some(entry);
            let part = ReportedPart { claimed: self, account, conversation, message, part, attempt, entry };
            return Ok(Found::Part(Box::new(part)));
        }
        let link = match clients.message_links.match_status(&status.id, status.delivery).await? {
            StatusMatch::Known(link) => link,
            StatusMatch::Unknown => return Ok(Found::Nothing),
        };
        let Some((part, attempt)) = link.part else { return Ok(Found::Whole) };
        let MessageLink { account, conversation, message, .. } = *link;
        let part = ReportedPart { claimed: self, account, conversation, message, part, attempt, entry: None };
        Ok(Found::Part(Box::new(part)))
    }
}

impl ReportedPart<'_> {
    /// Updates the part's state and tells the agent.
    async fn apply(&self, aliases: Option<ResolvedAliases>) -> Result<ItemOutcome, HandlerError> {
        let ClaimedStatus { status, attempt, .. } = self.claimed;
        let clients = &attempt.handler.clients;
        let chatwoot = clients.chatwoot(self.account).await?;
        let moved = self.move_forward(&chatwoot).await?;
        let Some((entry, changed)) = moved else { return Ok(ItemOutcome::Refused(RefusalReason::UnknownMessage)) };
        // An earlier attempt may have stored the change and got no further.
        if changed || attempt.outcome_unknown {
            self.learn(&entry, aliases).await?;
        }
        // Also when nothing changed: the attempt that stored the change may have crashed before it queued the sync request.
        if publish_late_status(clients, &chatwoot, &status.channel, &entry).await? {
            self.request_sync().await?;
        }
        Ok(ItemOutcome::Done)
    }

    async fn move_forward(&self, chatwoot: &Chatwoot) -> Result<Option<(OutboxEntry, bool)>, HandlerError> {
        let ClaimedStatus { status, attempt, channel } = self.claimed;
        let clients = &attempt.handler.clients;
        let outbox = &clients.outbox;
        let entry = match &self.entry {
            Some(entry) => Some(entry.clone()),
            None => outbox.get(self.account, self.conversation, self.message).await?,
        };
        let Some(entry) = entry else { return Ok(None) };
        until_written_from(entry, |current| async move {
            let mut outgoing = current.outgoing.clone();
            let event = PartEvent::Reported {
                attempt: Some(self.attempt),
                wamid: status.id.clone(),
                delivery: status.delivery,
            };
            if let Err(InvalidTransition) = outgoing.apply(self.part, event) {
                tracing::warn!(channel.id = %status.channel, "status of a part that the message does not have");
                return Ok(ControlFlow::Break(None));
            }
            if outgoing == current.outgoing {
                return Ok(ControlFlow::Break(Some((current, false))));
            }
            let link = self.new_link(&current, &outgoing);
            if link.is_some() {
                remove_echo(clients, chatwoot, channel, &status.id, self.message).await?;
            }
            let link = link.as_ref().map(|link| (&clients.message_links, link));
            Ok(match outbox.save_linked(current.with(outgoing), link).await? {
                Ok(saved) => ControlFlow::Break(Some((saved, true))),
                Err(theirs) => ControlFlow::Continue(theirs),
            })
        })
        .await
    }

    /// A status of a message we sent to this very customer names them by all their ids. A failed status proves nothing.
    async fn learn(&self, entry: &OutboxEntry, aliases: Option<ResolvedAliases>) -> Result<(), HandlerError> {
        let ClaimedStatus { status, attempt, .. } = self.claimed;
        let Some(customer) = &entry.customer else { return Ok(()) };
        if status.customer.user().is_none() || matches!(status.delivery, Delivery::Failed { .. }) {
            return Ok(());
        }
        let customers = &attempt.handler.clients.customers;
        let joins = match aliases {
            Some(aliases) if aliases.is_of(entry.account) => {
                customers.learn_known(customer, aliases, status.at).await?
            }
            // The number was another dealer's when this was sent.
            _ => customers.learn(entry.account, customer, &status.customer, status.at).await?,
        };
        if joins || attempt.outcome_unknown {
            let clients = &attempt.handler.clients;
            let customer = customers.survivor(customer).await?;
            if let Err(error) = Box::pin(app::tell_joined(clients, entry.account, &customer)).await {
                tracing::warn!(%error, "agents not told that two contacts are one person; the next message does it");
            }
        }
        Ok(())
    }

    /// An uncertain part held up those behind it, or the file a text belonged to failed; now they can go.
    async fn request_sync(&self) -> Result<(), HandlerError> {
        let ClaimedStatus { status, attempt, .. } = self.claimed;
        let sync = SyncRequest::new(status.channel.clone(), self.account, self.conversation);
        let task = OutboundTask::SyncRequestV1(sync);
        attempt.handler.outbound.send(QueueMessage::new(task.group(), status.item.as_str(), &task)?).await?;
        Ok(())
    }

    /// The status is the first to say under which id Meta has the part: from now on quotes and statuses may use that id.
    fn new_link(&self, entry: &OutboxEntry, reported: &Outgoing) -> Option<MessageLink> {
        let Part::Accepted { wamid, attempt, .. } = reported.parts().get(self.part)?.clone() else { return None };
        if entry.outgoing.parts().get(self.part)?.wamid().is_some() {
            return None;
        }
        Some(MessageLink {
            wamid,
            customer: entry.customer.clone()?,
            account: self.account,
            conversation: self.conversation,
            message: self.message,
            author: Author::Business,
            part: Some((self.part, attempt)),
            sent_at: None,
            imported: false,
            early: None::<Delivery>,
        })
    }
}
