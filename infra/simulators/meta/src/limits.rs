//! Meta's rates, by the clock that is handed in.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use domain::Timestamp;

const PAIR_INTERVAL: Duration = Duration::from_secs(6);
const PAIR_BURST: u32 = 45;
const SECOND: Duration = Duration::from_secs(1);

/// What was sent lately.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    /// Per number and person, when all that was borrowed is paid back.
    pairs: HashMap<(String, String), Timestamp>,
    /// Per number, the messages of the last second.
    numbers: HashMap<String, VecDeque<Timestamp>>,
}

impl Limits {
    /// Whether one more message to this person fits: one per 6 s, bursts of 45 borrowed from the future. Counts it if so.
    pub(crate) fn pair(&mut self, number: &str, person: &str, now: Timestamp) -> bool {
        let paid_back = self.pairs.entry((number.into(), person.into())).or_insert(now);
        let next = (*paid_back).max(now) + PAIR_INTERVAL;
        if next > now + PAIR_INTERVAL * PAIR_BURST {
            return false;
        }
        *paid_back = next;
        true
    }

    /// Whether one more message of this number fits into the last second. Counts it if so.
    pub(crate) fn throughput(&mut self, number: &str, per_second: usize, now: Timestamp) -> bool {
        let recent = self.numbers.entry(number.into()).or_default();
        while recent.front().is_some_and(|at| now.since(*at) >= SECOND) {
            recent.pop_front();
        }
        if recent.len() >= per_second {
            return false;
        }
        recent.push_back(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_borrowed_and_paid_back() {
        let mut limits = Limits::default();
        let start = Timestamp::from_secs(1_795_190_400);
        let mut send = |at| limits.pair("n", "ana", at);
        assert!((0..45).all(|_| send(start)));
        assert!(!send(start));
        assert!(!send(start + Duration::from_secs(5)));
        assert!(send(start + Duration::from_secs(6)));
        assert!(!send(start + Duration::from_secs(6)));
        let rested = start + Duration::from_secs(600);
        assert!((0..45).all(|_| send(rested)));
        assert!(!send(rested));
    }

    #[test]
    fn a_second_holds_so_many_and_then_it_is_over() {
        let mut limits = Limits::default();
        let start = Timestamp::from_secs(1_795_190_400);
        assert!((0..20).all(|_| limits.throughput("n", 20, start)));
        assert!(!limits.throughput("n", 20, start + Duration::from_millis(999)));
        assert!(limits.throughput("n", 20, start + Duration::from_secs(1)));
    }
}
