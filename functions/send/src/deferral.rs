//! This module defers parts that have to wait. They wait for Meta, for a file, or for a number that cannot send. They are
//! certainly not sent, and the agent is told once.

use std::time::Duration;

use app::HandlerError;
use chatwoot::NewMessage;
use domain::{Part, Timestamp, channel::SendHold, outgoing::Awaited};
use platform::Metric;
use store::OutboxEntry;
use texts::{NoteText, Text as _};

use crate::{
    Handler, SyncOutcome,
    budget::SendBudget,
    delivery::{ConversationContext, FILE_MISSING_MAX_WAIT},
};

/// How long a part waits before the agent is told.
const WAIT_NOTE_DELAY: Duration = Duration::from_secs(300);

/// How far apart the clocks of the two sides may be.
const HOLD_MAX_AGE: Duration = Duration::from_secs(600);

impl Handler {
    /// Puts a part back that is certainly not sent and is to be tried again. The agent is told once it takes long.
    pub(crate) async fn wait(
        &self,
        context: &ConversationContext<'_>,
        budget: &mut SendBudget,
        entry: &mut OutboxEntry,
        at: usize,
        after: Option<Duration>,
    ) -> Result<SyncOutcome, HandlerError> {
        let now = self.clients.clock.now();
        let since = self.hold(entry, at, Awaited::Meta).await?;
        if budget.told_to_wait_at.is_some() {
            return Ok(SyncOutcome::Waits { after, at_most: None });
        }
        let waited = now.since(since);
        if waited < WAIT_NOTE_DELAY {
            return Ok(SyncOutcome::Waits { after, at_most: Some(WAIT_NOTE_DELAY.saturating_sub(waited)) });
        }
        self.tell_to_wait(context, budget, since, &NoteText::SendingWaits.text(self.clients.locale)).await?;
        Ok(SyncOutcome::Waits { after, at_most: None })
    }

    /// Defers a part because its number cannot send, and tells the agent at once.
    pub(crate) async fn hold_back(
        &self,
        context: &ConversationContext<'_>,
        budget: &mut SendBudget,
        entry: &mut OutboxEntry,
        at: usize,
        hold: SendHold,
    ) -> Result<SyncOutcome, HandlerError> {
        if !matches!(entry.outgoing.parts[at], Part::Waiting { .. }) {
            self.metrics.count(Metric::Held);
        }
        let waiting_since = self.hold(entry, at, Awaited::Meta).await?;
        // A note from before the number stopped sending was about something else.
        if budget.told_to_wait_at.is_none_or(|told| hold.since().is_some_and(|since| told < since)) {
            let since = hold.since().unwrap_or(waiting_since);
            self.tell_to_wait(context, budget, since, &hold.text(self.clients.locale)).await?;
        }
        Ok(SyncOutcome::Held)
    }

    /// Why messages have to wait, if Meta has refused one since the channel was last read, for a reason that has a state of its
    /// own.
    pub(crate) async fn held_meanwhile(
        &self,
        context: &ConversationContext<'_>,
    ) -> Result<Option<SendHold>, HandlerError> {
        let channel = self.clients.channels.look_again(&context.channel.phone_number_id).await?;
        Ok(channel.and_then(|channel| channel.hold(self.clients.clock.now())))
    }

    /// Defers a part whose file is not there yet, which is not WhatsApp's fault. The agent is told once it takes long.
    pub(crate) async fn wait_for_file(
        &self,
        context: &ConversationContext<'_>,
        budget: &mut SendBudget,
        entry: &mut OutboxEntry,
        at: usize,
    ) -> Result<SyncOutcome, HandlerError> {
        let since = self.hold(entry, at, Awaited::File).await?;
        let waited = self.clients.clock.now().since(since);
        let told = budget.told_to_wait_at.is_some();
        if !told && waited >= WAIT_NOTE_DELAY {
            self.tell_to_wait(context, budget, since, &NoteText::FileAwaited.text(self.clients.locale)).await?;
        }
        // After that delay, and at the end of the file's time, the agent has to be told.
        let next = if told || waited >= WAIT_NOTE_DELAY { FILE_MISSING_MAX_WAIT } else { WAIT_NOTE_DELAY };
        Ok(SyncOutcome::Waits { after: None, at_most: next.checked_sub(waited) })
    }

    /// Saves that a part waits; gives since when. A file has a waiting time of its own: the time its number was down does not
    /// count.
    async fn hold(&self, entry: &mut OutboxEntry, at: usize, awaited: Awaited) -> Result<Timestamp, HandlerError> {
        let part = &entry.outgoing.parts[at];
        let since = match awaited {
            Awaited::Meta => part.waiting_since(),
            Awaited::File => part.without_file_since(),
        };
        let since = since.unwrap_or(self.clients.clock.now());
        let waiting = Part::Waiting { attempt: part.attempt(), since, awaited };
        if waiting != *part {
            self.save_part(entry, at, waiting).await?;
        }
        Ok(since)
    }

    /// Writes one note when a problem has lasted. The note holds the time since when, by which it is found if Chatwoot's
    /// response was lost.
    async fn tell_to_wait(
        &self,
        context: &ConversationContext<'_>,
        budget: &mut SendBudget,
        since: Timestamp,
        content: &str,
    ) -> Result<(), HandlerError> {
        self.note(context, &format!("lmotos:wait:{}", since.as_millis()), since, content).await?;
        self.clients.conversations.told_to_wait(context.conversation).await?;
        budget.told_to_wait_at = Some(self.clients.clock.now());
        Ok(())
    }

    /// What waited has failed, and the message itself says so: the next wait is worth a new note.
    pub(crate) async fn waited_in_vain(
        &self,
        context: &ConversationContext<'_>,
        budget: &mut SendBudget,
    ) -> Result<(), HandlerError> {
        if budget.told_to_wait_at.take().is_some() {
            self.clients.conversations.waits_no_more(context.conversation).await?;
        }
        Ok(())
    }

    /// Something was sent. If the agent was told that it waits, they are told once that it is over. The message stays sent,
    /// whatever becomes of that note.
    pub(crate) async fn goes_on(&self, context: &ConversationContext<'_>, budget: &mut SendBudget, end: NoteText) {
        let Some(told_at) = budget.told_to_wait_at else { return };
        let source = format!("lmotos:goes-on:{}", told_at.as_millis());
        let content = end.text(self.clients.locale);
        let told = async {
            self.note(context, &source, told_at, &content).await?;
            Ok::<_, HandlerError>(self.clients.conversations.waits_no_more(context.conversation).await?)
        };
        match told.await {
            Ok(()) => budget.told_to_wait_at = None,
            Err(error) => tracing::warn!(%error, "an agent is told only later that sending goes on"),
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
            context.chatwoot.messages(conversation, context.conversation.settled, since - HOLD_MAX_AGE).await?;
        if !listed.iter().any(|listed| listed.source_id.as_deref() == Some(source)) {
            let note = NewMessage { content, private: true, source_id: Some(source), ..NewMessage::default() };
            context.chatwoot.create_message(conversation, note).await?;
        }
        Ok(())
    }
}
