use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::body::Bytes;

/// One call a server answered.
#[derive(Clone, Debug)]
pub struct Call {
    /// The HTTP method.
    pub method: String,
    /// The path.
    pub path: String,
    /// Which operation of AWS it asked for (`X-Amz-Target`); empty elsewhere.
    pub target: String,
    /// Length of the request's body in bytes, where it was told.
    pub bytes: u64,
    /// The request's body, if bodies are kept.
    pub body: Bytes,
    /// When it was read.
    pub began: Instant,
    /// When the answer was ready.
    pub ended: Instant,
}

/// The calls a server answered, once somebody asked for them to be written down.
#[derive(Clone, Debug, Default)]
pub struct Calls(Arc<Mutex<Log>>);

#[derive(Debug, Default)]
struct Log {
    wanted: bool,
    bodies: bool,
    calls: Vec<Call>,
}

impl Calls {
    /// From now on calls are written down.
    pub fn record(&self) {
        self.lock().wanted = true;
    }

    /// The same, with their bodies.
    pub fn record_bodies(&self) {
        let mut log = self.lock();
        (log.wanted, log.bodies) = (true, true);
    }

    /// Takes what was written down.
    pub fn take(&self) -> Vec<Call> {
        std::mem::take(&mut self.lock().calls)
    }

    pub(crate) fn add(&self, call: Call) {
        self.lock().calls.push(call);
    }

    /// Whether calls are wanted, and their bodies.
    pub(crate) fn wanted(&self) -> (bool, bool) {
        let log = self.lock();
        (log.wanted, log.bodies)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long at least one of the calls was being answered: what a caller who waits for all of them cannot be blamed for.
pub fn answering<'a>(calls: impl IntoIterator<Item = &'a Call>) -> Duration {
    let mut spans: Vec<(Instant, Instant)> = calls.into_iter().map(|call| (call.began, call.ended)).collect();
    spans.sort();
    let mut total = Duration::ZERO;
    let mut covered: Option<Instant> = None;
    for (began, ended) in spans {
        let from = covered.map_or(began, |covered| covered.max(began));
        total += ended.saturating_duration_since(from);
        covered = Some(covered.map_or(ended, |covered| covered.max(ended)));
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_in_which_two_calls_were_answered_counts_once() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let call = |began, ended| Call {
            method: "POST".into(),
            path: "/".into(),
            target: String::new(),
            bytes: 0,
            body: Bytes::new(),
            began: at(began),
            ended: at(ended),
        };
        let calls = [call(5, 9), call(0, 4), call(2, 6), call(20, 21)];
        assert_eq!(answering(&calls), Duration::from_millis(10));
    }
}
