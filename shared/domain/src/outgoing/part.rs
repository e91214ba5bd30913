//! A part is one call to Meta for an agent's message. This module holds its state.

use serde::{Deserialize, Serialize};

use super::DisplayedStatus;
use crate::{Delivery, SendFailure, Timestamp, Wamid};

/// What a part waits for; each has its own time limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Awaited {
    /// For Meta to take it.
    #[default]
    Meta,
    /// For Chatwoot to deliver its file.
    File,
}

/// The state of one part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Part {
    /// Nothing was tried yet.
    Planned,
    /// The call is being made, or was made by a worker that crashed before it could record the outcome.
    Sending {
        /// Counts the calls; it is part of the reference, so that a status names the exact call.
        attempt: u32,
        /// When an earlier call failed first, if one did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<Timestamp>,
    },
    /// Certainly not sent; will be tried again by itself.
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
    Accepted {
        /// The call that did it.
        attempt: u32,
        /// Meta's id.
        wamid: Wamid,
        /// How far it came.
        delivery: Delivery,
    },
    /// Certainly not sent, and not tried again unless the agent asks.
    Failed {
        /// The last call; 0 if there was none.
        attempt: u32,
        /// Why.
        failure: SendFailure,
    },
    /// It may have been sent. Settled by a status that carries our reference, or by the agent.
    Uncertain {
        /// The call that got no answer.
        attempt: u32,
    },
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

    /// Since when it has waited for its file alone.
    pub fn without_file_since(&self) -> Option<Timestamp> {
        match self {
            Self::Waiting { since, awaited: Awaited::File, .. } => Some(*since),
            _ => None,
        }
    }

    /// A status of call number `attempt` arrived for this part, naming `wamid`.
    /// It proves that Meta has the part, whatever we recorded. Nothing changes when a call failed that was or is being
    /// repeated, nor by any news of a call whose successor Meta has; but what reached the customer counts, even by a call
    /// before the one that failed.
    #[must_use]
    pub fn apply_status(&self, attempt: Option<u32>, wamid: &Wamid, reported: Delivery) -> Self {
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

    pub(super) fn trouble(&self) -> Option<SendFailure> {
        match self {
            Self::Failed { failure: trouble, .. } => Some(*trouble),
            Self::Uncertain { .. } => Some(SendFailure::Unconfirmed),
            Self::Accepted { delivery: Delivery::Failed { code, clue }, .. } => {
                Some(SendFailure::Refused { code: *code, clue: *clue })
            }
            Self::Planned | Self::Sending { .. } | Self::Waiting { .. } | Self::Accepted { .. } => None,
        }
    }

    pub(super) fn mark(&self) -> DisplayedStatus {
        match self {
            Self::Accepted { delivery: Delivery::Delivered, .. } => DisplayedStatus::Delivered,
            Self::Accepted { delivery: Delivery::Read | Delivery::Played, .. } => DisplayedStatus::Read,
            _ => DisplayedStatus::Sent,
        }
    }
}
