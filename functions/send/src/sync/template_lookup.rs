//! Finds out which messages are templates, and what was picked. Only the callback holds what was picked. If it was
//! lost, Chatwoot still shows it for the last message of a conversation.

use std::{sync::atomic::Ordering, time::Duration};

use app::HandlerError;
use chatwoot::{ChatwootError, listing::ListedMessage};
use domain::{
    MessageId,
    outgoing::{DisplayedStatus, MessageKind},
    template::{Fault, Picked},
};
use store::OutboxEntry;
use texts::Text as _;

use super::{SyncJob, TrackedMessage};
use crate::{Handler, delivery::ConversationContext};

/// A callback that follows another message's arrives within this; after it, it is taken as lost.
const CALLBACK_MAX_WAIT: Duration = Duration::from_secs(60);

/// The same while Chatwoot has not failed to post the callback that was asked for: it is in Chatwoot's own queue. Its failure would
/// stand on the message.
const QUEUED_CALLBACK_MAX_WAIT: Duration = Duration::from_secs(300);

/// When to check again once it is late.
const LATE_CALLBACK_RETRY_DELAY: Duration = Duration::from_secs(5);

/// How long to check again without a pause while more sync requests may be queued behind those in hand.
const CALLBACK_EXPECTED_WAIT: Duration = Duration::from_secs(5);

/// When to check again. After this Chatwoot is asked.
const LOOKUP_RETRY_DELAY: Duration = Duration::from_secs(1);

/// What a message turned out to be.
pub(super) enum TemplateLookup {
    /// Text, files, or anything else that is no template.
    Plain,
    /// A template, with what was picked where that is known.
    Template(Option<Picked>),
    /// Its callback may still arrive; check again after this.
    Later(Duration),
    /// Nothing reported in time what it is.
    Unknown,
}

impl Handler {
    /// Whether a message is a template. The list does not say so; its callback does, and so does the conversation for its last
    /// message. A template's text may be anything, so the text counts only once nothing else can come.
    pub(super) async fn look_up_template(
        &self,
        job: &SyncJob<'_>,
        context: &ConversationContext<'_>,
        message: &ListedMessage,
        entry: &mut OutboxEntry,
    ) -> Result<TemplateLookup, HandlerError> {
        if let Some(picked) = job.picked(message.id) {
            return Ok(TemplateLookup::Template(Some(picked.clone())));
        }
        if entry.outgoing.next_part().is_none()
            || !matches!(entry.outgoing.kind(), MessageKind::Unsorted | MessageKind::Template)
        {
            return Ok(TemplateLookup::Plain);
        }
        let now = self.clients.clock.now();
        let asked = now.since(entry.outgoing.asked_at());
        let is_template = entry.outgoing.kind() == MessageKind::Template;
        if job.batch.full && asked < CALLBACK_EXPECTED_WAIT {
            if !is_template && !self.may_be_templates(context.channel).await? {
                return Ok(TemplateLookup::Plain);
            }
            // Its callback may be queued behind these.
            if asked >= LOOKUP_RETRY_DELAY {
                self.request_callback(context, message, entry).await?;
            }
            return Ok(TemplateLookup::Later(Duration::ZERO));
        }
        match self.still_shown(context, message.id).await? {
            Some(Some(picked)) => return Ok(TemplateLookup::Template(Some(picked))),
            Some(None) if !is_template => return Ok(TemplateLookup::Plain),
            None if !is_template && !self.may_be_templates(context.channel).await? => return Ok(TemplateLookup::Plain),
            Some(None) | None => {}
        }
        if asked >= CALLBACK_MAX_WAIT {
            let is_ours = |shown: &str| shown == Fault::Untold.text(self.clients.locale);
            if asked < QUEUED_CALLBACK_MAX_WAIT && message.error().is_some_and(is_ours) {
                return Ok(TemplateLookup::Later(LATE_CALLBACK_RETRY_DELAY));
            }
            if is_template {
                return Ok(TemplateLookup::Template(None));
            }
            // Nothing more will be reported: what cannot be a template is sent as text, in its turn.
            let words = self.reads_like_none(context, message).await?;
            return Ok(if words { TemplateLookup::Plain } else { TemplateLookup::Unknown });
        }
        if asked >= LOOKUP_RETRY_DELAY {
            self.request_callback(context, message, entry).await?;
        }
        // Usually it is queued behind this sync request.
        Ok(TemplateLookup::Later(if job.suspect { LOOKUP_RETRY_DELAY } else { Duration::ZERO }))
    }

    /// Makes Chatwoot report what a message is. Only a callback does, and Chatwoot posts one for each status that changes
    /// something. So a failed status is set, with an error text that is true as long as it stands; the answer clears it.
    async fn request_callback(
        &self,
        context: &ConversationContext<'_>,
        message: &ListedMessage,
        entry: &mut OutboxEntry,
    ) -> Result<(), HandlerError> {
        if entry.outgoing.is_shown_failed() || self.failures_stay.load(Ordering::Relaxed) {
            return Ok(());
        }
        let words = Fault::Untold.text(self.clients.locale);
        match context.chatwoot.mark(context.conversation.conversation, message.id, "failed", Some(&words)).await {
            // Chatwoot can answer with success and change nothing.
            Ok(Some(stands)) if stands != "failed" => return Ok(()),
            // The message was deleted; the next sync reports that.
            Ok(_) | Err(ChatwootError::Gone) => {}
            Err(error) => return Err(error.into()),
        }
        self.save_shown(entry, DisplayedStatus::Failed).await
    }

    /// Clears the failed status once it is known what the message is: its error text is no longer true. Gives whether that
    /// worked; later versions of Chatwoot let only the agent's Retry bring a message back from failed.
    pub(super) async fn clear_callback_request(
        &self,
        context: &ConversationContext<'_>,
        message: &ListedMessage,
        entry: &mut OutboxEntry,
    ) -> Result<bool, HandlerError> {
        if !entry.outgoing.is_shown_failed() || entry.outgoing.next_part().is_none() {
            return Ok(true);
        }
        match context.chatwoot.mark(context.conversation.conversation, message.id, "sent", None).await {
            Ok(Some(stands)) if stands == "failed" => {
                self.failures_stay.store(true, Ordering::Relaxed);
                return Ok(false);
            }
            Ok(_) | Err(ChatwootError::Gone | ChatwootError::Refused(_)) => {}
            Err(error) => return Err(error.into()),
        }
        self.save_shown(entry, DisplayedStatus::Sent).await?;
        Ok(true)
    }

    /// Saves what Chatwoot has just answered that it shows.
    async fn save_shown(&self, entry: &mut OutboxEntry, shown: DisplayedStatus) -> Result<(), HandlerError> {
        let mut changed = entry.clone();
        changed.outgoing.set_shown(shown, self.clients.clock.now());
        let (Ok(known) | Err(known)) = self.clients.outbox.save(changed).await?;
        *entry = known;
        Ok(())
    }

    /// What was picked in a message, if it is the last of its conversation: Chatwoot shows that one whole.
    async fn still_shown(
        &self,
        context: &ConversationContext<'_>,
        message: MessageId,
    ) -> Result<Option<Option<Picked>>, HandlerError> {
        match context.chatwoot.last_picked(context.conversation.conversation, message).await {
            Err(ChatwootError::Gone) => Ok(None),
            shown => Ok(shown?),
        }
    }

    /// Sorts the last message while Chatwoot still shows it whole: once another follows it, only a callback tells.
    pub(super) async fn look_up_last_template(
        &self,
        context: &ConversationContext<'_>,
        messages: &mut [TrackedMessage],
    ) {
        let Some(TrackedMessage { message, entry: Some(entry), is_news, .. }) = messages.last_mut() else { return };
        let outgoing = &mut entry.outgoing;
        let is_unsorted = outgoing.kind() == MessageKind::Unsorted && outgoing.next_part().is_some();
        if !message.is_for_customer() || !is_unsorted {
            return;
        }
        let sorted = match self.still_shown(context, message.id).await {
            Ok(None) => return,
            Ok(Some(None)) => outgoing.set_plain(false).map_err(HandlerError::from),
            Ok(Some(Some(_))) => {
                outgoing.set_template();
                Ok(())
            }
            Err(error) => Err(error),
        };
        match sorted {
            Ok(()) => *is_news = true,
            Err(error) => tracing::warn!(%error, "kind of the last message not known; the next sync asks"),
        }
    }
}
