//! This module holds the budget of one sync of a conversation. It keeps what the sync changes of the state read at its
//! beginning, and how fast the customer may get more.

use std::time::Duration;

use domain::{Timestamp, rate_limit::RecipientRateLimit};
use platform::Metric;
use tokio::time::Instant;

use crate::{Handler, SyncJob};

/// How long a conversation may go on sending while others of its batch are done: what is new in those has to wait for it.
const MAX_TURN_TIME: Duration = Duration::from_secs(10);

/// The budget of one conversation's turn.
pub(crate) struct SendBudget {
    /// What was sent to this customer lately.
    pub(crate) pair: RecipientRateLimit,
    /// When the agent was told that sending waits, if it still does.
    pub(crate) told_to_wait_at: Option<Timestamp>,
    sent: bool,
    again: bool,
    ends: Option<Instant>,
}

impl SendBudget {
    pub(crate) fn begin(job: &SyncJob, conversation: &store::Conversation) -> Self {
        Self {
            pair: conversation.pair,
            told_to_wait_at: conversation.told_to_wait_at,
            sent: false,
            again: job.suspect,
            ends: job.batch.shared.then(|| Instant::now() + MAX_TURN_TIME),
        }
    }

    /// Whether the turn has to go to other conversations. However slow everything is, each turn sends something.
    pub(crate) fn is_over(&self) -> bool {
        self.sent && self.ends.is_some_and(|ends| ends <= Instant::now())
    }

    /// Whether something was sent in this turn.
    pub(crate) fn has_sent(&self) -> bool {
        self.sent
    }

    /// Whether an earlier turn may have ended before its time.
    pub(crate) fn is_again(&self) -> bool {
        self.again
    }

    /// Counts one more message that was sent, or may have been.
    pub(crate) fn sent(&mut self, now: Timestamp) {
        self.pair = self.pair.sent(now);
        self.sent = true;
    }
}

impl Handler {
    /// How long the next message has to wait for its slot in this customer's rate (the recipient rate).
    pub(crate) fn pace(&self, budget: &SendBudget) -> Option<Duration> {
        let wait = budget.pair.wait(self.clients.clock.now());
        if wait.is_zero() {
            return None;
        }
        self.metrics.count(Metric::Paced);
        Some(wait)
    }
}
