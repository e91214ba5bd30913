//! Reserves the call for a part. It saves the part as being sent, in the slot of its number's rate.

use std::{ops::ControlFlow, time::Duration};

use app::HandlerError;
use domain::{Part, PartEvent, Reference, SendFailure, outgoing::SentFile};
use serde_json::Value;
use store::{OutboxEntry, until_written_from};
use whatsapp::{
    Graph,
    compose::{self, GraphPayload},
};

use super::{Attempt, ConversationContext, Delivery, REQUEUE_DELAY, Stop, prepare::Prepared, slot::SendSlot};
use crate::{Handler, sync::SyncOutcome};

/// When to check again a part that another process is sending.
const CONTENTION_DELAY: Duration = Duration::from_secs(30);

/// A part that the table shows as being sent, by this process alone. It is what a call to Graph takes, and it cannot be copied:
/// without a write there is no call, and for a write there is one.
pub(super) struct Reserved<'a> {
    context: &'a ConversationContext<'a>,
    attempt: Attempt,
    request: Request,
}

/// The request of a call.
pub(super) struct Request {
    pub(super) slot: SendSlot,
    pub(super) body: Value,
    pub(super) graph: Graph,
}

impl<'a> Reserved<'a> {
    /// What its call needs; it is used up by that.
    pub(super) fn into_call(self) -> (&'a ConversationContext<'a>, Attempt, Request) {
        (self.context, self.attempt, self.request)
    }
}

impl Handler {
    /// Reserves the call. This is the write before it; if the slot has passed meanwhile, the part is put back, and no call is
    /// made.
    pub(super) async fn reserve<'a>(
        &self,
        delivery: &mut Delivery<'a>,
        prepared: Prepared<'a>,
    ) -> Result<Reserved<'a>, Stop> {
        let context = delivery.context;
        let slot = match self.take_slot(context).await? {
            Ok(slot) => slot,
            Err(after) => return Err(SyncOutcome::Soon { after }.into()),
        };
        let (last, before, file) = (prepared.last(), prepared.part().clone(), prepared.file());
        let attempt = Attempt { number: last.number + 1, ..last };
        let Some(body) = body(context, delivery.entry, attempt, prepared.payload()) else {
            let failure = SendFailure::NoRecipient;
            return Err(self.fail(delivery, Attempt { captioned: false, ..last }, failure).await?.into());
        };
        if !self.save_reservation(delivery.entry, &before, attempt, file).await? {
            tracing::info!(channel.id = %context.channel.phone_number_id, "part not reserved: another worker moved it");
            let is_accepted =
                delivery.entry.outgoing.parts().get(attempt.at).is_some_and(|part| part.wamid().is_some());
            return Err(if is_accepted {
                SyncOutcome::UpToDate.into()
            } else {
                SyncOutcome::Waits { after: Some(CONTENTION_DELAY), at_most: None }.into()
            });
        }
        // Saving may have taken longer than the slot is valid.
        match self.in_time(context, slot).await {
            Ok(Some(slot)) => {
                Ok(Reserved { context, attempt, request: Request { slot, body, graph: prepared.into_graph() } })
            }
            none => {
                let released = PartEvent::Released { attempt: attempt.number, before };
                self.move_part(delivery.entry, attempt.at, released).await?;
                none?;
                Err(SyncOutcome::Soon { after: REQUEUE_DELAY }.into())
            }
        }
    }

    /// Saves that a part is being sent, if it is still as it was read. Otherwise another process sent it, or is about to, and it
    /// must not be sent here.
    async fn save_reservation(
        &self,
        entry: &mut OutboxEntry,
        before: &Part,
        Attempt { at, number, .. }: Attempt,
        file: Option<SentFile>,
    ) -> Result<bool, HandlerError> {
        let shape = |entry: &OutboxEntry| (entry.outgoing.kind(), entry.outgoing.parts().len());
        let (seen, outbox) = (shape(entry), &self.clients.outbox);
        let reserve = |entry: OutboxEntry| async move {
            let mut outgoing = entry.outgoing.clone();
            let is_same = shape(&entry) == seen && outgoing.parts().get(at) == Some(before);
            if !is_same || outgoing.apply(at, PartEvent::Reserved { attempt: number, file }).is_err() {
                return Ok(ControlFlow::Break((entry, false)));
            }
            Ok::<_, HandlerError>(match outbox.save(entry.with(outgoing)).await? {
                Ok(saved) => ControlFlow::Break((saved, true)),
                Err(theirs) => ControlFlow::Continue(theirs),
            })
        };
        let (saved, is_reserved) = until_written_from(entry.clone(), reserve).await?;
        *entry = saved;
        Ok(is_reserved)
    }
}

/// The body of the call, complete before the part is saved as being sent; nothing if there is no recipient.
fn body(
    context: &ConversationContext<'_>,
    entry: &OutboxEntry,
    attempt: Attempt,
    payload: &GraphPayload,
) -> Option<Value> {
    let to = context.thread.and_then(|thread| thread.address.as_ref())?;
    let quote = entry.outgoing.quote_of(attempt.at);
    let (account, conversation, message) = (entry.account, entry.conversation, entry.message);
    let reference = Reference { account, conversation, message, part: attempt.at, attempt: attempt.number };
    Some(compose::message(to, payload, quote, &reference))
}
