//! Updates the contact with what a message says beside its text. That is the customer's present name, the advert that
//! brought them, and whether they want marketing. It is written after the message is in Chatwoot and before its claim is
//! closed, so that a crash repeats it; each write may be repeated. It never holds a message up for long or for ever.

use std::time::Duration;

use app::{Clients, HandlerError};
use chatwoot::{ChatwootError, Contact, ContactChange, attribute, contact_name};
use domain::{
    Class, Classify as _, Content, CustomerId, KeyedHash, Message, UserId, WaId, keyed_hash::Profile, message::Referral,
};
use serde_json::{Map, Value, json};
use texts::{Locale, NoteText};

use super::{CreatedMessage, MessageContext};

/// How long a customer's next messages wait while Chatwoot does not accept data that is not a message.
const CONTACT_SYNC_MAX_WAIT: Duration = Duration::from_secs(15 * 60);

/// The attributes of a conversation that say which advert it came from.
const ADVERT_ATTRIBUTES: [&str; 4] = ["ctwa_clid", "source_id", "source_type", "source_url"];

impl CreatedMessage<'_> {
    pub(super) async fn sync_contact(&self) -> Result<(), HandlerError> {
        let context = self.context();
        let (message, clients) = (&context.message, &context.handler().clients);
        note_marketing_choice(clients, message, &context.customer).await?;
        self.tell_joined().await?;
        let profile = self.new_profile().await?;
        let renews = message.customer.group.is_none() && tells_a_number(message);
        if profile.is_none() && message.referral.is_none() && !renews {
            return Ok(());
        }
        let changed = profile.is_some() || renews;
        if !self.is_taken(self.bring_up_to_date(changed).await)? {
            return Ok(());
        }
        if let Some(profile) = profile {
            clients.profiles.seen(&context.customer, &message.channel, &profile).await?;
        }
        Ok(())
    }

    /// Tells agents of another contact that turned out to be the same person's.
    async fn tell_joined(&self) -> Result<(), HandlerError> {
        let context = self.context();
        let may_be_new = context.joins || context.attempt.outcome_unknown || self.found.thread.conversation.is_none();
        if may_be_new && context.message.customer.group.is_none() {
            let told = app::tell_joined(&context.handler().clients, context.channel.account, &context.customer);
            self.is_taken(Box::pin(told).await)?;
        }
        Ok(())
    }

    /// Whether Chatwoot took what is no message, or never will; an error if it may do so later.
    fn is_taken(&self, written: Result<(), HandlerError>) -> Result<bool, HandlerError> {
        match written {
            Ok(()) => Ok(true),
            // A refused write would be refused again, and what is gone stays gone.
            Err(HandlerError::Chatwoot(error))
                if error.class() == Class::Permanent || matches!(error, ChatwootError::Gone) =>
            {
                tracing::warn!(%error, "Chatwoot did not take what a message says beside its text; it stands without");
                Ok(true)
            }
            Err(HandlerError::Chatwoot(error)) if self.has_waited_long() => {
                tracing::warn!(%error, "Chatwoot does not take what a message says beside its text; a later one brings it");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether an earlier attempt wrote the message so long ago that its contact is not worth waiting for.
    fn has_waited_long(&self) -> bool {
        let now = self.context().now();
        self.written.stood_since.is_some_and(|since| now.since(since) >= CONTACT_SYNC_MAX_WAIT)
    }

    /// Gives the hash of the customer's profile, if it differs from the one Chatwoot was last updated with.
    async fn new_profile(&self) -> Result<Option<KeyedHash<Profile>>, HandlerError> {
        let context = self.context();
        let MessageContext { message, customer, .. } = context;
        // In a group the profile is the speaker's, and the contact is the group.
        if message.customer.group.is_some() || (message.name.is_none() && message.username.is_none()) {
            return Ok(None);
        }
        let profile = context.profile_hash();
        let mut seen = self.found.thread.profile.clone();
        if seen.is_none() {
            // A contact created for this very message is up to date.
            let thread = context.handler().clients.customers.thread(customer, &message.channel).await?;
            seen = thread.and_then(|thread| thread.profile);
        }
        Ok(Some(profile).filter(|profile| seen.as_ref() != Some(profile)))
    }

    async fn bring_up_to_date(&self, changed: bool) -> Result<(), HandlerError> {
        let MessageContext { message, chatwoot, .. } = self.context();
        let conversation = self.found.id;
        let Some(party) = chatwoot.party(conversation).await? else { return Ok(()) };
        if let Some(referral) = &message.referral {
            let attributes = with_advert(&party.attributes, referral);
            if attributes != party.attributes {
                chatwoot.set_attributes(conversation, &attributes).await?;
            }
        }
        let Some(contact) = party.contact.filter(|_| changed) else { return Ok(()) };
        let mut change = self.contact_change(&contact).await?;
        if change.is_empty() {
            return Ok(());
        }
        let mut done = chatwoot.change_contact(contact.id, &change).await;
        if matches!(done, Err(ChatwootError::Refused(_))) && change.phone_number.take().is_some() && !change.is_empty()
        {
            // Another contact has the number; an agent has to decide which of the two stays.
            done = chatwoot.change_contact(contact.id, &change).await;
        }
        Ok(done?)
    }

    async fn contact_change(&self, contact: &Contact) -> Result<ContactChange, HandlerError> {
        let MessageContext { message, customer, .. } = self.context();
        let profiles = &self.context().handler().clients.profiles;
        let mut change = ContactChange::default();
        let user = message.customer.user_id.as_ref().map(UserId::as_str);
        let known = |key: &str| contact.custom_attributes.as_ref().and_then(|attributes| attributes.get(key));
        for (key, value) in [("whatsapp_username", message.username.as_deref()), (app::USER_ID_ATTRIBUTE, user)] {
            if let Some(value) = value.filter(|value| known(key) != Some(&json!(value))) {
                change.attributes.insert(key.to_owned(), json!(value));
            }
        }
        change.phone_number = new_phone(message, contact.phone_number.as_deref());
        let called = contact.name.as_deref().unwrap_or_default();
        let name = message.name.as_deref().map(contact_name).filter(|name| !name.is_empty());
        if let Some(name) = name.filter(|name| name != called)
            && (is_stopgap(message, called) || profiles.is_our_name(customer, called).await?)
        {
            profiles.rename(customer, &name, Some(called)).await?;
            change.name = Some(name);
        }
        Ok(change)
    }
}

impl MessageContext<'_> {
    /// Gives the hash of the profile the message shows.
    pub(super) fn profile_hash(&self) -> KeyedHash<Profile> {
        let message = &self.message;
        let user = message.customer.user_id.as_ref().map(UserId::as_str);
        let phone = message.customer.phone.as_ref().map(WaId::as_str);
        let parts = [message.name.as_deref(), message.username.as_deref(), user, phone];
        self.handler().clients.profiles.hash(parts.map(Option::unwrap_or_default))
    }
}

/// Stores whether the customer wants marketing, if the message says so.
pub(super) async fn note_marketing_choice(
    clients: &Clients,
    message: &Message,
    customer: &CustomerId,
) -> Result<(), HandlerError> {
    if let Some(marketing) = marketing_choice(&message.content) {
        clients.profiles.set_marketing_choice(customer, marketing, message.sent_at).await?;
    }
    Ok(())
}

/// Whether a message is about the customer's own number or id: a change, or an address card that was asked for.
fn tells_a_number(message: &Message) -> bool {
    match &message.content {
        Content::NumberChanged { now, .. } => !now.is_empty(),
        Content::Contacts { .. } => message.customer.wa_id.is_some(),
        _ => false,
    }
}

/// Gives the phone a contact is to have. It fills a gap, and a new number replaces the old one, but never one that an agent
/// entered.
fn new_phone(message: &Message, shown: Option<&str>) -> Option<String> {
    let person = &message.customer;
    let phone = person.phone.as_ref().or(person.wa_id.as_ref()).filter(|_| person.group.is_none())?;
    let shown = shown.filter(|shown| !shown.is_empty()).map(WaId::new);
    let may_change = match (&shown, &message.content) {
        (None, _) => true,
        (Some(shown), Content::NumberChanged { before, .. }) => {
            before.phone.as_ref().is_some_and(|old| same(old, shown))
        }
        (Some(_), _) => false,
    };
    phone.e164().filter(|_| may_change && shown.is_none_or(|shown| !same(&shown, phone)))
}

fn same(one: &WaId, other: &WaId) -> bool {
    one.canonical() == other.canonical()
}

/// Whether a name is one no person chose: the phone, the username, or the word for a person without a name.
fn is_stopgap(message: &Message, name: &str) -> bool {
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let is_phone = !name.is_empty() && name.chars().all(|c| c.is_ascii_digit() || "+ -()".contains(c));
    let same_phone = message.customer.phone.as_ref().is_some_and(|phone| digits(phone.as_str()) == digits(name));
    let nameless = [Locale::Es, Locale::En].iter().any(|locale| NoteText::Nameless.text(*locale) == name);
    let username = message.username.as_deref() == Some(name.trim_start_matches('@'));
    !name.chars().any(domain::name::shows) || (is_phone && same_phone) || nameless || username
}

/// Gives a conversation's attributes with those of the advert; those of an older advert are removed.
fn with_advert(attributes: &Map<String, Value>, referral: &Referral) -> Map<String, Value> {
    let mut attributes = attributes.clone();
    let values = [&referral.click, &referral.id, &referral.kind, &referral.url];
    for (key, value) in ADVERT_ATTRIBUTES.into_iter().zip(values) {
        attributes.remove(key);
        if let Some(value) = value {
            attributes.insert(key.to_owned(), attribute(value));
        }
    }
    attributes
}

/// Whether a message says that the customer wants marketing, or that they do not.
fn marketing_choice(content: &Content) -> Option<bool> {
    let Content::Preference { value, category } = content else { return None };
    if category.as_ref().is_some_and(|category| category != "marketing_messages") {
        return None;
    }
    match value.as_str() {
        "stop" => Some(false),
        "resume" | "signup" => Some(true),
        _ => None,
    }
}

/// Gives the advert in the form in which Chatwoot's own WhatsApp channel attaches it to a message.
pub(super) fn advert_attribute(referral: &Referral) -> Value {
    let members = [
        ("source_url", &referral.url),
        ("source_id", &referral.id),
        ("source_type", &referral.kind),
        ("headline", &referral.headline),
        ("body", &referral.body),
        ("image_url", &referral.picture),
        ("video_url", &referral.video),
        ("ctwa_clid", &referral.click),
        ("welcome_message", &referral.welcome),
    ];
    members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value.as_ref()?)))).collect()
}

#[cfg(test)]
mod tests;
