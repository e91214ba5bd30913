//! A number's lane: one message after another gets its place, and waits for it here where that is soon.
//!
//! The table keeps apart what several processes send. Within one, whoever waits stands in line, so that no place is taken long before
//! it can be used, and the calls are counted as they are made and answered.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bridge::BridgeError;
use domain::{PhoneNumberId, SharedClock, Timestamp, pacing::Gate};
use platform::{Metric, wait_until};
use store::Slot;
use tokio::{
    sync::{Mutex as Line, OwnedMutexGuard},
    time::timeout,
};

use crate::{Send, dispatch::With};

/// How long somebody stands in line; who has to wait longer comes back by the queue, which hides for whole seconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// When to come back then.
const LATER: Duration = Duration::from_secs(1);

/// The lanes of all numbers.
#[derive(Debug, Default)]
pub(crate) struct Lanes(Mutex<HashMap<PhoneNumberId, Arc<Lane>>>);

#[derive(Debug, Default)]
struct Lane {
    line: Arc<Line<()>>,
    gate: Mutex<Gate>,
}

/// A message's place: the call may be made now.
pub(crate) struct Passage {
    lane: Arc<Lane>,
    clock: SharedClock,
    /// Until the call is made nobody else of this process gets a place.
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
    fn gate<T>(&self, with: impl FnOnce(&mut Gate) -> T) -> T {
        with(&mut self.gate.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Passage {
    /// The call is made: the next one may have its place.
    pub(crate) fn begin(&mut self) {
        self.began = Some(self.clock.now());
        self.first = None;
    }

    /// The call was answered.
    pub(crate) fn end(mut self) {
        self.answered = true;
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        self.lane.gate(|gate| gate.leaves(self.began, self.answered, self.clock.now()));
    }
}

impl Send {
    /// The next message's place in what the number may send, once it is there; or when to come back.
    pub(crate) async fn place(&self, with: &With<'_>) -> Result<Result<Passage, Duration>, BridgeError> {
        let (number, most) = (&with.channel.phone_number_id, with.channel.mode.per_second());
        let clock = &self.clients.clock;
        let lane = self.lanes.of(number);
        let Ok(first) = timeout(PATIENCE, Arc::clone(&lane.line).lock_owned()).await else {
            self.metrics.count(Metric::Paced);
            return Ok(Err(LATER));
        };
        loop {
            let wait = lane.gate(|gate| gate.wait(most, clock.now()));
            if wait.is_zero() {
                break;
            }
            self.metrics.count(Metric::Paced);
            wait_until(clock.as_ref(), clock.now() + wait).await;
        }
        let at = match self.clients.paces.take(number, most).await? {
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
        lane.gate(Gate::enters);
        Ok(Ok(Passage { lane, clock: clock.clone(), first: Some(first), began: None, answered: false }))
    }
}
