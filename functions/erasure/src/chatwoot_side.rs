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
    AccountId, Channel, ContactId, ConversationId, CustomerId, PhoneNumberId, UserId, WaId,
    erasure::{DataLocation, ErasureState},
};
use store::DataSubject;
use texts::NoteText;

use crate::{locations::ClearOutcome, run::ErasureRun};

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

/// One account of Chatwoot, as one erasure sees it.
struct AccountPass<'p, 'h> {
    run: &'p mut ErasureRun<'h>,
    chatwoot: Chatwoot,
    account: AccountId,
    channels: &'p [Channel],
    /// Whether newer data is let in: a person who has begun anew may be known by the same ids, and from then on only the
    /// customers of this erasure lead to its data.
    let_in: bool,
}

impl ErasureRun<'_> {
    pub(crate) async fn clear_chatwoot(&mut self) -> Result<ClearOutcome, HandlerError> {
        let handler = self.handler;
        let channels = handler.clients.channels.all().await?;
        let mut accounts: BTreeSet<AccountId> = channels.iter().map(|channel| channel.account).collect();
        accounts.retain(|account| self.subject.only.is_none_or(|only| only == *account));
        let (aliases, conversations) = (self.subject.aliases.clone(), self.subject.conversations.clone());
        let leads_further =
            |subject: &DataSubject| subject.aliases != aliases || subject.conversations != conversations;
        // What was deleted at once shows in the second pass, and what was not in the third of a later run.
        for _ in 0..3 {
            let (mut all, mut left_behind) = (0, 0);
            let mut pending = false;
            for &account in &accounts {
                let chatwoot = handler.clients.chatwoot(account).await?;
                let let_in = !self.entry.erasure.holds_back();
                let mut pass = AccountPass { run: self, chatwoot, account, channels: &channels, let_in };
                let mut found = pass.find().await?;
                if !let_in && pass.learn(&found).await? {
                    found = pass.find().await?;
                }
                pass.remember(&found).await?;
                all += found.contacts.len() + found.conversations.len();
                left_behind += found.left_behind;
                for (contact, other) in &found.shared {
                    pass.strip(contact, other).await?;
                }
                pending |= !pass.delete(&found).await?;
            }
            if all == 0 {
                if left_behind > 0 && !self.has_settled() {
                    return Ok(ClearOutcome::Later);
                }
                self.note(DataLocation::Chatwoot, met(&self.subject) + left_behind).await?;
                self.leave(DataLocation::Chatwoot, self.subject.shared.len() + left_behind).await?;
                return if leads_further(&self.subject) { self.reopen_queues().await } else { Ok(ClearOutcome::Clear) };
            }
            if pending {
                break;
            }
        }
        if leads_further(&self.subject) { self.reopen_queues().await } else { Ok(ClearOutcome::Later) }
    }

    /// Whether Chatwoot has been waited for long enough for its job to delete what is left behind.
    fn has_settled(&self) -> bool {
        match self.entry.erasure.state() {
            ErasureState::Waiting { location: DataLocation::Chatwoot, since, .. }
            | ErasureState::Failed { location: DataLocation::Chatwoot, since, .. } => {
                self.now().since(since) >= DELETION_SETTLE_TIME
            }
            _ => false,
        }
    }
}

impl AccountPass<'_, '_> {
    /// Finds everything of theirs that is there now, by every key there is.
    async fn find(&self) -> Result<Found, HandlerError> {
        let Self { chatwoot, account, channels, .. } = self;
        let (subject, account) = (&self.run.subject, *account);
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
        let by_customer_only = subject.quiet_since.is_some() || self.let_in;
        let phones = if by_customer_only { &BTreeSet::new() } else { &subject.phones };
        let spellings: BTreeSet<String> =
            phones.iter().flat_map(WaId::spellings).filter_map(|phone| phone.e164()).collect();
        for phone in spellings {
            for contact in chatwoot.contacts_with("phone_number", &phone).await? {
                found.add(Some(contact));
            }
        }
        let users = if by_customer_only { &BTreeSet::new() } else { &subject.users };
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
                    if !self.is_others(party.source_id.as_deref()).await? {
                        found.conversations.insert(*id);
                    }
                    found.add(party.contact);
                }
                // Another customer's, since an agent merged the two.
                ConversationLookup::LeftBehind if !self.is_known_as_theirs(*id).await?.unwrap_or(true) => {}
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
            let Some(other) = self.shared_with(&contact).await? else {
                found.conversations.extend(theirs);
                found.contacts.insert(contact.id, contact);
                continue;
            };
            for id in theirs {
                if self.is_theirs(id).await? {
                    found.conversations.insert(id);
                }
            }
            found.shared.push((contact, other));
        }
        Ok(found)
    }

    /// Learns from the table by what Chatwoot shows. Where agents alone have written for a year, the table may have
    /// forgotten who a person is and still have what was sent to them. Tells whether more is known now.
    async fn learn(&mut self, found: &Found) -> Result<bool, HandlerError> {
        let handler = self.run.handler;
        let mut ids: BTreeSet<String> = BTreeSet::new();
        for contact in found.contacts.values() {
            ids.extend(contact.identifier.clone());
            ids.extend(self.chatwoot.sources_of(contact.id).await?);
        }
        for id in &found.conversations {
            let known = handler.clients.conversations.get(self.account, *id).await?;
            ids.extend(known.and_then(|known| known.customer).map(|customer| customer.as_str().to_owned()));
        }
        let run = &mut *self.run;
        let before = run.subject.customers.len();
        for id in ids {
            let customer = CustomerId::new(id.as_str());
            if !run.subject.customers.contains(&customer) && handler.inventory.has(&id).await? {
                run.subject.customers.insert(customer);
            }
        }
        if run.subject.customers.len() == before {
            return Ok(false);
        }
        handler.inventory.gather(&mut run.subject).await?;
        run.save_subject().await?;
        handler.clients.tombstones.insert_all(&run.entry.erasure, &run.subject, true).await?;
        Ok(true)
    }

    /// Gives the id of another customer who still exists and has the same contact, if there is one.
    async fn shared_with(&self, contact: &Contact) -> Result<Option<String>, HandlerError> {
        let sources = self.chatwoot.sources_of(contact.id).await?;
        for id in contact.identifier.iter().chain(&sources) {
            if self.is_others(Some(id)).await? {
                return Ok(Some(id.clone()));
            }
        }
        Ok(None)
    }

    /// Whether a conversation of a shared contact is certainly theirs.
    async fn is_theirs(&self, id: ConversationId) -> Result<bool, HandlerError> {
        if let Some(is_theirs) = self.is_known_as_theirs(id).await? {
            return Ok(is_theirs);
        }
        // Its contact is there: the failure is Chatwoot's.
        let source = self.chatwoot.party(id).await?.and_then(|party| party.source_id);
        Ok(source.is_some_and(|source| self.run.subject.customers.contains(&CustomerId::new(source))))
    }

    /// Whether a conversation is theirs by the table; nothing if the table does not know.
    async fn is_known_as_theirs(&self, id: ConversationId) -> Result<Option<bool>, HandlerError> {
        let known = self.run.handler.clients.conversations.get(self.account, id).await?;
        Ok(known.and_then(|known| known.customer).map(|customer| self.run.subject.customers.contains(&customer)))
    }

    /// Whether a source id is that of another customer who still exists.
    async fn is_others(&self, source: Option<&str>) -> Result<bool, HandlerError> {
        let Some(source) = source else { return Ok(false) };
        Ok(self.run.handler.inventory.is_another_customer(source, &self.run.subject).await?)
    }

    /// Clears a contact that is also another person's: the contact stays, and what it says of the erased person goes. Where
    /// that person may have begun anew, the phone, the name and the attributes belong to their new data.
    async fn strip(&self, contact: &Contact, other: &str) -> Result<(), HandlerError> {
        let (chatwoot, subject, clients) = (&self.chatwoot, &self.run.subject, &self.run.handler.clients);
        let mut strip = ContactStrip::default();
        if contact.identifier.as_deref().is_some_and(|id| subject.customers.contains(&CustomerId::new(id))) {
            strip.identifier = Some(other);
        }
        if self.let_in {
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
        let stopgap = NoteText::Nameless.text(clients.locale);
        for customer in &subject.customers {
            let called = contact.name.as_deref().unwrap_or_default();
            if called != stopgap && clients.profiles.is_our_name(customer, called).await? {
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
    async fn remember(&mut self, found: &Found) -> Result<(), HandlerError> {
        let (account, run) = (self.account, &mut *self.run);
        let subject = &mut run.subject;
        let before = subject.clone();
        subject.contacts.extend(found.contacts.keys().map(|id| (account, *id)));
        subject.shared.extend(found.shared.iter().map(|(contact, _)| (account, contact.id)));
        let known: BTreeSet<ConversationId> =
            subject.conversations.iter().filter(|(of, ..)| *of == account).map(|(_, id, _)| *id).collect();
        let number = self.channels.iter().find(|channel| channel.account == account);
        let number = number.map_or_else(|| PhoneNumberId::new(""), |channel| channel.phone_number_id.clone());
        subject.conversations.extend(found.conversations.difference(&known).map(|id| (account, *id, number.clone())));
        // What the table knew and Chatwoot had lost long ago does not count as found.
        let DataSubject { shared, met_contacts, met_conversations, .. } = subject;
        met_contacts.extend(found.contacts.keys().map(|id| (account, *id)).filter(|one| !shared.contains(one)));
        met_conversations.extend(found.conversations.iter().map(|id| (account, *id)));
        if run.subject != before {
            run.save_subject().await?;
        }
        run.note(DataLocation::Chatwoot, met(&run.subject)).await?;
        run.leave(DataLocation::Chatwoot, run.subject.shared.len()).await
    }

    /// Deletes what was found. Tells whether there is nothing to wait for before the next pass.
    async fn delete(&self, found: &Found) -> Result<bool, HandlerError> {
        let chatwoot = &self.chatwoot;
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
