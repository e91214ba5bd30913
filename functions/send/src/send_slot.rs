//! This module gives each message a slot in its number's send rate. If the slot is soon, the message waits for it here.
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
    sync::{Mutex as Line, OwnedMutexGuard},
    time::{Instant, timeout},
};

use crate::{Handler, delivery::ConversationContext, preconditions::CALL_MIN_TIME};

/// How long a message waits in the lane; one that has to wait longer is retried through the queue, which hides it for whole
/// seconds.
const SLOT_MAX_WAIT: Duration = Duration::from_secs(2);

/// When to retry then.
const SLOT_RETRY_DELAY: Duration = Duration::from_secs(1);

/// The lanes of all numbers.
#[derive(Debug, Default)]
pub(crate) struct Lanes(Mutex<HashMap<PhoneNumberId, Arc<Lane>>>);

#[derive(Debug, Default)]
struct Lane {
    line: Arc<Line<()>>,
    gate: Mutex<ProcessLimit>,
}

/// A message's slot: the call may be made now.
pub(crate) struct Passage {
    lane: Arc<Lane>,
    clock: SharedClock,
    at: Timestamp,
    /// Until the call is made, no other message of this process gets a slot.
    first: Option<OwnedMutexGuard<()>>,
    began: Option<Timestamp>,
    answered: bool,
}

impl Lanes {
    fn of(&self, number: &PhoneNumberId) -> Arc<Lane> {
        Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(number.clone()).or_default())
    }
}

impl Lane {
    fn gate<T>(&self, with: impl FnOnce(&mut ProcessLimit) -> T) -> T {
        with(&mut self.gate.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Passage {
    /// Records that the call is made: the next message may take its slot.
    pub(crate) fn begin(&mut self) {
        self.began = Some(self.clock.now());
        self.first = None;
    }

    /// Records that the call was answered.
    pub(crate) fn end(mut self) {
        self.answered = true;
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        self.lane.gate(|gate| gate.leaves(self.began, self.answered, self.clock.now()));
    }
}

impl Handler {
    /// Takes the next slot in the number's rate and waits until it begins; or tells when to come back.
    pub(crate) async fn place(
        &self,
        context: &ConversationContext<'_>,
    ) -> Result<Result<Passage, Duration>, HandlerError> {
        let (number, most) = (&context.channel.phone_number_id, context.channel.mode.per_second());
        let clock = &self.clients.clock;
        let lane = self.lanes.of(number);
        let Ok(first) = timeout(SLOT_MAX_WAIT, Arc::clone(&lane.line).lock_owned()).await else {
            self.metrics.count(Metric::Paced);
            return Ok(Err(SLOT_RETRY_DELAY));
        };
        loop {
            let wait = lane.gate(|gate| gate.wait(most, clock.now()));
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
        lane.gate(ProcessLimit::enters);
        Ok(Ok(Passage { lane, clock: clock.clone(), at, first: Some(first), began: None, answered: false }))
    }

    /// The passage, if its slot has not passed; else another one, waited for here. Nothing if no time is left for the call.
    pub(crate) async fn in_time(
        &self,
        context: &ConversationContext<'_>,
        passage: Passage,
    ) -> Result<Option<Passage>, HandlerError> {
        if is_in_time(passage.at, self.clients.clock.now()) {
            return Ok(Some(passage));
        }
        // The holder of a slot is first in the lane: give it up before asking for another one.
        drop(passage);
        self.another(context).await
    }

    /// Another slot for the same part, waited for here. Nothing if no time is left for the call.
    pub(crate) async fn another(&self, context: &ConversationContext<'_>) -> Result<Option<Passage>, HandlerError> {
        let clock = &self.clients.clock;
        while context.until.saturating_duration_since(Instant::now()) > CALL_MIN_TIME {
            match self.place(context).await? {
                Ok(passage) => return Ok(Some(passage)),
                Err(after) => wait_until(clock.as_ref(), clock.now() + after).await,
            }
        }
        Ok(None)
    }
}
