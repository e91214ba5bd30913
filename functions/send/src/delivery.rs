//! Sends the parts of a message, each in five stages: check, prepare, reserve, call, settle.
//!
//! Each stage makes what the next one takes, and nothing else can make it: [`check::Checked`], [`prepare::Prepared`],
//! [`reserve::Reserved`], [`call::Attempted`]. Only the write that saves a part as being sent makes a `Reserved`; a call to Graph
//! takes nothing but a `Reserved`, and uses it up. So each reservation leads to at most one call that Meta may have taken.
//! Between the two writes, before the call and after it, the outcome is unknown: a part that is found so is never sent again by
//! itself.

mod budget;
mod call;
mod check;
mod deferral;
mod prepare;
mod reserve;
mod settle;
mod slot;

use std::time::Duration;

use app::HandlerError;
use chatwoot::{Chatwoot, listing::ListedMessage};
use domain::{Channel, CustomerId, Part, PartEvent, Timestamp, outgoing::Awaited, template::Picked};
use platform::Metric;
use store::{Conversation, OutboxEntry, Thread};

pub(crate) use self::{budget::SendBudget, slot::SendLanes};
use crate::{Handler, sync::SyncOutcome};

/// What a call takes at most, including the saves before and after it.
const CALL_MIN_TIME: Duration = Duration::from_secs(25);

/// When a part is tried again that had too little time left.
const REQUEUE_DELAY: Duration = Duration::from_secs(5);

/// What belongs to a conversation: its Chatwoot, channel, customer and thread.
pub(crate) struct ConversationContext<'a> {
    pub(crate) chatwoot: &'a Chatwoot,
    pub(crate) channel: &'a Channel,
    pub(crate) conversation: &'a Conversation,
    pub(crate) customer: Option<&'a CustomerId>,
    pub(crate) thread: Option<&'a Thread>,
    /// Whether the customer asked that their data be erased.
    pub(crate) erased: bool,
    /// When the invocation should have ended.
    pub(crate) until: Timestamp,
}

/// The delivery of one message.
pub(crate) struct Delivery<'a> {
    pub(crate) context: &'a ConversationContext<'a>,
    pub(crate) budget: &'a mut SendBudget,
    pub(crate) message: &'a ListedMessage,
    /// What was picked in it, if it is a template.
    pub(crate) picked: Option<&'a Picked>,
    pub(crate) entry: &'a mut OutboxEntry,
}

/// A part, and the number of its last call.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    at: usize,
    number: u32,
    /// Whether it is text under a file, which can go out without it.
    captioned: bool,
    /// Whether it has waited for its file.
    waited_for_file: bool,
}

impl Attempt {
    /// The last call for a part; of number 0 if there was none.
    fn last(at: usize, part: &Part) -> Self {
        let waited_for_file = part.awaits_since(Awaited::File).is_some();
        Self { at, number: part.attempt(), captioned: false, waited_for_file }
    }
}

/// Why a part does not get to its next stage.
enum Stop {
    /// The state is saved; the sync goes on, or ends, with this.
    Outcome(SyncOutcome),
    Error(HandlerError),
}

impl From<SyncOutcome> for Stop {
    fn from(outcome: SyncOutcome) -> Self {
        Self::Outcome(outcome)
    }
}

impl From<HandlerError> for Stop {
    fn from(error: HandlerError) -> Self {
        Self::Error(error)
    }
}

impl Handler {
    /// Sends the remaining parts of a message. Ends early only when something has to wait; a file that is not there yet holds
    /// back no other part.
    pub(crate) async fn deliver(&self, mut delivery: Delivery<'_>) -> Result<SyncOutcome, HandlerError> {
        let mut without_file = Vec::new();
        let mut outcome = SyncOutcome::UpToDate;
        while let Some(at) = delivery.entry.outgoing.next_part_beyond(&without_file) {
            if let Part::Sending { attempt, .. } = delivery.entry.outgoing.parts()[at] {
                // The process that began this call ended before it saved the outcome.
                self.metrics.count(Metric::Uncertain);
                self.move_part(delivery.entry, at, PartEvent::Unanswered { attempt }).await?;
                continue;
            }
            match self.deliver_part(&mut delivery, at).await {
                Ok(SyncOutcome::UpToDate) | Err(Stop::Outcome(SyncOutcome::UpToDate)) => {}
                Ok(waits) | Err(Stop::Outcome(waits)) => {
                    let awaited = delivery.entry.outgoing.parts()[at].awaits_since(Awaited::File);
                    if awaited.is_none() {
                        return Ok(waits);
                    }
                    // The first has waited longest, so its time is up first.
                    if without_file.is_empty() {
                        outcome = waits;
                    }
                    without_file.push(at);
                }
                Err(Stop::Error(error)) => return Err(error),
            }
        }
        Ok(outcome)
    }

    async fn deliver_part(&self, delivery: &mut Delivery<'_>, at: usize) -> Result<SyncOutcome, Stop> {
        let checked = self.check(delivery, at).await?;
        let prepared = self.prepare(delivery, checked).await?;
        let reserved = self.reserve(delivery, prepared).await?;
        let attempted = self.call(reserved).await;
        Ok(self.settle(delivery, attempted).await?)
    }
}
