//! The customer service window: 24 hours in which free-form messages may be sent.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// How long a customer's message keeps the window open (whatsapp-cloud-api.md §4.5).
pub const OPEN_FOR: Duration = Duration::from_secs(24 * 3600);

/// Counted from the customer's own time of the last live message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Window(Option<Timestamp>);

impl Window {
    /// Open since `start`, if at all.
    pub fn since(start: Option<Timestamp>) -> Self {
        Self(start)
    }

    /// The window after a message written at `sent_at` reached us at `now`: it never starts in the future, and an older
    /// message never moves it back.
    #[must_use]
    pub fn opened_by(self, sent_at: Timestamp, now: Timestamp) -> Self {
        Self(self.0.max(Some(sent_at.min(now))))
    }

    /// Whether a free-form message may be sent.
    pub fn is_open(self, now: Timestamp) -> bool {
        self.0.is_some_and(|start| now.since(start) < OPEN_FOR)
    }

    /// When it last opened.
    pub fn start(self) -> Option<Timestamp> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_secs(1_795_190_400);

    #[test]
    fn it_closes_after_a_day_to_the_second() {
        let window = Window::default().opened_by(NOON, NOON);
        assert!(window.is_open(NOON + OPEN_FOR - Duration::from_secs(1)));
        assert!(!window.is_open(NOON + OPEN_FOR));
        assert!(!Window::default().is_open(NOON));
    }

    #[test]
    fn a_clock_ahead_or_a_late_message_does_not_stretch_it() {
        let ahead = Window::default().opened_by(NOON + Duration::from_secs(3600), NOON);
        assert_eq!(ahead.start(), Some(NOON));
        assert_eq!(ahead.opened_by(NOON - Duration::from_secs(60), NOON).start(), Some(NOON));
    }
}
