//! Resolves the customer of a message, and learns ids from it.

use std::borrow::Cow;

use app::HandlerError;
use domain::{Channel, Content, CustomerId, Delivery, Identity, Message, StatusUpdate};
use store::{OutboxEntry, ResolvedAliases};

use crate::Handler;

impl Handler {
    /// Gives the customer, and the message as it reads with what is known of them now. An event about an unknown person
    /// creates no customer. Only the change of a number or an id is remembered, as hashes: Meta may report it before an
    /// older message.
    pub(crate) async fn resolve_customer<'m>(
        &self,
        channel: &Channel,
        message: &'m Message,
        known: Option<ResolvedAliases>,
    ) -> Result<Option<(CustomerId, Cow<'m, Message>)>, HandlerError> {
        let customers = &self.clients.customers;
        let (account, at) = (channel.account, message.sent_at);
        match &message.content {
            Content::NumberChanged { before, now, .. } if !now.is_empty() => {
                let customer = customers.change_number(account, before, now, at).await?;
                Ok(Some((customer, Cow::Owned(Message { customer: renewed(before, now), ..message.clone() }))))
            }
            _ if message.is_about_customer() => {
                let customer = customers.find(account, &message.customer).await?;
                Ok(customer.map(|customer| (customer, Cow::Borrowed(message))))
            }
            _ => {
                let customer = match known {
                    Some(known) if known.is_of(account) => customers.identify_known(known, at).await?,
                    _ => customers.identify(account, &message.customer, at).await?,
                };
                Ok(Some((customer, Cow::Borrowed(message))))
            }
        }
    }

    /// A status of a message we sent to this very customer names them by all their ids. A failed status proves nothing.
    pub(crate) async fn learn(
        &self,
        status: &StatusUpdate,
        entry: &OutboxEntry,
        known: Option<ResolvedAliases>,
    ) -> Result<(), HandlerError> {
        let Some(customer) = &entry.customer else { return Ok(()) };
        if status.customer.user().is_none() || matches!(status.delivery, Delivery::Failed { .. }) {
            return Ok(());
        }
        let customers = &self.clients.customers;
        match known {
            Some(known) if known.is_of(entry.account) => customers.learn_known(customer, known, status.at).await?,
            // The number was another dealer's when this was sent.
            _ => customers.learn(entry.account, customer, &status.customer, status.at).await?,
        }
        Ok(())
    }
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
