//! Defers parts that have to wait. They wait for Meta, for a file, or for a number that cannot send. They are
//! certainly not sent, and the agent is told once.

use std::time::Duration;

use app::HandlerError;
use chatwoot::NewMessage;
use domain::{Part, PartEvent, Timestamp, channel::SendHold, outgoing::Awaited};
use platform::Metric;
use store::OutboxEntry;
use texts::{NoteText, Text as _};

use super::{Attempt, ConversationContext, Delivery, SendBudget};
use crate::{Handler, sync::SyncOutcome};

/// How long a file that Chatwoot announced may be missing.
pub(super) const FILE_MISSING_MAX_WAIT: Duration = Duration::from_secs(900);

/// How long a part may wait for its number before the operator is told.
const HELD_LONG: Duration = Duration::from_secs(3_600);

/// How long a part waits before the agent is told.
const WAIT_NOTE_DELAY: Duration = Duration::from_secs(300);

/// How far apart the clocks of the two sides may be.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(600);

impl Handler {
    /// Puts a part back that Meta did not take, or whose upload it did not take, and which is to be tried again. The agent is told
    /// once it takes long.
    pub(super) async fn defer_for_meta(
        &self,
        delivery: &mut Delivery<'_>,
        attempt: Attempt,
        awaited: Awaited,
        after: Option<Duration>,
    ) -> Result<SyncOutcome, HandlerError> {
        let now = self.clients.clock.now();
        let since = self.defer(delivery.entry, attempt, awaited).await?;
        if delivery.budget.wait_note_at.is_some() {
            return Ok(SyncOutcome::Waits { after, at_most: None });
        }
        let waited = now.since(since);
        if waited < WAIT_NOTE_DELAY {
            return Ok(SyncOutcome::Waits { after, at_most: Some(WAIT_NOTE_DELAY.saturating_sub(waited)) });
        }
        self.note_waiting(delivery, since, &NoteText::SendingWaits.text(self.clients.locale)).await?;
        Ok(SyncOutcome::Waits { after, at_most: None })
    }

    /// Defers a part because its number cannot send, and tells the agent at once.
    pub(super) async fn defer_for_number(
        &self,
        delivery: &mut Delivery<'_>,
        attempt: Attempt,
        hold: SendHold,
    ) -> Result<SyncOutcome, HandlerError> {
        if !matches!(delivery.entry.outgoing.parts()[attempt.at], Part::Waiting { .. }) {
            self.metrics.count(Metric::Held);
        }
        let waiting_since = self.defer(delivery.entry, attempt, Awaited::Meta).await?;
        if self.clients.clock.now().since(waiting_since) >= HELD_LONG {
            self.metrics.count(Metric::HeldLong);
        }
        // A note from before the number stopped sending was about something else.
        if delivery.budget.wait_note_at.is_none_or(|told| hold.since().is_some_and(|since| told < since)) {
            let since = hold.since().unwrap_or(waiting_since);
            self.note_waiting(delivery, since, &hold.text(self.clients.locale)).await?;
        }
        Ok(SyncOutcome::Held)
    }

    /// Why messages have to wait, if Meta has refused one since the channel was last read, for a reason that has a state of its
    /// own.
    pub(super) async fn held_meanwhile(
        &self,
        context: &ConversationContext<'_>,
    ) -> Result<Option<SendHold>, HandlerError> {
        let channel = self.clients.channels.look_again(&context.channel.phone_number_id).await?;
        Ok(channel.and_then(|channel| channel.hold(self.clients.clock.now())))
    }

    /// Defers a part whose file is not there yet, which is not WhatsApp's fault. The agent is told once it takes long.
    pub(super) async fn defer_for_file(
        &self,
        delivery: &mut Delivery<'_>,
        attempt: Attempt,
    ) -> Result<SyncOutcome, HandlerError> {
        let since = self.defer(delivery.entry, attempt, Awaited::File).await?;
        let waited = self.clients.clock.now().since(since);
        let told = delivery.budget.wait_note_at.is_some();
        if !told && waited >= WAIT_NOTE_DELAY {
            self.note_waiting(delivery, since, &NoteText::FileAwaited.text(self.clients.locale)).await?;
        }
        // After that delay, and at the end of the file's time, the agent has to be told.
        let next = if told || waited >= WAIT_NOTE_DELAY { FILE_MISSING_MAX_WAIT } else { WAIT_NOTE_DELAY };
        Ok(SyncOutcome::Waits { after: None, at_most: next.checked_sub(waited) })
    }

    /// Saves that a part waits; gives since when. A file has a waiting time of its own: the time its number was down does not
    /// count.
    async fn defer(
        &self,
        entry: &mut OutboxEntry,
        Attempt { at, number, .. }: Attempt,
        awaited: Awaited,
    ) -> Result<Timestamp, HandlerError> {
        let now = self.clients.clock.now();
        self.move_part(entry, at, PartEvent::Deferred { attempt: number, awaited, at: now }).await?;
        Ok(entry.outgoing.parts().get(at).and_then(Part::waiting_since).unwrap_or(now))
    }

    /// Writes one note when a problem has lasted. The note holds the time since when, by which it is found if Chatwoot's
    /// response was lost.
    async fn note_waiting(
        &self,
        delivery: &mut Delivery<'_>,
        since: Timestamp,
        content: &str,
    ) -> Result<(), HandlerError> {
        let context = delivery.context;
        self.note(context, &format!("lmotos:wait:{}", since.as_millis()), since, content).await?;
        self.clients.conversations.set_wait_note(context.conversation).await?;
        delivery.budget.wait_note_at = Some(self.clients.clock.now());
        Ok(())
    }

    /// What waited has failed, and the message itself says so: the next wait is worth a new note.
    pub(super) async fn clear_wait_note(
        &self,
        context: &ConversationContext<'_>,
        budget: &mut SendBudget,
    ) -> Result<(), HandlerError> {
        if budget.wait_note_at.take().is_some() {
            self.clients.conversations.clear_wait_note(context.conversation).await?;
        }
        Ok(())
    }

    /// Something was sent. If the agent was told that it waits, they are told once that it is over. The message stays sent,
    /// whatever becomes of that note.
    pub(super) async fn note_resumed(&self, context: &ConversationContext<'_>, budget: &mut SendBudget, end: NoteText) {
        let Some(told_at) = budget.wait_note_at else { return };
        let source = format!("lmotos:goes-on:{}", told_at.as_millis());
        let content = end.text(self.clients.locale);
        let told = async {
            self.note(context, &source, told_at, &content).await?;
            Ok::<_, HandlerError>(self.clients.conversations.clear_wait_note(context.conversation).await?)
        };
        match told.await {
            Ok(()) => budget.wait_note_at = None,
            Err(error) => tracing::warn!(%error, "note that sending goes on is written later"),
        }
    }

    /// Writes a private note, unless it is there already.
    async fn note(
        &self,
        context: &ConversationContext<'_>,
        source: &str,
        since: Timestamp,
        content: &str,
    ) -> Result<(), HandlerError> {
        let conversation = context.conversation.conversation;
        let listed =
            context.chatwoot.messages(conversation, context.conversation.settled, since - MAX_CLOCK_SKEW).await?;
        if !listed.iter().any(|listed| listed.source_id.as_deref() == Some(source)) {
            let note = NewMessage { content, private: true, source_id: Some(source), ..NewMessage::default() };
            context.chatwoot.create_message(conversation, note).await?;
        }
        Ok(())
    }
}
