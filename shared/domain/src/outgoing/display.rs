//! What agents were shown of an outgoing message, and what they did to it there.

use super::{DisplayedStatus, Outcome, Outgoing, PartEvent, Tag};
use crate::{InvalidTransition, SendFailure, Timestamp, Wamid};

impl Outgoing {
    /// The count for a message that Chatwoot leaves red: its status is not corrected any more.
    const LEFT_RED: u32 = u32::MAX;

    /// When Chatwoot had last answered what is shown.
    pub fn shown_at(&self) -> Timestamp {
        self.shown_at
    }

    /// Whether it is shown as failed, for a reason that is known.
    pub fn is_shown_failed(&self) -> bool {
        self.shown == DisplayedStatus::Failed
    }

    /// Our tag on it.
    pub fn tag(&self) -> Option<Tag> {
        self.tag
    }

    /// How often its displayed status was corrected since the agent last asked for it.
    pub fn corrections(&self) -> u32 {
        self.corrections
    }

    /// How often in a row the function crashed over it.
    pub fn crashes(&self) -> u32 {
        self.crashes
    }

    /// Whether it is not known to quote a message.
    pub fn is_unquoted(&self) -> bool {
        self.quote.is_none()
    }

    /// It quotes that message, if any.
    pub fn set_quote(&mut self, quoted: Option<Wamid>) {
        self.quote = quoted;
    }

    /// The function may have crashed over it once more.
    pub fn count_crash(&mut self) {
        self.crashes = self.crashes.saturating_add(1);
    }

    /// The function has come through it.
    pub fn clear_crashes(&mut self) {
        self.crashes = 0;
    }

    /// Chatwoot answered at that time that it shows this.
    pub fn set_shown(&mut self, shown: DisplayedStatus, at: Timestamp) {
        self.shown = shown;
        self.shown_at = at;
    }

    /// Chatwoot leaves it red, whatever it is told.
    pub fn leave_red(&mut self) {
        self.corrections = Self::LEFT_RED;
    }

    /// Chatwoot shows something else than it was told: this is now corrected once more.
    pub fn count_correction(&mut self, stands: DisplayedStatus) {
        self.shown = stands;
        self.corrections = self.corrections.saturating_add(1);
    }

    /// What is known of our tag on it.
    pub fn set_tag(&mut self, tag: Tag) {
        self.tag = Some(tag);
    }

    /// What the agent should see, if that differs from what is shown.
    pub fn pending_status(&self) -> Option<Outcome> {
        let outcome = self.outcome();
        let wanted = match &outcome {
            Outcome::Underway => return None,
            Outcome::Out(mark) => *mark,
            Outcome::Incomplete { failure: SendFailure::Unconfirmed, .. } => DisplayedStatus::Unconfirmed,
            Outcome::Incomplete { .. } => DisplayedStatus::Failed,
        };
        (wanted != self.shown).then_some(outcome)
    }

    /// Whether the agent pressed Retry: we had marked it failed, and a listing begun after that shows it as sent again, or
    /// without the tag that an earlier one showed. Nothing else counts, least of all a status of our own that arrived late.
    pub fn is_retried(&self, sent_in_chatwoot: bool, tagged: bool, listed_at: Timestamp) -> bool {
        matches!(self.shown, DisplayedStatus::Failed | DisplayedStatus::Unconfirmed)
            && (sent_in_chatwoot || self.tag == Some(Tag::Stands) && !tagged)
            && listed_at > self.shown_at
            && matches!(self.outcome(), Outcome::Incomplete { .. })
    }

    /// The agent pressed Retry: what was not sent is planned again, what was sent stays.
    pub fn retry(&mut self, now: Timestamp) -> Result<(), InvalidTransition> {
        for at in 0..self.parts.len() {
            if self.parts[at].failure().is_some() {
                self.apply(at, PartEvent::Retried { at: now })?;
            }
        }
        self.asked_at = now;
        self.corrections = 0;
        self.shown = DisplayedStatus::Sent;
        self.tag = None;
        Ok(())
    }
}
