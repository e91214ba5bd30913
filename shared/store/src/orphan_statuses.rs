//! Statuses that came before their message was known: which of them still wait, so that each is counted in the end. How far
//! the message came stands with its link; here are only the items.

use std::time::Duration;

use domain::{KeyedHash, PhoneNumberId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Claims, ItemLedger, ItemOutcome, StoreError, Table, sort_keys::SortKeys, table::Key};

/// How long a status waits for its message.
pub(crate) const ORPHAN_MAX_WAIT: Duration = Duration::from_secs(86_400);

/// For a `reconcile` that stood still for a while.
const ORPHAN_TTL: Duration = Duration::from_secs(8 * 86_400);

/// A status without a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrphanStatus {
    /// What is claimed for it.
    pub item: KeyedHash,
    /// The keyed hash of the message's id.
    pub message: KeyedHash,
    /// When it is given up.
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
    /// Those of this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// Lets a status wait, and tells whether it did not yet. One that waits already waits no longer for it.
    pub async fn add(&self, channel: &PhoneNumberId, item: &KeyedHash, message: KeyedHash) -> Result<bool, StoreError> {
        let now = self.table.now();
        let status = OrphanStatus { item: item.clone(), message, until: now + ORPHAN_MAX_WAIT };
        let row = OrphanRow { status, expires_at: (now + ORPHAN_TTL).as_secs() };
        let create = self.table.transact_create(&key(channel, item), &row)?;
        // Not written means that it is there, or that another write of the same is.
        self.table.transact(vec![create]).await
    }

    /// All that wait on a channel.
    pub async fn all(&self, channel: &PhoneNumberId) -> Result<Vec<OrphanStatus>, StoreError> {
        let rows: Vec<OrphanRow> = self.table.range(&partition(channel), SortKeys::All).await?;
        Ok(rows.into_iter().map(|row| row.status).collect())
    }

    /// How many wait on a channel.
    pub async fn count(&self, channel: &PhoneNumberId) -> Result<u64, StoreError> {
        self.table.count(&partition(channel)).await
    }

    /// Counts one whose message is known and goes now: nobody could tell later that it was.
    pub(crate) async fn settle(&self, channel: &PhoneNumberId, item: &KeyedHash) -> Result<(), StoreError> {
        if let Some(guard) = Claims::new(self.table.clone()).resume(item).await? {
            ItemLedger::new(self.table.clone()).close(channel.as_str(), &guard, ItemOutcome::Done).await?;
        }
        Ok(())
    }

    /// It waits no longer.
    pub async fn remove(&self, channel: &PhoneNumberId, item: &KeyedHash) -> Result<(), StoreError> {
        self.table.delete(&key(channel, item)).await
    }
}

const PREFIX: &str = "early#";

fn partition(channel: &PhoneNumberId) -> String {
    format!("{PREFIX}{channel}")
}

/// The channel on which the statuses of a partition wait, if it is one of those.
pub(crate) fn channel_of(pk: &str) -> Option<PhoneNumberId> {
    pk.strip_prefix(PREFIX).map(PhoneNumberId::new)
}

fn key(channel: &PhoneNumberId, item: &KeyedHash) -> Key {
    Key::new(partition(channel), item.as_str())
}
