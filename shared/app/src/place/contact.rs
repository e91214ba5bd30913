//! Finds or creates the customer's contact in Chatwoot. It is looked up by every id the customer is known by.

use chatwoot::{Chatwoot, ChatwootError, Contact, NewContact, contact_name, erasing::ConversationAge};
use domain::{Channel, ContactId, CustomerId, Identity, WaId};
use serde_json::json;
use texts::{Locale, NoteText};

use super::ChatPlace;
use crate::{HandlerError, USER_ID_ATTRIBUTE};

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

impl ChatPlace<'_> {
    /// Gives the customer's contact, and whether it was created just now.
    pub(super) async fn contact(&self) -> Result<(ContactId, bool), HandlerError> {
        let Self { channel, customer, person, chatwoot, clients, .. } = self;
        // Nobody has the id of a customer who is new.
        if !self.is_new
            && let Some(contact) = chatwoot.contact_of_source(channel.inbox, customer).await?
        {
            return Ok((contact.id, false));
        }
        let phone = person.phone.as_ref().and_then(WaId::e164);
        if let Some(contact) = self.known_contact().await? {
            return Ok((self.take_over(contact).await?, false));
        }
        let Self { name, username, .. } = *self;
        let mut new =
            new_contact(&NewPerson { customer, person, name, username, phone: phone.as_deref() }, clients.locale);
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
        let Some(phone) = &self.person.phone else { return Ok(false) };
        let owner = Identity { phone: Some(phone.clone()), ..Identity::default() };
        if self.customers.find(self.channel.account, &owner).await?.as_ref() != Some(self.customer) {
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
        let Self { customer, chatwoot, person, .. } = self;
        if !self.is_new
            && let Some(contact) = look_up(chatwoot, "identifier", customer.as_str()).await?.into_iter().next()
        {
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
        Ok(self.customers.is_ours(&CustomerId::new(id)).await?)
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

fn new_contact<'a>(place: &NewPerson<'a>, locale: Locale) -> Owned<'a> {
    let NewPerson { customer, person, name, username, phone } = *place;
    let mut attributes = serde_json::Map::new();
    let mut shown = name.or(username).or(phone).map(str::to_owned);
    if person.group.is_some() {
        shown = Some(NoteText::GroupName.text(locale));
    } else {
        if let Some(user) = &person.user_id {
            attributes.insert(USER_ID_ATTRIBUTE.to_owned(), json!(user));
        }
        if let Some(username) = username {
            attributes.insert("whatsapp_username".to_owned(), json!(username));
        }
    }
    let shown = shown.map(|name| contact_name(&name)).filter(|name| !name.is_empty());
    let name = shown.unwrap_or_else(|| NoteText::Nameless.text(locale));
    Owned { name, phone, customer, attributes: attributes.into() }
}

/// What a new contact is made of.
#[derive(Clone, Copy)]
struct NewPerson<'a> {
    customer: &'a CustomerId,
    person: &'a Identity,
    name: Option<&'a str>,
    username: Option<&'a str>,
    phone: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use domain::{AccountId, InboxId, PhoneNumberId, Timestamp, WabaId, channel};

    use super::*;

    #[test]
    fn a_person_without_a_name_is_called_by_what_is_known() {
        let customer = CustomerId::new("c-1");
        let ana = Identity { phone: Some(WaId::new("5215555550123")), ..Identity::default() };
        let group = Identity { group: Some(domain::GroupId::new("group-1")), ..ana.clone() };
        let called = |person: &Identity, name, username, phone| {
            new_contact(&NewPerson { customer: &customer, person, name, username, phone }, Locale::Es).name
        };
        let phone = Some("+5215555550123");
        assert_eq!(called(&ana, Some("Ana"), None, phone), "Ana");
        assert_eq!(called(&ana, None, None, phone), "+5215555550123");
        assert_eq!(called(&ana, None, Some("ana.mx"), phone), "ana.mx");
        assert_eq!(called(&ana, None, None, None), NoteText::Nameless.text(Locale::Es));
        assert_eq!(called(&group, Some("Ana"), None, None), NoteText::GroupName.text(Locale::Es));
    }

    #[test]
    fn an_open_chat_in_this_inbox_counts_most() {
        let channel = Channel {
            phone_number_id: PhoneNumberId::new("104857600123456"),
            waba_id: WabaId::new("109876543210987"),
            display_phone_number: "525555550100".to_owned(),
            account: AccountId(3),
            inbox: InboxId(14),
            mode: channel::Mode::Cloud,
            state: channel::ChannelState::Live,
            state_at: Timestamp::default(),
            paused: false,
            paused_incoming: false,
            receipts: channel::ReceiptSettings::default(),
            echoes: channel::EchoForm::default(),
            secret: "lmotos-test/channel".to_owned(),
            since: None,
            offered: None,
        };
        let conversation = |inbox, resolved| ConversationAge {
            id: domain::ConversationId(1),
            inbox: Some(InboxId(inbox)),
            contact: None,
            active_at: None,
            said_at: None,
            labels: Vec::new(),
            resolved,
        };
        let chats = [conversation(99, false), conversation(14, true), conversation(14, false)];
        let chats: Vec<Chat> = chats.iter().map(|one| Chat::of(one, &channel)).collect();
        assert_eq!(chats, [Chat::Elsewhere, Chat::Resolved, Chat::Open]);
        assert!(chats.is_sorted() && Chat::Nowhere < Chat::Elsewhere);
    }
}
