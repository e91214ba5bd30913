//! Stores the channels.
//! They are few, read often, and changed by the operator.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use domain::{
    Channel, PhoneNumberId, Timestamp,
    channel::{ChannelEvent, SyncedTemplates},
};

use tokio::sync::Mutex as ListLock;

use crate::{
    StoreError, Table,
    keys::{ItemKey, Key, Range},
    table::{Item, ItemUpdate, UpdateOutcome, integer, with_key},
    versioned::until_written,
};

/// How long a channel is used before it is read again.
const CHANNEL_CACHE_TTL: Duration = Duration::from_secs(60);

/// How long a read of all channels answers unproven requests: a new channel is let in after that at the latest.
const LIST_CACHE_TTL: Duration = Duration::from_secs(5);

/// The longest id. Meta's have up to seventeen digits.
const MAX_ID_LENGTH: usize = 32;

/// Channels by phone number id, remembered for a minute.
#[derive(Clone, Debug)]
pub struct Channels {
    table: Table,
    cache: Arc<Mutex<HashMap<PhoneNumberId, CachedChannel>>>,
    /// When all channels were last read for an unproven request.
    listed_at: Arc<ListLock<Option<Timestamp>>>,
}

#[derive(Clone, Debug)]
struct CachedChannel {
    at: Timestamp,
    channel: Arc<Channel>,
}

impl Channels {
    /// Channels of this table.
    pub fn new(table: Table) -> Self {
        Self { table, cache: Arc::default(), listed_at: Arc::default() }
    }

    /// The channel that an unproven request names. A text that cannot be an id of Meta's names none. For an id that is not
    /// cached, all channels are read together, once in some seconds, so that guessing ids costs no reads, however many are tried.
    pub async fn by_path_id(&self, named: &str) -> Result<Option<Arc<Channel>>, StoreError> {
        if !is_id(named) {
            return Ok(None);
        }
        let id = PhoneNumberId::new(named);
        if let Some(channel) = self.remembered(&id) {
            return Ok(Some(channel));
        }
        // A request that comes meanwhile waits for the same read.
        let mut listed_at = self.listed_at.lock().await;
        let now = self.table.now();
        if listed_at.is_none_or(|at| now.since(at) >= LIST_CACHE_TTL) {
            self.remember_all().await?;
            *listed_at = Some(now);
        }
        Ok(self.remembered(&id))
    }

    /// The channel of a number, if it is one of ours.
    pub async fn get(&self, id: &PhoneNumberId) -> Result<Option<Arc<Channel>>, StoreError> {
        match self.remembered(id) {
            Some(channel) => Ok(Some(channel)),
            None => self.look_again(id).await,
        }
    }

    fn remembered(&self, id: &PhoneNumberId) -> Option<Arc<Channel>> {
        let now = self.table.now();
        let seen = self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        seen.filter(|seen| now.since(seen.at) < CHANNEL_CACHE_TTL).map(|seen| seen.channel)
    }

    /// The channel as it is now. A caller that is about to hold a message back reads it again: a number that is connected again
    /// must not wait for a cache to expire.
    pub async fn look_again(&self, id: &PhoneNumberId) -> Result<Option<Arc<Channel>>, StoreError> {
        let Some(channel) = self.table.get::<Channel>(&key(id)).await? else { return Ok(None) };
        Ok(Some(self.remember(channel)))
    }

    fn remember(&self, channel: Channel) -> Arc<Channel> {
        let seen = CachedChannel { at: self.table.now(), channel: Arc::new(channel) };
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.insert(seen.channel.phone_number_id.clone(), seen.clone());
        seen.channel
    }

    /// Records an event of a number, if nothing newer is known, and returns the channel before and after.
    pub async fn apply_event(
        &self,
        id: &PhoneNumberId,
        event: ChannelEvent,
        at: Timestamp,
    ) -> Result<Option<(Channel, Channel)>, StoreError> {
        until_written(|| async {
            let before = self.table.get::<Channel>(&key(id)).await?.filter(|channel| channel.state_at <= at);
            let Some(before) = before else { return Ok(Some(None)) };
            let state = before.state.after(event, self.table.now());
            let change = ItemUpdate {
                key: key(id),
                update: "SET #state = :state, state_at = :at".to_owned(),
                condition: Some(
                    "attribute_exists(pk) AND (attribute_not_exists(state_at) OR state_at = :seen)".to_owned(),
                ),
                values: Item::from([
                    (":state".to_owned(), serde_dynamo::to_attribute_value(state)?),
                    (":at".to_owned(), integer(at.as_millis())),
                    (":seen".to_owned(), integer(before.state_at.as_millis())),
                ]),
            };
            Ok(match self.table.update(change, ReturnValue::None).await? {
                UpdateOutcome::Done(_) => {
                    let after = Channel { state, state_at: at, ..before.clone() };
                    self.remember(after.clone());
                    Some(Some((before, after)))
                }
                UpdateOutcome::Refused(_) => None,
            })
        })
        .await
    }

    /// Records which templates a number's inbox offers.
    pub async fn set_synced_templates(&self, id: &PhoneNumberId, offered: &SyncedTemplates) -> Result<(), StoreError> {
        let change = ItemUpdate {
            key: key(id),
            update: "SET offered = :offered".to_owned(),
            condition: Some("attribute_exists(pk)".to_owned()),
            values: Item::from([(":offered".to_owned(), serde_dynamo::to_attribute_value(offered)?)]),
        };
        self.table.change(change).await
    }

    /// Every channel, cached: at the start of a function this opens the connection to the table as well.
    pub async fn remember_all(&self) -> Result<Vec<Arc<Channel>>, StoreError> {
        Ok(self.all().await?.into_iter().map(|channel| self.remember(channel)).collect())
    }

    /// Every channel.
    pub async fn all(&self) -> Result<Vec<Channel>, StoreError> {
        self.table.range(Range::channels()).await
    }

    /// Holds messages back, or lets them go on, in the directions that are named. Returns the channel as it is then; nothing if
    /// there is none.
    pub async fn pause(
        &self,
        id: &PhoneNumberId,
        outgoing: Option<bool>,
        incoming: Option<bool>,
    ) -> Result<Option<Channel>, StoreError> {
        let asked = [("paused", ":out", outgoing), ("paused_incoming", ":in", incoming)];
        let asked: Vec<_> = asked.into_iter().filter_map(|(name, place, on)| Some((name, place, on?))).collect();
        let sets: Vec<_> = asked.iter().map(|(name, place, _)| format!("{name} = {place}")).collect();
        if !sets.is_empty() {
            let values = asked.iter().map(|(_, place, on)| ((*place).to_owned(), AttributeValue::Bool(*on)));
            let change = ItemUpdate {
                key: key(id),
                update: format!("SET {}", sets.join(", ")),
                condition: Some("attribute_exists(pk)".to_owned()),
                values: values.collect(),
            };
            self.table.change(change).await?;
        }
        self.table.get(&key(id)).await
    }

    /// Forgets a channel; what belongs to its customers stays.
    pub async fn remove(&self, id: &PhoneNumberId) -> Result<(), StoreError> {
        self.table.delete(&key(id)).await
    }

    /// Binds a number to an inbox of its account, unless it belongs to another account. Tells whether it is written.
    pub async fn bind(&self, channel: &Channel) -> Result<bool, StoreError> {
        let values = Item::from([(":account".to_owned(), integer(channel.account.0))]);
        let item = with_key(&key(&channel.phone_number_id), channel)?;
        let bound = self.table.put_if(item, "attribute_not_exists(pk) OR account = :account", values).await?;
        if bound {
            self.remember(channel.clone());
        }
        Ok(bound)
    }

    /// Binds a number to an inbox, or changes the binding.
    pub async fn put(&self, channel: &Channel) -> Result<(), StoreError> {
        self.table.put(&key(&channel.phone_number_id), channel).await
    }
}

/// Whether a text has the form of an id of Meta's: digits, and not too many.
fn is_id(text: &str) -> bool {
    (1..=MAX_ID_LENGTH).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn key(id: &PhoneNumberId) -> Key {
    ItemKey::Channel(id.clone()).into()
}
