//! The template's schedules, by a clock that can be moved.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use domain::{Clock as _, Timestamp};
use serde_json::json;
use simulator_wire::MovableClock;
use tokio::time::timeout;

use crate::{
    calendar,
    environments::{Functions, Outcome},
    intrinsics::{ACCOUNT, REGION},
    stop::Stopped,
    template::{Rate, Template},
};

/// How often it is looked whether a schedule is due.
const LOOK: Duration = Duration::from_millis(500);

/// All schedules.
#[derive(Debug)]
pub(crate) struct Schedules {
    clock: MovableClock,
    functions: Functions,
    timers: Mutex<Vec<Timer>>,
}

/// When one schedule is due next.
#[derive(Debug)]
struct Timer {
    function: String,
    rate: Rate,
    next: Timestamp,
}

impl Schedules {
    /// The schedules of `template`. The first run of each is one full interval away, or due at once where a runner before may
    /// have missed one.
    pub(crate) fn new(template: &Template, functions: Functions, clock: MovableClock, overdue: bool) -> Self {
        let now = clock.now();
        let timers = template.functions.iter().flat_map(|function| {
            let timer = |rate: &Rate| Timer {
                function: function.name.clone(),
                rate: *rate,
                next: if overdue { now } else { now + rate.0 },
            };
            function.schedules.iter().map(timer)
        });
        Self { timers: Mutex::new(timers.collect()), functions, clock }
    }

    /// Fires what is due, each at most once, without waiting for its end.
    pub(crate) fn fire_due(&self) {
        let now = self.clock.now();
        for name in due(&mut self.timers(), now) {
            let Some(function) = self.functions.get(&name).map(Arc::clone) else { continue };
            let payload = event(now);
            tokio::spawn(async move { report(&name, &function.invoke_once(payload).await) });
        }
    }

    /// Runs the schedule of `name` now and waits for its end. `None` if there is no such schedule.
    pub(crate) async fn run_now(&self, name: &str) -> Option<Outcome> {
        self.timers().iter().find(|timer| timer.function == name)?;
        let function = Arc::clone(self.functions.get(name)?);
        let payload = event(self.clock.now());
        let outcome = function.invoke_once(payload).await;
        report(name, &outcome);
        Some(outcome)
    }

    /// Fires what is due as time goes by.
    pub(crate) async fn keep(self: Arc<Self>, mut stopped: Stopped) {
        while timeout(LOOK, stopped.wait()).await.is_err() {
            self.fire_due();
        }
    }

    fn timers(&self) -> MutexGuard<'_, Vec<Timer>> {
        self.timers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The functions whose time has come. However far the clock was moved, each comes once.
fn due(timers: &mut [Timer], now: Timestamp) -> Vec<String> {
    let mut due = Vec::new();
    for timer in timers {
        if timer.next <= now {
            timer.next = now + timer.rate.0;
            due.push(timer.function.clone());
        }
    }
    due
}

fn report(name: &str, outcome: &Outcome) {
    if let Err(failure) = outcome {
        tracing::warn!(schedule = name, %failure, "a scheduled run failed");
    }
}

/// The event of a rule of `EventBridge`.
fn event(now: Timestamp) -> Bytes {
    let event = json!({
        "version": "0",
        "id": format!("00000000-0000-4000-8000-{:012x}", now.as_millis()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": ACCOUNT,
        "time": calendar::iso(now),
        "region": REGION,
        "resources": [],
        "detail": {},
    });
    Bytes::from(event.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_fires_once_however_far_the_clock_was_moved() {
        let start = Timestamp::from_secs(1_000_000);
        let every = |seconds| Rate(Duration::from_secs(seconds));
        let timer = |name: &str, rate: Rate| Timer { function: name.into(), rate, next: start + rate.0 };
        let mut timers = [timer("often", every(300)), timer("daily", every(86_400))];

        assert!(due(&mut timers, start + Duration::from_secs(299)).is_empty());
        assert_eq!(due(&mut timers, start + Duration::from_secs(300)), ["often"]);
        assert!(due(&mut timers, start + Duration::from_secs(300)).is_empty());
        let later = start + Duration::from_secs(30 * 86_400);
        assert_eq!(due(&mut timers, later), ["often", "daily"]);
        assert!(due(&mut timers, later + Duration::from_secs(299)).is_empty());
        assert_eq!(due(&mut timers, later + Duration::from_secs(301)), ["often"]);
    }
}
