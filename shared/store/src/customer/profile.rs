//! Stores customers' names and wishes as keyed hashes and flags.
//!
//! An agent may rename a contact. The bridge tells its own name from an agent's by the hashes of the last two names it gave. They
//! are written before the name is given, so that a name is known as the bridge's whatever fails after that.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use domain::{CustomerId, HashKey, KeyedHash, PhoneNumberId, Timestamp, keyed_hash::Profile};
use serde::Deserialize;

use crate::{
    StoreError, Table,
    customer::aliases::customer_key,
    customer::thread::thread_key,
    table::{Item, ItemUpdate, UpdateOutcome, integer, text},
};

/// The profiles.
#[derive(Clone, Debug)]
pub struct Profiles {
    table: Table,
    key: HashKey,
}

#[derive(Deserialize)]
struct NameHashes {
    #[serde(default)]
    name_hash: Option<KeyedHash<Profile>>,
    #[serde(default)]
    former_name_hash: Option<KeyedHash<Profile>>,
}

#[derive(Deserialize)]
struct BookName {
    #[serde(default)]
    book_name_hash: Option<KeyedHash<Profile>>,
}

#[derive(Default, Deserialize)]
struct MarketingChoice {
    #[serde(default)]
    opt_out: bool,
    #[serde(default, rename = "opt_out_at")]
    at: Timestamp,
    #[serde(default)]
    joined: Vec<CustomerId>,
}

impl Profiles {
    /// Profiles of this table, hashed under `key`.
    pub fn new(table: Table, key: HashKey) -> Self {
        Self { table, key }
    }

    /// The hash of a profile, whatever it consists of.
    pub fn hash<'a>(&self, parts: impl IntoIterator<Item = &'a str>) -> KeyedHash<Profile> {
        self.key.profile(parts)
    }

    /// Whether the bridge gave the customer's contact this name.
    pub async fn is_our_name(&self, customer: &CustomerId, name: &str) -> Result<bool, StoreError> {
        let Some(named) = self.table.get::<NameHashes>(&customer_key(customer)).await? else { return Ok(false) };
        let hash = self.hash([name]);
        Ok([named.name_hash, named.former_name_hash].iter().flatten().any(|ours| *ours == hash))
    }

    /// Records that the contact is about to be called `name`, having been called `before`.
    pub async fn rename(&self, customer: &CustomerId, name: &str, before: Option<&str>) -> Result<(), StoreError> {
        let before = before.map(|before| self.hash([before]));
        let mut update = "SET name_hash = :name".to_owned();
        let mut values = Item::from([(":name".to_owned(), text(self.hash([name]).as_str()))]);
        if let Some(before) = before {
            update.push_str(", former_name_hash = :before");
            values.insert(":before".to_owned(), text(before.as_str()));
        }
        let condition = Some("attribute_exists(pk)".to_owned());
        let change = ItemUpdate { key: customer_key(customer), update, condition, values };
        self.table.change(change).await
    }

    /// Whether the contact's name is the one of the phone's contact book.
    pub async fn is_book_name(&self, customer: &CustomerId, name: &str) -> Result<bool, StoreError> {
        let named = self.table.get::<BookName>(&customer_key(customer)).await?;
        Ok(named.and_then(|named| named.book_name_hash).is_some_and(|ours| ours == self.hash([name])))
    }

    /// Records that the contact is about to be called as in the phone's contact book; `false` if a newer entry is known.
    pub async fn set_book_name(&self, customer: &CustomerId, name: &str, at: Timestamp) -> Result<bool, StoreError> {
        let change = ItemUpdate {
            key: customer_key(customer),
            update: "SET book_name_hash = :name, book_at = :at".to_owned(),
            condition: Some("attribute_exists(pk) AND (attribute_not_exists(book_at) OR book_at <= :at)".to_owned()),
            values: Item::from([
                (":name".to_owned(), text(self.hash([name]).as_str())),
                (":at".to_owned(), integer(at.as_millis())),
            ]),
        };
        Ok(matches!(self.table.update(change, ReturnValue::None).await?, UpdateOutcome::Done(_)))
    }

    /// Records the profile with which Chatwoot was brought up to date.
    pub async fn seen(
        &self,
        customer: &CustomerId,
        channel: &PhoneNumberId,
        profile: &KeyedHash<Profile>,
    ) -> Result<(), StoreError> {
        let values = Item::from([(":profile".to_owned(), text(profile.as_str()))]);
        let change = ItemUpdate {
            key: thread_key(customer, channel),
            update: "SET profile = :profile".to_owned(),
            condition: Some("attribute_exists(pk)".to_owned()),
            values,
        };
        self.table.change(change).await
    }

    /// Records the customer's wish about marketing, unless a later one is known: Meta may repeat and reorder.
    pub async fn set_marketing_choice(
        &self,
        customer: &CustomerId,
        marketing: bool,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let change = ItemUpdate {
            key: customer_key(customer),
            update: "SET opt_out = :opt_out, opt_out_at = :at".to_owned(),
            condition: Some(
                "attribute_exists(pk) AND (attribute_not_exists(opt_out_at) OR opt_out_at <= :at)".to_owned(),
            ),
            values: Item::from([
                (":opt_out".to_owned(), AttributeValue::Bool(!marketing)),
                (":at".to_owned(), integer(at.as_millis())),
            ]),
        };
        self.table.change(change).await
    }

    /// Whether the customer wants no marketing: the latest wish of all customers merged into this one counts.
    pub async fn wants_no_marketing(&self, customer: &CustomerId) -> Result<bool, StoreError> {
        let (mut last, mut rows, mut seen) = (MarketingChoice::default(), vec![customer.clone()], BTreeSet::new());
        while let Some(next) = rows.pop() {
            if !seen.insert(next.clone()) {
                continue;
            }
            let Some(wish) = self.table.get::<MarketingChoice>(&customer_key(&next)).await? else { continue };
            rows.extend(wish.joined.iter().cloned());
            if wish.at >= last.at {
                last = wish;
            }
        }
        Ok(last.opt_out)
    }
}
