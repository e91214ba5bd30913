//! An error's class decides what happens next after a failure. No code matches an error's text; the caller acts on its class.

use std::time::Duration;

crate::documented! {
    /// What an error means. The comments also say what happens next.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Class {
        /// The same bytes may work later; certainly nothing was done.
        ///
        /// The task goes back to its queue, and its message group waits with it. It is tried again after the time the other
        /// side named, or with a growing backoff, for up to 14 days.
        Transient {
            /// Not before this has passed, if the other side said so.
            after: Option<Duration>,
        },
        /// The other side refused for good.
        ///
        /// Chatwoot's refusal is tried again for about half an hour; then `forward` dead-letters the task, and `send` leaves the
        /// conversation to `reconcile`. Meta's refusal of a message is written onto it in words, with a Retry button.
        Permanent,
        /// We cannot read it, or it crashes us; it must not hold up what follows.
        ///
        /// The task is dead-lettered with a reason, and its message group goes on.
        Poison,
        /// It may have happened.
        ///
        /// A message to WhatsApp is never sent again by itself: it is marked unconfirmed, and the agent decides. A message to
        /// Chatwoot is searched for before it is written again.
        Uncertain,
    }
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

/// A state machine that cannot make that transition from its state. Its state is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("that transition is not possible from this state")]
pub struct InvalidTransition;
