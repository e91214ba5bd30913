//! Stores pending files, which could not be fetched yet.
//! Each item says where the file is at Meta, which Chatwoot message stands for it, and when to ask again. It holds no name and no
//! text.

use std::time::Duration;

use aws_sdk_dynamodb::types::{ReturnValue, TransactWriteItem};
use domain::{
    AccountId, Author, ConversationId, CustomerId, KeyedHash, MediaId, MessageGroup, MessageId, PhoneNumberId,
    Timestamp, Wamid,
    keyed_hash::WorkItem,
    message::{Media, MediaKind},
};
use serde::{Deserialize, Serialize};

use crate::{
    StoreError, Table,
    keys::{ItemKey, Key, Range},
    table::{Item, ItemUpdate, UpdateOutcome, integer, with_key},
};

/// Meta keeps a customer's file seven days from the message.
const META_MEDIA_TTL: Duration = Duration::from_secs(7 * 86_400);

/// When the last of these days begins, and the agent is told to ask the customer again.
const LAST_DAY_FROM: Duration = Duration::from_secs(6 * 86_400);

/// The first gap; each further one is twice as long.
pub const MIN_RETRY_GAP: Duration = Duration::from_secs(300);

/// The longest gap.
const MAX_RETRY_GAP: Duration = Duration::from_secs(6 * 3600);

/// Leaves time for the last try, and for a `reconcile` that did not run for a while.
const PENDING_FILE_TTL: Duration = Duration::from_secs(9 * 86_400);

/// A file that is still to come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingFile {
    /// The number it came to.
    pub number: PhoneNumberId,
    /// The item of its message.
    pub item: KeyedHash<WorkItem>,
    /// Its message at Meta: if that is revoked, the file is dropped.
    pub wamid: Wamid,
    /// The customer whose conversation it belongs to.
    pub customer: CustomerId,
    /// The Chatwoot account.
    pub account: AccountId,
    /// The conversation.
    pub conversation: ConversationId,
    /// The message that stands for it.
    pub placeholder: MessageId,
    /// The author of its message.
    pub author: Author,
    /// The message group that keeps the customer's order.
    pub group: MessageGroup,
    /// Where it is at Meta.
    pub media: MediaId,
    /// The kind it is shown as.
    pub kind: MediaKind,
    /// Its type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// When its message was written.
    pub sent_at: Timestamp,
    /// Of a phone's past: what stands above it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub past: Option<PastFile>,
    /// How often it was asked for, the first time with its message included.
    pub tries: u32,
    /// When it is asked for again.
    pub next_at: Timestamp,
}

/// What is different about a file of a phone's past: it comes as a note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastFile {
    /// Who sent it and when, in words; no name.
    pub title: String,
    /// When Meta told of it, long after its message was written.
    pub told_at: Timestamp,
}

#[derive(Deserialize, Serialize)]
struct PendingRow {
    #[serde(flatten)]
    file: PendingFile,
    expires_at: i64,
}

impl PendingFile {
    /// The file as Meta's webhook described it; its name is not stored.
    pub fn media(&self) -> Media {
        Media {
            id: self.media.clone(),
            kind: self.kind,
            mime_type: self.mime_type.clone(),
            // Meta sends it again with the file.
            sha256: None,
            filename: None,
        }
    }

    /// Whether Meta may still have it.
    pub fn is_at_meta(&self, now: Timestamp) -> bool {
        is_at_meta(self.told_at(), now)
    }

    /// When Meta told of it: its time at Meta begins then.
    fn told_at(&self) -> Timestamp {
        self.past.as_ref().map_or(self.sent_at, |past| past.told_at)
    }

    /// Whether Meta is about to delete it.
    pub fn is_last_day(&self, now: Timestamp) -> bool {
        now >= self.told_at() + LAST_DAY_FROM
    }

    /// When to ask again after this try, made now: with growing gaps, and on the last day at its beginning and at its end.
    pub fn after(&self, now: Timestamp) -> Timestamp {
        let gap = MIN_RETRY_GAP.saturating_mul(1 << self.tries.min(16)).min(MAX_RETRY_GAP);
        let milestones = [self.told_at() + LAST_DAY_FROM, self.told_at() + META_MEDIA_TTL];
        milestones.into_iter().find(|at| *at > now).map_or(now + gap, |at| at.min(now + gap))
    }
}

/// Whether Meta still has a file of a message written at that time.
pub fn is_at_meta(sent_at: Timestamp, now: Timestamp) -> bool {
    now.since(sent_at) < META_MEDIA_TTL
}

/// The files that are still to come.
#[derive(Clone, Debug)]
pub struct PendingMedia {
    table: Table,
}

impl PendingMedia {
    /// Pending files of this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// One of them, if it is still pending.
    pub async fn get(
        &self,
        number: &PhoneNumberId,
        item: &KeyedHash<WorkItem>,
    ) -> Result<Option<PendingFile>, StoreError> {
        Ok(self.table.get::<PendingRow>(&key(number, item)).await?.map(|row| row.file))
    }

    /// All of a channel.
    pub async fn all(&self, number: &PhoneNumberId) -> Result<Vec<PendingFile>, StoreError> {
        let rows: Vec<PendingRow> = self.table.range(Range::pending_files(number)).await?;
        Ok(rows.into_iter().map(|row| row.file).collect())
    }

    /// Sets when it is asked for again. Returns `false` if another worker did so first.
    pub async fn put_off(&self, file: &PendingFile) -> Result<bool, StoreError> {
        let next_at = file.after(self.table.now());
        let change = ItemUpdate {
            key: key(&file.number, &file.item),
            update: "SET next_at = :next, tries = :tries".to_owned(),
            condition: Some("next_at = :seen".to_owned()),
            values: Item::from([
                (":next".to_owned(), integer(next_at.as_millis())),
                (":tries".to_owned(), integer(i64::from(file.tries) + 1)),
                (":seen".to_owned(), integer(file.next_at.as_millis())),
            ]),
        };
        Ok(matches!(self.table.update(change, ReturnValue::None).await?, UpdateOutcome::Done(_)))
    }

    /// Registers a file of a phone's past. The line that stands for it is there already.
    pub async fn add(&self, file: &PendingFile) -> Result<(), StoreError> {
        self.table.put(&key(&file.number, &file.item), &row(file)).await
    }

    /// Removes a file that has arrived, or never will.
    pub async fn remove(&self, number: &PhoneNumberId, item: &KeyedHash<WorkItem>) -> Result<(), StoreError> {
        self.table.delete(&key(number, item)).await
    }
}

/// The write that registers a file, in one transaction with the link of its placeholder.
pub(crate) fn write(table: &Table, file: &PendingFile) -> Result<TransactWriteItem, StoreError> {
    let row = row(file);
    table.transact_put(with_key(&key(&row.file.number, &row.file.item), &row)?, None, Item::new())
}

fn row(file: &PendingFile) -> PendingRow {
    PendingRow { expires_at: (file.told_at() + PENDING_FILE_TTL).as_secs(), file: file.clone() }
}

fn key(number: &PhoneNumberId, item: &KeyedHash<WorkItem>) -> Key {
    ItemKey::PendingFile(number.clone(), item.clone()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: Timestamp = Timestamp::from_secs(1_795_190_400);

    fn file(tries: u32) -> PendingFile {
        PendingFile {
            number: PhoneNumberId::new("1"),
            wamid: Wamid::new("wamid.1"),
            item: KeyedHash::new("a"),
            customer: CustomerId::new("c"),
            account: AccountId(3),
            conversation: ConversationId(4),
            placeholder: MessageId(5),
            author: Author::Customer,
            group: "1#a".into(),
            media: MediaId::new("m"),
            kind: MediaKind::Image,
            mime_type: None,
            sent_at: SENT,
            past: None,
            tries,
            next_at: SENT,
        }
    }

    #[test]
    fn the_gaps_grow_until_the_last_day_and_meet_its_two_ends() {
        let (mut now, mut tries, mut asked) = (SENT, 0, Vec::new());
        while file(0).is_at_meta(now) {
            now = file(tries).after(now);
            asked.push(now.since(SENT).as_secs());
            tries += 1;
        }
        let gaps: Vec<u64> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(&asked[..4], [300, 900, 2_100, 4_500]);
        assert!(gaps.iter().all(|gap| *gap <= 6 * 3600), "{gaps:?}");
        assert!(asked.contains(&(6 * 86_400)) && asked.contains(&(7 * 86_400)), "{asked:?}");
        assert!(asked.len() < 50);
    }
}
