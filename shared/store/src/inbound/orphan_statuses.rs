//! Stores orphan statuses until their message is known.
//! Each is counted in the end. How far the message came is stored with its link; here are only the items.

use std::time::Duration;

use domain::{KeyedHash, PhoneNumberId, Timestamp, Wamid, keyed_hash::WorkItem};
use serde::{Deserialize, Serialize};

use crate::{
    Claims, ItemLedger, ItemOutcome, StoreError, Table,
    keys::{ItemKey, Key, Range},
};

/// How long a status waits for its message.
pub(crate) const ORPHAN_MAX_WAIT: Duration = Duration::from_secs(86_400);

/// Leaves time for a `reconcile` that did not run for a while.
const ORPHAN_TTL: Duration = Duration::from_secs(8 * 86_400);

/// A status without a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrphanStatus {
    /// The item that is claimed for it.
    pub item: KeyedHash<WorkItem>,
    /// The keyed hash of the message's id.
    pub message: KeyedHash<Wamid>,
    /// When the bridge stops waiting for its message.
    pub until: Timestamp,
}

#[derive(Deserialize, Serialize)]
struct OrphanRow {
    #[serde(flatten)]
    status: OrphanStatus,
    expires_at: i64,
}

/// The statuses that wait.
#[derive(Clone, Debug)]
pub struct OrphanStatuses {
    table: Table,
}

impl OrphanStatuses {
    /// Orphan statuses of this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// Lets a status wait. Returns whether it is new; one that waits already does not wait longer for being added again.
    pub async fn add(
        &self,
        channel: &PhoneNumberId,
        item: &KeyedHash<WorkItem>,
        message: KeyedHash<Wamid>,
    ) -> Result<bool, StoreError> {
        let now = self.table.now();
        let status = OrphanStatus { item: item.clone(), message, until: now + ORPHAN_MAX_WAIT };
        let row = OrphanRow { status, expires_at: (now + ORPHAN_TTL).as_secs() };
        let create = self.table.transact_create(&key(channel, item), &row)?;
        // If nothing was written, the status is there already, or another write of the same one is under way.
        self.table.transact(vec![create]).await
    }

    /// All that wait on a channel.
    pub async fn all(&self, channel: &PhoneNumberId) -> Result<Vec<OrphanStatus>, StoreError> {
        let rows: Vec<OrphanRow> = self.table.range(Range::orphan_statuses(channel)).await?;
        Ok(rows.into_iter().map(|row| row.status).collect())
    }

    /// How many wait on a channel.
    pub async fn count(&self, channel: &PhoneNumberId) -> Result<u64, StoreError> {
        self.table.pages(&Range::orphan_statuses(channel)).count().await
    }

    /// Counts a status that is about to be deleted and whose message is known: afterwards that could not be told.
    pub(crate) async fn settle(&self, channel: &PhoneNumberId, item: &KeyedHash<WorkItem>) -> Result<(), StoreError> {
        if let Some(guard) = Claims::new(self.table.clone()).resume(item).await? {
            ItemLedger::new(self.table.clone()).close(channel.as_str(), &guard, ItemOutcome::Done).await?;
        }
        Ok(())
    }

    /// Removes a status that waits no longer.
    pub async fn remove(&self, channel: &PhoneNumberId, item: &KeyedHash<WorkItem>) -> Result<(), StoreError> {
        self.table.delete(&key(channel, item)).await
    }
}

fn key(channel: &PhoneNumberId, item: &KeyedHash<WorkItem>) -> Key {
    ItemKey::OrphanStatus(channel.clone(), item.clone()).into()
}
