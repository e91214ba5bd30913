//! Records revoked messages and the Chatwoot messages that carry their text.
//! Either may come before the message itself, and all in any order.

use std::{collections::HashSet, time::Duration};

use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, ReturnValue, TransactWriteItem};
use domain::{ConversationId, CustomerId, HashKey, MessageId, Wamid, keyed_hash::HashKind};

use crate::{
    StoreError, Table,
    table::{Item, ItemUpdate, Key, UpdateOutcome, integer, text},
};

/// How long a revocation is remembered: longer than Meta repeats the message (§1.3).
const REVOCATION_TTL: Duration = Duration::from_secs(15 * 86_400);

/// What is known of a message beside its link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revocation {
    /// Whether its author deleted it for everyone.
    pub revoked: bool,
    /// Further messages with its text: its edits.
    pub followers: Vec<(ConversationId, MessageId)>,
}

/// The revocations.
#[derive(Clone, Debug)]
pub struct Revocations {
    table: Table,
    key: HashKey,
}

impl Revocations {
    /// Revocations in this table, wamids hashed under `key`.
    pub fn new(table: Table, key: HashKey) -> Self {
        Self { table, key }
    }

    /// What is known of a message.
    pub async fn get(&self, wamid: &Wamid) -> Result<Revocation, StoreError> {
        Ok(self.table.item(&self.at(wamid)).await?.map(|item| read(&item)).unwrap_or_default())
    }

    /// Records that a message was revoked. It must not be shown any more, whenever it comes.
    pub async fn revoke(&self, wamid: &Wamid, customer: Option<&CustomerId>) -> Result<Revocation, StoreError> {
        let values = Item::from([
            (":now".to_owned(), integer(self.table.now().as_millis())),
            (":end".to_owned(), integer((self.table.now() + REVOCATION_TTL).as_secs())),
        ]);
        self.change(wamid, customer, "SET revoked_at = if_not_exists(revoked_at, :now), expires_at = :end", values)
            .await
    }

    /// Records that a further message carries text of this one.
    pub async fn follow(
        &self,
        wamid: &Wamid,
        customer: &CustomerId,
        conversation: ConversationId,
        message: MessageId,
    ) -> Result<Revocation, StoreError> {
        let values = Item::from([
            (":one".to_owned(), AttributeValue::Ss(vec![format!("{conversation}/{message}")])),
            (":end".to_owned(), integer(self.table.kept_until())),
        ]);
        self.change(wamid, Some(customer), "ADD followers :one SET expires_at = :end", values).await
    }

    async fn change(
        &self,
        wamid: &Wamid,
        customer: Option<&CustomerId>,
        update: &str,
        mut values: Item,
    ) -> Result<Revocation, StoreError> {
        let mut update = update.to_owned();
        if let Some(customer) = customer {
            update.push_str(", customer = :customer");
            values.insert(":customer".to_owned(), text(customer.as_str()));
        }
        let change = ItemUpdate { key: self.at(wamid), update, condition: None, values };
        match self.table.update(change, ReturnValue::AllNew).await? {
            UpdateOutcome::Done(Some(item)) => Ok(read(&item)),
            UpdateOutcome::Done(None) | UpdateOutcome::Refused(_) => Err(StoreError::Contended),
        }
    }

    /// The condition that a message was not revoked, for the write that links it.
    pub(crate) fn not_revoked(&self, wamid: &Wamid) -> Result<TransactWriteItem, StoreError> {
        let check = ConditionCheck::builder()
            .table_name(&self.table.name)
            .set_key(Some(self.at(wamid).item()))
            .condition_expression("attribute_not_exists(revoked_at) OR expires_at <= :now")
            .expression_attribute_values(":now", integer(self.table.now().as_secs()))
            .build()?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }

    fn at(&self, wamid: &Wamid) -> Key {
        Key::new(format!("wamid#{}", self.key.subject(HashKind::Wamid, wamid.as_str())), "trace")
    }
}

fn read(item: &Item) -> Revocation {
    let followers = item.get("followers").and_then(|set| set.as_ss().ok());
    let followers: HashSet<_> = followers.into_iter().flatten().filter_map(|text| follower(text)).collect();
    let mut followers: Vec<_> = followers.into_iter().collect();
    followers.sort_unstable();
    Revocation { revoked: item.contains_key("revoked_at"), followers }
}

fn follower(text: &str) -> Option<(ConversationId, MessageId)> {
    let (conversation, message) = text.split_once('/')?;
    Some((ConversationId(conversation.parse().ok()?), MessageId(message.parse().ok()?)))
}
