//! Proves with drain markers that the queues hold nothing of a person. No one can read a queue's content, but a drain
//! marker put behind everything in a message group comes out last.

use std::time::Duration;

use app::HandlerError;
use domain::{DrainMarker, HistoryTask, InboundTask, MessageGroup, OutboundTask, erasure::DataLocation};
use queue::QueueMessage;
use uuid::Uuid;

use crate::{locations::ClearOutcome, run::ErasureRun};

/// A drain marker that is out for so long may have been lost: queues keep nothing for ever.
const DRAIN_MARKER_LOST_AFTER: Duration = Duration::from_secs(86_400);

impl ErasureRun<'_> {
    pub(crate) async fn clear_queue(&mut self, location: DataLocation) -> Result<ClearOutcome, HandlerError> {
        let (code, erasures) = (self.code(), &self.handler.clients.erasures);
        let known = erasures.data_subject(code).await?.unwrap_or_default().aliases;
        // What was learnt meanwhile leads to further message groups.
        if !erasures.awaited(code, queue_name(location)).await?.is_empty()
            || !erasures.learnt(code).await?.is_subset(&known)
        {
            return Ok(ClearOutcome::Later);
        }
        if location == DataLocation::InboundQueue {
            let dropped = erasures.dropped(code).await?;
            self.note(location, usize::try_from(dropped).unwrap_or(usize::MAX)).await?;
        }
        Ok(ClearOutcome::Clear)
    }

    /// Puts a drain marker into every message group in which something of theirs may be.
    pub(crate) async fn put_drain_markers(&mut self) -> Result<(), HandlerError> {
        let now = self.now();
        let queues = [DataLocation::InboundQueue, DataLocation::OutboundQueue];
        if queues.iter().all(|queue| self.cleared_at(*queue).is_some())
            || self.subject.marked_at.is_some_and(|at| now.since(at) < DRAIN_MARKER_LOST_AFTER)
        {
            return Ok(());
        }
        let mut groups = Vec::with_capacity(queues.len());
        for queue in queues {
            groups.push(self.groups_to_drain(queue).await?);
        }
        for (queue, groups) in queues.into_iter().zip(groups) {
            self.drain(queue, groups).await?;
        }
        self.subject.marked_at = Some(now);
        Ok(self.save_subject().await?)
    }

    /// Gives the message groups of a queue: all there are, or those whose drain marker may have been lost.
    async fn groups_to_drain(&mut self, location: DataLocation) -> Result<Vec<MessageGroup>, HandlerError> {
        if self.subject.marked_at.is_some() {
            return Ok(self.handler.clients.erasures.awaited(self.code(), queue_name(location)).await?);
        }
        if location == DataLocation::InboundQueue {
            let groups = self.handler.inventory.groups(&self.subject).await?;
            self.subject.marked_groups = groups.len();
            return Ok(groups.into_iter().collect());
        }
        let conversations = self.subject.conversations.iter();
        let groups = conversations.flat_map(|(_, conversation, channel)| {
            // Commands have a message group of their own; a typing notice says nothing about a person.
            [MessageGroup::Conversation, MessageGroup::Commands].map(|group| group(channel.clone(), *conversation))
        });
        Ok(groups.collect())
    }

    async fn drain(&self, location: DataLocation, groups: Vec<MessageGroup>) -> Result<(), HandlerError> {
        let (handler, code) = (self.handler, self.code());
        handler.clients.erasures.await_drain_markers(code, queue_name(location), &groups).await?;
        let (mut messages, mut past) = (Vec::with_capacity(groups.len()), Vec::new());
        for group in groups {
            let item = handler.clients.key.item(["drain_marker", code.as_str(), &group.to_string()]);
            let marker = DrainMarker { item, code: code.clone(), group: group.clone() };
            let id = Uuid::new_v4().to_string();
            if is_past(&group) {
                past.push(QueueMessage::new(group, id, &HistoryTask::DrainMarkerV1(marker))?);
                continue;
            }
            messages.push(match location {
                DataLocation::InboundQueue => QueueMessage::new(group, id, &InboundTask::DrainMarkerV1(marker))?,
                _ => QueueMessage::new(group, id, &OutboundTask::DrainMarkerV1(marker))?,
            });
        }
        let queue = if location == DataLocation::InboundQueue { &handler.inbound } else { &handler.outbound };
        queue.send_all(messages).await?;
        Ok(handler.history.send_all(past).await?)
    }
}

/// Whether a message group is one of the queue of what a phone app tells of its past, which belongs to what comes in.
fn is_past(group: &MessageGroup) -> bool {
    matches!(group, MessageGroup::Past(..) | MessageGroup::ContactBook(..) | MessageGroup::Transfer(_))
}

/// Gives the queue's name in the erasure's records.
fn queue_name(location: DataLocation) -> &'static str {
    if location == DataLocation::InboundQueue { "inbound" } else { "outbound" }
}
