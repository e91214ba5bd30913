//! An outgoing message tracks each part of an agent's message to its end. It also records what the agent was shown.
//!
//! Graph has no idempotency key. What keeps a message from going out twice is here: a part is `Sending` in the table before the
//! call, and another worker that finds it `Sending` makes it `Uncertain`, never sent again by itself.

mod display;
mod file;
mod part;
mod reference;

use serde::{Deserialize, Serialize};

pub use self::{
    file::{FileWay, SentFile},
    part::{Awaited, Part, PartEvent},
    reference::Reference,
};
use crate::{InvalidTransition, SendFailure, Timestamp, Wamid, template::Fault};

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
    /// An emoji on the message it quotes; an agent's command made it.
    Reaction,
    /// A question with a button that shares the customer's number; an agent's command made it.
    NumberRequest,
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

/// An agent's message and what became of it. Its parts move by [`apply`](Self::apply) alone, until it is known what the message
/// is: that may replace parts that were never tried.
///
/// ```compile_fail
/// let mut message = domain::Outgoing::new(domain::Timestamp::from_secs(0), 1);
/// message.parts.clear();
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outgoing {
    /// When the agent last asked for it: when `send` saw it first, or Retry.
    asked_at: Timestamp,
    /// The message it quotes. Retry takes the quote off the message in Chatwoot, and must not take it off what goes out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quote: Option<Wamid>,
    /// How often in a row the function ended without reporting an outcome while it worked on this message.
    #[serde(default)]
    crashes: u32,
    /// How often its displayed status was corrected since the agent last asked for it: a failed callback of Chatwoot's had
    /// changed it.
    #[serde(default, skip_serializing_if = "is_zero")]
    corrections: u32,
    /// What it is.
    #[serde(default)]
    kind: MessageKind,
    /// Its parts, in the order they go out.
    parts: Vec<Part>,
    /// Whether the text under a file is the last part, which goes out first: the file cannot be had.
    #[serde(default)]
    caption_apart: bool,
    /// What is known of the files that went to Meta.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    files: Vec<SentFile>,
    /// What Chatwoot was last told.
    shown: DisplayedStatus,
    /// When that call had been answered. A listing begun before this moment says nothing about the agent's wish.
    shown_at: Timestamp,
    /// Our tag on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tag: Option<Tag>,
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
    /// A message just found.
    pub fn new(seen_at: Timestamp, parts: usize) -> Self {
        Self {
            asked_at: seen_at,
            quote: None,
            crashes: 0,
            corrections: 0,
            kind: MessageKind::Unsorted,
            parts: vec![Part::Planned; parts.max(1)],
            caption_apart: false,
            files: Vec::new(),
            shown: DisplayedStatus::Sent,
            shown_at: seen_at,
            tag: None,
        }
    }

    /// When the agent last asked for it.
    pub fn asked_at(&self) -> Timestamp {
        self.asked_at
    }

    /// What it is.
    pub fn kind(&self) -> MessageKind {
        self.kind
    }

    /// Its parts, in the order they go out.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Whether the text under a file is the last part, which goes out first: the file cannot be had.
    pub fn is_caption_apart(&self) -> bool {
        self.caption_apart
    }

    /// Whether no part of it was ever sent, or may have been.
    pub fn is_untried(&self) -> bool {
        self.parts.iter().all(|part| part.attempt() == 0)
    }

    /// Moves a part. This is the only way in which one moves; a message whose part cannot move so stays as it is. The text under
    /// a file that failed goes out without the file.
    pub fn apply(&mut self, at: usize, event: PartEvent) -> Result<(), InvalidTransition> {
        if matches!(event, PartEvent::Reserved { .. }) && !self.is_due(at) {
            return Err(InvalidTransition);
        }
        let part = self.parts.get_mut(at).ok_or(InvalidTransition)?;
        *part = part.after(&event)?;
        let captioned = match event {
            PartEvent::Reserved { file, .. } => {
                self.files.retain(|known| known.part != at);
                self.files.extend(file);
                false
            }
            PartEvent::Failed { captioned, .. } => captioned,
            PartEvent::Reported { .. } => self.file(at).is_some_and(|file| file.captioned),
            _ => false,
        };
        if captioned && !self.caption_apart && self.failure(at).is_some_and(|failure| self.is_of_file(at, failure)) {
            self.caption_apart = true;
            self.parts.push(Part::Planned);
        }
        Ok(())
    }

    /// Gives up what has not gone out yet, so that it does not go out by itself.
    pub fn give_up(&mut self, failure: SendFailure) -> Result<(), InvalidTransition> {
        self.next_part().map_or(Ok(()), |at| self.apply(at, PartEvent::GivenUp { failure }))
    }

    /// It is a template, which has one part, unless a part was tried already.
    pub fn set_template(&mut self) {
        if self.is_untried() {
            self.kind = MessageKind::Template;
            self.parts = vec![Part::Planned];
            self.caption_apart = false;
            self.files = Vec::new();
        }
    }

    /// It is known what was picked in it: a template, which goes out unless a part was tried already. What was given up because
    /// the values were unknown (`young`: not long ago, and nothing went out behind it) is taken up again; what came too late
    /// waits for the agent.
    pub fn set_picked(&mut self, young: bool) -> Result<(), InvalidTransition> {
        let given_up = self.parts.iter().find_map(|part| match part {
            Part::Failed { attempt: 0, failure } => Some(*failure),
            _ => None,
        });
        match given_up {
            _ if !self.is_untried() => {}
            Some(SendFailure::Template { fault: Fault::Lost | Fault::Untold | Fault::MayBeOne }) if young => {
                self.set_template();
            }
            Some(failure) if !young || failure == SendFailure::SeenTooLate => {
                self.set_template();
                self.give_up(failure)?;
            }
            _ if self.kind == MessageKind::Template => {}
            _ => self.set_template(),
        }
        Ok(())
    }

    /// It is known to be text and files. What was given up because the kind was unknown is taken up again (`young`: not long
    /// ago, and nothing went out behind it).
    pub fn set_plain(&mut self, young: bool) -> Result<(), InvalidTransition> {
        self.kind = MessageKind::Plain;
        let is_given_up = |part: &Part| match part {
            Part::Failed { attempt: 0, failure: SendFailure::Template { fault } } => {
                matches!(fault, Fault::Untold | Fault::MayBeOne)
            }
            _ => false,
        };
        let given_up: Vec<usize> = (0..self.parts.len()).filter(|at| young && is_given_up(&self.parts[*at])).collect();
        given_up.into_iter().try_for_each(|at| self.apply(at, PartEvent::Reopened))
    }

    /// The bridge itself wrote it, on an agent's command, and knows what it is.
    pub fn set_commanded(&mut self, kind: MessageKind) {
        if self.is_untried() {
            self.kind = kind;
        }
    }

    /// The quoted message for a part: the first part that reaches the customer carries the quote.
    pub fn quote_of(&self, at: usize) -> Option<&Wamid> {
        let is_out = |(of, part): (usize, &Part)| of != at && part.wamid().is_some() && part.failure().is_none();
        self.quote.as_ref().filter(|_| !self.parts.iter().enumerate().any(is_out))
    }

    /// The combined state of the parts.
    pub fn outcome(&self) -> Outcome {
        let is_out = |part: &&Part| matches!(part, Part::Accepted { .. }) && part.failure().is_none();
        let accepted = self.parts.iter().filter(is_out).count();
        let first = self.failures().map(|(_, failure)| failure).next();
        // A problem with one file stops nothing else.
        let stops = self.stopping_failure();
        let is_pending = stops.is_none() && self.parts.iter().any(Part::is_pending);
        match stops.or(first) {
            _ if is_pending => return Outcome::Underway,
            Some(failure) => return Outcome::Incomplete { failure, accepted },
            None => {}
        }
        Outcome::Out(
            self.parts.iter().map(Part::displayed).min_by_key(|mark| *mark as u8).unwrap_or(DisplayedStatus::Sent),
        )
    }

    /// What keeps the rest from going out, if anything does.
    pub fn stopping_failure(&self) -> Option<SendFailure> {
        self.failures().find(|(at, failure)| !self.is_of_file(*at, *failure)).map(|(_, failure)| failure)
    }

    /// Whether the agent pressed Retry on what was given up before anything was tried.
    pub fn is_retried_untried(&self) -> bool {
        let waits = |part: &Part| matches!(part, Part::Waiting { attempt: 0, awaited: Awaited::Meta, .. });
        self.is_untried() && self.parts.iter().any(waits)
    }

    /// The first part that still has to go out.
    pub fn next_part(&self) -> Option<usize> {
        self.pending_parts().next()
    }

    /// The first part that still has to go out and is none of those that were tried and wait for their file: one file that
    /// cannot be had yet does not stop the others.
    pub fn next_part_beyond(&self, without_file: &[usize]) -> Option<usize> {
        self.pending_parts().find(|at| !without_file.contains(at))
    }

    /// Whether a part may go out: all before it are out, or wait for their file.
    fn is_due(&self, at: usize) -> bool {
        let waits = |of: &usize| self.parts[*of].awaits_since(Awaited::File).is_some();
        self.pending_parts().find(|of| *of == at || !waits(of)) == Some(at)
    }

    /// The parts that still have to go out, in the order in which they go.
    fn pending_parts(&self) -> impl Iterator<Item = usize> {
        let is_underway = self.outcome() == Outcome::Underway;
        let apart = self.caption_apart.then(|| self.parts.len() - 1);
        let in_order = apart.into_iter().chain((0..self.parts.len()).filter(move |at| Some(*at) != apart));
        in_order.filter(move |at| is_underway && self.parts[*at].is_pending())
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
