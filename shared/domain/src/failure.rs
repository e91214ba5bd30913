//! An error's class decides what happens next after a failure. No code matches an error's text; the caller acts on its class.

use std::time::Duration;

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The same bytes may work later; certainly nothing was done.
    Transient {
        /// Not before this has passed, if the other side said so.
        after: Option<Duration>,
    },
    /// The other side refused for good.
    Permanent,
    /// We cannot read it, or it crashes us; it must not hold up what follows.
    Poison,
    /// It may have happened.
    Uncertain,
}

impl Class {
    /// Transient, without a given time to wait.
    pub const LATER: Self = Self::Transient { after: None };
}

/// An error that knows what happens next.
pub trait Classify {
    /// Its class.
    fn class(&self) -> Class;
}
