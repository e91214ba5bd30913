//! Finds and deletes everything in the table that belongs to a person.
//! It searches by everything they are known by. Expired items are not filtered out here: until DynamoDB removes them, they are
//! still data.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use aws_sdk_dynamodb::types::{DeleteRequest, WriteRequest};
use domain::{
    AccountId, Address, CustomerId, HashKey, Identity, KeyedHash, MediaId, MessageGroup, PhoneNumberId, Timestamp,
    Wamid, keyed_hash::Person,
};
use serde_dynamo::aws_sdk_dynamodb_1::from_item;

use crate::{
    Channels, DataSubject, OrphanStatus, StoreError, Table, Thread,
    customer::aliases::{AliasRow, alias_key, customer_key},
    erasure::owned::{Seen, named},
    inbound::message_links,
    inbound::orphan_statuses::OrphanStatuses,
    keys::{ItemKey, Key, Range},
    table::{Item, number, string, strings},
};

/// An alias, and up to which time it was theirs.
type SubjectTimes = BTreeMap<KeyedHash<Person>, Option<Timestamp>>;

/// The table's data about persons.
#[derive(Clone, Debug)]
pub struct DataInventory {
    pub(crate) table: Table,
    pub(crate) key: HashKey,
    /// What a scan of the whole table found; used instead of the index.
    pub(crate) seen: Option<Arc<Seen>>,
}

/// Whether an item is about a message that was sent after what the request covers.
fn is_after(item: &Item, spares: Option<Timestamp>) -> bool {
    let sent_at = number(item, "sent_at").map(Timestamp::from_millis);
    spares.zip(sent_at).is_some_and(|(spares, sent_at)| sent_at > spares)
}

impl DataInventory {
    /// The data in this table, with aliases hashed under `key`.
    pub fn new(table: Table, key: HashKey) -> Self {
        Self { table, key, seen: None }
    }

    /// Completes a data subject that is known by anything: adds their customers, merged ones included, and what these have.
    pub async fn gather(&self, target: &mut DataSubject) -> Result<(), StoreError> {
        let mut accounts = self.accounts().await?;
        accounts.retain(|account| target.only.is_none_or(|only| only == *account));
        let named = target.phones.iter().map(|phone| Address::Phone(phone.clone()));
        let named: Vec<Address> = named.chain(target.users.iter().cloned().map(Address::User)).collect();
        let mut known: SubjectTimes = BTreeMap::new();
        for subject in &target.aliases {
            known.insert(subject.clone(), None);
        }
        for alias in named.iter().flat_map(|address| address.identity().aliases(&self.key)) {
            known.insert(alias.subject, None);
        }
        for account in &accounts {
            for subject in known.keys().cloned().collect::<Vec<_>>() {
                // An expired alias, too, leads to what outlived it.
                if let Some(item) = self.raw(&ItemKey::Alias(*account, subject).into()).await? {
                    target.customers.insert(from_item::<AliasRow>(item)?.customer);
                }
            }
        }
        self.gather_customers(target, known).await?;
        target.gathered = true;
        Ok(())
    }

    /// Completes a gathered data subject once more, by its customers alone: an index shows late what was written shortly before.
    /// The person's aliases may lead to a new customer by now.
    pub async fn gather_late(&self, subject: &mut DataSubject) -> Result<(), StoreError> {
        self.gather_customers(subject, SubjectTimes::new()).await
    }

    async fn gather_customers(&self, subject: &mut DataSubject, mut known: SubjectTimes) -> Result<(), StoreError> {
        let mut open: Vec<CustomerId> = subject.customers.iter().cloned().collect();
        let mut seen = HashSet::new();
        while let Some(customer) = open.pop() {
            if !seen.insert(customer.clone()) {
                continue;
            }
            open.extend(self.gather_customer(&customer, subject, &mut known).await?);
            subject.customers.insert(customer);
        }
        for (alias, given_up) in known {
            if let Some(end) = given_up {
                subject.given_up.insert(alias.clone(), end);
            }
            subject.aliases.insert(alias);
        }
        Ok(())
    }

    /// The same data subject without phones and user ids: only by their hashes. What was only valid for one table is left out.
    pub fn without_names(&self, subject: &DataSubject) -> DataSubject {
        let phones = subject.phones.iter().cloned().map(Address::Phone);
        let named: Vec<Address> = phones.chain(subject.users.iter().cloned().map(Address::User)).collect();
        let mut nameless = DataSubject { nameless: subject.nameless || !named.is_empty(), ..subject.clone() };
        nameless
            .aliases
            .extend(named.iter().flat_map(|address| address.identity().aliases(&self.key)).map(|alias| alias.subject));
        DataSubject {
            phones: BTreeSet::new(),
            users: BTreeSet::new(),
            gathered: false,
            marked_at: None,
            marked_groups: 0,
            deleted: 0,
            ..nameless
        }
    }

    /// The Chatwoot accounts that have channels.
    pub(crate) async fn accounts(&self) -> Result<BTreeSet<AccountId>, StoreError> {
        let channels = Channels::new(self.table.clone()).all().await?;
        Ok(channels.iter().map(|channel| channel.account).collect())
    }

    /// Adds what one customer has; returns which other customers they are.
    async fn gather_customer(
        &self,
        customer: &CustomerId,
        target: &mut DataSubject,
        known: &mut SubjectTimes,
    ) -> Result<Vec<CustomerId>, StoreError> {
        let mut others = Vec::new();
        for key in self.keys_of(customer).await? {
            let Some(item) = self.theirs(customer, &key).await? else { continue };
            let Some(key) = ItemKey::read(&key) else { continue };
            match key {
                ItemKey::Customer(_) => {
                    others.extend(
                        string(&item, "joined_to").into_iter().chain(strings(&item, "joined")).map(CustomerId::new),
                    );
                    // The user id they have, where only its hash is known.
                    for hash in ["user_hash", "moved_to"].into_iter().filter_map(|name| string(&item, name)) {
                        known.entry(KeyedHash::new(hash)).or_default();
                    }
                }
                ItemKey::Thread(_, number) => self.gather_thread(number, item, target, known).await?,
                ItemKey::Alias(_, alias) => {
                    let row: AliasRow = from_item(item)?;
                    let end = known.entry(alias).or_default();
                    *end = row.given_up.or(*end);
                }
                ItemKey::Conversation(account, id) => {
                    if let Some(channel) = string(&item, "channel") {
                        target.conversations.insert((account, id, PhoneNumberId::new(channel)));
                    }
                }
                ItemKey::Link(message) | ItemKey::Revocation(message) => {
                    if is_after(&item, target.spares) {
                        target.standing.insert(message.clone());
                    }
                    target.messages.insert(message);
                    target.stood_at = target.stood_at.max(number(&item, "sent_at").map(Timestamp::from_millis));
                }
                // The file of a message the request does not cover is still to be fetched.
                ItemKey::MediaAtMeta(..)
                    if is_after(&item, target.spares) && !self.stands(&item, customer, target).await? => {}
                ItemKey::MediaAtMeta(number, media) => _ = target.media.insert((number, media)),
                ItemKey::PendingFile(number, _) => {
                    target.media.extend(string(&item, "media").map(|media| (number, MediaId::new(media))));
                }
                _ => {}
            }
        }
        Ok(others)
    }

    /// Whether the message of a file is in Chatwoot, or was before its link was deleted.
    async fn stands(&self, file: &Item, customer: &CustomerId, subject: &mut DataSubject) -> Result<bool, StoreError> {
        let Some(message) = string(file, "message").map(KeyedHash::new) else { return Ok(false) };
        if !subject.standing.contains(&message) {
            let link = self.raw(&message_links::key(&message)).await?;
            if link.as_ref().and_then(named).is_none_or(|named| named != *customer) {
                return Ok(false);
            }
            subject.standing.insert(message);
        }
        Ok(true)
    }

    async fn gather_thread(
        &self,
        number: PhoneNumberId,
        item: Item,
        subject: &mut DataSubject,
        known: &mut SubjectTimes,
    ) -> Result<(), StoreError> {
        let thread: Thread = from_item(item)?;
        let Some(channel) = Channels::new(self.table.clone()).get(&number).await? else { return Ok(()) };
        // By the events' own dates. That a function read the thread does not count as activity.
        subject.active_at = subject.active_at.max(thread.window.start()).max(thread.address_at);
        subject.contacts.extend(thread.contact.map(|contact| (channel.account, contact)));
        subject.conversations.extend(thread.conversation.map(|id| (channel.account, id, number)));
        let addresses = [thread.address.clone(), thread.user.clone().map(Address::User)];
        for address in addresses.into_iter().flatten() {
            // An address may lead to another person by now; then only its owner has it.
            if !self.is_theirs(channel.account, &address.identity(), subject).await? {
                continue;
            }
            for alias in address.identity().aliases(&self.key) {
                known.entry(alias.subject).or_default();
            }
            match address {
                Address::Phone(phone) => {
                    subject.phones.insert(phone);
                }
                Address::User(user) => {
                    subject.users.insert(user);
                }
                Address::Group(_) => {}
            }
        }
        Ok(())
    }

    async fn is_theirs(
        &self,
        account: AccountId,
        identity: &Identity,
        subject: &DataSubject,
    ) -> Result<bool, StoreError> {
        for alias in identity.aliases(&self.key) {
            if let Some(row) = self.table.get::<AliasRow>(&alias_key(account, &alias)).await? {
                return Ok(subject.customers.contains(&row.customer));
            }
        }
        Ok(true)
    }

    /// The groups of `inbound.fifo` and `history.fifo` that may hold something of theirs: their own, those of the statuses of their
    /// messages, those of events that name no person by themselves, and those of the slices of their past.
    pub async fn groups(&self, subject: &DataSubject) -> Result<BTreeSet<MessageGroup>, StoreError> {
        let channels = Channels::new(self.table.clone()).all().await?;
        let mut groups = BTreeSet::new();
        let meant = |channel: &&domain::Channel| subject.only.is_none_or(|only| only == channel.account);
        for channel in channels.iter().filter(meant) {
            let number = &channel.phone_number_id;
            groups.extend(subject.aliases.iter().map(|alias| MessageGroup::Person(number.clone(), alias.clone())));
            for alias in &subject.aliases {
                groups.insert(MessageGroup::ContactBook(number.clone(), alias.clone()));
                for key in self.keys_in(Range::past_slices(number, alias)).await? {
                    if let Some(ItemKey::PastSlice(number, person, slice)) = ItemKey::read(&key) {
                        groups.insert(MessageGroup::Past(number, person, slice));
                    }
                }
            }
            groups.insert(MessageGroup::Number(number.clone()));
            groups.insert(MessageGroup::Account(channel.waba_id.clone()));
        }
        let numbers: BTreeSet<&PhoneNumberId> = subject.conversations.iter().map(|(_, _, number)| number).collect();
        for customer in &subject.customers {
            for key in self.keys_of(customer).await? {
                let Some(ItemKey::Link(message)) = ItemKey::read(&key) else { continue };
                groups.extend(numbers.iter().map(|of| MessageGroup::Statuses((*of).clone(), message.clone())));
            }
        }
        Ok(groups)
    }

    /// The keys of all items that are theirs. An index lags behind, so an item with a known key is read directly.
    pub async fn keys(&self, target: &DataSubject) -> Result<Vec<Key>, StoreError> {
        let mut keys = BTreeSet::new();
        let mut messages = target.messages.clone();
        for customer in &target.customers {
            for key in self.keys_of(customer).await? {
                if let Some(ItemKey::Link(message) | ItemKey::Revocation(message)) = ItemKey::read(&key) {
                    messages.insert(message);
                }
                if self.theirs(customer, &key).await?.is_some() {
                    keys.insert(key);
                }
            }
        }
        for (account, id, channel) in &target.conversations {
            keys.extend(self.keys_in(Range::beside(ItemKey::Conversation(*account, *id))).await?);
            let watch = ItemKey::Watch(channel.clone(), *account, *id).into();
            if self.raw(&watch).await?.is_some() {
                keys.insert(watch);
            }
        }
        // If an alias were left, a person who begins anew would be taken for the erased customer.
        for account in self.accounts().await?.into_iter().filter(|one| target.only.is_none_or(|only| only == *one)) {
            for subject in &target.aliases {
                let alias = ItemKey::Alias(account, subject.clone()).into();
                let of = self.raw(&alias).await?.as_ref().and_then(named);
                if of.is_some_and(|of| target.customers.contains(&of)) {
                    keys.insert(alias);
                }
            }
        }
        for channel in Channels::new(self.table.clone()).all().await? {
            if target.only.is_some_and(|only| only != channel.account) {
                continue;
            }
            for alias in &target.aliases {
                keys.extend(self.keys_in(Range::past(&channel.phone_number_id, alias)).await?);
            }
        }
        for administrator in &target.administrators {
            keys.extend(self.keys_in(Range::beside(ItemKey::Administrator(administrator.clone()))).await?);
        }
        keys.extend(self.orphans_of(&messages).await?);
        Ok(keys.into_iter().collect())
    }

    /// The orphan statuses of these messages.
    pub(crate) async fn orphans_of(&self, messages: &BTreeSet<KeyedHash<Wamid>>) -> Result<Vec<Key>, StoreError> {
        let mut keys = Vec::new();
        if messages.is_empty() {
            return Ok(keys);
        }
        let orphans = OrphanStatuses::new(self.table.clone());
        for channel in Channels::new(self.table.clone()).all().await? {
            let waiting = orphans.all(&channel.phone_number_id).await?.into_iter();
            let theirs = waiting.filter(|status| messages.contains(&status.message));
            let key = |status: OrphanStatus| ItemKey::OrphanStatus(channel.phone_number_id.clone(), status.item).into();
            keys.extend(theirs.map(key));
        }
        Ok(keys)
    }

    /// Counts an item that is about to be deleted, if it is an orphan status.
    pub(crate) async fn settle_orphan(&self, key: &Key) -> Result<(), StoreError> {
        let Some(ItemKey::OrphanStatus(channel, item)) = ItemKey::read(key) else { return Ok(()) };
        OrphanStatuses::new(self.table.clone()).settle(&channel, &item).await
    }

    /// All items that are theirs, as they are stored.
    pub async fn documents(&self, subject: &DataSubject) -> Result<Vec<serde_json::Value>, StoreError> {
        let items = self.table.get_all(self.keys(subject).await?).await?;
        items.into_iter().map(|item| from_item(item).map_err(StoreError::from)).collect()
    }

    /// Deletes items. An orphan status is counted first.
    pub async fn delete(&self, keys: &[Key]) -> Result<(), StoreError> {
        let mut writes = Vec::with_capacity(keys.len());
        for key in keys {
            self.settle_orphan(key).await?;
            let delete = DeleteRequest::builder().set_key(Some(key.attributes())).build()?;
            writes.push(WriteRequest::builder().delete_request(delete).build());
        }
        self.table.write_all(writes).await
    }

    /// Whether an id is that of a customer with anything in the table, even if the customer's own item is gone.
    pub async fn has(&self, id: &str) -> Result<bool, StoreError> {
        Ok(!self.keys_of(&CustomerId::new(id)).await?.is_empty())
    }

    /// Whether an id in Chatwoot is that of a customer who still exists and is not one of the data subject's.
    pub async fn is_another_customer(&self, id: &str, subject: &DataSubject) -> Result<bool, StoreError> {
        let customer = CustomerId::new(id);
        if subject.customers.contains(&customer) {
            return Ok(false);
        }
        Ok(self.table.item(&customer_key(&customer)).await?.is_some())
    }
}
