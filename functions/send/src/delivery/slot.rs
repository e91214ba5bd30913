//! Gives each message a slot in its number's send rate. If the slot is soon, the message waits for it here.
//!
//! The table spaces the sends of several processes. Within one process, messages queue in the number's lane. So no slot is taken
//! long before it can be used, and calls are counted as they are made and answered.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use app::HandlerError;
use domain::{
    PhoneNumberId, SharedClock, Timestamp,
    rate_limit::{ProcessLimit, is_in_time, lead_after},
};
use platform::{Metric, wait_until};
use store::Slot;
use tokio::{
    sync::{Mutex as AsyncMutex, OwnedMutexGuard},
    time::timeout,
};

use super::{CALL_MIN_TIME, ConversationContext};
use crate::Handler;

/// How long a message waits in the lane; one that has to wait longer is retried through the queue, which hides it for whole
/// seconds.
const SLOT_MAX_WAIT: Duration = Duration::from_secs(2);

/// When to retry then.
const SLOT_RETRY_DELAY: Duration = Duration::from_secs(1);

/// The lanes of all numbers.
#[derive(Debug, Default)]
pub(crate) struct SendLanes(Mutex<HashMap<PhoneNumberId, Arc<Lane>>>);

#[derive(Debug, Default)]
struct Lane {
    queue: Arc<AsyncMutex<()>>,
    limit: Mutex<ProcessLimit>,
}

/// A message's slot: the call may be made now.
pub(super) struct SendSlot {
    lane: Arc<Lane>,
    clock: SharedClock,
    at: Timestamp,
    /// Until the call is made, no other message of this process gets a slot.
    first: Option<OwnedMutexGuard<()>>,
    began: Option<Timestamp>,
    answered: bool,
}

impl SendLanes {
    fn of(&self, number: &PhoneNumberId) -> Arc<Lane> {
        Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(number.clone()).or_default())
    }
}

impl Lane {
    fn limit<T>(&self, with: impl FnOnce(&mut ProcessLimit) -> T) -> T {
        with(&mut self.limit.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl SendSlot {
    /// Records that the call is made: the next message may take its slot.
    pub(super) fn begin(&mut self) {
        self.began = Some(self.clock.now());
        self.first = None;
    }

    /// Records that the call was answered.
    pub(super) fn end(mut self) {
        self.answered = true;
    }
}

impl Drop for SendSlot {
    fn drop(&mut self) {
        self.lane.limit(|limit| limit.leaves(self.began, self.answered, self.clock.now()));
    }
}

impl Handler {
    /// Takes the next slot in the number's rate and waits until it begins; or tells when to come back.
    pub(super) async fn take_slot(
        &self,
        context: &ConversationContext<'_>,
    ) -> Result<Result<SendSlot, Duration>, HandlerError> {
        let (number, most) = (&context.channel.phone_number_id, context.channel.mode.per_second());
        let clock = &self.clients.clock;
        let lane = self.lanes.of(number);
        let Ok(first) = timeout(SLOT_MAX_WAIT, Arc::clone(&lane.queue).lock_owned()).await else {
            self.metrics.count(Metric::Paced);
            return Ok(Err(SLOT_RETRY_DELAY));
        };
        loop {
            let wait = lane.limit(|limit| limit.wait(most, clock.now()));
            if wait.is_zero() {
                break;
            }
            self.metrics.count(Metric::Paced);
            wait_until(clock.as_ref(), clock.now() + wait).await;
        }
        let mut lead = Duration::ZERO;
        let at = loop {
            let at = match self.clients.rate_limit.take(number, most, lead).await? {
                Slot::At(at) => at,
                Slot::NotBefore(after) => {
                    self.metrics.count(Metric::Paced);
                    return Ok(Err(after));
                }
            };
            if at > clock.now() {
                self.metrics.count(Metric::Paced);
                wait_until(clock.as_ref(), at).await;
            }
            let now = clock.now();
            if is_in_time(at, now) {
                break at;
            }
            // The table is slow: the slot has passed, so the next one is asked for further ahead.
            self.metrics.count(Metric::Paced);
            let Some(longer) = lead_after(lead, at, now) else { return Ok(Err(SLOT_RETRY_DELAY)) };
            lead = longer;
        };
        lane.limit(ProcessLimit::enters);
        Ok(Ok(SendSlot { lane, clock: clock.clone(), at, first: Some(first), began: None, answered: false }))
    }

    /// The slot, if its moment has not passed; else another one, waited for here. Nothing if no time is left for the call.
    pub(super) async fn in_time(
        &self,
        context: &ConversationContext<'_>,
        slot: SendSlot,
    ) -> Result<Option<SendSlot>, HandlerError> {
        if is_in_time(slot.at, self.clients.clock.now()) {
            return Ok(Some(slot));
        }
        // The holder of a slot is first in the lane: give it up before asking for another one.
        drop(slot);
        self.another_slot(context).await
    }

    /// Another slot for the same part, waited for here. Nothing if no time is left for the call.
    pub(super) async fn another_slot(
        &self,
        context: &ConversationContext<'_>,
    ) -> Result<Option<SendSlot>, HandlerError> {
        let clock = &self.clients.clock;
        while context.until.since(clock.now()) > CALL_MIN_TIME {
            match self.take_slot(context).await? {
                Ok(slot) => return Ok(Some(slot)),
                Err(after) => wait_until(clock.as_ref(), clock.now() + after).await,
            }
        }
        Ok(None)
    }
}
