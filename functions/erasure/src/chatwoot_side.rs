//! Chatwoot: conversations first, looked at until they are gone, then contacts, then whether anything still leads to them. Deleting
//! a contact with its conversations still there would leave orphans and break Chatwoot's lists.

use std::collections::BTreeSet;

use bridge::BridgeError;
use chatwoot::{Chatwoot, Contact};
use domain::{AccountId, Channel, ContactId, ConversationId, PhoneNumberId, WaId, erasure::Place};
use store::{ErasureEntry, Target};

use crate::{Came, Eraser};

/// What a pass found in an account.
#[derive(Default)]
struct Found {
    contacts: BTreeSet<ContactId>,
    conversations: BTreeSet<ConversationId>,
}

impl Eraser {
    pub(crate) async fn clear_chatwoot(
        &self,
        entry: &mut ErasureEntry,
        target: &mut Target,
    ) -> Result<Came, BridgeError> {
        let channels = self.clients.channels.all().await?;
        let mut accounts: BTreeSet<AccountId> = channels.iter().map(|channel| channel.account).collect();
        accounts.retain(|account| target.only.is_none_or(|only| only == *account));
        // What was deleted at once shows in the second pass, and what was not in the third of a later run.
        for _ in 0..3 {
            let mut all = 0;
            let mut pending = false;
            for account in &accounts {
                let chatwoot = self.clients.chatwoot(*account).await?;
                let found = self.find(&chatwoot, *account, &channels, target).await?;
                self.remember(entry, *account, &channels, &found, target).await?;
                all += found.contacts.len() + found.conversations.len();
                pending |= !self.delete(&chatwoot, &found).await?;
            }
            if all == 0 {
                return Ok(Came::Clear);
            }
            if pending {
                break;
            }
        }
        Ok(Came::Later)
    }

    /// Everything of theirs that is there now, by every key there is.
    async fn find(
        &self,
        chatwoot: &Chatwoot,
        account: AccountId,
        channels: &[Channel],
        target: &Target,
    ) -> Result<Found, BridgeError> {
        let mut found = Found::default();
        for customer in &target.customers {
            for channel in channels.iter().filter(|channel| channel.account == account) {
                let contact = chatwoot.contact_of_source(channel.inbox, customer).await?;
                self.add(contact, target, &mut found).await?;
            }
            for contact in chatwoot.contacts_with("identifier", customer.as_str()).await? {
                self.add(Some(contact), target, &mut found).await?;
            }
        }
        // Whose time is over under one contact may be active under another that has the same phone.
        let phones = if target.quiet_since.is_some() { &BTreeSet::new() } else { &target.phones };
        let spellings: BTreeSet<String> =
            phones.iter().flat_map(WaId::spellings).filter_map(|phone| phone.e164()).collect();
        for phone in spellings {
            for contact in chatwoot.contacts_with("phone_number", &phone).await? {
                self.add(Some(contact), target, &mut found).await?;
            }
        }
        for (_, id) in target.contacts.iter().filter(|(of, _)| *of == account) {
            let contact = chatwoot.contact(*id).await?;
            self.add(contact, target, &mut found).await?;
        }
        for (_, id, _) in target.conversations.iter().filter(|(of, ..)| *of == account) {
            if let Some(party) = chatwoot.party(*id).await? {
                found.conversations.insert(*id);
                self.add(party.contact, target, &mut found).await?;
            }
        }
        for contact in &found.contacts {
            let theirs = chatwoot.conversations_of(*contact).await?;
            found.conversations.extend(theirs.into_iter().map(|conversation| conversation.id));
        }
        Ok(found)
    }

    /// A contact, unless it is by now that of another customer who lives: an agent merged the two, or the number went on.
    async fn add(&self, contact: Option<Contact>, target: &Target, found: &mut Found) -> Result<(), BridgeError> {
        let Some(contact) = contact else { return Ok(()) };
        let somebody_else = match contact.identifier.as_deref() {
            Some(id) => self.belongings.is_somebody_else(id, target).await?,
            None => false,
        };
        if !somebody_else {
            found.contacts.insert(contact.id);
        }
        Ok(())
    }

    /// Before anything is deleted: what is found by its contact alone could not be found again without it.
    async fn remember(
        &self,
        entry: &mut ErasureEntry,
        account: AccountId,
        channels: &[Channel],
        found: &Found,
        target: &mut Target,
    ) -> Result<(), BridgeError> {
        let before = target.clone();
        target.contacts.extend(found.contacts.iter().map(|id| (account, *id)));
        let known: BTreeSet<ConversationId> =
            target.conversations.iter().filter(|(of, ..)| *of == account).map(|(_, id, _)| *id).collect();
        let number = channels.iter().find(|channel| channel.account == account);
        let number = number.map_or_else(|| PhoneNumberId::new(""), |channel| channel.phone_number_id.clone());
        target.conversations.extend(found.conversations.difference(&known).map(|id| (account, *id, number.clone())));
        if *target != before {
            self.clients.erasures.set_target(&entry.erasure.code, target).await?;
        }
        let seen = target.contacts.len() + target.conversations.len();
        // What the table knew and Chatwoot had lost long ago was not found.
        if !found.contacts.is_empty() || !found.conversations.is_empty() {
            self.note(entry, Place::Chatwoot, seen.min(found.contacts.len() + found.conversations.len())).await?;
        }
        Ok(())
    }

    /// Has it deleted; tells whether nothing is left to wait for before the next look.
    async fn delete(&self, chatwoot: &Chatwoot, found: &Found) -> Result<bool, BridgeError> {
        for id in &found.conversations {
            chatwoot.delete_conversation(*id).await?;
        }
        for id in &found.conversations {
            if chatwoot.party(*id).await?.is_some() {
                return Ok(false);
            }
        }
        for id in &found.contacts {
            chatwoot.delete_contact(*id).await?;
        }
        Ok(true)
    }
}
