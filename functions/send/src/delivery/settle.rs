//! Settles a call: saves its outcome, and shows it to the agent.

use std::ops::ControlFlow;

use app::{HandlerError, publish_status, remove_echo};
use chatwoot::listing::ListedMessage;
use domain::{
    Author, Delivery as DeliveryStatus, Identity, Outgoing, PartEvent, SendFailure, Timestamp, outgoing::Awaited,
    rate_limit::RecipientRateLimit,
};
use platform::Metric;
use store::{MessageLink, OutboxEntry, StoreError, until_written_from};
use texts::NoteText;
use whatsapp::graph::Accepted;

use super::{
    Attempt, ConversationContext, Delivery,
    call::{Answer, Attempted},
};
use crate::{Handler, convert::parts, sync::SyncOutcome};

impl Handler {
    /// Saves what became of a call.
    pub(super) async fn settle(
        &self,
        delivery: &mut Delivery<'_>,
        attempted: Attempted,
    ) -> Result<SyncOutcome, HandlerError> {
        let (context, now) = (delivery.context, self.clients.clock.now());
        let (attempt, answer) = attempted.into_answer();
        delivery.budget.sent(now);
        match answer {
            Answer::Accepted(accepted) => {
                self.metrics.count(Metric::Sent);
                self.learn(context, &accepted).await;
                self.save_accepted(context, delivery.entry, attempt, accepted).await?;
                self.advert_answered(context, now).await;
                self.clients.conversations.sent(context.conversation, delivery.budget.rate_limit).await?;
                let resumed = if attempt.waited_for_file { NoteText::FileCame } else { NoteText::SendingGoesOn };
                self.note_resumed(context, delivery.budget, resumed).await;
                Ok(SyncOutcome::UpToDate)
            }
            Answer::Never(failure) => match self.held_meanwhile(context).await? {
                Some(hold) => self.defer_for_number(delivery, attempt, hold).await,
                None => self.fail(delivery, attempt, failure).await,
            },
            Answer::Uncertain => {
                self.metrics.count(Metric::Uncertain);
                // Meta may count it towards its limit, whatever becomes of the part.
                self.clients.conversations.set_rate_limit(context.conversation, delivery.budget.rate_limit).await?;
                let unanswered = PartEvent::Unanswered { attempt: attempt.number };
                self.move_part(delivery.entry, attempt.at, unanswered).await?;
                Ok(SyncOutcome::UpToDate)
            }
            Answer::TooFast { after } => {
                delivery.budget.rate_limit = RecipientRateLimit::exhausted(now);
                self.clients.conversations.set_rate_limit(context.conversation, delivery.budget.rate_limit).await?;
                self.defer_for_meta(delivery, attempt, Awaited::Meta, after).await
            }
            Answer::NotNow { after } => self.defer_for_meta(delivery, attempt, Awaited::Meta, after).await,
        }
    }

    /// Fails a part that was certainly not sent. What the agent was told of waiting is over: the message itself says why.
    pub(super) async fn fail(
        &self,
        delivery: &mut Delivery<'_>,
        Attempt { at, number, captioned, .. }: Attempt,
        failure: SendFailure,
    ) -> Result<SyncOutcome, HandlerError> {
        self.move_part(delivery.entry, at, PartEvent::Failed { attempt: number, failure, captioned }).await?;
        self.clear_wait_note(delivery.context, delivery.budget).await?;
        Ok(SyncOutcome::UpToDate)
    }

    /// Gives up the rest of a message, so that it is not sent by itself.
    pub(crate) async fn give_up(&self, entry: &mut OutboxEntry, failure: SendFailure) -> Result<(), HandlerError> {
        let given_up = self.clients.outbox.change(entry, |outgoing| outgoing.give_up(failure));
        *entry = given_up.await?.ok_or(StoreError::Contended)?;
        Ok(())
    }

    /// Moves a part and saves it. Where another worker moved it meanwhile so that it cannot move like this, theirs stands, and
    /// the sync is repeated.
    pub(super) async fn move_part(
        &self,
        entry: &mut OutboxEntry,
        at: usize,
        event: PartEvent,
    ) -> Result<(), HandlerError> {
        let moved = self.clients.outbox.change(entry, |outgoing| outgoing.apply(at, event.clone()));
        *entry = moved.await?.ok_or(StoreError::Contended)?;
        Ok(())
    }

    /// Shows the agent the outcome of a message. A status may come in meanwhile; then there is more to show.
    pub(crate) async fn show(
        &self,
        context: &ConversationContext<'_>,
        message: &ListedMessage,
        entry: &mut OutboxEntry,
    ) -> Result<(), HandlerError> {
        for _ in 0..4 {
            let named = |at| parts::file_name(message, &entry.outgoing, self.clients.locale, at);
            match publish_status(&self.clients, context.chatwoot, entry, named).await? {
                Some(shown) => *entry = shown,
                None => break,
            }
        }
        Ok(())
    }

    /// Saves that Meta accepted the part. A status may have said so first, or may be waiting.
    async fn save_accepted(
        &self,
        context: &ConversationContext<'_>,
        entry: &mut OutboxEntry,
        Attempt { at, number, .. }: Attempt,
        accepted: Accepted,
    ) -> Result<(), HandlerError> {
        let wamid = accepted.wamid;
        let link = context.customer.map(|customer| MessageLink {
            wamid: wamid.clone(),
            customer: customer.clone(),
            account: entry.account,
            conversation: entry.conversation,
            message: entry.message,
            author: Author::Business,
            part: Some((at, number)),
            sent_at: None,
            imported: false,
            early: None,
        });
        if let Err(error) = remove_echo(&self.clients, context.chatwoot, context.channel, &wamid, entry.message).await {
            tracing::warn!(%error, "an echo of what was sent may stand beside it");
        }
        let links = &self.clients.message_links;
        let reported = |delivery| PartEvent::Reported { attempt: Some(number), wamid: wamid.clone(), delivery };
        let (outbox, link) = (&self.clients.outbox, link.as_ref().map(|link| (links, link)));
        let accept = |entry: OutboxEntry| {
            let event = reported(DeliveryStatus::Accepted);
            async move {
                let mut outgoing = entry.outgoing.clone();
                outgoing.apply(at, event)?;
                Ok::<_, HandlerError>(match outbox.save_linked(entry.with(outgoing), link).await? {
                    Ok(saved) => ControlFlow::Break(saved),
                    Err(theirs) => ControlFlow::Continue(theirs),
                })
            }
        };
        *entry = until_written_from(entry.clone(), accept).await?;
        if let Some(early) = links.orphan_status(&wamid).await? {
            let change = |outgoing: &mut Outgoing| outgoing.apply(at, reported(early));
            if let Some(changed) = outbox.change(entry, change).await? {
                *entry = changed;
            }
        }
        Ok(())
    }

    /// Records what Meta's answer says of the recipient: it may spell the number differently, and name the user id (§4.1). If
    /// this fails, the message is sent all the same.
    async fn learn(&self, context: &ConversationContext<'_>, accepted: &Accepted) {
        let Some((customer, address)) = context.customer.zip(context.thread.and_then(|thread| thread.address.as_ref()))
        else {
            return;
        };
        let sent_to = address.identity();
        let known = sent_to.aliases(&self.clients.key);
        let identity = Identity {
            user_id: accepted.user_id.clone().or(sent_to.user_id),
            wa_id: accepted.wa_id.clone().filter(|_| sent_to.phone.is_some()),
            phone: sent_to.phone.or_else(|| accepted.wa_id.clone()),
            group: sent_to.group,
            parent: None,
        };
        // This address already led to the customer a moment ago.
        if identity.aliases(&self.clients.key) == known {
            return;
        }
        let now = self.clients.clock.now();
        if let Err(error) = self.clients.customers.learn(context.channel.account, customer, &identity, now).await {
            tracing::warn!(%error, "recipient's ids not noted; the next status tells them again");
        }
    }

    /// Records the first answer after an advert, which makes messages free for a while. Only the wording of texts depends on it.
    async fn advert_answered(&self, context: &ConversationContext<'_>, now: Timestamp) {
        let Some((customer, thread)) = context.customer.zip(context.thread) else { return };
        if !thread.advert().is_some_and(|advert| advert.waits_for_answer(now)) {
            return;
        }
        let number = &context.channel.phone_number_id;
        if let Err(error) = self.clients.customers.advert_answered(customer, number).await {
            tracing::warn!(%error, "first answer after an advert not noted");
        }
    }
}
