//! Finds or creates the customer's contact in Chatwoot. It is looked up by every id the customer is known by.

use app::{HandlerError, USER_ID_ATTRIBUTE};
use chatwoot::{Chatwoot, ChatwootError, Contact, NewContact, contact_name, erasing::ConversationAge};
use domain::{Channel, ContactId, CustomerId, Identity, Message, WaId};
use serde_json::json;
use texts::NoteText;

use super::MessageContext;

/// Where a contact has conversations; the best case is last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Chat {
    Nowhere,
    Elsewhere,
    /// In this inbox, and resolved.
    Resolved,
    /// In this inbox, and not resolved.
    Open,
}

impl Chat {
    fn of(conversation: &ConversationAge, channel: &Channel) -> Self {
        match (conversation.inbox == Some(channel.inbox), conversation.resolved) {
            (false, _) => Self::Elsewhere,
            (true, true) => Self::Resolved,
            (true, false) => Self::Open,
        }
    }
}

impl MessageContext<'_> {
    /// Gives the customer's contact, and whether it was created just now.
    pub(super) async fn contact(&self) -> Result<(ContactId, bool), HandlerError> {
        let Self { channel, customer, message, chatwoot, .. } = self;
        let clients = &self.handler().clients;
        if let Some(contact) = chatwoot.contact_of_source(channel.inbox, customer).await? {
            return Ok((contact.id, false));
        }
        let phone = message.customer.phone.as_ref().and_then(WaId::e164);
        if let Some(contact) = self.known_contact().await? {
            return Ok((self.take_over(contact).await?, false));
        }
        let mut new = new_contact(message, customer, phone.as_deref(), clients.locale);
        // Stored before the contact has the name: a name an agent gave must never be taken for ours, nor ours for an
        // agent's.
        clients.profiles.rename(customer, &new.name, None).await?;
        if let Some(created) = self.create_contact(&new).await? {
            return Ok((created, true));
        }
        // Another task was faster, or Chatwoot does not accept the phone, or the phone belongs to another person's contact.
        if let Some(contact) = self.known_contact().await? {
            return Ok((self.take_over(contact).await?, false));
        }
        if self.free_phone().await?
            && let Some(created) = self.create_contact(&new).await?
        {
            return Ok((created, true));
        }
        new.phone = None;
        Ok((chatwoot.create_contact(channel.inbox, &new.borrowed()).await?, true))
    }

    /// Gives nothing if Chatwoot refuses the contact.
    async fn create_contact(&self, new: &Owned<'_>) -> Result<Option<ContactId>, ChatwootError> {
        match self.chatwoot.create_contact(self.channel.inbox, &new.borrowed()).await {
            Err(ChatwootError::Refused(_)) => Ok(None),
            created => created.map(Some),
        }
    }

    /// Removes a number that now belongs to a new person from its former owner's contact, so that no agent reads it there.
    /// `false` if it was not in the way.
    async fn free_phone(&self) -> Result<bool, HandlerError> {
        let chatwoot = &self.chatwoot;
        let Some(phone) = &self.message.customer.phone else { return Ok(false) };
        let owner = Identity { phone: Some(phone.clone()), ..Identity::default() };
        let customers = &self.handler().clients.customers;
        if customers.find(self.channel.account, &owner).await?.as_ref() != Some(&self.customer) {
            // This message is older than what is known.
            return Ok(false);
        }
        let Some(shown) = phone.e164() else { return Ok(false) };
        let Some(contact) = look_up(chatwoot, "phone_number", &shown).await?.into_iter().next() else {
            return Ok(false);
        };
        match chatwoot.clear_phone(contact.id).await {
            Ok(()) | Err(ChatwootError::Gone) => Ok(true),
            Err(ChatwootError::Refused(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives the contact that has our id, or else one that has an id the customer is known by and no other customer's id.
    /// Several contacts may match, such as an imported one beside the one with the chat.
    async fn known_contact(&self) -> Result<Option<Contact>, HandlerError> {
        let Self { customer, chatwoot, .. } = self;
        let person = &self.message.customer;
        if let Some(contact) = look_up(chatwoot, "identifier", customer.as_str()).await?.into_iter().next() {
            return Ok(Some(contact));
        }
        let user = person.user_id.iter().filter(|_| person.group.is_none());
        let user = user.map(|user| (USER_ID_ATTRIBUTE, user.as_str().to_owned()));
        let spellings = person.phone.iter().flat_map(WaId::spellings).filter_map(|phone| phone.e164());
        let mut found: Vec<Contact> = Vec::new();
        for (attribute, value) in user.chain(spellings.map(|phone| ("phone_number", phone))) {
            for contact in look_up(chatwoot, attribute, &value).await? {
                if found.iter().all(|known| known.id != contact.id) && !self.is_anothers(&contact).await? {
                    found.push(contact);
                }
            }
        }
        if found.len() < 2 {
            return Ok(found.pop());
        }
        let mut best: Option<(Chat, Contact)> = None;
        for contact in found {
            let theirs = chatwoot.conversations_of(contact.id).await?;
            let chat = theirs.iter().map(|one| Chat::of(one, self.channel)).max().unwrap_or(Chat::Nowhere);
            // Of equal ones the first wins: the user id is the surest key, then the number as it is spelled here.
            if best.as_ref().is_none_or(|(so_far, _)| chat > *so_far) {
                best = Some((chat, contact));
            }
        }
        Ok(best.map(|(_, contact)| contact))
    }

    /// Whether a contact belongs to another customer who still exists: the number went to a new person.
    async fn is_anothers(&self, contact: &Contact) -> Result<bool, HandlerError> {
        let own = self.customer.as_str();
        let Some(id) = contact.identifier.as_deref().filter(|id| *id != own) else { return Ok(false) };
        Ok(self.handler().clients.customers.is_ours(&CustomerId::new(id)).await?)
    }

    async fn take_over(&self, contact: Contact) -> Result<ContactId, HandlerError> {
        let Self { channel, customer, chatwoot, .. } = self;
        chatwoot.attach(contact.id, channel.inbox, customer).await?;
        if contact.identifier.is_none() {
            match chatwoot.identify(contact.id, customer).await {
                // Another contact has our id since a merge stopped half-way; the source id is enough.
                Ok(()) | Err(ChatwootError::Refused(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(contact.id)
    }
}

/// A look-up that Chatwoot refuses finds nothing, for example where an attribute is not defined yet. Creating the contact
/// then decides.
async fn look_up(chatwoot: &Chatwoot, attribute: &str, value: &str) -> Result<Vec<Contact>, ChatwootError> {
    match chatwoot.contacts_with(attribute, value).await {
        Err(ChatwootError::Refused(_)) => Ok(Vec::new()),
        found => found,
    }
}

struct Owned<'a> {
    name: String,
    phone: Option<&'a str>,
    customer: &'a CustomerId,
    attributes: serde_json::Value,
}

impl Owned<'_> {
    fn borrowed(&self) -> NewContact<'_> {
        NewContact {
            name: &self.name,
            phone_number: self.phone,
            customer: self.customer,
            custom_attributes: self.attributes.clone(),
        }
    }
}

fn new_contact<'a>(
    message: &'a Message,
    customer: &'a CustomerId,
    phone: Option<&'a str>,
    locale: texts::Locale,
) -> Owned<'a> {
    let person = &message.customer;
    let mut attributes = serde_json::Map::new();
    let mut name = message.name.clone().or_else(|| message.username.clone()).or_else(|| phone.map(str::to_owned));
    if person.group.is_some() {
        name = Some(NoteText::GroupName.text(locale));
    } else {
        if let Some(user) = &person.user_id {
            attributes.insert(USER_ID_ATTRIBUTE.to_owned(), json!(user));
        }
        if let Some(username) = &message.username {
            attributes.insert("whatsapp_username".to_owned(), json!(username));
        }
    }
    let name = name.map(|name| contact_name(&name)).filter(|name| !name.is_empty());
    let name = name.unwrap_or_else(|| NoteText::Nameless.text(locale));
    Owned { name, phone, customer, attributes: attributes.into() }
}

#[cfg(test)]
mod tests;
