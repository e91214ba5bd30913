//! The customers' threads: on each channel a customer has an address, a window and a conversation.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, TransactWriteItem};
use domain::{
    AccountId, Address, ContactId, ConversationId, CustomerId, Identity, PhoneNumberId, Subject, SubjectKey, Timestamp,
    UserId, Window,
};
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::from_item;

use crate::{
    StoreError, Table,
    table::{Change, Item, Key, Written, integer, text},
};

/// A customer on a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thread {
    /// Where an answer goes, as Meta last used it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// The user id, for the day the phone in the address is somebody else's.
    #[serde(default, rename = "user_id", skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// When the customer last wrote.
    #[serde(default, rename = "window_start")]
    pub window: Window,
    /// When anything last happened.
    pub active_at: Timestamp,
    /// The contact in Chatwoot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<ContactId>,
    /// The conversation in Chatwoot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationId>,
    /// The keyed hash of the profile that Chatwoot was last brought up to date with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Subject>,
    /// Whether the customer wants no marketing.
    #[serde(default)]
    pub opt_out: bool,
}

/// Whether and how a customer is reached on a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// There, with the window and the address to use.
    At(Box<Thread>),
    /// Nothing was ever heard of them there.
    Unheard,
    /// What used to lead to them leads to somebody else, or nowhere.
    Lost,
}

/// The customers.
#[derive(Clone, Debug)]
pub struct Customers {
    pub(crate) table: Table,
    pub(crate) key: SubjectKey,
}

impl Customers {
    /// Customers of this table, their aliases hashed under `key`.
    pub fn new(table: Table, key: SubjectKey) -> Self {
        Self { table, key }
    }

    /// Records that a message came or went, and gives the thread back. A live message of the customer's opens the window, and
    /// the newest of them says where an answer goes; anything else only where nothing is known yet.
    pub async fn touch(
        &self,
        customer: &CustomerId,
        channel: &PhoneNumberId,
        identity: &Identity,
        written_at: Option<Timestamp>,
    ) -> Result<Thread, StoreError> {
        let now = self.table.now();
        let change = Change {
            key: thread_key(customer, channel),
            update: "SET customer = :customer, active_at = :now, expires_at = :end".to_owned(),
            condition: None,
            values: Item::from([
                (":customer".to_owned(), text(customer.as_str())),
                (":now".to_owned(), integer(now.as_millis())),
                (":end".to_owned(), integer(self.table.kept_until())),
            ]),
        };
        let user = identity.user();
        let with_address = |newest: bool| -> Result<Change, StoreError> {
            let mut change = change.clone();
            let mut set = |name: &str, value: AttributeValue| {
                let known = if newest { format!(":{name}") } else { format!("if_not_exists({name}, :{name})") };
                change.update.extend([", ", name, " = ", &known]);
                change.values.insert(format!(":{name}"), value);
            };
            if let Some(address) = identity.address() {
                set("address", serde_dynamo::to_attribute_value(address)?);
            }
            if let Some(user) = &user {
                // `user` is a word of DynamoDB's own.
                set("user_id", text(user.as_str()));
            }
            Ok(change)
        };
        if let Some(start) = written_at.and_then(|at| Window::default().opened_by(at, now).start()) {
            let mut opening = with_address(true)?;
            opening.update.push_str(", window_start = :start");
            opening.condition = Some("attribute_not_exists(window_start) OR window_start <= :start".to_owned());
            opening.values.insert(":start".to_owned(), integer(start.as_millis()));
            if let Written::Done(Some(item)) = self.table.update(opening, ReturnValue::AllNew).await? {
                return Ok(from_item(item)?);
            }
        }
        match self.table.update(with_address(false)?, ReturnValue::AllNew).await? {
            Written::Done(Some(item)) => Ok(from_item(item)?),
            Written::Done(None) | Written::Refused(_) => Err(StoreError::Contended),
        }
    }

    /// A number or user id changed: the threads of the customer that have heard nothing newer lead to the new one.
    pub(crate) async fn readdress(
        &self,
        customer: &CustomerId,
        now: &Identity,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let pk = thread_key(customer, &PhoneNumberId::new("")).pk;
        for item in self.table.items(&pk, "channel#", "channel#~").await? {
            let channel = item.get("sk").and_then(|sk| sk.as_s().ok()).and_then(|sk| sk.strip_prefix("channel#"));
            let channel = channel.map(PhoneNumberId::new);
            let thread: Thread = from_item(item)?;
            let (Some(channel), true) = (channel, thread.window.start().is_none_or(|start| start <= at)) else {
                continue;
            };
            let address = match (now.address(), &thread.address) {
                // The phone is as it was; only the user id is new.
                (Some(Address::User(_)), Some(phone @ Address::Phone(_))) => Some(phone.clone()),
                (Some(new), _) => Some(new),
                (None, old) => old.clone(),
            };
            let mut change = Change {
                key: thread_key(customer, &channel),
                update: "SET expires_at = :end".to_owned(),
                condition: Some("attribute_exists(pk)".to_owned()),
                values: Item::from([(":end".to_owned(), integer(self.table.kept_until()))]),
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
                // A new number brings a new user id, which will show itself.
                None => change.update.push_str(" REMOVE user_id"),
            }
            self.table.update(change, ReturnValue::None).await?;
        }
        Ok(())
    }

    /// How the customer of a conversation is reached on a channel. An address that leads to somebody else by now is not used:
    /// the user id is, or the thread of the customer this one was joined with.
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
            return Ok(nowhere);
        }
        let theirs = self.thread(&survivor, channel).await?;
        // Whatever either of them wrote, one person wrote it.
        let start = [&thread, &theirs].into_iter().flatten().filter_map(|thread| thread.window.start()).max();
        for known in [theirs, thread].into_iter().flatten() {
            if let Some(address) = self.own(account, &survivor, &known).await? {
                let thread = Thread { address: Some(address), window: Window::since(start), ..known };
                return Ok(Reach::At(Box::new(thread)));
            }
        }
        Ok(nowhere)
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

    /// The conversation is gone from Chatwoot; the next message finds or makes another.
    pub async fn unbind(&self, customer: &CustomerId, channel: &PhoneNumberId) -> Result<(), StoreError> {
        let change = Change {
            key: thread_key(customer, channel),
            update: "REMOVE contact, conversation, profile".to_owned(),
            condition: Some("attribute_exists(pk)".to_owned()),
            values: Item::new(),
        };
        self.table.update(change, ReturnValue::None).await.map(|_| ())
    }

    pub(crate) fn bind(
        &self,
        customer: &CustomerId,
        channel: &PhoneNumberId,
        contact: ContactId,
        conversation: ConversationId,
    ) -> Result<TransactWriteItem, StoreError> {
        self.table.transact_update(Change {
            key: thread_key(customer, channel),
            update: "SET contact = :contact, conversation = :conversation, customer = :customer, expires_at = :end, \
                     active_at = if_not_exists(active_at, :now)"
                .to_owned(),
            condition: None,
            values: Item::from([
                (":contact".to_owned(), integer(contact.0)),
                (":conversation".to_owned(), integer(conversation.0)),
                (":customer".to_owned(), text(customer.as_str())),
                (":now".to_owned(), integer(self.table.now().as_millis())),
                (":end".to_owned(), AttributeValue::N(self.table.kept_until().to_string())),
            ]),
        })
    }
}

pub(crate) fn thread_key(customer: &CustomerId, channel: &PhoneNumberId) -> Key {
    Key::new(format!("customer#{customer}"), format!("channel#{channel}"))
}
