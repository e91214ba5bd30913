//! Whose message it is, and what else it tells about that person.

use std::borrow::Cow;

use bridge::BridgeError;
use chatwoot::{Chatwoot, ChatwootError, upkeep::ContactChange};
use domain::{Channel, Content, CustomerId, Delivery, Identity, Message, StatusUpdate, WaId};
use serde_json::json;
use store::Entry;

use crate::Forward;

impl Forward {
    /// The customer, and the message as it reads with what is known of them now.
    pub(crate) async fn who<'m>(
        &self,
        channel: &Channel,
        message: &'m Message,
    ) -> Result<(CustomerId, Cow<'m, Message>), BridgeError> {
        let customers = &self.clients.customers;
        let (account, at) = (channel.account, message.sent_at);
        match &message.content {
            Content::Moved { before, now, .. } if !now.is_empty() => {
                let customer = customers.moved(account, before, now, at).await?;
                Ok((customer, Cow::Owned(Message { customer: renewed(before, now), ..message.clone() })))
            }
            _ => Ok((customers.identify(account, &message.customer, at).await?, Cow::Borrowed(message))),
        }
    }

    /// The contact follows its person: a new number replaces the old one, unless an agent had put something else there, and a
    /// number the customer gave when asked for it fills a gap.
    pub(crate) async fn renew_contact(
        &self,
        chatwoot: &Chatwoot,
        channel: &Channel,
        customer: &CustomerId,
        message: &Message,
    ) -> Result<(), BridgeError> {
        let before = match &message.content {
            Content::Moved { before, now, .. } if !now.is_empty() => before.phone.as_ref(),
            Content::Contacts { .. } => None,
            _ => return Ok(()),
        };
        let person = &message.customer;
        let thread = self.clients.customers.thread(customer, &channel.phone_number_id).await?;
        let Some(id) = thread.and_then(|thread| thread.contact).filter(|_| person.group.is_none()) else {
            return Ok(());
        };
        let Some(contact) = chatwoot.contact(id).await? else { return Ok(()) };
        let mut change = ContactChange::default();
        if let Some(user) = &person.user_id {
            change.attributes.insert("whatsapp_user_id".to_owned(), json!(user));
        }
        let shown = contact.phone_number.as_deref().map(WaId::new);
        let replaceable = shown.as_ref().is_none_or(|shown| before.is_some_and(|old| same(old, shown)));
        let phone = person.phone.as_ref().or(person.wa_id.as_ref());
        let phone = phone.filter(|new| replaceable && shown.as_ref().is_none_or(|old| !same(old, new)));
        change.phone_number = phone.and_then(WaId::e164);
        if change.is_empty() {
            return Ok(());
        }
        let mut changed = chatwoot.change_contact(id, &change).await;
        if matches!(changed, Err(ChatwootError::Refused(_))) && change.phone_number.take().is_some() {
            // Another contact has the number; an agent has to say which of the two stays.
            changed = chatwoot.change_contact(id, &change).await;
        }
        match changed {
            Ok(()) | Err(ChatwootError::Gone) => Ok(()),
            Err(ChatwootError::Refused(status)) => {
                tracing::warn!(status, "Chatwoot does not let the bridge keep a contact current");
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A status of something we sent to this very customer names them by all their ids. One of a failure proves nothing.
    pub(crate) async fn learn(&self, status: &StatusUpdate, entry: &Entry) -> Result<(), BridgeError> {
        let Some(customer) = &entry.customer else { return Ok(()) };
        if status.customer.user().is_none() || matches!(status.delivery, Delivery::Failed { .. }) {
            return Ok(());
        }
        Ok(self.clients.customers.learn(entry.account, customer, &status.customer, status.at).await?)
    }
}

/// Who somebody is after a change: the new name, and of the old one what did not change. A new number ends the old user id.
fn renewed(before: &Identity, now: &Identity) -> Identity {
    let kept = if now.phone.is_some() { None } else { before.user_id.clone() };
    Identity {
        user_id: now.user_id.clone().or(kept),
        parent: now.parent.clone(),
        phone: now.phone.clone().or_else(|| before.phone.clone()),
        ..Identity::default()
    }
}

fn same(one: &WaId, other: &WaId) -> bool {
    one.canonical() == other.canonical()
}
