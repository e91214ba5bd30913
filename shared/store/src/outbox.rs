//! The outbox: agents' messages and the fate of their parts. `send` writes it before and after each call to Meta, `forward`
//! when a status tells how far a part came; neither ever overwrites what the other wrote.

use aws_sdk_dynamodb::types::{Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem};
use domain::{AccountId, ConversationId, CustomerId, MessageId, Outgoing};
use serde::{Deserialize, Serialize};

use crate::{
    Link, Links, StoreError, Table, conversations,
    table::{Item, Key, text, with_key},
};

/// An agent's message in the outbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The Chatwoot account.
    pub account: AccountId,
    /// The conversation.
    pub conversation: ConversationId,
    /// The message.
    pub message: MessageId,
    /// Whom it is for, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<CustomerId>,
    /// What became of it.
    pub outgoing: Outgoing,
    /// Changes with every write: a writer proves with it what it had read.
    stamp: String,
}

impl Entry {
    /// An entry not yet written.
    pub fn new(
        account: AccountId,
        conversation: ConversationId,
        message: MessageId,
        customer: Option<CustomerId>,
        outgoing: Outgoing,
    ) -> Self {
        Self { account, conversation, message, customer, outgoing, stamp: String::new() }
    }

    /// Whether it was never written.
    pub fn is_new(&self) -> bool {
        self.stamp.is_empty()
    }

    /// The same entry, changed but not yet written.
    #[must_use]
    pub fn with(self, outgoing: Outgoing) -> Self {
        Self { outgoing, ..self }
    }
}

#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    entry: &'a Entry,
    expires_at: i64,
}

/// The outbox.
#[derive(Clone, Debug)]
pub struct Outbox {
    table: Table,
}

impl Outbox {
    /// The outbox of this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// One message.
    pub async fn get(
        &self,
        account: AccountId,
        conversation: ConversationId,
        message: MessageId,
    ) -> Result<Option<Entry>, StoreError> {
        self.table.get(&key(account, conversation, message)).await
    }

    /// All messages of a conversation after `after`, in order.
    pub async fn after(
        &self,
        account: AccountId,
        conversation: ConversationId,
        after: Option<MessageId>,
    ) -> Result<Vec<Entry>, StoreError> {
        let from = MessageId(after.map_or(0, |id| id.0.saturating_add(1)));
        let first = key(account, conversation, from);
        let last = key(account, conversation, MessageId(i64::MAX));
        self.table.range(&first.pk, &first.sk, &last.sk).await
    }

    /// Writes an entry as it now is, unless somebody else wrote it since it was read: then theirs comes back.
    pub async fn save(&self, entry: Entry) -> Result<Result<Entry, Entry>, StoreError> {
        self.save_linked(entry, None).await
    }

    /// The same, and links the message to what Meta calls it, in one write.
    pub async fn save_linked(
        &self,
        entry: Entry,
        link: Option<(&Links, &Link)>,
    ) -> Result<Result<Entry, Entry>, StoreError> {
        let written = Entry { stamp: CustomerId::mint().as_str().to_owned(), ..entry.clone() };
        let key = key(entry.account, entry.conversation, entry.message);
        let row = Row { entry: &written, expires_at: self.table.kept_until() };
        let put = Put::builder()
            .table_name(&self.table.name)
            .set_item(Some(with_key(&key, &row)?))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let put = if entry.stamp.is_empty() {
            put.condition_expression("attribute_not_exists(pk)")
        } else {
            put.condition_expression("stamp = :seen")
                .set_expression_attribute_values(Some(Item::from([(":seen".to_owned(), text(&entry.stamp))])))
        };
        let mut writes = vec![TransactWriteItem::builder().put(put.build()?).build()];
        if let Some((links, link)) = link {
            writes.push(links.write(link)?);
        }
        for _ in 0..4 {
            if self.table.transact(writes.clone()).await? {
                return Ok(Ok(written));
            }
            // Either somebody else was first, or our own write was repeated by the SDK and met itself.
            match self.get(entry.account, entry.conversation, entry.message).await? {
                Some(current) if current.stamp == written.stamp => return Ok(Ok(written)),
                Some(current) if current.stamp != entry.stamp => return Ok(Err(current)),
                _ => {}
            }
        }
        Err(StoreError::Contended)
    }

    /// Reads, changes and writes an entry until nobody comes between. `change` returns nothing to leave it as it is.
    pub async fn change(
        &self,
        account: AccountId,
        conversation: ConversationId,
        message: MessageId,
        mut change: impl FnMut(&Outgoing) -> Option<Outgoing>,
    ) -> Result<Option<Entry>, StoreError> {
        let Some(mut entry) = self.get(account, conversation, message).await? else { return Ok(None) };
        for _ in 0..8 {
            let Some(outgoing) = change(&entry.outgoing) else { return Ok(Some(entry)) };
            match self.save(entry.with(outgoing)).await? {
                Ok(saved) => return Ok(Some(saved)),
                Err(current) => entry = current,
            }
        }
        Err(StoreError::Contended)
    }
}

fn key(account: AccountId, conversation: ConversationId, message: MessageId) -> Key {
    Key::new(conversations::key(account, conversation).pk, format!("message#{:019}", message.0))
}
