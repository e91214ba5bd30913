//! Gathers the writes that move aliases into one transaction.

use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use domain::{AccountId, Alias, CustomerId, KeyedHash, Timestamp, keyed_hash::Person};
use serde::{Deserialize, Serialize};

use crate::{
    CustomerStore, StoreError,
    keys::{ItemKey, Key},
    table::{Item, ItemUpdate, integer, string, text, with_key},
};

/// How long after a change of number a new user id with that number is taken for the same person's. Carriers wait longer than
/// this before they give a number to another person.
const EXPECTED_PHONE_TTL: Duration = Duration::from_secs(30 * 86_400);

/// Which customer an alias leads to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AliasRow {
    pub(crate) customer: CustomerId,
    /// Since when, by the time of the event that showed it.
    #[serde(default)]
    pub(crate) since: Timestamp,
    /// When the customer changed to another number. What was sent before that is theirs; since then the phone belongs to no
    /// customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) given_up: Option<Timestamp>,
    /// Whether no user id of theirs was known by then: the first one that is seen with the phone is taken for theirs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) nameless: bool,
    pub(crate) expires_at: i64,
}

impl AliasRow {
    /// Whether a message sent at that time belongs to the customer.
    pub(crate) fn leads_at(&self, at: Timestamp) -> bool {
        self.given_up.is_none_or(|end| at < end)
    }
}

/// What is known of a customer beside their aliases.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct CustomerRow {
    /// The keyed hash of the user id this customer has, if one is known.
    #[serde(default, rename = "user_hash")]
    pub(crate) user: Option<KeyedHash<Person>>,
    /// The keyed hash of the phone the customer moved to, if Meta did not name the new user id.
    #[serde(default)]
    moved_to: Option<KeyedHash<Person>>,
    #[serde(default)]
    moved_at: Timestamp,
    /// The customer this one was merged into.
    #[serde(default)]
    pub(crate) joined_to: Option<CustomerId>,
    /// The customers that were merged into this one.
    #[serde(default)]
    pub(crate) joined: Vec<CustomerId>,
    /// Those of them of which agents were not told yet.
    #[serde(default)]
    pub(crate) untold: Vec<CustomerId>,
}

impl CustomerRow {
    /// The phone the customer moved to, and when, for as long as the new user id is unknown.
    pub(crate) fn repointed_to(self) -> Option<(KeyedHash<Person>, Timestamp)> {
        self.moved_to.map(|phone| (phone, self.moved_at))
    }

    /// Whether a new user id that comes with this phone is the customer's own.
    pub(crate) fn expects(&self, phone: &Alias, at: Timestamp) -> bool {
        self.moved_to.as_ref() == Some(&phone.subject) && at.since(self.moved_at) < EXPECTED_PHONE_TTL
    }
}

/// What is added to a customer's own item.
#[derive(Default)]
pub(crate) struct CustomerUpdate<'a> {
    /// The customer is new.
    pub(crate) made: bool,
    /// Their user id from now on.
    pub(crate) user: Option<&'a Alias>,
    /// The phone that came with it, if that is the evidence.
    pub(crate) by_phone: Option<&'a Alias>,
    /// Meta itself says that the user id is theirs, whichever they had before.
    pub(crate) told: bool,
    /// The user id is from before a change of number: another is still to come.
    pub(crate) former: bool,
    /// The keyed hash of the phone they moved to with an unknown user id, and when.
    pub(crate) moved_to: Option<(KeyedHash<Person>, Timestamp)>,
    /// The customers that were merged into this one.
    pub(crate) joined: Vec<CustomerId>,
}

impl CustomerUpdate<'_> {
    /// Makes an id for the new customer.
    pub(crate) fn create(&mut self) -> CustomerId {
        self.made = true;
        CustomerId::mint()
    }

    pub(crate) fn is_any(&self) -> bool {
        self.made || self.user.is_some() || self.moved_to.is_some() || !self.joined.is_empty()
    }
}

/// One transaction on aliases.
pub(crate) struct AliasWrites<'a> {
    customers: &'a CustomerStore,
    account: AccountId,
    at: Timestamp,
    items: Vec<TransactWriteItem>,
    /// The aliases written so far: a transaction may touch each item once.
    touched: Vec<Key>,
}

impl<'a> AliasWrites<'a> {
    pub(crate) fn new(customers: &'a CustomerStore, account: AccountId, at: Timestamp) -> Self {
        Self { customers, account, at, items: Vec::new(), touched: Vec::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(crate) async fn commit(self) -> Result<bool, StoreError> {
        if self.items.is_empty() {
            return Ok(true);
        }
        self.customers.table.transact(self.items).await
    }

    /// Makes a free alias lead to `customer`. It was either not there, or `seen` given up.
    pub(crate) fn attach(
        &mut self,
        alias: &Alias,
        seen: Option<&AliasRow>,
        customer: &CustomerId,
    ) -> Result<(), StoreError> {
        let expires_at = self.customers.table.kept_until();
        let (customer, since) = (customer.clone(), self.at);
        self.put(alias, seen, &AliasRow { customer, since, given_up: None, nameless: false, expires_at })
    }

    /// Makes an alias lead to `customer`, if it still leads to the customer it led to when it was read.
    pub(crate) fn repoint(&mut self, alias: &Alias, seen: &AliasRow, customer: &CustomerId) -> Result<(), StoreError> {
        let still = if seen.given_up.is_some() {
            " AND attribute_exists(given_up)"
        } else {
            " AND attribute_not_exists(given_up)"
        };
        self.lead(alias_key(self.account, alias), &seen.customer, customer, self.at.max(seen.since), still)
    }

    /// Records that a phone was `customer`'s until now.
    pub(crate) fn give_up(
        &mut self,
        phone: &Alias,
        seen: Option<&AliasRow>,
        customer: &CustomerId,
        nameless: bool,
    ) -> Result<(), StoreError> {
        let expires_at = self.customers.table.kept_until();
        let since = seen.map_or(self.at, |row| row.since);
        let (customer, given_up) = (customer.clone(), Some(self.at));
        self.put(phone, seen, &AliasRow { customer, since, given_up, nameless, expires_at })
    }

    /// Records that a user id was seen with a phone that was given up without one. No other user id is then taken for theirs.
    pub(crate) fn name(&mut self, phone: &Alias, seen: &AliasRow) -> Result<(), StoreError> {
        self.put(phone, Some(seen), &AliasRow { nameless: false, ..seen.clone() })
    }

    /// Makes the transaction fail unless an alias still leads where it led when it was read. An alias written here has that
    /// condition already.
    pub(crate) fn assert_unchanged(&mut self, alias: &Alias, seen: &AliasRow) -> Result<(), StoreError> {
        let key = alias_key(self.account, alias);
        if self.touch(&key) {
            let customer = Item::from([(":customer".to_owned(), text(seen.customer.as_str()))]);
            self.items.push(self.customers.table.transact_check(&key, "customer = :customer", customer)?);
        }
        Ok(())
    }

    /// Makes the transaction fail unless the customer still exists.
    pub(crate) fn exists(&mut self, customer: &CustomerId) -> Result<(), StoreError> {
        let check = self.customers.table.transact_check(&customer_key(customer), "attribute_exists(pk)", Item::new());
        self.items.push(check?);
        Ok(())
    }

    /// Writes a row in place of the `seen` one, if that is still there.
    fn put(&mut self, alias: &Alias, seen: Option<&AliasRow>, row: &AliasRow) -> Result<(), StoreError> {
        let key = alias_key(self.account, alias);
        if !self.touch(&key) {
            return Ok(());
        }
        let table = &self.customers.table;
        let Some(seen) = seen else {
            self.items.push(table.transact_create(&key, row)?);
            return Ok(());
        };
        let mut values = Item::from([(":customer".to_owned(), text(seen.customer.as_str()))]);
        let condition = match seen.given_up {
            None => "customer = :customer AND attribute_not_exists(given_up)",
            Some(end) => {
                values.insert(":end".to_owned(), integer(end.as_millis()));
                "customer = :customer AND given_up = :end"
            }
        };
        self.items.push(table.transact_put(with_key(&key, row)?, Some(condition), values)?);
        Ok(())
    }

    /// Merges `gone` into `customer`: all aliases of `gone` lead there. Unless Meta itself says so (`told`), only a customer
    /// without a user id can be merged into another.
    pub(crate) async fn merge(
        &mut self,
        gone: &CustomerId,
        customer: &CustomerId,
        changes: &mut CustomerUpdate<'_>,
        told: bool,
    ) -> Result<(), StoreError> {
        if changes.joined.contains(gone) {
            return Ok(());
        }
        for key in self.aliases_of(gone).await? {
            self.lead(key, gone, customer, self.at, "")?;
        }
        let condition = if told { None } else { Some("attribute_not_exists(user_hash)".to_owned()) };
        self.items.push(self.customers.table.transact_update(ItemUpdate {
            key: customer_key(gone),
            update: "SET joined_to = :customer, customer = :gone, account = :account, expires_at = :end".to_owned(),
            condition,
            values: Item::from([
                (":customer".to_owned(), text(customer.as_str())),
                (":gone".to_owned(), text(gone.as_str())),
                (":account".to_owned(), integer(self.account.0)),
                (":end".to_owned(), integer(self.customers.table.kept_until())),
            ]),
        })?);
        changes.joined.push(gone.clone());
        Ok(())
    }

    /// Writes the customer's own item.
    pub(crate) fn update(&mut self, customer: &CustomerId, changes: &CustomerUpdate<'_>) -> Result<(), StoreError> {
        let table = &self.customers.table;
        let mut update = "SET customer = :customer, account = :account, expires_at = :end".to_owned();
        let mut values = Item::from([
            (":customer".to_owned(), text(customer.as_str())),
            (":account".to_owned(), integer(self.account.0)),
            (":end".to_owned(), integer(table.kept_until())),
        ]);
        let mut condition = None;
        if let Some(user) = changes.user {
            update.push_str(", user_hash = :user");
            values.insert(":user".to_owned(), text(user.subject.as_str()));
            condition = (!changes.told).then(|| "attribute_not_exists(user_hash) OR expires_at <= :seconds".to_owned());
            if condition.is_some() {
                values.insert(":seconds".to_owned(), integer(table.now().as_secs()));
            }
            if let (Some(condition), Some(phone)) = (&mut condition, changes.by_phone) {
                condition.push_str(" OR moved_to = :phone");
                values.insert(":phone".to_owned(), text(phone.subject.as_str()));
            }
        }
        if let Some((phone, at)) = &changes.moved_to {
            update.push_str(", moved_to = :moved, moved_at = :at");
            values.insert(":moved".to_owned(), text(phone.as_str()));
            values.insert(":at".to_owned(), integer(at.as_millis()));
        } else if changes.user.is_some() && !changes.former {
            update.push_str(" REMOVE moved_to, moved_at");
        }
        if !changes.joined.is_empty() {
            update.push_str(" ADD joined :joined, untold :joined");
            let joined = changes.joined.iter().map(|gone| gone.as_str().to_owned()).collect();
            values.insert(":joined".to_owned(), AttributeValue::Ss(joined));
        }
        self.items.push(table.transact_update(ItemUpdate {
            key: customer_key(customer),
            update,
            condition,
            values,
        })?);
        Ok(())
    }

    /// Moves an alias from one customer to another. `still` is a further condition on the row.
    fn lead(
        &mut self,
        key: Key,
        from: &CustomerId,
        to: &CustomerId,
        since: Timestamp,
        still: &str,
    ) -> Result<(), StoreError> {
        if self.touch(&key) {
            let table = &self.customers.table;
            self.items.push(table.transact_update(ItemUpdate {
                key,
                update: "SET customer = :to, since = :since, expires_at = :end REMOVE nameless".to_owned(),
                condition: Some(format!("customer = :from{still}")),
                values: Item::from([
                    (":to".to_owned(), text(to.as_str())),
                    (":from".to_owned(), text(from.as_str())),
                    (":since".to_owned(), integer(since.as_millis())),
                    (":end".to_owned(), integer(table.kept_until())),
                ]),
            })?);
        }
        Ok(())
    }

    /// Whether this write is the first on the item.
    fn touch(&mut self, key: &Key) -> bool {
        let fresh = !self.touched.contains(key);
        if fresh {
            self.touched.push(key.clone());
        }
        fresh
    }

    /// All aliases of a customer. The index `customer` lags behind: it may lack those that the customer's own item names, and
    /// show some that are another customer's by now.
    async fn aliases_of(&self, customer: &CustomerId) -> Result<Vec<Key>, StoreError> {
        let table = &self.customers.table;
        let indexed = table.pages_of_aliases(customer, self.account).all().await?;
        let named = self.customers.row(customer).await?;
        let named = named.into_iter().flat_map(|row| row.user.into_iter().chain(row.moved_to));
        let named = named.map(|alias| ItemKey::Alias(self.account, alias).into());
        let mut keys = Vec::new();
        for key in indexed.iter().filter_map(Key::of).chain(named) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        let found = table.get_all(keys).await?;
        let theirs = found.iter().filter(|item| string(item, "customer") == Some(customer.as_str()));
        Ok(theirs.filter_map(Key::of).collect())
    }
}

pub(crate) fn alias_key(account: AccountId, alias: &Alias) -> Key {
    ItemKey::Alias(account, alias.subject.clone()).into()
}

pub(crate) fn customer_key(customer: &CustomerId) -> Key {
    ItemKey::Customer(customer.clone()).into()
}
