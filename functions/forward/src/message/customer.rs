//! Resolves the customer of a message, and what is to be shown of it.

use std::borrow::Cow;

use app::{Clients, HandlerError};
use chatwoot::{Chatwoot, render};
use domain::{
    Author, Channel, Content, CustomerId, Identity, Message, PhoneNumberId, RefusalReason, Timestamp, message::Call,
};
use store::{ItemOutcome, ResolvedAliases, Thread};

use super::{ClaimedMessage, contact_sync::note_marketing_choice};
use crate::{Handler, attempt::Attempt};

/// A message whose customer is known and that is to be shown in a chat. Only resolving its customer makes one.
pub(crate) struct MessageContext<'a> {
    pub(crate) attempt: &'a Attempt<'a>,
    pub(crate) channel: &'a Channel,
    pub(crate) customer: CustomerId,
    /// The message as it reads with what is known of the customer now.
    pub(crate) message: Cow<'a, Message>,
    pub(crate) chatwoot: Chatwoot,
    /// Whether it showed that another customer is this one, or may have.
    pub(super) joins: bool,
    /// What is shown of it if it was taken back before it came.
    blank: Option<Message>,
}

impl<'a> MessageContext<'a> {
    /// Resolves the customer. Settles a message that is shown in no chat: of a person the business never heard of, or a call
    /// that only rings.
    pub(super) async fn resolve(
        claimed: &'a ClaimedMessage<'_>,
        aliases: Option<ResolvedAliases>,
    ) -> Result<Option<Self>, HandlerError> {
        let ClaimedMessage { message, attempt, channel } = claimed;
        let clients = &attempt.handler.clients;
        let Some(Resolved { customer, message, joins }) = resolve_customer(clients, channel, message, aliases).await?
        else {
            attempt.close(ItemOutcome::Refused(RefusalReason::NeverWrote)).await?;
            return Ok(None);
        };
        if message.is_about_customer() && !is_heard(clients, &customer, &message.channel).await? {
            // What it says is stored; there is no chat to show it in.
            note_marketing_choice(clients, &message, &customer).await?;
            attempt.close(ItemOutcome::Done).await?;
            return Ok(None);
        }
        if is_silent(&message) {
            touch(clients, &message, channel, &customer).await?;
            attempt.close(ItemOutcome::Done).await?;
            return Ok(None);
        }
        let chatwoot = clients.chatwoot(channel.account).await?;
        let revoked = super::revoke::was_revoked(clients, &message).await?;
        let blank = revoked.then(|| render::blank(&message));
        Ok(Some(Self { attempt, channel, customer, message, chatwoot, joins, blank }))
    }

    /// What the agents are shown: the message, or that it was taken back.
    pub(crate) fn shown(&self) -> &Message {
        self.blank.as_ref().unwrap_or(&self.message)
    }

    pub(crate) fn is_blank(&self) -> bool {
        self.blank.is_some()
    }

    pub(crate) fn handler(&self) -> &'a Handler {
        self.attempt.handler
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.handler().clients.clock.now()
    }
}

/// Whose a message is.
struct Resolved<'m> {
    customer: CustomerId,
    /// The message as it reads with what is known of them now.
    message: Cow<'m, Message>,
    joins: bool,
}

/// Gives the customer, and the message as it reads with what is known of them now. An event about an unknown person creates
/// no customer. Only the change of a number or an id is remembered, as hashes: Meta may report it before an older message.
async fn resolve_customer<'m>(
    clients: &Clients,
    channel: &Channel,
    message: &'m Message,
    aliases: Option<ResolvedAliases>,
) -> Result<Option<Resolved<'m>>, HandlerError> {
    let customers = &clients.customers;
    let (account, at) = (channel.account, message.sent_at);
    match &message.content {
        Content::NumberChanged { before, now, .. } if !now.is_empty() => {
            let customer = customers.change_number(account, before, now, at).await?;
            let message = Cow::Owned(Message { customer: renewed(before, now), ..message.clone() });
            Ok(Some(Resolved { customer, message, joins: true }))
        }
        _ if message.is_about_customer() => {
            let customer = customers.find(account, &message.customer).await?;
            Ok(customer.map(|customer| Resolved { customer, message: Cow::Borrowed(message), joins: false }))
        }
        _ => {
            let (customer, joins) = match aliases {
                Some(aliases) if aliases.is_of(account) => customers.identify_joining(aliases, at).await?,
                _ => customers.identify(account, &message.customer, at).await.map(|customer| (customer, true))?,
            };
            Ok(Some(Resolved { customer, message: Cow::Borrowed(message), joins }))
        }
    }
}

/// Whether the customer, or another record that turned out to be theirs, was ever seen on a number.
async fn is_heard(clients: &Clients, customer: &CustomerId, number: &PhoneNumberId) -> Result<bool, HandlerError> {
    let customers = &clients.customers;
    if customers.thread(customer, number).await?.is_some() {
        return Ok(true);
    }
    for joined in customers.joined(customer).await? {
        if customers.thread(&joined, number).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Records that the customer wrote. The window opens before the agent can see the message and answer it.
pub(super) async fn touch(
    clients: &Clients,
    message: &Message,
    channel: &Channel,
    customer: &CustomerId,
) -> Result<Thread, HandlerError> {
    let written_at = opens_window(message).then_some(message.sent_at);
    let number = &channel.phone_number_id;
    let said_at =
        written_at.or_else(|| matches!(message.content, Content::NumberChanged { .. }).then_some(message.sent_at));
    let thread = clients.customers.touch(customer, number, &message.customer, written_at, said_at).await?;
    if message.standby && message.author == Author::Customer {
        clients.customers.overheard(customer, number, message.sent_at).await?;
    }
    Ok(thread)
}

/// Gives a person's identity after a change: the new ids, and of the old ones what did not change. A new number ends the
/// old user id.
fn renewed(before: &Identity, now: &Identity) -> Identity {
    let kept = if now.phone.is_some() { None } else { before.user_id.clone() };
    Identity {
        user_id: now.user_id.clone().or(kept),
        parent: now.parent.clone(),
        phone: now.phone.clone().or_else(|| before.phone.clone()),
        ..Identity::default()
    }
}

/// Whether a message is an act of the customer's own, so that it may open the window (§4.5). One that only reports on other
/// messages, or on the customer, does not.
pub(super) fn opens_window(message: &Message) -> bool {
    message.author == Author::Customer
        && !message.standby
        && match &message.content {
            Content::Preference { .. }
            | Content::NumberChanged { .. }
            | Content::Handover { .. }
            | Content::Revoke { .. }
            | Content::Edit { .. } => false,
            Content::Call { event, .. } => event.starts_with("connect") || event.starts_with("permission"),
            _ => true,
        }
}

/// Whether a message may be the first of a new conversation. A reaction belongs where the message it reacts to is.
pub(super) fn begins_conversation(message: &Message) -> bool {
    opens_window(message) && !matches!(message.content, Content::Reaction { .. })
}

/// A ringing call is nothing to read yet; its outcome is.
fn is_silent(message: &Message) -> bool {
    matches!(&message.content, Content::Call { event, seconds } if !Call::read(event, *seconds).is_over())
}

#[cfg(test)]
mod tests;
