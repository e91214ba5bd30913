//! Records revoked messages and the Chatwoot messages that carry their text.
//! Either may come before the message itself, and all in any order.

use std::{collections::BTreeSet, time::Duration};

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, TransactWriteItem};
use domain::{ConversationId, CustomerId, HashKey, MessageId, Wamid};

use crate::{
    StoreError, Table,
    keys::{ItemKey, Key},
    table::{Item, ItemUpdate, UpdateOutcome, integer, strings, text},
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
        let values = Item::from([(":now".to_owned(), integer(self.table.now().as_secs()))]);
        self.table.transact_check(&self.at(wamid), "attribute_not_exists(revoked_at) OR expires_at <= :now", values)
    }

    fn at(&self, wamid: &Wamid) -> Key {
        ItemKey::Revocation(self.key.wamid(wamid)).into()
    }
}

fn read(item: &Item) -> Revocation {
    let followers: BTreeSet<_> = strings(item, "followers").filter_map(follower).collect();
    Revocation { revoked: item.contains_key("revoked_at"), followers: followers.into_iter().collect() }
}

fn follower(text: &str) -> Option<(ConversationId, MessageId)> {
    let (conversation, message) = text.split_once('/')?;
    Some((ConversationId(conversation.parse().ok()?), MessageId(message.parse().ok()?)))
}
