//! This module handles callbacks that carry no message. An agent types, resolves a conversation, or writes a command. A lost
//! callback of these is not searched for, except a command's, which `send` finds in the conversation.

use app::HandlerError;
use chatwoot::callback::{CallbackOrigin, ConversationChange};
use domain::{Channel, CommandNote, OutboundTask, SyncRequest, Typing};
use uuid::Uuid;

use crate::Handler;

/// The dashboard reports typing again after each pause; reports within this many seconds count as one.
const TYPING_INTERVAL_SECONDS: i64 = 5;

impl Handler {
    /// Queues the typing report instead of calling Meta: fetching Meta's token and Meta's ten seconds do not fit into a function
    /// that has to answer in five.
    pub(crate) async fn typing(&self, channel: &Channel, origin: &CallbackOrigin) {
        let now = self.base.clock.now();
        if !is_of(channel, origin) || !channel.shows_typing(now) {
            return;
        }
        let (number, account, conversation) = (channel.phone_number_id.clone(), channel.account, origin.conversation);
        let dedup = format!("typing:{number}:{conversation}:{}", now.as_secs().div_euclid(TYPING_INTERVAL_SECONDS));
        let task = OutboundTask::TypingV1(Typing { channel: number, account, conversation, at: now });
        self.offer(&task, dedup).await;
    }

    /// Requests a sync of the conversation, which sends read receipts for what the customer had written by now.
    pub(crate) async fn resolved(&self, channel: &Channel, origin: &CallbackOrigin) {
        let now = self.base.clock.now();
        if !is_of(channel, origin) || !channel.shows_read(now) {
            return;
        }
        let sync = SyncRequest::new(channel.phone_number_id.clone(), channel.account, origin.conversation);
        let task = OutboundTask::SyncRequestV1(SyncRequest { resolved_at: Some(now), ..sync });
        self.offer(&task, Uuid::new_v4().to_string()).await;
    }

    /// A receipt that could not be queued is no error.
    async fn offer(&self, task: &OutboundTask, dedup: String) {
        if let Err(error) = self.put(task, dedup).await {
            tracing::info!(%error, "a receipt could not be queued; the next one does its work");
        }
    }

    pub(crate) async fn command(&self, channel: &Channel, change: &ConversationChange) -> Result<(), HandlerError> {
        let written = CommandNote {
            channel: channel.phone_number_id.clone(),
            account: change.account,
            conversation: change.conversation,
            message: change.message,
        };
        let dedup = written.dedup();
        self.put(&OutboundTask::CommandV1(written), dedup).await
    }
}

fn is_of(channel: &Channel, origin: &CallbackOrigin) -> bool {
    origin.inbox == channel.inbox && origin.account.is_none_or(|account| account == channel.account)
}
