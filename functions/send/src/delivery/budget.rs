//! Holds the budget of one sync of a conversation. It keeps what the sync changes of the state read at its
//! beginning, and how fast the customer may get more.

use std::time::Duration;

use domain::{Timestamp, rate_limit::RecipientRateLimit};
use platform::Metric;

use crate::{Handler, sync::SyncJob};

/// How long a conversation may go on sending while others of its batch are done: what is new in those has to wait for it.
const MAX_TURN_TIME: Duration = Duration::from_secs(10);

/// The budget of one conversation's turn.
pub(crate) struct SendBudget {
    /// What was sent to this customer lately.
    pub(super) rate_limit: RecipientRateLimit,
    /// When the agent was told that sending waits, if it still does.
    pub(super) wait_note_at: Option<Timestamp>,
    sent: bool,
    again: bool,
    ends_at: Option<Timestamp>,
}

impl SendBudget {
    pub(crate) fn begin(job: &SyncJob<'_>, conversation: &store::Conversation, now: Timestamp) -> Self {
        Self {
            rate_limit: conversation.recipient_rate,
            wait_note_at: conversation.wait_note_at,
            sent: false,
            again: job.suspect,
            ends_at: job.batch.shared.then(|| now + MAX_TURN_TIME),
        }
    }

    /// Whether the turn has to go to other conversations. However slow everything is, each turn sends something.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.sent && self.ends_at.is_some_and(|ends_at| ends_at <= now)
    }

    /// Whether something was sent in this turn.
    pub(super) fn has_sent(&self) -> bool {
        self.sent
    }

    /// Whether an earlier turn may have ended before its time.
    pub(super) fn is_again(&self) -> bool {
        self.again
    }

    /// Counts one more message that was sent, or may have been.
    pub(super) fn sent(&mut self, now: Timestamp) {
        self.rate_limit = self.rate_limit.sent(now);
        self.sent = true;
    }
}

impl Handler {
    /// How long the next message has to wait for its slot in this customer's rate (the recipient rate).
    pub(super) fn recipient_wait(&self, budget: &SendBudget) -> Option<Duration> {
        let wait = budget.rate_limit.wait(self.clients.clock.now());
        if wait.is_zero() {
            return None;
        }
        self.metrics.count(Metric::Paced);
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_ends_after_its_time_but_not_before_something_was_sent() {
        let now = Timestamp::from_secs(1_795_190_400);
        let rate_limit = RecipientRateLimit::default();
        let ends_at = Some(now + MAX_TURN_TIME);
        let mut turn = SendBudget { rate_limit, wait_note_at: None, sent: false, again: false, ends_at };
        assert!(!turn.is_over(now + 2 * MAX_TURN_TIME));
        turn.sent(now);
        assert!(!turn.is_over(now) && turn.is_over(now + MAX_TURN_TIME));
        assert!(!SendBudget { ends_at: None, ..turn }.is_over(now + 2 * MAX_TURN_TIME));
    }
}
