//! Walks the table page by page, from where the last run stopped.

use std::time::Duration;

use aws_sdk_dynamodb::types::ReturnValue;
use domain::{ContactId, CustomerId, PhoneNumberId, Timestamp};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    StoreError, Table,
    keys::{ItemKey, Key, customer_prefix},
    pager::Limit,
    table::{Item, ItemUpdate, UpdateOutcome, integer, number},
};

/// A sweep that has not continued for this long begins anew.
const CURSOR_TTL: Duration = Duration::from_secs(3 * 86_400);

#[derive(Deserialize, Serialize)]
struct CursorRow<T> {
    #[serde(default = "Option::default")]
    at: Option<T>,
    /// When it last came to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
    expires_at: i64,
}

/// How many items are deleted side by side.
const MAX_CONCURRENT_DELETES: usize = 25;

/// The items of a page that must no longer be kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExpiredPage {
    /// The keys of items past their end.
    pub expired: Vec<Key>,
    /// How many items would never end. There are none but channels.
    pub endless: u64,
    /// Where to continue.
    pub next: Option<Key>,
}

/// A thread that has a contact in Chatwoot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadOfContact {
    /// Where it is in the table: a sweep that stopped after it goes on from here.
    pub key: Key,
    /// Whose it is.
    pub customer: CustomerId,
    /// On which number.
    pub channel: PhoneNumberId,
    /// The contact.
    pub contact: ContactId,
}

/// The sweeps.
#[derive(Clone, Debug)]
pub struct TableSweep {
    table: Table,
}

impl TableSweep {
    /// Sweeps over this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// A page of the table, only the items that must no longer be kept: TTL may be days late, and nothing may be kept longer than
    /// that.
    pub async fn expired(&self, from: Option<Key>) -> Result<ExpiredPage, StoreError> {
        let filter = "expires_at <= :now OR attribute_not_exists(expires_at)";
        let values = Item::from([(":now".to_owned(), integer(self.table.now().as_secs()))]);
        let (mut expired, mut endless) = (Vec::new(), 0);
        let pages = self.table.table_pages(filter, values).only("pk, sk, expires_at").after(from.as_ref());
        let next = pages.each(Limit::PAGE, |item| {
            if item.contains_key("expires_at") {
                expired.extend(Key::of(&item));
            } else if !matches!(ItemKey::of(&item), Some(ItemKey::Channel(_))) {
                // Channels stay until they are offboarded.
                endless += 1;
            }
        });
        let next = next.await?;
        Ok(ExpiredPage { expired, endless, next })
    }

    /// Deletes expired items, if they still are: one that was written anew since it was read stays.
    pub async fn delete_expired(&self, keys: &[Key]) -> Result<(), StoreError> {
        for some in keys.chunks(MAX_CONCURRENT_DELETES) {
            futures_util::future::try_join_all(some.iter().map(|key| self.table.delete_expired(key))).await?;
        }
        Ok(())
    }

    /// The threads that have a contact in Chatwoot, at least `most` of them or until a time, and where to go on.
    pub async fn threads(
        &self,
        from: Option<&Key>,
        most: usize,
        until: Timestamp,
    ) -> Result<(Vec<ThreadOfContact>, Option<Key>), StoreError> {
        let filter = "begins_with(pk, :customers) AND attribute_exists(contact) AND expires_at > :now";
        let values = Item::from([
            (":customers".to_owned(), customer_prefix()),
            (":now".to_owned(), integer(self.table.now().as_secs())),
        ]);
        let mut threads = Vec::new();
        let pages = self.table.table_pages(filter, values).after(from);
        let next = pages.each(Limit { items: most, until: Some(until) }, |item| {
            if let (Some(key), Some(contact)) = (Key::of(&item), number(&item, "contact").map(ContactId))
                && let Some(ItemKey::Thread(customer, channel)) = ItemKey::read(&key)
            {
                threads.push(ThreadOfContact { key, customer, channel, contact });
            }
        });
        let next = next.await?;
        Ok((threads, next))
    }

    /// For how many people an erasure was requested in a channel on a day.
    pub async fn asked(&self, channel: &PhoneNumberId, day: i64) -> Result<u64, StoreError> {
        Ok(count(self.table.item(&asked(channel, day)).await?))
    }

    /// Counts a person whose erasure was requested in a channel on a day. Returns the new total, exact even if others count at
    /// the same time.
    pub async fn count_asked(&self, channel: &PhoneNumberId, day: i64) -> Result<u64, StoreError> {
        let values = Item::from([
            (":one".to_owned(), integer(1)),
            (":end".to_owned(), integer((self.table.now() + CURSOR_TTL).as_secs())),
        ]);
        let update = "ADD asked :one SET expires_at = :end".to_owned();
        let change = ItemUpdate { key: asked(channel, day), update, condition: None, values };
        let (UpdateOutcome::Done(item) | UpdateOutcome::Refused(item)) =
            self.table.update(change, ReturnValue::AllNew).await?;
        Ok(count(item))
    }

    /// Where a sweep continues that did not finish: a key, a page or what else it goes by.
    pub async fn cursor<T: DeserializeOwned>(&self, sweep: &str) -> Result<Option<T>, StoreError> {
        Ok(self.table.get::<CursorRow<T>>(&ItemKey::Sweep(sweep.to_owned()).into()).await?.and_then(|row| row.at))
    }

    /// When a sweep last came to its end, if that was within the last days and it has begun no other since.
    pub async fn ended_at(&self, sweep: &str) -> Result<Option<Timestamp>, StoreError> {
        let row = self.table.get::<CursorRow<Value>>(&ItemKey::Sweep(sweep.to_owned()).into()).await?;
        Ok(row.and_then(|row| row.ended_at))
    }

    /// A sweep came to its end: it begins anew the next time.
    pub async fn end(&self, sweep: &str) -> Result<(), StoreError> {
        let (key, now) = (ItemKey::Sweep(sweep.to_owned()).into(), self.table.now());
        let row = CursorRow { at: None::<Value>, ended_at: Some(now), expires_at: (now + CURSOR_TTL).as_secs() };
        self.table.put(&key, &row).await
    }

    /// Sets it, or removes it.
    pub async fn set_cursor<T: Serialize>(&self, sweep: &str, at: Option<&T>) -> Result<(), StoreError> {
        let key = ItemKey::Sweep(sweep.to_owned()).into();
        let Some(at) = at else { return self.table.delete(&key).await };
        self.table
            .put(
                &key,
                &CursorRow { at: Some(at), ended_at: None, expires_at: (self.table.now() + CURSOR_TTL).as_secs() },
            )
            .await
    }
}

fn asked(channel: &PhoneNumberId, day: i64) -> Key {
    ItemKey::SweepAsked(channel.clone(), day).into()
}

fn count(item: Option<Item>) -> u64 {
    item.and_then(|item| number(&item, "asked")).and_then(|count| count.try_into().ok()).unwrap_or_default()
}
