//! Rate limits: rack-attack's fixed windows, moved by the clock that everything else goes by.

use std::{collections::HashMap, time::Duration};

use domain::Timestamp;

/// The limits of the installation. The defaults are Chatwoot's.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Requests of all kinds a minute; `None` once the caller's address is on the list of the allowed ones.
    pub requests_per_minute: Option<u32>,
    /// `contacts/search` a minute.
    pub searches_per_minute: u32,
    /// `upload` an hour.
    pub uploads_per_hour: u32,
    /// Messages of one conversation a minute, by `created_at`; beyond that every save of a message in it fails.
    pub messages_per_conversation_and_minute: usize,
    /// Characters of a message.
    pub content_characters: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_per_minute: Some(3000),
            searches_per_minute: 100,
            uploads_per_hour: 60,
            messages_per_conversation_and_minute: 200,
            content_characters: 150_000,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Throttles(HashMap<&'static str, (i64, u32)>);

impl Throttles {
    /// Counts one; false once the window is full.
    pub(crate) fn admit(&mut self, rule: &'static str, limit: u32, window: Duration, now: Timestamp) -> bool {
        let window = now.as_secs() / i64::try_from(window.as_secs()).unwrap_or(i64::MAX).max(1);
        let (current, count) = self.0.entry(rule).or_default();
        if *current != window {
            (*current, *count) = (window, 0);
        }
        *count += 1;
        *count <= limit
    }
}
