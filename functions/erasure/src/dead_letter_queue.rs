//! Receives, hides, shows and deletes the messages of a dead-letter queue.

use app::HandlerError;
use aws_sdk_sqs::types::{ChangeMessageVisibilityBatchRequestEntry, Message, MessageSystemAttributeName};
use domain::{RefusalReason, Timestamp};
use queue::{DeadLetters, Queue, QueueError};

use crate::{Handler, dead_letter};

/// How long a dead letter is invisible while the others are checked; longer than the function runs.
const VISIBILITY_SECONDS: i32 = 600;

/// A receive that waits asks all of SQS's servers. One that does not wait asks some, and an empty answer proves nothing.
const ASKS_ALL: i32 = 1;

/// More dead letters than an operator leaves in a queue, and than one sweep handles.
pub(crate) const MAX_DEAD_LETTERS: usize = 20_000;

/// A queue of dead letters.
#[derive(Clone, Debug)]
pub(crate) struct DeadLetterQueue {
    sqs: aws_sdk_sqs::Client,
    url: String,
}

impl DeadLetterQueue {
    pub(crate) fn new(sqs: aws_sdk_sqs::Client, url: String) -> Self {
        Self { sqs, url }
    }

    /// Gives how many messages it holds in all.
    pub(crate) async fn holds(&self) -> Result<u64, QueueError> {
        Queue::new(self.sqs.clone(), self.url.clone()).holds().await
    }

    pub(crate) async fn receive(&self) -> Result<Vec<Message>, QueueError> {
        let request = self
            .sqs
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(10)
            .wait_time_seconds(ASKS_ALL)
            .visibility_timeout(VISIBILITY_SECONDS)
            .message_system_attribute_names(MessageSystemAttributeName::MessageGroupId)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .message_attribute_names("All");
        let answer = request.send().await.map_err(QueueError::call)?;
        Ok(answer.messages.unwrap_or_default())
    }

    pub(crate) async fn remove(&self, message: &Message) -> Result<(), QueueError> {
        let request = self.sqs.delete_message().queue_url(&self.url);
        request.set_receipt_handle(message.receipt_handle.clone()).send().await.map_err(QueueError::call)?;
        Ok(())
    }

    /// Puts a dead letter back in a message group of its own, so that what is behind it can be received. Gives the copy's id,
    /// if it is a whole dead letter; nothing at all if another worker may have it in hand, who would put it back as well.
    pub(crate) async fn put_back_alone(&self, message: &Message) -> Result<Option<String>, QueueError> {
        let receipt: Vec<&String> = message.receipt_handle.iter().collect();
        if !self.hide(&receipt, VISIBILITY_SECONDS).await? {
            return Ok(None);
        }
        let copy = dead_letter::alone(message)?.queue_url(&self.url).send_with(&self.sqs).await;
        // A piece is handled again when it is received, with the others of its dead letter.
        let id = copy.map_err(QueueError::call)?.message_id.filter(|_| dead_letter::piece(message).is_none());
        self.remove(message).await?;
        Ok(id)
    }

    /// Puts back the part of a dead letter that is about others.
    pub(crate) async fn put_rest(&self, of: &Message, rest: &str) -> Result<(), QueueError> {
        let reason = dead_letter::attribute(of, "reason").unwrap_or(RefusalReason::UnreadableItem.word());
        let dead_letters = DeadLetters::new(self.sqs.clone(), self.url.clone());
        let beside = dead_letter::beside(of);
        dead_letters.put_beside(&dead_letter::own_group(), rest.as_bytes(), reason, &beside).await
    }

    /// Makes dead letters visible again that were only checked.
    pub(crate) async fn show<'r>(&self, receipts: impl DoubleEndedIterator<Item = &'r String>) {
        // The last first, or the first would be overtaken.
        let receipts: Vec<&String> = receipts.rev().collect();
        for some in receipts.chunks(10) {
            if self.hide(some, 0).await.is_err() {
                tracing::debug!("kept dead letters become visible again by themselves");
            }
        }
    }

    /// Keeps up to ten dead letters invisible for so long from now. Tells whether all of them still were.
    async fn hide(&self, receipts: &[&String], seconds: i32) -> Result<bool, QueueError> {
        let mut request = self.sqs.change_message_visibility_batch().queue_url(&self.url);
        for (at, receipt) in receipts.iter().enumerate() {
            let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(at.to_string())
                .receipt_handle(*receipt)
                .visibility_timeout(seconds);
            request = request.entries(entry.build()?);
        }
        Ok(request.send().await.map_err(QueueError::call)?.failed.is_empty())
    }

    /// Deletes what was put back and is by now older than its queue would have kept it; tells how many.
    async fn delete_overdue(&self, now: Timestamp) -> Result<usize, QueueError> {
        let (mut kept, mut deleted) = (Vec::new(), 0);
        while kept.len() < MAX_DEAD_LETTERS {
            let page = self.receive().await?;
            if page.is_empty() {
                break;
            }
            for message in page {
                if dead_letter::is_overdue(&message, now) {
                    self.remove(&message).await?;
                    deleted += 1;
                } else {
                    kept.extend(message.receipt_handle);
                }
            }
        }
        self.show(kept.iter()).await;
        Ok(deleted)
    }
}

impl Handler {
    /// Deletes overdue dead letters from every queue. Each of these is in a message group of its own, so that nothing hides
    /// it; what is not visible today is visible tomorrow.
    pub(crate) async fn delete_overdue_dead_letters(&self) -> Result<(), HandlerError> {
        for queue in &self.dead {
            let deleted = queue.delete_overdue(self.clients.clock.now()).await?;
            if deleted > 0 {
                tracing::info!(dead_letters = deleted, "deleted dead letters past their days");
            }
        }
        Ok(())
    }
}
