//! Holds the state of one run: its time, what it saw, its first error.

use std::{collections::BTreeSet, time::Duration};

use app::HandlerError;
use domain::{AccountId, ConversationId, SharedClock, Timestamp};

use crate::{DueConversation, RetentionReport};

/// The time kept back for the cursors and the report.
const END_MARGIN: Duration = Duration::from_secs(60);

/// No function runs longer; a dry run takes the time it needs.
const MAX_RUN_TIME: Duration = Duration::from_secs(86_400);

/// A run underway.
pub(crate) struct RetentionRun {
    pub(crate) report: RetentionReport,
    pub(crate) trouble: Option<HandlerError>,
    /// Whether it only checks and changes nothing.
    pub(crate) dry: bool,
    /// Conversations of people whose request is open.
    pub(crate) open: BTreeSet<(AccountId, ConversationId)>,
    seen: BTreeSet<(AccountId, ConversationId)>,
    clock: SharedClock,
    until: Timestamp,
}

impl RetentionRun {
    pub(crate) fn new(clock: SharedClock, left: Duration, dry: bool) -> Self {
        let until = clock.now() + left.min(MAX_RUN_TIME).saturating_sub(END_MARGIN);
        let (report, open, seen) = (RetentionReport::default(), BTreeSet::new(), BTreeSet::new());
        Self { report, trouble: None, dry, open, seen, clock, until }
    }

    /// Whether there is no time for anything more.
    pub(crate) fn is_over(&self) -> bool {
        self.clock.now() >= self.until
    }

    /// The end of a part that may take one of `parts` of what is left.
    pub(crate) fn share(&self, parts: u32) -> Timestamp {
        let now = self.clock.now();
        now + self.until.since(now) / parts
    }

    /// Goes on without a part; its error is returned at the end.
    pub(crate) fn keep(&mut self, done: Result<(), HandlerError>) {
        if let Err(error) = done {
            tracing::warn!(%error, "a part of the daily run has to wait for tomorrow");
            self.trouble.get_or_insert(error);
        }
    }

    /// What could not be judged is overdue until it is judged.
    pub(crate) fn unjudged(&mut self, count: u64) {
        self.report.unjudged += count;
        self.report.overdue += count;
    }

    /// Whether a conversation is seen for the first time.
    pub(crate) fn meets(&mut self, account: AccountId, conversation: ConversationId) -> bool {
        self.seen.insert((account, conversation))
    }

    pub(crate) fn due(&mut self, account: AccountId, conversation: ConversationId, said_at: Timestamp, held: bool) {
        self.report.due.push(DueConversation { account, conversation, active_at: said_at.as_secs(), held });
    }
}
