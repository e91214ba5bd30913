//! An outgoing message tracks each part of an agent's message to its end. It also records what the agent was shown.
//!
//! Graph has no idempotency key. What keeps a message from going out twice is here: a part is `Sending` in the table before the
//! call, and another worker that finds it `Sending` makes it `Uncertain`, never sent again by itself.

mod file;
mod part;
mod reference;

use serde::{Deserialize, Serialize};

pub use self::{
    file::{FileWay, SentFile},
    part::{Awaited, Part},
    reference::Reference,
};
use crate::{Delivery, SendFailure, Timestamp, Wamid, template::Fault};

/// What the agent sees on the message in Chatwoot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisplayedStatus {
    /// One tick; every message starts with it.
    Sent,
    /// Two ticks.
    Delivered,
    /// Blue ticks.
    Read,
    /// Red, with a reason and a Retry button.
    Failed,
    /// The same, with text that says the outcome is unknown; better text replaces it.
    Unconfirmed,
}

/// What kind of message it is. Chatwoot's list does not say so; its callback does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    /// Not known yet.
    #[default]
    Unsorted,
    /// Words and files.
    Plain,
    /// A template. What was picked is in the sync request.
    Template,
}

/// What is known of our tag on a message in Chatwoot. Retry removes the tag. Where Chatwoot turns the message red again at
/// once, because its callback fails, nothing else reveals a Retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tag {
    /// It was put on this many times, and no list has shown it yet.
    Put(u8),
    /// A list has shown it.
    Stands,
    /// Chatwoot does not keep it.
    Refused,
}

/// An agent's message and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outgoing {
    /// When the agent last asked for it: when `send` saw it first, or Retry.
    pub asked_at: Timestamp,
    /// The message it quotes. Retry takes the quote off the message in Chatwoot, and must not take it off what goes out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote: Option<Wamid>,
    /// How often in a row the function ended without reporting an outcome while it worked on this message.
    #[serde(default)]
    pub deaths: u32,
    /// How often its displayed status was corrected since the agent last asked for it: a failed callback of Chatwoot's had
    /// changed it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub corrected: u32,
    /// What it is.
    #[serde(default)]
    pub nature: MessageKind,
    /// Its parts, in the order they go out.
    pub parts: Vec<Part>,
    /// Whether the text under a file is the last part, which goes out first: the file cannot be had.
    #[serde(default)]
    pub words_apart: bool,
    /// What is known of the files that went to Meta.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<SentFile>,
    /// What Chatwoot was last told.
    pub shown: DisplayedStatus,
    /// When that call had been answered. A listing begun before this moment says nothing about the agent's wish.
    pub shown_at: Timestamp,
    /// Our tag on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<Tag>,
}

/// The combined state of the parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Still on its way; nothing to report yet.
    Underway,
    /// Out, and this far.
    Out(DisplayedStatus),
    /// Not all of it is out.
    Incomplete {
        /// Why.
        failure: SendFailure,
        /// Parts that Meta has.
        accepted: usize,
    },
}

impl Outgoing {
    /// The count for a message that Chatwoot leaves red: its status is not corrected any more.
    pub const LEFT: u32 = u32::MAX;

    /// A message just found.
    pub fn new(seen_at: Timestamp, parts: usize) -> Self {
        Self {
            asked_at: seen_at,
            quote: None,
            deaths: 0,
            corrected: 0,
            nature: MessageKind::Unsorted,
            parts: vec![Part::Planned; parts.max(1)],
            words_apart: false,
            files: Vec::new(),
            shown: DisplayedStatus::Sent,
            shown_at: seen_at,
            tag: None,
        }
    }

    /// Whether no part of it was ever sent, or may have been.
    pub fn is_untried(&self) -> bool {
        self.parts.iter().all(|part| part.attempt() == 0)
    }

    /// The same as a template, which has one part.
    #[must_use]
    pub fn as_template(mut self) -> Self {
        self.nature = MessageKind::Template;
        self.parts = vec![Part::Planned];
        self.words_apart = false;
        self.files = Vec::new();
        self
    }

    /// The same once the text under a file is a part of its own.
    #[must_use]
    pub fn with_words_apart(mut self) -> Self {
        if !self.words_apart {
            self.words_apart = true;
            self.parts.push(Part::Planned);
        }
        self
    }

    /// The same once it is known what was picked in it: a template, which goes out unless a part was tried already. What was
    /// given up because the values were unknown (`young`: not long ago, and nothing went out behind it) is taken up again; what
    /// came too late waits for the agent.
    #[must_use]
    pub fn picked(self, young: bool) -> Self {
        let given_up = self.parts.iter().find_map(|part| match part {
            Part::Failed { attempt: 0, failure: trouble } => Some(*trouble),
            _ => None,
        });
        match given_up {
            _ if !self.is_untried() => self,
            Some(SendFailure::Template { fault: Fault::Lost | Fault::Untold | Fault::MayBeOne }) if young => {
                self.as_template()
            }
            Some(trouble) if !young || trouble == SendFailure::SeenTooLate => {
                let parts = vec![Part::Failed { attempt: 0, failure: trouble }];
                Self { nature: MessageKind::Template, parts, words_apart: false, files: Vec::new(), ..self }
            }
            _ if self.nature == MessageKind::Template => self,
            _ => self.as_template(),
        }
    }

    /// The same once it is known to be text and files. What was given up because the kind was unknown is taken up again
    /// (`young`: not long ago, and nothing went out behind it).
    #[must_use]
    pub fn plain(mut self, young: bool) -> Self {
        for part in self.parts.iter_mut().filter(|_| young) {
            let Part::Failed { attempt: 0, failure: SendFailure::Template { fault } } = part else { continue };
            if matches!(fault, Fault::Untold | Fault::MayBeOne) {
                *part = Part::Planned;
            }
        }
        self.nature = MessageKind::Plain;
        self
    }

    /// The message once Meta has reported this about a part, if that changes anything. The text under a file that failed goes
    /// out without the file.
    pub fn apply_status(&self, at: usize, attempt: Option<u32>, wamid: &Wamid, delivery: Delivery) -> Option<Self> {
        let mut changed = self.clone();
        let part = changed.parts.get_mut(at)?;
        *part = part.apply_status(attempt, wamid, delivery);
        let captioned = changed.file(at).is_some_and(|file| file.captioned);
        if captioned && changed.trouble(at).is_some_and(|trouble| changed.is_of_file(at, trouble)) {
            changed = changed.with_words_apart();
        }
        (changed != *self).then_some(changed)
    }

    /// The quoted message for a part: the first part that reaches the customer carries the quote.
    pub fn quote_of(&self, at: usize) -> Option<&Wamid> {
        let is_out = |(of, part): (usize, &Part)| of != at && part.wamid().is_some() && part.trouble().is_none();
        self.quote.as_ref().filter(|_| !self.parts.iter().enumerate().any(is_out))
    }

    /// The combined state of the parts.
    pub fn outcome(&self) -> Outcome {
        let is_out = |part: &&Part| matches!(part, Part::Accepted { .. }) && part.trouble().is_none();
        let accepted = self.parts.iter().filter(is_out).count();
        let first = self.failures().map(|(_, trouble)| trouble).next();
        // A problem with one file stops nothing else.
        let stops = self.stopping_failure();
        let is_pending = stops.is_none() && self.parts.iter().any(Part::is_pending);
        match stops.or(first) {
            _ if is_pending => return Outcome::Underway,
            Some(trouble) => return Outcome::Incomplete { failure: trouble, accepted },
            None => {}
        }
        Outcome::Out(self.parts.iter().map(Part::mark).min_by_key(|mark| *mark as u8).unwrap_or(DisplayedStatus::Sent))
    }

    /// What keeps the rest from going out, if anything does.
    pub fn stopping_failure(&self) -> Option<SendFailure> {
        self.failures().find(|(at, trouble)| !self.is_of_file(*at, *trouble)).map(|(_, trouble)| trouble)
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

    /// The state after the agent pressed Retry: what was not sent is planned again, what was sent stays.
    #[must_use]
    pub fn retried(mut self, now: Timestamp) -> Self {
        for part in &mut self.parts {
            if part.trouble().is_some() {
                *part = Part::Waiting { attempt: part.attempt(), since: now, awaited: Awaited::Meta };
            }
        }
        self.asked_at = now;
        self.corrected = 0;
        self.shown = DisplayedStatus::Sent;
        self.tag = None;
        self
    }

    /// Whether the agent pressed Retry on what was given up before anything was tried.
    pub fn is_retried_untried(&self) -> bool {
        let waits = |part: &Part| matches!(part, Part::Waiting { attempt: 0, awaited: Awaited::Meta, .. });
        self.is_untried() && self.parts.iter().any(waits)
    }

    /// The first part that still has to go out.
    pub fn next_part(&self) -> Option<usize> {
        match self.outcome() {
            Outcome::Underway if self.words_apart && self.parts.last().is_some_and(Part::is_pending) => {
                Some(self.parts.len() - 1)
            }
            Outcome::Underway => self.parts.iter().position(Part::is_pending),
            Outcome::Out(_) | Outcome::Incomplete { .. } => None,
        }
    }

    /// Whether neither time nor the agent can change anything about it.
    pub fn is_settled(&self) -> bool {
        matches!(self.outcome(), Outcome::Out(mark) if mark == self.shown)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests;
