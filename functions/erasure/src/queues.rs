//! The queues: nobody can look into them, but a mark put behind everything in a message group comes out last.

use std::time::Duration;

use app::BridgeError;
use domain::{
    AccountId, ConversationId, Erasure, InboundTask, OutboundTask, PhoneNumberId, Probe, erasure::Place, subject::Kind,
};
use queue::Letter;
use store::{ErasureEntry, Target};
use uuid::Uuid;

use crate::{Came, Eraser};

/// A mark that is out for so long may have been lost: queues keep nothing for ever.
const LOST_AFTER: Duration = Duration::from_secs(86_400);

impl Eraser {
    pub(crate) async fn queue_is_clear(&self, place: Place, entry: &mut ErasureEntry) -> Result<Came, BridgeError> {
        let code = entry.erasure.code.clone();
        let erasures = &self.clients.erasures;
        let known = erasures.target(&code).await?.unwrap_or_default().aliases;
        // What was learnt on the way leads to further groups.
        if !erasures.awaited(&code, word(place)).await?.is_empty() || !erasures.learnt(&code).await?.is_subset(&known) {
            return Ok(Came::Later);
        }
        if place == Place::InboundQueue {
            let dropped = self.clients.erasures.dropped(&code).await?;
            self.note(entry, place, usize::try_from(dropped).unwrap_or(usize::MAX)).await?;
        }
        Ok(Came::Clear)
    }

    /// Puts a mark into every group in which something of theirs may be.
    pub(crate) async fn put_probes(&self, erasure: &Erasure, target: &mut Target) -> Result<(), BridgeError> {
        let now = self.clients.clock.now();
        let queues_done =
            erasure.cleared.contains_key(&Place::InboundQueue) && erasure.cleared.contains_key(&Place::OutboundQueue);
        if queues_done || target.probed_at.is_some_and(|at| now.since(at) < LOST_AFTER) {
            return Ok(());
        }
        let erasures = &self.clients.erasures;
        let inbound: Vec<String> = if target.probed_at.is_none() {
            let groups: Vec<String> = self.belongings.groups(target).await?.into_iter().collect();
            target.probed_groups = groups.len();
            groups
        } else {
            erasures.awaited(&erasure.code, word(Place::InboundQueue)).await?
        };
        let outbound: Vec<String> = if target.probed_at.is_none() {
            // Commands have a line of their own; one who only types says nothing.
            let groups = |(_, conversation, channel): &(AccountId, ConversationId, PhoneNumberId)| {
                ["", "#commands"].map(|line| format!("{channel}#{conversation}{line}"))
            };
            target.conversations.iter().flat_map(groups).collect()
        } else {
            erasures.awaited(&erasure.code, word(Place::OutboundQueue)).await?
        };
        erasures.await_probes(&erasure.code, word(Place::InboundQueue), &inbound).await?;
        let mut letters = Vec::with_capacity(inbound.len());
        for group in inbound {
            let task = InboundTask::ProbeV1(self.mark(erasure, &group));
            letters.push(Letter::new(group, Uuid::new_v4().to_string(), &task)?);
        }
        self.inbound.send_all(letters).await?;
        erasures.await_probes(&erasure.code, word(Place::OutboundQueue), &outbound).await?;
        let mut letters = Vec::with_capacity(outbound.len());
        for group in outbound {
            let task = OutboundTask::ProbeV1(self.mark(erasure, &group));
            letters.push(Letter::new(group, Uuid::new_v4().to_string(), &task)?);
        }
        self.outbound.send_all(letters).await?;
        target.probed_at = Some(now);
        Ok(erasures.set_target(&erasure.code, target).await?)
    }

    fn mark(&self, erasure: &Erasure, group: &str) -> Probe {
        let item = self.clients.key.subject_of_all(Kind::Item, ["probe", erasure.code.as_str(), group]);
        Probe { item, code: erasure.code.clone(), group: group.to_owned() }
    }
}

fn word(place: Place) -> &'static str {
    if place == Place::InboundQueue { "inbound" } else { "outbound" }
}
