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
}

/// Meta's measure of a number's rate.
pub const SECOND: Duration = Duration::from_secs(1);

/// Messages of a number with less than a second between one and the next. A run takes as many as a second may hold, and the next
/// one begins after a whole second in which nothing went out: so no second, wherever it begins, holds more. Seconds of the clock
/// would let twice as many out where one ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// When the last message of it went out.
    pub sent_at: Timestamp,
    /// How many wanted to go out with it; those beyond what it takes wait for the runs after it.
    pub wanted: u64,
}

/// What one more message does to a number's run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The run is over; a new one begins.
    Begins,
    /// It goes out with the run.
    Joins,
    /// The run is full.
    Waits,
}

impl Run {
    /// What one more message does, where a second holds at most `most`.
    pub fn place(self, most: u64, now: Timestamp) -> Place {
        if now.since(self.sent_at) >= SECOND {
            Place::Begins
        } else if self.wanted < most {
            Place::Joins
        } else {
            Place::Waits
        }
    }

    /// How long the last one that wanted to go out waits for its own run: those that came too many are spread over the runs to come,
    /// in their order.
    pub fn wait(self, most: u64, now: Timestamp) -> Duration {
        let runs = self.wanted.saturating_sub(1) / most.max(1);
        Duration::from_secs(runs).saturating_sub(now.since(self.sent_at))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

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

    /// One more message: how long it has to wait, and the run after it, as the table keeps it.
    fn one_more(run: Run, most: u64, now: Timestamp) -> (Duration, Run) {
        match run.place(most, now) {
            Place::Begins => (Duration::ZERO, Run { sent_at: now, wanted: 1 }),
            Place::Joins => (Duration::ZERO, Run { sent_at: now, wanted: run.wanted + 1 }),
            Place::Waits => {
                let run = Run { wanted: run.wanted + 1, ..run };
                (run.wait(most, now), run)
            }
        }
    }

    #[test]
    fn what_does_not_fit_into_a_run_goes_out_in_those_after_it() {
        let mut run = Run::default();
        let mut waits = Vec::new();
        for _ in 0..41 {
            let (wait, after) = one_more(run, Mode::Coexistence.per_second(), NOON);
            waits.push(wait);
            run = after;
        }
        assert_eq!([0, 19, 20, 39, 40].map(|at: usize| waits[at].as_secs()), [0, 0, 1, 1, 2]);
        let later = NOON + Duration::from_millis(999);
        assert_eq!(run.place(20, later), Place::Waits);
        assert_eq!(run.place(20, NOON + SECOND), Place::Begins);
    }

    proptest! {
        /// Whenever they come and however often they come back.
        #[test]
        fn no_second_holds_more_than_it_may_wherever_it_begins(
            most in 1_u64..25,
            steps in prop::collection::vec((0_u64..400, 1_u32..30), 1..80),
        ) {
            let mut run = Run::default();
            let mut now = NOON;
            let mut sent: VecDeque<Timestamp> = VecDeque::new();
            for (millis, many) in steps {
                now = now + Duration::from_millis(millis);
                for _ in 0..many {
                    let (wait, after) = one_more(run, most, now);
                    run = after;
                    if wait.is_zero() {
                        sent.push_back(now);
                    }
                }
                while sent.front().is_some_and(|at| now.since(*at) >= SECOND) {
                    sent.pop_front();
                }
                prop_assert!(sent.len() as u64 <= most, "{}", sent.len());
            }
        }
    }
}
