//! Who is who. An alias leads to a customer; on each channel a customer has a thread: address, window, conversation.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, ReturnValue, TransactWriteItem};
use domain::{
    AccountId, Address, Alias, ContactId, ConversationId, CustomerId, Identity, PhoneNumberId, Subject, SubjectKey,
    Timestamp, Window, subject::Kind,
};
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::from_item;

use crate::{
    StoreError, Table,
    table::{Change, Item, Key, Written, integer, text},
};

/// How often two first messages of one person may get in each other's way before the queue has to help.
const TRIES: usize = 6;

/// A customer on a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thread {
    /// Where an answer goes, as Meta last used it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
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

#[derive(Clone, Debug, Serialize, Deserialize)]
struct AliasRow {
    customer: CustomerId,
    expires_at: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct CustomerRow {
    customer: CustomerId,
    account: AccountId,
    /// The keyed hash of the user id this customer has, if one is known.
    #[serde(default, rename = "user_hash", skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    expires_at: i64,
}

/// The customers.
#[derive(Clone, Debug)]
pub struct Customers {
    table: Table,
    key: SubjectKey,
}

impl Customers {
    /// Customers of this table, their aliases hashed under `key`.
    pub fn new(table: Table, key: SubjectKey) -> Self {
        Self { table, key }
    }

    /// The customer behind an identity, made if there is none yet.
    ///
    /// Where phone and user id lead to two customers, the user id decides and takes the phone over: a number that was
    /// given to somebody else is a new customer.
    pub async fn identify(&self, account: AccountId, identity: &Identity) -> Result<CustomerId, StoreError> {
        let aliases = identity.aliases(&self.key);
        for _ in 0..TRIES {
            if let Some(customer) = self.try_identify(account, &aliases).await? {
                return Ok(customer);
            }
        }
        Err(StoreError::Contended)
    }

    /// The customer behind an identity, if there is one.
    pub async fn find(&self, account: AccountId, identity: &Identity) -> Result<Option<CustomerId>, StoreError> {
        let aliases = identity.aliases(&self.key);
        let found = self.look_up(account, &aliases).await?;
        Ok(aliases.iter().find_map(|alias| found.get(alias.subject.as_str())).map(|row| row.customer.clone()))
    }

    /// Whether this id is one we gave.
    pub async fn is_ours(&self, customer: &CustomerId) -> Result<bool, StoreError> {
        Ok(self.table.get::<CustomerRow>(&customer_key(customer)).await?.is_some())
    }

    async fn try_identify(&self, account: AccountId, aliases: &[Alias]) -> Result<Option<CustomerId>, StoreError> {
        let found = self.look_up(account, aliases).await?;
        let row = |alias: &Alias| found.get(alias.subject.as_str());
        let strong = aliases.iter().find(|alias| alias.kind != Kind::Phone);
        let phone = aliases.iter().find(|alias| alias.kind == Kind::Phone);
        let known = |alias: Option<&Alias>| alias.and_then(row).cloned();
        match (strong, known(strong), phone, known(phone)) {
            (Some(_), Some(owner), Some(phone), other)
                if other.as_ref().is_none_or(|row| row.customer != owner.customer) =>
            {
                let write = self.point(account, phone, &owner.customer, other.as_ref())?;
                Ok(self.table.transact(vec![write]).await?.then_some(owner.customer))
            }
            (Some(_), Some(row), ..) | (None, _, _, Some(row)) => {
                self.keep_alive(account, aliases, &row).await?;
                Ok(Some(row.customer))
            }
            (Some(strong), None, Some(phone), Some(row)) => self.join_or_part(account, strong, phone, row).await,
            _ => self.create(account, aliases).await,
        }
    }

    /// A known phone comes with a user id nobody has yet.
    async fn join_or_part(
        &self,
        account: AccountId,
        user: &Alias,
        phone: &Alias,
        row: AliasRow,
    ) -> Result<Option<CustomerId>, StoreError> {
        let owner: Option<CustomerRow> = self.table.get(&customer_key(&row.customer)).await?;
        if owner.as_ref().is_some_and(|owner| owner.user.is_some()) {
            // The phone's owner has another user id: the number was given to somebody new.
            let customer = CustomerId::mint();
            let writes = vec![
                self.birth(account, &customer, Some(user))?,
                self.alias(account, user, &customer)?,
                self.point(account, phone, &customer, Some(&row))?,
            ];
            return Ok(self.table.transact(writes).await?.then_some(customer));
        }
        let joined = self.table.transact_update(Change {
            key: customer_key(&row.customer),
            update: "SET user_hash = :user, customer = :customer, account = :account, expires_at = :end".to_owned(),
            condition: Some("attribute_not_exists(user_hash)".to_owned()),
            values: Item::from([
                (":user".to_owned(), text(user.subject.as_str())),
                (":customer".to_owned(), text(row.customer.as_str())),
                (":account".to_owned(), integer(account.0)),
                (":end".to_owned(), integer(self.table.kept_until())),
            ]),
        })?;
        let writes = vec![joined, self.alias(account, user, &row.customer)?];
        Ok(self.table.transact(writes).await?.then_some(row.customer))
    }

    async fn create(&self, account: AccountId, aliases: &[Alias]) -> Result<Option<CustomerId>, StoreError> {
        let customer = CustomerId::mint();
        let user = aliases.iter().find(|alias| alias.kind == Kind::User);
        let mut writes = vec![self.birth(account, &customer, user)?];
        for alias in aliases {
            writes.push(self.alias(account, alias, &customer)?);
        }
        Ok(self.table.transact(writes).await?.then_some(customer))
    }

    fn birth(
        &self,
        account: AccountId,
        customer: &CustomerId,
        user: Option<&Alias>,
    ) -> Result<TransactWriteItem, StoreError> {
        let row = CustomerRow {
            customer: customer.clone(),
            account,
            user: user.map(|alias| alias.subject.as_str().to_owned()),
            expires_at: self.table.kept_until(),
        };
        self.table.transact_create(&customer_key(customer), &row)
    }

    fn alias(&self, account: AccountId, alias: &Alias, customer: &CustomerId) -> Result<TransactWriteItem, StoreError> {
        let row = AliasRow { customer: customer.clone(), expires_at: self.table.kept_until() };
        self.table.transact_create(&alias_key(account, alias), &row)
    }

    /// Lets an alias lead to `customer`, if it still stands as it was read.
    fn point(
        &self,
        account: AccountId,
        alias: &Alias,
        customer: &CustomerId,
        seen: Option<&AliasRow>,
    ) -> Result<TransactWriteItem, StoreError> {
        let Some(seen) = seen else { return self.alias(account, alias, customer) };
        self.table.transact_update(Change {
            key: alias_key(account, alias),
            update: "SET customer = :customer, expires_at = :end".to_owned(),
            condition: Some("customer = :seen".to_owned()),
            values: Item::from([
                (":customer".to_owned(), text(customer.as_str())),
                (":seen".to_owned(), text(seen.customer.as_str())),
                (":end".to_owned(), integer(self.table.kept_until())),
            ]),
        })
    }

    /// Moves the end of a customer's aliases along with its activity, at most once a day.
    async fn keep_alive(&self, account: AccountId, aliases: &[Alias], row: &AliasRow) -> Result<(), StoreError> {
        let end = self.table.kept_until();
        if end - row.expires_at < 86_400 {
            return Ok(());
        }
        let keys = aliases.iter().map(|alias| alias_key(account, alias)).chain([customer_key(&row.customer)]);
        for key in keys {
            let change = Change {
                key,
                update: "SET expires_at = :end".to_owned(),
                condition: Some("attribute_exists(pk)".to_owned()),
                values: Item::from([(":end".to_owned(), integer(end))]),
            };
            self.table.update(change, ReturnValue::None).await?;
        }
        Ok(())
    }

    async fn look_up(&self, account: AccountId, aliases: &[Alias]) -> Result<HashMap<String, AliasRow>, StoreError> {
        if aliases.is_empty() {
            return Ok(HashMap::new());
        }
        let keys = aliases.iter().map(|alias| alias_key(account, alias).item()).collect();
        let wanted = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build()?;
        let request = self.table.client.batch_get_item().request_items(&self.table.name, wanted);
        let answer = request.send().await.map_err(StoreError::call)?;
        if answer.unprocessed_keys.is_some_and(|keys| !keys.is_empty()) {
            return Err(StoreError::Contended);
        }
        let items = answer.responses.unwrap_or_default().remove(&self.table.name).unwrap_or_default();
        let mut found = HashMap::new();
        for item in items.into_iter().filter(|item| self.table.is_alive(item)) {
            let subject =
                item.get("pk").and_then(|pk| pk.as_s().ok()).and_then(|pk| pk.rsplit('#').next()).map(str::to_owned);
            found.insert(subject.unwrap_or_default(), from_item(item)?);
        }
        Ok(found)
    }

    /// Records that a message came or went, and gives the thread back. A live message of the customer's opens the window.
    pub async fn touch(
        &self,
        customer: &CustomerId,
        channel: &PhoneNumberId,
        address: Option<&Address>,
        written_at: Option<Timestamp>,
    ) -> Result<Thread, StoreError> {
        let now = self.table.now();
        let mut change = Change {
            key: thread_key(customer, channel),
            update: "SET customer = :customer, active_at = :now, expires_at = :end".to_owned(),
            condition: None,
            values: Item::from([
                (":customer".to_owned(), text(customer.as_str())),
                (":now".to_owned(), integer(now.as_millis())),
                (":end".to_owned(), integer(self.table.kept_until())),
            ]),
        };
        if let Some(address) = address {
            change.update.push_str(", address = :address");
            change.values.insert(":address".to_owned(), serde_dynamo::to_attribute_value(address)?);
        }
        if let Some(start) = written_at.and_then(|at| Window::default().opened_by(at, now).start()) {
            let mut opening = change.clone();
            opening.update.push_str(", window_start = :start");
            opening.condition = Some("attribute_not_exists(window_start) OR window_start < :start".to_owned());
            opening.values.insert(":start".to_owned(), integer(start.as_millis()));
            if let Written::Done(Some(item)) = self.table.update(opening, ReturnValue::AllNew).await? {
                return Ok(from_item(item)?);
            }
        }
        match self.table.update(change, ReturnValue::AllNew).await? {
            Written::Done(Some(item)) => Ok(from_item(item)?),
            Written::Done(None) | Written::Refused(_) => Err(StoreError::Contended),
        }
    }

    /// A customer's thread on a channel.
    pub async fn thread(&self, customer: &CustomerId, channel: &PhoneNumberId) -> Result<Option<Thread>, StoreError> {
        self.table.get(&thread_key(customer, channel)).await
    }

    /// The conversation is gone from Chatwoot; the next message finds or makes another.
    pub async fn unbind(&self, customer: &CustomerId, channel: &PhoneNumberId) -> Result<(), StoreError> {
        let change = Change {
            key: thread_key(customer, channel),
            update: "REMOVE contact, conversation".to_owned(),
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

fn alias_key(account: AccountId, alias: &Alias) -> Key {
    Key::new(format!("alias#{account}#{}", alias.subject), "alias")
}

pub(crate) fn customer_key(customer: &CustomerId) -> Key {
    Key::new(format!("customer#{customer}"), "customer")
}

pub(crate) fn thread_key(customer: &CustomerId, channel: &PhoneNumberId) -> Key {
    Key::new(format!("customer#{customer}"), format!("channel#{channel}"))
}
