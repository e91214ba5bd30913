//! Walks the table page by page, from where the last run stopped.

use std::time::Duration;

use aws_sdk_dynamodb::types::ReturnValue;
use domain::{ContactId, CustomerId, PhoneNumberId};
use serde::Serialize;

use crate::{
    StoreError, Table, channels,
    erasure::owned::pair,
    table::{Item, ItemUpdate, Key, UpdateOutcome, integer, number, text},
};

/// A sweep that has not continued for this long begins anew.
const CURSOR_TTL: Duration = Duration::from_secs(3 * 86_400);

#[derive(Serialize)]
struct SweepCursor<'a> {
    at_pk: &'a str,
    at_sk: &'a str,
    expires_at: i64,
}

/// How many items are deleted side by side.
const MAX_CONCURRENT_DELETES: usize = 25;

/// The items of a page that must no longer be kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExpiredPage {
    /// The keys of items past their end.
    pub expired: Vec<(String, String)>,
    /// How many items would never end. There are none but channels.
    pub endless: u64,
    /// Where to continue.
    pub next: Option<(String, String)>,
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
    pub async fn expired(&self, from: Option<(String, String)>) -> Result<ExpiredPage, StoreError> {
        let page = self
            .table
            .client
            .scan()
            .table_name(&self.table.name)
            .filter_expression("expires_at <= :now OR attribute_not_exists(expires_at)")
            .expression_attribute_values(":now", integer(self.table.now().as_secs()))
            .projection_expression("pk, sk, expires_at")
            .set_exclusive_start_key(from.map(|(pk, sk)| Key::new(pk, sk).item()))
            .send()
            .await
            .map_err(StoreError::call)?;
        let (expired, endless): (Vec<Item>, Vec<Item>) =
            page.items.unwrap_or_default().into_iter().partition(|item| item.contains_key("expires_at"));
        // Channels stay until they are offboarded.
        let endless = endless.iter().filter_map(pair).filter(|(pk, _)| pk != channels::PARTITION).count();
        Ok(ExpiredPage {
            expired: expired.iter().filter_map(pair).collect(),
            endless: endless as u64,
            next: page.last_evaluated_key.as_ref().and_then(pair),
        })
    }

    /// Deletes expired items, if they still are: one that was written anew since it was read stays.
    pub async fn delete_expired(&self, keys: &[(String, String)]) -> Result<(), StoreError> {
        for some in keys.chunks(MAX_CONCURRENT_DELETES) {
            let buried = some.iter().map(async |(pk, sk)| self.table.delete_expired(&Key::new(pk, sk)).await);
            futures_util::future::try_join_all(buried).await?;
        }
        Ok(())
    }

    /// Some of the threads that have a contact in Chatwoot, and where to continue: customer, channel, contact.
    pub async fn threads(
        &self,
        from: Option<(String, String)>,
        most: usize,
    ) -> Result<(Vec<(CustomerId, PhoneNumberId, ContactId)>, Option<(String, String)>), StoreError> {
        let mut start = from.map(|(pk, sk)| Key::new(pk, sk).item());
        let mut threads = Vec::new();
        loop {
            let page = self
                .table
                .client
                .scan()
                .table_name(&self.table.name)
                .filter_expression("begins_with(pk, :customers) AND attribute_exists(contact)")
                .expression_attribute_values(":customers", text("customer#"))
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(StoreError::call)?;
            for item in page.items.unwrap_or_default().into_iter().filter(|item| self.table.is_alive(item)) {
                let Some((pk, sk)) = pair(&item) else { continue };
                let ids = pk.strip_prefix("customer#").zip(sk.strip_prefix("channel#"));
                if let (Some((customer, channel)), Some(contact)) = (ids, number(&item, "contact")) {
                    threads.push((CustomerId::new(customer), PhoneNumberId::new(channel), ContactId(contact)));
                }
            }
            start = page.last_evaluated_key;
            if start.is_none() || threads.len() >= most {
                return Ok((threads, start.as_ref().and_then(pair)));
            }
        }
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

    /// Where a sweep continues that did not finish.
    pub async fn cursor(&self, sweep: &str) -> Result<Option<(String, String)>, StoreError> {
        let item = self.table.item(&Key::new("sweep", sweep)).await?;
        Ok(item.and_then(|item| {
            let at = |name: &str| Some(item.get(name)?.as_s().ok()?.clone());
            Some((at("at_pk")?, at("at_sk")?))
        }))
    }

    /// Sets it, or removes it.
    pub async fn set_cursor(&self, sweep: &str, at: Option<&(String, String)>) -> Result<(), StoreError> {
        let key = Key::new("sweep", sweep);
        let Some((pk, sk)) = at else { return self.table.delete(&key).await };
        let expires_at = (self.table.now() + CURSOR_TTL).as_secs();
        self.table.put(&key, &SweepCursor { at_pk: pk, at_sk: sk, expires_at }).await
    }
}

fn asked(channel: &PhoneNumberId, day: i64) -> Key {
    Key::new("sweep", format!("asked#{channel}#{day}"))
}

fn count(item: Option<Item>) -> u64 {
    item.and_then(|item| number(&item, "asked")).and_then(|count| count.try_into().ok()).unwrap_or_default()
}
