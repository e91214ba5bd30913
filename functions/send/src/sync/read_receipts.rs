//! Shows customers that an agent has read or is typing. Blue ticks appear once there is an answer, or nothing more
//! to answer. Both are optional: each is tried briefly, beside all messages, and a failure is no error.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use app::HandlerError;
use chatwoot::listing::ListedMessage;
use domain::{Channel, Class, Classify as _, MessageId, PhoneNumberId, Timestamp, Typing, Wamid, window};
use futures_util::{StreamExt as _, stream};
use store::{Conversation, LastHeard};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::timeout,
};

use super::{SyncJob, TrackedMessage};
use crate::{Handler, delivery::ConversationContext};

/// What a read receipt may take: the end of the batch waits for it.
const READ_RECEIPT_TIMEOUT: Duration = Duration::from_secs(2);

/// What finding the message may take under which typing is shown.
const TYPING_TIMEOUT: Duration = Duration::from_secs(5);

/// Meta shows typing for 25 s; a report later than this may be about typing that ended long ago.
const TYPING_MAX_AGE: Duration = Duration::from_secs(20);

/// After a failed call for a number, no other call is made for it for this long.
const RECEIPT_COOLDOWN: Duration = Duration::from_secs(60);

/// Numbers for which no receipts are tried for now, each until its time.
#[derive(Debug, Default)]
pub(crate) struct ReceiptCooldown(Mutex<HashMap<PhoneNumberId, Timestamp>>);

impl ReceiptCooldown {
    fn begin(&self, number: &PhoneNumberId, now: Timestamp) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(number.clone(), now + RECEIPT_COOLDOWN);
    }

    fn holds(&self, number: &PhoneNumberId, now: Timestamp) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(number).is_some_and(|until| now < *until)
    }
}

/// Where syncs put the read receipts that are due.
#[derive(Debug)]
pub(crate) struct ReadReceiptQueue(UnboundedSender<ReadReceipt>);

/// Where they are taken out.
type ReadReceipts = UnboundedReceiver<ReadReceipt>;

/// A queue of read receipts that lasts for one batch.
pub(crate) fn read_receipt_queue() -> (ReadReceiptQueue, ReadReceipts) {
    let (queue, taken) = unbounded_channel();
    (ReadReceiptQueue(queue), taken)
}

#[derive(Debug)]
pub(crate) struct ReadReceipt {
    channel: Channel,
    conversation: Conversation,
    message: MessageId,
    wamid: Wamid,
    /// When the conversation was resolved, if it was.
    resolved_at: Option<Timestamp>,
}

impl ReadReceiptQueue {
    /// Queues the read receipt a sync found due: for what the customer had written before an answer that is out, or before the
    /// conversation was resolved.
    pub(super) fn note(
        &self,
        job: &SyncJob<'_>,
        context: &ConversationContext<'_>,
        messages: &[TrackedMessage],
        now: Timestamp,
    ) {
        if !context.channel.shows_read(now) {
            return;
        }
        let out =
            |one: &&TrackedMessage| one.message.is_answer() && one.parts().iter().any(|part| part.wamid().is_some());
        let answer = messages.iter().rev().find(out).map(|one| one.message.id);
        let resolved_at = job.request.resolved_at.max(context.conversation.resolved_at);
        if answer.is_none() && resolved_at.is_none() {
            return;
        }
        let seen = |heard: &LastHeard| {
            answer.is_some_and(|answer| heard.message < answer) || resolved_at.is_some_and(|at| heard.at <= at)
        };
        let listed = messages.iter().rev().filter_map(|one| heard(&one.message));
        let mut all = listed.chain(context.conversation.heard.clone()).peekable();
        if all.peek().is_some_and(|newest| newest.standby) {
            return;
        }
        let last = all.filter(|heard| !heard.standby).find(seen);
        let Some(last) = last.filter(|last| context.conversation.ticked < Some(last.message)) else { return };
        let receipt = ReadReceipt {
            channel: context.channel.clone(),
            conversation: context.conversation.clone(),
            message: last.message,
            wamid: last.wamid,
            resolved_at,
        };
        if self.0.send(receipt).is_err() {
            tracing::info!("read receipt due after its batch; the next sync sends it");
        }
    }
}

/// What the customer wrote in a message, if Meta has an id of it. While Meta's own agent has the chat, the bridge only listens:
/// no read receipt and no typing, not even for earlier messages.
pub(super) fn heard(message: &ListedMessage) -> Option<LastHeard> {
    let overheard = message.overheard();
    let standby = overheard.is_some();
    let wamid = message.heard().or(overheard)?;
    Some(LastHeard { message: message.id, wamid, at: message.created_at()?, standby })
}

impl Handler {
    /// Sends read receipts as they come due: one conversation's receipts do not wait for another's messages, nor its messages
    /// for a receipt.
    pub(crate) async fn send_read_receipts(&self, mut due: ReadReceipts, until: Timestamp) {
        stream::poll_fn(|context| due.poll_recv(context))
            .for_each_concurrent(None, |receipt| async move {
                let ReadReceipt { channel, conversation, message, wamid, .. } = &receipt;
                let left = until.since(self.clients.clock.now()).min(READ_RECEIPT_TIMEOUT);
                let marked = self.mark_read(channel, conversation, *message, wamid, false);
                let made = timeout(left, marked).await.unwrap_or_else(|_| {
                    self.receipt_cooldown.begin(&channel.phone_number_id, self.clients.clock.now());
                    false
                });
                if !made {
                    self.owe_read_receipt(&receipt).await;
                }
            })
            .await;
    }

    /// Notes a read receipt that failed. The next sync makes up for one that an answer asked for; that the conversation was
    /// resolved it would not know.
    async fn owe_read_receipt(&self, ReadReceipt { conversation, resolved_at, .. }: &ReadReceipt) {
        let Some(resolved_at) = resolved_at.filter(|at| conversation.resolved_at < Some(*at)) else { return };
        if let Err(error) = self.clients.conversations.owes_ticks(conversation, resolved_at).await {
            tracing::info!(%error, "read receipt owed was not noted; the next answer sends it");
        }
    }

    /// Shows that an agent is typing, unless it is too late for that, the text is out already, or there is no recent customer
    /// message to show it under. It is shown after an answer, too: more of it is coming.
    pub(crate) async fn typing(&self, typing: &Typing) {
        match timeout(TYPING_TIMEOUT, self.show_typing(typing)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::info!(%error, "typing not shown"),
            Err(_) => self.receipt_cooldown.begin(&typing.channel, self.clients.clock.now()),
        }
    }

    async fn show_typing(&self, typing: &Typing) -> Result<(), HandlerError> {
        let now = self.clients.clock.now();
        let channel = self.clients.channels.get(&typing.channel).await?;
        let Some(channel) = channel.filter(|channel| channel.shows_typing(now)) else { return Ok(()) };
        if now.since(typing.at) > TYPING_MAX_AGE || self.receipt_cooldown.holds(&typing.channel, now) {
            return Ok(());
        }
        let known = self.clients.conversations.get(typing.account, typing.conversation).await?;
        let Some(conversation) = known.filter(|known| known.channel == channel.phone_number_id) else { return Ok(()) };
        let chatwoot = self.clients.chatwoot(channel.account).await?;
        // The newest page is enough; older messages are in the table.
        let listed = chatwoot.messages(typing.conversation, None, now).await?;
        let written_since = |message: &ListedMessage| {
            message.is_for_customer() && message.created_at().is_some_and(|at| at.as_secs() >= typing.at.as_secs())
        };
        if listed.iter().any(written_since) {
            return Ok(());
        }
        let last = listed.iter().rev().find_map(heard).or(conversation.heard.clone());
        // Once the window has closed, no answer is about to come.
        let Some(last) = last.filter(|last| now.since(last.at) < window::WINDOW_LENGTH && !last.standby) else {
            return Ok(());
        };
        self.mark_read(&channel, &conversation, last.message, &last.wamid, true).await;
        Ok(())
    }

    /// Makes one call, and notes that Meta answered it; tells whether it did. A missed one is made at the next sync, or with the
    /// next answer, since Meta ticks all earlier messages, too.
    async fn mark_read(
        &self,
        channel: &Channel,
        conversation: &Conversation,
        message: MessageId,
        wamid: &Wamid,
        typing: bool,
    ) -> bool {
        let number = &channel.phone_number_id;
        if self.receipt_cooldown.holds(number, self.clients.clock.now()) {
            return false;
        }
        let Ok(graph) = self.clients.graph(channel).await else { return false };
        if let Err(error) = graph.mark_read(number, wamid, typing).await {
            tracing::info!(%error, channel.id = %number, "read receipt not sent");
            if matches!(error.class(), Class::Transient { .. }) {
                self.receipt_cooldown.begin(number, self.clients.clock.now());
                return false;
            }
        }
        if conversation.ticked < Some(message)
            && let Err(error) = self.clients.conversations.ticked(conversation, message).await
        {
            tracing::info!(%error, "read receipt not noted; it is sent once more");
        }
        true
    }
}
