use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use domain::{Clock, SystemClock, Timestamp};

/// A clock that a test or the local runner moves forward. It runs with the machine's clock plus an offset, or stands still.
#[derive(Clone, Debug)]
pub struct MovableClock {
    offset_millis: Arc<AtomicI64>,
    frozen_at: Option<Timestamp>,
}

impl MovableClock {
    /// Runs with the machine's clock, `offset` ahead of it.
    pub fn running(offset: Duration) -> Self {
        Self { offset_millis: Arc::new(AtomicI64::new(offset_millis(offset))), frozen_at: None }
    }

    /// Stands still at `at` until it is moved.
    pub fn frozen(at: Timestamp) -> Self {
        Self { offset_millis: Arc::default(), frozen_at: Some(at) }
    }

    /// Moves every holder of this clock forward.
    pub fn advance(&self, by: Duration) {
        self.offset_millis.fetch_add(offset_millis(by), Ordering::SeqCst);
    }

    /// How far it has been moved.
    pub fn offset(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.offset_millis.load(Ordering::SeqCst)).unwrap_or(0))
    }
}

fn offset_millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Clock for MovableClock {
    fn now(&self) -> Timestamp {
        self.frozen_at.unwrap_or_else(|| SystemClock.now()) + self.offset()
    }

    /// Whoever waits on a clock that stands still moves it: a story waits for nothing.
    fn pass(&self, by: Duration) -> bool {
        if self.frozen_at.is_some() {
            self.advance(by);
        }
        self.frozen_at.is_some()
    }
}
