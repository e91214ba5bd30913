//! Finds and deletes everything in the table that belongs to a person.
//! It searches by everything they are known by. Expired items are not filtered out here: until DynamoDB removes them, they are
//! still data.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use aws_sdk_dynamodb::types::{DeleteRequest, WriteRequest};
use domain::{
    AccountId, Address, ConversationId, CustomerId, HashKey, Identity, KeyedHash, MediaId, PhoneNumberId, Timestamp,
    task::ACCOUNT_CHANNEL,
};
use serde_dynamo::aws_sdk_dynamodb_1::from_item;

use crate::{
    Channels, DataSubject, StoreError, Table, Thread,
    customer::aliases::{AliasRow, customer_key},
    erasure::owned::{Seen, named},
    inbound::message_links,
    inbound::orphan_statuses::{self, OrphanStatuses},
    outbound::conversations,
    table::{Item, Key, number},
};

/// How many items DynamoDB deletes at once.
const WRITE_BATCH: usize = 25;

/// An alias, and up to which time it was theirs.
type SubjectTimes = BTreeMap<KeyedHash, Option<Timestamp>>;

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
                let key = Key::new(format!("alias#{account}#{subject}"), "alias");
                // An expired alias, too, leads to what outlived it.
                if let Some(item) = self.raw(&key).await? {
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
            probed_at: None,
            probed_groups: 0,
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
            let string = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned();
            match key.pk.split('#').next().unwrap_or_default() {
                "customer" if key.sk == "customer" => {
                    others.extend(string("joined_to").map(CustomerId::new));
                    let joined = item.get("joined").and_then(|set| set.as_ss().ok());
                    others.extend(joined.into_iter().flatten().map(|id| CustomerId::new(id.as_str())));
                    // The user id they have, where only its hash is known.
                    for hash in [string("user_hash"), string("moved_to")].into_iter().flatten() {
                        known.entry(KeyedHash::new(hash)).or_default();
                    }
                }
                "customer" => self.gather_thread(&key, item, target, known).await?,
                "alias" => {
                    let subject = KeyedHash::new(key.pk.rsplit('#').next().unwrap_or_default());
                    let row: AliasRow = from_item(item)?;
                    let end = known.entry(subject).or_default();
                    *end = row.given_up.or(*end);
                }
                "conversation" => {
                    let id = number(&item, "conversation").zip(number(&item, "account"));
                    if let (Some((id, account)), Some(channel)) = (id, string("channel")) {
                        let place = (AccountId(account), ConversationId(id), PhoneNumberId::new(channel));
                        target.conversations.insert(place);
                    }
                }
                "wamid" => {
                    let hash = key.pk.split('#').nth(1).map(KeyedHash::new);
                    target.standing.extend(hash.clone().filter(|_| is_after(&item, target.spares)));
                    target.messages.extend(hash);
                    target.stood_at = target.stood_at.max(number(&item, "sent_at").map(Timestamp::from_millis));
                }
                // The file of a message the request does not cover is still to be fetched.
                "media" if is_after(&item, target.spares) && !self.stands(&item, customer, target).await? => {}
                "media" => {
                    let number = PhoneNumberId::new(key.pk.split('#').nth(1).unwrap_or_default());
                    target.media.insert((number, MediaId::new(&key.sk)));
                }
                "file" => {
                    if let (Some(number), Some(media)) = (string("number"), string("media")) {
                        target.media.insert((PhoneNumberId::new(number), MediaId::new(media)));
                    }
                }
                _ => {}
            }
        }
        Ok(others)
    }

    /// Whether the message of a file is in Chatwoot, or was before its link was deleted.
    async fn stands(&self, file: &Item, customer: &CustomerId, subject: &mut DataSubject) -> Result<bool, StoreError> {
        let message = file.get("message").and_then(|message| message.as_s().ok()).map(KeyedHash::new);
        let Some(message) = message else { return Ok(false) };
        if !subject.standing.contains(&message) {
            let link = self.raw(&message_links::key(&message)).await?;
            if link.as_ref().and_then(named).is_none_or(|named| named != customer.as_str()) {
                return Ok(false);
            }
            subject.standing.insert(message);
        }
        Ok(true)
    }

    async fn gather_thread(
        &self,
        key: &Key,
        item: Item,
        subject: &mut DataSubject,
        known: &mut SubjectTimes,
    ) -> Result<(), StoreError> {
        let Some(number) = key.sk.strip_prefix("channel#").map(PhoneNumberId::new) else { return Ok(()) };
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
            let key = Key::new(format!("alias#{account}#{}", alias.subject), "alias");
            if let Some(row) = self.table.get::<AliasRow>(&key).await? {
                return Ok(subject.customers.contains(&row.customer));
            }
        }
        Ok(true)
    }

    /// The groups of `inbound.fifo` that may hold something of theirs: their own, those of the statuses of their messages, and
    /// those of events that name no person by themselves.
    pub async fn groups(&self, subject: &DataSubject) -> Result<BTreeSet<String>, StoreError> {
        let channels = Channels::new(self.table.clone()).all().await?;
        let mut groups = BTreeSet::new();
        let meant = |channel: &&domain::Channel| subject.only.is_none_or(|only| only == channel.account);
        for channel in channels.iter().filter(meant) {
            groups.extend(subject.aliases.iter().map(|alias| format!("{}#{alias}", channel.phone_number_id)));
            groups.insert(format!("{}#{ACCOUNT_CHANNEL}", channel.phone_number_id));
            groups.insert(format!("{ACCOUNT_CHANNEL}#{}", channel.waba_id));
        }
        let numbers: BTreeSet<&PhoneNumberId> = subject.conversations.iter().map(|(_, _, number)| number).collect();
        for customer in &subject.customers {
            for key in self.keys_of(customer).await? {
                let message = key.pk.strip_prefix("wamid#").filter(|_| key.sk == "link");
                groups
                    .extend(message.into_iter().flat_map(|hash| numbers.iter().map(move |of| format!("{of}#{hash}"))));
            }
        }
        Ok(groups)
    }

    /// The keys of all items that are theirs. An index lags behind, so an item with a known key is read directly.
    pub async fn keys(&self, target: &DataSubject) -> Result<Vec<(String, String)>, StoreError> {
        let mut keys = BTreeSet::new();
        let mut messages = target.messages.clone();
        for customer in &target.customers {
            for key in self.keys_of(customer).await? {
                if key.pk.starts_with("wamid#") {
                    messages.extend(key.pk.split('#').nth(1).map(KeyedHash::new));
                }
                if self.theirs(customer, &key).await?.is_some() {
                    keys.insert((key.pk, key.sk));
                }
            }
        }
        for (account, id, channel) in &target.conversations {
            keys.extend(self.partition(&conversations::key(*account, *id).pk).await?);
            let watch = Key::new(format!("watch#{channel}"), format!("{account}#{id}"));
            if self.raw(&watch).await?.is_some() {
                keys.insert((watch.pk, watch.sk));
            }
        }
        // If an alias were left, a person who begins anew would be taken for the erased customer.
        for account in self.accounts().await?.into_iter().filter(|one| target.only.is_none_or(|only| only == *one)) {
            for subject in &target.aliases {
                let alias = Key::new(format!("alias#{account}#{subject}"), "alias");
                let of = self.raw(&alias).await?.as_ref().and_then(named).map(|id| CustomerId::new(id.as_str()));
                if of.is_some_and(|of| target.customers.contains(&of)) {
                    keys.insert((alias.pk, alias.sk));
                }
            }
        }
        for administrator in &target.administrators {
            keys.extend(self.partition(&format!("administrator#{administrator}")).await?);
        }
        keys.extend(self.early_of(&messages).await?);
        Ok(keys.into_iter().collect())
    }

    /// The orphan statuses of these messages.
    pub(crate) async fn early_of(&self, messages: &BTreeSet<KeyedHash>) -> Result<Vec<(String, String)>, StoreError> {
        let mut keys = Vec::new();
        if messages.is_empty() {
            return Ok(keys);
        }
        let early = OrphanStatuses::new(self.table.clone());
        for channel in Channels::new(self.table.clone()).all().await? {
            let waiting = early.all(&channel.phone_number_id).await?.into_iter();
            let theirs = waiting.filter(|status| messages.contains(&status.message));
            keys.extend(
                theirs.map(|status| (format!("early#{}", channel.phone_number_id), status.item.as_str().to_owned())),
            );
        }
        Ok(keys)
    }

    /// Counts an item that is about to be deleted, if it is an orphan status.
    pub(crate) async fn settle_early(&self, pk: &str, item: &str) -> Result<(), StoreError> {
        let Some(channel) = orphan_statuses::channel_of(pk) else { return Ok(()) };
        OrphanStatuses::new(self.table.clone()).settle(&channel, &KeyedHash::new(item)).await
    }

    /// Deletes items. An orphan status is counted first.
    pub async fn delete(&self, keys: &[(String, String)]) -> Result<(), StoreError> {
        for (pk, item) in keys {
            self.settle_early(pk, item).await?;
        }
        for some in keys.chunks(WRITE_BATCH) {
            let mut writes = Vec::with_capacity(some.len());
            for (pk, sk) in some {
                let delete = DeleteRequest::builder().set_key(Some(Key::new(pk, sk).item())).build()?;
                writes.push(WriteRequest::builder().delete_request(delete).build());
            }
            let request = self.table.client.batch_write_item().request_items(&self.table.name, writes);
            let answer = request.send().await.map_err(StoreError::call)?;
            if answer.unprocessed_items.is_some_and(|items| !items.is_empty()) {
                return Err(StoreError::Contended);
            }
        }
        Ok(())
    }

    /// Whether an id is that of a customer with anything in the table, even if the customer's own item is gone.
    pub async fn has(&self, id: &str) -> Result<bool, StoreError> {
        Ok(!self.keys_of(&CustomerId::new(id)).await?.is_empty())
    }

    /// Whether an id in Chatwoot is that of a customer who still exists and is not one of the data subject's.
    pub async fn is_somebody_else(&self, id: &str, subject: &DataSubject) -> Result<bool, StoreError> {
        let customer = CustomerId::new(id);
        if subject.customers.contains(&customer) {
            return Ok(false);
        }
        Ok(self.table.item(&customer_key(&customer)).await?.is_some())
    }
}
