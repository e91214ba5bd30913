//! How far AWS is behind itself: what it says late, and what it does late.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// By how much of the clock's time AWS is behind. None of it at first, so that a test that does not ask for it need not wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// The approximate counts of a queue show what it held so long ago.
    pub counts: Duration,
    /// A query on an index finds what the table held so long ago.
    pub indexes: Duration,
    /// A move of dead letters is done so long after it was asked for.
    pub moves: Duration,
    /// Every other receive that does not wait finds nothing: a short poll asks only some of SQS's servers.
    pub short_polls: bool,
}

impl Lag {
    /// What a test of what the bridge concludes should bear: AWS says that counts settle a minute after the last message, that
    /// an index follows within a moment, and that a move takes its time.
    pub const LONG: Self = Self {
        counts: Duration::from_secs(120),
        indexes: Duration::from_secs(60),
        moves: Duration::from_secs(90),
        short_polls: true,
    };
}

/// The lag that all services of one AWS share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lagging(Arc<Mutex<Lag>>);

impl Lagging {
    pub(crate) fn set(&self, lag: Lag) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = lag;
    }

    pub(crate) fn get(&self) -> Lag {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
