//! Callers pass the time in as an argument. No code in the bridge reads the machine's clock on its own.

use std::{
    fmt,
    ops::{Add, Sub},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

/// A point in time, in whole milliseconds since the Unix epoch.
///
/// Milliseconds, because a listing and the sync request that caused it can fall into the same second.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From epoch seconds, as Meta and Chatwoot write them.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// From epoch milliseconds, as SQS writes them.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Epoch seconds, rounded down; what DynamoDB's TTL wants.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Epoch milliseconds.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// How long ago `earlier` was; zero if it lies in the future.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Days since the epoch in UTC; the item ledger has one line a day.
    pub const fn day(self) -> i64 {
        self.as_secs().div_euclid(86_400)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.as_secs(), self.0.rem_euclid(1000))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(millis(rhs)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(millis(rhs)))
    }
}

/// Tells the time: in production the machine's, in tests and the local runner one that can be moved.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The current time.
    fn now(&self) -> Timestamp;

    /// Lets time pass for a waiting caller, where it does not pass by itself. Tells whether it did.
    fn pass(&self, _by: Duration) -> bool {
        false
    }
}

/// The clock as it is handed around.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl SystemClock {
    /// As it is handed around.
    pub fn shared(self) -> SharedClock {
        Arc::new(self)
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the machine's clock")]
    fn now(&self) -> Timestamp {
        let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(millis(elapsed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_milliseconds_agree() {
        let at = Timestamp::from_millis(1_795_190_400_999);
        assert_eq!(at.as_secs(), 1_795_190_400);
        assert_eq!(at + Duration::from_millis(1), Timestamp::from_secs(1_795_190_401));
        assert_eq!(at.since(at + Duration::from_secs(5)), Duration::ZERO);
        assert_eq!(Timestamp::from_secs(86_400 * 3 - 1).day(), 2);
    }
}
