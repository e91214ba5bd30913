//! Proves with drain markers that the queues hold nothing of a person. No one can read a queue's content, but a drain
//! marker put behind everything in a message group comes out last.

use std::time::Duration;

use app::HandlerError;
use domain::{
    AccountId, ConversationId, DrainMarker, Erasure, InboundTask, OutboundTask, PhoneNumberId, erasure::DataLocation,
    keyed_hash::HashKind,
};
use queue::QueueMessage;
use store::{DataSubject, ErasureEntry};
use uuid::Uuid;

use crate::{ClearOutcome, Handler};

/// A drain marker that is out for so long may have been lost: queues keep nothing for ever.
const DRAIN_MARKER_LOST_AFTER: Duration = Duration::from_secs(86_400);

impl Handler {
    pub(crate) async fn queue_is_clear(
        &self,
        location: DataLocation,
        entry: &mut ErasureEntry,
    ) -> Result<ClearOutcome, HandlerError> {
        let code = entry.erasure.code.clone();
        let erasures = &self.clients.erasures;
        let known = erasures.data_subject(&code).await?.unwrap_or_default().aliases;
        // What was learnt meanwhile leads to further message groups.
        if !erasures.awaited(&code, word(location)).await?.is_empty()
            || !erasures.learnt(&code).await?.is_subset(&known)
        {
            return Ok(ClearOutcome::Later);
        }
        if location == DataLocation::InboundQueue {
            let dropped = self.clients.erasures.dropped(&code).await?;
            self.note(entry, location, usize::try_from(dropped).unwrap_or(usize::MAX)).await?;
        }
        Ok(ClearOutcome::Clear)
    }

    /// Puts a drain marker into every message group in which something of theirs may be.
    pub(crate) async fn put_drain_markers(
        &self,
        erasure: &Erasure,
        subject: &mut DataSubject,
    ) -> Result<(), HandlerError> {
        let now = self.clients.clock.now();
        let queues_done = erasure.cleared.contains_key(&DataLocation::InboundQueue)
            && erasure.cleared.contains_key(&DataLocation::OutboundQueue);
        if queues_done || subject.probed_at.is_some_and(|at| now.since(at) < DRAIN_MARKER_LOST_AFTER) {
            return Ok(());
        }
        let erasures = &self.clients.erasures;
        let inbound: Vec<String> = if subject.probed_at.is_none() {
            let groups: Vec<String> = self.inventory.groups(subject).await?.into_iter().collect();
            subject.probed_groups = groups.len();
            groups
        } else {
            erasures.awaited(&erasure.code, word(DataLocation::InboundQueue)).await?
        };
        let outbound: Vec<String> = if subject.probed_at.is_none() {
            // Commands have a message group of their own; a typing notice says nothing about a person.
            let groups = |(_, conversation, channel): &(AccountId, ConversationId, PhoneNumberId)| {
                ["", "#commands"].map(|line| format!("{channel}#{conversation}{line}"))
            };
            subject.conversations.iter().flat_map(groups).collect()
        } else {
            erasures.awaited(&erasure.code, word(DataLocation::OutboundQueue)).await?
        };
        erasures.await_drain_markers(&erasure.code, word(DataLocation::InboundQueue), &inbound).await?;
        let mut letters = Vec::with_capacity(inbound.len());
        for group in inbound {
            let task = InboundTask::ProbeV1(self.drain_marker(erasure, &group));
            letters.push(QueueMessage::new(group, Uuid::new_v4().to_string(), &task)?);
        }
        self.inbound.send_all(letters).await?;
        erasures.await_drain_markers(&erasure.code, word(DataLocation::OutboundQueue), &outbound).await?;
        let mut letters = Vec::with_capacity(outbound.len());
        for group in outbound {
            let task = OutboundTask::ProbeV1(self.drain_marker(erasure, &group));
            letters.push(QueueMessage::new(group, Uuid::new_v4().to_string(), &task)?);
        }
        self.outbound.send_all(letters).await?;
        subject.probed_at = Some(now);
        Ok(erasures.set_data_subject(&erasure.code, subject).await?)
    }

    fn drain_marker(&self, erasure: &Erasure, group: &str) -> DrainMarker {
        let item = self.clients.key.subject_of_all(HashKind::Item, ["probe", erasure.code.as_str(), group]);
        DrainMarker { item, code: erasure.code.clone(), group: group.to_owned() }
    }
}

fn word(location: DataLocation) -> &'static str {
    if location == DataLocation::InboundQueue { "inbound" } else { "outbound" }
}
