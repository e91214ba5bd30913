//! Limits how fast messages go out to a recipient and from a number. Meta's limits are in whatsapp-cloud-api.md §4.4.

use std::{collections::VecDeque, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{Timestamp, channel::Mode};

/// The time between two messages to the same person.
const RECIPIENT_INTERVAL: Duration = Duration::from_secs(6);

/// How many may go out at once, borrowed from the time to come.
const RECIPIENT_BURST: u32 = 45;

/// The recipient rate of one number towards one person (GCRA), stored as the time at which everything borrowed is paid back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecipientRateLimit(Timestamp);

impl RecipientRateLimit {
    /// How long one more message has to wait; zero if it fits.
    pub fn wait(self, now: Timestamp) -> Duration {
        self.sent(now).0.since(now + RECIPIENT_INTERVAL * RECIPIENT_BURST)
    }

    /// The state after one more message.
    #[must_use]
    pub fn sent(self, now: Timestamp) -> Self {
        Self(self.0.max(now) + RECIPIENT_INTERVAL)
    }

    /// The state that Meta's refusal implies: nothing fits for now, whatever we counted.
    #[must_use]
    pub fn exhausted(now: Timestamp) -> Self {
        Self(now + RECIPIENT_INTERVAL * RECIPIENT_BURST)
    }

    /// When everything borrowed is paid back.
    pub fn paid_back_at(self) -> Timestamp {
        self.0
    }
}

impl Mode {
    /// How many messages a number may send in a second. Meta raises the 80 by itself for large senders, and does not announce
    /// it.
    pub fn per_second(self) -> u64 {
        match self {
            Self::Cloud => 80,
            Self::Coexistence => 20,
        }
    }
}

/// The unit of time in Meta's rate for a number.
pub const SECOND: Duration = Duration::from_secs(1);

/// How far ahead slots are given away. A caller that would have to wait longer asks again.
const MAX_RESERVED_AHEAD: Duration = SECOND;

/// How late after its slot a call may be made. A later call might coincide with the calls of later slots.
const MAX_SLOT_DELAY: Duration = Duration::from_millis(40);

/// The longest time ahead for which a slot is requested, where the work before the call takes long.
const MAX_LEAD: Duration = Duration::from_secs(2);

/// Whether a call may still be made in its slot.
pub fn is_in_time(place: Timestamp, now: Timestamp) -> bool {
    now.since(place) <= MAX_SLOT_DELAY
}

/// How far ahead to request the next slot after one requested `lead` ahead came too late: twice as long as the request took.
/// `None` where a longer lead is of no use.
pub fn lead_after(lead: Duration, place: Timestamp, now: Timestamp) -> Option<Duration> {
    (lead < MAX_LEAD).then(|| ((lead + now.since(place)) * 2).min(MAX_LEAD))
}

/// The slots of a number: one after another, evenly, a little slower than Meta allows. A message may go out some milliseconds
/// after its slot, and still no second holds more than it may, whether Meta counts seconds of the clock or any second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NumberPace {
    /// When the next slot is, in microseconds since the epoch.
    pub free_at: i64,
}

/// The slot that one more message gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendSlot {
    /// No other message waits: it goes out now, and the slots start anew.
    Begins,
    /// It gets the next slot.
    Joins,
    /// All slots of the near future are taken.
    Waits {
        /// How long until one can be given away.
        after: Duration,
    },
}

impl NumberPace {
    /// The time from one slot to the next in microseconds, where a second may hold `most`: a twentieth slower than that.
    pub fn interval(most: u64) -> i64 {
        i64::try_from(20_000_000_u64.div_ceil(19 * most.max(1))).unwrap_or(i64::MAX)
    }

    /// What one more message gets.
    pub fn place(self, now: Timestamp) -> SendSlot {
        let ahead = self.free_at.saturating_sub(micros(now));
        let given = micros(Timestamp::default() + MAX_RESERVED_AHEAD);
        if ahead <= 0 {
            SendSlot::Begins
        } else if ahead <= given {
            SendSlot::Joins
        } else {
            SendSlot::Waits { after: Duration::from_micros(ahead.abs_diff(given)) }
        }
    }
}

/// A time in microseconds, the unit of slots.
pub fn micros(at: Timestamp) -> i64 {
    at.as_millis().saturating_mul(1000)
}

/// The first whole millisecond at or after a slot.
pub fn place_at(micros: i64) -> Timestamp {
    Timestamp::from_millis(micros.saturating_add(999).div_euclid(1000))
}

/// The calls of one process for one number: those on their way, and those of the last second. The slots space out what several
/// processes send; whatever delays one process, this type keeps its own calls within the limit.
#[derive(Debug, Default)]
pub struct ProcessLimit {
    on_their_way: u64,
    /// When they may have arrived at Meta, at the latest, not counting what the fastest call takes on its way.
    arrived: VecDeque<Timestamp>,
    /// What the fastest call took: each call has arrived at least this long before its end.
    fastest: Option<Duration>,
}

/// The error that whole milliseconds may hide.
const TIMER_ROUNDING: Duration = Duration::from_millis(2);

impl ProcessLimit {
    /// How long one more call has to wait, where a second may hold `most`; zero if it may be made.
    pub fn wait(&mut self, most: u64, now: Timestamp) -> Duration {
        let over = SECOND + TIMER_ROUNDING;
        while self.arrived.front().is_some_and(|at| now.since(*at) >= over) {
            self.arrived.pop_front();
        }
        if self.on_their_way + self.arrived.len() as u64 >= most.max(1) {
            return self.arrived.front().map_or(TIMER_ROUNDING, |at| over.saturating_sub(now.since(*at)));
        }
        Duration::ZERO
    }

    /// A call is about to be made.
    pub fn enters(&mut self) {
        self.on_their_way += 1;
    }

    /// The call is over. It was answered if it `began` and nothing broke; without an answer it is unknown when it arrived.
    pub fn leaves(&mut self, began: Option<Timestamp>, answered: bool, now: Timestamp) {
        self.on_their_way = self.on_their_way.saturating_sub(1);
        let Some(began) = began else { return };
        if answered {
            let took = now.since(began);
            self.fastest = Some(self.fastest.map_or(took, |fastest| fastest.min(took)));
            self.arrived.push_back(now - self.fastest.unwrap_or_default());
        } else {
            self.arrived.push_back(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOON: Timestamp = Timestamp::from_secs(1_795_190_400);

    fn burst(mut pair: RecipientRateLimit, now: Timestamp) -> (u32, RecipientRateLimit) {
        let mut sent = 0;
        while pair.wait(now).is_zero() {
            pair = pair.sent(now);
            sent += 1;
        }
        (sent, pair)
    }

    #[test]
    fn a_burst_is_borrowed_and_paid_back() {
        let (sent, pair) = burst(RecipientRateLimit::default(), NOON);
        assert_eq!((sent, pair.wait(NOON)), (45, RECIPIENT_INTERVAL));
        let half = NOON + RECIPIENT_INTERVAL / 2;
        assert_eq!(pair.wait(half), RECIPIENT_INTERVAL / 2);
        let (sent, pair) = burst(pair, NOON + RECIPIENT_INTERVAL);
        assert_eq!((sent, pair.wait(NOON + RECIPIENT_INTERVAL)), (1, RECIPIENT_INTERVAL));
        assert_eq!(burst(pair, NOON + RECIPIENT_INTERVAL * 46).0, 45, "all is paid back");
        assert_eq!(RecipientRateLimit::exhausted(NOON).wait(NOON), RECIPIENT_INTERVAL);
    }

    /// One more message: when it goes out, if it gets a slot, and the slots after it, as the table keeps them.
    fn one_more(pace: NumberPace, most: u64, now: Timestamp) -> Result<(Timestamp, NumberPace), Duration> {
        let place = match pace.place(now) {
            SendSlot::Begins => micros(now),
            SendSlot::Joins => pace.free_at,
            SendSlot::Waits { after } => return Err(after),
        };
        Ok((place_at(place), NumberPace { free_at: place + NumberPace::interval(most) }))
    }

    /// The most that any second holds.
    fn densest(sent: &mut [Timestamp]) -> usize {
        sent.sort();
        let within = |from: usize| sent[from..].iter().take_while(|at| at.since(sent[from]) < SECOND).count();
        (0..sent.len()).map(within).max().unwrap_or_default()
    }

    #[test]
    fn places_follow_one_another_a_little_slower_than_meta_allows() {
        for mode in [Mode::Cloud, Mode::Coexistence] {
            let most = mode.per_second();
            let mut pace = NumberPace::default();
            let mut places = Vec::new();
            while let Ok((at, next)) = one_more(pace, most, NOON) {
                places.push(at);
                pace = next;
            }
            let a_second = usize::try_from(most * 19 / 20).unwrap();
            assert_eq!(places[0], NOON, "who comes alone waits for nothing");
            assert!((a_second..=a_second + 1).contains(&places.len()), "{}: a second ahead", places.len());
            assert!(places.len() as u64 * 10 >= most * 9, "nine tenths of the rate at the least");
            let after = one_more(pace, most, NOON).unwrap_err();
            assert!(after > Duration::ZERO && after < SECOND / 10, "{after:?}");
            assert!(one_more(pace, most, NOON + after + Duration::from_millis(1)).is_ok());
            assert_eq!(pace.place(NOON + 2 * SECOND), SendSlot::Begins);
        }
    }

    proptest! {
        /// Whenever they come, however often they come back, and a few milliseconds late each.
        #[test]
        fn no_second_holds_more_than_it_may_wherever_it_begins(
            most in prop::sample::select(vec![20_u64, 80]),
            steps in prop::collection::vec((0_u64..400, 1_u32..30, 0_u64..40), 1..80),
        ) {
            let mut pace = NumberPace::default();
            let mut now = NOON;
            let mut sent = Vec::new();
            for (millis, many, late) in steps {
                now = now + Duration::from_millis(millis);
                for _ in 0..many {
                    if let Ok((at, next)) = one_more(pace, most, now) {
                        pace = next;
                        sent.push(at + Duration::from_millis(late));
                    }
                }
            }
            prop_assert!(densest(&mut sent) as u64 <= most);
        }

        /// Several processes, each with writes before and after its slot that take up to half a second, and a token renewed.
        #[test]
        fn no_second_holds_more_however_late_the_writes_around_a_place_are(
            most in prop::sample::select(vec![20_u64, 80]),
            delays in prop::collection::vec((0_u64..=500, 0_u64..=500, any::<bool>()), 1..300),
            processes in 1_usize..6,
            calm in any::<bool>(),
        ) {
            let mut pace = NumberPace::default();
            let mut free = vec![NOON; processes];
            let mut sent = Vec::new();
            let mut delays = delays.iter().cycle();
            let mut slow = |part: fn(&(u64, u64, bool)) -> u64| {
                let millis = delays.next().map(part).unwrap_or_default();
                Duration::from_millis(if calm { millis / 10 } else { millis })
            };
            // What `send` does for a slot: it asks, waits, and asks again where the answer came too late.
            let mut place = |mut now: Timestamp, slow: &mut dyn FnMut() -> Duration| {
                let mut lead = Duration::ZERO;
                loop {
                    match one_more(pace, most, now + lead) {
                        Err(after) => now = now + after + Duration::from_millis(1),
                        Ok((at, next)) => {
                            pace = next;
                            now = at.max(now + slow());
                            if is_in_time(at, now) {
                                return (at, now);
                            }
                            lead = lead_after(lead, at, now).unwrap_or_default();
                        }
                    }
                }
            };
            for _ in 0..250 {
                // The process that is behind goes on: the table sees requests in order.
                let mine = (0..processes).min_by_key(|mine| free[*mine]).unwrap_or_default();
                let (at, mut now) = place(free[mine], &mut || slow(|delay| delay.0));
                now = now + slow(|delay| delay.1);
                if !is_in_time(at, now) {
                    now = place(now, &mut || slow(|delay| delay.0)).1;
                }
                sent.push(now);
                if !slow(|delay| u64::from(delay.2)).is_zero() {
                    sent.push(place(now + slow(|delay| delay.0), &mut || slow(|delay| delay.0)).1);
                }
                free[mine] = now;
            }
            prop_assert!(densest(&mut sent) as u64 <= most, "{} of {most}", densest(&mut sent));
        }

        /// However long they are on their way, and whenever within that they arrive.
        #[test]
        fn a_process_keeps_within_the_limit_whatever_delays_it(
            most in 1_u64..25,
            calls in prop::collection::vec((0_u64..30, 0_u64..400, 0_u64..=100), 1..200),
        ) {
            let mut gate = ProcessLimit::default();
            let (mut now, least) = (NOON, Duration::from_millis(20));
            // It knows how fast a call can be.
            gate.enters();
            gate.leaves(Some(NOON - least), true, NOON);
            // Each takes its way there (10 ms), its way back (10 ms), and what comes on top on either.
            let mut flying: Vec<(Timestamp, Timestamp)> = Vec::new();
            let mut arrived = Vec::new();
            for (pause, extra, part) in calls {
                now = now + Duration::from_millis(pause);
                loop {
                    flying.sort_by_key(|(_, end)| *end);
                    while flying.first().is_some_and(|(_, end)| *end <= now) {
                        let (began, end) = flying.remove(0);
                        gate.leaves(Some(began), true, end);
                    }
                    let wait = gate.wait(most, now);
                    if wait.is_zero() {
                        break;
                    }
                    now = now + wait.min(Duration::from_millis(5));
                }
                gate.enters();
                let extra = Duration::from_millis(extra);
                arrived.push(now + least / 2 + extra * u32::try_from(part).unwrap() / 100);
                flying.push((now, now + least + extra));
            }
            prop_assert!(densest(&mut arrived) as u64 <= most);
        }
    }
}
