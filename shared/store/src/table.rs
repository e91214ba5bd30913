//! Wraps the DynamoDB table: keys, expiry, reads and conditional writes.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::{
    Client,
    operation::{
        delete_item::DeleteItemError, put_item::PutItemError, transact_write_items::TransactWriteItemsError,
        update_item::UpdateItemError,
    },
    types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure, Select, TransactWriteItem, Update},
};
use domain::{SharedClock, Timestamp};
use serde::{Serialize, de::DeserializeOwned};
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, to_item};

use crate::{StoreError, sort_keys::SortKeys};

pub(crate) type Item = HashMap<String, AttributeValue>;

/// The table, the time, and how long things about a customer are kept.
#[derive(Clone, Debug)]
pub struct Table {
    pub(crate) client: Client,
    pub(crate) name: String,
    pub(crate) clock: SharedClock,
    retention: Duration,
}

/// The key of an item.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) pk: String,
    pub(crate) sk: String,
}

impl Key {
    pub(crate) fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { pk: pk.into(), sk: sk.into() }
    }

    /// Whether DynamoDB takes it: no part may be empty or too long.
    fn can_be(&self) -> bool {
        (1..=2048).contains(&self.pk.len()) && (1..=1024).contains(&self.sk.len())
    }

    pub(crate) fn item(&self) -> Item {
        Item::from([("pk".to_owned(), text(&self.pk)), ("sk".to_owned(), text(&self.sk))])
    }
}

/// An update: what is set, under which condition.
#[derive(Clone, Debug)]
pub(crate) struct ItemUpdate {
    pub(crate) key: Key,
    pub(crate) update: String,
    pub(crate) condition: Option<String>,
    pub(crate) values: Item,
}

/// The result of a conditional write.
pub(crate) enum UpdateOutcome {
    /// Done; the item before or after, as asked.
    Done(Option<Item>),
    /// The condition did not hold; the item as it stands.
    Refused(Option<Item>),
}

/// The result of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TransactOutcome {
    /// Everything is written.
    Done,
    /// Nothing is. The positions of the writes whose condition did not hold; none if another write was in the way.
    Refused(Vec<usize>),
}

impl Table {
    /// `retention` is how long after the last activity things about a customer are kept.
    pub fn new(client: Client, name: String, clock: SharedClock, retention: Duration) -> Self {
        Self { client, name, clock, retention }
    }

    /// The current time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Opens the connection to the table, by asking for an item that does not exist.
    pub async fn open(&self) -> Result<(), StoreError> {
        self.item(&Key::new("nothing", "nothing")).await.map(|_| ())
    }

    /// When the data of a customer who is active now expires, in epoch seconds.
    pub(crate) fn kept_until(&self) -> i64 {
        (self.now() + self.retention).as_secs()
    }

    /// The item, unless it is expired: TTL is garbage collection, not a promise.
    pub(crate) async fn get<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, StoreError> {
        Ok(self.item(key).await?.map(from_item).transpose()?)
    }

    /// The same, as it is stored.
    pub(crate) async fn item(&self, key: &Key) -> Result<Option<Item>, StoreError> {
        // Ids from outside are parts of keys. An item with an impossible key does not exist.
        if !key.can_be() {
            return Ok(None);
        }
        let request = self.client.get_item().table_name(&self.name).set_key(Some(key.item())).consistent_read(true);
        let found = request.send().await.map_err(StoreError::call)?.item;
        Ok(found.filter(|item| self.is_alive(item)))
    }

    pub(crate) fn is_alive(&self, item: &Item) -> bool {
        number(item, "expires_at").is_none_or(|end| end > self.now().as_secs())
    }

    /// The selected items of a partition, in order of their sort keys.
    pub(crate) async fn range<T: DeserializeOwned>(&self, pk: &str, wanted: SortKeys) -> Result<Vec<T>, StoreError> {
        let items = self.items(pk, wanted).await?;
        items.into_iter().map(|item| from_item(item).map_err(StoreError::from)).collect()
    }

    /// The same, as they are stored.
    pub(crate) async fn items(&self, pk: &str, wanted: SortKeys) -> Result<Vec<Item>, StoreError> {
        let (condition, values) = wanted.condition(pk);
        let (mut out, mut start) = (Vec::new(), None);
        loop {
            let page = self
                .client
                .query()
                .table_name(&self.name)
                .consistent_read(true)
                .key_condition_expression(condition)
                .set_expression_attribute_values(Some(values.clone()))
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(StoreError::call)?;
            out.extend(page.items.unwrap_or_default().into_iter().filter(|item| self.is_alive(item)));
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(out);
            }
        }
    }

    /// What an index shows, which may be late, expired or not.
    pub(crate) async fn indexed(&self, index: &str, condition: &str, values: Item) -> Result<Vec<Item>, StoreError> {
        let (mut out, mut start) = (Vec::new(), None);
        loop {
            let request = self.client.query().table_name(&self.name).index_name(index);
            let request = request.key_condition_expression(condition);
            let request = request.set_expression_attribute_values(Some(values.clone()));
            let page = request.set_exclusive_start_key(start).send().await.map_err(StoreError::call)?;
            out.extend(page.items.unwrap_or_default());
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(out);
            }
        }
    }

    /// All items of the whole table that match a filter, expired or not. For the operator, and for daily work.
    pub(crate) async fn scan(&self, filter: &str, values: Item) -> Result<Vec<Item>, StoreError> {
        let (mut out, mut start) = (Vec::new(), None);
        loop {
            let page = self
                .client
                .scan()
                .table_name(&self.name)
                .filter_expression(filter)
                .set_expression_attribute_values(Some(values.clone()))
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(StoreError::call)?;
            out.extend(page.items.unwrap_or_default());
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(out);
            }
        }
    }

    /// How many items a partition has.
    pub(crate) async fn count(&self, pk: &str) -> Result<u64, StoreError> {
        let (mut count, mut start) = (0, None);
        loop {
            let page = self
                .client
                .query()
                .table_name(&self.name)
                .consistent_read(true)
                .select(Select::Count)
                .key_condition_expression("pk = :pk")
                .filter_expression("expires_at > :now")
                .expression_attribute_values(":pk", text(pk))
                .expression_attribute_values(":now", integer(self.now().as_secs()))
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(StoreError::call)?;
            count += u64::try_from(page.count).unwrap_or_default();
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(count);
            }
        }
    }

    /// Changes one item.
    pub(crate) async fn update(&self, change: ItemUpdate, returned: ReturnValue) -> Result<UpdateOutcome, StoreError> {
        if !change.key.can_be() {
            return Err(StoreError::Key);
        }
        let request = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(change.key.item()))
            .update_expression(change.update)
            .set_condition_expression(change.condition)
            // DynamoDB refuses an empty map.
            .set_expression_attribute_values(Some(change.values).filter(|values| !values.is_empty()))
            .return_values(returned)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match request.send().await {
            Ok(done) => Ok(UpdateOutcome::Done(done.attributes.filter(|item| !item.is_empty()))),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(refused)) => {
                    Ok(UpdateOutcome::Refused(refused.item.clone()))
                }
                _ => Err(StoreError::call(error)),
            },
        }
    }

    /// Writes an item if the condition holds. `false` means that it did not, or that a transaction was in the way.
    pub(crate) async fn put_if(&self, item: Item, condition: &str, values: Option<Item>) -> Result<bool, StoreError> {
        let request = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(item))
            .condition_expression(condition)
            .set_expression_attribute_values(values);
        match request.send().await {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(
                    PutItemError::ConditionalCheckFailedException(_) | PutItemError::TransactionConflictException(_),
                ) => Ok(false),
                _ => Err(StoreError::call(error)),
            },
        }
    }

    /// Writes all or nothing. `false` means that a condition did not hold or another write was in the way.
    pub(crate) async fn transact(&self, items: Vec<TransactWriteItem>) -> Result<bool, StoreError> {
        Ok(self.transact_or_tell(items).await? == TransactOutcome::Done)
    }

    /// The same, and tells which conditions did not hold.
    pub(crate) async fn transact_or_tell(&self, items: Vec<TransactWriteItem>) -> Result<TransactOutcome, StoreError> {
        let request = self.client.transact_write_items().set_transact_items(Some(items));
        match request.send().await {
            Ok(_) => Ok(TransactOutcome::Done),
            Err(error) => match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => {
                    let lasting = canceled.cancellation_reasons().iter().any(|reason| {
                        !matches!(reason.code(), None | Some("None" | "ConditionalCheckFailed" | "TransactionConflict"))
                    });
                    if lasting {
                        return Err(StoreError::call(error));
                    }
                    let reasons = canceled.cancellation_reasons().iter().enumerate();
                    let refused = reasons.filter(|(_, reason)| reason.code() == Some("ConditionalCheckFailed"));
                    Ok(TransactOutcome::Refused(refused.map(|(at, _)| at).collect()))
                }
                _ => Err(StoreError::call(error)),
            },
        }
    }

    pub(crate) fn transact_update(&self, change: ItemUpdate) -> Result<TransactWriteItem, StoreError> {
        if !change.key.can_be() {
            return Err(StoreError::Key);
        }
        let update = Update::builder()
            .table_name(&self.name)
            .set_key(Some(change.key.item()))
            .update_expression(change.update)
            .set_condition_expression(change.condition)
            .set_expression_attribute_values(Some(change.values).filter(|values| !values.is_empty()))
            .build()?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// A put that succeeds only if there is no such item, or an expired one.
    pub(crate) fn transact_create(&self, key: &Key, row: &impl Serialize) -> Result<TransactWriteItem, StoreError> {
        let put = aws_sdk_dynamodb::types::Put::builder()
            .table_name(&self.name)
            .set_item(Some(with_key(key, row)?))
            .condition_expression("attribute_not_exists(pk) OR expires_at <= :now")
            .expression_attribute_values(":now", integer(self.now().as_secs()))
            .build()?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// Deletes an expired item, if it still is.
    pub(crate) async fn delete_expired(&self, key: &Key) -> Result<(), StoreError> {
        self.delete_if(key, "expires_at <= :now", (":now", integer(self.now().as_secs()))).await
    }

    /// Deletes an item if a condition with one value holds.
    pub(crate) async fn delete_if(
        &self,
        key: &Key,
        condition: &str,
        (name, value): (&str, AttributeValue),
    ) -> Result<(), StoreError> {
        let request = self
            .client
            .delete_item()
            .table_name(&self.name)
            .set_key(Some(key.item()))
            .condition_expression(condition)
            .expression_attribute_values(name, value);
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(DeleteItemError::ConditionalCheckFailedException(_)) => Ok(()),
                _ => Err(StoreError::call(error)),
            },
        }
    }

    /// Deletes an item, whether it is there or not.
    pub(crate) async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        let request = self.client.delete_item().table_name(&self.name).set_key(Some(key.item()));
        request.send().await.map(|_| ()).map_err(StoreError::call)
    }

    /// Writes an item, whatever was there.
    pub(crate) async fn put(&self, key: &Key, row: &impl Serialize) -> Result<(), StoreError> {
        let request = self.client.put_item().table_name(&self.name).set_item(Some(with_key(key, row)?));
        request.send().await.map(|_| ()).map_err(StoreError::call)
    }
}

pub(crate) fn with_key(key: &Key, row: &impl Serialize) -> Result<Item, StoreError> {
    if !key.can_be() {
        return Err(StoreError::Key);
    }
    let mut item: Item = to_item(row)?;
    item.extend(key.item());
    Ok(item)
}

pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(crate) fn integer(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(crate) fn number(item: &Item, name: &str) -> Option<i64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}
