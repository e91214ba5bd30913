//! Links WhatsApp messages to Chatwoot messages.
//! Quotes and statuses are matched by these links.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::{PutRequest, ReturnValue, TransactWriteItem, WriteRequest};
use domain::{
    AccountId, Author, ConversationId, CustomerId, Delivery, HashKey, KeyedHash, MessageId, Timestamp, Wamid,
};
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, to_item};

use crate::{
    ClaimGuard, ItemLedger, ItemOutcome, PendingFile, Revocations, StoreError, Table,
    inbound::orphan_statuses,
    inbound::pending_media,
    keys::{ItemKey, Key},
    table::{Item, ItemUpdate, UpdateOutcome, integer, with_key},
    versioned::until_written,
};

/// A WhatsApp message and its Chatwoot message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageLink {
    /// Meta's id; a quote needs it as it is.
    pub wamid: Wamid,
    /// The customer whose conversation it is in.
    pub customer: CustomerId,
    /// The Chatwoot account.
    pub account: AccountId,
    /// The conversation.
    pub conversation: ConversationId,
    /// The message.
    pub message: MessageId,
    /// Who wrote it.
    pub author: Author,
    /// For an agent's message: which part of it, and which call sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<(usize, u32)>,
    /// When it was sent, as Meta says; not known of what the bridge sends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Timestamp>,
    /// Whether it stands in a note of imported history, beside other messages.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub imported: bool,
    /// A status that came before the message was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early: Option<Delivery>,
}

#[derive(Serialize)]
struct ImportedRow<'l> {
    #[serde(flatten)]
    link: &'l MessageLink,
    expires_at: i64,
}

/// What a status was matched with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatusMatch {
    /// The message is known.
    Known(Box<MessageLink>),
    /// It is not; the status waits.
    Unknown,
}

#[derive(Deserialize)]
struct OrphanRow {
    #[serde(default)]
    early: Option<Delivery>,
}

/// The links.
#[derive(Clone, Debug)]
pub struct MessageLinks {
    table: Table,
    key: HashKey,
}

impl MessageLinks {
    /// Links of this table, their wamids hashed under `key`.
    pub fn new(table: Table, key: HashKey) -> Self {
        Self { table, key }
    }

    /// The link of a message. An item that only holds an orphan status is not a link.
    pub async fn get(&self, wamid: &Wamid) -> Result<Option<MessageLink>, StoreError> {
        self.read(&self.at(wamid)).await
    }

    /// The links there are of these messages, in any order.
    pub async fn among<'w>(&self, wamids: impl IntoIterator<Item = &'w Wamid>) -> Result<Vec<MessageLink>, StoreError> {
        let keys: BTreeSet<Key> = wamids.into_iter().map(|wamid| self.at(wamid)).collect();
        let items = self.table.get_all(keys.into_iter().collect()).await?;
        let linked = items.into_iter().filter(|item| item.contains_key("message"));
        linked.map(|item| from_item(item).map_err(StoreError::from)).collect()
    }

    /// Links messages that stand in a note of imported history. They end by their own dates.
    pub async fn import(&self, links: &[MessageLink]) -> Result<(), StoreError> {
        let mut writes = Vec::with_capacity(links.len());
        for link in links {
            let expires_at = self.table.kept_since(link.sent_at.unwrap_or_default());
            let item = with_key(&self.at(&link.wamid), &ImportedRow { link, expires_at })?;
            writes
                .push(WriteRequest::builder().put_request(PutRequest::builder().set_item(Some(item)).build()?).build());
        }
        self.table.write_all(writes).await
    }

    /// Links a message that is now in Chatwoot, closes its claim and counts it: one write.
    pub async fn close(
        &self,
        link: &MessageLink,
        counters: &ItemLedger,
        channel: &str,
        guard: &ClaimGuard,
    ) -> Result<(), StoreError> {
        counters.close_with(channel, guard, ItemOutcome::Done, vec![self.write(link)?], None).await.map(|_| ())
    }

    /// The same for a message its author may have revoked in the meantime, and whose file may still be to come. If it was
    /// revoked, nothing is written and `false` is returned.
    pub async fn close_unless_revoked(
        &self,
        link: &MessageLink,
        counters: &ItemLedger,
        revocations: &Revocations,
        channel: &str,
        guard: &ClaimGuard,
        missing: Option<&PendingFile>,
    ) -> Result<bool, StoreError> {
        let mut writes = vec![self.write(link)?];
        if let Some(missing) = missing {
            writes.push(pending_media::write(&self.table, missing)?);
        }
        counters
            .close_with(channel, guard, ItemOutcome::Done, writes, Some(revocations.not_revoked(&link.wamid)?))
            .await
    }

    /// The write that links a message; an orphan status stays where it is, to be read back.
    pub(crate) fn write(&self, link: &MessageLink) -> Result<TransactWriteItem, StoreError> {
        let row: Item = to_item(MessageLink { early: None, ..link.clone() })?;
        let mut sets: Vec<String> = Vec::new();
        let mut values = Item::from([(":end".to_owned(), integer(self.table.kept_until()))]);
        for (name, value) in row {
            sets.push(format!("{name} = :{name}"));
            values.insert(format!(":{name}"), value);
        }
        sets.sort();
        // An echo of what the bridge itself sent must not replace that link.
        let may_be_an_echo = link.author == Author::Business && link.part.is_none();
        let condition = may_be_an_echo.then(|| {
            values.insert(":now".to_owned(), integer(self.table.now().as_secs()));
            "attribute_not_exists(part) OR expires_at <= :now".to_owned()
        });
        self.table.transact_update(ItemUpdate {
            key: self.at(&link.wamid),
            update: format!("SET expires_at = :end, {}", sets.join(", ")),
            condition,
            values,
        })
    }

    /// The message a status is about; if it is unknown, the status is kept for a day and merged with others like it.
    pub async fn match_status(&self, wamid: &Wamid, delivery: Delivery) -> Result<StatusMatch, StoreError> {
        until_written(|| async {
            let item = self.table.item(&self.at(wamid)).await?;
            if item.as_ref().is_some_and(|item| item.contains_key("message")) {
                return Ok(Some(StatusMatch::Known(Box::new(from_item(item.unwrap_or_default())?))));
            }
            let seen: OrphanRow = item.map(from_item).transpose()?.unwrap_or(OrphanRow { early: None });
            let merged = seen.early.map_or(delivery, |early| early.merge(delivery));
            let change = ItemUpdate {
                key: self.at(wamid),
                update: "SET early = :merged, expires_at = :end".to_owned(),
                condition: Some("attribute_not_exists(message) OR expires_at <= :now".to_owned()),
                values: Item::from([
                    (":now".to_owned(), integer(self.table.now().as_secs())),
                    (":merged".to_owned(), serde_dynamo::to_attribute_value(merged)?),
                    (":end".to_owned(), integer((self.table.now() + orphan_statuses::ORPHAN_MAX_WAIT).as_secs())),
                ]),
            };
            let written = self.table.update(change, ReturnValue::None).await?;
            Ok(matches!(written, UpdateOutcome::Done(_)).then_some(StatusMatch::Unknown))
        })
        .await
    }

    /// The status that had come before the message was linked.
    pub async fn orphan_status(&self, wamid: &Wamid) -> Result<Option<Delivery>, StoreError> {
        Ok(self.table.get::<OrphanRow>(&self.at(wamid)).await?.and_then(|row| row.early))
    }

    /// The hash under which a message's link is kept.
    pub fn hash(&self, wamid: &Wamid) -> KeyedHash<Wamid> {
        self.key.wamid(wamid)
    }

    /// The link with this hash, with its orphan status if there is one.
    pub async fn of_hash(&self, hash: &KeyedHash<Wamid>) -> Result<Option<MessageLink>, StoreError> {
        self.read(&key(hash)).await
    }

    async fn read(&self, key: &Key) -> Result<Option<MessageLink>, StoreError> {
        match self.table.item(key).await? {
            Some(item) if item.contains_key("message") => Ok(Some(from_item(item)?)),
            _ => Ok(None),
        }
    }

    fn at(&self, wamid: &Wamid) -> Key {
        key(&self.hash(wamid))
    }
}

pub(crate) fn key(hash: &KeyedHash<Wamid>) -> Key {
    ItemKey::Link(hash.clone()).into()
}
