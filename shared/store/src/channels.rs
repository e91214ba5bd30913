//! The channels: few, read often, changed by the operator.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use domain::{Channel, PhoneNumberId, Timestamp};

use crate::{StoreError, Table, table::Key};

/// How long a channel is used without looking again.
const FRESH: Duration = Duration::from_secs(60);

/// Channels by phone number id, remembered for a minute.
#[derive(Clone, Debug)]
pub struct Channels {
    table: Table,
    cache: Arc<Mutex<HashMap<PhoneNumberId, Seen>>>,
}

#[derive(Clone, Debug)]
struct Seen {
    at: Timestamp,
    channel: Arc<Channel>,
}

impl Channels {
    /// Channels of this table.
    pub fn new(table: Table) -> Self {
        Self { table, cache: Arc::default() }
    }

    /// The channel of a number, if it is one of ours.
    pub async fn get(&self, id: &PhoneNumberId) -> Result<Option<Arc<Channel>>, StoreError> {
        let now = self.table.now();
        let cached = self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        if let Some(seen) = cached.filter(|seen| now.since(seen.at) < FRESH) {
            return Ok(Some(seen.channel));
        }
        let Some(channel) = self.table.get::<Channel>(&key(id)).await? else { return Ok(None) };
        let channel = Arc::new(channel);
        self.cache
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id.clone(), Seen { at: now, channel: channel.clone() });
        Ok(Some(channel))
    }

    /// Every channel.
    pub async fn all(&self) -> Result<Vec<Channel>, StoreError> {
        self.table.range("channel", "", "~").await
    }

    /// Binds a number to an inbox, or changes how.
    pub async fn put(&self, channel: &Channel) -> Result<(), StoreError> {
        self.table.put(&key(&channel.phone_number_id), channel).await
    }
}

fn key(id: &PhoneNumberId) -> Key {
    Key::new("channel", id.as_str())
}
