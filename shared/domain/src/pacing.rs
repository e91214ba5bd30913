//! How fast messages may go out (whatsapp-cloud-api.md §4.4): to one person, and from one number.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Timestamp, channel::Mode};

/// One message to the same person may follow another after this.
const INTERVAL: Duration = Duration::from_secs(6);

/// So many may go out at once, borrowed from the time to come.
const BURST: u32 = 45;

/// What one number sent to one person lately, as the time at which all that was borrowed is paid back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pair(Timestamp);

impl Pair {
    /// How long one more message has to wait; zero if it fits.
    pub fn wait(self, now: Timestamp) -> Duration {
        self.sent(now).0.since(now + INTERVAL * BURST)
    }

    /// The state after one more message.
    #[must_use]
    pub fn sent(self, now: Timestamp) -> Self {
        Self(self.0.max(now) + INTERVAL)
    }

    /// The state Meta tells of when it refuses: nothing fits for now, whatever we counted.
    #[must_use]
    pub fn exhausted(now: Timestamp) -> Self {
        Self(now + INTERVAL * BURST)
    }

    /// When all that was borrowed is paid back.
    pub fn paid_back_at(self) -> Timestamp {
        self.0
    }
}

impl Mode {
    /// How many messages a number may send in a second. Meta raises the 80 by itself for large senders, and tells nobody.
    pub fn per_second(self) -> u64 {
        match self {
            Self::Cloud => 80,
            Self::Coexistence => 20,
        }
    }

    /// How long the `place`th message of a second (from 1) has to wait, if it does not fit into that second: those that come too
    /// many are spread over the seconds to come, in their order.
    pub fn wait(self, place: u64) -> Duration {
        Duration::from_secs(place.saturating_sub(1) / self.per_second())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_secs(1_795_190_400);

    fn burst(mut pair: Pair, now: Timestamp) -> (u32, Pair) {
        let mut sent = 0;
        while pair.wait(now).is_zero() {
            pair = pair.sent(now);
            sent += 1;
        }
        (sent, pair)
    }

    #[test]
    fn a_burst_is_borrowed_and_paid_back() {
        let (sent, pair) = burst(Pair::default(), NOON);
        assert_eq!((sent, pair.wait(NOON)), (45, INTERVAL));
        let half = NOON + INTERVAL / 2;
        assert_eq!(pair.wait(half), INTERVAL / 2);
        let (sent, pair) = burst(pair, NOON + INTERVAL);
        assert_eq!((sent, pair.wait(NOON + INTERVAL)), (1, INTERVAL));
        assert_eq!(burst(pair, NOON + INTERVAL * 46).0, 45, "all is paid back");
        assert_eq!(Pair::exhausted(NOON).wait(NOON), INTERVAL);
    }

    #[test]
    fn what_does_not_fit_into_a_second_goes_out_in_those_after_it() {
        let second = Duration::from_secs(1);
        assert_eq!(
            [1, 20, 21, 40, 41].map(|place| Mode::Coexistence.wait(place)),
            [Duration::ZERO, Duration::ZERO, second, second, second * 2]
        );
        assert_eq!([80, 81].map(|place| Mode::Cloud.wait(place)), [Duration::ZERO, second]);
    }
}
