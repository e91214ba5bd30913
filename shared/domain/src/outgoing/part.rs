//! A part is one call to Meta for an agent's message. This module holds its state, and the events that move it.

use serde::{Deserialize, Serialize};

use super::{DisplayedStatus, SentFile};
use crate::{Delivery, InvalidTransition, SendFailure, Timestamp, Wamid};

/// What a part waits for; each has its own time limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Awaited {
    /// For Meta to take it.
    #[default]
    Meta,
    /// For Chatwoot to deliver its file.
    File,
    /// For Meta to take its file.
    Upload,
}

/// The state of one part. Everyone may read it, and only [`Outgoing::apply`](super::Outgoing::apply) makes a new one:
///
/// ```compile_fail
/// let sent_once_more = domain::Part::Sending { attempt: 2, since: None };
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Part {
    /// Nothing was tried yet.
    #[non_exhaustive]
    Planned,
    /// The call is being made, or was made by a worker that crashed before it could record the outcome.
    #[non_exhaustive]
    Sending {
        /// Counts the calls; it is part of the reference, so that a status names the exact call.
        attempt: u32,
        /// When an earlier call failed first, if one did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<Timestamp>,
    },
    /// Certainly not sent; will be tried again by itself.
    #[non_exhaustive]
    Waiting {
        /// The call that failed.
        attempt: u32,
        /// When it failed first.
        since: Timestamp,
        /// What it waits for.
        #[serde(default)]
        awaited: Awaited,
    },
    /// Meta has it.
    #[non_exhaustive]
    Accepted {
        /// The call that did it.
        attempt: u32,
        /// Meta's id.
        wamid: Wamid,
        /// How far it came.
        delivery: Delivery,
    },
    /// Certainly not sent, and not tried again unless the agent asks.
    #[non_exhaustive]
    Failed {
        /// The last call; 0 if there was none.
        attempt: u32,
        /// Why.
        failure: SendFailure,
    },
    /// It may have been sent. Settled by a status that carries our reference, or by the agent.
    #[non_exhaustive]
    Uncertain {
        /// The call that got no answer.
        attempt: u32,
    },
}

/// What happens to a part. `attempt` is the number of the last call the reporter knows of: what is said of an older call
/// never touches the state of a newer one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartEvent {
    /// Its call is about to be made. Only once this is saved may the call be made.
    Reserved {
        /// The number of that call.
        attempt: u32,
        /// The file in it.
        file: Option<SentFile>,
    },
    /// The call was not made after all.
    Released {
        /// The call that was reserved.
        attempt: u32,
        /// The part as it was before that.
        before: Part,
    },
    /// It was certainly not sent, and will be tried again by itself.
    Deferred {
        /// The last call.
        attempt: u32,
        /// What it waits for.
        awaited: Awaited,
        /// When that was found.
        at: Timestamp,
    },
    /// It was certainly not sent, and is not tried again unless the agent asks.
    Failed {
        /// The last call.
        attempt: u32,
        /// Why.
        failure: SendFailure,
        /// Whether it has text under a file. If only the file is at fault, the text becomes a part of its own.
        captioned: bool,
    },
    /// The call got no answer: it may have been sent.
    Unanswered {
        /// The call.
        attempt: u32,
    },
    /// It is given up, wherever it is: it failed, or, if its call was begun, it may have been sent.
    GivenUp {
        /// Why.
        failure: SendFailure,
    },
    /// Meta reported how far it came, in its answer or by a status.
    Reported {
        /// The call, where the report names it.
        attempt: Option<u32>,
        /// Meta's id.
        wamid: Wamid,
        /// How far.
        delivery: Delivery,
    },
    /// The agent pressed Retry.
    Retried {
        /// When.
        at: Timestamp,
    },
    /// What failed before any call was made may be sent after all.
    Reopened,
}

impl Part {
    /// The number of the last call, 0 if there was none.
    pub fn attempt(&self) -> u32 {
        match self {
            Self::Planned => 0,
            Self::Sending { attempt, .. }
            | Self::Waiting { attempt, .. }
            | Self::Accepted { attempt, .. }
            | Self::Failed { attempt, .. }
            | Self::Uncertain { attempt } => *attempt,
        }
    }

    /// Meta's id, once it has the part.
    pub fn wamid(&self) -> Option<&Wamid> {
        match self {
            Self::Accepted { wamid, .. } => Some(wamid),
            _ => None,
        }
    }

    /// When sending it failed first, if it did and is being tried again.
    pub fn waiting_since(&self) -> Option<Timestamp> {
        match self {
            Self::Waiting { since, .. } => Some(*since),
            Self::Sending { since, .. } => *since,
            _ => None,
        }
    }

    /// Since when it has waited for this alone.
    pub fn awaits_since(&self, awaited: Awaited) -> Option<Timestamp> {
        match self {
            Self::Waiting { since, awaited: known, .. } if *known == awaited => Some(*since),
            _ => None,
        }
    }

    /// The part after an event. What was settled stays settled, except that Retry, a report of Meta's, or the answer to the very
    /// call may tell more.
    pub(super) fn after(&self, event: &PartEvent) -> Result<Self, InvalidTransition> {
        let current = self.attempt();
        let is_open = matches!(self, Self::Planned | Self::Waiting { .. });
        let is_called = matches!(self, Self::Sending { .. } | Self::Uncertain { .. });
        Ok(match event {
            PartEvent::Reserved { attempt, .. } if is_open && *attempt == current + 1 => {
                Self::Sending { attempt: *attempt, since: self.waiting_since() }
            }
            PartEvent::Released { attempt, before: before @ (Self::Planned | Self::Waiting { .. }) }
                if is_called && *attempt == current && before.attempt() + 1 == current =>
            {
                before.clone()
            }
            PartEvent::Deferred { attempt, awaited, at } if (is_open || is_called) && *attempt == current => {
                let since = match awaited {
                    Awaited::Meta => self.waiting_since(),
                    // A file has a time of its own: the time on hold does not count.
                    Awaited::File | Awaited::Upload => self.awaits_since(*awaited),
                };
                Self::Waiting { attempt: current, since: since.unwrap_or(*at), awaited: *awaited }
            }
            PartEvent::Failed { attempt, failure, .. } if (is_open || is_called) && *attempt == current => {
                Self::Failed { attempt: current, failure: *failure }
            }
            PartEvent::Unanswered { attempt } if is_called && *attempt == current => {
                Self::Uncertain { attempt: current }
            }
            // Meta has told of the call what its answer did not.
            PartEvent::Unanswered { attempt } if self.wamid().is_some() && *attempt <= current => self.clone(),
            PartEvent::GivenUp { failure } if is_open => Self::Failed { attempt: current, failure: *failure },
            PartEvent::GivenUp { .. } if matches!(self, Self::Sending { .. }) => Self::Uncertain { attempt: current },
            PartEvent::Reported { attempt, wamid, delivery } => self.reported(*attempt, wamid, *delivery),
            PartEvent::Retried { at } if self.failure().is_some() => {
                Self::Waiting { attempt: current, since: *at, awaited: Awaited::Meta }
            }
            PartEvent::Reopened if matches!(self, Self::Failed { attempt: 0, .. }) => Self::Planned,
            _ => return Err(InvalidTransition),
        })
    }

    /// A report proves that Meta has the part, whatever we recorded. Nothing changes when a call failed that was or is being
    /// repeated, nor by any news of a call whose successor Meta has; but what reached the customer counts, even by a call
    /// before the one that failed.
    fn reported(&self, attempt: Option<u32>, wamid: &Wamid, reported: Delivery) -> Self {
        let failed = matches!(reported, Delivery::Failed { .. });
        match self {
            Self::Accepted { attempt: current, wamid: known, delivery } if known == wamid => {
                Self::Accepted { attempt: *current, wamid: known.clone(), delivery: delivery.merge(reported) }
            }
            Self::Accepted { delivery: Delivery::Failed { .. }, .. } if !failed => self.taken(attempt, wamid, reported),
            Self::Accepted { .. } => self.clone(),
            Self::Planned | Self::Waiting { .. } if failed => self.clone(),
            Self::Sending { .. } | Self::Uncertain { .. } | Self::Failed { .. }
                if failed && attempt.is_some_and(|of| of < self.attempt()) =>
            {
                self.clone()
            }
            _ => self.taken(attempt, wamid, reported),
        }
    }

    fn taken(&self, attempt: Option<u32>, wamid: &Wamid, reported: Delivery) -> Self {
        Self::Accepted {
            attempt: attempt.unwrap_or_default().max(self.attempt()),
            wamid: wamid.clone(),
            delivery: Delivery::Accepted.merge(reported),
        }
    }

    /// Whether it still has to go out.
    pub(super) fn is_pending(&self) -> bool {
        matches!(self, Self::Planned | Self::Sending { .. } | Self::Waiting { .. })
    }

    pub(super) fn failure(&self) -> Option<SendFailure> {
        match self {
            Self::Failed { failure, .. } => Some(*failure),
            Self::Uncertain { .. } => Some(SendFailure::Unconfirmed),
            Self::Accepted { delivery: Delivery::Failed { code, clue }, .. } => {
                Some(SendFailure::Refused { code: *code, clue: *clue })
            }
            Self::Planned | Self::Sending { .. } | Self::Waiting { .. } | Self::Accepted { .. } => None,
        }
    }

    pub(super) fn displayed(&self) -> DisplayedStatus {
        match self {
            Self::Accepted { delivery: Delivery::Delivered, .. } => DisplayedStatus::Delivered,
            Self::Accepted { delivery: Delivery::Read | Delivery::Played, .. } => DisplayedStatus::Read,
            _ => DisplayedStatus::Sent,
        }
    }
}
