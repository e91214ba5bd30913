//! The customer service window limits when free-form messages may be sent. It lasts 24 hours.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// How long a customer's message keeps the window open (whatsapp-cloud-api.md §4.5).
pub const WINDOW_LENGTH: Duration = Duration::from_secs(24 * 3600);

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
        self.0.is_some_and(|start| now.since(start) < WINDOW_LENGTH)
    }

    /// When it last opened.
    pub fn start(self) -> Option<Timestamp> {
        self.0
    }
}

/// How long the business has to answer a customer that an advert or a Page's button brought, for its messages to be free
/// (whatsapp-cloud-api.md §4.5).
const ADVERT_ANSWER_SPAN: Duration = WINDOW_LENGTH;

/// How long they are free from that answer on. The time for messages without a template still ends with the window.
const FREE_ENTRY_LENGTH: Duration = Duration::from_secs(72 * 3600);

/// A customer who came by an advert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advert {
    /// When they wrote.
    pub came_at: Timestamp,
    /// When they were answered first.
    pub answered_at: Option<Timestamp>,
}

impl Advert {
    /// Whether an answer now is the one that makes messages free.
    pub fn waits_for_answer(self, now: Timestamp) -> bool {
        self.answered_at.is_none() && now.since(self.came_at) < ADVERT_ANSWER_SPAN
    }

    /// Until when Meta charges nothing, if that time began.
    pub fn free_until(self) -> Option<Timestamp> {
        self.answered_at.map(|answered_at| answered_at + FREE_ENTRY_LENGTH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_secs(1_795_190_400);

    #[test]
    fn it_closes_after_a_day_to_the_second() {
        let window = Window::default().opened_by(NOON, NOON);
        assert!(window.is_open(NOON + WINDOW_LENGTH - Duration::from_secs(1)));
        assert!(!window.is_open(NOON + WINDOW_LENGTH));
        assert!(!Window::default().is_open(NOON));
    }

    #[test]
    fn an_advert_answered_within_a_day_makes_three_days_free() {
        let advert = Advert { came_at: NOON, answered_at: None };
        assert!(advert.waits_for_answer(NOON + WINDOW_LENGTH - Duration::from_secs(1)));
        assert!(!advert.waits_for_answer(NOON + WINDOW_LENGTH));
        let answered = Advert { answered_at: Some(NOON), ..advert };
        assert!(!answered.waits_for_answer(NOON));
        assert_eq!((advert.free_until(), answered.free_until()), (None, Some(NOON + FREE_ENTRY_LENGTH)));
    }

    #[test]
    fn a_clock_ahead_or_a_late_message_does_not_stretch_it() {
        let ahead = Window::default().opened_by(NOON + Duration::from_secs(3600), NOON);
        assert_eq!(ahead.start(), Some(NOON));
        assert_eq!(ahead.opened_by(NOON - Duration::from_secs(60), NOON).start(), Some(NOON));
    }
}
