//! Stores Chatwoot's conversations.
//! Each item says whose conversation it is, and how far its agent messages are settled.

use std::collections::BTreeSet;

use domain::{
    AccountId, Channel, ContactId, ConversationId, CustomerId, MessageId, PhoneNumberId, Timestamp, Wamid,
    rate_limit::RecipientRateLimit,
};
use serde::{Deserialize, Serialize};

use crate::{
    CustomerStore, StoreError, Table,
    keys::{ItemKey, Key},
    table::{Item, ItemUpdate, integer, text},
    versioned::until_written,
};

/// A conversation as the bridge knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// The Chatwoot account.
    pub account: AccountId,
    /// Its id there.
    pub conversation: ConversationId,
    /// The number it belongs to.
    pub channel: PhoneNumberId,
    /// The customer, where one could be found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<CustomerId>,
    /// Since when the bridge has handled it; what is older is not ours to send.
    pub known_since: Timestamp,
    /// The settled mark: everything up to this message is handled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<MessageId>,
    /// When the last complete sync began: a sync request from before says nothing new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synced_at: Option<Timestamp>,
    /// When the agent was told that sending waits, if it still does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_note_at: Option<Timestamp>,
    /// When the agents were last told that something keeps the bridge busy by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub braked_at: Option<Timestamp>,
    /// The rounds in which the displayed status `failed` was removed from messages that had not failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repair: Option<RepairState>,
    /// The recipient rate: what was sent to this person lately.
    #[serde(default)]
    pub recipient_rate: RecipientRateLimit,
    /// The newest message any complete sync has listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<MessageId>,
    /// The customer's last message that is settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard: Option<LastHeard>,
    /// Up to which of the customer's messages read receipts were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticked: Option<MessageId>,
    /// When it was resolved, where the read receipts for that are still owed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<Timestamp>,
}

/// Rounds in which the displayed status `failed` was removed from messages that had not failed. Each causes callbacks, which may
/// fail and set it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepairState {
    /// When the first round was.
    pub since: Timestamp,
    /// How many there were.
    pub rounds: u32,
    /// From which message on some show as failed, or did when they were last seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub red: Option<Red>,
    /// Messages from which Chatwoot does not remove the displayed status `failed`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub stays: BTreeSet<MessageId>,
}

/// Where messages begin that show as failed: they are checked again only when something can be done about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Red {
    /// The first of them.
    pub from: MessageId,
    /// When the last of them is too old to be repaired.
    pub until: Timestamp,
}

/// Something the customer wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastHeard {
    /// Its id in Chatwoot.
    pub message: MessageId,
    /// Meta's id of it.
    pub wamid: Wamid,
    /// When it was written.
    pub at: Timestamp,
    /// Whether Meta's own agent had the chat: then the read receipt is not ours to send.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub standby: bool,
}

/// The result of a complete sync.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncResult {
    /// How far all is settled now.
    pub settled: Option<MessageId>,
    /// The newest message of the list.
    pub seen: Option<MessageId>,
    /// The customer's last message that is settled.
    pub heard: Option<LastHeard>,
}

/// The conversations.
#[derive(Clone, Debug)]
pub struct Conversations {
    table: Table,
}

impl Conversations {
    /// Conversations of this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// The conversation, if the bridge knows it.
    pub async fn get(&self, account: AccountId, id: ConversationId) -> Result<Option<Conversation>, StoreError> {
        self.table.get(&key(account, id)).await
    }

    /// Binds a customer's thread to a conversation just found or created: thread and conversation in one write. `pending` says that
    /// an import made it and keeps it from the agents' lists.
    pub async fn bind(
        &self,
        customers: &CustomerStore,
        customer: &CustomerId,
        channel: &Channel,
        contact: ContactId,
        id: ConversationId,
        pending: bool,
    ) -> Result<(), StoreError> {
        let put = self.table.transact_update(ItemUpdate {
            key: key(channel.account, id),
            update: "SET customer = :customer, channel = :channel, account = :account, conversation = :id, \
                     known_since = if_not_exists(known_since, :now), active_at = :active, expires_at = :end"
                .to_owned(),
            condition: None,
            values: Item::from([
                (":customer".to_owned(), text(customer.as_str())),
                (":channel".to_owned(), text(channel.phone_number_id.as_str())),
                (":account".to_owned(), integer(channel.account.0)),
                (":id".to_owned(), integer(id.0)),
                (":now".to_owned(), integer(self.table.now().as_millis())),
                (":active".to_owned(), integer(self.table.active_at().as_millis())),
                (":end".to_owned(), integer(self.table.kept_until())),
            ]),
        })?;
        let writes = vec![put, customers.bind(customer, &channel.phone_number_id, contact, id, pending)?];
        until_written(|| async { Ok(self.table.transact(writes.clone()).await?.then_some(())) }).await
    }

    /// Writes a conversation that an agent began, or an older one the bridge meets for the first time. What another writer has
    /// written of it meanwhile stays.
    pub async fn adopt(&self, conversation: &Conversation) -> Result<(), StoreError> {
        let mut update = "SET channel = :channel, account = :account, conversation = :id, active_at = :now, \
                          known_since = :since, expires_at = :end"
            .to_owned();
        let mut values = Item::from([
            (":channel".to_owned(), text(conversation.channel.as_str())),
            (":account".to_owned(), integer(conversation.account.0)),
            (":id".to_owned(), integer(conversation.conversation.0)),
            (":now".to_owned(), integer(self.table.now().as_millis())),
            (":since".to_owned(), integer(conversation.known_since.as_millis())),
            (":end".to_owned(), integer(self.table.kept_until())),
        ]);
        if let Some(customer) = &conversation.customer {
            update.push_str(", customer = :customer");
            values.insert(":customer".to_owned(), text(customer.as_str()));
        }
        let key = key(conversation.account, conversation.conversation);
        self.table.change(ItemUpdate { key, update, condition: None, values }).await
    }

    /// Records that a sync which began at `synced_at` completed, and what it found. If a message was reopened meanwhile, nothing
    /// is recorded: the sync did not see it.
    pub async fn record_sync(
        &self,
        conversation: &Conversation,
        synced_at: Timestamp,
        found: &SyncResult,
    ) -> Result<(), StoreError> {
        let mut update = "SET synced_at = :at".to_owned();
        let mut values = Item::from([(":at".to_owned(), integer(synced_at.as_millis()))]);
        for (name, id) in [("settled", found.settled), ("seen", found.seen)] {
            if let Some(id) = id {
                update.extend([", ", name, " = :", name]);
                values.insert(format!(":{name}"), integer(id.0));
            }
        }
        if let Some(heard) = &found.heard {
            update.push_str(", heard = :heard");
            values.insert(":heard".to_owned(), serde_dynamo::to_attribute_value(heard)?);
        }
        let unchanged = match conversation.settled {
            Some(seen) => {
                values.insert(":before".to_owned(), integer(seen.0));
                "settled = :before"
            }
            None => "attribute_exists(pk) AND attribute_not_exists(settled)",
        };
        let key = key(conversation.account, conversation.conversation);
        let change = ItemUpdate { key, update, condition: Some(unchanged.to_owned()), values };
        self.table.change(change).await
    }

    /// Records news of a settled message, so that the next sync handles it again.
    pub async fn reopen(
        &self,
        account: AccountId,
        conversation: ConversationId,
        message: MessageId,
    ) -> Result<(), StoreError> {
        let change = ItemUpdate {
            key: key(account, conversation),
            update: "SET settled = :before".to_owned(),
            condition: Some("settled >= :message".to_owned()),
            values: Item::from([
                (":before".to_owned(), integer(message.0 - 1)),
                (":message".to_owned(), integer(message.0)),
            ]),
        };
        self.table.change(change).await
    }

    /// Records that something was sent, which also keeps the conversation alive.
    pub async fn sent(&self, conversation: &Conversation, limit: RecipientRateLimit) -> Result<(), StoreError> {
        let values = Item::from([
            (":now".to_owned(), integer(self.table.now().as_millis())),
            (":end".to_owned(), integer(self.table.kept_until())),
            (":rate".to_owned(), integer(limit.paid_back_at().as_millis())),
        ]);
        let update = "SET active_at = :now, expires_at = :end, recipient_rate = :rate".to_owned();
        self.change(conversation, update, values).await
    }

    /// Records that Meta reported the recipient rate as used up.
    pub async fn set_rate_limit(
        &self,
        conversation: &Conversation,
        limit: RecipientRateLimit,
    ) -> Result<(), StoreError> {
        let values = Item::from([(":rate".to_owned(), integer(limit.paid_back_at().as_millis()))]);
        self.change(conversation, "SET recipient_rate = :rate".to_owned(), values).await
    }

    /// Records that nothing waits any more, so that the next delay is told again.
    pub async fn clear_wait_note(&self, conversation: &Conversation) -> Result<(), StoreError> {
        self.change(conversation, "REMOVE wait_note_at".to_owned(), Item::new()).await
    }

    /// Records that the agent was told that sending waits.
    pub async fn set_wait_note(&self, conversation: &Conversation) -> Result<(), StoreError> {
        let values = Item::from([(":now".to_owned(), integer(self.table.now().as_millis()))]);
        self.change(conversation, "SET wait_note_at = :now".to_owned(), values).await
    }

    /// Records that the agents were told of something that keeps the bridge busy by itself.
    pub async fn braked(&self, conversation: &Conversation) -> Result<(), StoreError> {
        let values = Item::from([(":now".to_owned(), integer(self.table.now().as_millis()))]);
        self.change(conversation, "SET braked_at = :now".to_owned(), values).await
    }

    /// Records how far the displayed status `failed` was removed from messages, and where some may be left.
    pub async fn set_repair_state(&self, conversation: &Conversation, repair: &RepairState) -> Result<(), StoreError> {
        let values = Item::from([(":repair".to_owned(), serde_dynamo::to_attribute_value(repair)?)]);
        self.change(conversation, "SET repair = :repair".to_owned(), values).await
    }

    /// Records up to which message read receipts were asked for; none are owed any more.
    pub async fn ticked(&self, conversation: &Conversation, message: MessageId) -> Result<(), StoreError> {
        let values = Item::from([(":message".to_owned(), integer(message.0))]);
        self.change(conversation, "SET ticked = :message REMOVE resolved_at".to_owned(), values).await
    }

    /// Records that the conversation was resolved and the read receipts for that are still owed.
    pub async fn owes_ticks(&self, conversation: &Conversation, resolved_at: Timestamp) -> Result<(), StoreError> {
        let values = Item::from([(":at".to_owned(), integer(resolved_at.as_millis()))]);
        self.change(conversation, "SET resolved_at = :at".to_owned(), values).await
    }

    async fn change(&self, conversation: &Conversation, update: String, values: Item) -> Result<(), StoreError> {
        let change = ItemUpdate {
            key: key(conversation.account, conversation.conversation),
            update,
            condition: Some("attribute_exists(pk)".to_owned()),
            values,
        };
        self.table.change(change).await
    }

    /// The conversations of a channel in which something happened since `since`, by the index `activity`.
    pub async fn active(
        &self,
        channel: &PhoneNumberId,
        since: Timestamp,
    ) -> Result<Vec<(AccountId, ConversationId)>, StoreError> {
        #[derive(Deserialize)]
        struct ConversationRow {
            account: AccountId,
            conversation: ConversationId,
        }
        let shown = self.table.pages_of_activity(channel, since).all().await?;
        let found = shown.into_iter().map(serde_dynamo::aws_sdk_dynamodb_1::from_item::<ConversationRow>);
        found.map(|found| found.map(|row| (row.account, row.conversation)).map_err(StoreError::from)).collect()
    }
}

pub(crate) fn key(account: AccountId, id: ConversationId) -> Key {
    ItemKey::Conversation(account, id).into()
}
