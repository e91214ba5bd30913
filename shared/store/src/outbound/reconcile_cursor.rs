//! Stores the progress of `reconcile`.
//! That is when it last completed a round, and which conversations it must not forget.

use std::time::Duration;

use domain::{AccountId, ConversationId, PhoneNumberId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    StoreError, Table,
    keys::{ItemKey, Key, Range},
    table::{Item, ItemUpdate, integer},
};

/// Chatwoot offers Retry for a day.
const WATCH_TTL: Duration = Duration::from_secs(25 * 3600);

#[derive(Deserialize, Serialize)]
struct WatchRow {
    account: AccountId,
    conversation: ConversationId,
    expires_at: i64,
}

#[derive(Deserialize, Serialize)]
struct CursorRow {
    began_at: Timestamp,
    expires_at: i64,
}

/// How long items have to be missing, check after check: SQS counts within a minute or more, and later for a busy queue.
const MISSED_MIN_AGE: Duration = Duration::from_secs(600);

#[derive(Deserialize, Serialize)]
struct MissedRow {
    since: Timestamp,
    least: u64,
    expires_at: i64,
}

#[derive(Deserialize, Serialize)]
struct BlindRow {
    since: Timestamp,
    expires_at: i64,
}

/// The rounds of `reconcile`.
#[derive(Clone, Debug)]
pub struct ReconcileCursor {
    table: Table,
}

impl ReconcileCursor {
    /// Rounds of this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// Watches a conversation for a day: the one callback of a Retry may be lost.
    pub async fn watch(
        &self,
        channel: &PhoneNumberId,
        account: AccountId,
        conversation: ConversationId,
    ) -> Result<(), StoreError> {
        let key = ItemKey::Watch(channel.clone(), account, conversation).into();
        let expires_at = (self.table.now() + WATCH_TTL).as_secs();
        self.table.put(&key, &WatchRow { account, conversation, expires_at }).await
    }

    /// Watches a conversation for this long, or longer if it is watched for longer already.
    pub async fn watch_for(
        &self,
        channel: &PhoneNumberId,
        account: AccountId,
        conversation: ConversationId,
        time: Duration,
    ) -> Result<(), StoreError> {
        let change = ItemUpdate {
            key: ItemKey::Watch(channel.clone(), account, conversation).into(),
            update: "SET account = :account, conversation = :conversation, expires_at = :end".to_owned(),
            condition: Some("attribute_not_exists(pk) OR expires_at < :end".to_owned()),
            values: Item::from([
                (":account".to_owned(), integer(account.0)),
                (":conversation".to_owned(), integer(conversation.0)),
                (":end".to_owned(), integer((self.table.now() + time).as_secs())),
            ]),
        };
        self.table.change(change).await
    }

    /// The conversations being watched.
    pub async fn watched(&self, channel: &PhoneNumberId) -> Result<Vec<(AccountId, ConversationId)>, StoreError> {
        let rows: Vec<WatchRow> = self.table.range(Range::watched(channel)).await?;
        Ok(rows.into_iter().map(|row| (row.account, row.conversation)).collect())
    }

    /// When the last completed round began.
    pub async fn completed_at(&self, channel: &PhoneNumberId) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.table.get::<CursorRow>(&round(channel)).await?.map(|round| round.began_at))
    }

    /// Records that a round that began at that time completed.
    pub async fn completed(&self, channel: &PhoneNumberId, began_at: Timestamp) -> Result<(), StoreError> {
        let expires_at = (self.table.now() + WATCH_TTL).as_secs();
        self.table.put(&round(channel), &CursorRow { began_at, expires_at }).await
    }

    /// Records that this check found so many items missing. Returns how many every check has found missing for a while: a single
    /// check is not reliable, since the queue's count is approximate and late.
    pub async fn missed(&self, items: u64) -> Result<u64, StoreError> {
        let (key, now) = (ItemKey::Missed.into(), self.table.now());
        let known = self.table.get::<MissedRow>(&key).await?;
        if items == 0 {
            if known.is_some() {
                self.table.delete(&key).await?;
            }
            return Ok(0);
        }
        let (since, least) = known.map_or((now, items), |known| (known.since, known.least.min(items)));
        self.table.put(&key, &MissedRow { since, least, expires_at: (now + WATCH_TTL).as_secs() }).await?;
        Ok(if now.since(since) >= MISSED_MIN_AGE { least } else { 0 })
    }

    /// Since when rounds have not completed because Chatwoot shows nothing, if that is so.
    pub async fn blind_since(&self, channel: &PhoneNumberId) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.table.get::<BlindRow>(&blind(channel)).await?.map(|blind| blind.since))
    }

    /// Records since when Chatwoot shows nothing.
    pub async fn went_blind(&self, channel: &PhoneNumberId, since: Timestamp) -> Result<(), StoreError> {
        let expires_at = (self.table.now() + WATCH_TTL).as_secs();
        self.table.put(&blind(channel), &BlindRow { since, expires_at }).await
    }

    /// Records that Chatwoot shows everything again.
    pub async fn sees(&self, channel: &PhoneNumberId) -> Result<(), StoreError> {
        self.table.delete(&blind(channel)).await
    }
}

fn blind(channel: &PhoneNumberId) -> Key {
    ItemKey::Blind(channel.clone()).into()
}

fn round(channel: &PhoneNumberId) -> Key {
    ItemKey::Round(channel.clone()).into()
}
