//! Erases a person from Chatwoot. Conversations are deleted first, and checked until they are gone; then contacts; then it
//! is checked whether anything still leads to them. Deleting a contact with its conversations still there would leave
//! orphans and break Chatwoot's lists.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use app::{HandlerError, USER_ID_ATTRIBUTE, unless_broken};
use chatwoot::{Chatwoot, ChatwootError, Contact, ConversationLookup, SourceLookup, erasing::ContactStrip};
use domain::{
    AccountId, Channel, ContactId, ConversationId, CustomerId, PhoneNumberId, Timestamp, UserId, WaId,
    erasure::{DataLocation, ErasureState},
};
use store::{DataSubject, ErasureEntry};
use texts::NoteText;

use crate::{ClearOutcome, Handler};

/// The prefix of our own attributes on a contact.
const ATTRIBUTE_PREFIX: &str = "whatsapp_";

/// How long to wait for rows whose contact is gone: Chatwoot's job for them runs soon, or has failed.
const DELETION_SETTLE_TIME: Duration = Duration::from_secs(120);

/// What one pass found in an account.
#[derive(Default)]
struct Found {
    contacts: BTreeMap<ContactId, Contact>,
    conversations: BTreeSet<ConversationId>,
    /// Contacts that also belong to another customer who still exists: an agent merged the two, or the number went on. With
    /// that customer's id.
    shared: Vec<(Contact, String)>,
    /// Those of the conversations whose contact is gone.
    orphans: BTreeSet<ConversationId>,
    /// Our source ids in inboxes whose contact is gone, and conversations of which it is not certain.
    left_behind: usize,
}

impl Found {
    fn add(&mut self, contact: Option<Contact>) {
        self.contacts.extend(contact.map(|contact| (contact.id, contact)));
    }
}

impl Handler {
    pub(crate) async fn clear_chatwoot(
        &self,
        entry: &mut ErasureEntry,
        subject: &mut DataSubject,
    ) -> Result<ClearOutcome, HandlerError> {
        let channels = self.clients.channels.all().await?;
        let mut accounts: BTreeSet<AccountId> = channels.iter().map(|channel| channel.account).collect();
        accounts.retain(|account| subject.only.is_none_or(|only| only == *account));
        let (aliases, conversations) = (subject.aliases.clone(), subject.conversations.clone());
        // What was deleted at once shows in the second pass, and what was not in the third of a later run.
        for _ in 0..3 {
            let (mut all, mut left_behind) = (0, 0);
            let mut pending = false;
            for account in &accounts {
                let chatwoot = self.clients.chatwoot(*account).await?;
                // A person who has begun anew may be known by the same ids: from then on only the customers of this erasure
                // lead to its data.
                let let_in = !entry.erasure.holds_back();
                let mut found = self.find(&chatwoot, *account, &channels, subject, let_in).await?;
                if !let_in && self.learn(&chatwoot, *account, &found, entry, subject).await? {
                    found = self.find(&chatwoot, *account, &channels, subject, let_in).await?;
                }
                self.remember(entry, *account, &channels, &found, subject).await?;
                all += found.contacts.len() + found.conversations.len();
                left_behind += found.left_behind;
                for (contact, other) in &found.shared {
                    self.strip(&chatwoot, contact, other, subject, let_in).await?;
                }
                pending |= !self.delete(&chatwoot, &found).await?;
            }
            if all == 0 {
                if left_behind > 0 && !waited(entry, self.clients.clock.now()) {
                    return Ok(ClearOutcome::Later);
                }
                self.note(entry, DataLocation::Chatwoot, met(subject) + left_behind).await?;
                self.leave(entry, DataLocation::Chatwoot, subject.shared.len() + left_behind).await?;
                let more = subject.aliases != aliases || subject.conversations != conversations;
                return if more { self.look_into_queues_again(entry, subject).await } else { Ok(ClearOutcome::Clear) };
            }
            if pending {
                break;
            }
        }
        if subject.aliases != aliases || subject.conversations != conversations {
            return self.look_into_queues_again(entry, subject).await;
        }
        Ok(ClearOutcome::Later)
    }

    /// Clears the queues again: something of what Chatwoot has shown may wait in a message group without a drain marker.
    pub(crate) async fn look_into_queues_again(
        &self,
        entry: &mut ErasureEntry,
        subject: &mut DataSubject,
    ) -> Result<ClearOutcome, HandlerError> {
        subject.probed_at = None;
        self.clients.erasures.set_data_subject(&entry.erasure.code, subject).await?;
        *entry = self.save(entry, entry.erasure.clone().reopened()).await?;
        Ok(ClearOutcome::Later)
    }

    /// Finds everything of theirs that is there now, by every key there is.
    async fn find(
        &self,
        chatwoot: &Chatwoot,
        account: AccountId,
        channels: &[Channel],
        subject: &DataSubject,
        let_in: bool,
    ) -> Result<Found, HandlerError> {
        let mut found = Found::default();
        for customer in &subject.customers {
            for channel in channels.iter().filter(|channel| channel.account == account) {
                match chatwoot.source(channel.inbox, customer).await? {
                    SourceLookup::Of(contact) => found.add(Some(*contact)),
                    SourceLookup::LeftBehind => found.left_behind += 1,
                    SourceLookup::Nobodys => {}
                }
            }
            for contact in chatwoot.contacts_with("identifier", customer.as_str()).await? {
                found.add(Some(contact));
            }
        }
        // A person whose time is over under one contact may be active under another that has the same phone.
        let phones = if subject.quiet_since.is_some() || let_in { &BTreeSet::new() } else { &subject.phones };
        let spellings: BTreeSet<String> =
            phones.iter().flat_map(WaId::spellings).filter_map(|phone| phone.e164()).collect();
        for phone in spellings {
            for contact in chatwoot.contacts_with("phone_number", &phone).await? {
                found.add(Some(contact));
            }
        }
        let users = if subject.quiet_since.is_some() || let_in { &BTreeSet::new() } else { &subject.users };
        for user in users {
            match chatwoot.contacts_with(USER_ID_ATTRIBUTE, user.as_str()).await {
                // An account that does not show the attribute cannot be asked for it.
                Err(ChatwootError::Refused(_)) => {}
                contacts => contacts?.into_iter().for_each(|contact| found.add(Some(contact))),
            }
        }
        for (_, id) in subject.contacts.iter().filter(|(of, _)| *of == account) {
            let contact = chatwoot.contact(*id).await?;
            found.add(contact);
        }
        let none_is_left = found.contacts.is_empty();
        for (_, id, _) in subject.conversations.iter().filter(|(of, ..)| *of == account) {
            match chatwoot.shown(*id).await? {
                ConversationLookup::Gone => {}
                ConversationLookup::Found(party) => {
                    if !self.is_somebody(party.source_id.as_deref(), subject).await? {
                        found.conversations.insert(*id);
                    }
                    found.add(party.contact);
                }
                // Another customer's, since an agent merged the two.
                ConversationLookup::LeftBehind
                    if !self.is_known_as_theirs(account, *id, subject).await?.unwrap_or(true) => {}
                ConversationLookup::LeftBehind if none_is_left => {
                    found.conversations.insert(*id);
                    found.orphans.insert(*id);
                }
                // Something else may be wrong with it while a contact of theirs is there.
                ConversationLookup::LeftBehind => found.left_behind += 1,
            }
        }
        for contact in std::mem::take(&mut found.contacts).into_values() {
            let theirs = chatwoot.conversations_of(contact.id).await?.into_iter().map(|conversation| conversation.id);
            let Some(other) = self.shared_with(chatwoot, &contact, subject).await? else {
                found.conversations.extend(theirs);
                found.contacts.insert(contact.id, contact);
                continue;
            };
            for id in theirs {
                if self.is_theirs(chatwoot, account, id, subject).await? {
                    found.conversations.insert(id);
                }
            }
            found.shared.push((contact, other));
        }
        Ok(found)
    }

    /// Learns from the table by what Chatwoot shows. Where agents alone have written for a year, the table may have
    /// forgotten who a person is and still have what was sent to them. Tells whether more is known now.
    async fn learn(
        &self,
        chatwoot: &Chatwoot,
        account: AccountId,
        found: &Found,
        entry: &ErasureEntry,
        subject: &mut DataSubject,
    ) -> Result<bool, HandlerError> {
        let mut ids: BTreeSet<String> = BTreeSet::new();
        for contact in found.contacts.values() {
            ids.extend(contact.identifier.clone());
            ids.extend(chatwoot.sources_of(contact.id).await?);
        }
        for id in &found.conversations {
            let known = self.clients.conversations.get(account, *id).await?;
            ids.extend(known.and_then(|known| known.customer).map(|customer| customer.as_str().to_owned()));
        }
        let before = subject.customers.len();
        for id in ids {
            let customer = CustomerId::new(id.as_str());
            if !subject.customers.contains(&customer) && self.inventory.has(&id).await? {
                subject.customers.insert(customer);
            }
        }
        if subject.customers.len() == before {
            return Ok(false);
        }
        self.inventory.gather(subject).await?;
        self.clients.erasures.set_data_subject(&entry.erasure.code, subject).await?;
        self.clients.tombstones.insert_all(&entry.erasure, subject, true).await?;
        Ok(true)
    }

    /// Gives the id of another customer who still exists and has the same contact, if there is one.
    async fn shared_with(
        &self,
        chatwoot: &Chatwoot,
        contact: &Contact,
        subject: &DataSubject,
    ) -> Result<Option<String>, HandlerError> {
        let sources = chatwoot.sources_of(contact.id).await?;
        for id in contact.identifier.iter().chain(&sources) {
            if self.inventory.is_somebody_else(id, subject).await? {
                return Ok(Some(id.clone()));
            }
        }
        Ok(None)
    }

    /// Whether a conversation of a shared contact is certainly theirs.
    async fn is_theirs(
        &self,
        chatwoot: &Chatwoot,
        account: AccountId,
        id: ConversationId,
        subject: &DataSubject,
    ) -> Result<bool, HandlerError> {
        if let Some(is_theirs) = self.is_known_as_theirs(account, id, subject).await? {
            return Ok(is_theirs);
        }
        // Its contact is there: the failure is Chatwoot's.
        let source = chatwoot.party(id).await?.and_then(|party| party.source_id);
        Ok(source.is_some_and(|source| subject.customers.contains(&CustomerId::new(source))))
    }

    /// Whether a conversation is theirs by the table; nothing if the table does not know.
    async fn is_known_as_theirs(
        &self,
        account: AccountId,
        id: ConversationId,
        subject: &DataSubject,
    ) -> Result<Option<bool>, HandlerError> {
        let known = self.clients.conversations.get(account, id).await?;
        Ok(known.and_then(|known| known.customer).map(|customer| subject.customers.contains(&customer)))
    }

    async fn is_somebody(&self, source: Option<&str>, subject: &DataSubject) -> Result<bool, HandlerError> {
        let Some(source) = source else { return Ok(false) };
        Ok(self.inventory.is_somebody_else(source, subject).await?)
    }

    /// Clears a contact that is also another person's: the contact stays, and what it says of the erased person goes. Where
    /// that person may have begun anew, the phone, the name and the attributes belong to their new data.
    async fn strip(
        &self,
        chatwoot: &Chatwoot,
        contact: &Contact,
        other: &str,
        subject: &DataSubject,
        let_in: bool,
    ) -> Result<(), HandlerError> {
        let mut strip = ContactStrip::default();
        if contact.identifier.as_deref().is_some_and(|id| subject.customers.contains(&CustomerId::new(id))) {
            strip.identifier = Some(other);
        }
        if let_in {
            if strip != ContactStrip::default() {
                chatwoot.strip_contact(contact.id, &strip).await?;
            }
            return Ok(());
        }
        let digits = contact.phone_number.as_deref().map(|phone| WaId::new(phone.trim_start_matches('+')));
        strip.phone =
            digits.is_some_and(|phone| subject.phones.iter().any(|theirs| theirs.canonical() == phone.canonical()));
        let attributes = contact.custom_attributes.iter().flatten();
        let users: BTreeSet<&str> = subject.users.iter().map(UserId::as_str).collect();
        if attributes.clone().any(|(_, value)| value.as_str().is_some_and(|value| users.contains(value))) {
            strip.attributes =
                attributes.map(|(name, _)| name.clone()).filter(|name| name.starts_with(ATTRIBUTE_PREFIX)).collect();
        }
        let stopgap = NoteText::Nameless.text(self.clients.locale);
        for customer in &subject.customers {
            let called = contact.name.as_deref().unwrap_or_default();
            if called != stopgap && self.clients.profiles.is_our_name(customer, called).await? {
                strip.name = Some(&stopgap);
            }
        }
        if strip != ContactStrip::default() {
            chatwoot.strip_contact(contact.id, &strip).await?;
        }
        Ok(())
    }

    /// Stores what was found before anything is deleted: what was found by its contact alone could not be found again
    /// without it.
    async fn remember(
        &self,
        entry: &mut ErasureEntry,
        account: AccountId,
        channels: &[Channel],
        found: &Found,
        subject: &mut DataSubject,
    ) -> Result<(), HandlerError> {
        let before = subject.clone();
        subject.contacts.extend(found.contacts.keys().map(|id| (account, *id)));
        subject.shared.extend(found.shared.iter().map(|(contact, _)| (account, contact.id)));
        let known: BTreeSet<ConversationId> =
            subject.conversations.iter().filter(|(of, ..)| *of == account).map(|(_, id, _)| *id).collect();
        let number = channels.iter().find(|channel| channel.account == account);
        let number = number.map_or_else(|| PhoneNumberId::new(""), |channel| channel.phone_number_id.clone());
        subject.conversations.extend(found.conversations.difference(&known).map(|id| (account, *id, number.clone())));
        // What the table knew and Chatwoot had lost long ago does not count as found.
        let shared: BTreeSet<_> = subject.shared.iter().copied().collect();
        subject.met_contacts.extend(found.contacts.keys().map(|id| (account, *id)).filter(|one| !shared.contains(one)));
        subject.met_conversations.extend(found.conversations.iter().map(|id| (account, *id)));
        if *subject != before {
            self.clients.erasures.set_data_subject(&entry.erasure.code, subject).await?;
        }
        self.note(entry, DataLocation::Chatwoot, met(subject)).await?;
        self.leave(entry, DataLocation::Chatwoot, shared.len()).await
    }

    /// Deletes what was found. Tells whether there is nothing to wait for before the next pass.
    async fn delete(&self, chatwoot: &Chatwoot, found: &Found) -> Result<bool, HandlerError> {
        for id in &found.conversations {
            // Only the conversation leads to a draft, and Chatwoot writes a conversation's attributes into an audit log
            // when it is deleted.
            let cleared = [chatwoot.delete_draft(*id).await, chatwoot.empty_attributes(*id).await];
            for answer in cleared {
                if found.orphans.contains(id) {
                    unless_broken(answer)?
                } else {
                    answer?
                };
            }
            chatwoot.delete_conversation(*id).await?;
        }
        for id in &found.conversations {
            let party = chatwoot.party(*id).await;
            if matches!(party, Err(ChatwootError::Unwell(500))) || party?.is_some() {
                return Ok(false);
            }
        }
        for id in found.contacts.keys() {
            // Chatwoot shows twenty conversations of a contact; without the contact nothing would lead to the next twenty.
            if chatwoot.conversations_of(*id).await?.is_empty() {
                chatwoot.delete_contact(*id).await?;
            }
        }
        Ok(true)
    }
}

/// Gives how much of theirs Chatwoot has shown so far.
fn met(subject: &DataSubject) -> usize {
    subject.met_contacts.difference(&subject.shared).count() + subject.met_conversations.len() + subject.shared.len()
}

/// Whether this data location has been waited for so long.
fn waited(entry: &ErasureEntry, now: Timestamp) -> bool {
    match entry.erasure.state {
        ErasureState::Waiting { location: DataLocation::Chatwoot, since, .. }
        | ErasureState::Failed { location: DataLocation::Chatwoot, since, .. } => {
            now.since(since) >= DELETION_SETTLE_TIME
        }
        _ => false,
    }
}
