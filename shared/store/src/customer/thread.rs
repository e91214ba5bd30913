//! Stores the customers' threads.
//! On each channel a customer has an address, a window and a conversation.

use std::ops::ControlFlow;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, TransactWriteItem};
use domain::{
    AccountId, Address, ContactId, ConversationId, CustomerId, HashKey, Identity, KeyedHash, PhoneNumberId, Timestamp,
    UserId, Window, keyed_hash::Profile, window::Advert,
};
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::from_item;

use crate::{
    StoreError, Table,
    keys::{ItemKey, Key, Range},
    table::{Item, ItemUpdate, UpdateOutcome, integer, number, text},
    versioned::until_written_from,
};

/// A customer on a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thread {
    /// Where an answer goes, as Meta last used it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// The user id, for the day the phone in the address belongs to another person.
    #[serde(default, rename = "user_id", skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// The time of the event that named both; an older one changes neither.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address_at: Option<Timestamp>,
    /// When the customer last wrote.
    #[serde(default, rename = "window_start")]
    pub window: Window,
    /// When an advert last brought them here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advert_at: Option<Timestamp>,
    /// When they were answered after that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advert_answered_at: Option<Timestamp>,
    /// When they last wrote while Meta's own agent had the chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overheard_at: Option<Timestamp>,
    /// When anything last happened.
    pub active_at: Timestamp,
    /// The contact in Chatwoot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<ContactId>,
    /// The conversation in Chatwoot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationId>,
    /// Whether the conversation was made by an import, which keeps it from the agents' lists until it is through.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pending: bool,
    /// The keyed hash of the profile that Chatwoot was last brought up to date with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<KeyedHash<Profile>>,
}

impl Thread {
    /// The advert that brought the customer, if one did.
    pub fn advert(&self) -> Option<Advert> {
        self.advert_at.map(|came_at| Advert { came_at, answered_at: self.advert_answered_at })
    }
}

/// Whether and how a customer is reached on a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// There, with the window and the address to use.
    At(Box<Thread>),
    /// They never wrote there.
    Unheard,
    /// What used to lead to them leads to another customer, or to none.
    Lost,
}

/// What an update of a thread writes beside the time of activity.
struct ThreadUpdate {
    /// When the window opened.
    start: Option<Timestamp>,
    said_at: Option<Timestamp>,
    address: WindowUpdate,
    user: WindowUpdate,
}

/// What an event says about an address or a user id.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WindowUpdate {
    /// The newest known.
    Newest,
    /// A value, to be used where nothing is known yet.
    First,
    /// Nothing.
    Not,
}

/// The customers.
#[derive(Clone, Debug)]
pub struct CustomerStore {
    pub(crate) table: Table,
    pub(crate) key: HashKey,
}

impl CustomerStore {
    /// Customers of this table, their aliases hashed under `key`.
    pub fn new(table: Table, key: HashKey) -> Self {
        Self { table, key }
    }

    /// Records that a message came or went, and returns the thread. A live message of the customer's opens the window
    /// (`written_at`). What Meta says of the customer at that time (`said_at`) decides where an answer goes, unless a newer event
    /// said something else; other events fill it in only where nothing is known yet.
    pub async fn touch(
        &self,
        customer: &CustomerId,
        channel: &PhoneNumberId,
        identity: &Identity,
        written_at: Option<Timestamp>,
        said_at: Option<Timestamp>,
    ) -> Result<Thread, StoreError> {
        let start = written_at.and_then(|at| Window::default().opened_by(at, self.table.now()).start());
        // A new user id that is announced without the phone leaves the phone as it is.
        let newest = said_at.is_some() && (written_at.is_some() || identity.phone.is_some());
        let told = if newest { WindowUpdate::Newest } else { WindowUpdate::First };
        let touch = ThreadUpdate { start, said_at, address: told, user: told };
        // Each refusal removes one of the two conditions.
        until_written_from(touch, |mut touch| async move {
            let change = self.touching(customer, channel, identity, &touch)?;
            let item = match self.table.update(change, ReturnValue::AllNew).await? {
                UpdateOutcome::Done(Some(item)) => return Ok(ControlFlow::Break(from_item(item)?)),
                UpdateOutcome::Refused(Some(item)) => item,
                UpdateOutcome::Done(None) | UpdateOutcome::Refused(None) => return Ok(ControlFlow::Continue(touch)),
            };
            let newer = |name: &str, at: Timestamp| number(&item, name).is_some_and(|known| known > at.as_millis());
            touch.start = touch.start.filter(|at| !newer("window_start", *at));
            if touch.said_at.take_if(|at| newer("address_at", *at)).is_some() {
                // An older message may tell the user id, if it came from the same address.
                let address =
                    identity.address().map(serde_dynamo::to_attribute_value::<_, AttributeValue>).transpose()?;
                let same = address.is_some() && item.get("address") == address.as_ref();
                (touch.address, touch.user) =
                    (WindowUpdate::Not, if same { WindowUpdate::First } else { WindowUpdate::Not });
            }
            Ok(ControlFlow::Continue(touch))
        })
        .await
    }

    fn touching(
        &self,
        customer: &CustomerId,
        channel: &PhoneNumberId,
        identity: &Identity,
        touch: &ThreadUpdate,
    ) -> Result<ItemUpdate, StoreError> {
        let mut update = "SET customer = :customer, active_at = :now, expires_at = :end".to_owned();
        let mut values = Item::from([
            (":customer".to_owned(), text(customer.as_str())),
            (":now".to_owned(), integer(self.table.active_at().as_millis())),
            (":end".to_owned(), integer(self.table.kept_until())),
        ]);
        let mut conditions = Vec::new();
        let address = identity.address().map(serde_dynamo::to_attribute_value).transpose()?;
        // `user` is a reserved word of DynamoDB's.
        let user = identity.user().map(|user| text(user.as_str()));
        for (name, value, told) in [("address", address, touch.address), ("user_id", user, touch.user)] {
            let (Some(value), false) = (value, told == WindowUpdate::Not) else { continue };
            let known = if told == WindowUpdate::Newest {
                format!(":{name}")
            } else {
                format!("if_not_exists({name}, :{name})")
            };
            update.extend([", ", name, " = ", &known]);
            values.insert(format!(":{name}"), value);
        }
        for (name, at) in [("window_start", touch.start), ("address_at", touch.said_at)] {
            let Some(at) = at else { continue };
            update.extend([", ", name, " = :", name]);
            values.insert(format!(":{name}"), integer(at.as_millis()));
            conditions.push(format!("(attribute_not_exists({name}) OR {name} <= :{name})"));
        }
        let condition = (!conditions.is_empty()).then(|| conditions.join(" AND "));
        Ok(ItemUpdate { key: thread_key(customer, channel), update, condition, values })
    }

    /// Records that an advert brought the customer, with a message written at that time. An older one changes nothing.
    pub async fn came_by_advert(
        &self,
        customer: &CustomerId,
        channel: &PhoneNumberId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let condition = "attribute_exists(pk) AND (attribute_not_exists(advert_at) OR advert_at < :at)";
        self.stamp(customer, channel, "SET advert_at = :at REMOVE advert_answered_at", condition, at).await
    }

    /// Records that the customer wrote while Meta's own agent had the chat.
    pub async fn overheard(
        &self,
        customer: &CustomerId,
        channel: &PhoneNumberId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.stamp(customer, channel, "SET overheard_at = :at", "attribute_exists(pk)", at).await
    }

    /// Records that the business answered a customer who came by an advert.
    pub async fn advert_answered(&self, customer: &CustomerId, channel: &PhoneNumberId) -> Result<(), StoreError> {
        let condition = "attribute_exists(advert_at) AND attribute_not_exists(advert_answered_at)";
        self.stamp(customer, channel, "SET advert_answered_at = :at", condition, self.table.now()).await
    }

    /// Records when something happened in a thread, `:at`; never later than now.
    async fn stamp(
        &self,
        customer: &CustomerId,
        channel: &PhoneNumberId,
        update: &str,
        condition: &str,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let change = ItemUpdate {
            key: thread_key(customer, channel),
            update: update.to_owned(),
            condition: Some(condition.to_owned()),
            values: Item::from([(":at".to_owned(), integer(at.min(self.table.now()).as_millis()))]),
        };
        self.table.change(change).await
    }

    /// Applies a changed number or user id: the customer's threads that have seen nothing newer lead to the new one.
    pub(crate) async fn readdress(
        &self,
        customer: &CustomerId,
        now: &Identity,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        for item in self.table.items(Range::threads(customer)).await? {
            let Some(ItemKey::Thread(_, channel)) = ItemKey::of(&item) else { continue };
            let thread: Thread = from_item(item)?;
            if thread.address_at.is_some_and(|known| known > at) {
                continue;
            }
            let address = match (now.address(), &thread.address) {
                // The phone is as it was; only the user id is new.
                (Some(Address::User(_)), Some(phone @ Address::Phone(_))) => Some(phone.clone()),
                (Some(new), _) => Some(new),
                (None, old) => old.clone(),
            };
            let mut change = ItemUpdate {
                key: thread_key(customer, &channel),
                update: "SET expires_at = :end, address_at = :at".to_owned(),
                condition: Some(
                    "attribute_exists(pk) AND (attribute_not_exists(address_at) OR address_at <= :at)".to_owned(),
                ),
                values: Item::from([
                    (":end".to_owned(), integer(self.table.kept_until())),
                    (":at".to_owned(), integer(at.as_millis())),
                ]),
            };
            if let Some(address) = address {
                change.update.push_str(", address = :address");
                change.values.insert(":address".to_owned(), serde_dynamo::to_attribute_value(address)?);
            }
            match now.user() {
                Some(user) => {
                    change.update.push_str(", user_id = :user");
                    change.values.insert(":user".to_owned(), text(user.as_str()));
                }
                // A new number brings a new user id, which is learnt later.
                None => change.update.push_str(" REMOVE user_id"),
            }
            self.table.change(change).await?;
        }
        Ok(())
    }

    /// How the customer of a conversation is reached on a channel. An address that leads to another customer by now is not used:
    /// the user id is, or the thread of the customer this one was merged with.
    pub async fn reach(
        &self,
        account: AccountId,
        customer: &CustomerId,
        channel: &PhoneNumberId,
    ) -> Result<Reach, StoreError> {
        let thread = self.thread(customer, channel).await?;
        if let Some(thread) = &thread
            && let Some(address) = self.own(account, customer, thread).await?
        {
            return Ok(Reach::At(Box::new(Thread { address: Some(address), ..thread.clone() })));
        }
        let nowhere =
            if thread.as_ref().is_some_and(|thread| thread.address.is_some()) { Reach::Lost } else { Reach::Unheard };
        let survivor = self.survivor(customer).await?;
        if survivor == *customer {
            return match thread {
                None => Ok(self.elsewhere(account, customer).await?.map_or(nowhere, |at| Reach::At(Box::new(at)))),
                Some(_) => Ok(nowhere),
            };
        }
        let theirs = self.thread(&survivor, channel).await?;
        // Both customers are one person, so a message by either opens the window.
        let start = [&thread, &theirs].into_iter().flatten().filter_map(|thread| thread.window.start()).max();
        for known in [theirs, thread].into_iter().flatten() {
            if let Some(address) = self.own(account, &survivor, &known).await? {
                let thread = Thread { address: Some(address), window: Window::since(start), ..known };
                return Ok(Reach::At(Box::new(thread)));
            }
        }
        Ok(nowhere)
    }

    /// The thread of a customer who wrote to other numbers only. Nothing they did there opens a window here.
    async fn elsewhere(&self, account: AccountId, customer: &CustomerId) -> Result<Option<Thread>, StoreError> {
        let mut threads: Vec<Thread> = self.table.range(Range::threads(customer)).await?;
        threads.sort_by_key(|thread| std::cmp::Reverse(thread.active_at));
        for known in threads {
            if let Some(address) = self.own(account, customer, &known).await? {
                return Ok(Some(Thread {
                    address: Some(address),
                    window: Window::default(),
                    advert_at: None,
                    advert_answered_at: None,
                    overheard_at: None,
                    contact: None,
                    conversation: None,
                    ..known
                }));
            }
        }
        Ok(None)
    }

    /// The address of a thread that still leads to the customer.
    async fn own(
        &self,
        account: AccountId,
        customer: &CustomerId,
        thread: &Thread,
    ) -> Result<Option<Address>, StoreError> {
        let user = thread.user.clone().map(Address::User);
        for address in [thread.address.clone(), user].into_iter().flatten() {
            if self.find(account, &address.identity()).await?.as_ref() == Some(customer) {
                return Ok(Some(address));
            }
        }
        Ok(None)
    }

    /// A customer's thread on a channel.
    pub async fn thread(&self, customer: &CustomerId, channel: &PhoneNumberId) -> Result<Option<Thread>, StoreError> {
        self.table.get(&thread_key(customer, channel)).await
    }

    /// Records that the conversation is gone from Chatwoot; the next message finds or creates another.
    pub async fn unbind(&self, customer: &CustomerId, channel: &PhoneNumberId) -> Result<(), StoreError> {
        let change = ItemUpdate {
            key: thread_key(customer, channel),
            update: "REMOVE contact, conversation, pending, profile".to_owned(),
            condition: Some("attribute_exists(pk)".to_owned()),
            values: Item::new(),
        };
        self.table.change(change).await
    }

    /// Records that a conversation made by an import is in the agents' lists now.
    pub async fn is_shown(&self, customer: &CustomerId, channel: &PhoneNumberId) -> Result<(), StoreError> {
        let change = ItemUpdate {
            key: thread_key(customer, channel),
            update: "REMOVE pending".to_owned(),
            condition: Some("attribute_exists(pk)".to_owned()),
            values: Item::new(),
        };
        self.table.change(change).await
    }

    pub(crate) fn bind(
        &self,
        customer: &CustomerId,
        channel: &PhoneNumberId,
        contact: ContactId,
        conversation: ConversationId,
        pending: bool,
    ) -> Result<TransactWriteItem, StoreError> {
        self.table.transact_update(ItemUpdate {
            key: thread_key(customer, channel),
            update: "SET contact = :contact, conversation = :conversation, customer = :customer, expires_at = :end, \
                     active_at = if_not_exists(active_at, :now), pending = :pending"
                .to_owned(),
            condition: None,
            values: Item::from([
                (":pending".to_owned(), AttributeValue::Bool(pending)),
                (":contact".to_owned(), integer(contact.0)),
                (":conversation".to_owned(), integer(conversation.0)),
                (":customer".to_owned(), text(customer.as_str())),
                (":now".to_owned(), integer(self.table.active_at().as_millis())),
                (":end".to_owned(), integer(self.table.kept_until())),
            ]),
        })
    }
}

pub(crate) fn thread_key(customer: &CustomerId, channel: &PhoneNumberId) -> Key {
    ItemKey::Thread(customer.clone(), channel.clone()).into()
}
