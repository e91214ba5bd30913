//! Wraps the DynamoDB table: keys, expiry, reads and conditional writes.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::{
    Client,
    operation::{
        delete_item::DeleteItemError, put_item::PutItemError, transact_write_items::TransactWriteItemsError,
        update_item::UpdateItemError,
    },
    types::{
        AttributeValue, ConditionCheck, Delete, KeysAndAttributes, Put, ReturnValue,
        ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update, WriteRequest,
    },
};
use domain::{SharedClock, Timestamp};
use serde::{Serialize, de::DeserializeOwned};
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, to_item};

use crate::{
    StoreError,
    keys::{ItemKey, Key, Range},
};

pub(crate) type Item = HashMap<String, AttributeValue>;

/// How many items DynamoDB reads at once.
const MAX_BATCH_READ: usize = 100;

/// How many items DynamoDB puts and deletes at once.
const MAX_BATCH_WRITE: usize = 25;

/// The table, the time, and how long things about a customer are kept.
#[derive(Clone, Debug)]
pub struct Table {
    pub(crate) client: Client,
    pub(crate) name: String,
    pub(crate) clock: SharedClock,
    retention: Duration,
    /// When what is written happened, if that is not now.
    past: Option<Timestamp>,
}

/// An update: what is set, under which condition.
#[derive(Clone, Debug)]
pub(crate) struct ItemUpdate {
    pub(crate) key: Key,
    pub(crate) update: String,
    pub(crate) condition: Option<String>,
    pub(crate) values: Item,
}

impl ItemUpdate {
    /// `#state` stands for the attribute `state`, a reserved word of DynamoDB's.
    fn names(&self) -> Option<HashMap<String, String>> {
        let is_named = self.update.contains("#state") || self.condition.iter().any(|one| one.contains("#state"));
        is_named.then(|| HashMap::from([("#state".to_owned(), "state".to_owned())]))
    }
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
        Self { client, name, clock, retention, past: None }
    }

    /// Another table, reached in the same way.
    #[must_use]
    pub fn named(&self, name: String) -> Self {
        Self { name, ..self.clone() }
    }

    /// The current time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Opens the connection to the table, by asking for an item that does not exist.
    pub async fn open(&self) -> Result<(), StoreError> {
        self.item(&ItemKey::Absent.into()).await.map(|_| ())
    }

    /// The same table for what happened at an earlier time: what is written about a customer ends by that.
    #[must_use]
    pub fn in_the_past(&self, at: Timestamp) -> Self {
        Self { past: Some(at), ..self.clone() }
    }

    /// When what is written happened.
    pub(crate) fn active_at(&self) -> Timestamp {
        self.past.unwrap_or_else(|| self.now()).min(self.now())
    }

    /// When the data of a customer who is active now expires, in epoch seconds.
    pub(crate) fn kept_until(&self) -> i64 {
        self.kept_since(self.active_at())
    }

    /// When something that happened at that time expires, in epoch seconds.
    pub(crate) fn kept_since(&self, at: Timestamp) -> i64 {
        (at + self.retention).as_secs()
    }

    /// How long things about a customer are kept after their last activity.
    pub(crate) fn retention(&self) -> Duration {
        self.retention
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
        let request =
            self.client.get_item().table_name(&self.name).set_key(Some(key.attributes())).consistent_read(true);
        let found = request.send().await.map_err(StoreError::call)?.item;
        Ok(found.filter(|item| self.is_alive(item)))
    }

    pub(crate) fn is_alive(&self, item: &Item) -> bool {
        number(item, "expires_at").is_none_or(|end| end > self.now().as_secs())
    }

    /// The items of a range that are not expired, in order of their sort keys.
    pub(crate) async fn range<T: DeserializeOwned>(&self, range: Range) -> Result<Vec<T>, StoreError> {
        let items = self.items(range).await?;
        items.into_iter().map(|item| from_item(item).map_err(StoreError::from)).collect()
    }

    /// The same, as they are stored.
    pub(crate) async fn items(&self, range: Range) -> Result<Vec<Item>, StoreError> {
        let mut items = self.pages(&range).all().await?;
        items.retain(|item| self.is_alive(item));
        Ok(items)
    }

    /// The items with these keys that are there and not expired, in any order.
    pub(crate) async fn get_all(&self, keys: Vec<Key>) -> Result<Vec<Item>, StoreError> {
        let mut items = Vec::new();
        for some in keys.chunks(MAX_BATCH_READ) {
            let keys = some.iter().map(Key::attributes).collect();
            let wanted = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build()?;
            let request = self.client.batch_get_item().request_items(&self.name, wanted);
            let answer = request.send().await.map_err(StoreError::call)?;
            if answer.unprocessed_keys.is_some_and(|keys| !keys.is_empty()) {
                return Err(StoreError::Contended);
            }
            let found = answer.responses.unwrap_or_default().remove(&self.name).unwrap_or_default();
            items.extend(found.into_iter().filter(|item| self.is_alive(item)));
        }
        Ok(items)
    }

    /// Puts and deletes many items, whatever was there.
    pub(crate) async fn write_all(&self, writes: Vec<WriteRequest>) -> Result<(), StoreError> {
        for some in writes.chunks(MAX_BATCH_WRITE) {
            let request = self.client.batch_write_item().request_items(&self.name, some.to_vec());
            let answer = request.send().await.map_err(StoreError::call)?;
            if answer.unprocessed_items.is_some_and(|items| !items.is_empty()) {
                return Err(StoreError::Contended);
            }
        }
        Ok(())
    }

    /// Changes one item, if its condition holds.
    pub(crate) async fn change(&self, change: ItemUpdate) -> Result<(), StoreError> {
        self.update(change, ReturnValue::None).await.map(|_| ())
    }

    /// Changes one item, and tells what became of it.
    pub(crate) async fn update(&self, change: ItemUpdate, returned: ReturnValue) -> Result<UpdateOutcome, StoreError> {
        if !change.key.can_be() {
            return Err(StoreError::Key);
        }
        let request = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(change.key.attributes()))
            .set_expression_attribute_names(change.names())
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
    pub(crate) async fn put_if(&self, item: Item, condition: &str, values: Item) -> Result<bool, StoreError> {
        let request = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(item))
            .condition_expression(condition)
            .set_expression_attribute_values(Some(values).filter(|values| !values.is_empty()));
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
            .set_key(Some(change.key.attributes()))
            .set_expression_attribute_names(change.names())
            .update_expression(change.update)
            .set_condition_expression(change.condition)
            .set_expression_attribute_values(Some(change.values).filter(|values| !values.is_empty()))
            .build()?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// A put that succeeds only if there is no such item, or an expired one.
    pub(crate) fn transact_create(&self, key: &Key, row: &impl Serialize) -> Result<TransactWriteItem, StoreError> {
        let values = Item::from([(":now".to_owned(), integer(self.now().as_secs()))]);
        self.transact_put(with_key(key, row)?, Some("attribute_not_exists(pk) OR expires_at <= :now"), values)
    }

    /// A put of an item, under a condition if there is one.
    pub(crate) fn transact_put(
        &self,
        item: Item,
        condition: Option<&str>,
        values: Item,
    ) -> Result<TransactWriteItem, StoreError> {
        let put = Put::builder()
            .table_name(&self.name)
            .set_item(Some(item))
            .set_condition_expression(condition.map(str::to_owned))
            .set_expression_attribute_values(Some(values).filter(|values| !values.is_empty()))
            .build()?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// A condition on an item that is not written.
    pub(crate) fn transact_check(
        &self,
        key: &Key,
        condition: &str,
        values: Item,
    ) -> Result<TransactWriteItem, StoreError> {
        let check = ConditionCheck::builder()
            .table_name(&self.name)
            .set_key(Some(key.attributes()))
            .condition_expression(condition)
            .set_expression_attribute_values(Some(values).filter(|values| !values.is_empty()))
            .build()?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }

    /// A delete of an item, whether it is there or not.
    pub(crate) fn transact_delete(&self, key: &Key) -> Result<TransactWriteItem, StoreError> {
        let delete = Delete::builder().table_name(&self.name).set_key(Some(key.attributes())).build()?;
        Ok(TransactWriteItem::builder().delete(delete).build())
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
            .set_key(Some(key.attributes()))
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
        let request = self.client.delete_item().table_name(&self.name).set_key(Some(key.attributes()));
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
    item.extend(key.attributes());
    Ok(item)
}

pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(crate) fn integer(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// A text of an item.
pub(crate) fn string<'i>(item: &'i Item, name: &str) -> Option<&'i str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

/// The texts of a set of an item.
pub(crate) fn strings<'i>(item: &'i Item, name: &str) -> impl Iterator<Item = &'i str> + use<'i> {
    item.get(name).and_then(|set| set.as_ss().ok()).into_iter().flatten().map(String::as_str)
}

/// A number of an item.
pub(crate) fn number(item: &Item, name: &str) -> Option<i64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}
