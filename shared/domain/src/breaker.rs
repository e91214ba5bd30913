//! Stops calling a side that has not answered for a minute, and tries it now and then.
//!
//! It lives in the process: while all is well it costs no call. What it refuses was certainly not sent, and waits in its queue.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::{SharedClock, Timestamp};

/// So long a side may be silent before calls rest.
pub const MAX_SILENCE: Duration = Duration::from_secs(60);

/// So long calls rest after one that was tried.
const REST: Duration = Duration::from_secs(10);

/// Whether one side is called.
#[derive(Debug)]
pub struct Breaker {
    clock: SharedClock,
    /// Whether calls fail, so that a call that succeeds looks at nothing else.
    is_silent: AtomicBool,
    /// Whether what an operator may be told has changed since it was last taken.
    has_news: AtomicBool,
    silence: Mutex<Option<Silence>>,
}

/// Since when nothing is answered, and when the next call may try.
#[derive(Clone, Copy, Debug)]
struct Silence {
    since: Timestamp,
    next: Timestamp,
}

impl Breaker {
    /// A side that answers.
    pub fn new(clock: SharedClock) -> Self {
        let (is_silent, has_news) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { clock, is_silent, has_news, silence: Mutex::default() }
    }

    /// Whether a call may be made; if not, how long it has to rest. Of those that come when the rest is over, one tries.
    pub fn admit(&self) -> Result<(), Duration> {
        if !self.is_silent() {
            return Ok(());
        }
        let now = self.clock.now();
        let mut silence = self.silence.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *silence {
            Some(Silence { since, next }) if now.since(*since) >= MAX_SILENCE => {
                let left = next.since(now);
                if left.is_zero() {
                    *next = now + REST;
                    return Ok(());
                }
                Err(left)
            }
            _ => Ok(()),
        }
    }

    /// Whether the last call got no answer.
    fn is_silent(&self) -> bool {
        self.is_silent.load(Ordering::Acquire)
    }

    /// Lets the next call try, whatever rest is left, and says whether there is a silence to end.
    pub fn try_now(&self) -> bool {
        if let Some(silence) = &mut *self.silence.lock().unwrap_or_else(PoisonError::into_inner) {
            silence.next = self.clock.now();
        }
        self.is_silent()
    }

    /// The side answered, whatever it said.
    pub fn answered(&self) {
        if !self.is_silent() {
            return;
        }
        let ended = self.silence.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.is_silent.store(false, Ordering::Release);
        if ended.is_some_and(|silence| self.clock.now().since(silence.since) >= MAX_SILENCE) {
            self.has_news.store(true, Ordering::Release);
        }
    }

    /// A call got no answer.
    pub fn unanswered(&self) {
        let now = self.clock.now();
        let mut silence = self.silence.lock().unwrap_or_else(PoisonError::into_inner);
        let known = silence.get_or_insert(Silence { since: now, next: now });
        if now.since(known.since) >= MAX_SILENCE {
            known.next = now + REST;
            self.has_news.store(true, Ordering::Release);
        }
        self.is_silent.store(true, Ordering::Release);
    }

    /// What is new since it was last asked: since when calls rest, or that they do no longer.
    pub fn news(&self) -> Option<Option<Timestamp>> {
        if !self.has_news.swap(false, Ordering::AcqRel) {
            return None;
        }
        let silence = *self.silence.lock().unwrap_or_else(PoisonError::into_inner);
        Some(silence.filter(|one| self.clock.now().since(one.since) >= MAX_SILENCE).map(|one| one.since))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, atomic::AtomicI64};

    use super::*;
    use crate::Clock;

    #[derive(Debug, Default)]
    struct Hand(AtomicI64);

    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            Timestamp::from_secs(self.0.load(Ordering::Relaxed))
        }
    }

    #[test]
    fn after_a_silent_minute_one_call_in_ten_seconds_tries_and_an_answer_ends_it() {
        let hand = Arc::new(Hand::default());
        let breaker = Breaker::new(hand.clone());
        let at = |seconds: i64| hand.0.store(seconds, Ordering::Relaxed);
        breaker.unanswered();
        at(59);
        assert_eq!((breaker.admit(), breaker.news()), (Ok(()), None));
        breaker.unanswered();
        at(60);
        assert_eq!(breaker.admit(), Ok(()), "one tries");
        assert_eq!(breaker.admit(), Err(Duration::from_secs(10)));
        breaker.unanswered();
        assert_eq!(breaker.news(), Some(Some(Timestamp::from_secs(0))));
        at(67);
        assert_eq!((breaker.admit(), breaker.news()), (Err(Duration::from_secs(3)), None));
        assert!(breaker.try_now(), "a rare visitor does not rest");
        assert_eq!((breaker.admit(), breaker.admit()), (Ok(()), Err(Duration::from_secs(10))));
        at(77);
        assert_eq!(breaker.admit(), Ok(()));
        breaker.answered();
        assert_eq!((breaker.admit(), breaker.news()), (Ok(()), Some(None)));
        // A silence begins anew with the next call that gets no answer.
        at(1_000);
        breaker.unanswered();
        assert_eq!((breaker.admit(), breaker.news()), (Ok(()), None));
    }

    #[test]
    fn an_answer_between_two_failures_starts_the_minute_anew() {
        let hand = Arc::new(Hand::default());
        let breaker = Breaker::new(hand.clone());
        for second in [0, 50, 100, 150] {
            hand.0.store(second, Ordering::Relaxed);
            breaker.unanswered();
            if second == 50 {
                breaker.answered();
            }
            assert_eq!(breaker.admit(), Ok(()), "{second}");
        }
        hand.0.store(161, Ordering::Relaxed);
        assert!(breaker.admit().is_ok() && breaker.admit().is_err());
    }
}
