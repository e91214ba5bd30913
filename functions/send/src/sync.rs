//! Finds out what the messages of a conversation need; `delivery` does it.

mod adopt;
mod brake;
mod commands;
mod conversation;
mod read_receipts;
mod red_messages;
mod repair;
mod surveys;
mod template_lookup;
mod tracked;

use std::{collections::BTreeSet, time::Duration};

use domain::{MessageId, SyncRequest, Timestamp, template::Picked};
use queue::Record;

pub(crate) use self::{
    read_receipts::{ReadReceiptQueue, ReceiptCooldown, read_receipt_queue},
    tracked::TrackedMessage,
};

/// An agent message first seen later than this is not sent by itself.
pub(crate) const MAX_MESSAGE_AGE: Duration = Duration::from_secs(3600);

/// After this many receives, record an attempt before working, so that a message that crashes us is detected.
const SUSPECT_RECEIVES: u32 = 2;

/// How long a failed message may be retried: Chatwoot offers it for a day.
pub(crate) const RETRY_MAX_AGE: Duration = Duration::from_secs(25 * 3600);

/// How one sync of a conversation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SyncOutcome {
    /// Everything is sent, or failed with an error text.
    UpToDate,
    /// Something certainly was not sent and will be tried again.
    Waits {
        /// Not before this, if Meta said so.
        after: Option<Duration>,
        /// Not after this, since the agent has to be told by then.
        at_most: Option<Duration>,
    },
    /// It is too early to go on; nothing is wrong.
    Soon {
        /// Not before this.
        after: Duration,
    },
    /// The number cannot send. What lets it send again enqueues a sync request, and so does every round of `reconcile` until
    /// then.
    Held,
    /// The invocation's time is nearly over, or other conversations have waited long enough.
    OutOfTime,
}

/// The result of a sync.
pub(crate) struct SyncReport {
    pub(crate) outcome: SyncOutcome,
    /// Messages whose values, as picked in a template, are still needed.
    pub(crate) needed: BTreeSet<MessageId>,
}

impl SyncReport {
    /// There is nothing left to do.
    fn all() -> Self {
        Self { outcome: SyncOutcome::UpToDate, needed: BTreeSet::new() }
    }
}

/// A batch as a whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batch {
    /// When the invocation should have ended.
    pub(crate) until: Timestamp,
    /// Whether the batch has several conversations in it.
    pub(crate) shared: bool,
    /// Whether one conversation fills the batch: then more sync requests with what callbacks reported of it may be queued behind
    /// it.
    pub(crate) full: bool,
}

/// What a sync works with.
pub(crate) struct SyncJob<'a> {
    pub(crate) request: SyncRequest,
    /// Templates that callbacks reported.
    pub(crate) picked: Vec<(MessageId, Picked)>,
    /// Whether the only news is that agents resolved the conversation.
    pub(crate) only_resolves: bool,
    /// All messages that callbacks reported.
    pub(crate) messages: Vec<MessageId>,
    /// Messages that callbacks reported as red (shown as failed) and that are not ours to send.
    pub(crate) reds: Vec<MessageId>,
    /// Links of surveys that callbacks reported.
    pub(crate) surveys: Vec<(MessageId, String)>,
    /// When the newest sync request was enqueued.
    pub(crate) requested_at: Timestamp,
    /// When each sync request was enqueued, and since when Chatwoot has been asked in vain what happened.
    pub(crate) asked_at: Vec<Timestamp>,
    pub(crate) batch: Batch,
    /// Whether an earlier sync may have crashed before it reported an outcome.
    pub(crate) suspect: bool,
    /// Where a sync puts the read receipts that are due for the customer's messages.
    pub(crate) receipts: &'a ReadReceiptQueue,
}

impl<'a> SyncJob<'a> {
    /// The sync that `request` asks for. `records` are all messages of the queue it works off, `requests` those that could be
    /// read.
    pub(crate) fn of(
        request: SyncRequest,
        records: &[Record],
        requests: &[&SyncRequest],
        batch: Batch,
        receipts: &'a ReadReceiptQueue,
    ) -> Self {
        let sent_at = || records.iter().map(|record| record.sent_at);
        let all = || requests.iter().copied();
        Self {
            request,
            picked: all().filter_map(|one| Some((one.template?, *one.picked.clone()?))).collect(),
            only_resolves: !requests.is_empty() && all().all(only_resolves),
            messages: all().filter_map(|one| one.message).collect(),
            reds: all().filter_map(|one| one.red).collect(),
            surveys: all().filter_map(|one| Some((one.message?, one.survey.clone()?))).collect(),
            requested_at: sent_at().max().unwrap_or_default(),
            asked_at: sent_at().chain(all().filter_map(|one| one.unseen_since)).collect(),
            batch,
            suspect: records.iter().any(|record| record.receives >= SUSPECT_RECEIVES),
            receipts,
        }
    }

    /// Whether what was written at that time counts as seen in time, though it is read only now. It does if a sync request was
    /// enqueued within the hour after it, or was in the queue already when it was written and could not be followed since.
    fn saw_in_time(&self, written_at: Timestamp, now: Timestamp) -> bool {
        self.asked_at.iter().chain([&now]).any(|asked_at| asked_at.since(written_at) <= MAX_MESSAGE_AGE)
    }

    /// What was picked in a message, if a callback reported that it is a template.
    fn picked(&self, message: MessageId) -> Option<&Picked> {
        self.picked.iter().find(|(id, _)| *id == message).map(|(_, picked)| picked)
    }
}

fn only_resolves(request: &SyncRequest) -> bool {
    request.resolved_at.is_some() && request.message.is_none() && request.template.is_none() && request.red.is_none()
}

#[cfg(test)]
mod tests {
    use domain::{AccountId, ConversationId, PhoneNumberId};

    use super::*;

    #[test]
    fn what_was_requested_within_the_hour_was_seen_in_time_however_late_it_is_read() {
        let (receipts, _taken) = read_receipt_queue();
        let written_at = Timestamp::from_secs(1_795_190_400);
        let hour = MAX_MESSAGE_AGE;
        let seen = |asked_at: &[Timestamp], now| {
            let request = SyncRequest::new(PhoneNumberId::new("1"), AccountId(1), ConversationId(1));
            let batch = Batch { until: now, shared: false, full: false };
            let job = SyncJob { asked_at: asked_at.to_vec(), ..SyncJob::of(request, &[], &[], batch, &receipts) };
            job.saw_in_time(written_at, now)
        };
        let late = written_at + hour + hour;
        assert!(seen(&[], written_at + hour));
        assert!(!seen(&[], late));
        assert!(seen(&[written_at + hour], late));
        assert!(!seen(&[late], late));
        // It was in the queue before the message was written.
        assert!(seen(&[late, written_at - hour], late));
    }
}
