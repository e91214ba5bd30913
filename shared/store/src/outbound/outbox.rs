//! Stores agents' messages and what became of their parts.
//! `send` writes the outbox before and after each call to Meta, and `forward` when a status tells how far a part came. Neither
//! ever overwrites what the other wrote.

use std::ops::ControlFlow;

use domain::{AccountId, ConversationId, CustomerId, InvalidTransition, MessageId, Outgoing};
use serde::{Deserialize, Serialize};

use crate::{
    MessageLink, MessageLinks, StoreError, Table,
    keys::{ItemKey, Key, Range},
    table::{Item, text, with_key},
    versioned::{until_written, until_written_from},
};

/// An agent's message in the outbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxEntry {
    /// The Chatwoot account.
    pub account: AccountId,
    /// The conversation.
    pub conversation: ConversationId,
    /// The message.
    pub message: MessageId,
    /// The customer it is for, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<CustomerId>,
    /// What became of it.
    pub outgoing: Outgoing,
    /// Changes with every write: a write succeeds only if the entry is still as its writer read it.
    stamp: String,
}

impl OutboxEntry {
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

/// What became of a write.
enum Saved {
    /// It is done.
    Done(OutboxEntry),
    /// Another writer changed the entry since it was read.
    Theirs(OutboxEntry),
    /// The entry was deleted since.
    Gone,
}

#[derive(Serialize)]
struct OutboxRow<'a> {
    #[serde(flatten)]
    entry: &'a OutboxEntry,
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
    ) -> Result<Option<OutboxEntry>, StoreError> {
        self.table.get(&key(account, conversation, message)).await
    }

    /// All messages of a conversation after `after`, in order.
    pub async fn after(
        &self,
        account: AccountId,
        conversation: ConversationId,
        after: Option<MessageId>,
    ) -> Result<Vec<OutboxEntry>, StoreError> {
        let from = MessageId(after.map_or(0, |id| id.0.saturating_add(1)));
        self.table.range(Range::outbox(account, conversation, from)).await
    }

    /// Writes an entry as it is now, unless another writer changed it since it was read: then theirs is returned.
    pub async fn save(&self, entry: OutboxEntry) -> Result<Result<OutboxEntry, OutboxEntry>, StoreError> {
        self.save_linked(entry, None).await
    }

    /// The same, and links the message to its wamid, in one write.
    pub async fn save_linked(
        &self,
        entry: OutboxEntry,
        link: Option<(&MessageLinks, &MessageLink)>,
    ) -> Result<Result<OutboxEntry, OutboxEntry>, StoreError> {
        match self.write(entry, link).await? {
            Saved::Done(entry) => Ok(Ok(entry)),
            Saved::Theirs(entry) => Ok(Err(entry)),
            Saved::Gone => Err(StoreError::Contended),
        }
    }

    async fn write(
        &self,
        entry: OutboxEntry,
        link: Option<(&MessageLinks, &MessageLink)>,
    ) -> Result<Saved, StoreError> {
        let written = OutboxEntry { stamp: CustomerId::mint().as_str().to_owned(), ..entry.clone() };
        let key = key(entry.account, entry.conversation, entry.message);
        let row = OutboxRow { entry: &written, expires_at: self.table.kept_until() };
        let item = with_key(&key, &row)?;
        let (condition, seen) = if entry.is_new() {
            ("attribute_not_exists(pk)", Item::new())
        } else {
            ("stamp = :seen", Item::from([(":seen".to_owned(), text(&entry.stamp))]))
        };
        until_written(|| async {
            // A transaction costs twice what a plain write costs.
            let is_written = match &link {
                None => self.table.put_if(item.clone(), condition, seen.clone()).await?,
                Some((links, link)) => {
                    let put = self.table.transact_put(item.clone(), Some(condition), seen.clone())?;
                    self.table.transact(vec![put, links.write(link)?]).await?
                }
            };
            if is_written {
                return Ok(Some(Saved::Done(written.clone())));
            }
            // Either another writer was first, or the SDK repeated our own write, which then met itself.
            Ok(match self.get(entry.account, entry.conversation, entry.message).await? {
                Some(current) if current.stamp == written.stamp => Some(Saved::Done(current)),
                Some(current) if current.stamp != entry.stamp => Some(Saved::Theirs(current)),
                None if !entry.is_new() => Some(Saved::Gone),
                _ => None,
            })
        })
        .await
    }

    /// Changes an entry as it was read, or as another writer left it since, and writes it if `change` changed it. Nothing is
    /// returned if the entry no longer exists.
    pub async fn change(
        &self,
        entry: &OutboxEntry,
        mut change: impl FnMut(&mut Outgoing) -> Result<(), InvalidTransition>,
    ) -> Result<Option<OutboxEntry>, StoreError> {
        until_written_from(entry.clone(), |entry| {
            let mut outgoing = entry.outgoing.clone();
            let changed = change(&mut outgoing);
            async move {
                changed?;
                if outgoing == entry.outgoing {
                    return Ok(ControlFlow::Break(Some(entry)));
                }
                Ok(match self.write(entry.with(outgoing), None).await? {
                    Saved::Done(saved) => ControlFlow::Break(Some(saved)),
                    Saved::Theirs(theirs) => ControlFlow::Continue(theirs),
                    Saved::Gone => ControlFlow::Break(None),
                })
            }
        })
        .await
    }
}

fn key(account: AccountId, conversation: ConversationId, message: MessageId) -> Key {
    ItemKey::Outgoing(account, conversation, message).into()
}
